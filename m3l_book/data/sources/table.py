"""Your own corpus: a table with a column of text per language and, if you like, one of pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest_file
from m3l.progress import progress_bar

from ...pictures.folder import PictureFolder
from ..rows import Reader
from ..schema import Tuples
from ..splits import validation_part
from ..tables import Table, read_table, several, shown

if TYPE_CHECKING:
    from pandas import DataFrame


def load(
    path: str = "",
    languages: str = "en,de",
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
    id_column, article_column, split_column : str
        Unique tuple ids; articles (rows that share one share their texts); ``train``,
        ``validation`` or ``test``. Without them: the row number; the tuple; a random
        ``test_fraction`` of the articles for testing, of which a small corpus gives ``least_test``
        if that is at most a quarter, then a share ``validation`` of the others to make choices on.
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
        Whether texts are taken as they are, or without HTML: tags go, entities become their letter.
    bad_pictures : {"error", "missing"}
        Whether a picture that is not there or cannot be read is an error, or is missing.
    picture_separator : str
        Divides the names of several pictures in a cell.
    delimiter, encoding : str
        Of a text file: by default found in it, and UTF-8.
    licence : str
        For the data card.

    Raises
    ------
    DataError
        Naming the file and, ten at a time, rows (counted from 1 below the header) and columns.
    """
    choose("markup", markup, ("keep", "strip"))
    choose("bad_pictures", bad_pictures, ("error", "missing"))
    require(0 < test_fraction < 1, f"test_fraction={test_fraction}: expected above 0 and below 1")
    require(least_test >= 1, f"least_test={least_test}: expected 1 or more")
    table = read_table(path, delimiter, encoding)
    chosen = [language.strip() for language in languages.split(",")]
    named = {
        "id": id_column,
        "article": article_column,
        "split": split_column,
        "image": image_column,
        "category": category_column,
    }
    check_columns(table, chosen, [column for column in named.values() if column], image_column)
    folder = image_folder or table.path.parent
    reader = Reader(
        table,
        allow_missing,
        frozenset(str(word).strip() for word in missing),
        markup,
        bad_pictures,
        picture_separator,
        PictureFolder(folder) if image_column else None,
    )
    frame = gather(reader, chosen, named)
    require(not reader.problems, f"{table.path}: {several(reader.problems)}", DataError)
    require(len(frame) > 0, f"{table.path}: no row below the header", DataError)
    if not split_column:
        _divide(frame, test_fraction, least_test, validation, seed)
    options = {
        "languages": languages,
        "test_fraction": test_fraction,
        "validation": validation,
        "allow_missing": allow_missing,
        "missing": list(missing),
        "markup": markup,
        "bad_pictures": bad_pictures,
        "seed": seed,
    }
    card = {
        "source": table.path.name,
        "licence": licence,
        "sha256": {table.path.name: digest_file(table.path)},
        "options": options,
        "notes": notes_of(reader),
        "biases": "Not described: the corpus is the user's own.",
    }
    return Tuples("table", frame, chosen, reader.write_images if reader.pictures else None, card)


def gather(reader: Reader, languages: Sequence[str], named: Mapping[str, str]) -> "DataFrame":
    """The tuples of a table; what is wrong with its cells is in ``reader.problems``.

    ``named`` are the columns of ``id``, ``article``, ``split``, ``image`` and ``category``, each ""
    if there is none.
    """
    import pandas as pd

    rows = []
    for i, values in enumerate(
        progress_bar(reader.table.rows(), desc="rows", unit="row", delay=2), 1
    ):
        identity = reader.tuple_id(values, i, named["id"])
        article = reader.cell(values, i, named["article"]) or identity
        row = {"tuple_id": identity, "article_id": article, "image_id": None}
        for language in languages:
            row[f"{language}_text"] = reader.text(values, i, language, article)
            row[f"{language}_title"] = reader.cell(values, i, f"{language}_title")
        if named["category"]:
            row["category"] = reader.cell(values, i, named["category"])
        if named["split"]:
            row["split"] = reader.split(values, i, named["split"])
        images = reader.images(values, i, named["image"]) if named["image"] else []
        rows.append(row | {"image_id": images[0] if images else None})
        more = enumerate(images[1:], 2)
        rows += [row | {"tuple_id": f"{identity}#{n}", "image_id": key} for n, key in more]
    return pd.DataFrame(rows)


def _divide(frame, test_fraction: float, least: int, validation: float, seed: int) -> None:
    """Divide the articles into the three parts, in place."""
    articles = frame["article_id"].unique()
    size = max(1, round(test_fraction * len(articles)), min(least, len(articles) // 4))
    tests = np.random.default_rng(seed).permutation(articles)[:size]
    frame["split"] = np.where(frame["article_id"].isin(tests), "test", "train")
    validation_part(frame, validation, seed)


def notes_of(reader: Reader) -> list[str]:
    """What became of cells, for the data card."""
    notes = list(reader.table.notes)
    notes += [f"{what}: {count:,}" for what, count in sorted(reader.counts.items()) if count]
    respelled = reader.folder.respelled if reader.folder else {}
    if respelled:
        name, file = next(iter(respelled.items()))
        found = f"pictures found under another spelling: {len(respelled):,}"
        notes.append(f"{found}, such as {shown(name)} as {shown(file)}")
    return notes


def check_columns(table: Table, languages: list[str], named: list[str], pictures: str) -> None:
    """The columns that are asked for are there, and make tuples."""
    twice = f"languages={','.join(languages)!r}: a language stands twice"
    require(len(set(languages)) == len(languages), twice)
    columns = ", ".join(column for column in table.columns if column)
    for column in [*(f"{language}_text" for language in languages), *named]:
        missing = f"{table.path}: no column {column!r}; it has: {columns}"
        require(column in table.columns, missing, DataError)
    require(
        len(languages) + bool(pictures) >= 2,
        f"{table.path}: one view makes no tuple; give two languages or more, or a language and "
        "image_column",
    )
