"""Pairs of articles in two collections without links between them, mined by ratio margin (Artetxe &
Schwenk 2019) or read from a list of what was mined before.

The precision of the mining is estimated on the articles whose titles agree exactly. It reads every
article twice, which takes minutes: ``python -m m3l_book.data.mining`` writes the list of the pairs
of English and French articles again, and with two other languages theirs.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from functools import cache as remembered
from pathlib import Path

import numpy as np

from m3l.errors import DataError, M3LError, require
from m3l.files import write_csv

from ..encoders.cache import encode
from ..encoders.registry import get_encoder
from ..encoders.spaces import Encoder
from ..pictures.named import plain_name
from ..summaries import PACKAGE, articles

NEIGHBOURS = 4

ENCODER, THRESHOLD, LISTS = "use-multilingual", 1.05, "data/vital"
"""The encoder and the least margin of the pairs in the lists, and the folder of those."""


def mine(
    a: np.ndarray, b: np.ndarray, threshold: float = THRESHOLD, neighbours: int = NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Find mutually best pairs by ratio margin.

    Parameters
    ----------
    a (N, D), b (M, D) : unit rows
    threshold : float
        The least margin: cosine over the mean of both sides' mean cosine to their nearest
        neighbours.

    Returns
    -------
    pairs int (P, 2) of rows of a and b, margins (P,).
    """
    k = min(neighbours, len(a), len(b))
    cosine = (a @ b.T).astype(np.float32)  # (N, M)
    near_a = np.partition(cosine, -k, axis=1)[:, -k:].mean(axis=1)
    near_b = np.partition(cosine, -k, axis=0)[-k:].mean(axis=0)
    margin = np.divide(cosine, 0.5 * (near_a[:, None] + near_b[None]), out=cosine)
    best_b, best_a = margin.argmax(axis=1), margin.argmax(axis=0)
    rows = np.flatnonzero(best_a[best_b] == np.arange(len(a)))
    margins = margin[rows, best_b[rows]]
    enough = margins >= threshold
    return np.stack([rows, best_b[rows]], axis=1)[enough], margins[enough]


def article_vectors(entries: Sequence[Mapping], model: Encoder, cache: str | Path) -> np.ndarray:
    """Embed articles as unit vectors (N, 2 D): title and description beside the summary."""
    heads = encode(model, [f"{entry['title']}. {entry['description']}" for entry in entries], cache)
    bodies = encode(model, [entry["extract"] for entry in entries], cache)
    both = np.hstack([x / np.linalg.norm(x, axis=1, keepdims=True) for x in (heads, bodies)])
    return both / np.linalg.norm(both, axis=1, keepdims=True)


def check_titles(
    pairs: np.ndarray, titles_a: list[str], titles_b: list[str]
) -> tuple[np.ndarray, dict]:
    """Hold mined pairs against exact title matches.

    Returns
    -------
    keep bool (P,), false for pairs that contradict a match, and counts: ``checked`` pairs one of
    whose titles has an exact match, ``agreeing``, and ``matches`` in all.
    """
    match = same_titles(titles_a, titles_b)
    matched_b = set(match.values())
    checkable = np.array([i in match or j in matched_b for i, j in pairs], dtype=bool)
    agrees = np.array([match.get(i) == j for i, j in pairs], dtype=bool)
    checked, agreeing = int(checkable.sum()), int(agrees.sum())
    report = {
        "mined": len(pairs),
        "checked": checked,
        "agreeing": agreeing,
        "precision": agreeing / checked if checked else None,
        "matches": len(match),
        "recall": agreeing / len(match) if match else None,
    }
    return ~checkable | agrees, report


def same_titles(titles_a: list[str], titles_b: list[str]) -> dict[int, int]:
    """Pair the rows whose plain titles agree, where no other row of either side has that title."""
    in_a, in_b = unique_titles(titles_a), unique_titles(titles_b)
    return {in_a[title]: in_b[title] for title in sorted(in_a.keys() & in_b.keys())}


def unique_titles(titles: list[str]) -> dict[str, int]:
    """Find the row of each plain title that no other row shares."""
    names = np.array([plain_name(title) for title in titles])
    values, first, counts = np.unique(names, return_index=True, return_counts=True)
    return {str(t): int(i) for t, i, n in zip(values, first, counts, strict=True) if n == 1 and t}


def read_pairs(
    path: str | Path, entries: Mapping[str, Sequence[Mapping]]
) -> tuple[np.ndarray, np.ndarray]:
    """Read the pairs in a list as `mine` gives them: int (P, 2) rows of the articles, margins (P,).

    The list has a column per language, with the names under which the package has the articles, and
    ``margin``. ``entries`` are all articles of both languages.

    Raises
    ------
    DataError
        Naming the file and the row: a column is missing, a name is none of an article or was named
        before, or a margin is no number.
    """
    free = {
        language: {entry["name"]: row for row, entry in enumerate(all_articles)}
        for language, all_articles in entries.items()
    }
    again = f"write the list again: python -m m3l_book.data.mining {' '.join(free)}"
    pairs, margins = [], []
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            where = f"{path}: line {number}"
            for column in (*free, "margin"):
                require(row.get(column) is not None, f"{where}: no column {column!r}", DataError)
            for language, rows in free.items():
                unknown = f"{where}: {language} {row[language]!r} is no article of {PACKAGE}"
                unknown += f" that no earlier line has; {again}"
                require(row[language] in rows, unknown, DataError)
            pairs.append([rows.pop(row[language]) for language, rows in free.items()])
            try:
                margins.append(np.float32(row["margin"]))
            except ValueError:
                raise DataError(f"{where}: margin {row['margin']!r}: expected a number") from None
    return np.array(pairs, dtype=int).reshape(-1, 2), np.array(margins, dtype=np.float32)


def find_pairs(
    entries: Mapping[str, Sequence[Mapping]],
    limit: int = 0,
    threshold: float = THRESHOLD,
    encoder: str = ENCODER,
    lists: str | Path = LISTS,
    cache: str | Path = "data/cache",
) -> tuple[dict[str, dict[int, int]], dict[str, dict]]:
    """Find the partner of each article of the first language in every other.

    ``entries`` are all articles of each language; the options are those of
    `m3l_book.data.sources.vital.load`.

    Returns
    -------
    partner : language -> row of the first language -> row
    reports : for each pair of languages what `check_titles` found, how many were ``kept`` of how
        many ``articles``, and the ``list`` that the pairs are from, "" if they were mined.
    """
    some = {language: several[: limit or None] for language, several in entries.items()}

    @remembered
    def embedded(language: str) -> np.ndarray:
        return article_vectors(some[language], get_encoder(encoder), cache)

    pivot, *others = entries
    partner, reports = {}, {}
    for other in others:
        both = pivot, other
        path = Path(lists) / f"pairs-{pivot}-{other}.csv"
        titles = [[entry["title"] for entry in some[language]] for language in both]
        listed = lists != "" and encoder == ENCODER and threshold >= THRESHOLD and path.is_file()
        if listed:
            pairs, margins = read_pairs(path, {language: entries[language] for language in both})
            there = [len(some[language]) for language in both]
            pairs = pairs[(margins >= threshold) & (pairs < there).all(axis=1)]
        elif encoder:
            pairs, _ = mine(*map(embedded, both), threshold)
        else:
            pairs = np.array([*same_titles(*titles).items()], dtype=int).reshape(-1, 2)
        keep, report = check_titles(pairs, *titles)
        report |= {"kept": int(keep.sum()), "articles": [len(several) for several in titles]}
        reports["-".join(both)] = {**report, "list": path.as_posix() if listed else ""}
        partner[other] = dict(pairs[keep].tolist())
    return partner, reports


def main(languages: Sequence[str]) -> None:
    """Write the list of the pairs of two languages, English and French unless others are given."""
    both = languages or ("en", "fr")
    require(len(both) == 2, f"languages={' '.join(both)}: expected two, such as en fr")
    a, b = (articles(language)[0] for language in both)
    model = get_encoder(ENCODER)
    vectors = (article_vectors(several, model, "data/cache") for several in (a, b))
    rows = [
        {both[0]: a[i]["name"], both[1]: b[j]["name"], "margin": str(margin)}
        for (i, j), margin in zip(*mine(*vectors), strict=True)
    ]
    write_csv(Path(LISTS) / f"pairs-{both[0]}-{both[1]}.csv", rows)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (M3LError, OSError) as error:
        sys.exit(f"error: {error}")
