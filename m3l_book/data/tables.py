"""Tables in files as people have them: CSV and its kin, Excel, Parquet; read row by row."""

import contextlib
import csv
import json
import os
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from m3l.errors import DataError, require
from m3l.files import digest

MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks, and the encodings that they announce."""

SHEET_BYTES = 4 * 2**30
"""A workbook may unpack to this much, and to no more."""

NO_PICTURES = {".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".ods", ".docx", ".odt", ".pdf", ".md"}

FEW = 10
"""How many of the bad rows a message names."""


@dataclass
class Table:
    """Reads a table anew each time that it is asked for: rows of any number, memory for one.

    ``columns`` are the names that the header has, without outer blanks, composed (NFC); ``lines``
    reads the number of each row, as a spreadsheet counts them, so that the header is row 1, and its
    cells as the file's format gives their values; ``notes`` say for a data card how the file was
    read.
    """

    path: Path
    columns: list[str]
    lines: Callable[[], Iterator[tuple[int, Sequence]]]
    notes: list[str]

    def rows(self) -> Iterator[tuple[int, dict]]:
        """Read the rows, each with its number: {column: value}."""
        for row, line in self.lines():
            yield row, {c: value for c, value in zip(self.columns, line, strict=False) if c}


def read_table(path: str | Path, delimiter: str = "", encoding: str = "") -> Table:
    """Open the table in a file: ``.csv``, ``.tsv``, ``.txt``, ``.xlsx`` or ``.parquet``.

    Of a text file, the ``delimiter`` is by default the one that makes most columns of text of the
    header, of several the one that makes most columns; the ``encoding`` is what its byte order mark
    says, or UTF-8.

    Raises
    ------
    DataError
        Naming the file and the line, row or column, and what to do about it.
    """
    path = Path(path)
    require(path.is_file(), f"{path}: no such file", DataError)
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv", ".txt"):
        return _text(path, delimiter, encoding)
    expected = f"{path}: expected a file that ends in .csv, .tsv, .txt, .xlsx or .parquet"
    older = "; save the workbook as .xlsx" if kind in (".xls", ".ods") else ""
    require(kind in (".xlsx", ".parquet"), expected + older, DataError)
    try:
        return _excel(path) if kind == ".xlsx" else _parquet(path)
    except DataError:
        raise
    except Exception as error:  # openpyxl and pyarrow raise many kinds for a broken file
        raise DataError(f"{path}: not a whole {kind[1:]} file ({error})") from error


def renamed(table: Table, columns: Mapping[str, str]) -> Table:
    """Return a table whose columns go by other names: the new name -> that in the file.

    Raises
    ------
    DataError
        The file has no such column, or a new name is another column's already.
    """
    names = list(table.columns)
    for new, old in columns.items():
        old = unicodedata.normalize("NFC", old).strip()
        there = f"{table.path}: no column {old!r}; it has: {', '.join(filter(None, names))}"
        require(old in table.columns, there, DataError)
        taken = f"{table.path}: column {old!r} cannot be {new!r}, which is another column"
        require(new == old or new not in names, taken, DataError)
        names[table.columns.index(old)] = new
    return replace(table, columns=names)


def listed(value: object) -> object:
    """Return the list that a cell holds as JSON, or the cell."""
    if isinstance(value, str) and value.strip().startswith("["):
        with contextlib.suppress(json.JSONDecodeError):
            found = json.loads(value)
            if isinstance(found, list) and all(isinstance(part, str) for part in found):
                return found
    return value


def fingerprint(
    path: str | Path, without: Sequence[str | Path] = (), pictures: bool = False
) -> str:
    """Compute what changes if a file, or any file below a folder, is another: a digest of names,
    sizes and times. Folders ``without`` which it is asked for are passed over, and in a folder of
    ``pictures`` tables, papers and hidden files, which programs leave beside an open one.
    """
    files, left_out = [Path(path)], {Path(folder).resolve() for folder in without}
    if files[0].is_dir():
        files = []
        for folder, below, names in os.walk(path):
            below[:] = [name for name in below if Path(folder, name).resolve() not in left_out]
            files += [
                Path(folder, name)
                for name in names
                if not (pictures and (name.startswith((".", "~$")) or _is_paper(name)))
            ]
    there = [(file, file.stat()) for file in sorted(files) if file.exists()]
    return digest(*(f"{file} {about.st_size} {about.st_mtime_ns}" for file, about in there))


def _is_paper(name: str) -> bool:
    return Path(name).suffix.lower() in NO_PICTURES


def shown(value: object) -> str:
    """Write a cell as a message shows it: in quotes, and never more than a line of it."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return f"a record of {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def several(problems: Sequence[str]) -> str:
    """Write problems as one message: the first ten and how many there are."""
    if len(problems) == 1:
        return problems[0]
    more = f"\n  and {len(problems) - FEW:,} more" if len(problems) > FEW else ""
    return f"{len(problems):,} problems:\n  " + "\n  ".join(problems[:FEW]) + more


def _header(path: Path, names: Sequence) -> list[str]:
    """Give the columns of a header; `DataError` if it is no header."""
    columns = [unicodedata.normalize("NFC", str(name or "")).strip() for name in names]
    require(any(columns), f"{path}: the first row names no column", DataError)
    for column in filter(None, columns):
        if columns.count(column) > 1:
            places = [str(place) for place, other in enumerate(columns, 1) if other == column]
            twice = f"column {column!r} stands twice ({' and '.join(places)})"
            raise DataError(f"{path}: {twice}; rename one of them")
    return columns


def _text(path: Path, delimiter: str, encoding: str) -> Table:
    with open(path, "rb") as file:
        start = file.read(4)
    marked = (name for mark, name in MARKS.items() if start.startswith(mark))
    marked = next(marked, "")
    encoding = (
        marked if encoding.lower() in ("", "utf-8", "utf8") and marked else encoding or "utf-8"
    )
    try:
        with open(path, encoding=encoding, newline="") as file:
            first = file.readline(1_000_000)
    except LookupError:
        raise DataError(f"{path}: encoding {encoding!r} is not known") from None
    except UnicodeError as error:
        raise _undecodable(path, encoding, error) from error
    declared = first.strip().lower().removeprefix('"').startswith("sep=")  # as Excel has it
    if declared and not delimiter:
        delimiter = first.strip().strip('"')[4:] or "\t"
    if not delimiter:
        signs = "\t" if path.suffix.lower() == ".tsv" else ",;\t|"
        delimiter = max(signs, key=lambda sign: _columns_by(first, sign))
    require(len(delimiter) == 1, f"{path}: delimiter={delimiter!r}: expected one sign", DataError)
    reading = {"path": path, "encoding": encoding, "delimiter": delimiter, "skip": int(declared)}
    header = next(_records(**reading), None)
    require(header is not None, f"{path}: not a whole csv file (it is empty)", DataError)
    columns = _header(path, header[2])
    notes = [] if delimiter == "," else [f"cells are divided by {delimiter!r}"]
    notes += [] if encoding in ("utf-8", "utf-8-sig") else [f"read as {encoding}"]
    return Table(path, columns, lambda: _full_rows(columns, reading), notes)


def _columns_by(header: str, delimiter: str) -> tuple[int, int]:
    """Count the columns of text, and all columns, that a header has if a sign divides it."""
    names = next(csv.reader([header], delimiter=delimiter), [])
    return sum(name.strip().endswith("_text") for name in names), len(names)


def _records(
    path: Path, encoding: str, delimiter: str, skip: int
) -> Iterator[tuple[int, int, list]]:
    """Read the row, the number of its first line, and the cells of every record that is not blank;
    blank ones are counted.
    """
    limit, begun = csv.field_size_limit(sys.maxsize), 1
    try:
        with open(path, encoding=encoding, newline="") as file:
            for _ in range(skip):
                file.readline()
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row, cells in enumerate(reader, 1):
                if any(cells):
                    yield row, begun + skip, cells
                begun = reader.line_num + 1
    except UnicodeError as error:
        raise _undecodable(path, encoding, error) from error
    except csv.Error as error:
        what = "a quote that opens there is never closed" if "end of data" in str(error) else error
        where = f"near line {begun + skip}: {what}"
        cure = (
            '; a quote within a cell is written twice, "", and not as \\"' if _slashed(path) else ""
        )
        raise DataError(f"{path}: not a whole csv file ({where}){cure}") from error
    finally:
        csv.field_size_limit(limit)


def _slashed(path: Path) -> bool:
    """Whether quotes stand behind backslashes, as in some programs' files."""
    with open(path, "rb") as file:
        return b'\\"' in file.read(10_000_000)


def _full_rows(columns: Sequence[str], reading: dict) -> Iterator[tuple[int, list]]:
    """Read the rows below the header; `DataError` for those with other cells than columns."""
    bad, records = [], _records(**reading)
    next(records)
    for row, line, cells in records:
        if len(cells) > len(columns) and not any(cells[len(columns) :]):
            cells = cells[: len(columns)]
        if len(cells) != len(columns):
            counted = f"{len(cells)} cells, and the header has {len(columns)}"
            bad.append(f"row {row} (line {line}): {counted}")
            cells = [None] * len(columns)
        yield row, cells
    cure = "put quotes around cells that hold a delimiter or a line break"
    require(not bad, f"{reading['path']}: {several(bad)}\n{cure}", DataError)


def _undecodable(path: Path, encoding: str, error: UnicodeError) -> DataError:
    from charset_normalizer import from_bytes

    data = path.read_bytes()
    line, reason = 1, getattr(error, "reason", error)  # UTF-16 without a mark has no reason
    try:
        data.decode(encoding)
    except UnicodeDecodeError as whole:
        line, reason = data[: whole.start].count(b"\n") + 1, whole.reason
    named = "UTF-8" if encoding.startswith("utf-8") else encoding
    guess = from_bytes(data[:200_000]).best()
    known = guess is not None and guess.encoding != encoding.replace("-", "_")
    cure = f", or say encoding={guess.encoding!r} (--encoding) if that is it" if known else ""
    return DataError(f"{path}: not {named} near line {line} ({reason}); save it as UTF-8{cure}")


def _excel(path: Path) -> Table:
    import openpyxl
    from openpyxl.utils.escape import unescape  # a workbook writes a carriage return as _x000D_

    with zipfile.ZipFile(path) as packed:
        size = sum(entry.file_size for entry in packed.infolist())
    require(size <= SHEET_BYTES, f"{path}: unpacks to {size:,} bytes; save it as CSV", DataError)

    def lines(data_only: bool) -> Iterator[tuple]:
        with closing(openpyxl.load_workbook(path, read_only=True, data_only=data_only)) as book:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # what a file says of its own size may be wrong
            yield from sheet.iter_rows(values_only=True)

    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        sheets = book.sheetnames
    filled = any(value is not None for line in lines(True) for value in line)
    require(filled, f"{path}: its first sheet is empty", DataError)
    _no_bare_formula(path, lines)

    def rows() -> Iterator[tuple[int, tuple]]:
        for row, line in enumerate(lines(True), 1):
            if row > 1 and any(value is not None for value in line):
                yield row, [unescape(v) if isinstance(v, str) else v for v in line]

    others = f"its first sheet, {sheets[0]!r}, was read; it has {len(sheets)}"
    header = _header(path, next(lines(True)))
    return Table(path, header, rows, [others] if len(sheets) > 1 else [])


def _no_bare_formula(path: Path, lines: Callable[[bool], Iterator[tuple]]) -> None:
    """See that every formula's value is stored; `DataError` naming the first cell without one."""
    for row, (values, formulas) in enumerate(zip(lines(True), lines(False), strict=True), 1):
        for column, (value, formula) in enumerate(zip(values, formulas, strict=False), 1):
            if value is None and isinstance(formula, str) and formula.startswith("="):
                cure = "open the workbook in a spreadsheet program and save it, or write values"
                where = f"row {row}, column {column}: the formula {shown(formula)} has no value"
                raise DataError(f"{path}: {where} stored; {cure}")


def _parquet(path: Path) -> Table:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if file.num_row_groups:  # a cut file may have a whole schema: its end is read to see
            file.read_row_group(file.num_row_groups - 1)

    def rows() -> Iterator[tuple[int, tuple]]:
        with parquet.ParquetFile(path) as file:
            batches = (batch.columns for batch in file.iter_batches(batch_size=256))
            cells = (zip(*(c.to_pylist() for c in columns), strict=True) for columns in batches)
            yield from enumerate(chain.from_iterable(cells), 2)

    return Table(path, _header(path, names), rows, [])
