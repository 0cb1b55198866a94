"""Lists of tuples, and their joining with the texts of articles; what is lost is counted.

The authors published their lists (commit 20b3ffbc25e8ac6254315223899aacc528411b99 of the repository
ezosa/M3L-topic-model): two tables of columns ``de_title``, ``en_title``, ``image_url``, titles in
small letters, one for training and one for testing. Where they cannot be had, `drawn` draws others
by the paper's recipe (Section 4.1).
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, require
from m3l.progress import progress_bar

from . import hub
from .formats import Article, PagePicture, articles, pairs, picture_key, titles

if TYPE_CHECKING:
    from pandas import DataFrame

COMMIT = "20b3ffbc25e8ac6254315223899aacc528411b99"
AUTHORS = f"https://raw.githubusercontent.com/ezosa/M3L-topic-model/{COMMIT}/data/"
CHECKSUMS = {
    "train-titles.csv": "49bf509956dd899ce3e9580f90e5bf8178e362438b90cc444f4cf28fb7a7b89d",
    "test-titles.csv": "6f9ff54dc1628c8554b7fcb80acd80a34ab66904140dcf7fcdd3e5aab1b28f89",
}
DUMP = "20231101"
LISTED = ("split", "article", "picture", "address")  # columns of a list that are no language

NO_PAIR = "no pair of articles of these titles"
OTHER_PAIR = "the article is paired with another one"
BROKEN = "the pair of articles is broken"
NO_ARTICLE = "no article of this title"
SHORT = "a text is too short"
SAME_TITLE = "titles that several articles have in small letters, of which the first is taken"


def title_key(title: str) -> str:
    """Reduce a title to what its spellings share: no case, underscores, blanks and Unicode form.

    Small letters, and not folded ones: the German titles "Masse" and "Maße" are two articles.
    """
    small = unicodedata.normalize("NFC", title).replace("_", " ").lower()
    return " ".join(unicodedata.normalize("NFC", small).split())


def is_drawing(address: str) -> bool:
    """Tell whether an address is that of a file without pixels, as the authors do."""
    return picture_key(address).lower().endswith(".svg")


@dataclass(frozen=True)
class Listed:
    """Holds the tuples that a list asks for.

    ``rows`` has a row per tuple: ``split`` (``train`` or ``test``), ``article`` (the same for
    tuples of one pair of titles and split), a column of keys of titles for each language,
    ``picture`` (its key) and ``address``. ``notes`` are what was counted as the list was read.
    """

    rows: "DataFrame"
    notes: dict[str, int]


def read_lists(files: Mapping[str, str | Path], languages: Iterable[str]) -> Listed:
    """Read the tuples of published lists, by split.

    A row that has an empty cell, or stands in the list already, is counted and left out.

    Raises
    ------
    DataError
        A file is not there, is no table, or lacks a column.
    """
    import pandas as pd

    languages, parts, notes = list(languages), [], {}
    columns = [f"{language}_title" for language in languages] + ["image_url"]
    for split, path in files.items():
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except ValueError as error:
            raise DataError(f"{path}: not a list of titles ({error})") from error
        lacking = [column for column in columns if column not in frame]
        there = f"it has {', '.join(map(str, frame.columns))}"
        require(not lacking, f"{path}: no column {', '.join(lacking)}; {there}", DataError)
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
    rows["article"] = rows["split"] + ": " + rows[languages].agg(" | ".join, axis=1)
    keys = rows[languages].agg(tuple, axis=1)
    both = set(keys[rows["split"] == "train"]) & set(keys[rows["split"] == "test"])
    notes["pairs of articles in both lists"] = len(both)
    return Listed(rows, {what: count for what, count in notes.items() if count})


def drawn(
    pairs: Mapping[tuple[str, ...], list[str]],
    languages: Iterable[str],
    train: int,
    test: int,
    seed: int,
) -> Listed:
    """Draw tuples at random, as the paper did: one picture of a training pair, all of a test pair.

    ``pairs`` are the addresses of pictures by keys of titles, one a language; ``train`` and
    ``test`` say how many pairs are drawn.

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
    rows = []
    for place, number in enumerate(rng.permutation(len(ordered))[: train + test]):
        split, keys = "train" if place < train else "test", ordered[number]
        addresses = [*{picture_key(address): address for address in sorted(pairs[keys])}.values()]
        if split == "train":
            addresses = [addresses[rng.integers(len(addresses))]]
        about = {"split": split, **dict(zip(languages, keys, strict=True))}
        about["article"] = f"{split}: {' | '.join(keys)}"
        rows += [{**about, "picture": picture_key(a), "address": a} for a in addresses]
    return Listed(pd.DataFrame(rows), {"pairs of articles with a picture": len(pairs)})


@dataclass
class Found:
    """Holds the articles of each pair of titles by language, or why they are missing; both by the
    keys of the titles. ``counts`` are of what was broken in the file.
    """

    articles: dict[tuple[str, ...], dict[str, Article]] = field(default_factory=dict)
    missing: dict[tuple[str, ...], str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)

    def shares(self, rows: "DataFrame") -> dict[str, float]:
        """Give the share of a list's rows whose articles were found, by split."""
        languages = [column for column in rows if column not in LISTED]
        there = rows[languages].agg(tuple, axis=1).isin(self.articles.keys())
        return there.groupby(rows["split"]).mean().to_dict()


def find_articles(
    wanted: Iterable[tuple[str, ...]], languages: tuple[str, str], folder: str | Path, least: int
) -> Found:
    """Find the articles of pairs of titles in ``wikimedia/wikipedia``, a dump of November 2023.

    A text of fewer than ``least`` letters is too short. Titles are compared in small letters, in
    which the authors published theirs.
    """
    asked, found, read = set(wanted), Found(), {}
    for place, language in enumerate(languages):
        for article in _titled({names[place] for names in asked}, language, Path(folder)):
            key = (language, title_key(article.title))
            found.counts[SAME_TITLE] += key in read
            read.setdefault(key, article)
    for names in asked:
        both = {v: read.get((v, key)) for v, key in zip(languages, names, strict=True)}
        lacking = [language for language, article in both.items() if article is None]
        if lacking:
            found.missing[names] = f"{NO_ARTICLE} ({' and '.join(lacking)})"
        elif any(len(article.text) < least for article in both.values()):
            found.missing[names] = SHORT
        else:
            found.articles[names] = both
    return found


def _titled(keys: Collection[str], language: str, folder: Path) -> Iterator[Article]:
    """Take the articles of a Wikipedia whose titles have some keys."""

    def take(table: Path) -> list[list[str]]:
        rows = articles(table, lambda title: title_key(title) in keys)
        return [[article.title, article.text] for article in rows]

    name, asked = f"{DUMP}.{language}", sorted(keys)
    for note in hub.taken("wikimedia/wikipedia", name, asked, folder, take):
        yield from (Article(*cells) for cells in note)


def find_pairs(
    path: str | Path,
    wanted: Iterable[tuple[str, ...]],
    languages: tuple[str, str],
    least: int,
) -> Found:
    """Find the articles of pairs of titles in a file of comparable corpora, in one pass.

    A text of fewer than ``least`` letters is too short.
    """
    asked = set(wanted)
    singles = [{names[i] for names in asked} for i in range(2)]
    found, paired = Found(), [set(), set()]

    def is_wanted(names: Mapping[str, str]) -> bool:
        keys = _keys(names, languages)
        for place, key in enumerate(keys):
            if key in singles[place]:
                paired[place].add(key)
        return keys in asked

    reading = pairs(path, found.counts, is_wanted)
    for names, both in progress_bar(reading, desc="articles", unit="pair", delay=2):
        keys = _keys(names, languages)
        if not both:
            found.missing[keys] = BROKEN
        elif all(len(both[language].text) >= least for language in languages):
            found.articles[keys] = both
        else:
            found.missing[keys] = SHORT
    for keys in found.articles:
        found.missing.pop(keys, None)  # another pair of the same titles was broken or too short
    for keys in asked - found.articles.keys():
        other = any(key in paired[place] for place, key in enumerate(keys))
        found.missing.setdefault(keys, OTHER_PAIR if other else NO_PAIR)
    return found


def _keys(names: Mapping[str, str], languages: tuple[str, str]) -> tuple[str, ...]:
    """Give the keys of a pair's titles; "" for a language that it lacks."""
    return tuple(title_key(names.get(language, "")) for language in languages)


def illustrated_pairs(
    path: str | Path,
    pictures: Iterable[PagePicture],
    languages: tuple[str, str],
    counts: Counter,
) -> dict[tuple[str, ...], list[str]]:
    """Find all pairs of articles with a picture on a page of either: keys of titles, and the
    addresses of their pictures, drawings left out.

    ``path`` is that of comparable corpora, which say what is a pair.
    """
    of_title: dict[tuple[str, str], tuple[str, ...]] = {}
    for names in progress_bar(titles(path, counts), desc="titles", unit="pair", delay=2):
        keys = _keys(names, languages)
        if all(keys):
            of_title |= dict.fromkeys(zip(languages, keys, strict=True), keys)
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for picture in pictures:
        keys = of_title.get((picture.language, title_key(picture.title)))
        if keys and not is_drawing(picture.address):
            found.setdefault(keys, {})[picture.address.strip()] = None
    return {keys: list(addresses) for keys, addresses in found.items()}
