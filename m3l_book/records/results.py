"""What runs measured: one frame of scores, curves against updates, and what claims are about."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate

from ..data.schema import PICTURES
from ..measured import (
    Contender,
    Measured,
    Measurements,
    article_keys,
    contender,
    contender_of,
)
from ..values import read_value
from .run import PARTS, Run, digest_of
from .selection import corpus_of, home, home_of, roles_by_corpus

if TYPE_CHECKING:
    from pandas import DataFrame

RAW, CHANCE = Contender("raw embeddings"), Contender("chance")
# the pairs that the paper has numbers for
PAIRS = ("en-de", "en-image", "de-image")
# where a run comes from; a commit with a + is of a tree that was changed since
ORIGIN = ("commit", "date", "processor", "python", "torch", "numpy")
QUALITY = ("npmi", "diversity")  # of a run's topics, the mean over its languages
OWN_SCORES = ("query", "item", "metric", "score", "jsd", "chance")


def _updates_an_epoch(run: Run) -> int:
    """Count the steps of Adam in an epoch of a run; 0 for a model that is not trained so."""
    size = run.params.get("batch_size")
    return -(-run.metrics["training_tuples"] // size) if size else 0


def _trained_on(run: Run) -> str:
    """Say what a run learnt from: its views; of a student, its teacher's language first."""
    trained = " + ".join(run.params["train_views"])
    return f"{home_of(run)} to {trained}" if run.params.get("teacher") else trained


def run_row(run: Run) -> dict:
    """Return a row of ``runs.csv``: a run's settings, what it took, and where it comes from."""
    params, who = run.params, contender_of(run.params)
    origin = run.metrics.get("environment", {})
    quality = {name: list(run.metrics[name].values()) for name in QUALITY}
    return {
        "run": run.folder.name,
        "corpus": params["corpus"],
        "model": who.model,
        "variant": who.variant,
        "changes": json.dumps(dict(who.changes)),
        "views": " ".join(params["train_views"]),
        "reads": " ".join(params["encoders"]),
        "encoders": json.dumps(params["encoders"]),
        "trained": _trained_on(run),
        "seed": params["seed"],
        "topics": params["topics"],
        "passes": params.get("epochs", params.get("sweeps")),
        "batch_size": params.get("batch_size", ""),
        "updates": _updates_an_epoch(run) * params.get("epochs", 0),
        "tuples": run.metrics["training_tuples"],
        **{name: round(np.mean(own), 4) if own else "" for name, own in quality.items()},
        "seconds": round(run.metrics["seconds"], 1),
        **{name: origin.get(name, "") for name in ORIGIN},
        "data": run.metrics.get("data", "")[:16],
        "theta": digest_of(run.theta),
    }


def score_rows(run: Run) -> list[dict]:
    """Return the rows of ``scores.csv`` of a run, a row a part and direction."""
    return [
        {"run": run.folder.name, "part": "test" if part == "scores" else part}
        | {key: row[key] for key in OWN_SCORES}
        for part in PARTS
        for row in run.metrics.get(part, [])
    ]


def scores(runs: Sequence[Run]) -> "DataFrame":
    """Return a row per run, part and direction, as `tidy` has it."""
    import pandas as pd

    return tidy(pd.DataFrame([row | run_row(run) for run in runs for row in score_rows(run)]))


def tidy(table: "DataFrame") -> "DataFrame":
    """Complete rows of ``scores.csv`` that have the columns of their runs in ``runs.csv``.

    Further columns are ``changes``, what is varied as a dict with values of their own types;
    ``contender`` and ``name``; ``direction``; ``forward``, whether the query is the earlier view;
    ``home``, the view whose network reads the others ("" for a joint model); and ``setting``, the
    one of Section 4.2 that a joint model was trained in.
    """
    import pandas as pd

    if not len(table):
        return table
    who, values = {}, {}
    for model, text in set(zip(table["model"], table["changes"], strict=True)):
        words = json.loads(text)
        who[model, text] = contender(model, words)
        values[text] = {what: read_value(value) for what, value in words.items()}
    homes, settings, forward = [], [], []
    for row in table.itertuples():
        trained, reads = row.views.split(), row.reads.split()
        homes.append(home(trained, reads, row.model == "ZeroshotTM-KD"))
        settings.append("" if homes[-1] else _setting(trained))
        forward.append(reads.index(row.query) < reads.index(row.item))
    names = ["score", "jsd", "chance", *(name for name in QUALITY if name in table)]
    numbers = {name: pd.to_numeric(table[name]) for name in names}
    contenders = [who[key] for key in zip(table["model"], table["changes"], strict=True)]
    return table.assign(
        **numbers,
        changes=[values[text] for text in table["changes"]],
        contender=pd.Series(contenders, index=table.index, dtype=object),
        name=list(map(str, contenders)),
        forward=forward,
        home=homes,
        setting=settings,
        direction=table["query"] + " → " + table["item"],
    )


def _setting(trained: Sequence[str]) -> str:
    return "multimodal" if PICTURES in trained else "multilingual"


def as_in_the_paper(table: "DataFrame", setting: str = "") -> "DataFrame":
    """Choose the rows of `scores` that stand for a contender in the paper's tables.

    Several runs of it answer the same question. In each direction a ZeroshotTM, or a student's
    teacher, is the one of the text's own language (the query's, if both are texts); a joint model
    is the one trained without pictures between texts, and with them otherwise, or as ``setting``
    says. Where there is no such run the others stand in.
    """
    text = table["query"].where(table["query"] != PICTURES, table["item"])
    pictured = (table["query"] == PICTURES) | (table["item"] == PICTURES)
    wanted = setting if setting else np.where(pictured, "multimodal", "multilingual")
    fits = (table["home"] == "") | (table["home"] == text)
    fits &= (table["setting"] == "") | (table["setting"] == wanted)
    same_question = [table["corpus"], table["name"], table["direction"]]
    return table[fits | ~fits.groupby(same_question).transform("any")]


def raw_scores(tests: Mapping[tuple, Corpus]) -> "DataFrame":
    """Score the raw embeddings (footnote 4): `evaluate`'s rows with corpus and direction, articles
    by `article_keys`.

    One of each: of several encoders the first count, those of the main runs.
    """
    import pandas as pd

    rows: dict[tuple[str, str], dict] = {}
    for (corpus, _), test in tests.items():
        if all((corpus, f"{a} → {b}") in rows for a, b in permutations(test.views, 2)):
            continue
        vectors = {name: view.embeddings for name, view in test.views.items()}
        keys = article_keys(np.unique(test.article_ids))
        for score in evaluate(vectors, test, raw=True):
            direction = f"{score['query']} → {score['item']}"
            row = {"corpus": corpus, "direction": direction, **score}
            row["articles"] = keys[score["articles"]]
            rows.setdefault((corpus, direction), row)
    return pd.DataFrame(list(rows.values()))


def measurements(
    runs: Sequence[Run], tests: Mapping[tuple, Corpus], raw: "DataFrame"
) -> Measurements:
    """Return everything that claims are about, measured of runs on their test corpora.

    ``raw`` is `raw_scores`'; raw embeddings and chance are contenders of one seed.
    """
    role, measured = roles_by_corpus(tests), {}
    # models that read other views may be measured on other articles
    numbers = {of: article_keys(np.unique(test.article_ids)) for of, test in tests.items()}
    table = scores(runs)
    table = table[table["part"] == "test"]
    table = table.assign(of=[(run, row) for run in runs for row in run.metrics["scores"]])
    for corpus, setting, query, item, rows in _paper_directions(table, role):
        pair, metric = f"{role[corpus][query]}-{role[corpus][item]}", rows["metric"].iloc[0]
        for _, seeds in rows.groupby("name", sort=False):
            who, (first_run, first) = seeds["contender"].iloc[0], seeds["of"].iloc[0]
            keys = numbers[corpus_of(first_run)]
            values = np.stack([row["values"] for _, row in seeds["of"]])
            divergences = np.stack([row["divergences"] for _, row in seeds["of"]])
            same = [_same_top(run, tests[corpus_of(run)], query, item) for run, _ in seeds["of"]]
            pairs, names = keys[first["pair_articles"]], tuple(seeds["run"])
            for measure, own, units in (
                (metric, values, keys[first["articles"]]),
                ("JSD", divergences, pairs),
                ("same top topic", np.stack(same) * 1.0, pairs),
            ):
                key = corpus, setting, measure, pair, who
                measured[key] = Measured(own, units, runs=names)
        there = (raw["corpus"] == corpus) & (raw["query"] == query) & (raw["item"] == item)
        for _, row in raw[there].iterrows():
            by_chance = np.full((1, len(row["values"])), row["chance"])
            for who, values in ((RAW, row["values"][None]), (CHANCE, by_chance)):
                key = corpus, setting, metric, pair, who
                measured[key] = Measured(values, row["articles"], trained=False)
    return measured | _coherences(runs, role)


def runs_behind(table: "DataFrame", role: Mapping[str, Mapping[str, str]]) -> dict[tuple, tuple]:
    """Name the runs that each of `measurements` is of, by rows of `tidy`, test part."""
    behind: dict[tuple, tuple] = {}
    for corpus, setting, query, item, rows in _paper_directions(table, role):
        pair = f"{role[corpus][query]}-{role[corpus][item]}"
        for (metric, who), own in rows.groupby(["metric", "contender"], sort=False):
            for measure in (metric, "JSD", "same top topic"):
                behind[corpus, setting, measure, pair, who] = tuple(own["run"])
    return behind


def _same_top(run: Run, test: Corpus, a: str, b: str) -> np.ndarray:
    """Whether the two items of each aligned pair have the same most probable topic: bool (P,)."""
    first, second = aligned_pairs(test, a, b)
    return run.theta[a].argmax(axis=1)[first] == run.theta[b].argmax(axis=1)[second]


def _paper_directions(
    table: "DataFrame", role: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, str, str, "DataFrame"]]:
    """Iterate over corpus, setting, query, item and rows of each direction that the paper reports:
    in the multilingual setting none with pictures, in the multimodal one of corpora with pictures.
    """
    for setting in ("multilingual", "multimodal"):
        groups = as_in_the_paper(table, setting).groupby(["corpus", "query", "item"], sort=False)
        for (corpus, query, item), rows in groups:
            pair = f"{role[corpus].get(query)}-{role[corpus].get(item)}"
            fits = "image" not in pair
            if setting == "multimodal":
                fits = "image" in role[corpus].values()
            if fits and pair in PAIRS:
                yield corpus, setting, query, item, rows


def _coherences(runs: Sequence[Run], role: Mapping[str, Mapping[str, str]]) -> Measurements:
    """Return NPMI of the topics, (seeds, K), of each language (Tables 1 and 2); of a student, of
    its own language's topics.
    """
    values: dict[tuple, dict] = {}
    for run in runs:
        corpus, joint = run.params["corpus"], not home_of(run)
        own = _setting(run.params["train_views"])
        for language, npmi in run.metrics["npmi_of_topics"].items():
            for setting in (own,) if joint else ("multilingual", "multimodal"):
                if language in role[corpus]:
                    key = corpus, setting, "NPMI", role[corpus][language], contender_of(run.params)
                    values.setdefault(key, {})[run.folder.name] = npmi
    return {k: Measured(np.array([*own.values()]), runs=(*own,)) for k, own in values.items()}


def longest(runs: Sequence[Run]) -> list[Run]:
    """Choose the models of the main tables; of each, the runs that were trained for most epochs."""
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        who = contender_of(run.params)
        if {what for what, _ in who.changes} <= {"epochs"} and "epochs" in run.params:
            groups.setdefault((run.params["corpus"], who.model, _trained_on(run)), []).append(run)
    most = {key: max(run.params["epochs"] for run in own) for key, own in groups.items()}
    return [run for key, own in groups.items() for run in own if run.params["epochs"] == most[key]]


def curves(runs: Sequence[Run]) -> "DataFrame":
    """Return scores on the validation part against updates, of runs that were looked at on the way.

    Columns corpus, model (with its training views), seed, direction, metric, updates, score.
    """
    import pandas as pd

    rows = []
    for run in runs:
        name = f"{Contender(run.params['model']).short} {_trained_on(run)}"
        about = {"corpus": run.params["corpus"], "model": name, "seed": run.params["seed"]}
        judged = set(combinations(run.params["encoders"], 2))
        seen = run.metrics.get("validation", [])
        seen = [row for row in seen if (row["query"], row["item"]) in judged]
        metrics = {f"{row['query']} → {row['item']}": row["metric"] for row in seen}
        for epoch in run.history:
            updates = _updates_an_epoch(run) * int(epoch["epoch"])
            for direction, metric in metrics.items():
                score = epoch.get(direction.replace(" → ", ">"))
                if isinstance(score, (int, float)) and np.isfinite(score):
                    where = {"direction": direction, "metric": metric}
                    rows.append({**about, **where, "updates": updates, "score": float(score)})
    return pd.DataFrame(rows)
