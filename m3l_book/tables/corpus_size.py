"""How much of a corpus is enough: scores by the articles that a model learnt from, and what a
small corpus does to the numbers that judge it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from m3l.corpus import Corpus
from m3l.errors import DataError, require
from m3l.metrics import estimate
from m3l.metrics.assessment import evaluate

from ..encoders.spaces import LANGUAGES, knows
from ..recorded import Recorded
from ..records.results import trained_on, validation_scores
from ..records.run import Run
from ..variants import Contender, contender_of

if TYPE_CHECKING:
    from pandas import DataFrame

ARTICLES = "articles"
TEST_SIZES = (10, 25, 50, 100, 300)
COLUMNS = ["panel", "model", "x", "seed", "score", "chance"]


def with_a_curve(runs: Sequence[Run], recorded: Recorded) -> str:
    """The corpus of a build to look at: one of which some model was trained on fewer articles, here
    or as recorded, or else the first.
    """
    corpora = list(dict.fromkeys(run.params["corpus"] for run in runs))
    here = {r.params["corpus"] for r in runs if contender_of(r.params).value(ARTICLES)}
    found = [corpus for corpus in corpora if corpus in here]
    found += [corpus for corpus in corpora if len(recorded_curve(recorded, corpus))]
    return [*found, *corpora][0]


def articles_of(run: Run, all_articles: int) -> int:
    """The training articles that a run was given; 0 if it differs from others in more than that.

    ``all_articles`` are those of its corpus's training part.
    """
    who = contender_of(run.params)
    if not who.changes:
        return all_articles
    return int(who.value(ARTICLES)) if {what for what, _ in who.changes} == {ARTICLES} else 0


def learning_curve(runs: Sequence[Run], corpus: str, all_articles: int) -> "DataFrame":
    """Scores on the validation part by training articles, as `m3l_book.figures.charts.curves` takes
    them: columns panel, model, x, seed, score, chance.

    From the first view to the second and to the last; of the models that were trained on fewer
    articles too.
    """
    import pandas as pd

    rows = []
    for run in (run for run in runs if run.params["corpus"] == corpus):
        articles = articles_of(run, all_articles)
        if articles:
            about = {"model": name_of(run), "x": articles, "seed": run.params["seed"]}
            chance = {
                f"{row['query']} → {row['item']}": row["chance"]
                for row in run.metrics.get("validation", [])
            }
            for direction, metric, score in validation_scores(run):
                where = {"panel": f"{direction}, {metric}", "chance": chance[direction]}
                rows.append({**about, **where, "score": score})
    return _compared(pd.DataFrame(rows, columns=COLUMNS))


def recorded_curve(recorded: Recorded, corpus: str) -> "DataFrame":
    """The same of what was recorded; without rows if nothing was."""
    import pandas as pd

    kept = recorded.scores
    if not len(kept):
        return pd.DataFrame(columns=COLUMNS)
    kept = kept[(kept["corpus"] == corpus) & (kept["part"] == "validation")]
    rows = []
    for row in kept.itertuples():
        what, _, articles = row.variant.rpartition(" ")
        queries = row.reads.split()
        forward = queries.index(row.query) < queries.index(row.item)
        if what in ("", ARTICLES) and forward:
            whole = recorded.about.get(ARTICLES, {}).get(corpus, row.tuples)
            name = f"{Contender(row.model).short} {row.trained}"
            panel = f"{row.query} → {row.item}, {row.metric}"
            x = int(articles) if what else whole if not row.variant else 0
            rows.append((panel, name, x, row.seed, row.score, row.chance))
    return _compared(pd.DataFrame([row for row in rows if row[2]], columns=COLUMNS))


def _compared(rows: "DataFrame") -> "DataFrame":
    """The rows of the models that were trained on several numbers of articles, in two panels."""
    several = rows.groupby("model")["x"].nunique()
    rows = rows[rows["model"].isin(several[several > 1].index)]
    panels = list(dict.fromkeys(rows["panel"]))
    firsts = [panel for panel in panels if panel.split(" → ")[0] == panels[0].split(" → ")[0]]
    return rows[rows["panel"].isin({*firsts[:1], *firsts[-1:]})].reset_index(drop=True)


def name_of(run: Run) -> str:
    """A model and what it learnt from, in a few words."""
    return f"{Contender(run.params['model']).short} {trained_on(run)}"


def last_steps(runs: Sequence[Run], corpus: str, all_articles: int) -> "DataFrame":
    """What a doubling of the articles gave, between the last two numbers of them.

    A row a model and direction: columns model, direction, metric, ``articles`` (from, to), ``a
    doubling gave`` with ``low`` and ``high`` (95 %, over articles and seeds), ``then``: whether
    the score still rises.
    """
    import pandas as pd

    lines = []
    for name, by_articles in _by_articles(runs, corpus, all_articles).items():
        *_, (fewer, more) = pairwise(sorted(by_articles))
        before, after = by_articles[fewer], by_articles[more]
        for (direction, metric), values in after.items():
            if (direction, metric) not in before:
                continue
            weight = 1 / np.log2(more / fewer)
            units = values[0][1]
            found = estimate(
                [np.array([v for v, _ in of[direction, metric]]) for of in (after, before)],
                [weight, -weight],
                units,
            )
            low, high = found.interval()
            line = {"model": name, "direction": direction, "metric": metric}
            line |= {"articles": f"{fewer:,} to {more:,}", "a doubling gave": found.value}
            line |= {"low": low, "high": high}
            then = "it still rises" if low > 0 else "it falls" if high < 0 else "not decided"
            lines.append({**line, "then": then})
    return pd.DataFrame(lines)


def _by_articles(
    runs: Sequence[Run], corpus: str, all_articles: int
) -> dict[str, dict[int, dict[tuple[str, str], list]]]:
    """Model -> articles -> direction and metric -> each seed's values of queries and articles; of
    models that were trained on several numbers of articles.
    """
    found: dict[str, dict[int, dict[tuple[str, str], list]]] = {}
    for run in (run for run in runs if run.params["corpus"] == corpus):
        articles = articles_of(run, all_articles)
        if not articles:
            continue
        own = found.setdefault(name_of(run), {}).setdefault(articles, {})
        rows = {f"{r['query']} → {r['item']}": r for r in run.metrics.get("validation", [])}
        for direction, metric, _ in validation_scores(run):
            row = rows[direction]
            if len(np.unique(row[ARTICLES])) > 1:
                own.setdefault((direction, metric), []).append((row["values"], row[ARTICLES]))
    return {name: by_articles for name, by_articles in found.items() if len(by_articles) > 1}


def by_test_size(
    test: Corpus,
    theta: Mapping[str, np.ndarray],
    query: str,
    item: str,
    sizes: Sequence[int] = TEST_SIZES,
    draws: int = 50,
    seed: int = 0,
) -> "DataFrame":
    """What one model would have scored, had the test part been smaller.

    Parameters
    ----------
    test : Corpus
    theta : view -> (M, K)
        Its items' topics.
    query, item : str
        Views.
    sizes : sequence of int
        Numbers of test articles; those that the test part has not are left out, and all of it is
        added.
    draws : int
        How often so many articles are drawn.
    seed : int

    Returns
    -------
    A row a size: ``test articles``, ``chance``, ``score``, where 95 % of the draws lie (``lowest``,
    ``highest``), and ``interval``, the mean half width of their 95 % intervals over articles.
    """
    import pandas as pd

    views = {v: replace(test.views[v], embeddings=theta[v]) for v in (query, item)}
    whole = replace(test, views=views).having([query, item])
    articles, random, lines = np.unique(whole.article_ids), np.random.default_rng(seed), []
    require(len(articles) > 1, f"{test.name}: one test article with {query} and {item}", DataError)
    for size in [*(size for size in sizes if size < len(articles)), len(articles)]:
        rows = []
        for _ in range(draws if size < len(articles) else 1):
            drawn = random.permutation(articles)[:size]
            part = whole.subset(np.isin(whole.article_ids, drawn))
            rows.append(_score(part, query, item))
        scores = [row["score"] for row in rows]
        low, high = np.quantile(scores, [0.025, 0.975])
        widths = [(row["high"] - row["low"]) / 2 for row in rows]
        line = {"test articles": size, "chance": np.mean([row["chance"] for row in rows])}
        line |= {"score": np.mean(scores), "lowest": low, "highest": high}
        lines.append({**line, "interval": np.mean(widths)})
    return pd.DataFrame(lines)


def _score(part: Corpus, query: str, item: str) -> dict:
    """The row of one direction; the items' topics are the part's embeddings."""
    theta = {view: part.views[view].embeddings for view in (query, item)}
    return next(r for r in evaluate(theta, part) if (r["query"], r["item"]) == (query, item))


def words_seen(topics: Mapping[str, Sequence[Sequence[str]]], train: Corpus) -> "DataFrame":
    """How often the words that coherence is computed from are seen in the training part.

    ``topics`` are a run's top words by language. A row a language: its ``documents``; of the words
    of topics, the median number of documents with one (``documents a word``); of a topic's pairs
    of words, the share that no document has both of (``pairs never together``).
    """
    import pandas as pd

    lines = []
    for language, lists in topics.items():
        view = train.views[language]
        number = {word: i for i, word in enumerate(view.vocabulary)}
        there = sp.csc_matrix(view.bow > 0).astype(np.int64)
        frequency = np.asarray(there.sum(axis=0)).ravel()
        words = [[number[word] for word in own] for own in lists]
        together = np.concatenate([_pairs(there[:, own]) for own in words])
        lines.append(
            {
                "language": language,
                "documents": there.shape[0],
                "documents a word": float(np.median(frequency[np.unique(np.concatenate(words))])),
                "pairs never together": float((together == 0).mean()),
            }
        )
    return pd.DataFrame(lines)


def _pairs(there: sp.csc_matrix) -> np.ndarray:
    """Documents that have both words, for each pair of columns."""
    both = (there.T @ there).toarray()
    return both[np.triu_indices(len(both), k=1)]


def encoders_for(languages: Sequence[str], used: Mapping[str, Sequence[str]]) -> "DataFrame":
    """Which encoders that need no network know each language, and which this build ``used``."""
    import pandas as pd

    return pd.DataFrame(
        {
            "language": language,
            "known to": ", ".join(e for e in LANGUAGES if knows(e, language)) or "none",
            "here": ", ".join(used[language]),
        }
        for language in languages
    )


def without_encoder(recorded: Recorded, corpus: str = "vital") -> "DataFrame":
    """What was recorded between languages, with an encoder that knows both and without one.

    A row a model of texts: ``aligned`` are vectors of one encoder of both languages, ``each its
    own`` those of two that know nothing of each other. PLTM reads no vectors.
    """
    import pandas as pd

    lines = []
    for model, views, aligned, apart in _texts_read(recorded, corpus):
        line = {"model": f"{Contender(model).short} {views}", "aligned": aligned}
        lines.append({**line, "each its own": apart})
    return pd.DataFrame(lines)


def _texts_read(recorded: Recorded, corpus: str) -> Iterator[tuple[str, str, float, float]]:
    kept = recorded.scores
    if not len(kept):
        return
    kept = kept[(kept["corpus"] == corpus) & (kept["part"] == "validation")]
    first, second = kept["reads"].iloc[0].split()[:2]
    kept = kept[(kept["query"] == first) & (kept["item"] == second)]
    for model, views in (("M3L-Contrast", f"{first} + {second}"), ("ZeroshotTM", first)):
        own = kept[(kept["model"] == model) & (kept["trained"] == views)]
        by_variant = own.groupby("variant")["score"].mean()
        yield model, views, by_variant.get("", np.nan), by_variant.get("texts monolingual", np.nan)
    counted = kept[(kept["model"] == "PLTM") & (kept["variant"] == "")]["score"].mean()
    yield "PLTM", f"{first} + {second}", counted, counted
