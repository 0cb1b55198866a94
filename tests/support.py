"""What several test files share."""

import numpy as np
import scipy.sparse as sp
import torch

from m3l import Corpus, Objective, View


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


def columns(history):
    """A history without what is another each time."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


ALL = ("en", "de", "image")
CASES = {
    "book": (ALL, Objective.preset("book"), {}),
    "paper": (ALL, Objective.preset("paper"), {}),
    "released": (ALL, Objective.preset("released"), {}),
    "released_gaussian": (ALL, Objective.preset("released_gaussian"), {}),
    "released_head": (ALL, Objective.preset("released_head"), {}),
    "gaussian, both orders": (ALL, Objective(kl="gaussian", kl_order="both", kl_weight=0.7), {}),
    "InfoNCE on means": (ALL, Objective.preset("recommended"), {}),
    "dot, own negatives": (ALL, Objective(similarity="dot"), {}),
    "cosine, other view's negatives": (
        ALL,
        Objective(negatives="cross_view", directions="sum"),
        {},
    ),
    "no InfoNCE": (("en", "de"), Objective(contrastive_weight=0.0), {}),
    "zeroshot": (("en",), Objective.preset("zeroshot"), {}),
    "shared network": (ALL, Objective.preset("book"), {"share_text_network": True}),
    "one hidden layer": (ALL, Objective.preset("book"), {"layers": 1}),
    "one layer, shared": (ALL, Objective.preset("book"), {"layers": 1, "share_text_network": True}),
    "no dropout": (ALL, Objective.preset("book"), {"dropout": 0.0}),
    "another width": (ALL, Objective.preset("book"), {"hidden": 7}),
    "scaled inputs": (("en", "de"), Objective.preset("book"), {"input_scaling": "none"}),
}


def incomplete(views=ALL):
    """Tuples 0 to 9 are whole, 10 to 24 lack the picture, 25 the first text; of the
    others some have the picture or the first text alone.
    """
    corpus, rows = make_corpus(views=views), np.arange(40)
    lacking = {
        "image": (rows >= 10) & (rows < 25) | (rows >= 30) & (rows < 35),
        "en": (rows == 25) | (rows >= 35),
        "de": (rows >= 30),
    }
    for name, view in corpus.views.items():
        view.index[lacking[name]] = -1
    return corpus
