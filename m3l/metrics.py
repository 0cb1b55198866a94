"""Retrieval, coherence and diversity of topics (Section 4.2).

Rankings are by Jensen–Shannon divergence between document–topic distributions, in nats. Items at equal distance
share their ranks: every score is its expectation over random orders of the ties, so that a model which gives
the same topics to everything scores what chance scores and not what the order of the file gives it.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln, xlogy

from .errors import DataError, require


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows: p, q (..., K), each summing to 1 -> (...,), nats, at most ln 2."""
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = 0.5 * (p + q)
    return np.maximum((0.5 * (xlogy(p, p) + xlogy(q, q)) - xlogy(m, m)).sum(axis=-1), 0.0)


def jensen_shannon_matrix(p: np.ndarray, q: np.ndarray, chunk_bytes: int = 32 << 20):
    """Jensen–Shannon divergence of every row of p (N, K) to every row of q (M, K), in chunks of memory.

    Yields
    ------
    (start, float64 (n, M)): the rows of p from ``start`` on.
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    require(p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1], f"expected two arrays with as many topics, got {p.shape} and {q.shape}", DataError)
    p_entropy, q_entropy = xlogy(p, p).sum(axis=1), xlogy(q, q).sum(axis=1)  # negated
    step = max(1, chunk_bytes // (8 * q.size + 1))
    for start in range(0, len(p), step):
        m = p[start : start + step, None] + q[None]  # (n, M, K), twice the mean
        m *= 0.5
        cross = np.einsum("nmk,nmk->nm", m, np.log(np.where(m > 0, m, 1.0)))
        yield start, np.maximum(0.5 * (p_entropy[start : start + step, None] + q_entropy[None]) - cross, 0.0)


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
    ``reciprocal_rank`` and ``average_precision`` (Q,) of the Q scored queries, ``query`` (Q,) their rows,
    ``chance_rr`` and ``chance_ap``, means of what a random order scores, ``first`` (Q,) the nearest item of each.
    """
    if relevant is None:
        require(len(queries) == len(items), f"{len(queries)} queries and {len(items)} items: say which are relevant", DataError)
        relevant = [{i} for i in range(len(queries))]
    require(len(relevant) == len(queries), f"{len(relevant)} sets of relevant items for {len(queries)} queries", DataError)
    for what, x in (("queries", queries), ("items", items)):
        require(bool(np.isfinite(x).all()), f"{what}: row {int((~np.isfinite(x).all(axis=1)).argmax()) if x.ndim == 2 else 0} holds NaN or infinity", DataError)
    scores, rows, first = [], [], []
    for start, block in distance(queries, items):
        for offset, row in enumerate(block):
            if relevant[start + offset]:
                mask = np.zeros(len(items), dtype=bool)
                mask[list(relevant[start + offset])] = True
                scores.append(rank_scores(row, mask))
                rows.append(start + offset)
                first.append(int(row.argmin()))
    require(len(scores) > 0, "no query has a relevant item", DataError)
    by_size = {size: chance(size, len(items)) for size in {len(relevant[row]) for row in rows}}
    at_random = np.array([by_size[len(relevant[row])] for row in rows])
    scores = np.array(scores)
    return {
        "reciprocal_rank": scores[:, 0],
        "average_precision": scores[:, 1],
        "query": np.array(rows),
        "first": np.array(first),
        "chance_rr": float(at_random[:, 0].mean()),
        "chance_ap": float(at_random[:, 1].mean()),
    }


def bootstrap(values: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` (N,), resampled over the N units."""
    values = np.asarray(values, dtype=np.float64)
    require(values.ndim == 1 and len(values) > 0, f"expected values of shape (N,), got {values.shape}", DataError)
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(draws)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_difference(a: np.ndarray, b: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of mean(a) − mean(b), where both the training seeds and the queries vary.

    a (S, N) and b (T, N) hold each seed's score of the same N queries. Each draw resamples the queries, the same for
    both models, so that easy and hard ones cancel, and each model's seeds.
    """
    require(a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1] > 0, f"expected (seeds, queries) of the same queries, got {a.shape} and {b.shape}", DataError)
    rng = np.random.default_rng(seed)
    differences = np.empty(draws)
    for i in range(draws):
        queries = rng.integers(a.shape[1], size=a.shape[1])
        mean_a, mean_b = (x[:, queries].mean(axis=1)[rng.integers(len(x), size=len(x))].mean() for x in (a, b))
        differences[i] = mean_a - mean_b
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def npmi(topics: Sequence[Sequence[str]], documents: Sequence[Sequence[str]], top_n: int = 10, processes: int = 1) -> np.ndarray:
    """Normalised pointwise mutual information of each topic, by gensim's ``c_npmi`` (Röder et al. 2015; footnote 5).

    Parameters
    ----------
    topics : T lists of words, best first
    documents : tokenised training documents, words in their order
    top_n : int
        How many words of a topic count.

    Returns
    -------
    (T,), between -1 and 1. A word that no document holds is a `DataError`.
    """
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    dictionary = Dictionary(documents)
    topics = [list(words[:top_n]) for words in topics]
    missing = {word for words in topics for word in words} - set(dictionary.token2id)
    require(not missing, f"topic words that stand in no document: {sorted(missing)[:5]}", DataError)
    model = CoherenceModel(topics=topics, texts=documents, dictionary=dictionary, coherence="c_npmi", topn=top_n, processes=processes)
    return np.array(model.get_coherence_per_topic())


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
