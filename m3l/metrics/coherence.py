"""Coherence of topics (Section 4.2), their diversity, and the recovery of known ones."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from ..errors import DataError, choose, require


def npmi(
    topics: Sequence[Sequence[str]],
    documents: Sequence[Sequence[str]],
    top_n: int = 10,
    window: int = 10,
    counting: str = "gensim",
) -> np.ndarray:
    """Normalised pointwise mutual information of each topic (Röder et al. 2015, C_NPMI; footnote
    5).

    Probabilities are shares of the sliding windows of ``window`` words, one window for a shorter
    document.

    Parameters
    ----------
    topics : T lists of words, best first
    documents : tokenised training documents, words in their order
    top_n : int
        How many words of a topic count.
    window : int
    counting : {"gensim", "windows"}
        ``gensim`` gives the numbers of gensim's ``c_npmi``, with which the paper presumably
        measured: there, once the first of two occurrences leaves the window, a word counts as gone
        though the second is still in it. ``windows`` counts it.

    Returns
    -------
    (T,), between -1 and 1: the mean over pairs of a topic's words; NaN for a topic of one word. A
    word that no document holds is a `DataError`.

    >>> documents = [["ship", "wave"]] * 3 + [["ship"]] + [["wave"]] * 2 + [["sky"]] * 4
    >>> npmi([["ship", "wave"]], documents).round(3).tolist()
    [0.337]
    """
    require(window >= 1, f"window={window}: expected 1 or more")
    choose("counting", counting, ("gensim", "windows"))
    topics = [list(words[:top_n]) for words in topics]
    column = {word: i for i, word in enumerate(dict.fromkeys(w for words in topics for w in words))}
    together, windows = _cooccurrence(documents, column, window, counting == "gensim")
    seen = together.diagonal()
    missing = [word for word, i in column.items() if seen[i] == 0]
    require(not missing, f"topic words that stand in no document: {sorted(missing)[:5]}", DataError)
    means = []
    for words in topics:
        ids = [column[word] for word in words]
        means.append(npmi_of_pairs(together[np.ix_(ids, ids)], windows))
    return np.array(means)


def npmi_of_pairs(together: np.ndarray, windows: int) -> float:
    """Mean NPMI over the pairs of a topic's words, from counts; NaN for a single word.

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
    documents: Sequence[Sequence[str]],
    column: dict[str, int],
    window: int,
    forgetful: bool,
    chunk: int = 20_000,
) -> tuple[np.ndarray, int]:
    """In how many windows two words stand together (W, W), a word alone on the diagonal; and how
    many windows there are.

    An occurrence at position p of a document is in the windows that begin at p - window + 1 … p.
    ``forgetful``: the last of them is the one that begins at the word's first occurrence among
    these positions (see `npmi`).
    """
    together, windows = np.zeros((len(column), len(column)), dtype=np.int64), 0
    for first in range(0, len(documents), chunk):
        part = documents[first : first + chunk]
        lengths = np.array([len(document) for document in part])
        word = np.fromiter(
            (column.get(w, -1) for document in part for w in document),
            dtype=np.int64,
            count=int(lengths.sum()),
        )
        document = np.repeat(np.arange(len(part)), lengths)
        position = np.arange(len(word)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        per_document = np.maximum(
            lengths - window + 1, 1
        )  # an empty document is a window too, as in gensim
        first_window = np.cumsum(per_document) - per_document
        known = word >= 0
        word, document, position = word[known], document[known], position[known]
        begin, end = np.maximum(position - window + 1, 0), position
        if forgetful:
            span = int(lengths.max(initial=0)) + 1
            key = (document * (len(column) + 1) + word) * span
            order = np.argsort(key + position)
            ordered = (key + position)[order]
            end = ordered[np.searchsorted(ordered, key + begin)] - key
        end = np.minimum(end, per_document[document] - 1)
        repeats = np.maximum(end - begin + 1, 0)
        rows = (
            np.repeat(first_window[document] + begin, repeats)
            + np.arange(repeats.sum())
            - np.repeat(np.cumsum(repeats) - repeats, repeats)
        )
        holds = sp.csr_matrix(
            (np.ones(len(rows), dtype=np.int64), (rows, np.repeat(word, repeats))),
            shape=(int(per_document.sum()), len(column)),
        )
        holds.data[:] = 1  # a word that stands twice in a window is in it once
        together += (holds.T @ holds).toarray()
        windows += int(per_document.sum())
    return together, windows


def topic_diversity(topics: Sequence[Sequence[str]], top_n: int = 25) -> float:
    """Share of distinct words among the top ``top_n`` of all topics (Dieng et al. 2020); 1 when
    none repeats.

    >>> topic_diversity([["sea", "ship"], ["sea", "star"]])
    0.75
    """
    words = [word for topic in topics for word in topic[:top_n]]
    require(len(words) > 0, "no topic has a word", DataError)
    return len(set(words)) / len(words)


def topic_recovery(theta: np.ndarray, truth: np.ndarray) -> dict:
    """How well topics match known ones, by optimal one-to-one matching on the correlation of
    document weights.

    theta (M, K) inferred, truth (M, G) known distributions of the same documents -> ``correlation``
    (G,) of each known topic with its match (0 if K < G leaves it without one) and ``match`` (G,),
    -1 for none.
    """
    from scipy.optimize import linear_sum_assignment

    require(
        len(theta) == len(truth),
        f"{len(theta)} inferred and {len(truth)} known distributions",
        DataError,
    )

    def standard(x):
        x = np.asarray(x, dtype=np.float64) - np.mean(x, axis=0)
        return x / np.maximum(np.linalg.norm(x, axis=0), 1e-12)

    correlation = standard(truth).T @ standard(theta)  # (G, K)
    rows, columns = linear_sum_assignment(-correlation)
    best, match = np.zeros(truth.shape[1]), np.full(truth.shape[1], -1)
    best[rows], match[rows] = correlation[rows, columns], columns
    return {"correlation": best, "match": match}
