"""What a trained model says: typical documents of topics, their words, and arrays for pyLDAvis."""

import numpy as np
import torch

from .corpus import Corpus
from .errors import DataError, choose, require
from .model import M3L


def top_documents(theta: np.ndarray, n: int = 5) -> np.ndarray:
    """The ``n`` items of largest weight in each topic: theta (M, K) -> int (K, n), best first.

    With fewer than ``n`` items all are there. Ties go by row.

    >>> top_documents(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), 2).tolist()
    [[0, 2], [1, 2]]
    """
    require(n >= 1, f"n={n}: expected 1 or more")
    return np.argsort(-theta.T, axis=1, kind="stable")[:, :n]


@torch.no_grad()
def word_distributions(model: M3L, view: str) -> np.ndarray:
    """Each topic's distribution over the words of a language, float32 (K, V); rows sum to 1.

    What the decoder gives for a document that has this topic alone (ProdLDA; Srivastava & Sutton
    2017): unlike the raw β of `M3L.top_words`, it knows how frequent words are.
    """
    choose("view", view, model.beta)
    training = model.training
    model.eval()
    try:
        logits = model.decode(view, torch.eye(model.topics, device=model.prior_mean.device))
        return logits.softmax(dim=1).cpu().numpy()
    finally:
        model.train(training)


def ldavis_arrays(model: M3L, corpus: Corpus, view: str, seed: int = 0) -> dict:
    """What ``pyLDAvis.prepare(**arrays)`` takes, for the documents of one language of a corpus.

    Parameters
    ----------
    model : M3L
    corpus : Corpus
        It has the view, with the model's vocabulary.
    view : str
        A language.
    seed : int
        Of `M3L.infer`.

    Returns
    -------
    ``topic_term_dists`` (K, V), ``doc_topic_dists`` (M, K), ``doc_lengths`` (M,), ``vocab`` (V) and
    ``term_frequency`` (V,).

    Raises
    ------
    DataError
        The corpus has another vocabulary than the model.
    """
    choose("view", view, corpus.text_views)
    items = corpus.views[view]
    same = list(items.vocabulary or ()) == model.vocabularies.get(view)
    require(same, f"view {view!r}: the corpus has another vocabulary than the model", DataError)
    theta = model.infer(items.embeddings, view, seed=seed).astype(np.float64)
    terms = word_distributions(model, view).astype(np.float64)
    return {
        "topic_term_dists": terms / terms.sum(axis=1, keepdims=True),
        "doc_topic_dists": theta / theta.sum(axis=1, keepdims=True),
        "doc_lengths": np.asarray(items.bow.sum(axis=1)).ravel(),
        "vocab": list(items.vocabulary),
        "term_frequency": np.asarray(items.bow.sum(axis=0)).ravel(),
    }
