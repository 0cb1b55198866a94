"""Scores of many runs in one frame, and everything that claims are about."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate

from .run import Run
from .selection import corpus_of, home_of, roles_by_corpus


def scores(runs: Sequence[Run]):
    """A row per run and direction: `evaluate`'s fields with corpus, model, seed, run, direction,
    `home_of` and setting; a data frame.

    ``setting`` is that of Section 4.2: a joint model is ``multilingual`` or, trained with pictures,
    ``multimodal``; others are both, "".
    """
    import pandas as pd

    rows = []
    for run in runs:
        joint = "multimodal" if "image" in run.params["train_views"] else "multilingual"
        about = {
            **{
                "corpus": run.params["corpus"],
                "model": run.params["model"],
                "seed": run.params["seed"],
                "run": run.folder.name,
            },
            **{"home": home_of(run), "setting": "" if home_of(run) else joint},
        }
        rows += [
            {**about, "direction": f"{s['query']} → {s['item']}", **s}
            for s in run.metrics["scores"]
        ]
    return pd.DataFrame(rows)


def as_in_the_paper(table, setting: str = ""):
    """The rows of `scores` that stand for a model in the paper's tables, where several runs of it
    answer the same question.

    In each direction a ZeroshotTM, or a student's teacher, is the one of the text's own language
    (the query's, if both are texts); a joint model is the one trained without pictures between
    texts, and with them otherwise, or as ``setting`` says. Where there is no such run the others
    stand in.
    """
    text = table["query"].where(table["query"] != "image", table["item"])
    with_image = (table["query"] == "image") | (table["item"] == "image")
    wanted = setting if setting else np.where(with_image, "multimodal", "multilingual")
    fits = table["home"].isin([""]) | (table["home"] == text)
    fits &= (table["setting"] == "") | (table["setting"] == wanted)
    chosen = fits | ~fits.groupby([table["corpus"], table["model"], table["direction"]]).transform(
        "any"
    )
    return table[chosen]


def raw_scores(tests: Mapping[tuple, Corpus]):
    """What the raw embeddings score (footnote 4): `evaluate`'s rows with corpus and direction, one
    of each; a data frame.
    """
    import pandas as pd

    found = {}
    for (corpus, _), test in tests.items():
        if all((corpus, f"{a} → {b}") in found for a, b in permutations(test.views, 2)):
            continue  # of several encoders the first count: those of the main runs
        for s in evaluate({v: view.embeddings for v, view in test.views.items()}, test, raw=True):
            found.setdefault(
                (corpus, f"{s['query']} → {s['item']}"),
                {"corpus": corpus, "direction": f"{s['query']} → {s['item']}", **s},
            )
    return pd.DataFrame(list(found.values()))


def same_top_topic(run: Run, test: Corpus, a: str, b: str) -> np.ndarray:
    """For each aligned pair of items of two views whether their most probable topics are the same:
    bool (P,).
    """
    first, second = aligned_pairs(test, a, b)
    return run.theta[a].argmax(axis=1)[first] == run.theta[b].argmax(axis=1)[second]


def measurements(
    runs: Sequence[Run], tests: Mapping[tuple, Corpus], table, raw
) -> dict[tuple[str, str, str, str, str], np.ndarray]:
    """Everything that claims are about: (corpus, setting, measure, pair in the paper's terms,
    model) -> (seeds, units).

    ``table`` is `scores`' and ``raw`` `raw_scores`'; raw embeddings and chance are models of one
    seed.
    """
    by_name, part, found = {run.folder.name: run for run in runs}, roles_by_corpus(tests), {}
    for setting in ("multilingual", "multimodal"):
        chosen = as_in_the_paper(table, setting)
        for (corpus, query, item), rows in chosen.groupby(["corpus", "query", "item"], sort=False):
            role = part[corpus]
            pair = f"{role.get(query)}-{role.get(item)}"
            # no multimodal setting without pictures, no pictures in the multilingual one
            foreign = "image" not in role if setting == "multimodal" else "image" in pair
            if foreign or pair not in ("en-de", "en-image", "de-image"):
                continue
            metric = rows["metric"].iloc[0]
            for model, seeds in rows.groupby("model", sort=False):
                found[corpus, setting, metric, pair, model] = np.stack(seeds["values"].tolist())
                found[corpus, setting, "JSD", pair, model] = np.stack(seeds["divergences"].tolist())
                same = [
                    same_top_topic(by_name[n], tests[corpus_of(by_name[n])], query, item)
                    for n in seeds["run"]
                ]
                found[corpus, setting, "same top topic", pair, model] = np.stack(same).astype(float)
            reference = raw[
                (raw["corpus"] == corpus) & (raw["query"] == query) & (raw["item"] == item)
            ]
            for _, row in reference.iterrows():
                found[corpus, setting, metric, pair, "raw embeddings"] = row["values"][None]
                found[corpus, setting, metric, pair, "chance"] = np.full(
                    (1, len(row["values"])), row["chance"]
                )
    for (corpus, setting, language, model), values in coherences(runs).items():
        if language in part[corpus]:
            found[corpus, setting, "NPMI", part[corpus][language], model] = values
    return found


def coherences(runs: Sequence[Run]) -> dict[tuple[str, str, str, str], np.ndarray]:
    """(corpus, setting, language, model) -> NPMI of the topics (seeds, K); of a student, its own
    language's. As in Tables 1 and 2.
    """
    found = {}
    for run in runs:
        joint = "multimodal" if "image" in run.params["train_views"] else "multilingual"
        for language, values in run.metrics["npmi_of_topics"].items():
            for setting in ("multilingual", "multimodal") if home_of(run) else (joint,):
                found.setdefault(
                    (run.params["corpus"], setting, language, run.params["model"]), []
                ).append(values)
    return {key: np.array(values) for key, values in found.items()}
