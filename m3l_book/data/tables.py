"""Tables in files as people keep them: CSV and its kin, Excel, Parquet; read row by row."""

import csv
import os
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from m3l.errors import DataError, require
from m3l.files import digest

DELIMITERS = (",", ";", "\t", "|")
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks, and the encodings that they announce."""

SHEET_BYTES = 4 * 2**30
"""A workbook may unpack to this much, and to no more."""

FEW = 10
"""How many of the bad rows a message names."""


@dataclass
class Table:
    """A table that is read again each time it is asked for: rows of any number, memory for one.

    Attributes
    ----------
    path : path
    columns : list of str
        Names as the header has them, without outer blanks, composed (NFC).
    rows : function
        An iterator over rows, each {column: value}, as the file's format gives values.
    notes : list of str
        What the reader of a data card must know of how the file was read.
    """

    path: Path
    columns: list[str]
    rows: Callable[[], Iterator[dict]]
    notes: list[str]


def read_table(path: str | Path, delimiter: str = "", encoding: str = "") -> Table:
    """The table in a file: ``.csv``, ``.tsv``, ``.txt``, ``.xlsx`` or ``.parquet``.

    Parameters
    ----------
    path : path
    delimiter : str
        Between the cells of a text file; by default the one that the header has most of.
    encoding : str
        Of a text file; by default what its byte order mark says, or UTF-8.

    Raises
    ------
    DataError
        Naming the file and the line, row or column, and what to do about it.
    """
    path = Path(path)
    require(path.is_file(), f"{path}: no such file", DataError)
    kinds = {".csv": _text, ".tsv": _text, ".txt": _text, ".xlsx": _excel, ".parquet": _parquet}
    kind = path.suffix.lower()
    expected = f"{path}: expected a file that ends in .csv, .tsv, .txt, .xlsx or .parquet"
    older = "; save the workbook as .xlsx" if kind in (".xls", ".ods") else ""
    require(kind in kinds, expected + older, DataError)
    if kinds[kind] is _text:
        return _text(path, delimiter, encoding)
    return kinds[kind](path)


def fingerprint(path: str | Path, without: Sequence[str | Path] = ()) -> str:
    """What changes if a file, or any file below a folder, is another: a digest of names, sizes and
    times. Folders ``without`` which it is asked for are passed over.
    """
    files, left_out = [Path(path)], {Path(folder).resolve() for folder in without}
    if files[0].is_dir():
        files = []
        for folder, below, names in os.walk(path):
            below[:] = [name for name in below if Path(folder, name).resolve() not in left_out]
            files += [Path(folder, name) for name in names]
    there = [(file, file.stat()) for file in sorted(files) if file.exists()]
    return digest(*(f"{file} {about.st_size} {about.st_mtime_ns}" for file, about in there))


def shown(value: object, longest: int = 60) -> str:
    """A cell as a message shows it: in quotes, and never more than a line of it."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return f"a record of {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def several(problems: Sequence[str]) -> str:
    """Problems in one message: the first ten and how many there are."""
    if len(problems) == 1:
        return problems[0]
    more = f"\n  and {len(problems) - FEW:,} more" if len(problems) > FEW else ""
    return f"{len(problems):,} problems:\n  " + "\n  ".join(problems[:FEW]) + more


def _header(path: Path, names: Sequence) -> list[str]:
    """The columns of a header; `DataError` if it is no header."""
    columns = [unicodedata.normalize("NFC", str(name or "")).strip() for name in names]
    require(any(columns), f"{path}: the first row names no column", DataError)
    places: dict[str, list[int]] = {}
    for place, column in enumerate(columns, 1):
        places.setdefault(column, []).append(place)
    for column, where in places.items():
        if column and len(where) > 1:
            both = " and ".join(map(str, where))
            raise DataError(f"{path}: column {column!r} stands twice ({both}); rename one of them")
    return columns


def _dicts(columns: Sequence[str], rows: Iterator[Sequence]) -> Iterator[dict]:
    for row in rows:
        yield {c: value for c, value in zip(columns, row, strict=False) if c}


def _text(path: Path, delimiter: str, encoding: str) -> Table:
    encoding = encoding or _encoding(path)
    try:
        with open(path, encoding=encoding, newline="") as file:
            first = file.readline(1_000_000)
    except LookupError:
        raise DataError(f"{path}: encoding {encoding!r} is not known") from None
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, error) from error
    declared = first.strip().lower().removeprefix('"').startswith("sep=")  # as Excel has it
    if declared and not delimiter:
        delimiter = first.strip().strip('"')[4:] or "\t"
    if not delimiter:
        tab = path.suffix.lower() == ".tsv"
        delimiter = "\t" if tab else max(DELIMITERS, key=lambda sign: _cells(first, sign))
    require(len(delimiter) == 1, f"{path}: delimiter={delimiter!r}: expected one sign", DataError)
    reading = {"path": path, "encoding": encoding, "delimiter": delimiter, "skip": int(declared)}
    header = next(_lines(**reading), None)
    require(header is not None, f"{path}: not a whole csv file (it is empty)", DataError)
    columns = _header(path, header[1])
    notes = [] if delimiter == "," else [f"cells are divided by {delimiter!r}"]
    notes += [] if encoding in ("utf-8", "utf-8-sig") else [f"read as {encoding}"]
    return Table(path, columns, lambda: _dicts(columns, _full_rows(columns, reading)), notes)


def _cells(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), []))


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(4)
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")


def _lines(path: Path, encoding: str, delimiter: str, skip: int) -> Iterator[tuple[int, list]]:
    """Number of the first line, and cells, of every record that is not blank."""
    limit, begun = csv.field_size_limit(sys.maxsize), 1
    try:
        with open(path, encoding=encoding, newline="") as file:
            for _ in range(skip):
                file.readline()
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                if any(cells):
                    yield begun + skip, cells
                begun = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, error) from error
    except csv.Error as error:
        what = "a quote that opens there is never closed" if "end of data" in str(error) else error
        where = f"near line {begun + skip}: {what}"
        raise DataError(f"{path}: not a whole csv file ({where})") from error
    finally:
        csv.field_size_limit(limit)


def _full_rows(columns: Sequence[str], reading: dict) -> Iterator[list]:
    """The rows below the header; `DataError` for those with other cells than it has columns."""
    bad, lines = [], _lines(**reading)
    next(lines)
    for row, (line, cells) in enumerate(lines, 1):
        if len(cells) > len(columns) and not any(cells[len(columns) :]):
            cells = cells[: len(columns)]
        if len(cells) == len(columns):
            yield cells
        else:
            cells_of = f"{len(cells)} cells, and the header has {len(columns)}"
            bad.append(f"row {row} (line {line}): {cells_of}")
            yield [None] * len(columns)
    cure = "put quotes around cells that hold a delimiter or a line break"
    require(not bad, f"{reading['path']}: {several(bad)}\n{cure}", DataError)


def _undecodable(path: Path, encoding: str, error: UnicodeDecodeError) -> DataError:
    from charset_normalizer import from_bytes

    data = path.read_bytes()
    line, reason = 1, error.reason
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

    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        small = size <= SHEET_BYTES
        require(small, f"{path}: unpacks to {size:,} bytes; save it as CSV", DataError)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = book.sheetnames
        header = next(book.worksheets[0].iter_rows(values_only=True), None)
        book.close()
    except DataError:
        raise
    except Exception as error:  # openpyxl raises many kinds for a broken file
        raise DataError(f"{path}: not a whole xlsx file ({error})") from error
    require(header is not None, f"{path}: its first sheet is empty", DataError)
    columns = _header(path, header)

    def rows() -> Iterator[dict]:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        lines = book.worksheets[0].iter_rows(min_row=2, values_only=True)
        yield from _dicts(columns, (line for line in lines if any(v is not None for v in line)))
        book.close()

    others = f"its first sheet, {sheets[0]!r}, was read; it has {len(sheets)}"
    return Table(path, columns, rows, [others] if len(sheets) > 1 else [])


def _parquet(path: Path) -> Table:
    from pyarrow import parquet

    try:
        names = parquet.read_schema(path).names
        columns = _header(path, names)
        # a cut file may have a whole schema: its last row group is read to see
        with parquet.ParquetFile(path) as file:
            groups = file.num_row_groups
            if groups:
                file.read_row_group(groups - 1)
    except DataError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise DataError(f"{path}: not a whole parquet file ({error})") from error

    def rows() -> Iterator[dict]:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                cells = [column.to_pylist() for column in batch.columns]
                yield from _dicts(columns, zip(*cells, strict=True))

    return Table(path, columns, rows, [])
