"""Wikipedia Comparable Corpora (linguatools, 2014): pairs of articles in two languages, in XML.

An ``articlePair`` has two ``article``, each with ``lang`` and ``name``, ``categories`` and a
``content`` of paragraphs ``p``, headings ``h``, links, tables and formulas.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from .streams import LONGEST, blocks

START, END = b"<articlePair", b"</articlePair>"
ARTICLE = re.compile(rb'<article((?:\s+[\w:-]+\s*=\s*"[^"]*")+)\s*>')
ATTRIBUTE = re.compile(rb'([\w:-]+)\s*=\s*"([^"]*)"')
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
NO_TEXT = {"table", "math"}
"""Parts of an article that are no running text."""

BROKEN = "pairs of articles that are broken"
NOT_UTF8 = "pairs of articles with bytes that are not UTF-8"
LONG = "pairs of articles longer than 64 MiB"


@dataclass(frozen=True)
class Article:
    """An article: its title, its categories and its text, a line a paragraph or heading."""

    title: str
    categories: tuple[str, ...]
    text: str


def titles(path: str | Path, counts: Counter) -> Iterator[dict[str, str]]:
    """The titles of each pair, by language."""
    for chunk in _chunks(path, counts):
        named = _names(chunk)
        if len(named) == 2:
            yield named
        else:
            counts[BROKEN] += 1


def pairs(
    path: str | Path, counts: Counter, wanted: Callable[[Mapping[str, str]], bool] = lambda _: True
) -> Iterator[dict[str, Article]]:
    """The pairs of articles whose titles, by language, are wanted, as articles by language.

    A pair that is broken, cut or of the wrong form is counted (`BROKEN`), and the next one read;
    bytes that are not UTF-8 become the sign for an unknown letter (`NOT_UTF8`).
    """
    for chunk in _chunks(path, counts):
        named = _names(chunk)
        if len(named) != 2:
            counts[BROKEN] += 1
        elif wanted(named):
            articles = _parsed(chunk, counts)
            if articles.keys() == named.keys():
                yield articles
            else:
                counts[BROKEN] += 1


def _chunks(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """Each ``articlePair`` as it stands in the file."""
    kept, seen = b"", 0
    for block in blocks(path, counts):
        kept += block
        place = 0
        while True:
            end = kept.find(END, max(place, seen))
            if end < 0:
                break
            start = kept.rfind(START, place, end)
            counts[BROKEN] += max(0, kept.count(START, place, end) - 1) + (start < 0)
            if start >= 0:
                yield kept[start : end + len(END)]
            place = end + len(END)
        begun = kept.find(START, place)
        kept = kept[begun:] if begun >= 0 else kept[-len(START) :]
        seen = max(0, len(kept) - len(END))
        if len(kept) > LONGEST:
            counts[LONG] += 1
            kept, seen = b"", 0
    counts[BROKEN] += kept.count(START)


def _names(chunk: bytes) -> dict[str, str]:
    """Titles by language, from the start tags alone: most pairs need no more."""
    found = {}
    for match in ARTICLE.finditer(chunk):
        attributes = dict(ATTRIBUTE.findall(match[1]))
        if b"lang" in attributes and b"name" in attributes:
            name = attributes[b"name"].decode("utf-8", "replace")
            found[attributes[b"lang"].decode("ascii", "replace")] = html.unescape(name)
    return found


def _parsed(chunk: bytes, counts: Counter) -> dict[str, Article]:
    text = chunk.decode("utf-8", "replace")
    counts[NOT_UTF8] += "\ufffd" in text and b"\xef\xbf\xbd" not in chunk
    try:
        pair = ElementTree.fromstring(CONTROL.sub("", text))
    except ElementTree.ParseError:
        return {}
    return {
        element.get("lang", ""): Article(
            element.get("name", ""),
            tuple((_attribute(element, "categories") or "").split("|")),
            _running_text(element.find("content")),
        )
        for element in pair.iter("article")
    }


def _attribute(article: ElementTree.Element, name: str) -> str | None:
    child = article.find(name)
    return None if child is None else child.get("name")


def _running_text(content: ElementTree.Element | None) -> str:
    if content is None:
        return ""
    parts = [
        " ".join("".join(_words(child)).split()) for child in content if child.tag in ("p", "h")
    ]
    return "\n".join(part for part in parts if part)


def _words(element: ElementTree.Element) -> Iterator[str]:
    """The text below an element, without tables and formulas."""
    yield element.text or ""
    for child in element:
        if child.tag not in NO_TEXT:
            yield from _words(child)
        yield child.tail or ""
