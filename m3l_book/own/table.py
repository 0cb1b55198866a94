"""The user's own table beside what was learnt of it: her columns, row by row."""

from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, choose, require
from m3l.files import digest_file, read_json

from ..data.prepared import read_tuples
from ..data.tables import read_table

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def own_table(prepared: str | Path) -> "DataFrame":
    """Read the table that a prepared corpus was made of, as it is: a row a row, her columns.

    The index is the row's number, as a spreadsheet counts them, and as ``row`` of the corpus's
    tuples has it.

    Raises
    ------
    DataError
        The corpus was made of no table, or the table is no longer the one that it was made of.
    """
    import pandas as pd

    card = read_json(Path(prepared) / "card.json")
    require("table" in card, f"{prepared}: the corpus was not made of a table", DataError)
    table = read_table(**card["table"])
    changed = f"{table.path} has changed since the corpus was made of it; build again"
    require(digest_file(table.path) in card["sha256"].values(), changed, DataError)
    rows = dict(table.rows())
    columns = [column for column in table.columns if column]
    return pd.DataFrame(list(rows.values()), index=list(rows), columns=columns)


def has_table(prepared: str | Path) -> bool:
    """Say whether a corpus was made of a table that is there as it was."""
    card = read_json(Path(prepared) / "card.json")
    path = Path(card.get("table", {}).get("path", ""))
    return path.is_file() and digest_file(path) in card["sha256"].values()


def own_column(prepared: str | Path, column: str) -> "Series":
    """Read a column of the user's table by article: the value of its first row that has one."""
    table = own_table(prepared)
    choose("column", column, table.columns)
    tuples = read_tuples(prepared).drop_duplicates("row")
    values = tuples["row"].map(table[column]).rename(column)
    found = values.set_axis(tuples["article_id"]).dropna()
    found = found[found.astype(str).str.strip() != ""]
    return found[~found.index.duplicated()]
