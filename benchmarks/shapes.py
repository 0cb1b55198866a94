"""Corpora of a shape, with random content: what speed is measured on."""

import numpy as np
import scipy.sparse as sp

from m3l import Corpus, View


def random_corpus(
    n: int,
    views: tuple[str, ...],
    dimension: int = 512,
    words: int = 2000,
    lacking: float = 0.0,
) -> Corpus:
    """A corpus of the paper's shape with random content; random, since zeros would flatter.

    A share ``lacking`` of the tuples has no picture.
    """
    rng = np.random.default_rng(0)
    built = {}
    for name in views:
        text = name != "image"
        bow = (
            sp.csr_matrix(
                rng.poisson(0.03, size=(n, words)).astype(np.int32)
                + np.eye(n, words, dtype=np.int32)
            )
            if text
            else None
        )
        built[name] = View(
            name,
            rng.standard_normal((n, dimension), dtype=np.float32),
            np.arange(n),
            [f"{name}{i}" for i in range(n)],
            bow,
            [f"w{i}" for i in range(words)] if text else None,
        )
    if "image" in built:
        built["image"].index[: int(lacking * n)] = -1
    ids = [f"t{i}" for i in range(n)]
    return Corpus("random", built, ids, ids, ["train"] * n)
