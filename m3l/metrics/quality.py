"""Measures of topics that later work proposes: of their words, their pictures, their stability, and
of what θ is good for.

K topics, M items, T topics as lists of words, R runs.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import scipy.sparse as sp

from ..errors import DataError, require
from .coherence import topic_recovery
from .ranking import unit_rows


def cross_lingual_npmi(
    topics: Sequence[Sequence[int]], bow_a: sp.spmatrix, bow_b: sp.spmatrix, others: Sequence
) -> np.ndarray:
    """Return the mean NPMI between a topic's words in two languages (CNPMI; Hao et al. 2018).

    Probabilities are shares of aligned pairs of documents.

    Parameters
    ----------
    topics, others : T lists of columns of ``bow_a`` and of ``bow_b``
        The topics' words in the first language and in the second.
    bow_a, bow_b : (N, V), (N, V')
        Word counts of N aligned documents, row by row.

    Returns
    -------
    (T,), between -1 and 1; a pair of words that never meet counts -1.

    >>> a = sp.csr_matrix([[1], [1], [0], [0]])
    >>> cross_lingual_npmi([[0]], a, a, [[0]]).tolist()
    [1.0]
    """
    require(bow_a.shape[0] == bow_b.shape[0], "bow: rows must be aligned documents", DataError)
    has_a, has_b = ((bow > 0).astype(np.float64).tocsc() for bow in (bow_a, bow_b))
    n, values = bow_a.shape[0], []
    for own, other in zip(topics, others, strict=True):
        a, b = has_a[:, list(own)], has_b[:, list(other)]
        joint = (a.T @ b).toarray() / n
        alone = np.outer(a.mean(axis=0), b.mean(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = np.log(joint / alone) / -np.log(joint)
        # two words of every document tell nothing; two that never meet tell everything
        pairs[joint >= 1], pairs[joint == 0] = 0.0, -1.0
        values.append(pairs.mean())
    return np.array(values)


def embedding_coherence(
    topics: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray], top_n: int = 10
) -> np.ndarray:
    """Return the mean cosine between vectors of a topic's words, (T,) (Ding et al. 2018).

    Words without a vector are left out; a topic with fewer than two is NaN.
    """
    known = [[vectors[word] for word in words[:top_n] if word in vectors] for words in topics]
    return np.array([_mean_cosine(np.array(own)) for own in known])


def image_coherence(theta: np.ndarray, features: np.ndarray, top_n: int = 10) -> np.ndarray:
    """Return the mean cosine between the pictures that each topic weighs most in, (K,) (IEC;
    González-Pizarro and Carenini 2024).

    theta (M, K) and features (M, D) of the same pictures.
    """
    return np.array([_mean_cosine(own) for own in _first_pictures(theta, features, top_n)])


def image_similarity(theta: np.ndarray, features: np.ndarray, top_n: int = 10) -> float:
    """Return the mean cosine between pictures of different topics: the less, the more diverse they
    are (IEPS; González-Pizarro and Carenini 2024).

    Parameters are those of `image_coherence`.
    """
    centres = [unit_rows(own).mean(axis=0) for own in _first_pictures(theta, features, top_n)]
    return float(np.mean([a @ b for a, b in combinations(centres, 2)]))


def _first_pictures(theta: np.ndarray, features: np.ndarray, top_n: int) -> list[np.ndarray]:
    order = np.argsort(-theta, axis=0, kind="stable")[:top_n]  # (n, K)
    return [features[rows] for rows in order.T]


def _mean_cosine(vectors: np.ndarray) -> float:
    if len(vectors) < 2:
        return np.nan
    unit, n = unit_rows(vectors.astype(np.float64)), len(vectors)
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))


def inverted_rbo(topics: Sequence[Sequence[str]], top_n: int = 10, p: float = 0.9) -> float:
    """Return one less the mean rank-biased overlap of two topics, 1 if none share a word (Webber et
    al. 2010, extrapolated; Bianchi et al. 2021a).

    >>> inverted_rbo([["sea", "ship"], ["star", "sky"]], top_n=2)
    1.0
    """
    lists = [list(words[:top_n]) for words in topics]
    return 1 - float(np.mean([_overlap(a, b, p) for a, b in combinations(lists, 2)]))


def _overlap(a: Sequence[str], b: Sequence[str], p: float) -> float:
    """Rank-biased overlap of two rankings, to the depth of the shorter."""
    depth = min(len(a), len(b))
    shared = np.array([len(set(a[:d]) & set(b[:d])) for d in range(1, depth + 1)])
    at = np.arange(1, depth + 1)
    return float((1 - p) * (shared / at * p ** (at - 1)).sum() + shared[-1] / depth * p**depth)


def reliability(thetas: Sequence[np.ndarray], iterations: int = 500) -> np.ndarray:
    """Return McDonald's ω of each topic of the first run over all runs, (K,) (McDonald 1999; for
    topics Schroeder and Wood-Doughty 2025).

    ``thetas`` are R of (M, K), of the same items. Topics are matched to the first run's one to one;
    a topic's weights in the runs are then measurements of one thing, and ω is the share of their
    sum's variance that is common to them, by a model of one factor, fitted by expectation
    maximisation (Rubin and Thayer 1982). 1 where runs agree.
    """
    require(len(thetas) >= 3, "reliability: one factor needs three runs or more", DataError)
    shapes = {np.shape(theta) for theta in thetas}
    require(len(shapes) == 1, f"reliability: runs of different shapes, {sorted(shapes)}", DataError)
    first = np.asarray(thetas[0], dtype=np.float64)
    matched = [
        np.asarray(theta, dtype=np.float64)[:, topic_recovery(theta, first)["match"]]
        for theta in thetas
    ]
    own = np.stack(matched, axis=2)  # (M, K, R)
    own = (own - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-12)
    correlation = np.einsum("mkr,mks->krs", own, own) / len(own)  # (K, R, R)
    loading, unique = np.full(own.shape[1:], 0.5), np.full(own.shape[1:], 0.75)  # (K, R)
    for _ in range(iterations):
        weight = loading / unique
        spread = 1 / (1 + (loading * weight).sum(axis=1, keepdims=True))  # (K, 1)
        score = spread * weight  # of the factor, by regression
        shared = np.einsum("krs,ks->kr", correlation, score)
        loading = shared / (spread + (score * shared).sum(axis=1, keepdims=True))
        unique = np.maximum(correlation.diagonal(axis1=1, axis2=2) - loading * shared, 1e-6)
    common = loading.sum(axis=1) ** 2
    return common / (common + unique.sum(axis=1))


def transfer(
    theta: np.ndarray, labels: Sequence, other: np.ndarray, other_labels: Sequence
) -> float:
    """Return the accuracy on θ of another language or of pictures (M', K) of a linear classifier,
    by ridge regression, that learnt ``labels`` from θ (M, K) of the first; chance is the share of
    the largest class.
    """
    from sklearn.linear_model import RidgeClassifier

    learnt = RidgeClassifier().fit(theta, list(labels))
    return float(learnt.score(other, list(other_labels)))
