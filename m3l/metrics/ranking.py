"""Distances between items, and retrieval by them (Section 4.2).

Rankings are by Jensen–Shannon divergence between document–topic distributions, in nats. Items at
equal distance share their ranks: every score is its expectation over random orders of the ties, so
that a model which gives the same topics to everything scores what chance scores and not what the
order of the file gives it.

N queries, M items, K topics, D dimensions of an embedding.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import gammaln, xlogy

from ..errors import DataError, require

Blocks = Iterator[tuple[int, np.ndarray]]


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the Jensen–Shannon divergence of rows that sum to 1: p, q (..., K) -> (...,).

    In nats, at most ln 2.

    >>> round(float(jensen_shannon([1.0, 0.0], [0.0, 1.0])), 3)
    0.693
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = 0.5 * (p + q)
    return np.maximum((0.5 * (xlogy(p, p) + xlogy(q, q)) - xlogy(m, m)).sum(axis=-1), 0.0)


def jensen_shannon_matrix(p: np.ndarray, q: np.ndarray, chunk_bytes: int = 1 << 20) -> Blocks:
    """Compute the divergence of every row of p (N, K) to every row of q (M, K), in blocks.

    Yields
    ------
    (start, float64 (n, M)): the rows of p from ``start`` on, ``chunk_bytes`` at most or one row.
    Torch's number of threads, four at most, work on as many blocks.
    """
    from torch import get_num_threads  # here, since other metrics need not wait for it to load

    _require_one_width(p, q)
    p, q = (np.asarray(x, dtype=np.float64) for x in (p, q))
    # with s = p + q and rows that sum to 1 it is (Σ p log p + Σ q log q − Σ s log s) / 2 + log 2
    of_p, of_q = (xlogy(x, x).sum(axis=1) + np.log(2.0) * x.sum(axis=1) for x in (p, q))
    q = q + 1e-300  # where both are 0 the logarithm is finite
    step = max(1, chunk_bytes // (8 * len(q) + 1))
    few = max(1, 40_000 // (q.shape[1] + 1))  # rows of q that stay in a processor's cache

    def block(start: int) -> tuple[int, np.ndarray]:
        distance = of_p[start : start + step, None] + of_q
        for first in range(0, len(q), few):
            some = q[first : first + few]
            for row, out in zip(p[start : start + step], distance, strict=True):
                s = row + some  # log is several times as fast as xlogy
                out[first : first + few] -= np.einsum("ij,ij->i", s, np.log(s))
        return start, np.maximum(0.5 * distance, 0.0)

    threads, waiting = min(4, get_num_threads()), deque()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(p), step):
            waiting.append(pool.submit(block, start))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)


def cosine_matrix(p: np.ndarray, q: np.ndarray) -> Blocks:
    """Compute the cosine distance of every row of p (N, D) to every row of q (M, D), in blocks.

    Yields as `jensen_shannon_matrix` does.
    """
    _require_one_width(p, q)
    p, q = unit_rows(p), unit_rows(q)
    for start in range(0, len(p), 1024):
        # equal vectors stay tied whatever BLAS rounds
        yield start, np.round(1.0 - p[start : start + 1024] @ q.T, 12)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Divide the rows of x (N, D) by their length, in double precision; a row of zeros stays."""
    x = np.asarray(x, dtype=np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def modality_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance between the centres of two views' unit vectors, (N, D) and (M, D).

    0 where they are mixed, at most 2 (Liang et al. 2022).

    >>> modality_gap(np.array([[2.0, 0.0]]), np.array([[-3.0, 0.0]]))
    2.0
    """
    _require_one_width(a, b)
    return float(np.linalg.norm(unit_rows(a).mean(axis=0) - unit_rows(b).mean(axis=0)))


def neighbour_overlap(a: np.ndarray, b: np.ndarray, k: int = 10) -> float:
    """Return the share of the ``k`` nearest neighbours that paired items have in common in two
    spaces.

    By cosine; a (N, D), b (N, D'). It is k / (N − 1) on average for unrelated vectors, 1 for the
    same geometry; the spaces need not be comparable (Huh et al. 2024).
    """
    message = f"{len(a)} and {len(b)} paired items, k={k}: expected as many, and more than k"
    require(len(a) == len(b) > k >= 1, message, DataError)
    sets = []
    for x in (a, b):
        distance = np.concatenate([block for _, block in cosine_matrix(x, x)])
        np.fill_diagonal(distance, np.inf)
        nearest = np.zeros(distance.shape, dtype=bool)
        np.put_along_axis(nearest, np.argpartition(distance, k, axis=1)[:, :k], True, axis=1)
        sets.append(nearest)
    return float((sets[0] & sets[1]).sum(axis=1).mean() / k)


def rank_scores(distance: np.ndarray, relevant: np.ndarray) -> tuple[float, float]:
    """Return the expected reciprocal rank and average precision of one query.

    Parameters
    ----------
    distance : (M,)
        To each item; smaller is better.
    relevant : bool (M,)
        At least one is.

    Returns
    -------
    Reciprocal rank of the first relevant item, and uninterpolated average precision (Manning &
    Schütze 1999, ch. 15), both as expectations over the orders of ties (for the latter see McSherry
    & Najork 2008).

    >>> rank_scores(np.array([0.1, 0.2, 0.3]), np.array([False, True, True]))
    (0.5, 0.583...)
    """
    reciprocal, precision, found = 0.0, 0.0, 0
    # by groups of ties that hold a relevant item; `found` are nearer than the group
    for value in np.unique(distance[relevant]):
        group = distance == value
        n, r, before = group.sum(), relevant[group].sum(), (distance < value).sum()
        i = np.arange(n)  # position in the group
        if found == 0:
            k = np.arange(n - r + 1)
            share = np.exp(log_choose(n - 1 - k, r - 1) - log_choose(n, r))
            reciprocal = float((share / (before + 1 + k)).sum())
        nearer = i * (r - 1) / (n - 1) if n > 1 else 0.0  # of the group, on average
        precision += float((r / n * (found + nearer + 1) / (before + 1 + i)).sum())
        found += int(r)
    return reciprocal, precision / found


def log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Return the logarithm of the number of ways to choose k of n items, (N,) each -> (N,)."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def chance(relevant: int, items: int) -> tuple[float, float]:
    """Return the expected reciprocal rank and average precision of a random order, where
    ``relevant`` of ``items`` are relevant.

    >>> [round(x, 3) for x in chance(1, 4)]  # (1 + 1/2 + 1/3 + 1/4) / 4
    [0.521, 0.521]
    """
    require(0 < relevant <= items, f"{relevant} of {items}: expected 1 or more", DataError)
    return rank_scores(np.zeros(items), np.arange(items) < relevant)


def retrieval(
    queries: np.ndarray,
    items: np.ndarray,
    relevant: Sequence[set[int]] | None = None,
    distance: Callable = jensen_shannon_matrix,
) -> dict:
    """Rank ``items`` for each of ``queries`` and score where the relevant ones stand.

    Parameters
    ----------
    queries : (N, K)
    items : (M, K)
    relevant : N sets of int
        Rows of ``items``; by default query i has item i alone (N = M). Queries without any are left
        out.
    distance : function
        `jensen_shannon_matrix`, or `cosine_matrix` for raw embeddings.

    Returns
    -------
    As `retrieval_from`.

    >>> theta = np.eye(3)
    >>> retrieval(theta, theta)["reciprocal_rank"].tolist()
    [1.0, 1.0, 1.0]
    """
    if relevant is None:
        message = f"{len(queries)} queries and {len(items)} items: say which are relevant"
        require(len(queries) == len(items), message, DataError)
        relevant = [{i} for i in range(len(queries))]
    return retrieval_from((row for _, block in distance(queries, items) for row in block), relevant)


def retrieval_from(distances: Iterable[np.ndarray], relevant: Sequence[set[int]]) -> dict:
    """Score rankings as `retrieval` does, from each query's distances to the items: N rows (M,).

    Returns
    -------
    ``reciprocal_rank`` and ``average_precision`` (Q,) of the Q scored queries, ``query`` (Q,) their
    rows, ``chance_rr`` and ``chance_ap``, means of what a random order scores, ``first`` (Q,) the
    nearest item of each.
    """
    scores, at_random, queries, first, by_chance, query = [], [], [], [], {}, -1
    for query, distance in enumerate(distances):
        wanted = set(relevant[query]) if query < len(relevant) else set()
        bad = f"query {query}: its distances hold NaN or infinity"
        require(bool(np.isfinite(distance).all()), bad, DataError)
        if wanted:
            mask = np.zeros(len(distance), dtype=bool)
            mask[list(wanted)] = True
            if len(wanted) not in by_chance:
                by_chance[len(wanted)] = chance(len(wanted), len(distance))
            scores.append(rank_scores(distance, mask))
            at_random.append(by_chance[len(wanted)])
            queries.append(query)
            first.append(int(distance.argmin()))
    sizes = f"{len(relevant)} sets of relevant items for {query + 1} queries"
    require(len(relevant) == query + 1, sizes, DataError)
    require(len(queries) > 0, "no query has a relevant item", DataError)
    return {
        "reciprocal_rank": np.array(scores)[:, 0],
        "average_precision": np.array(scores)[:, 1],
        "query": np.array(queries),
        "first": np.array(first),
        "chance_rr": float(np.array(at_random)[:, 0].mean()),
        "chance_ap": float(np.array(at_random)[:, 1].mean()),
    }


def relevance(
    query_articles: Sequence[set[str]], item_articles: Sequence[set[str]]
) -> list[set[int]]:
    """Return the items that share an article with each query: N sets of rows.

    An item with several articles is relevant to the queries of each.
    """
    items = defaultdict(set)
    for item, articles in enumerate(item_articles):
        for article in articles:
            items[article].add(item)
    return [set().union(*(items[article] for article in own)) for own in query_articles]


def nearest_both_ways(blocks: Blocks, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``n`` nearest items of each query, and the ``n`` nearest queries of each item, in
    one pass over blocks (B, M) of a symmetric distance: of equal ones, those with the smaller
    number.

    Returns
    -------
    int64 (N, min(n, M)) and (M, min(n, N)), nearest first.
    """
    of_queries, values, queries = [], None, None
    for start, block in blocks:
        of_queries.append(_nearest(block, n))
        near = block.T
        rows = np.tile(np.arange(start, start + len(block)), (len(near), 1))
        if values is not None:  # the nearest so far stand first, since theirs are smaller numbers
            near, rows = np.hstack([values, near]), np.hstack([queries, rows])
        columns = _nearest(near, n)
        values, queries = (np.take_along_axis(x, columns, axis=1) for x in (near, rows))
    require(values is not None, "no block of distances", DataError)
    return np.concatenate(of_queries), queries


def _nearest(distance: np.ndarray, n: int) -> np.ndarray:
    """Return the columns of each row's n smallest values, in order; of equal ones the first."""
    left, rows, columns = np.array(distance, order="C"), np.arange(len(distance)), []
    for _ in range(min(n, distance.shape[1])):
        columns.append(left.argmin(axis=1))
        left[rows, columns[-1]] = np.inf
    return np.stack(columns, axis=1)


def _require_one_width(a: np.ndarray, b: np.ndarray) -> None:
    a_shape, b_shape = np.shape(a), np.shape(b)
    message = f"expected two arrays with as many columns, got {a_shape} and {b_shape}"
    require(len(a_shape) == len(b_shape) == 2 and a_shape[1] == b_shape[1], message, DataError)
