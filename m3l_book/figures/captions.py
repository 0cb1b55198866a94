"""Figures and tables with a caption and a number, counted down a page."""

import os
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from . import style

if TYPE_CHECKING:
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


def figure(drawn: Figure, text: str) -> None:
    """Put a figure on the page with its caption, in plain text, below it."""
    from IPython.display import HTML, display

    style.show(drawn)
    caption = escape(numbered("Figure", text), quote=False)
    display(HTML(f'<p class="figure-caption">{caption}</p>'))


def table(shown: "DataFrame | Styler", text: str) -> None:
    """Put a table on the page with its caption, in plain text, above it; a frame without its
    index.
    """
    from IPython.display import display

    styled = shown if hasattr(shown, "set_caption") else shown.style.hide(axis="index")
    display(styled.set_caption(escape(numbered("Table", text), quote=False)))
