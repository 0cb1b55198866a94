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
    display(shown.set_caption(f"<span{_anchor(caption)}>{as_html(caption)}</span>"))
