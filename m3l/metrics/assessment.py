"""A model's topics held against a test corpus: every pair of views, both directions of retrieval
(Section 4.2).
"""

from collections.abc import Mapping
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np

from ..corpus import Corpus
from ..errors import DataError, require
from .coherence import npmi, topic_diversity, topic_recovery
from .ranking import (
    cosine_matrix,
    jensen_shannon,
    jensen_shannon_matrix,
    relevance,
    retrieval_from,
    unit_rows,
)
from .uncertainty import interval_of_mean

if TYPE_CHECKING:
    from ..model import M3L


def retrieval_metric(query: str, item: str, corpus: Corpus) -> str:
    """Return ``"MRR"`` between texts, where a document has one partner, and ``"UAP"`` with
    pictures, where it may have several.
    """
    return "MRR" if corpus.views[query].is_text and corpus.views[item].is_text else "UAP"


def evaluate(vectors: Mapping[str, np.ndarray], corpus: Corpus, raw: bool = False) -> list[dict]:
    """Measure retrieval and alignment for each ordered pair of views that a tuple has both of.

    Parameters
    ----------
    vectors : view -> (M_v, K)
        θ of each view's items; or raw embeddings, then compared by cosine.
    corpus : Corpus
        The test part.
    raw : bool

    Returns
    -------
    A dictionary a pair: ``query``, ``item``, ``metric`` (MRR or UAP), ``score``, ``low`` and
    ``high`` (95 % interval over articles; None of one alone), ``chance``, ``jsd`` (mean over
    aligned pairs, nats; None for raw), ``queries``, ``items``, and arrays: ``values`` (Q,), each
    query's own score, and ``divergences`` (P,), each aligned pair's JSD (None for raw);
    ``articles`` (Q,) and ``pair_articles`` (P,), the numbers of the articles that they are of.
    """
    for view, array in vectors.items():
        fits = view in corpus.views and len(array) == len(corpus.views[view])
        message = f"view {view!r}: {len(array)} vectors do not fit corpus {corpus.name}"
        require(fits, message, DataError)
    articles = {view: corpus.article_of_items(view) for view in vectors}
    number = {str(article): i for i, article in enumerate(np.unique(corpus.article_ids))}
    first_article = {
        view: np.array([number[min(own)] if own else -1 for own in sets])
        for view, sets in articles.items()
    }
    rows, distances = [], {}
    for query, item in permutations(vectors, 2):
        if raw and vectors[query].shape[1] != vectors[item].shape[1]:
            continue
        if not (corpus.views[query].present & corpus.views[item].present).any():
            continue  # a small part may have no such pair
        if (item, query) in distances:  # both distances are symmetric
            matrix = distances.pop((item, query)).T
        else:
            blocks = cosine_matrix if raw else jensen_shannon_matrix
            found = [block for _, block in blocks(vectors[query], vectors[item])]
            matrix = distances[query, item] = np.concatenate(found)
        ranked = retrieval_from(matrix, relevance(articles[query], articles[item]))
        metric = retrieval_metric(query, item, corpus)
        score, chance = (
            ("reciprocal_rank", "rr") if metric == "MRR" else ("average_precision", "ap")
        )
        values, own = ranked[score], first_article[query][ranked["query"]]
        low, high = interval_of_mean(values, own) or (None, None)
        a, b = aligned_pairs(corpus, query, item)
        divergences = None if raw else jensen_shannon(vectors[query][a], vectors[item][b])
        rows.append(
            {
                "query": query,
                "item": item,
                "metric": metric,
                "score": float(values.mean()),
                "low": low,
                "high": high,
                "chance": ranked[f"chance_{chance}"],
                "jsd": None if raw else float(divergences.mean()),
                "queries": len(values),
                "items": len(vectors[item]),
                "values": values,
                "divergences": divergences,
                "articles": own,
                "pair_articles": first_article[query][a],
            }
        )
    return rows


def assess(
    theta: Mapping[str, np.ndarray],
    topics: Mapping[str, list[list[str]]],
    test: Corpus,
    tokens: Mapping[str, list[list[str]]],
    truth: Mapping[str, np.ndarray],
) -> dict:
    """Measure a model whole: what a run's ``metrics.json`` holds and chapters compare.

    Parameters
    ----------
    theta : view -> (M_v, K)
        Of the test items.
    topics : language -> K lists of words, best first
    test : Corpus
    tokens : language -> tokenised training documents, for coherence
    truth : view -> (M_v, G)
        Known topic proportions of the test items, if the source knows them.

    Returns
    -------
    ``scores`` (of `evaluate`), ``npmi`` and ``diversity`` by language, ``npmi_of_topics`` (K) by
    language, ``recovery`` by view.
    """
    coherence = {language: npmi(words, tokens[language]) for language, words in topics.items()}
    return {
        "scores": evaluate(theta, test),
        "npmi": {language: float(values.mean()) for language, values in coherence.items()},
        "npmi_of_topics": {
            language: values.round(6).tolist() for language, values in coherence.items()
        },
        "diversity": {language: topic_diversity(words) for language, words in topics.items()},
        "recovery": {
            view: float(topic_recovery(theta[view], truth[view])["correlation"].mean())
            for view in theta
            if view in truth
        },
    }


def readers(model: "M3L", corpus: Corpus, home: str) -> dict[str, str]:
    """Name the inference network that reads each view of ``corpus``: its own, or zero-shot that of
    the view ``home``.

    Raises
    ------
    ParameterError
        A view is of another width than the network that would read it.
    """
    network = {}
    for view, items in corpus.views.items():
        network[view] = view if view in model.views else home
        size, expected = items.embeddings.shape[1], model.views[network[view]].embedding_size
        require(
            size == expected,
            f"encoders: view {view!r} has {size} dimensions and the network of {home!r} reads"
            f" {expected}; leave it out of encoders or train on it",
        )
    return network


def aligned_pairs(corpus: Corpus, a: str, b: str) -> np.ndarray:
    """Return the distinct pairs of items of views ``a`` and ``b`` that stand in one tuple:
    int (2, P), in the same order for (b, a).
    """
    both = corpus.views[a].present & corpus.views[b].present
    require(bool(both.any()), f"no tuple has both {a!r} and {b!r}", DataError)
    first, second = sorted((a, b))
    pairs = np.unique(
        np.stack([corpus.views[first].index[both], corpus.views[second].index[both]]), axis=1
    )
    return pairs if first == a else pairs[::-1]


def aligned_cosines(
    corpus: Corpus, seed: int = 0
) -> tuple[dict[tuple[str, str], np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """Return cosines of the embeddings of aligned items, and of the same items paired at random.

    For each pair of views of one width: two mappings from the pair to (P,), over its aligned pairs.
    """
    rng = np.random.default_rng(seed)
    aligned, shuffled = {}, {}
    for a, b in combinations(corpus.views, 2):
        vectors = corpus.views[a].embeddings, corpus.views[b].embeddings
        if vectors[0].shape[1] == vectors[1].shape[1]:
            rows = aligned_pairs(corpus, a, b)
            x, y = (unit_rows(v)[r] for v, r in zip(vectors, rows, strict=True))
            aligned[a, b] = (x * y).sum(axis=1)
            shuffled[a, b] = (x * y[rng.permutation(len(y))]).sum(axis=1)
    return aligned, shuffled
