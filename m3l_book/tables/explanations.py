"""Why models come out in the order that they do: scores on the validation part of runs that differ
in one respect, recorded ones and this build's.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import evaluate

from ..data.schema import PICTURES
from ..recorded import Recorded
from ..records.run import Run
from ..variants import contender_of
from .shared import spread

if TYPE_CHECKING:
    from pandas import DataFrame

RECORDED, BUILD = "recorded", "this build"
# best first, as the paper's Table 1 has them
PAPER_ORDER = ("ZeroshotTM", "M3L-Contrast", "PLTM")


def between_languages(runs: Sequence[Run], recorded: Recorded, corpus: str) -> "DataFrame":
    """Scores on the validation part from a corpus's first language to its second.

    A row a run of PLTM, of the query's own ZeroshotTM and of M3L-Contrast without pictures: columns
    ``source`` (`RECORDED` or `BUILD`), ``model``, ``variant`` (in words), ``seed``, ``tuples`` (it
    learnt from), ``score`` and ``chance``.
    """
    import pandas as pd

    rows = [
        {
            "source": BUILD,
            "model": run.params["model"],
            "variant": contender_of(run.params).variant,
            "views": " ".join(run.params["train_views"]),
            "seed": run.params["seed"],
            "tuples": run.metrics["training_tuples"],
            "first": list(run.params["encoders"])[:2] == [row["query"], row["item"]],
            **{key: row[key] for key in ("query", "item", "score", "chance")},
        }
        for run in runs
        if run.params["corpus"] == corpus
        for row in run.metrics.get("validation", [])
    ]
    columns = ["source", "model", "variant", "views", "seed", "tuples"]
    columns += ["query", "item", "score", "chance"]
    own = pd.DataFrame([row for row in rows if row["first"]], columns=columns)
    parts = [own]
    kept = recorded.scores
    if len(kept) and len(own):
        kept = kept[(kept["corpus"] == corpus) & (kept["part"] == "validation")]
        parts.append(kept.assign(source=RECORDED)[columns])
    table = pd.concat(parts, ignore_index=True)
    if not len(own):
        return table
    query, item = own["query"].iloc[0], own["item"].iloc[0]
    table = table[(table["query"] == query) & (table["item"] == item)]
    fits = {
        "PLTM": table["views"].notna(),
        "ZeroshotTM": table["views"] == query,
        "M3L-Contrast": ~table["views"].str.contains(PICTURES),
    }
    chosen = [table[(table["model"] == model) & fit] for model, fit in fits.items()]
    return pd.concat(chosen).drop(columns=["views", "query", "item"])


def as_they_are(rows: "DataFrame", numbers: Sequence[Mapping]) -> "DataFrame":
    """Each model of the main tables, best first in the paper: the paper's number, what was recorded
    and this build's, the two with ± standard deviation over seeds.

    ``numbers`` are `m3l_book.claims.reading.read_numbers`'.
    """
    import pandas as pd

    lines = []
    for model in PAPER_ORDER:
        about = "1", model, "MRR"
        printed = [n["value"] for n in numbers if (n["table"], n["model"], n["measure"]) == about]
        own = rows[(rows["model"] == model) & (rows["variant"] == "")]
        line = {"model": model, "paper": f"{printed[0]:.3f}"}
        for source in (RECORDED, BUILD):
            line[source] = spread(own[own["source"] == source]["score"].to_numpy())
        lines.append(line)
    return pd.DataFrame(lines)


def by_variant(rows: "DataFrame", model: str, whats: Sequence[str]) -> "DataFrame":
    """Mean ± standard deviation over seeds of a model and of its variants in each of ``whats``.

    A row a variant, the model as it is first, with a column for what was recorded and for this
    build where there is anything.
    """
    import pandas as pd

    own = rows[rows["model"] == model]
    variants = [v for v in dict.fromkeys(own["variant"]) if v and _about(v) <= set(whats)]
    lines = []
    for variant in ["", *sorted(variants, key=_in_order)]:
        line = {model: variant or "as in the main tables"}
        for source in (RECORDED, BUILD):
            scores = own[(own["variant"] == variant) & (own["source"] == source)]["score"]
            line[source] = spread(scores.to_numpy())
        lines.append(line)
    table = pd.DataFrame(lines)
    return table[[column for column in table if not (table[column] == "–").all()]]


def orders(rows: "DataFrame") -> "DataFrame":
    """Each setting that several models were trained in, with their scores and their order.

    A setting is a variant in one respect; a model that was not trained so is left out of its row.
    Recorded scores if there are any, and no others beside them.
    """
    import pandas as pd

    rows, lines = best_known(rows), []
    for variant in sorted(dict.fromkeys(rows["variant"]), key=_in_order):
        found = {}
        for model in PAPER_ORDER:
            own = rows[(rows["model"] == model) & (rows["variant"] == variant)]
            if len(own):
                found[model] = float(own["score"].mean())
        if len(found) < 2:
            continue
        ranked = sorted(found, key=lambda model: -found[model])
        same = ranked == [model for model in PAPER_ORDER if model in found]
        line = {"setting": variant or "as in the main tables"}
        line |= {model: found.get(model, np.nan) for model in PAPER_ORDER}
        whole = len(found) == len(PAPER_ORDER)
        said = ("yes" if same else "no") if whole else "–"
        lines.append({**line, "the paper's order": said})
    return pd.DataFrame(lines)


def best_known(rows: "DataFrame") -> "DataFrame":
    """The recorded rows, or this build's if there are none: the two are never mixed."""
    kept = rows[rows["source"] == RECORDED]
    return kept if len(kept) else rows


def along(rows: "DataFrame", what: str, panel: str, whole: float | None = None) -> "DataFrame":
    """Rows along a numeric variant, as `m3l_book.figures.charts.curves` takes them.

    ``whole`` is the value of a model as it is, by default the tuples that it learnt from; models
    without a variant in ``what`` are left out.
    """
    import pandas as pd

    parts = []
    for _, own in best_known(rows).groupby("model", sort=False):
        names = own["variant"].map(lambda v: _about(v) == {what})
        if names.any():
            values = own["variant"].where(names).str.removeprefix(f"{what} ").astype(float)
            at = own["tuples"].astype(float) if whole is None else whole
            own = own.assign(x=values.where(own["variant"] != "", at), panel=panel)
            parts.append(own[own["x"].notna()])
    return pd.concat(parts) if parts else rows.iloc[:0]


def retrieved(part: Corpus, theta: Mapping[str, np.ndarray]) -> float:
    """The retrieval score from the first view of ``theta``, (M, K) a view, to the second."""
    query, item = theta
    rows = evaluate(theta, part.select([query, item]))
    return next(row["score"] for row in rows if (row["query"], row["item"]) == (query, item))


def budgets(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> "DataFrame":
    """Mean ± standard deviation over seeds by way of inference, a row each: model -> way -> a score
    a seed.
    """
    import pandas as pd

    lines = [
        {"model": model, "inference": way, "score": spread(np.array(found))}
        for model, ways in scores.items()
        for way, found in ways.items()
    ]
    return pd.DataFrame(lines)


def _about(variant: str) -> set[str]:
    """What a variant in words changes."""
    return {part.rsplit(" ", 1)[0] for part in variant.split(", ") if part}


def _in_order(variant: str) -> tuple:
    """Variants by what they change and its value, numbers as numbers."""
    what, _, value = variant.rpartition(" ")
    try:
        return what, float(value), ""
    except ValueError:
        return what, 0.0, value


def when_the_order_appears(table: "DataFrame") -> str:
    """A sentence or two on `orders`' table: where the paper's order is found."""
    whole = table[table[list(PAPER_ORDER)].notna().all(axis=1)]
    same = list(whole[whole["the paper's order"] == "yes"]["setting"])
    where = f"in {len(same)} of {len(whole)} settings" if same else f"in none of {len(whole)}"
    text = f"The paper's order, {' before '.join(PAPER_ORDER)}, appears {where} in which all three"
    text += f" were trained{': ' + '; '.join(same) if same else ''}. "
    first, _, last = PAPER_ORDER
    both = table[table[[first, last]].notna().all(axis=1)]
    ahead = list(both[both[first] > both[last]]["setting"])
    text += f"{first} is before {last} in {len(ahead)} of {len(both)}"
    return f"{text}{': ' + '; '.join(ahead) if ahead else ''}."


def findings(
    rows: "DataFrame",
    of_zeroshot: Mapping[str, Sequence[float]],
    of_pltm: Mapping[str, Sequence[float]],
) -> str:
    """What the chapter found, as a list in Markdown that follows the numbers.

    ``rows`` are `between_languages`'; ``of_zeroshot`` and ``of_pltm`` map ways of inference to the
    two models' scores, one a seed.
    """
    here, rows, lines = rows[rows["source"] == BUILD], best_known(rows), []
    own = _means(rows, "PLTM")
    sampler = {v: s for v, s in own.items() if _about(v) <= {"sweeps", "alpha", "beta", "priors"}}
    if len(sampler) > 1:
        low, high = min(sampler.values()), max(sampler.values())
        lines.append(
            f"PLTM's score lies between {low:.3f} and {high:.3f} whatever the sweeps and priors"
            f" tried, and is {own['']:.3f} with those of the main tables."
        )
    for what in ("articles", "words"):
        fewest = [_fewest(rows, model, what) for model in PAPER_ORDER]
        told = [f"{m} from {whole:.3f} to {less:.3f}" for m, whole, less, _ in filter(None, fewest)]
        if told:
            value = next(entry[3] for entry in fewest if entry)
            lines.append(f"With {what} {value} instead of all: {', '.join(told)}.")
    tried = _means(rows, "ZeroshotTM")
    about = {"epochs", "topics", "texts", "inputs", "kl weight"}
    tried = {variant: score for variant, score in tried.items() if _about(variant) <= about}
    if tried:
        best = max(tried, key=lambda variant: tried[variant])
        name = best or "as in the main tables"
        lines.append(f"Of {len(tried)} ZeroshotTMs the best is {name}, {tried[best]:.3f}.")
    usual, read_off = "20 samples", {way: np.mean(s) for way, s in of_zeroshot.items()}
    if usual in read_off:
        best = max(read_off, key=lambda way: read_off[way])
        lines.append(
            f"Read off by {best}, the best of {len(read_off)} ways, a ZeroshotTM scores"
            f" {read_off[best]:.3f}; by {usual}, {read_off[usual]:.3f}."
        )
    others = [_means(here, model).get("") for model in PAPER_ORDER[:-1]]
    if "one state" in of_pltm and None not in others:
        state = float(np.mean(of_pltm["one state"]))
        ranked = [*others, state]
        end = "" if ranked == sorted(ranked, reverse=True) else "not "
        lines.append(
            f"Read off one state, PLTM scores {state:.3f}; beside"
            f" {' and '.join(f'{s:.3f}' for s in others)} of {' and '.join(PAPER_ORDER[:-1])} the"
            f" order is {end}the paper's."
        )
    return "\n".join(f"- {line}" for line in lines)


def _means(rows: "DataFrame", model: str) -> dict[str, float]:
    """A model's mean score by variant."""
    own = rows[rows["model"] == model]
    return own.groupby("variant", sort=False)["score"].mean().to_dict()


def _fewest(rows: "DataFrame", model: str, what: str) -> tuple[str, float, float, str] | None:
    """A model, its score as it is and with the least of something, and how little that was."""
    means = _means(rows, model)
    values = {v: float(v.rsplit(" ", 1)[1]) for v in means if _about(v) == {what}}
    if not values or "" not in means:
        return None
    least = min(values, key=lambda variant: values[variant])
    return model, means[""], means[least], f"{values[least]:g}"
