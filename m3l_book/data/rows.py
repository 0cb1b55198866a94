"""The rows of a table as the cells of tuples; what is wrong is kept until all are read."""

import hashlib
import html
import numbers
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import regex

from m3l.errors import DataError, choose

from ..pictures.folder import PictureFolder
from ..pictures.reading import load_image
from .splits import SPLITS
from .tables import Table, shown

NOTHING = ("NULL", "\\N", "None", "none", "nan", "NaN", "<NA>", "#N/A", "n/a", "nil")
"""Words that programs write where there is nothing. "NA" and "null" are words of languages too."""

MARKUP = regex.compile(r"<(?:/?[A-Za-z][^<>]*|!--.*?--|![A-Za-z][^<>]*)>", regex.DOTALL)
SCRIPTS = regex.compile(r"<(script|style)\b.*?</\1\s*>", regex.DOTALL | regex.IGNORECASE)
ENTITY = regex.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
ESCAPE = regex.compile(r"\\[nrt]")

CHECKED_AT = 224
"""Pictures are looked at, whole, at no less than this many pixels a side."""


@dataclass
class Picture:
    """A picture of the corpus: its file, or the row and place of its bytes in the table."""

    suffix: str
    file: Path | None = None
    place: tuple[int, int] = (-1, -1)


@dataclass
class Reader:
    """A table read row by row; what is wrong with a cell is kept until all are read."""

    table: Table
    allow_missing: bool
    missing: frozenset[str]
    markup: str
    bad_pictures: str
    separator: str
    folder: PictureFolder | None
    decode: bool = True  # look at each picture, whole, and not at its name alone
    pictures: dict[str, Picture] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    unread: dict[str, str | None] = field(default_factory=dict)
    row_of_id: dict[str, int] = field(default_factory=dict)
    text_of: dict[tuple[str, str], tuple[int, str | None]] = field(default_factory=dict)

    def where(self, row: int, column: str) -> str:
        """A cell, as errors name it."""
        return f"row {row}, column {column!r}"

    def wrong(self, row: int, column: str, what: object) -> None:
        self.problems.append(f"{self.where(row, column)}: {what}")

    def cell(self, values: Mapping, row: int, column: str) -> str | None:
        """The text of a cell; None if there is nothing in it or no such column."""
        value = values.get(column)
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
                self.counts["cells of bytes, decoded as UTF-8"] += 1
            except UnicodeDecodeError as error:
                reason = f"bytes that are not UTF-8 ({error.reason})"
                self.wrong(row, column, f"{reason}; write the column as text")
                return None
        if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
            self.counts["cells of lists, joined by blanks"] += 1
            value = " ".join(value)
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            value = "" if value != value else f"{value:.15g}"
        if isinstance(value, (list, tuple, dict)):
            self.wrong(row, column, f"{shown(value)}, expected a text")
            return None
        text = "" if value is None else str(value)
        if text.strip() in self.missing:
            self.counts["cells that say that there is nothing"] += 1
            return None
        return text if text.strip() else None

    def required(self, text: object, row: int, column: str) -> object:
        """The same; a problem if there is nothing, unless tuples may lack a view."""
        if text is None and not self.allow_missing:
            cure = "fill it, or set allow_missing=True if the tuple lacks this view"
            self.problems.append(f"{self.where(row, column)} is empty; {cure}")
        return text

    def tuple_id(self, values: Mapping, row: int, column: str) -> str:
        """The id of a row; by default its number."""
        identity = self.cell(values, row, column) if column else str(row)
        if identity is None:
            self.problems.append(f"{self.where(row, column)} is empty")
            return f"row {row}"
        if identity in self.row_of_id:
            before = self.row_of_id[identity]
            self.wrong(row, column, f"id {shown(identity)} stands in row {before} already")
            return f"{identity}, row {row}"
        self.row_of_id[identity] = row
        return identity

    def text(self, values: Mapping, row: int, language: str, article: str) -> str | None:
        """The text of a row, which rows of the same article share."""
        column = f"{language}_text"
        wrong = len(self.problems)
        text = self.cell(values, row, column)
        if text is not None:
            text = self._without_markup(text, language)
            if text.strip() in NOTHING:
                self.counts[f"{language} texts that are only {text.strip()!r}"] += 1
        if len(self.problems) == wrong:
            text = self.required(text, row, column)
        first, before = self.text_of.setdefault((article, language), (row, text))
        if before != text:
            same = f"rows {first} and {row} share article {shown(article)} and differ in {column}"
            self.problems.append(same)
        return text

    def _without_markup(self, text: str, language: str) -> str:
        if not (MARKUP.search(text) or ENTITY.search(text)):
            return text
        self.counts[f"{language} texts that hold HTML"] += 1
        if self.markup == "keep":
            return text
        text = MARKUP.sub(" ", SCRIPTS.sub(" ", text))
        return ESCAPE.sub(" ", html.unescape(text))

    def images(self, values: Mapping, row: int, column: str) -> list[str]:
        """The ids of a row's pictures, which are looked at."""
        value, wrong = values.get(column), len(self.problems)
        cells = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value, str) and self.separator:
            cells = [part.strip() for part in value.split(self.separator) if part.strip()]
        found = [self._image(cell, row, column, i) for i, cell in enumerate(cells)]
        found = [identity for identity in found if identity is not None]
        if not found and len(self.problems) == wrong and value not in self.unread:
            self.required(None, row, column)
        return list(dict.fromkeys(found))

    def _image(self, value: object, row: int, column: str, place: int) -> str | None:
        """The id of one picture; None if there is none, or a problem."""
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            if self._readable(value, row, column):
                identity = _identity(value)
                self.pictures.setdefault(identity, Picture("", place=(row, place)))
                return identity
            return None
        name = self.cell({column: value}, row, column)
        if name is None or name in self.unread:
            self.counts["pictures left out as unreadable"] += name is not None
            return None
        if name not in self.pictures:
            try:
                file = self.folder.find(name)
            except DataError as error:
                plain = name.strip() in NOTHING
                word = name.strip()
                cure = f"; if {word!r} means nothing, say missing: [{word!r}] (--missing {word})"
                self._bad(name, row, column, f"{error}{cure if plain else ''}")
                return None
            if not self._readable(file, row, column, name):
                return None
            self.pictures[name] = Picture(file.suffix.lower(), file)
        return name

    def _readable(self, source: Path | bytes, row: int, column: str, name: str = "") -> bool:
        try:
            if self.decode:
                load_image(source, CHECKED_AT)
        except DataError as error:
            self._bad(name, row, column, str(error))
            return False
        return True

    def _bad(self, name: str, row: int, column: str, what: str) -> None:
        """A picture that cannot be read: a problem, or a missing one."""
        if self.bad_pictures == "missing":
            self.counts["pictures left out as unreadable"] += 1
            if name:
                self.unread[name] = None
        else:
            self.wrong(row, column, what)

    def split(self, values: Mapping, row: int, column: str) -> str | None:
        """The split that a row says it is in."""
        value = self.cell(values, row, column)
        try:
            choose("split", value, SPLITS)
        except ValueError as error:
            self.wrong(row, column, error)
        return value

    def write_images(self, target: Path) -> dict[str, str]:
        """Write the pictures into a folder, under numbers; the name of each one's file."""
        names = {key: f"{i:06d}{p.suffix}" for i, (key, p) in enumerate(self.pictures.items())}
        of_cells = {p.place: key for key, p in self.pictures.items() if p.file is None}
        for key, picture in self.pictures.items():
            if picture.file is not None:
                shutil.copyfile(picture.file, target / names[key])
        for row, values in enumerate(self.table.rows() if of_cells else (), 1):
            for value in values.values():
                for place, cell in enumerate(value if isinstance(value, list) else [value]):
                    key = of_cells.get((row, place))
                    data = cell.get("bytes") if isinstance(cell, dict) else cell
                    same = isinstance(data, bytes) and _identity(data) == key
                    if same:
                        (target / names[key]).write_bytes(data)
        return names


def _identity(picture: bytes) -> str:
    """The id of a picture without a name."""
    return hashlib.sha256(picture).hexdigest()[:24]
