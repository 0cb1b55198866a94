"""Run records turned into the tables that chapters show; every figure in them comes from a record."""

from collections.abc import Mapping, Sequence

import numpy as np

from . import metrics, prepare
from .corpus import Corpus
from .errors import DataError, require
from .evaluation import evaluate
from .runs import Run

MAIN = ("ZeroshotTM", "M3L-Contrast")


def shorten(text: str | None, n: int = 60) -> str:
    """The text cut at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def corpus_of(run: Run) -> tuple:
    """What runs must share to be compared: corpus and encoders."""
    return run.params["corpus"], tuple(sorted(run.params["encoders"].items()))


def test_corpora(runs: Sequence[Run], data: str) -> dict[tuple, Corpus]:
    """The test corpus of each group of comparable runs, loaded once, by `corpus_of`.

    A run made from other data than the folder holds now is a `DataError`: its topics are of other items.
    """
    found, now = {}, {}
    for run in runs:
        if corpus_of(run) not in found:
            name = run.params["corpus"]
            found[corpus_of(run)] = prepare.assemble(f"{data}/prepared/{name}", f"{data}/embeddings/{name}", run.params["encoders"])
            now[corpus_of(run)] = found[corpus_of(run)].fingerprint()
        require(
            run.metrics["data"] == now[corpus_of(run)],
            f"{run.folder}: made from other data than {data} holds now; train it again, or leave it out with run_names",
            DataError,
        )
    return {key: corpus.part("test") for key, corpus in found.items()}


def scores(runs: Sequence[Run], tests: Mapping[tuple, Corpus], draws: int = 2000):
    """A row per run and direction: `evaluate`'s fields with corpus, model, seed and direction; a data frame."""
    import pandas as pd

    rows = []
    for run in runs:
        about = {"corpus": run.params["corpus"], "model": run.params["model"], "seed": run.params["seed"]}
        rows += [{**about, "direction": f"{s['query']} → {s['item']}", **s} for s in evaluate(run.theta, tests[corpus_of(run)], draws=draws)]
    return pd.DataFrame(rows)


def raw_scores(tests: Mapping[tuple, Corpus]) -> dict[tuple[str, str], float]:
    """What the raw embeddings score, by corpus and direction (footnote 4)."""
    found = {}
    for (corpus, _), test in tests.items():
        for s in evaluate({v: view.embeddings for v, view in test.views.items()}, test, raw=True, draws=1):
            found[corpus, f"{s['query']} → {s['item']}"] = s["score"]
    return found


def over_seeds(rows) -> np.ndarray:
    """Each query's score averaged over the seeds of ``rows``: (Q,)."""
    return np.mean(np.stack(rows["values"].tolist()), axis=0)


def retrieval_table(table, raw: Mapping[tuple[str, str], float], draws: int = 2000):
    """Scores of one corpus by direction and model: mean and spread over seeds, interval over test articles, JSD, chance, raw."""
    import pandas as pd

    lines = []
    for (corpus, direction, model), rows in table.groupby(["corpus", "direction", "model"], sort=False):
        low, high = metrics.bootstrap(over_seeds(rows), draws=draws)
        lines.append(
            {
                "from → to": direction,
                "model": model,
                "metric": rows["metric"].iloc[0],
                "score": rows["score"].mean(),
                "±": rows["score"].std(),
                "95 % interval": f"{low:.3f} – {high:.3f}",
                "JSD": rows["jsd"].mean(),
                "chance": rows["chance"].iloc[0],
                "raw": raw.get((corpus, direction), np.nan),
            }
        )
    return pd.DataFrame(lines).sort_values("from → to", kind="stable", key=lambda c: c.map({d: i for i, d in enumerate(dict.fromkeys(table["direction"]))}))


def comparisons(table, models: tuple[str, str] = MAIN, draws: int = 2000):
    """For each corpus and direction that both models ran: their scores, the difference with its 95 % interval, who is ahead.

    The interval is `metrics.bootstrap_difference`'s, over queries and seeds; a model is ahead when it leaves out zero.
    """
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        by_model = {m: np.stack(r["values"].tolist()) for m, r in rows.groupby("model") if m in models}  # (seeds, queries)
        if len(by_model) < 2:
            continue
        a, b = by_model[models[0]], by_model[models[1]]
        low, high = metrics.bootstrap_difference(a, b, draws=draws)
        ahead = models[0] if low > 0 else models[1] if high < 0 else "undecided"
        lines.append(
            {
                "corpus": corpus,
                "from → to": direction,
                "metric": rows["metric"].iloc[0],
                models[0]: a.mean(),
                models[1]: b.mean(),
                "difference": f"{a.mean() - b.mean():+.3f} ({low:+.3f} to {high:+.3f})",
                "ahead": ahead,
            }
        )
    return pd.DataFrame(lines)


def quality_table(runs: Sequence[Run], corpus: str, models: Sequence[str] = MAIN):
    """Coherence, diversity, recovery of known topics, seconds and speed, a row each, by model: mean ± spread over seeds."""
    import pandas as pd

    lines = []
    for run in runs:
        m, p = run.metrics, run.params
        if p["corpus"] == corpus and p["model"] in models:
            columns = {f"{what} {view}": value for what in ("npmi", "diversity", "recovery") for view, value in m[what].items()}
            lines.append({"model": p["model"], **columns, "seconds": m["seconds"], "tuples/s": m["tuples_per_second"]})
    grouped = pd.DataFrame(lines).groupby("model", sort=False)
    mean, spread = grouped.mean(), grouped.std()

    def cell(column, model):
        value, s, digits = mean.loc[model, column], spread.loc[model, column], 0 if column in ("seconds", "tuples/s") else 3
        return "–" if np.isnan(value) else f"{value:,.{digits}f}" + ("" if np.isnan(s) else f" ± {s:,.{digits}f}")

    rows = sorted(mean.columns, key=lambda c: [c.startswith(kind) for kind in ("npmi", "diversity", "recovery", "seconds", "tuples")].index(True))
    return pd.DataFrame({model: [cell(column, model) for column in rows] for model in mean.index}, index=[row.replace("npmi", "NPMI") for row in rows])


def titles(folder, test: Corpus) -> dict[str, dict[str, str]]:
    """The title of each article, by language."""
    frame = prepare.read_tuples(folder)
    return {v: dict(zip(frame["article_id"].astype(str), frame[f"{v}_title"], strict=True)) for v in test.text_views}


def example_queries(run: Run, test: Corpus, folder, n: int, source: str, target: str, seed: int = 0):
    """For ``n`` queries drawn at random: title, words of the top topic, partner, what came first, reciprocal rank."""
    import pandas as pd

    from .model import top_topics

    hit = metrics.retrieval(run.theta[source], run.theta[target], metrics.relevance(test.article_of_items(source), test.article_of_items(target)))
    names, rows = titles(folder, test), []
    for i in np.random.default_rng(seed).choice(len(hit["query"]), size=min(n, len(hit["query"])), replace=False):
        item = hit["query"][i]
        topic = top_topics(run.theta[source][item][None], 1)[0, 0]
        article = test.views[source].item_ids[item]
        rows.append(
            {
                "query": names[source][article],
                **{f"its top topic ({v})": ", ".join(words[topic][:5]) for v, words in run.topics.items()},
                "partner": names[target][article],
                "came first": names[target][test.views[target].item_ids[hit["first"][i]]],
                "reciprocal rank": hit["reciprocal_rank"][i],
            }
        )
    return pd.DataFrame(rows)


def example_pictures(run: Run, test: Corpus, n: int, source: str, seed: int = 0, found: int = 3) -> list[dict]:
    """For ``n`` articles drawn at random: ``article``, one of its ``own`` pictures, the ``first`` retrieved by topics, ``topic`` of the first."""
    from .model import top_topics

    pictures, owners = test.views["image"].item_ids, test.article_of_items("image")
    examples = []
    for item in np.random.default_rng(seed).choice(len(test.views[source]), size=min(n, len(test.views[source])), replace=False):
        article = test.views[source].item_ids[item]
        distance = next(metrics.jensen_shannon_matrix(run.theta[source][item][None], run.theta["image"]))[1][0]
        nearest = np.argsort(distance, kind="stable")[:found]
        own = next((pictures[i] for i, articles in enumerate(owners) if article in articles), None)
        examples.append(
            {"article": article, "own": own, "first": [pictures[i] for i in nearest], "topic": int(top_topics(run.theta["image"][nearest[0]][None], 1)[0, 0])}
        )
    return examples
