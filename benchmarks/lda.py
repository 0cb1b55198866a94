"""Train tomotopy's LDA on documents and infer others, for comparison: ``.venv.lda/bin/python
benchmarks/lda.py INPUT.npz OUTPUT.npz --topics K ...``

INPUT.npz holds the training documents and those of each ``infer_<view>`` as CSR parts,
``<name>_data``, ``<name>_indices`` and ``<name>_indptr`` with ``train`` as the first name, all over
one vocabulary. OUTPUT.npz gets ``theta_<view>`` (M, K), read off one state of its sampler.
Nothing of m3l is used here.
"""

import argparse
from itertools import pairwise

import numpy as np
import tomotopy


def documents(arrays: dict, name: str) -> list[list[str]]:
    """A document's tokens, each the number of its word."""
    indptr, indices, counts = (arrays[f"{name}_{part}"] for part in ("indptr", "indices", "data"))
    return [
        [str(word) for word in np.repeat(indices[a:b], counts[a:b])] for a, b in pairwise(indptr)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("input")
    parser.add_argument("output")
    for name, kind in {"topics": int, "alpha": float, "beta": float, "sweeps": int}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    with np.load(options.input, allow_pickle=False) as file:
        arrays = dict(file)
    model = tomotopy.LDAModel(
        k=options.topics, alpha=options.alpha, eta=options.beta, seed=options.seed
    )
    model.optim_interval = 0  # the priors stay
    for tokens in documents(arrays, "train"):
        model.add_doc(tokens)
    model.train(options.sweeps, workers=1)
    views = [name[:-7] for name in arrays if name.startswith("infer_") and name.endswith("_indptr")]
    thetas = {}
    for name in views:
        new = [model.make_doc(tokens) for tokens in documents(arrays, name)]
        theta, _ = model.infer(new, iterations=100, workers=1)
        thetas[name.replace("infer", "theta", 1)] = np.array(theta, dtype=np.float32)
    np.savez(options.output, **thetas)


if __name__ == "__main__":
    main()
