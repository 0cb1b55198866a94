"""PLTM's sampler against an independent one, on the validation part of a prepared corpus. ``make
bench``

tomotopy's LDA is trained on the same pairs, each joined to one document with the words of both
languages apart, with the same topics, priors and sweeps; a new document is inferred in one language
and read off one state of the sampler. PLTM differs in that a topic's words sum to one in each
language. The scores go into ``data/results/independent.json``, which a chapter shows.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from m3l import Corpus
from m3l.files import write_json
from m3l.metrics.assessment import evaluate
from m3l_book.data import prepared

SETTINGS = {"topics": 100, "alpha": 0.1, "beta": 0.01, "sweeps": 500}  # PLTM's in the main tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", default=".venv.lda/bin/python")
    parser.add_argument("--data", default="data/full")
    parser.add_argument("--corpus", default="vital")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="data/results/independent.json")
    options = parser.parse_args()
    folders = [f"{options.data}/{kind}/{options.corpus}" for kind in ("prepared", "embeddings")]
    languages = ["en", "fr"]
    corpus = prepared.assemble(*folders, dict.fromkeys(languages, "use-multilingual"))
    train, part = corpus.part("train").select(languages), corpus.part("validation")
    joined = sp.hstack([train.views[v].bow[train.views[v].index] for v in languages])
    new = {f"infer_{v}": sp.hstack(_alone(part, v, languages)) for v in languages}
    scores = []
    for seed in range(options.seeds):
        theta = _run(options.python, {"train": joined, **new}, seed)
        rows = evaluate({v: theta[f"theta_{v}"] for v in languages}, part.select(languages))
        scores.append(next(row["score"] for row in rows if row["query"] == languages[0]))
        print(f"seed {seed}: MRR {scores[-1]:.3f}", flush=True)
    about = {"name": "tomotopy 0.14.0, LDA on joined pairs"}
    write_json(options.out, {**about, "corpus": options.corpus, "scores": scores, **SETTINGS})


def _alone(part: Corpus, view: str, languages: list[str]) -> list[sp.csr_matrix]:
    """The documents of one language beside no words of the other, in the columns of both."""
    bows = {v: part.views[v].bow for v in languages}
    count = bows[view].shape[0]
    return [bow if v == view else sp.csr_matrix((count, bow.shape[1])) for v, bow in bows.items()]


def _run(python: str, documents: dict, seed: int) -> dict[str, np.ndarray]:
    """θ of the new documents by ``lda.py``."""
    arrays = {}
    for name, bow in documents.items():
        bow = sp.csr_matrix(bow).astype(np.int64)
        arrays |= {f"{name}_{part}": getattr(bow, part) for part in ("data", "indices", "indptr")}
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/in.npz", f"{folder}/out.npz"
        np.savez(source, **arrays)
        command = [python, str(Path(__file__).parent / "lda.py"), source, target]
        for name, value in {**SETTINGS, "seed": seed}.items():
            command += [f"--{name}", str(value)]
        subprocess.run(command, check=True)
        with np.load(target, allow_pickle=False) as out:
            return dict(out)


if __name__ == "__main__":
    main()
