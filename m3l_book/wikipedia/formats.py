"""The files of the paper's data, each read in one pass, in memory that does not grow with them.

What is broken in them is counted and passed over: a ``Counter`` gets how often each thing occurred.

- Wikipedia Comparable Corpora (linguatools, 2014): XML, an ``articlePair`` of two ``article``, each
  with ``lang`` and ``name``, and a ``content`` of running text, in which paragraphs ``p``, headings
  ``h``, links, tables and formulas are marked.
- ``wikimedia/wikipedia`` of the model hub: articles of one Wikipedia, without markup; Parquet, with
  columns ``title`` and ``text``.
- ``wikimedia/wit_base`` of the model hub: the pictures of the Wikipedia image–caption challenge
  (Wikimedia, 2021), 300 pixels wide, with their ResNet-50 features and the pages that WIT, the
  Wikipedia-based Image Text dataset (Srinivasan et al. 2021), found them on; Parquet.
"""

import bz2
import gzip
import html
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np

from m3l.errors import DataError, require

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BLOCK = 1 << 20
LONGEST = 64 << 20
"""A pair of articles of more bytes is left out."""

START, END = b"<articlePair", b"</articlePair>"
ARTICLE = re.compile(rb'<article((?:\s+[\w:-]+\s*=\s*"[^"]*")+)\s*>')
ATTRIBUTE = re.compile(rb'([\w:-]+)\s*=\s*"([^"]*)"')
BREAK = "\x00"  # between lines; no text has it
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

BREAKS, LEFT_OUT = ("p", "h"), ("table", "math")
PAGE = {"language", "page_title"}
FEATURES = 2048

CUT = "files that end in the middle"
LONG_PAIR = "pairs of articles longer than 64 MiB"
BROKEN_PAIR = "pairs of articles that are broken"
PAIR_NOT_UTF8 = "pairs of articles with bytes that are not UTF-8"
TABLES = "tables and formulas left out of articles"
NO_PIXELS = "pictures without pixels"
NO_FEATURES = f"pictures without {FEATURES:,} features of ResNet-50"


def blocks(path: str | Path, counts: Counter) -> Iterator[bytes]:
    """Read a file, plain or packed by gzip or bzip2, which its first bytes tell, in blocks of at
    most a MiB.

    What is broken ends it: ``counts`` gets `CUT`, and what came before stands.

    Raises
    ------
    DataError
        There is no such file.
    """
    require(Path(path).is_file(), f"{path}: no such file", DataError)
    with open(path, "rb") as file:
        start = file.read(3)
    packed = gzip.open if start[:2] == b"\x1f\x8b" else bz2.open if start == b"BZh" else open
    try:
        with packed(path, "rb") as file:
            while block := file.read1(BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None):  # of the disk, and not of what is packed
            raise
        counts[CUT] += 1


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
) -> Iterator[tuple[dict[str, str], dict[str, Article]]]:
    """Read the pairs of articles whose titles are wanted: the titles, and the articles, both by
    language; no articles if the pair is broken.

    Bytes that are not UTF-8 become the sign for an unknown letter.
    """
    for names, chunk in _pairs(path, counts):
        if wanted(names):
            articles = _parsed(chunk, counts)
            whole = articles.keys() == names.keys()
            counts[BROKEN_PAIR] += not whole
            yield names, articles if whole else {}


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
        text = "" if content is None else "".join(_words(content, counts))
        lines = (" ".join(line.split()) for line in text.split(BREAK))
        article = Article(element.get("name", ""), "\n".join(filter(None, lines)))
        found[element.get("lang", "")] = article
    return found


def _words(element: ElementTree.Element, counts: Counter) -> Iterator[str]:
    """Read the text below an element, wherever it stands; tables and formulas are left out."""
    yield element.text or ""
    for child in element:
        if child.tag in LEFT_OUT:
            counts[TABLES] += 1
            yield BREAK if child.tag == "table" else " "
        elif child.tag in BREAKS:
            yield BREAK
            yield from _words(child, counts)
            yield BREAK
        else:
            yield from _words(child, counts)
        yield child.tail or ""


def picture_key(address: str) -> str:
    """Reduce an address of a picture to what all share: no scheme, percent signs, Unicode form."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # no address of anything
        return ""
    return unicodedata.normalize("NFC", f"{parts.netloc.lower()}{unquote(parts.path)}")


def articles(path: str | Path, wanted: Callable[[str], bool]) -> Iterator[Article]:
    """Read the articles of ``wikimedia/wikipedia`` whose titles are wanted."""
    file = _table(path, ("title", "text"))
    for group in range(file.num_row_groups):
        titles = file.read_row_group(group, ["title"])["title"].to_pylist()
        rows = [row for row, title in enumerate(titles) if title and wanted(title)]
        if rows:
            texts = file.read_row_group(group, ["text"])["text"].take(rows).to_pylist()
            for row, text in zip(rows, texts, strict=True):
                yield Article(titles[row], text or "")


class Published(NamedTuple):
    """A picture as the challenge published it: its key, the bytes of its file, and its features,
    float32 (2048,); None for what it lacks.
    """

    key: str
    data: bytes | None
    features: np.ndarray | None


def published(path: str | Path, wanted: Collection[str]) -> Iterator[Published]:
    """Read the pictures of ``wikimedia/wit_base`` whose keys are wanted."""
    file = _table(path, ("image_url", "image", "embedding"))
    for group in range(file.num_row_groups):
        keys = [
            picture_key(a or "") for a in file.read_row_group(group, ["image_url"])[0].to_pylist()
        ]
        rows = [row for row, key in enumerate(keys) if key in wanted]
        if rows:
            found = file.read_row_group(group, ["image", "embedding"]).take(rows).to_pylist()
            for row, cells in zip(rows, found, strict=True):
                data = (cells["image"] or {}).get("bytes")
                yield Published(keys[row], data or None, _features(cells["embedding"]))


def _features(numbers: list[float] | None) -> np.ndarray | None:
    vector = np.array(numbers or [], np.float64).astype(np.float32)
    return vector if vector.shape == (FEATURES,) and np.isfinite(vector).all() else None


class PagePicture(NamedTuple):
    """Names a picture on a page: the page's language and title, and the picture's address."""

    language: str
    title: str
    address: str


def page_pictures(path: str | Path, languages: Collection[str]) -> Iterator[PagePicture]:
    """Read the pictures of ``wikimedia/wit_base`` on pages of some languages that have features."""
    file = _table(path, ("image_url", "embedding", "wit_features"))
    leaves = [file.schema.column(i).path.split(".") for i in range(len(file.schema))]
    pages = [".".join(leaf) for leaf in leaves if leaf[0] == "wit_features" and PAGE & {*leaf}]
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, ["image_url", "embedding", *pages])
        rows = rows.filter(rows["embedding"].is_valid())
        addresses, features = rows["image_url"].to_pylist(), rows["wit_features"].to_pylist()
        for address, of in zip(addresses, features, strict=True):
            for language, title in _pages(of) if address else ():
                if language in languages and title:
                    yield PagePicture(language, title, address)


def _pages(features: dict | list | None) -> list[tuple[str, str]]:
    """Give language and title of the pages of a picture: a list a column, or an entry a page."""
    if isinstance(features, list):
        return [(of["language"], of["page_title"]) for of in features]
    of = features or {}
    return list(zip(of.get("language") or [], of.get("page_title") or [], strict=True))


def _table(path: str | Path, columns: Collection[str]) -> "ParquetFile":
    """Open a table in Parquet that has some columns."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not a table in Parquet ({error})") from error
    lacking = [name for name in columns if name not in file.schema_arrow.names]
    there = ", ".join(file.schema_arrow.names)
    require(not lacking, f"{path}: no column {', '.join(lacking)}; it has {there}", DataError)
    return file
