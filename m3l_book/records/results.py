"""Scores of many runs in one frame, and everything that claims are about."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate

from ..data.schema import PICTURES
from ..measured import Measured, Measurements
from ..variants import Contender, contender_of
from .run import Run
from .selection import corpus_of, home_of, roles_by_corpus, setting_of

if TYPE_CHECKING:
    from pandas import DataFrame

RAW, CHANCE = Contender("raw embeddings"), Contender("chance")
# the pairs that the paper has numbers for
PAIRS = ("en-de", "en-image", "de-image")


def scores(runs: Sequence[Run]) -> "DataFrame":
    """A row per run and direction.

    The fields of `m3l.metrics.assessment.evaluate`, and corpus, ``model``, ``variant`` (in words),
    ``contender``, ``name`` (of both), seed, run, direction, ``home`` (`home_of`) and ``setting``
    (`setting_of`).
    """
    import pandas as pd

    rows = []
    for run in runs:
        contender = contender_of(run.params)
        about = {
            "corpus": run.params["corpus"],
            "model": contender.model,
            "variant": contender.variant,
            "contender": contender,
            "name": str(contender),
            "seed": run.params["seed"],
            "run": run.folder.name,
            "home": home_of(run),
            "setting": setting_of(run),
        }
        for score in run.metrics["scores"]:
            direction = f"{score['query']} → {score['item']}"
            rows.append({**about, "direction": direction, **score})
    return pd.DataFrame(rows)


def as_in_the_paper(table: "DataFrame", setting: str = "") -> "DataFrame":
    """The rows of `scores` that stand for a contender in the paper's tables.

    Several runs of it answer the same question. In each direction a ZeroshotTM, or a student's
    teacher, is the one of the text's own language (the query's, if both are texts); a joint model
    is the one trained without pictures between texts, and with them otherwise, or as ``setting``
    says. Where there is no such run the others stand in.
    """
    text = table["query"].where(table["query"] != PICTURES, table["item"])
    pictured = (table["query"] == PICTURES) | (table["item"] == PICTURES)
    wanted = setting if setting else np.where(pictured, "multimodal", "multilingual")
    fits = table["home"].isin([""]) | (table["home"] == text)
    fits &= (table["setting"] == "") | (table["setting"] == wanted)
    same_question = [table["corpus"], table["name"], table["direction"]]
    return table[fits | ~fits.groupby(same_question).transform("any")]


def raw_scores(tests: Mapping[tuple, Corpus]) -> "DataFrame":
    """What the raw embeddings score (footnote 4): `evaluate`'s rows with corpus and direction.

    One of each: of several encoders the first count, those of the main runs.
    """
    import pandas as pd

    rows: dict[tuple[str, str], dict] = {}
    for (corpus, _), test in tests.items():
        if all((corpus, f"{a} → {b}") in rows for a, b in permutations(test.views, 2)):
            continue
        vectors = {name: view.embeddings for name, view in test.views.items()}
        for score in evaluate(vectors, test, raw=True):
            direction = f"{score['query']} → {score['item']}"
            row = {"corpus": corpus, "direction": direction, **score}
            rows.setdefault((corpus, direction), row)
    return pd.DataFrame(list(rows.values()))


def same_top_topic(run: Run, test: Corpus, a: str, b: str) -> np.ndarray:
    """Whether the two items of each aligned pair have the same most probable topic: bool (P,)."""
    first, second = aligned_pairs(test, a, b)
    return run.theta[a].argmax(axis=1)[first] == run.theta[b].argmax(axis=1)[second]


def measurements(
    runs: Sequence[Run], tests: Mapping[tuple, Corpus], table: "DataFrame", raw: "DataFrame"
) -> Measurements:
    """Everything that claims are about.

    ``table`` is `scores`' and ``raw`` `raw_scores`'; raw embeddings and chance are contenders of
    one seed.
    """
    by_name, role = {run.folder.name: run for run in runs}, roles_by_corpus(tests)
    measured: Measurements = {}
    for corpus, setting, query, item, rows in _paper_directions(table, role):
        where = corpus, setting
        pair = f"{role[corpus][query]}-{role[corpus][item]}"
        metric = rows["metric"].iloc[0]
        for _, seeds in rows.groupby("name", sort=False):
            who = seeds["contender"].iloc[0]
            queries, pairs = seeds["articles"].iloc[0], seeds["pair_articles"].iloc[0]
            same = [
                same_top_topic(by_name[name], tests[corpus_of(by_name[name])], query, item)
                for name in seeds["run"]
            ]
            values, divergences = (np.stack(seeds[x].tolist()) for x in ("values", "divergences"))
            tops = np.stack(same).astype(float)
            measured[*where, metric, pair, who] = Measured(values, queries)
            measured[*where, "JSD", pair, who] = Measured(divergences, pairs)
            measured[*where, "same top topic", pair, who] = Measured(tops, pairs)
        there = (raw["corpus"] == corpus) & (raw["query"] == query) & (raw["item"] == item)
        for _, row in raw[there].iterrows():
            by_chance = np.full((1, len(row["values"])), row["chance"])
            for who, values in ((RAW, row["values"][None]), (CHANCE, by_chance)):
                measured[*where, metric, pair, who] = Measured(values, row["articles"], False)
    for (corpus, setting, language, key), values in coherences(runs).items():
        if language in role[corpus]:
            measured[corpus, setting, "NPMI", role[corpus][language], key] = Measured(values)
    return measured


def _paper_directions(
    table: "DataFrame", role: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, str, str, "DataFrame"]]:
    """Corpus, setting, query, item and rows of each direction that the paper reports."""
    for setting in ("multilingual", "multimodal"):
        groups = as_in_the_paper(table, setting).groupby(["corpus", "query", "item"], sort=False)
        for (corpus, query, item), rows in groups:
            parts = role[corpus].get(query), role[corpus].get(item)
            pictured = "image" in parts
            # no multimodal setting without pictures, no pictures in the multilingual one
            foreign = pictured
            if setting == "multimodal":
                foreign = "image" not in role[corpus].values()
            if not foreign and f"{parts[0]}-{parts[1]}" in PAIRS:
                yield corpus, setting, query, item, rows


def coherences(runs: Sequence[Run]) -> dict[tuple[str, str, str, Contender], np.ndarray]:
    """NPMI of the topics, (seeds, K), by corpus, setting, language and contender (Tables 1 and 2).

    Of a student, it is that of its own language's topics.
    """
    values: dict[tuple[str, str, str, Contender], list] = {}
    for run in runs:
        settings = (setting_of(run),) if setting_of(run) else ("multilingual", "multimodal")
        for language, npmi in run.metrics["npmi_of_topics"].items():
            for setting in settings:
                key = run.params["corpus"], setting, language, contender_of(run.params)
                values.setdefault(key, []).append(npmi)
    return {key: np.array(npmi) for key, npmi in values.items()}
