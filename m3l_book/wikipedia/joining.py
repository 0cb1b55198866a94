"""Lists of tuples joined with the texts of articles; what is not found is counted by its reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from m3l.errors import DataError, require
from m3l.progress import progress_bar

from .comparable import Article, pairs, titles
from .lists import is_drawing, title_key
from .streams import lines
from .wit import page_pictures

NO_PAIR = "no pair of articles of these titles"
OTHER_PAIR = "the article is paired with another one"
SHORT = "a text is too short"


@dataclass
class Found:
    """Articles of pairs of titles.

    Attributes
    ----------
    articles : dict of a key a language to Article by language
    missing : dict of a key a language to the reason
    counts : Counter
        What was broken in the file.
    """

    articles: dict[tuple[str, ...], dict[str, Article]] = field(default_factory=dict)
    missing: dict[tuple[str, ...], str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)


def read_redirects(path: str | Path, counts: Counter) -> dict[str, str]:
    """Keys of titles and of what they lead to, from a table of two columns without a header,
    separated by a tab; chains are followed.

    Raises
    ------
    DataError
        The file is not there, or a line has not two columns.
    """
    to = {}
    for number, line in enumerate(lines(path, counts), 1):
        cells = line.decode("utf-8", "replace").split("\t")
        wrong = f"{path}: line {number} has {len(cells)} columns, expected 2 (title, tab, title)"
        require(len(cells) == 2, wrong, DataError)
        to[title_key(cells[0])] = title_key(cells[1])
    return {title: _end(title, to) for title in to}


def _end(title: str, to: Mapping[str, str]) -> str:
    """Where a chain of redirects ends; where it began, if it goes in a circle."""
    seen = [title]
    while seen[-1] in to:
        if to[seen[-1]] in seen:
            return title
        seen.append(to[seen[-1]])
    return seen[-1]


def find_articles(
    path: str | Path,
    wanted: Iterable[tuple[str, ...]],
    languages: tuple[str, str],
    least: int,
    redirects: Mapping[str, str] | None = None,
) -> Found:
    """The articles of pairs of titles, from a file of comparable corpora, in one pass.

    Parameters
    ----------
    path : path
    wanted : keys of titles, one a language
    languages : codes
        As the file has them.
    least : int
        A text of fewer letters is too short.
    redirects : mapping of a key of a title to that of the article it leads to, optional
    """
    lead = dict(redirects or {})
    asked: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for names in wanted:
        asked.setdefault(tuple(lead.get(name, name) for name in names), []).append(names)
    singles = [{names[i] for names in asked} for i in range(2)]
    found, paired = Found(), [set(), set()]

    def is_wanted(names: Mapping[str, str]) -> bool:
        keys = _keys(names, languages, lead)
        for place, key in enumerate(keys):
            if key in singles[place]:
                paired[place].add(key)
        return keys in asked

    reading = pairs(path, found.counts, is_wanted)
    for articles in progress_bar(reading, desc="articles", unit="pair", delay=2):
        names = {language: article.title for language, article in articles.items()}
        keys = _keys(names, languages, lead)
        short = any(len(articles[language].text) < least for language in languages)
        for names in asked[keys]:
            if short:
                found.missing[names] = SHORT
            else:
                found.articles[names] = articles
                found.missing.pop(names, None)
    for keys, several in asked.items():
        other = any(key in paired[place] for place, key in enumerate(keys))
        for names in several:
            if names not in found.articles:
                found.missing.setdefault(names, OTHER_PAIR if other else NO_PAIR)
    return found


def _keys(
    names: Mapping[str, str], languages: tuple[str, str], lead: Mapping[str, str]
) -> tuple[str, ...]:
    """The keys of a pair's titles, after redirects; "" for a language that it lacks."""
    keys = (title_key(names.get(language, "")) for language in languages)
    return tuple(lead.get(key, key) for key in keys)


def illustrated_pairs(
    path: str | Path,
    shards: Iterable[str | Path],
    languages: tuple[str, str],
    counts: Counter,
    redirects: Mapping[str, str] | None = None,
) -> dict[tuple[str, ...], list[str]]:
    """All pairs of articles with a picture on a page of either: keys of titles, and the addresses
    of their pictures, drawings aside.

    Parameters
    ----------
    path : path
        Of comparable corpora.
    shards : paths
        Of WIT.
    """
    lead = dict(redirects or {})
    of_title: dict[tuple[str, str], tuple[str, ...]] = {}
    for names in progress_bar(titles(path, counts), desc="titles", unit="pair", delay=2):
        keys = _keys(names, languages, lead)
        if all(keys):
            of_title |= dict.fromkeys(zip(languages, keys, strict=True), keys)
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for shard in shards:
        for picture in page_pictures(shard, counts, languages):
            key = title_key(picture.title)
            keys = of_title.get((picture.language, lead.get(key, key)))
            if keys and not is_drawing(picture.address):
                found.setdefault(keys, {})[picture.address.strip()] = None
    return {keys: list(addresses) for keys, addresses in found.items()}
