"""Single queries and what they found."""

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.divergence import jensen_shannon_matrix
from m3l.metrics.ranking import relevance, retrieval

from ..data.prepared import read_tuples
from ..records.run import Run


def titles(folder, test: Corpus) -> dict[str, dict[str, str]]:
    """The title of each article, by language."""
    frame = read_tuples(folder)
    return {
        v: dict(zip(frame["article_id"].astype(str), frame[f"{v}_title"], strict=True))
        for v in test.text_views
    }


def example_queries(
    run: Run, test: Corpus, folder, n: int, source: str, target: str, seed: int = 0
):
    """For ``n`` queries drawn at random: title, words of the top topic, partner, what came first,
    reciprocal rank.
    """
    import pandas as pd

    from m3l.model import top_topics

    hit = retrieval(
        run.theta[source],
        run.theta[target],
        relevance(test.article_of_items(source), test.article_of_items(target)),
    )
    names, rows = titles(folder, test), []
    for i in np.random.default_rng(seed).choice(
        len(hit["query"]), size=min(n, len(hit["query"])), replace=False
    ):
        item = hit["query"][i]
        topic = top_topics(run.theta[source][item][None], 1)[0, 0]
        article = test.views[source].item_ids[item]
        rows.append(
            {
                "query": names[source][article],
                **{
                    f"its top topic ({v})": ", ".join(words[topic][:5])
                    for v, words in run.topics.items()
                },
                "partner": names[target][article],
                "came first": names[target][test.views[target].item_ids[hit["first"][i]]],
                "reciprocal rank": hit["reciprocal_rank"][i],
            }
        )
    return pd.DataFrame(rows)


def example_pictures(
    run: Run, test: Corpus, n: int, source: str, seed: int = 0, found: int = 3
) -> list[dict]:
    """For ``n`` articles drawn at random: ``article``, one of its ``own`` pictures, the ``first``
    retrieved by topics, ``topic`` of the first.
    """
    from m3l.model import top_topics

    pictures, owners = test.views["image"].item_ids, test.article_of_items("image")
    examples = []
    for item in np.random.default_rng(seed).choice(
        len(test.views[source]), size=min(n, len(test.views[source])), replace=False
    ):
        article = test.views[source].item_ids[item]
        distance = next(jensen_shannon_matrix(run.theta[source][item][None], run.theta["image"]))[
            1
        ][0]
        nearest = np.argsort(distance, kind="stable")[:found]
        own = next((pictures[i] for i, articles in enumerate(owners) if article in articles), None)
        examples.append(
            {
                "article": article,
                "own": own,
                "first": [pictures[i] for i in nearest],
                "topic": int(top_topics(run.theta["image"][nearest[0]][None], 1)[0, 0]),
            }
        )
    return examples
