"""A model's topics held against a test corpus: every pair of views, both directions of retrieval (Section 4.2)."""

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from .corpus import Corpus
from .errors import DataError, require
from .metrics import bootstrap, cosine_matrix, jensen_shannon, jensen_shannon_matrix, relevance, retrieval
from .model import M3L


def retrieval_metric(query: str, item: str, corpus: Corpus) -> str:
    """``"MRR"`` between texts, where a document has one partner; ``"UAP"`` with pictures, where it may have several."""
    return "MRR" if corpus.views[query].is_text and corpus.views[item].is_text else "UAP"


def evaluate(vectors: Mapping[str, np.ndarray], corpus: Corpus, raw: bool = False, draws: int = 2000) -> list[dict]:
    """Retrieval and alignment for each ordered pair of views.

    Parameters
    ----------
    vectors : view -> (M_v, K)
        θ of each view's items; or raw embeddings, then compared by cosine (footnote 4).
    corpus : Corpus
        The test part.
    raw : bool
    draws : int
        Of the bootstrap over queries.

    Returns
    -------
    A dictionary a pair: ``query``, ``item``, ``metric`` (MRR or UAP), ``score``, ``low`` and ``high`` (95 % bootstrap
    interval over queries), ``chance``, ``jsd`` (mean over aligned pairs, nats; None for raw), ``queries``,
    ``items``, and ``values`` (Q,), each query's own score.
    """
    for view, array in vectors.items():
        require(
            view in corpus.views and len(array) == len(corpus.views[view]), f"view {view!r}: {len(array)} vectors do not fit corpus {corpus.name}", DataError
        )
    articles = {view: corpus.article_of_items(view) for view in vectors}
    rows = []
    for query, item in permutations(vectors, 2):
        if raw and vectors[query].shape[1] != vectors[item].shape[1]:
            continue
        relevant = relevance(articles[query], articles[item])
        found = retrieval(vectors[query], vectors[item], relevant, cosine_matrix if raw else jensen_shannon_matrix)
        metric = retrieval_metric(query, item, corpus)
        values = found["reciprocal_rank" if metric == "MRR" else "average_precision"]
        low, high = bootstrap(values, draws=draws)
        rows.append(
            {
                "query": query,
                "item": item,
                "metric": metric,
                "score": float(values.mean()),
                "low": low,
                "high": high,
                "chance": found["chance_rr" if metric == "MRR" else "chance_ap"],
                "jsd": None if raw else aligned_divergence(vectors, corpus, query, item),
                "queries": len(values),
                "items": len(vectors[item]),
                "values": values,
            }
        )
    return rows


def readers(model: M3L, corpus: Corpus, home: str) -> dict[str, str]:
    """Which inference network reads each view of ``corpus``: its own, or zero-shot that of the view ``home``.

    Raises
    ------
    ParameterError
        A view is of another width than the network that would read it.
    """
    found = {}
    for view, items in corpus.views.items():
        found[view] = view if view in model.views else home
        size, expected = items.embeddings.shape[1], model.views[found[view]].embedding_size
        require(
            size == expected,
            f"encoders: view {view!r} has {size} dimensions and the network of {home!r} reads {expected}; leave it out of encoders or train on it",
        )
    return found


def aligned_divergence(theta: Mapping[str, np.ndarray], corpus: Corpus, a: str, b: str) -> float:
    """Mean Jensen–Shannon divergence (nats) over the distinct pairs of items that stand in one tuple."""
    both = corpus.views[a].present & corpus.views[b].present
    require(bool(both.any()), f"no tuple has both {a!r} and {b!r}", DataError)
    pairs = np.unique(np.stack([corpus.views[a].index[both], corpus.views[b].index[both]]), axis=1)
    return float(jensen_shannon(theta[a][pairs[0]], theta[b][pairs[1]]).mean())
