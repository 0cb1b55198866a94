"""Shards of WIT, the Wikipedia-based Image Text dataset (Srinivasan et al. 2021): tables of
pictures on pages, tab-separated, in which a quoted cell may hold line ends.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from m3l.errors import DataError, require

from .streams import lines

COLUMNS = (
    *("language", "page_url", "image_url", "page_title", "section_title"),
    *("hierarchical_section_title", "caption_reference_description"),
    *("caption_attribution_description", "caption_alt_text_description", "mime_type"),
    *("original_height", "original_width", "is_main_image", "attribution_passes_lang_id"),
    *("page_changed_recently", "context_page_description", "context_section_description"),
)
NEEDED = ("language", "page_title", "image_url")
BROKEN = "rows of WIT that are broken"
NOT_UTF8 = "rows of WIT with bytes that are not UTF-8"
LARGEST_CELL = 16 << 20


@dataclass(frozen=True)
class PagePicture:
    """A picture on a page: the page's language and title, and the picture's address."""

    language: str
    title: str
    address: str


def page_pictures(
    path: str | Path, counts: Counter, languages: Collection[str]
) -> Iterator[PagePicture]:
    """The pictures on pages of some languages, as a shard lists them.

    A row that has not as many cells as the header, or no title or address, is counted (`BROKEN`).

    Raises
    ------
    DataError
        The header lacks a column that is needed.
    """
    before = csv.field_size_limit(LARGEST_CELL)
    try:
        yield from _page_pictures(path, counts, languages)
    finally:
        csv.field_size_limit(before)


def _page_pictures(
    path: str | Path, counts: Counter, languages: Collection[str]
) -> Iterator[PagePicture]:
    reader = csv.reader(_decoded(path, counts), delimiter="\t")
    header = next(reader, [])
    places = {name: header.index(name) for name in NEEDED if name in header}
    lacking = [name for name in NEEDED if name not in places]
    what = f"{path}: no column {', '.join(lacking)}; expected a shard of WIT, with a header"
    require(not lacking, what, DataError)
    language, title, address = (places[name] for name in NEEDED)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            counts[BROKEN] += 1
            continue
        if len(row) != len(header):
            counts[BROKEN] += bool(row)
        elif row[language] in languages:
            if row[title].strip() and row[address].strip():
                yield PagePicture(row[language], row[title], row[address])
            else:
                counts[BROKEN] += 1


def _decoded(path: str | Path, counts: Counter) -> Iterator[str]:
    for line in lines(path, counts):
        try:
            yield line.decode("utf-8") + "\n"
        except UnicodeDecodeError:
            counts[NOT_UTF8] += 1
            yield line.decode("utf-8", "replace") + "\n"
