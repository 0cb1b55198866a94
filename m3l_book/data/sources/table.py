"""Your own corpus: a CSV or Parquet file with a column of text per language and, if you like, one
of pictures.
"""

import shutil
import warnings
from pathlib import Path

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest_file

from ...pictures.reading import inside, load_image
from ..schema import Tuples


def read(path):
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


def load(
    path: str = "",
    languages: str = "en,de",
    id_column: str = "",
    article_column: str = "",
    split_column: str = "",
    image_column: str = "",
    image_folder: str = "",
    test_fraction: float = 0.1,
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
        Unique tuple ids; articles (rows that share one share their texts); ``train`` or ``test``.
        Without them: the row number; the tuple; a random ``test_fraction`` of the articles.
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
    require(len(set(chosen)) == len(chosen), f"languages={languages!r}: a language stands twice")
    needed = [f"{language}_text" for language in chosen] + [
        c for c in (id_column, article_column, split_column, image_column) if c
    ]
    for column in needed:
        require(
            column in table.columns,
            f"{path}: no column {column!r}; it has: {', '.join(map(str, table.columns))}",
            DataError,
        )
    require(
        len(chosen) + bool(image_column) >= 2,
        f"{path}: one view makes no tuple; give two languages or more, or a language and"
        " image_column",
    )
    require(0 < test_fraction < 1, f"test_fraction={test_fraction}: expected above 0 and below 1")

    def cell(row, column):
        value = table[column].iloc[row]
        return None if pd.isna(value) or not str(value).strip() else str(value)

    def required(row, column):
        value = cell(row, column)
        require(
            value is not None or allow_missing,
            f"{path}: row {row + 1}, column {column!r} is empty; fill it, or set allow_missing=True"
            " if the tuple lacks this view",
            DataError,
        )
        return value

    folder = Path(image_folder) if image_folder else path.parent
    rows, files, ids, texts = [], {}, {}, {}
    for i in range(len(table)):
        identity = cell(i, id_column) if id_column else str(i + 1)
        require(
            identity is not None, f"{path}: row {i + 1}, column {id_column!r} is empty", DataError
        )
        require(
            identity not in ids,
            f"{path}: row {i + 1}, column {id_column!r}: id {identity!r} stands in row"
            f" {ids.get(identity, 0) + 1} already",
            DataError,
        )
        ids[identity] = i
        row = {
            "tuple_id": identity,
            "article_id": (cell(i, article_column) or identity) if article_column else identity,
            "image_id": None,
        }
        for language in chosen:
            row[f"{language}_text"] = required(i, f"{language}_text")
            row[f"{language}_title"] = (
                cell(i, f"{language}_title") if f"{language}_title" in table.columns else None
            )
            key = row["article_id"], language
            before = texts.setdefault(key, (i, row[f"{language}_text"]))
            require(
                before[1] == row[f"{language}_text"],
                f"{path}: rows {before[0] + 1} and {i + 1} share article {row['article_id']!r} and"
                f" differ in {language}_text",
                DataError,
            )
        if image_column and (image := required(i, image_column)) is not None:
            try:
                files[image] = inside(folder, image)
                load_image(files[image])
            except DataError as error:
                raise DataError(f"{path}: row {i + 1}, column {image_column!r}: {error}") from error
            row["image_id"] = image
        if split_column:
            row["split"] = cell(i, split_column)
            try:
                choose("split", row["split"], ("train", "test"))
            except ValueError as error:
                raise DataError(f"{path}: row {i + 1}, column {split_column!r}: {error}") from error
        rows.append(row)
    frame = pd.DataFrame(rows)
    if not split_column:
        ids = frame["article_id"].unique()
        tests = np.random.default_rng(seed).permutation(ids)[
            : max(1, round(test_fraction * len(ids)))
        ]
        frame["split"] = np.where(frame["article_id"].isin(tests), "test", "train")

    def write_images(target: Path) -> dict[str, str]:
        names = {
            image: f"{i:06d}{source.suffix.lower()}"
            for i, (image, source) in enumerate(files.items())
        }
        for image, source in files.items():
            shutil.copyfile(source, target / names[image])
        return names

    card = {
        "source": path.name,
        "licence": licence,
        "sha256": {path.name: digest_file(path)},
        "options": {
            "languages": languages,
            "test_fraction": test_fraction,
            "allow_missing": allow_missing,
            "seed": seed,
        },
        "biases": "Not described: the corpus is the user's own.",
    }
    return Tuples(name, frame, chosen, write_images if files else None, card)
