"""Coherence of topics (Section 4.2), their diversity, and the recovery of known ones."""

from array import array
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from ..errors import DataError, require


def npmi(
    topics: Sequence[Sequence[str]],
    documents: Sequence[Sequence[str]],
    top_n: int = 10,
    window: int = 10,
) -> np.ndarray:
    """Return the normalised pointwise mutual information of each topic (Röder et al. 2015, C_NPMI;
    footnote 5): the numbers of gensim's ``c_npmi``, with which the paper presumably measured.

    Probabilities are shares of the sliding windows of ``window`` words, one window for a shorter
    document.

    Parameters
    ----------
    topics : T lists of words, best first
    documents : tokenised training documents, words in their order
    top_n : int
        How many words of a topic count.
    window : int

    Returns
    -------
    (T,), between -1 and 1: the mean over pairs of a topic's words; NaN for a topic of one word. A
    word that no document holds is a `DataError`.

    >>> documents = [["ship", "wave"]] * 3 + [["ship"]] + [["wave"]] * 2 + [["sky"]] * 4
    >>> npmi([["ship", "wave"]], documents).round(3).tolist()
    [0.337]
    """
    require(window >= 1, f"window={window}: expected 1 or more")
    topics = [list(words[:top_n]) for words in topics]
    column = {word: i for i, word in enumerate(dict.fromkeys(w for words in topics for w in words))}
    together, windows = _cooccurrence(documents, column, window)
    missing = [word for word, i in column.items() if together[i, i] == 0]
    require(not missing, f"topic words that stand in no document: {sorted(missing)[:5]}", DataError)
    places = [[column[word] for word in words] for words in topics]
    return np.array([npmi_of_pairs(together[np.ix_(ids, ids)], windows) for ids in places])


def npmi_of_pairs(together: np.ndarray, windows: int) -> float:
    """Return the mean NPMI over the pairs of a topic's words, from counts; NaN for a single word.

    together (W, W): in how many of the ``windows`` two words stand together, on the diagonal a word
    alone.

    >>> round(npmi_of_pairs(np.array([[4, 3], [3, 5]]), 10), 3)
    0.337
    """
    # gensim's least share, so that a pair never seen together has a logarithm
    joint = together / windows + 1e-12
    single = together.diagonal() / windows
    values = np.log(joint / np.outer(single, single)) / -np.log(joint)
    pairs = ~np.eye(len(single), dtype=bool)
    return float(values[pairs].mean()) if pairs.any() else np.nan


def _cooccurrence(
    documents: Sequence[Sequence[str]], column: dict[str, int], window: int
) -> tuple[np.ndarray, int]:
    """Count in how many windows two words stand together (W, W), on the diagonal a word alone; and
    how many windows there are.

    As in gensim, a word counts as gone once the first of two occurrences leaves the window, though
    the second is still in it, and a document without words is a window too.
    """
    other, held, ends = len(column), array("q"), array("q", [0])
    for document in documents:
        words = [column.get(word, other) for word in document]
        present = set(words[:window])
        held.extend(present)
        ends.append(len(held))
        for left, entered in zip(words, words[window:], strict=False):
            present.discard(left)
            present.add(entered)
            held.extend(present)
            ends.append(len(held))
    ones, shape = np.ones(len(held), dtype=np.int64), (len(ends) - 1, other + 1)
    holds = sp.csr_matrix((ones, np.asarray(held), np.asarray(ends)), shape)[:, :other]
    return (holds.T @ holds).toarray(), len(ends) - 1


def topic_diversity(topics: Sequence[Sequence[str]], top_n: int = 25) -> float:
    """Return the share of distinct words among the top ``top_n`` of all topics (Dieng et al. 2020),
    1 when none repeats.

    >>> topic_diversity([["sea", "ship"], ["sea", "star"]])
    0.75
    """
    words = [word for topic in topics for word in topic[:top_n]]
    require(len(words) > 0, "no topic has a word", DataError)
    return len(set(words)) / len(words)


def topic_recovery(theta: np.ndarray, truth: np.ndarray) -> dict:
    """Match topics one to one with known ones, so that their weights in documents correlate best.

    theta (M, K) inferred, truth (M, G) known distributions of the same documents -> ``correlation``
    (G,) of each known topic with its match (0 if K < G leaves it without one) and ``match`` (G,),
    -1 for none.
    """
    from scipy.optimize import linear_sum_assignment

    message = f"{len(theta)} inferred and {len(truth)} known distributions"
    require(len(theta) == len(truth), message, DataError)

    def standard(x):
        x = np.asarray(x, dtype=np.float64) - np.mean(x, axis=0)
        return x / np.maximum(np.linalg.norm(x, axis=0), 1e-12)

    correlation = standard(truth).T @ standard(theta)  # (G, K)
    rows, columns = linear_sum_assignment(-correlation)
    best, match = np.zeros(truth.shape[1]), np.full(truth.shape[1], -1)
    best[rows], match[rows] = correlation[rows, columns], columns
    return {"correlation": best, "match": match}
