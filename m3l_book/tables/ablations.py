"""Section 6: what topic numbers, batch sizes and encoders change; many runs along a parameter."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..data.schema import PICTURES
from ..encoders.spaces import reads_pictures_and_texts, space_of
from ..recorded import Recorded
from ..records.results import PAIRS
from ..records.selection import PAPER_MODELS, languages_of
from ..shown import as_html
from ..variants import Contender, contender
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


def with_panels(rows: "DataFrame") -> "DataFrame":
    """Add ``panel``, where a figure shows a row of `m3l_book.recorded.Recorded.scores`: corpus,
    direction and metric; models come in the order of the paper, so that they keep their colours.
    """
    place = {model: number for number, model in enumerate(PAPER_MODELS)}
    rows = rows.sort_values("model", key=lambda names: names.map(place), kind="stable")
    return rows.assign(panel=rows["corpus"] + ": " + rows["direction"] + ", " + rows["metric"])


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


def paper_row(encoders: Mapping[str, str]) -> tuple[str, str]:
    """Return the row of Table 4 that encoders play the part of: keys of its encoders' names.

    Texts in one space that pictures were mapped into stand for CLIP's; texts in one space and
    pictures in another for multilingual SBERT; texts in spaces of their own for the two monolingual
    SBERTs. Pictures in a space that texts can be in stand for CLIP's, others for ResNet's.
    """
    spaces = {view: space_of(encoder) for view, encoder in encoders.items()}
    texts = {space for view, space in spaces.items() if view != PICTURES}
    image = "clip" if reads_pictures_and_texts(spaces[PICTURES]) else "ResNet"
    if len(texts) > 1:
        return "all-mpnet-base-v2", image
    return "clip" if spaces[PICTURES] in texts else "paraphrase-multilingual", image


def combinations_of(found: Recorded, corpus: str) -> dict[Contender, dict[str, str]]:
    """Return the encoders, by view, of each M3L-Contrast that was trained with pictures and differs
    in nothing else.
    """
    rows = found.scores
    joint = (rows["corpus"] == corpus) & (rows["model"] == "M3L-Contrast")
    rows = rows[joint & rows["views"].str.contains(PICTURES)].drop_duplicates("name")
    of_encoders = {"texts", "pictures", "encoders"}
    fits = rows["changes"].map(lambda changes: set(changes) <= of_encoders)
    return {row.contender: json.loads(row.encoders) for row in rows[fits].itertuples()}


def table4(found: Recorded, corpus: str, numbers: Sequence[Mapping]) -> "Styler":
    """Table 4 on one corpus: a column per encoder combination, cells as in Tables 1 and 2."""
    import pandas as pd

    role = found.roles[corpus]
    a, b = languages_of(role)
    pairs = [(a, b, "MRR"), (a, PICTURES, "UAP"), (b, PICTURES, "UAP")]
    lines = {}
    for who, encoders in combinations_of(found, corpus).items():
        text, image = paper_row(encoders)
        printed = _printed(numbers, text, image)
        names = TEXT_ENCODERS[text].replace(" ", "<br>"), IMAGE_ENCODERS[image]
        line = {"paper's row": "<br>".join(names)}
        for query, item, metric in pairs:
            pair = f"{role[query]}-{role[item]}"
            heads = {metric: f"{metric} {query} → {item}", "JSD": f"JSD {query} – {item}"}
            for measure, head in heads.items():
                own = found.measured[corpus, "multimodal", measure, pair, who]
                line[head] = score_cell(own.values, printed.get((pair, measure)), own.units)
        lines["<br>".join(as_html(name) for name in dict.fromkeys(encoders.values()))] = line
    shown = styled(pd.DataFrame(lines), markup=True, index=True)
    return shown.set_table_attributes('class="paper-table"')


def _printed(numbers: Sequence[Mapping], text: str, image: str) -> dict[tuple[str, str], float]:
    """A row of Table 4 by pair and measure."""
    return {
        (row["pair"], row["measure"]): row["value"]
        for row in numbers
        if row["table"] == "4"
        and row["text_encoder"].startswith(text)
        and row["image_encoder"].startswith(image)
    }


def hybrids(rows: "DataFrame") -> "DataFrame":
    """Show M3L-Contrast with one network for all languages beside that with a network per language.

    Section 5.2's future work. ``rows`` are of `m3l_book.recorded.Recorded.scores`; the table has a
    row per corpus and direction, and none where no hybrid was trained.
    """
    names = Contender("M3L-Contrast"), contender("M3L-Contrast", {"text network": "shared"})
    both = rows[rows["contender"].isin(names)]
    shared = both[both["contender"] == names[1]]
    trained = set(zip(shared["corpus"], shared["views"], strict=True))
    both = both[[place in trained for place in zip(both["corpus"], both["views"], strict=True)]]
    groups = both.groupby(["corpus", "direction", "metric", "name"], sort=False)
    return groups["score"].agg(spread).unstack().reset_index() if len(both) else both
