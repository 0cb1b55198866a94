"""Section 6: what topic numbers, batch sizes and encoders change; tables of many runs along one
parameter.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate
from m3l.metrics.spaces import modality_gap, neighbour_overlap

from ..records.results import as_in_the_paper, scores
from ..records.run import Run
from ..records.selection import PAPER_MODELS, encoders_of, spaces_of, training_tuples
from .cells import score_cell, spread


def points(runs: Sequence[Run], axes: Sequence[str]):
    """A row a run and a direction that the paper reports, with the parameters ``axes``; a data
    frame.

    Columns of `report.scores`, and ``base``, the model without what distinguishes the point;
    ``panel``, where a figure shows it; ``updates``, steps of Adam; ``NPMI``, the mean over the
    languages that it has topics in, to compare only models that have the same; ``seconds``. Between
    texts a joint model is the one trained without pictures, if there is one; otherwise as
    `report.as_in_the_paper` has it.
    """
    import pandas as pd

    table = scores(runs)
    chosen = as_in_the_paper(table).copy()
    by_run = {run.folder.name: run for run in runs}
    order = {
        view: i
        for i, view in enumerate(dict.fromkeys(v for run in runs for v in run.params["encoders"]))
    }
    forward = chosen["query"].map(order) < chosen["item"].map(order)
    chosen = chosen[forward].copy()
    chosen["base"] = chosen["model"].str.partition(",")[0]
    chosen = chosen.sort_values(
        "base",
        key=lambda names: names.map({m: i for i, m in enumerate(PAPER_MODELS)}),
        kind="stable",
    )  # colours as in other figures
    chosen["panel"] = chosen["corpus"] + ": " + chosen["direction"] + ", " + chosen["metric"]
    about = {
        name: {
            **{axis: run.params.get(axis) for axis in axes},
            "updates": _updates(run),
            "NPMI": (
                float(np.mean(list(run.metrics["npmi"].values())))
                if run.metrics["npmi"]
                else np.nan
            ),
            "seconds": run.metrics["seconds"],
        }
        for name, run in by_run.items()
    }
    extra = pd.DataFrame([about[name] for name in chosen["run"]], index=chosen.index)
    return pd.concat([chosen, extra], axis=1)


def _updates(run: Run) -> float:
    if "batch_size" not in run.params:
        return np.nan
    return float(-(-training_tuples(run) // run.params["batch_size"]) * run.params["epochs"])


def mean_table(rows, along: Sequence[str], columns: Sequence[str] = ("score", "jsd")):
    """Mean ± standard deviation over seeds of ``columns``, and the number of seeds, by panel and
    ``along``; a data frame.
    """
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
    """The points of Figures 3 to 6 that the paper's Tables 1 and 2 repeat: ``panel``, ``base``,
    ``x`` and ``score``.

    ``panels`` maps a panel to its (setting, pair) in the paper's terms; ``x`` is the value that the
    tables were made with.
    """
    found = []
    for panel, (setting, pair) in panels.items():
        for row in numbers:
            if (
                row["table"] in ("1", "2")
                and row["measure"] in ("MRR", "UAP")
                and (row["setting"], row["pair"]) == (setting, pair)
            ):
                found.append({"panel": panel, "base": row["model"], "x": x, "score": row["value"]})
    return found


def panels_of(rows, roles: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """The panels of `points` that the paper has too, with (setting, pair) in its terms; ``roles``
    is `report.roles_by_corpus`'.
    """
    found = {}
    for (panel, corpus, query, item), _ in rows.groupby(
        ["panel", "corpus", "query", "item"], sort=False
    ):
        pair = f"{roles[corpus].get(query)}-{roles[corpus].get(item)}"
        if pair in ("en-de", "en-image", "de-image"):
            found[panel] = "multimodal" if "image" in pair else "multilingual", pair
    return found


def paper_row(run: Run, data: str) -> tuple[str, str]:
    """The row of Table 4 that a run's encoders play the part of, by the text and image encoders
    that begin its names.

    Texts in one space that pictures were mapped into stand for CLIP's; texts in one space and
    pictures in another for multilingual SBERT; texts in spaces of their own for the two monolingual
    SBERTs. Pictures mapped into a text space stand for CLIP's, others for ResNet's.
    """
    spaces = spaces_of(run, data)
    texts = {space for view, space in spaces.items() if view != "image"}
    mapped = run.params["encoders"]["image"].startswith(("pocket-clip", "clip"))
    aligned = "clip" if spaces["image"] in texts else "paraphrase-multilingual"
    return "all-mpnet-base-v2" if len(texts) > 1 else aligned, "clip" if mapped else "ResNet"


def table4(
    runs: Sequence[Run],
    languages: Sequence[str],
    data: str,
    numbers: Sequence[Mapping],
    draws: int = 2000,
):
    """Table 4 on one corpus: a row an encoder combination, cells as in `report.paper_table`; a
    styled frame.

    ``runs`` are joint models trained with pictures, of all combinations and seeds.
    """
    import pandas as pd

    a, b = languages
    pairs = [
        (a, b, "en-de", "MRR"),
        (a, "image", "en-image", "UAP"),
        (b, "image", "de-image", "UAP"),
    ]
    lines = {}
    for name in dict.fromkeys(map(encoders_of, runs)):
        same = [run for run in runs if encoders_of(run) == name]
        text, image = paper_row(same[0], data)
        printed = {
            (n["pair"], n["measure"]): n["value"]
            for n in numbers
            if n["table"] == "4"
            and n["text_encoder"].startswith(text)
            and n["image_encoder"].startswith(image)
        }
        line = {"paper's row": f"{_short(text)} + {image.upper() if image == 'clip' else image}"}
        for query, item, pair, measure in pairs:
            rows = [
                next(s for s in run.metrics["scores"] if (s["query"], s["item"]) == (query, item))
                for run in same
            ]
            for column, key, what in (
                (f"{measure} {query} → {item}", "values", measure),
                (f"JSD {query} – {item}", "divergences", "JSD"),
            ):
                line[column] = score_cell(
                    np.stack([row[key] for row in rows]), printed.get((pair, what)), draws
                )
        lines[name.replace(" + ", "<br>")] = line
    return pd.DataFrame(lines).T.style.set_table_attributes('class="paper-table"')


def _short(text: str) -> str:
    return {
        "clip": "CLIP",
        "paraphrase-multilingual": "multilingual SBERT",
        "all-mpnet-base-v2": "monolingual SBERTs",
    }[text]


def alignment(test: Corpus, spaces: Mapping[str, str], neighbours: int = 10) -> list[dict]:
    """How aligned a test corpus's encoders are before any training, a row a pair of views: raw
    retrieval in both directions with chance,
    the modality gap and the overlap of neighbourhoods.

    Retrieval and gap need one width; in two spaces of one width they are what unaligned vectors
    give. Overlap needs neither.
    """
    vectors = {view: items.embeddings for view, items in test.views.items()}
    raw = {(s["query"], s["item"]): s for s in evaluate(vectors, test, raw=True, draws=1)}
    rows, views = [], list(vectors)
    for i, a in enumerate(views):
        for b in views[i + 1 :]:
            x, y = aligned_pairs(test, a, b)
            there = (a, b) in raw
            rows.append(
                {
                    "views": f"{a} – {b}",
                    "one space": "yes" if spaces[a] == spaces[b] else "no",
                    "metric": raw[a, b]["metric"] if there else "–",
                    "there": raw[a, b]["score"] if there else np.nan,
                    "back": raw[b, a]["score"] if there else np.nan,
                    "chance": raw[a, b]["chance"] if there else np.nan,
                    "gap": modality_gap(vectors[a], vectors[b]) if there else np.nan,
                    f"{neighbours} neighbours in common": neighbour_overlap(
                        vectors[a][x], vectors[b][y], neighbours
                    ),
                }
            )
    return rows
