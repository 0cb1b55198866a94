"""What the cells of tables hold."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from m3l.metrics.uncertainty import interval_of_mean

from ..shown import as_html

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

    from ..record_check import Cell


def styled(
    frame: "DataFrame", markup: bool | Collection[str] = (), index: bool = False
) -> "Styler":
    """A frame ready to be shown, its texts as themselves.

    Parameters
    ----------
    frame : pandas.DataFrame
    markup : bool or names of columns
        The columns whose cells, and with True whose heads and the index too, are HTML made here.
        Whatever of a corpus is in them must have gone through `m3l_book.shown.as_html`.
    index : bool
        Whether the index is shown.
    """
    shown = frame.copy()
    if markup is not True:
        for place, column in enumerate(frame.columns):
            if column not in markup:
                cells = frame.iloc[:, place]
                texts = [as_html(v) if isinstance(v, str) else v for v in cells]
                if any(isinstance(v, str) for v in cells):
                    shown.isetitem(place, texts)
        shown.columns = [as_html(c) if isinstance(c, str) else c for c in frame.columns]
        if index and frame.index.nlevels == 1:
            shown.index = [as_html(i) if isinstance(i, str) else i for i in frame.index]
    return shown.style if index else shown.style.hide(axis="index")


def shorten(text: str | None, n: int = 60) -> str:
    """The text cut at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def names_of(rows: "DataFrame", language: str) -> list[str]:
    """What each row's article is called: its title in a language, or in another, or its id."""
    own = f"{language}_title"
    columns = [own, *(c for c in rows if c.endswith("_title") and c != own), "article_id"]
    found = rows[[c for c in columns if c in rows]].astype(object)
    return [next(str(v) for v in row if v is not None and v == v) for row in found.to_numpy()]


def spread(values: np.ndarray, digits: int = 3) -> str:
    """Mean ± standard deviation of one value a seed, as tables show them; "–" of nothing."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}"


def score_cell(
    values: np.ndarray,
    paper: float | None = None,
    articles: np.ndarray | None = None,
    live: "Cell | None" = None,
) -> str:
    """Write a cell of the paper's tables, as HTML, from each seed's values (S, N).

    `spread` over seeds; with ``articles`` (N,) that they are of, the 95 % interval over articles
    and seeds; what this build's runs have, marked if it lies outside what recorded seeds make
    likely; the paper's number, if there is one.
    """
    mean, sign, deviation = spread(values.mean(axis=1)).partition(" ± ")
    lines = [f"<b>{mean}</b>{sign}{deviation}"]
    interval = None if articles is None else interval_of_mean(values, articles)
    if interval is not None:
        lines.append(f"{interval[0]:.3f} – {interval[1]:.3f}")
    if live is not None:
        mark = "✔" if live.inside else "<b>✘ outside</b>"
        lines.append(f"here {live.value:.3f} {mark}")
    if paper is not None:
        lines.append(f"<i>paper {paper:.3f}</i>")
    return "<br>".join(lines)


def own_direction(pair: str, role: Mapping[str, str]) -> str:
    """A pair in the paper's terms with a corpus's own view names: ``en-de`` -> ``en → fr``."""
    view = {part: name for name, part in role.items()}
    return " → ".join(view[part] for part in pair.split("-"))
