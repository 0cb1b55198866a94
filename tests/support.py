"""What several test files share."""

import numpy as np
import scipy.sparse as sp

from m3l import Corpus, View


def make_corpus(
    n=40, views=("en", "de", "image"), dimension=8, words=30, seed=0, topics=4, split=None
):
    """A small corpus with planted topics: view embeddings and word counts follow the same hidden
    topic.
    """
    rng = np.random.default_rng(seed)
    topic = rng.integers(topics, size=n)
    built = {}
    for name in views:
        centre = rng.standard_normal((topics, dimension))
        embeddings = (centre[topic] + 0.2 * rng.standard_normal((n, dimension))).astype(np.float32)
        bow = vocabulary = None
        if name != "image":
            favourite = rng.dirichlet(np.full(words, 0.1), size=topics)
            bow = sp.csr_matrix(
                np.stack([rng.multinomial(15, favourite[t]) for t in topic]).astype(np.int32)
            )
            vocabulary = [f"{name}{i}" for i in range(words)]
        built[name] = View(
            name, embeddings, np.arange(n), [f"{name}-{i}" for i in range(n)], bow, vocabulary
        )
    ids = [f"t{i}" for i in range(n)]
    return Corpus("small", built, ids, ids, ["train"] * n if split is None else split)
