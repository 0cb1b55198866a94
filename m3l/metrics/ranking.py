"""Retrieval by topics (Section 4.2).

Rankings are by Jensen–Shannon divergence between document–topic distributions, in nats. Items at
equal distance share their ranks: every score is its expectation over random orders of the ties, so
that a model which gives the same topics to everything scores what chance scores and not what the
order of the file gives it.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

from ..errors import DataError, require
from .divergence import jensen_shannon_matrix


def rank_scores(distance: np.ndarray, relevant: np.ndarray) -> tuple[float, float]:
    """Expected reciprocal rank and average precision of one query.

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
    """Logarithm of the number of ways to choose k of n items, (N,) each -> (N,)."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def chance(relevant: int, items: int) -> tuple[float, float]:
    """Expected reciprocal rank and average precision of a random order: ``relevant`` of ``items``
    are relevant.

    >>> [round(x, 3) for x in chance(1, 4)]  # (1 + 1/2 + 1/3 + 1/4) / 4
    [0.521, 0.521]
    """
    require(0 < relevant <= items, f"{relevant} of {items}: expected 1 or more", DataError)
    mask = np.zeros(items, dtype=bool)
    mask[:relevant] = True
    return rank_scores(np.zeros(items), mask)


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
        require(
            len(queries) == len(items),
            f"{len(queries)} queries and {len(items)} items: say which are relevant",
            DataError,
        )
        relevant = [{i} for i in range(len(queries))]
    for what, x in (("queries", queries), ("items", items)):
        require(
            bool(np.isfinite(x).all()),
            f"{what}: row {int((~np.isfinite(x).all(axis=1)).argmax()) if x.ndim == 2 else 0} holds"
            " NaN or infinity",
            DataError,
        )
    return retrieval_from((block for _, block in distance(queries, items)), relevant)


def retrieval_from(
    distance: np.ndarray | Iterable[np.ndarray], relevant: Sequence[set[int]]
) -> dict:
    """`retrieval` from distances (N, M) that are there already, whole or as blocks of rows, of
    which one at a time is held.

    Returns
    -------
    ``reciprocal_rank`` and ``average_precision`` (Q,) of the Q scored queries, ``query`` (Q,) their
    rows, ``chance_rr`` and ``chance_ap``, means of what a random order scores, ``first`` (Q,) the
    nearest item of each.
    """
    rows, scores, firsts, start, m = [], [], [], 0, 0
    for block in [distance] if isinstance(distance, np.ndarray) else distance:
        bad = start + np.flatnonzero(~np.isfinite(block).all(axis=1))
        require(len(bad) == 0, f"query {bad[:1]}: its distances hold NaN or infinity", DataError)
        m = block.shape[1]
        for row, distances in enumerate(block, start):
            if row < len(relevant) and relevant[row]:
                mask = np.zeros(m, dtype=bool)
                mask[list(relevant[row])] = True
                rows.append(row)
                scores.append(rank_scores(distances, mask))
                firsts.append(int(distances.argmin()))
        start += len(block)
    sizes = f"{len(relevant)} sets of relevant items for {start} queries"
    require(len(relevant) == start, sizes, DataError)
    require(len(rows) > 0, "no query has a relevant item", DataError)
    by_size = {size: chance(size, m) for size in {len(relevant[row]) for row in rows}}
    at_random = np.array([by_size[len(relevant[row])] for row in rows])
    return {
        "reciprocal_rank": np.array(scores)[:, 0],
        "average_precision": np.array(scores)[:, 1],
        "query": np.array(rows),
        "first": np.array(firsts),
        "chance_rr": float(at_random[:, 0].mean()),
        "chance_ap": float(at_random[:, 1].mean()),
    }


def nearest_both_ways(
    blocks: Iterable[tuple[int, np.ndarray]], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``n`` nearest items of each query, and the ``n`` nearest queries of each item, from one
    pass over a symmetric distance's blocks of rows (start, (B, M)).

    Equal distances are in order of their number.

    Returns
    -------
    int64 (N, min(n, M)) and (M, min(n, N)), nearest first.
    """
    of_queries, values, numbers = [], None, None
    for start, block in blocks:
        of_queries.append(_smallest(block, n)[1])
        own, rows = _smallest(np.ascontiguousarray(block.T), n)  # (M, at most n)
        if values is None:
            values, numbers = own, rows + start
        else:
            values = np.concatenate([values, own], axis=1)
            numbers = np.concatenate([numbers, rows + start], axis=1)
        order = np.argsort(values, axis=1, kind="stable")[:, :n]  # earlier rows stand first
        values = np.take_along_axis(values, order, axis=1)
        numbers = np.take_along_axis(numbers, order, axis=1)
    require(values is not None, "no block of distances", DataError)
    return np.concatenate(of_queries), numbers


def _smallest(distance: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n smallest values of each row, and their columns, in order; equal ones by column."""
    n = min(n, distance.shape[1])
    if n == distance.shape[1]:
        columns = np.argsort(distance, axis=1, kind="stable")
        return np.take_along_axis(distance, columns, axis=1), columns
    columns = np.sort(np.argpartition(distance, n - 1, axis=1)[:, :n], axis=1)
    values = np.take_along_axis(distance, columns, axis=1)
    last = values.max(axis=1, keepdims=True)
    for row in np.flatnonzero((distance <= last).sum(axis=1) > n):  # of equal ones, the first
        below = np.flatnonzero(distance[row] < last[row])
        equal = np.flatnonzero(distance[row] == last[row])[: n - len(below)]
        columns[row] = np.sort(np.concatenate([below, equal]))
        values[row] = distance[row, columns[row]]
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(columns, order, axis=1)


def relevance(
    query_articles: Sequence[set[str]], item_articles: Sequence[set[str]]
) -> list[set[int]]:
    """The items that share an article with each query (an item with several articles is relevant to
    each).
    """
    articles = {a: i for i, a in enumerate(sorted(set().union(*query_articles, *item_articles)))}

    def incidence(sets):
        rows = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
        return sp.csr_matrix(
            (np.ones(len(rows)), (rows, [articles[a] for s in sets for a in sorted(s)])),
            shape=(len(sets), len(articles)),
        )

    shared = (incidence(query_articles) @ incidence(item_articles).T).tocsr()
    return [
        set(shared.indices[shared.indptr[i] : shared.indptr[i + 1]].tolist())
        for i in range(len(query_articles))
    ]
