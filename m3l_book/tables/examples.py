"""Single queries and what they retrieved."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.divergence import jensen_shannon_matrix
from m3l.metrics.ranking import relevance, retrieval
from m3l.model import top_topics

from ..data.schema import PICTURES
from ..records.run import Run
from .shared import titles

if TYPE_CHECKING:
    from pandas import DataFrame


def example_queries(
    run: Run, test: Corpus, folder: str | Path, n: int, source: str, target: str, seed: int = 0
) -> "DataFrame":
    """``n`` queries drawn at random, and where they led.

    Title, words of the top topic, partner, what came first, reciprocal rank.
    """
    import pandas as pd

    relevant = relevance(test.article_of_items(source), test.article_of_items(target))
    ranking = retrieval(run.theta[source], run.theta[target], relevant)
    title, queries = titles(folder, test), len(ranking["query"])
    rows = []
    for i in np.random.default_rng(seed).choice(queries, size=min(n, queries), replace=False):
        item = ranking["query"][i]
        topic = top_topics(run.theta[source][item][None], 1)[0, 0]
        article = test.views[source].item_ids[item]
        row = {"query": title[source][article]}
        for language, words in run.topics.items():
            row[f"its top topic ({language})"] = ", ".join(words[topic][:5])
        own = title.get(target, title[source])  # a picture is called what its article is
        row["partner"] = own[article]
        row["came first"] = own[min(test.article_of_items(target)[ranking["first"][i]])]
        row["reciprocal rank"] = ranking["reciprocal_rank"][i]
        rows.append(row)
    return pd.DataFrame(rows)


def example_pictures(
    run: Run, test: Corpus, n: int, source: str, seed: int = 0, best: int = 3
) -> list[dict]:
    """``n`` articles drawn at random of those that have a picture, and the pictures that their
    topics retrieve.

    Returns
    -------
    A dictionary an article: ``article``, one of its ``own`` pictures, the ``first`` ones retrieved
    by topics, and the ``topic`` of the very first.
    """
    pictures, owners = test.views[PICTURES].item_ids, test.article_of_items(PICTURES)
    illustrated, articles_of_texts = set().union(*owners), test.views[source].item_ids
    items = [i for i, article in enumerate(articles_of_texts) if article in illustrated]
    examples = []
    for item in np.random.default_rng(seed).choice(items, size=min(n, len(items)), replace=False):
        article = articles_of_texts[item]
        query = run.theta[source][item][None]
        _, distance = next(jensen_shannon_matrix(query, run.theta[PICTURES]))
        nearest = np.argsort(distance[0], kind="stable")[:best]
        own = next(pictures[i] for i, articles in enumerate(owners) if article in articles)
        topic = int(top_topics(run.theta[PICTURES][nearest[0]][None], 1)[0, 0])
        first = [pictures[i] for i in nearest]
        examples.append({"article": article, "own": own, "first": first, "topic": topic})
    return examples
