"""Your own corpus: a CSV or Parquet file with a column of text per language and, if you like, one
of pictures.
"""

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest_file

from ...pictures.reading import inside, load_image
from ..schema import Tuples
from ..splits import SPLITS, validation_part

if TYPE_CHECKING:
    from pandas import DataFrame


def read(path: str | Path) -> "DataFrame":
    """The table in a CSV (UTF-8) or Parquet file, every column as text; `DataError` naming the file
    and row.
    """
    import pandas as pd

    path = Path(path)
    require(path.is_file(), f"{path}: no such file", DataError)
    require(
        path.suffix.lower() in (".csv", ".parquet"),
        f"{path}: expected a .csv or .parquet file",
        DataError,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", pd.errors.ParserWarning
            )  # every row has more cells than the header
            options = {
                "dtype": str,
                "keep_default_na": False,
                "encoding": "utf-8",
                "index_col": False,
            }
            frame = (
                pd.read_parquet(path)
                if path.suffix.lower() == ".parquet"
                else pd.read_csv(path, **options)
            )
    except UnicodeDecodeError as error:
        line, reason = _undecodable_line(path)
        raise DataError(
            f"{path}: not UTF-8 near line {line} ({reason}); save it as UTF-8"
        ) from error
    except Exception as error:  # pandas and pyarrow raise many kinds for a broken file
        raise DataError(f"{path}: not a whole {path.suffix[1:]} file ({error})") from error
    require(len(frame) > 0, f"{path}: no row below the header", DataError)
    return frame


def _undecodable_line(path) -> tuple[int, str]:
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data[: error.start].count(b"\n") + 1, error.reason
    return 1, "unknown"


class _Reader:
    """A table read row by row, with errors that name the row and the column."""

    def __init__(self, path: Path, table: "DataFrame", allow_missing: bool, folder: Path):
        self.path, self.table, self.allow_missing = path, table, allow_missing
        self.folder = folder
        self.files: dict[str, Path] = {}
        self.row_of_id: dict[str, int] = {}
        self.text_of: dict[tuple[str, str], tuple[int, str | None]] = {}

    def cell(self, row: int, column: str) -> str | None:
        """The text of a cell; None if there is nothing in it or no such column."""
        import pandas as pd

        if column not in self.table.columns:
            return None
        value = self.table[column].iloc[row]
        return None if pd.isna(value) or not str(value).strip() else str(value)

    def required(self, row: int, column: str) -> str | None:
        """The same; an error if there is nothing, unless tuples may lack a view."""
        value = self.cell(row, column)
        cure = "fill it, or set allow_missing=True if the tuple lacks this view"
        empty = f"{self.where(row, column)} is empty; {cure}"
        require(value is not None or self.allow_missing, empty, DataError)
        return value

    def where(self, row: int, column: str) -> str:
        """A cell, as errors name it."""
        return f"{self.path}: row {row + 1}, column {column!r}"

    def tuple_id(self, row: int, column: str) -> str:
        """The id of a row; by default its number."""
        identity = self.cell(row, column) if column else str(row + 1)
        if identity is None:
            raise DataError(f"{self.where(row, column)} is empty")
        if identity in self.row_of_id:
            before = self.row_of_id[identity] + 1
            where = self.where(row, column)
            raise DataError(f"{where}: id {identity!r} stands in row {before} already")
        self.row_of_id[identity] = row
        return identity

    def text(self, row: int, language: str, article: str) -> str | None:
        """The text of a row, which rows of the same article share."""
        text = self.required(row, f"{language}_text")
        first, before = self.text_of.setdefault((article, language), (row, text))
        require(
            before == text,
            f"{self.path}: rows {first + 1} and {row + 1} share article {article!r} and differ in "
            f"{language}_text",
            DataError,
        )
        return text

    def picture(self, row: int, column: str) -> str | None:
        """The name of a row's picture, which is looked at."""
        name = self.required(row, column)
        if name is not None:
            try:
                self.files[name] = inside(self.folder, name)
                load_image(self.files[name])
            except DataError as error:
                raise DataError(f"{self.where(row, column)}: {error}") from error
        return name

    def split(self, row: int, column: str) -> str | None:
        """The split that a row says it is in."""
        value = self.cell(row, column)
        try:
            choose("split", value, SPLITS)
        except ValueError as error:
            raise DataError(f"{self.where(row, column)}: {error}") from error
        return value

    def write_images(self, target: Path) -> dict[str, str]:
        """Copy the pictures into a folder, under numbers; the name of each one's file."""
        names = {}
        for number, (picture, source) in enumerate(self.files.items()):
            names[picture] = f"{number:06d}{source.suffix.lower()}"
            shutil.copyfile(source, target / names[picture])
        return names


def load(
    path: str = "",
    languages: str = "en,de",
    id_column: str = "",
    article_column: str = "",
    split_column: str = "",
    image_column: str = "",
    image_folder: str = "",
    test_fraction: float = 0.1,
    validation: float = 0.1,
    allow_missing: bool = False,
    seed: int = 0,
    name: str = "table",
    licence: str = "not stated",
) -> Tuples:
    """Read the corpus.

    Parameters
    ----------
    path : str
        CSV (UTF-8, with a header) or Parquet. Needs a column ``<lang>_text`` for each language;
        ``<lang>_title`` is shown if it is there.
    languages : str
        Comma-separated ISO 639-1 codes.
    id_column, article_column, split_column : str
        Unique tuple ids; articles (rows that share one share their texts); ``train``,
        ``validation`` or ``test``. Without them: the row number; the tuple; a random
        ``test_fraction`` of the articles for testing, then a share ``validation`` of the others to
        make choices on.
    image_column, image_folder : str
        Picture files by name, inside the folder (by default the table's own).
    allow_missing : bool
        Whether an empty cell means that the tuple lacks the view; otherwise it is an error.
    name, licence : str
        For the data card.

    Raises
    ------
    DataError
        Naming the file, row (counted from 1 below the header) and column.
    """
    import pandas as pd

    path = Path(path)
    table = read(path)
    chosen = [language.strip() for language in languages.split(",")]
    named = [column for column in (id_column, article_column, split_column, image_column) if column]
    _check_columns(path, table, chosen, named, bool(image_column))
    require(0 < test_fraction < 1, f"test_fraction={test_fraction}: expected above 0 and below 1")
    folder = Path(image_folder) if image_folder else path.parent
    reader, rows = _Reader(path, table, allow_missing, folder), []
    for i in range(len(table)):
        identity = reader.tuple_id(i, id_column)
        article = (reader.cell(i, article_column) or identity) if article_column else identity
        row = {"tuple_id": identity, "article_id": article, "image_id": None}
        for language in chosen:
            row[f"{language}_text"] = reader.text(i, language, article)
            row[f"{language}_title"] = reader.cell(i, f"{language}_title")
        if image_column:
            row["image_id"] = reader.picture(i, image_column)
        if split_column:
            row["split"] = reader.split(i, split_column)
        rows.append(row)
    frame = pd.DataFrame(rows)
    if not split_column:
        articles = frame["article_id"].unique()
        size = max(1, round(test_fraction * len(articles)))
        tests = np.random.default_rng(seed).permutation(articles)[:size]
        frame["split"] = np.where(frame["article_id"].isin(tests), "test", "train")
        validation_part(frame, validation, seed)
    options = {"languages": languages, "test_fraction": test_fraction, "validation": validation}
    card = {
        "source": path.name,
        "licence": licence,
        "sha256": {path.name: digest_file(path)},
        "options": {**options, "allow_missing": allow_missing, "seed": seed},
        "biases": "Not described: the corpus is the user's own.",
    }
    return Tuples(name, frame, chosen, reader.write_images if reader.files else None, card)


def _check_columns(path, table, languages: list[str], named: list[str], pictures: bool) -> None:
    """The columns that are asked for are there, and make tuples."""
    twice = f"languages={','.join(languages)!r}: a language stands twice"
    require(len(set(languages)) == len(languages), twice)
    columns = ", ".join(map(str, table.columns))
    for column in [*(f"{language}_text" for language in languages), *named]:
        missing = f"{path}: no column {column!r}; it has: {columns}"
        require(column in table.columns, missing, DataError)
    require(
        len(languages) + pictures >= 2,
        f"{path}: one view makes no tuple; give two languages or more, or a language and "
        "image_column",
    )
