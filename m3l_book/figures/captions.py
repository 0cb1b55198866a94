"""Figures and tables with a caption and a number, counted down a page."""

import os
import re
from typing import TYPE_CHECKING

from ..shown import as_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

CHAPTER = "M3L_CHAPTER"  # the environment variable that holds a chapter's number
_numbers: dict[tuple[str, str], int] = {}


def numbered(kind: str, text: str) -> str:
    """A caption with its number: that of the chapter, if it has one, and of the figure or table.

    The same caption gets the same number, however often its cell is run.
    """
    of_kind = [key for key in _numbers if key[0] == kind]
    number = _numbers.setdefault((kind, text), len(of_kind) + 1)
    chapter = os.environ.get(CHAPTER, "")
    return f"{kind} {f'{chapter}.' if chapter else ''}{number}. {text}"


def _anchor(caption: str) -> str:
    """An id by which a caption with a chapter's number is led to; "" for one without."""
    found = re.match(r"(Figure|Table) (\d+)\.(\d+)\. ", caption)
    return f' id="{found[1].lower()}-{found[2]}-{found[3]}"' if found else ""


def figure(drawn: "Figure", text: str) -> None:
    """Put a figure on the page with its caption, in plain text, below it."""
    from IPython.display import HTML, display

    from . import style  # matplotlib, which a program that executes chapters does not need

    style.show(drawn)
    caption = numbered("Figure", text)
    place = _anchor(caption)
    display(HTML(f'<p class="figure-caption"{place}>{as_html(caption)}</p>'))


def table(
    shown: "DataFrame | Styler",
    text: str,
    left: bool = False,
    index: bool = False,
    **formatting: object,
) -> None:
    """Put a table on the page with its caption, in plain text, above it.

    Parameters
    ----------
    shown : pandas.DataFrame, or Styler
        A frame of plain texts and numbers, or what `m3l_book.tables.shared.styled` made.
    text : str
        The caption.
    left, index : bool
        Of a frame: whether its cells are set from the left, and its index is shown.
    formatting
        Of a frame's numbers: what `Styler.format` takes.
    """
    from IPython.display import display

    from ..tables.shared import styled

    if not hasattr(shown, "set_caption"):
        shown = styled(shown, index=index)
        shown = shown.format(**formatting) if formatting else shown
        shown = shown.set_properties(**{"text-align": "start"}) if left else shown
    caption = numbered("Table", text)
    said = f"<span{_anchor(caption)}>{as_html(caption)}</span>"
    gaps = shown.data.astype(str).eq("–") | (shown.data.isna() & (formatting.get("na_rep") == "–"))
    if gaps.any(axis=None) and _is_first_with_dashes(text):
        said += " A dash means that there is no such value."
    display(shown.set_caption(said))


def _is_first_with_dashes(text: str) -> bool:
    """Tell whether the table of a caption is the first of the page that needs its dashes explained;
    one whose caption explains them does not.
    """
    first = next((of for kind, of in _numbers if kind == "dashes"), text)
    if first == text and "–" not in text:
        _numbers["dashes", text] = 1
        return True
    return False
