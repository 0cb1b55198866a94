"""Fonts for letters that the usual one has not: those of this machine, else the reader's own.

On a page a text of a figure stays text, and the reader's browser finds the letters. A PDF for print
takes its fonts along, so a text whose letters no font of this machine has is left out of it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

BOXES = "Last Resort"
"""The font of matplotlib that has a box for every letter."""


def texts_of(figure: Figure) -> list[Text]:
    """The texts of a figure that say anything."""
    return [text for text in figure.findobj(Text) if text.get_text().strip()]


def dress(figure: Figure) -> list[str]:
    """Give every text of a figure fonts that have its letters.

    Returns
    -------
    The texts of which some letter is in no font of this machine.
    """
    lacking = []
    for text in texts_of(figure):
        usual = font_manager.findfont(text.get_fontproperties())
        missing = {ord(sign) for sign in text.get_text() if sign.isprintable()} - _letters(usual)
        if missing:
            families, still = _families_with(frozenset(missing))
            text.set_fontfamily([*text.get_fontfamily(), *families])
            lacking += [text.get_text()] if still else []
    return list(dict.fromkeys(lacking))


@contextmanager
def without(figure: Figure, texts: list[str]) -> Iterator[None]:
    """Some texts of a figure are not drawn for a while."""
    hidden = [t for t in texts_of(figure) if t.get_visible() and t.get_text() in texts]
    for text in hidden:
        text.set_visible(False)
    try:
        yield
    finally:
        for text in hidden:
            text.set_visible(True)


@contextmanager
def readers_fonts() -> Iterator[None]:
    """No warning of letters that only the reader's browser will find a font for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font file has a glyph for."""
    return frozenset(FT2Font(path).get_charmap())


@cache
def _families_with(missing: frozenset[int]) -> tuple[tuple[str, ...], bool]:
    """Families of this machine's fonts that have letters, as few as it takes, the one with most
    first; and whether letters are left.
    """
    known = font_manager.fontManager.ttflist
    upright = [f for f in known if f.style == "normal" and not f.name.startswith(BOXES)]
    chosen, left = [], set(missing)
    while left:
        best = max(upright, key=lambda font: len(left & _letters(font.fname)), default=None)
        if best is None or not left & _letters(best.fname):
            return tuple(chosen), True
        chosen.append(best.name)
        left -= _letters(best.fname)
    return tuple(chosen), False
