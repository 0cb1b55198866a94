"""Retrieval, coherence and diversity of topics (Section 4.2).

Rankings are by Jensen–Shannon divergence between document–topic distributions, in nats. Items at equal distance
share their ranks: every score is its expectation over random orders of the ties, so that a model which gives
the same topics to everything scores what chance scores and not what the order of the file gives it.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import gammaln, xlogy

from .errors import DataError, choose, require


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows: p, q (..., K), each summing to 1 -> (...,), nats, at most ln 2."""
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = 0.5 * (p + q)
    return np.maximum((0.5 * (xlogy(p, p) + xlogy(q, q)) - xlogy(m, m)).sum(axis=-1), 0.0)


def jensen_shannon_matrix(p: np.ndarray, q: np.ndarray, chunk_bytes: int = 4 << 20):
    """Jensen–Shannon divergence of every row of p (N, K) to every row of q (M, K), in chunks of memory.

    Yields
    ------
    (start, float64 (n, M)): the rows of p from ``start`` on.
    """
    p, q = (torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)) for x in (p, q))  # torch: its logarithm is several times numpy's speed
    require(
        p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1], f"expected two arrays with as many topics, got {tuple(p.shape)} and {tuple(q.shape)}", DataError
    )
    p_entropy, q_entropy = torch.xlogy(p, p).sum(1), torch.xlogy(q, q).sum(1)  # negated
    step = max(1, chunk_bytes // (8 * q.numel() + 1))
    for start in range(0, len(p), step):
        m = p[start : start + step, None] + q[None]  # (n, M, K), twice the mean
        m *= 0.5
        cross = torch.where(m > 0, m, 1.0).log_().mul_(m).sum(2)
        distance = 0.5 * (p_entropy[start : start + step, None] + q_entropy[None]) - cross
        yield start, distance.clamp_(min=0.0).numpy()


def cosine_matrix(p: np.ndarray, q: np.ndarray):
    """Cosine distance of every row of p (N, D) to every row of q (M, D); yields as `jensen_shannon_matrix`."""
    require(p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1], f"expected two arrays of one dimension, got {p.shape} and {q.shape}", DataError)

    def unit(x):
        x = np.asarray(x, dtype=np.float64)
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

    p, q = unit(p), unit(q)
    for start in range(0, len(p), 1024):
        yield start, np.round(1.0 - p[start : start + 1024] @ q.T, 12)  # equal vectors stay tied whatever BLAS rounds


def rank_scores(distance: np.ndarray, relevant: np.ndarray) -> tuple[float, float]:
    """Expected reciprocal rank and average precision of one query.

    Parameters
    ----------
    distance : (M,)
        To each item; smaller is better.
    relevant : bool (M,)
        At least one.

    Returns
    -------
    Reciprocal rank of the first relevant item, and uninterpolated average precision (Manning & Schütze 1999,
    ch. 15), both as expectations over the orders of ties (for the latter see McSherry & Najork 2008).
    """
    total = int(relevant.sum())
    require(total > 0, "a query without a relevant item has no rank", DataError)
    # only tie groups that hold a relevant item count; there are at most `total`
    reciprocal, precision = 0.0, 0.0
    before_relevant = 0
    for value in np.unique(distance[relevant]):
        group = distance == value
        n, r, before = int(group.sum()), int(relevant[group].sum()), int((distance < value).sum())
        i = np.arange(n)  # 0-based position in the group
        if reciprocal == 0.0:
            # P(first relevant at i) = C(n-1-i, r-1) / C(n, r)
            k = np.arange(n - r + 1)
            log_p = _log_choose(n - 1 - k, r - 1) - _log_choose(n, r)
            reciprocal = float((np.exp(log_p) / (before + 1 + k)).sum())
        inside = i * (r - 1) / (n - 1) if n > 1 else 0.0
        precision += float((r / n * (before_relevant + inside + 1) / (before + 1 + i)).sum())
        before_relevant += r
    return reciprocal, precision / total


def _log_choose(n, k):
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def chance(relevant: int, items: int) -> tuple[float, float]:
    """Expected reciprocal rank and average precision of a random order: ``relevant`` of ``items`` are relevant."""
    mask = np.zeros(items, dtype=bool)
    mask[:relevant] = True
    return rank_scores(np.zeros(items), mask)


def retrieval(queries: np.ndarray, items: np.ndarray, relevant: Sequence[set[int]] | None = None, distance=jensen_shannon_matrix) -> dict:
    """Rank ``items`` for each of ``queries`` and score where the relevant ones stand.

    Parameters
    ----------
    queries : (N, K)
    items : (M, K)
    relevant : N sets of int
        Rows of ``items``; by default query i has item i alone (N = M). Queries without any are left out.
    distance : function
        `jensen_shannon_matrix`, or `cosine_matrix` for raw embeddings.

    Returns
    -------
    As `retrieval_from`.
    """
    if relevant is None:
        require(len(queries) == len(items), f"{len(queries)} queries and {len(items)} items: say which are relevant", DataError)
        relevant = [{i} for i in range(len(queries))]
    for what, x in (("queries", queries), ("items", items)):
        require(bool(np.isfinite(x).all()), f"{what}: row {int((~np.isfinite(x).all(axis=1)).argmax()) if x.ndim == 2 else 0} holds NaN or infinity", DataError)
    return retrieval_from(np.concatenate([block for _, block in distance(queries, items)]), relevant)


def retrieval_from(distance: np.ndarray, relevant: Sequence[set[int]]) -> dict:
    """`retrieval` from distances (N, M) that are there already.

    Returns
    -------
    ``reciprocal_rank`` and ``average_precision`` (Q,) of the Q scored queries, ``query`` (Q,) their rows,
    ``chance_rr`` and ``chance_ap``, means of what a random order scores, ``first`` (Q,) the nearest item of each.
    """
    require(len(relevant) == len(distance), f"{len(relevant)} sets of relevant items for {len(distance)} queries", DataError)
    bad = np.flatnonzero(~np.isfinite(distance).all(axis=1))
    require(len(bad) == 0, f"query {bad[:1]}: its distances hold NaN or infinity", DataError)
    rows = [row for row, items in enumerate(relevant) if items]
    require(len(rows) > 0, "no query has a relevant item", DataError)
    scores, m = np.empty((len(rows), 2)), distance.shape[1]
    for i, row in enumerate(rows):
        mask = np.zeros(m, dtype=bool)
        mask[list(relevant[row])] = True
        scores[i] = rank_scores(distance[row], mask)
    by_size = {size: chance(size, m) for size in {len(relevant[row]) for row in rows}}
    at_random = np.array([by_size[len(relevant[row])] for row in rows])
    return {
        "reciprocal_rank": scores[:, 0],
        "average_precision": scores[:, 1],
        "query": np.array(rows),
        "first": distance[rows].argmin(axis=1),
        "chance_rr": float(at_random[:, 0].mean()),
        "chance_ap": float(at_random[:, 1].mean()),
    }


def bootstrap(values: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` (N,), resampled over the N units."""
    values = np.asarray(values, dtype=np.float64)
    require(values.ndim == 1 and len(values) > 0, f"expected values of shape (N,), got {values.shape}", DataError)
    return bootstrap_combination([values[None]], [1.0], level=level, draws=draws, seed=seed)


def bootstrap_combination(
    values: Sequence[np.ndarray], weights: Sequence[float], paired: bool = True, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of Σ weight · mean(values), where both the training seeds and the units vary.

    Parameters
    ----------
    values : arrays (S_i, N_i)
        Each seed's value of each unit: a query, an aligned pair, a topic.
    weights : as many floats
        (1, −1) for a difference.
    paired : bool
        The units of all arrays are the same and are resampled together, so that easy and hard ones cancel; else each on its own.
    """
    values = [np.asarray(x, dtype=np.float64) for x in values]
    require(draws >= 1, f"draws={draws}: expected 1 or more")
    require(len(values) == len(weights) > 0, f"{len(values)} arrays and {len(weights)} weights: expected as many", DataError)
    shapes = [np.shape(x) for x in values]
    require(all(len(s) == 2 and min(s) > 0 for s in shapes), f"expected arrays (seeds, units), got {shapes}", DataError)
    require(all(np.isfinite(x).all() for x in values), "the values hold NaN or infinity", DataError)
    require(not paired or len({s[1] for s in shapes}) == 1, f"expected (seeds, queries) of the same queries, got {' and '.join(map(str, shapes))}", DataError)
    rng = np.random.default_rng(seed)
    total, times = np.zeros(draws), None
    for x, weight in zip(values, weights, strict=True):
        n = x.shape[1]
        if times is None or not paired:
            taken = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
            times = np.bincount(taken.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)  # how often a draw takes each unit
        by_seed = times @ x.T / n  # (draws, S)
        total += weight * np.take_along_axis(by_seed, rng.integers(len(x), size=by_seed.shape), axis=1).mean(axis=1)
    low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def npmi(topics: Sequence[Sequence[str]], documents: Sequence[Sequence[str]], top_n: int = 10, window: int = 10, counting: str = "gensim") -> np.ndarray:
    """Normalised pointwise mutual information of each topic (Röder et al. 2015, C_NPMI; footnote 5).

    Probabilities are shares of the sliding windows of ``window`` words, one window for a shorter document.

    Parameters
    ----------
    topics : T lists of words, best first
    documents : tokenised training documents, words in their order
    top_n : int
        How many words of a topic count.
    window : int
    counting : {"gensim", "windows"}
        ``gensim`` gives the numbers of gensim's ``c_npmi``, with which the paper measured: there, once the first of two occurrences
        leaves the window, a word counts as gone though the second is still in it. ``windows`` counts it.

    Returns
    -------
    (T,), between -1 and 1: the mean over pairs of a topic's words; NaN for a topic of one word. A word that no document
    holds is a `DataError`.
    """
    require(window >= 1, f"window={window}: expected 1 or more")
    choose("counting", counting, ("gensim", "windows"))
    topics = [list(words[:top_n]) for words in topics]
    column = {word: i for i, word in enumerate(dict.fromkeys(w for words in topics for w in words))}
    together, windows = _cooccurrence(documents, column, window, counting == "gensim")
    seen = together.diagonal()
    missing = [word for word, i in column.items() if seen[i] == 0]
    require(not missing, f"topic words that stand in no document: {sorted(missing)[:5]}", DataError)
    tiny = 1e-12  # gensim's, so that a pair never seen together has a logarithm
    found = []
    for words in topics:
        ids = [column[word] for word in words]
        joint = together[np.ix_(ids, ids)] / windows + tiny
        single = seen[ids] / windows
        values = np.log(joint / np.outer(single, single)) / -np.log(joint)
        pairs = ~np.eye(len(ids), dtype=bool)
        found.append(values[pairs].mean() if pairs.any() else np.nan)
    return np.array(found)


def _cooccurrence(documents: Sequence[Sequence[str]], column: dict[str, int], window: int, forgetful: bool, chunk: int = 20_000) -> tuple[np.ndarray, int]:
    """In how many windows two words stand together (W, W), a word alone on the diagonal; and how many windows there are.

    An occurrence at position p of a document is in the windows that begin at p - window + 1 … p. ``forgetful``: the last of them is
    the one that begins at the word's first occurrence among these positions (see `npmi`).
    """
    together, windows = np.zeros((len(column), len(column)), dtype=np.int64), 0
    for first in range(0, len(documents), chunk):
        part = documents[first : first + chunk]
        lengths = np.array([len(document) for document in part])
        word = np.fromiter((column.get(w, -1) for document in part for w in document), dtype=np.int64, count=int(lengths.sum()))
        document = np.repeat(np.arange(len(part)), lengths)
        position = np.arange(len(word)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        per_document = np.maximum(lengths - window + 1, 1)  # an empty document is a window too, as in gensim
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
        rows = np.repeat(first_window[document] + begin, repeats) + np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        holds = sp.csr_matrix((np.ones(len(rows), dtype=np.int64), (rows, np.repeat(word, repeats))), shape=(int(per_document.sum()), len(column)))
        holds.data[:] = 1  # a word that stands twice in a window is in it once
        together += (holds.T @ holds).toarray()
        windows += int(per_document.sum())
    return together, windows


def topic_diversity(topics: Sequence[Sequence[str]], top_n: int = 25) -> float:
    """Share of distinct words among the top ``top_n`` of all topics (Dieng et al. 2020); 1 when none repeats."""
    words = [word for topic in topics for word in topic[:top_n]]
    require(len(words) > 0, "no topic has a word", DataError)
    return len(set(words)) / len(words)


def topic_recovery(theta: np.ndarray, truth: np.ndarray) -> dict:
    """How well topics match known ones, by optimal one-to-one matching on the correlation of document weights.

    theta (M, K) inferred, truth (M, G) known distributions of the same documents -> ``correlation`` (G,) of each
    known topic with its match (0 if K < G leaves it without one) and ``match`` (G,), -1 for none.
    """
    from scipy.optimize import linear_sum_assignment

    require(len(theta) == len(truth), f"{len(theta)} inferred and {len(truth)} known distributions", DataError)

    def standard(x):
        x = np.asarray(x, dtype=np.float64) - np.mean(x, axis=0)
        return x / np.maximum(np.linalg.norm(x, axis=0), 1e-12)

    correlation = standard(truth).T @ standard(theta)  # (G, K)
    rows, columns = linear_sum_assignment(-correlation)
    best, match = np.zeros(truth.shape[1]), np.full(truth.shape[1], -1)
    best[rows], match[rows] = correlation[rows, columns], columns
    return {"correlation": best, "match": match}


def relevance(query_articles: Sequence[set[str]], item_articles: Sequence[set[str]]) -> list[set[int]]:
    """The items that share an article with each query (an item with several articles is relevant to each)."""
    articles = {a: i for i, a in enumerate(sorted(set().union(*query_articles, *item_articles)))}

    def incidence(sets):
        rows = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
        return sp.csr_matrix((np.ones(len(rows)), (rows, [articles[a] for s in sets for a in sorted(s)])), shape=(len(sets), len(articles)))

    shared = (incidence(query_articles) @ incidence(item_articles).T).tocsr()
    return [set(shared.indices[shared.indptr[i] : shared.indptr[i + 1]].tolist()) for i in range(len(query_articles))]


def modality_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Distance between the centres of two views' unit vectors, (N, D) and (M, D): 0 where they are mixed, at most 2 (Liang et al. 2022)."""
    require(a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1], f"expected two arrays of one dimension, got {a.shape} and {b.shape}", DataError)
    centres = [(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).mean(axis=0) for x in (np.float64(a), np.float64(b))]
    return float(np.linalg.norm(centres[0] - centres[1]))


def neighbour_overlap(a: np.ndarray, b: np.ndarray, k: int = 10) -> float:
    """Share of the ``k`` nearest neighbours, by cosine, that paired items have in common in two spaces: a (N, D), b (N, D').

    k / (N − 1) on average for unrelated vectors, 1 for the same geometry; the spaces need not be comparable (Huh et al. 2024).
    """
    require(len(a) == len(b) > k >= 1, f"{len(a)} and {len(b)} paired items, k={k}: expected as many, and more than k", DataError)
    sets = []
    for x in (a, b):
        similarity = -np.concatenate([block for _, block in cosine_matrix(x, x)])
        np.fill_diagonal(similarity, -np.inf)
        nearest = np.zeros(similarity.shape, dtype=bool)
        np.put_along_axis(nearest, np.argpartition(-similarity, k, axis=1)[:, :k], True, axis=1)
        sets.append(nearest)
    return float((sets[0] & sets[1]).sum(axis=1).mean() / k)
