"""Your own corpus: a table with a column of text per language and, if you like, one of pictures.

What is wrong with its cells is collected until all are read, and said at once.
"""

import hashlib
import html
import numbers
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import regex

from m3l.errors import DataError, choose, require
from m3l.files import digest_file
from m3l.progress import progress_bar

from ...pictures.reading import PictureFolder, load_image
from ..schema import PICTURES, SPLITS, Tuples, draw_parts
from ..tables import Table, listed, read_table, renamed, several, shown

if TYPE_CHECKING:
    from pandas import DataFrame

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
    """Holds a picture of the corpus: its file, or the row and place of its bytes in the table."""

    suffix: str
    file: Path | None = None
    place: tuple[int, int] = (-1, -1)


@dataclass
class Reader:
    """Reads the cells of a table; what is wrong with one is added to ``problems``."""

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
    unread: set[str] = field(default_factory=set)
    row_of_id: dict[str, int] = field(default_factory=dict)
    text_of: dict[tuple[str, str], tuple[int, str | None]] = field(default_factory=dict)

    def wrong(self, row: int, column: str, what: object) -> None:
        """Add a problem with a cell."""
        self.problems.append(f"row {row}, column {column!r}{what}")

    def cell(self, values: Mapping, row: int, column: str) -> str | None:
        """Read the text of a cell; None if there is nothing in it or no such column."""
        value = values.get(column)
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
                self.counts["cells of bytes, decoded as UTF-8"] += 1
            except UnicodeDecodeError as error:
                cure = "write the column as text"
                self.wrong(row, column, f": bytes that are not UTF-8 ({error.reason}); {cure}")
                return None
        if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
            self.counts["cells of lists, joined by blanks"] += 1
            value = " ".join(value)
        if isinstance(value, (list, tuple, dict)):
            self.wrong(row, column, f": {shown(value)}, expected a text")
            return None
        if isinstance(value, numbers.Real) and not isinstance(value, (bool, numbers.Integral)):
            value = "" if value != value else f"{value:.{16 if value % 1 == 0 else 15}g}"
        text = "" if value is None else str(value)
        if text.strip() in self.missing:
            self.counts["cells that say that there is nothing"] += 1
            return None
        return text if text.strip() else None

    def lacks(self, row: int, column: str) -> None:
        """Add a problem with an empty cell, unless tuples may lack a view."""
        if not self.allow_missing:
            cure = "fill it, or set allow_missing=True if the tuple lacks this view"
            self.wrong(row, column, f" is empty; {cure}")

    def key(self, values: Mapping, row: int, column: str) -> str | None:
        """Read an id; a number that may have been rounded is none."""
        value = values.get(column)
        number = isinstance(value, numbers.Real) and not isinstance(value, (bool, numbers.Integral))
        if number and value == value and not (float(value).is_integer() and abs(value) < 2**53):
            cure = "write the column as text or as integers"
            self.wrong(row, column, f": {shown(value)} may be rounded and is no exact id; {cure}")
        return self.cell(values, row, column)

    def tuple_id(self, values: Mapping, row: int, column: str) -> str:
        """Read the id of a row; by default its number."""
        identity = self.key(values, row, column) if column else str(row)
        if identity is None:
            self.wrong(row, column, " is empty")
            return f"row {row}"
        return self.unique(identity, row, column)

    def unique(self, identity: str, row: int, column: str) -> str:
        """Note the row of an id, which no other row may have."""
        before = self.row_of_id.setdefault(identity, row)
        if before != row:
            self.wrong(row, column, f": id {shown(identity)} stands in row {before} already")
            return f"{identity}, row {row}"
        return identity

    def text(self, values: Mapping, row: int, language: str, article: str) -> str | None:
        """Read the text of a row, which rows of the same article share."""
        column, problems = f"{language}_text", len(self.problems)
        text = self.cell(values, row, column)
        if text is not None:
            text = self.without_markup(text, language)
            if text.strip() in NOTHING:
                self.counts[f"{language} texts that are only {text.strip()!r}"] += 1
            text = text if text.strip() else None  # it was markup alone
        if text is None and len(self.problems) == problems:
            self.lacks(row, column)
        first, before = self.text_of.setdefault((article, language), (row, text))
        if before != text:
            same = f"rows {first} and {row} share article {shown(article)} and differ in {column}"
            self.problems.append(same)
        return text

    def without_markup(self, text: str, language: str) -> str:
        """Take HTML out of a text, if that is asked for, and count that it is there."""
        if MARKUP.search(text) or ENTITY.search(text):
            self.counts[f"{language} texts that hold HTML"] += 1
        if self.markup == "keep":
            return text
        text = MARKUP.sub(" ", SCRIPTS.sub(" ", text))
        while (plain := html.unescape(text)) != text:  # &amp;amp; was escaped twice
            text = plain
        return ESCAPE.sub(" ", text)

    def images(self, values: Mapping, row: int, column: str) -> list[str]:
        """Read the ids of a row's pictures, and look at each picture."""
        value, problems = listed(values.get(column)), len(self.problems)
        cells = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value, str) and self.separator:
            cells = [part.strip() for part in value.split(self.separator) if part.strip()]
        found = [self.image(cell, row, column, place) for place, cell in enumerate(cells)]
        found = [identity for identity in found if identity is not None]
        there = [cell for cell in cells if cell is not None and cell != ""]
        unread = bool(there) and all(_name_of(cell) in self.unread for cell in there)
        if not found and len(self.problems) == problems and not unread:
            self.lacks(row, column)
        return list(dict.fromkeys(found))

    def image(self, value: object, row: int, column: str, place: int) -> str | None:
        """Read the id of one picture; None if there is none, or a problem."""
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            name, picture, source = identity_of(value), Picture("", place=(row, place)), value
        else:
            name = self.cell({column: value}, row, column)
            if name is None or name in self.unread:
                self.counts["pictures left out as unreadable"] += name is not None
                return None
        if name in self.pictures:
            return name
        try:
            if not isinstance(value, bytes):
                source = self.folder.find(name)
                picture = Picture(source.suffix.lower(), source)
            if self.decode:
                load_image(source, CHECKED_AT)
        except DataError as error:
            self.bad_picture(name, row, column, str(error))
            return None
        self.pictures[name] = picture
        return name

    def bad_picture(self, name: str, row: int, column: str, what: str) -> None:
        """Add a problem with a picture that cannot be read, or leave the picture out."""
        if self.bad_pictures == "missing":
            self.counts["pictures left out as unreadable"] += 1
            self.unread.add(name)
            return
        word = name.strip()
        cure = f"; if {word!r} means nothing, say missing: [{word!r}] (--missing {word})"
        self.wrong(row, column, f": {what}{cure if word in NOTHING else ''}")

    def split(self, values: Mapping, row: int, column: str) -> str | None:
        """Read the split that a row says it is in."""
        value = self.cell(values, row, column)
        try:
            choose("split", value, SPLITS)
        except ValueError as error:
            self.wrong(row, column, f": {error}")
        return value

    def write_images(self, target: Path) -> dict[str, str]:
        """Write the pictures into a folder, under numbers; the name of each one's file."""
        names = {key: f"{i:06d}{p.suffix}" for i, (key, p) in enumerate(self.pictures.items())}
        of_cells = {p.place: key for key, p in self.pictures.items() if p.file is None}
        for key, picture in self.pictures.items():
            if picture.file is not None:
                shutil.copyfile(picture.file, target / names[key])
        for row, values in self.table.rows() if of_cells else ():
            for value in values.values():
                for place, cell in enumerate(value if isinstance(value, list) else [value]):
                    key = of_cells.get((row, place))
                    data = cell.get("bytes") if isinstance(cell, dict) else cell
                    if isinstance(data, bytes) and identity_of(data) == key:
                        (target / names[key]).write_bytes(data)
        return names


def _name_of(cell: object) -> str:
    """Return what a picture of a cell goes by: its name, or the id of its bytes."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    return identity_of(cell) if isinstance(cell, bytes) else str(cell)


def identity_of(picture: bytes) -> str:
    """Make an id of a picture without a name."""
    return hashlib.sha256(picture).hexdigest()[:24]


def gather(reader: Reader, languages: Sequence[str], named: Mapping[str, str]) -> "DataFrame":
    """Read the tuples of a table; what is wrong with its cells is in ``reader.problems``.

    ``named`` are the columns of ``id``, ``article``, ``split``, ``image`` and ``category``, each ""
    if there is none.
    """
    import pandas as pd

    rows, alone_in = [], {}  # whether an article is that of a row which names none
    reading = progress_bar(reader.table.rows(), desc="rows", unit="row", delay=2)
    for i, values in reading:
        identity = reader.tuple_id(values, i, named["id"])
        alone = f"row {i}" if named["article"] and not named["id"] else identity
        article = (given := reader.key(values, i, named["article"])) or alone
        if alone_in.setdefault(article, given is None) != (given is None):
            both = f": {shown(article)} is an article's name and the id of a row without one"
            reader.wrong(i, named["article"], f"{both}; fill the cell of that row")
        row = {"tuple_id": identity, "article_id": article, "image_id": None, "row": i}
        for language in languages:
            row[f"{language}_text"] = reader.text(values, i, language, article)
            row[f"{language}_title"] = reader.cell(values, i, f"{language}_title")
        if named["category"]:
            row["category"] = reader.cell(values, i, named["category"])
        if named["split"]:
            row["split"] = reader.split(values, i, named["split"])
        images = reader.images(values, i, named["image"]) if named["image"] else []
        for n, key in enumerate(images or [None], 1):
            again = identity if n == 1 else reader.unique(f"{identity}#{n}", i, named["id"])
            rows.append(row | {"tuple_id": again, "image_id": key})
    return pd.DataFrame(rows)


def notes_of(reader: Reader) -> list[str]:
    """Say what became of cells, for the data card."""
    notes = list(reader.table.notes)
    notes += [f"{what}: {count:,}" for what, count in sorted(reader.counts.items()) if count]
    respelled = reader.folder.respelled if reader.folder else {}
    if respelled:
        name, file = next(iter(respelled.items()))
        found = f"pictures found under another spelling: {len(respelled):,}"
        notes.append(f"{found}, such as {shown(name)} as {shown(file)}")
    return notes


def load(
    path: str = "",
    languages: str = "en,de",
    columns: dict | None = None,
    id_column: str = "",
    article_column: str = "",
    split_column: str = "",
    image_column: str = "",
    image_folder: str = "",
    category_column: str = "",
    test_fraction: float = 0.1,
    least_test: int = 20,
    validation: float = 0.1,
    allow_missing: bool = False,
    missing: list = (),
    markup: str = "keep",
    bad_pictures: str = "error",
    picture_separator: str = "",
    delimiter: str = "",
    encoding: str = "",
    seed: int = 0,
    licence: str = "not stated",
) -> Tuples:
    """Read the corpus.

    Parameters
    ----------
    path : str
        CSV, TSV, Excel or Parquet, with a header. Needs a column ``<lang>_text`` for each language;
        ``<lang>_title`` is shown if it is there.
    languages : str
        Comma-separated codes, as the columns have them: ``en,zh-TW``.
    columns : dict
        Other names by which columns go here: ``{"en_text": "English"}``.
    id_column, article_column, split_column : str
        Unique tuple ids; articles (rows that share one share their texts); ``train``,
        ``validation`` or ``test``. Without them: the row number; the tuple; a ``test_fraction`` of
        the articles for testing, of a corpus that would give fewer than ``least_test`` a quarter,
        then a share ``validation`` of the others to make choices on (`draw_parts`).
    image_column, image_folder : str
        Picture files by name, inside the folder (by default the table's own), or the pictures
        themselves, as Parquet files hold them. A list is several pictures of the article.
    category_column : str
        A known label, which is shown and never learnt from.
    allow_missing : bool
        Whether an empty cell means that the tuple lacks the view; otherwise it is an error.
    missing : list of str
        Words that stand for nothing, such as ``NULL``.
    markup : {"keep", "strip"}
        Whether texts are taken as they are, or without HTML: tags go, entities become their letter,
        and a backslash with an n, r or t becomes a blank, also in formulas: ``\\theta``.
    bad_pictures : {"error", "missing"}
        Whether a picture that is not there or cannot be read is an error, or is missing.
    picture_separator : str
        Divides the names of several pictures in a cell.
    delimiter, encoding : str
        Of a text file: by default found in it, and UTF-8.

    Raises
    ------
    DataError
        Naming the file and, ten at a time, rows (as a spreadsheet counts them: the header is row 1)
        and columns.
    """
    choose("markup", markup, ("keep", "strip"))
    choose("bad_pictures", bad_pictures, ("error", "missing"))
    require(0 < test_fraction < 1, f"test_fraction={test_fraction}: expected above 0 and below 1")
    require(0 <= validation < 1, f"validation={validation}: expected 0 (none) or more, and below 1")
    require(least_test >= 1, f"least_test={least_test}: expected 1 or more")
    table = renamed(read_table(path, delimiter, encoding), columns or {})
    chosen = [language.strip() for language in languages.split(",")]
    named = {"id": id_column, "article": article_column, "split": split_column}
    named |= {"image": image_column, "category": category_column}
    _check_columns(table, chosen, named)
    words = frozenset(str(word).strip() for word in missing)
    folder = PictureFolder(image_folder or table.path.parent) if image_column else None
    reader = Reader(table, allow_missing, words, markup, bad_pictures, picture_separator, folder)
    frame = gather(reader, chosen, named)
    require(not reader.problems, f"{table.path}: {several(reader.problems)}", DataError)
    require(len(frame) > 0, f"{table.path}: no row below the header", DataError)
    if not split_column:
        draw_parts(frame, test_fraction, least_test, validation, seed)
    options = {"languages": languages, "test_fraction": test_fraction, "validation": validation}
    options |= {"allow_missing": allow_missing, "missing": list(missing), "markup": markup}
    options |= {"bad_pictures": bad_pictures, "seed": seed}
    card = {
        "source": table.path.name,
        "licence": licence,
        "sha256": {table.path.name: digest_file(table.path)},
        "table": {"path": str(table.path.resolve()), "delimiter": delimiter, "encoding": encoding},
        "columns": columns or {},
        "options": options,
        "notes": notes_of(reader),
        "biases": "Not described: the corpus is the user's own.",
    }
    return Tuples("table", frame, chosen, reader.write_images if reader.pictures else None, card)


def _check_columns(table: Table, languages: list[str], named: Mapping[str, str]) -> None:
    """See that the columns that are asked for are there, and make tuples."""
    twice = f"languages={','.join(languages)!r}: a language stands twice"
    require(len(set(languages)) == len(languages), twice)
    pictures = f"languages={','.join(languages)!r}: {PICTURES!r} is the name of the pictures"
    require(PICTURES not in languages, pictures)
    columns = ", ".join(column for column in table.columns if column)
    for column in [*(f"{language}_text" for language in languages), *filter(None, named.values())]:
        missing = f"{table.path}: no column {column!r}; it has: {columns}"
        require(column in table.columns, missing, DataError)
    require(
        len(languages) + bool(named["image"]) >= 2,
        f"{table.path}: one view makes no tuple; give two languages or more, or a language and "
        "image_column",
    )
