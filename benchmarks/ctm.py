"""Train ZeroShotTM as its authors' package has it, for comparison: ``.venv.ctm/bin/python
benchmarks/ctm.py INPUT.npz OUTPUT.npz --topics K ...``

INPUT.npz holds ``train_embeddings`` float32 (N, D), the training documents' words as the parts of a
CSR matrix (N, V), ``bow_data``, ``bow_indices``, ``bow_indptr`` and ``bow_shape``, and any number
of ``test_<view>`` float32 (M, D). OUTPUT.npz gets ``seconds`` of training alone and
``theta_<view>`` (M, K) of each test view. Nothing of m3l is used here. The package takes a GPU
whenever torch sees one; CUDA_VISIBLE_DEVICES= hides it.
"""

import argparse
import random
import time
import zlib

import numpy as np
import scipy.sparse as sp
import torch
from contextualized_topic_models.datasets.dataset import CTMDataset
from contextualized_topic_models.models.ctm import ZeroShotTM

SAMPLES = 20  # of a document's topics, averaged; the package's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("input")
    parser.add_argument("output")
    for name in ("topics", "epochs", "batch-size", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    with np.load(options.input, allow_pickle=False) as file:
        arrays = dict(file)
    train, size = arrays["train_embeddings"], arrays["bow_shape"]
    parts = tuple(arrays[f"bow_{part}"] for part in ("data", "indices", "indptr"))
    bow = sp.csr_matrix(parts, shape=tuple(size))
    torch.set_num_threads(1)
    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    model = ZeroShotTM(
        bow_size=bow.shape[1],
        contextual_size=train.shape[1],
        n_components=options.topics,
        num_epochs=options.epochs,
        batch_size=options.batch_size,
        num_data_loader_workers=0,
    )
    documents = CTMDataset(train, bow, {})
    start = time.perf_counter()
    # the topics of the training documents are not part of training
    model.fit(documents, do_train_predictions=False)
    out = {"seconds": time.perf_counter() - start}
    for name, embeddings in arrays.items():
        if not name.startswith("test_"):
            continue
        view = name.removeprefix("test_")
        # a seed of each view's own: with the same noise row i of two views would be aligned by it,
        # which flatters retrieval
        torch.manual_seed(options.seed + 1 + zlib.crc32(view.encode()))
        no_words = sp.csr_matrix((len(embeddings), bow.shape[1]), dtype=bow.dtype)
        unseen = CTMDataset(embeddings, no_words, {})
        out[f"theta_{view}"] = model.get_doc_topic_distribution(unseen, n_samples=SAMPLES)
    np.savez(options.output, **out)


if __name__ == "__main__":
    main()
