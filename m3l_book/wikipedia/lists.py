"""Lists of tuples: the pairs of titles and the pictures that a corpus is made of.

The authors published theirs (commit 20b3ffbc25e8ac6254315223899aacc528411b99 of the repository
ezosa/M3L-topic-model): two tables of columns ``de_title``, ``en_title``, ``image_url``, titles in
small letters, one for training and one for testing. Where they cannot be had, `drawn` draws others
by the paper's recipe (Section 4.1).
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np

from m3l.errors import DataError, require

if TYPE_CHECKING:
    from pandas import DataFrame

COMMIT = "20b3ffbc25e8ac6254315223899aacc528411b99"
AUTHORS = f"https://raw.githubusercontent.com/ezosa/M3L-topic-model/{COMMIT}/data/"
CHECKSUMS = {
    "train-titles.csv": "49bf509956dd899ce3e9580f90e5bf8178e362438b90cc444f4cf28fb7a7b89d",
    "test-titles.csv": "6f9ff54dc1628c8554b7fcb80acd80a34ab66904140dcf7fcdd3e5aab1b28f89",
}
DRAWINGS = (".svg",)
"""Files that have no pixels; the authors pass over them too."""


def title_key(title: str) -> str:
    """What spellings of one title share: case, underscores, blanks and Unicode form aside.

    Small letters, and not folded ones: the German titles "Masse" and "Maße" are two articles.
    """
    return " ".join(unicodedata.normalize("NFC", title).replace("_", " ").lower().split())


def picture_key(address: str) -> str:
    """What addresses of one picture share: the scheme, percent signs and Unicode form aside."""
    parts = urlsplit(address.strip())
    return unicodedata.normalize("NFC", f"{parts.netloc.lower()}{unquote(parts.path)}")


def is_drawing(address: str) -> bool:
    """Whether an address is that of a file without pixels."""
    return urlsplit(address.strip()).path.lower().endswith(DRAWINGS)


@dataclass(frozen=True)
class Listed:
    """Tuples that a list asks for.

    Attributes
    ----------
    rows : DataFrame
        A row a tuple: ``split`` (``train`` or ``test``), ``article`` (the same for tuples of one
        pair of titles and split), a column of keys of titles for each language, ``picture`` (its
        key) and ``address``.
    notes : dict of str to int
        What was counted as the list was read.
    """

    rows: "DataFrame"
    notes: dict[str, int]


def read_lists(files: Mapping[str, str | Path], languages: Iterable[str]) -> Listed:
    """The tuples of published lists, by split.

    A row that has an empty cell, or stands in the list already, is counted and left out.

    Raises
    ------
    DataError
        A file is not there, no table, or lacks a column.
    """
    import pandas as pd

    languages, parts, notes = list(languages), [], {}
    for split, path in files.items():
        frame = _table(path)
        columns = [f"{language}_title" for language in languages] + ["image_url"]
        lacking = [column for column in columns if column not in frame]
        have = f"it has {', '.join(map(str, frame.columns))}"
        require(not lacking, f"{path}: no column {', '.join(lacking)}; {have}", DataError)
        whole = (frame[columns].map(str.strip) != "").all(axis=1)
        rows = pd.DataFrame({"split": split}, index=frame.index[whole])
        for language in languages:
            rows[language] = frame.loc[whole, f"{language}_title"].map(title_key)
        rows["picture"] = frame.loc[whole, "image_url"].map(picture_key)
        rows["address"] = frame.loc[whole, "image_url"].map(str.strip)
        twice = rows.duplicated([*languages, "picture"])
        notes |= {
            f"{split}: rows of the list": len(frame),
            f"{split}: rows with an empty cell": int((~whole).sum()),
            f"{split}: rows that stand in the list already": int(twice.sum()),
        }
        parts.append(rows[~twice])
    rows = pd.concat(parts, ignore_index=True)
    rows["article"] = _articles(rows, languages)
    notes["pairs of articles in both lists"] = len(in_both(rows, languages))
    return Listed(rows, {what: count for what, count in notes.items() if count})


def in_both(rows: "DataFrame", languages: Iterable[str]) -> set[tuple[str, ...]]:
    """The pairs of titles that stand in training and test."""
    keys = rows[list(languages)].agg(tuple, axis=1)
    return set(keys[rows["split"] == "train"]) & set(keys[rows["split"] == "test"])


def _articles(rows: "DataFrame", languages: list[str]) -> "DataFrame":
    return rows["split"] + ": " + rows[languages].agg(" | ".join, axis=1)


def _table(path: str | Path) -> "DataFrame":
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a list of titles ({error})") from error


def drawn(
    pairs: Mapping[tuple[str, ...], list[str]],
    languages: Iterable[str],
    train: int,
    test: int,
    seed: int,
) -> Listed:
    """Tuples drawn at random, as the paper drew them: one picture of a training pair, all of a
    test pair.

    Parameters
    ----------
    pairs : mapping of keys of titles, one a language, to addresses of pictures
        What there is to draw from.
    languages : codes
    train, test : int
        How many pairs.
    seed : int

    Raises
    ------
    DataError
        There are fewer pairs.
    """
    import pandas as pd

    languages = list(languages)
    needed = f"{train:,} and {test:,} are asked for"
    enough = len(pairs) >= train + test
    require(enough, f"{len(pairs):,} pairs of articles have a picture; {needed}", DataError)
    ordered = sorted(pairs)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(ordered))[: train + test]
    rows = []
    for place, number in enumerate(chosen):
        titles = ordered[number]
        split = "train" if place < train else "test"
        addresses = sorted(set(pairs[titles]))
        if split == "train":
            addresses = [addresses[rng.integers(len(addresses))]]
        about = {"split": split, **dict(zip(languages, titles, strict=True))}
        rows += [{**about, "picture": picture_key(a), "address": a} for a in addresses]
    frame = pd.DataFrame(rows)
    frame["article"] = _articles(frame, languages)
    return Listed(frame, {"pairs of articles with a picture": len(pairs)})
