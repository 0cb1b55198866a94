"""The files of the paper's data, each read in one pass, in memory that does not grow with them.

What is broken in them is counted and passed over: a ``Counter`` gets how often each thing occurred.

- Wikipedia Comparable Corpora (linguatools, 2014): XML, an ``articlePair`` of two ``article``, each
  with ``lang`` and ``name``, and a ``content`` of paragraphs ``p``, headings ``h``, links, tables
  and formulas.
- WIT, the Wikipedia-based Image Text dataset (Srinivasan et al. 2021): tables of pictures on pages,
  tab-separated, in which a quoted cell may hold line ends.
- The Wikipedia image–caption challenge (Wikimedia, 2021): pictures 300 pixels wide, and their
  ResNet-50 features; a line a picture, its address first, tab-separated.
"""

import base64
import binascii
import bz2
import csv
import gzip
import html
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np

from m3l.errors import DataError, require

BLOCK = 1 << 20
LONGEST = 64 << 20
"""A line, or an article, of more bytes is left out."""

START, END = b"<articlePair", b"</articlePair>"
ARTICLE = re.compile(rb'<article((?:\s+[\w:-]+\s*=\s*"[^"]*")+)\s*>')
ATTRIBUTE = re.compile(rb'([\w:-]+)\s*=\s*"([^"]*)"')
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

WIT_COLUMNS = ("language", "page_title", "image_url")
LARGEST_CELL = 16 << 20
FEATURES = 2048

CUT = "files that end in the middle"
LONG_LINE = "lines longer than 64 MiB"
LONG_PAIR = "pairs of articles longer than 64 MiB"
BROKEN_PAIR = "pairs of articles that are broken"
PAIR_NOT_UTF8 = "pairs of articles with bytes that are not UTF-8"
BROKEN_ROW = "rows of WIT that are broken"
ROW_NOT_UTF8 = "rows of WIT with bytes that are not UTF-8"
BROKEN_PIXELS = "pictures of the challenge that are not base64"
BROKEN_FEATURES = f"pictures of the challenge without {FEATURES:,} numbers"


@contextmanager
def _unpacked(path: str | Path, counts: Counter) -> Iterator[BinaryIO]:
    """Open a file, plain or packed by gzip or bzip2, which its first bytes tell.

    What is broken ends it: ``counts`` gets `CUT`, and what came before stands.
    """
    require(Path(path).is_file(), f"{path}: no such file", DataError)
    with open(path, "rb") as file:
        start = file.read(3)
    packed = gzip.open if start[:2] == b"\x1f\x8b" else bz2.open if start == b"BZh" else open
    try:
        with packed(path, "rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None):  # of the disk, and not of what is packed
            raise
        counts[CUT] += 1


def blocks(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """Read a file, packed or not, in blocks of at most a MiB.

    Raises
    ------
    DataError
        There is no such file.
    """
    with _unpacked(path, counts) as file:
        while block := file.read1(BLOCK):
            yield block


def lines(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """Read the lines of a file, packed or not, without their ends; those too long are left out."""
    with _unpacked(path, counts) as file:
        skipping = False
        while part := file.readline(LONGEST):
            ended = part.endswith(b"\n")
            if skipping or (len(part) == LONGEST and not ended):
                counts[LONG_LINE] += not skipping
                skipping = not ended
            else:
                yield part.removesuffix(b"\n")


@dataclass(frozen=True)
class Article:
    """Holds an article: its title, and its text, a line a paragraph or heading."""

    title: str
    text: str


def titles(path: str | Path, counts: Counter) -> Iterator[dict[str, str]]:
    """Read the titles of each pair of articles, by language."""
    return (names for names, _ in _pairs(path, counts))


def pairs(
    path: str | Path, counts: Counter, wanted: Callable[[Mapping[str, str]], bool] = lambda _: True
) -> Iterator[dict[str, Article]]:
    """Read the pairs of articles whose titles, by language, are wanted, as articles by language.

    Bytes that are not UTF-8 become the sign for an unknown letter.
    """
    for names, chunk in _pairs(path, counts):
        if wanted(names):
            articles = _parsed(chunk, counts)
            if articles.keys() == names.keys():
                yield articles
            else:
                counts[BROKEN_PAIR] += 1


def _pairs(path: str | Path, counts: Counter) -> Iterator[tuple[dict[str, str], bytes]]:
    """Read each pair: its titles by language, from the start tags alone, and its XML."""
    rest = b""
    for block in blocks(path, counts):
        *whole, rest = (rest + block).split(END)
        for part in whole:
            start = part.rfind(START)
            counts[BROKEN_PAIR] += max(0, part.count(START) - 1) + (start < 0)
            if start >= 0:
                chunk, names = part[start:] + END, {}
                for match in ARTICLE.finditer(chunk):
                    about = dict(ATTRIBUTE.findall(match[1]))
                    if b"lang" in about and b"name" in about:
                        language = about[b"lang"].decode("ascii", "replace")
                        names[language] = html.unescape(about[b"name"].decode("utf-8", "replace"))
                if len(names) == 2:
                    yield names, chunk
                else:
                    counts[BROKEN_PAIR] += 1
        if len(rest) > LONGEST:
            counts[LONG_PAIR] += 1
            rest = b""
    counts[BROKEN_PAIR] += rest.count(START)


def _parsed(chunk: bytes, counts: Counter) -> dict[str, Article]:
    text = chunk.decode("utf-8", "replace")
    counts[PAIR_NOT_UTF8] += "\ufffd" in text and b"\xef\xbf\xbd" not in chunk
    try:
        pair = ElementTree.fromstring(CONTROL.sub("", text))
    except ElementTree.ParseError:
        return {}
    found = {}
    for element in pair.iter("article"):
        content = element.find("content")
        parts = [] if content is None else [part for part in content if part.tag in ("p", "h")]
        texts = (" ".join("".join(_words(part)).split()) for part in parts)
        article = Article(element.get("name", ""), "\n".join(filter(None, texts)))
        found[element.get("lang", "")] = article
    return found


def _words(element: ElementTree.Element) -> Iterator[str]:
    """Read the text below an element, without tables and formulas."""
    yield element.text or ""
    for child in element:
        if child.tag not in ("table", "math"):
            yield from _words(child)
        yield child.tail or ""


class PagePicture(NamedTuple):
    """Names a picture on a page: the page's language and title, and the picture's address."""

    language: str
    title: str
    address: str


def page_pictures(
    path: str | Path, counts: Counter, languages: Collection[str]
) -> Iterator[PagePicture]:
    """Read the pictures on pages of some languages from a shard of WIT.

    A row that has not as many cells as the header, or no title or address, is broken.

    Raises
    ------
    DataError
        The header lacks a column that is needed.
    """
    before = csv.field_size_limit(LARGEST_CELL)
    try:
        reader = csv.reader(_decoded(path, counts), delimiter="\t")
        header = next(reader, [])
        lacking = [name for name in WIT_COLUMNS if name not in header]
        what = f"{path}: no column {', '.join(lacking)}; expected a shard of WIT, with a header"
        require(not lacking, what, DataError)
        places = [header.index(name) for name in WIT_COLUMNS]
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                counts[BROKEN_ROW] += 1
                continue
            if len(row) == len(header):
                if row[places[0]] not in languages:
                    continue
                picture = PagePicture(*(row[place] for place in places))
                if picture.title.strip() and picture.address.strip():
                    yield picture
                    continue
            counts[BROKEN_ROW] += bool(row)
    finally:
        csv.field_size_limit(before)


def _decoded(path: str | Path, counts: Counter) -> Iterator[str]:
    for line in lines(path, counts):
        text = line.decode("utf-8", "replace")
        counts[ROW_NOT_UTF8] += "\ufffd" in text and b"\xef\xbf\xbd" not in line
        yield text + "\n"


def picture_key(address: str) -> str:
    """Reduce an address of a picture to what all share: no scheme, percent signs, Unicode form."""
    parts = urlsplit(address.strip())
    return unicodedata.normalize("NFC", f"{parts.netloc.lower()}{unquote(parts.path)}")


def pixels(
    path: str | Path, counts: Counter, wanted: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Read pictures of the challenge whose keys are wanted: the key, and the bytes of the file."""
    for key, rest in _wanted_lines(path, counts, wanted):
        try:
            data = base64.b64decode(rest.split(b"\t")[0].strip(), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if data:
            yield key, data
        else:
            counts[BROKEN_PIXELS] += 1


def features(
    path: str | Path, counts: Counter, wanted: Collection[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Read features of the challenge, as `pixels` reads pictures: float32 (2048,)."""
    for key, rest in _wanted_lines(path, counts, wanted):
        try:
            vector = np.array(rest.strip().strip(b'"').split(b","), np.float64).astype(np.float32)
        except ValueError:
            vector = np.empty(0, np.float32)
        if vector.shape == (FEATURES,) and np.isfinite(vector).all():
            yield key, vector
        else:
            counts[BROKEN_FEATURES] += 1


def _wanted_lines(
    path: str | Path, counts: Counter, wanted: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Read the lines of wanted pictures, without their address: nothing else is decoded."""
    for line in lines(path, counts):
        address, tab, rest = line.partition(b"\t")
        key = picture_key(address.decode("utf-8", "replace"))
        if tab and key in wanted:
            yield key, rest
