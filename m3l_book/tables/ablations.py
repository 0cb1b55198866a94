"""Section 6: what topic numbers, batch sizes and encoders change; many runs along a parameter."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate
from m3l.metrics.spaces import modality_gap, neighbour_overlap

from ..data.schema import PICTURES
from ..encoders.spaces import reads_pictures_and_texts
from ..recorded import Recorded
from ..records.results import PAIRS, as_in_the_paper, scores
from ..records.run import Run, updates_an_epoch
from ..records.selection import PAPER_MODELS, encoders_of, languages_of, spaces_of
from ..shown import as_html
from ..variants import Contender, contender, contender_of
from .cells import score_cell, spread, styled

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

# rows of Table 4: how the names of their encoders begin, and what a table calls them
TEXT_ENCODERS = {
    "clip": "CLIP",
    "paraphrase-multilingual": "multilingual SBERT",
    "all-mpnet-base-v2": "monolingual SBERTs",
}
IMAGE_ENCODERS = {"clip": "CLIP", "ResNet": "ResNet"}


def points(runs: Sequence[Run], axes: Sequence[str]) -> "DataFrame":
    """A row a run and a direction that the paper reports, with the parameters ``axes``.

    Columns of `scores`, and ``panel``, where a figure shows it; ``updates``, steps of Adam;
    ``NPMI``, the mean over the languages that it has topics in, to compare only models that have
    the same; ``seconds``. Between texts a joint model is the one trained without pictures, if there
    is one; otherwise as `as_in_the_paper` has it.
    """
    import pandas as pd

    table = as_in_the_paper(scores(runs))
    views = dict.fromkeys(view for run in runs for view in run.params["encoders"])
    order = {view: place for place, view in enumerate(views)}
    table = table[table["query"].map(order) < table["item"].map(order)].copy()
    # colours as in other figures
    place = {model: number for number, model in enumerate(PAPER_MODELS)}
    table = table.sort_values("model", key=lambda names: names.map(place), kind="stable")
    table["panel"] = table["corpus"] + ": " + table["direction"] + ", " + table["metric"]
    by_name = {run.folder.name: _columns(run, axes) for run in runs}
    return pd.concat(
        [table, pd.DataFrame([by_name[name] for name in table["run"]], index=table.index)], axis=1
    )


def _columns(run: Run, axes: Sequence[str]) -> dict:
    npmi = list(run.metrics["npmi"].values())
    return {
        **{axis: run.params.get(axis) for axis in axes},
        "updates": updates_an_epoch(run) * run.params.get("epochs", 0) or np.nan,
        "NPMI": float(np.mean(npmi)) if npmi else np.nan,
        "seconds": run.metrics["seconds"],
    }


def mean_table(
    rows: "DataFrame", along: Sequence[str], columns: Sequence[str] = ("score", "jsd")
) -> "DataFrame":
    """Mean ± standard deviation over seeds of ``columns``, by panel and ``along``."""
    import pandas as pd

    lines = []
    for key, part in rows.groupby(["panel", *along], sort=True):
        line = dict(zip(["", *along], key, strict=True)) | {"seeds": part["seed"].nunique()}
        for column in columns:
            line[column] = spread(part[column].to_numpy(), 0 if column == "seconds" else 3)
        lines.append(line)
    return pd.DataFrame(lines)


def paper_points(
    numbers: Sequence[Mapping], panels: Mapping[str, tuple[str, str]], x: float
) -> list[dict]:
    """The points of Figures 3 to 6 that the paper's Tables 1 and 2 repeat.

    ``panels`` maps a panel to its (setting, pair) in the paper's terms; ``x`` is the value that the
    tables were made with. Each has ``panel``, ``model``, ``x`` and ``score``.
    """
    stars = []
    for panel, place in panels.items():
        for row in numbers:
            retrieval = row["table"] in ("1", "2") and row["measure"] in ("MRR", "UAP")
            if retrieval and (row["setting"], row["pair"]) == place:
                star = {"panel": panel, "model": row["model"], "x": x, "score": row["value"]}
                stars.append(star)
    return stars


def panels_of(
    rows: "DataFrame", roles: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[str, str]]:
    """The panels of `points` that the paper has too, with (setting, pair) in its terms.

    ``roles`` is `m3l_book.records.selection.roles_by_corpus`'.
    """
    panels = {}
    groups = rows.groupby(["panel", "corpus", "query", "item"], sort=False)
    for (panel, corpus, query, item), _ in groups:
        pair = f"{roles[corpus].get(query)}-{roles[corpus].get(item)}"
        if pair in PAIRS:
            panels[panel] = "multimodal" if "image" in pair else "multilingual", pair
    return panels


def recorded_points(
    rows: "DataFrame", roles: Mapping[str, Mapping[str, str]], recorded: Recorded, axis: str
) -> list[dict]:
    """Recorded means along a parameter for the panels of ``rows``, as `points` has them.

    Each has ``panel``, ``model``, ``contender``, ``x`` and ``score``; the models are those that
    differ from the main one in ``axis``, and in as many updates at most. In order of ``x``.
    """
    found = []
    places = panels_of(rows, roles)
    for panel, part in rows.groupby("panel", sort=False):
        if panel not in places:
            continue
        setting, pair = places[panel]
        where = (part["corpus"].iloc[0], setting, part["metric"].iloc[0], pair)
        for (*place, who), measured in recorded.measured.items():
            along = who.value(axis) and {what for what, _ in who.changes} <= {axis, "updates"}
            if tuple(place) == where and along:
                about = {"panel": panel, "model": who.model, "contender": who}
                score = float(measured.values.mean())
                found.append({**about, "x": float(who.value(axis)), "score": score})
    return sorted(found, key=lambda point: point["x"])


def paper_row(run: Run, data: str) -> tuple[str, str]:
    """The row of Table 4 that a run's encoders play the part of: keys of its encoders' names.

    Texts in one space that pictures were mapped into stand for CLIP's; texts in one space and
    pictures in another for multilingual SBERT; texts in spaces of their own for the two monolingual
    SBERTs. Pictures in a space that texts can be in stand for CLIP's, others for ResNet's.
    """
    spaces = spaces_of(run, data)
    texts = {space for view, space in spaces.items() if view != PICTURES}
    image = "clip" if reads_pictures_and_texts(spaces[PICTURES]) else "ResNet"
    if len(texts) > 1:
        return "all-mpnet-base-v2", image
    return "clip" if spaces[PICTURES] in texts else "paraphrase-multilingual", image


def table4(
    runs: Sequence[Run],
    role: Mapping[str, str],
    data: str,
    numbers: Sequence[Mapping],
    recorded: Recorded | None = None,
) -> "Styler":
    """Table 4 on one corpus: a column an encoder combination, cells as in Tables 1 and 2.

    ``runs`` are joint models trained with pictures, of all combinations and seeds; ``role`` is
    `m3l_book.records.selection.roles` of the corpus; ``recorded`` has numbers of the same variants.
    """
    import pandas as pd

    a, b = languages_of(role)
    pairs = [(a, b, "MRR"), (a, PICTURES, "UAP"), (b, PICTURES, "UAP")]
    lines = {}
    for name in dict.fromkeys(map(encoders_of, runs)):
        same = [run for run in runs if encoders_of(run) == name]
        text, image = paper_row(same[0], data)
        printed = _printed(numbers, text, image)
        names = TEXT_ENCODERS[text].replace(" ", "<br>"), IMAGE_ENCODERS[image]
        line = {"paper's row": "<br>".join(names)}
        for query, item, measure in pairs:
            rows = [_direction(run, query, item) for run in same]
            pair = f"{role[query]}-{role[item]}"
            values = np.stack([row["values"] for row in rows])
            divergences = np.stack([row["divergences"] for row in rows])
            kept = _recorded_cell(same[0], pair, recorded or Recorded())
            score = score_cell(
                values, printed.get((pair, measure)), rows[0]["articles"], kept.get(measure)
            )
            line[f"{measure} {query} → {item}"] = score
            of_pairs = rows[0]["pair_articles"]
            jsd = score_cell(divergences, printed.get((pair, "JSD")), of_pairs, kept.get("JSD"))
            line[f"JSD {query} – {item}"] = jsd
        lines[as_html(name).replace(" + ", "<br>")] = line
    shown = styled(pd.DataFrame(lines), markup=True, index=True)
    return shown.set_table_attributes('class="paper-table"')


def _recorded_cell(run: Run, pair: str, recorded: Recorded) -> dict[str, float | None]:
    """The recorded means of a run's variant, by measure."""
    who, corpus = contender_of(run.params), run.params["corpus"]
    measures = ("MRR", "UAP", "JSD")
    return {m: recorded.mean(corpus, "multimodal", m, pair, who) for m in measures}


def _printed(numbers: Sequence[Mapping], text: str, image: str) -> dict[tuple[str, str], float]:
    """A row of Table 4 by pair and measure."""
    return {
        (row["pair"], row["measure"]): row["value"]
        for row in numbers
        if row["table"] == "4"
        and row["text_encoder"].startswith(text)
        and row["image_encoder"].startswith(image)
    }


def _direction(run: Run, query: str, item: str) -> Mapping:
    rows = run.metrics["scores"]
    return next(row for row in rows if (row["query"], row["item"]) == (query, item))


def alignment(test: Corpus, spaces: Mapping[str, str], neighbours: int = 10) -> list[dict]:
    """How aligned a test corpus's encoders are before any training, a row a pair of views.

    Raw retrieval in both directions with chance, the modality gap and the overlap of
    neighbourhoods. Retrieval and gap need one width; in two spaces of one width they are what
    unaligned vectors give. Overlap needs neither.
    """
    vectors = {view: items.embeddings for view, items in test.views.items()}
    raw = {(s["query"], s["item"]): s for s in evaluate(vectors, test, raw=True)}
    rows, views = [], list(vectors)
    for i, a in enumerate(views):
        for b in views[i + 1 :]:
            x, y = aligned_pairs(test, a, b)
            row = {"views": f"{a} – {b}", "one space": "yes" if spaces[a] == spaces[b] else "no"}
            row |= {"metric": "–"} | dict.fromkeys(("there", "back", "chance", "gap"), np.nan)
            if (a, b) in raw:
                there, back = raw[a, b], raw[b, a]
                row |= {"metric": there["metric"], "there": there["score"]}
                row |= {"back": back["score"], "chance": there["chance"]}
                row["gap"] = modality_gap(vectors[a], vectors[b])
            common = neighbour_overlap(vectors[a][x], vectors[b][y], neighbours)
            rows.append(row | {f"{neighbours} neighbours in common": common})
    return rows


def hybrids(runs: Sequence[Run]) -> "DataFrame":
    """M3L-Contrast with one network for all languages beside that with a network a language.

    Section 5.2's future work. A row a corpus and direction; empty where no hybrid was trained.
    """
    import pandas as pd

    names = Contender("M3L-Contrast"), contender("M3L-Contrast", {"text network": "shared"})
    joint = [run for run in runs if contender_of(run.params) in names]
    trained = {
        (run.params["corpus"], tuple(run.params["train_views"]))
        for run in joint
        if contender_of(run.params) == names[1]
    }
    both = [
        run for run in joint if (run.params["corpus"], tuple(run.params["train_views"])) in trained
    ]
    if not both:
        return pd.DataFrame()
    groups = scores(both).groupby(["corpus", "direction", "metric", "name"], sort=False)
    return groups["score"].agg(spread).unstack().reset_index()
