"""What is in a table, and what is odd about it, in seconds: nothing is encoded or decoded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from m3l import text as words
from m3l.errors import DataError, require
from m3l.files import digest_file

from ..data.prepared import tokens_of
from ..data.sources.table import Reader, gather, notes_of
from ..data.tables import read_table, shown
from ..pictures.reading import PictureFolder

if TYPE_CHECKING:
    from pandas import DataFrame

PICTURE_COLUMNS = ("picture", "image", "photo", "picture_file", "image_file", "file_name")
SAMPLE = 2000
"""Documents whose words are counted."""


@dataclass
class Facts:
    """What a table holds: articles, tuples, and tuples that have a picture.

    ``columns`` are names of ``id``, ``article``, ``split``, ``image`` and ``category``, each "" if
    there is none; by language, ``texts`` counts articles that have one and ``length`` is the median
    of its words. ``problems`` are why the table is refused as it stands, ``notes`` what is odd
    about it and what will be done.
    """

    path: Path
    columns: dict[str, str]
    languages: list[str]
    articles: int = 0
    tuples: int = 0
    pictures: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    length: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every article has a text in every language, and every tuple a picture or none."""
        every = all(n == self.articles for n in self.texts.values())
        return every and self.pictures in (0, self.tuples)


def inspect(
    path: str | Path,
    languages: Sequence[str] = (),
    pictures: str | Path = "",
    columns: Mapping[str, str] | None = None,
    **reading: object,
) -> Facts:
    """Look at a table; `DataError` if the file is none, or has no column of text.

    ``languages`` are by default those that have a column ``<lang>_text``, ``pictures`` the table's
    own folder, ``columns`` as in `Facts`, where a column of pictures is looked for by its name.
    ``reading`` are options of `m3l_book.data.sources.table.load`.
    """
    table = read_table(path, str(reading.get("delimiter", "")), str(reading.get("encoding", "")))
    named = dict.fromkeys(("id", "article", "split", "category", "image"), "") | (columns or {})
    by_name = {column.casefold(): column for column in table.columns}
    known = [by_name[name] for name in PICTURE_COLUMNS if name in by_name]
    named["image"] = named["image"] or next(iter(known), "")
    texts = [column.removesuffix("_text") for column in table.columns if column.endswith("_text")]
    chosen = list(languages) or [language for language in texts if language]
    listed = ", ".join(column for column in table.columns if column)
    none = f"{path}: no column is called <language>_text, as en_text is; it has: {listed}"
    require(bool(chosen), none, DataError)
    for column in [*(f"{language}_text" for language in chosen), *filter(None, named.values())]:
        there = f"{path}: no column {column!r}; it has: {listed}"
        require(column in table.columns, there, DataError)
    reader = Reader(
        table,
        allow_missing=True,
        missing=frozenset(map(str, reading.get("missing", ()))),
        markup=str(reading.get("markup", "keep")),
        bad_pictures=str(reading.get("bad_pictures", "error")),
        separator=str(reading.get("picture_separator", "")),
        folder=PictureFolder(pictures or table.path.parent) if named["image"] else None,
        decode=False,
    )
    frame = gather(reader, chosen, named)
    require(len(frame) > 0, f"{path}: no row below the header", DataError)
    facts = Facts(table.path, named, chosen, problems=reader.problems, notes=notes_of(reader))
    facts.tuples, facts.articles = len(frame), int(frame["article_id"].nunique())
    facts.pictures = int(frame["image_id"].notna().sum())
    if reader.markup == "keep" and any("hold HTML" in what for what in reader.counts):
        html = "tags and entities are counted as words; --markup strip frees texts of them"
        facts.notes.append(html)
    for language in chosen:
        _look_at_texts(facts, frame, language)
    _look_at_copies(facts, reader)
    return facts


def _look_at_texts(facts: Facts, frame: "DataFrame", language: str) -> None:
    """Note what is odd about the texts and words of a language."""

    def note(text: str) -> None:
        facts.notes.append(f"{language}: {text}")

    texts = frame.drop_duplicates("article_id")[f"{language}_text"].dropna()
    facts.texts[language] = len(texts)
    if without := facts.articles - len(texts):
        note(f"{without:,} articles have no text")
    if not len(texts):
        facts.problems.append(f"column '{language}_text' is empty")
        return
    if twice := int(texts.duplicated().sum()):
        again = f"{twice:,} texts stand in an earlier row too"
        note(f"{again}; one that stands in two parts is left out of training")
    documents = tokens_of(texts.iloc[:SAMPLE], language)
    counts = Counter(word for document in documents for word in document)
    facts.length[language] = sorted(map(len, documents))[len(documents) // 2]
    once = sum(n == 1 for n in counts.values()) / max(1, len(counts))
    note(f"{len(counts):,} different words, {once:.0%} of them once, in the first {SAMPLE:,} texts")
    if any(words.UNSPACED.search(word) for word in list(counts)[:200]):
        note("written without blanks, and cut into words by ICU")
    try:
        words.stopwords(language)
    except DataError:
        cure = f"every word is kept; give your own with --stopwords {language}=words.txt"
        note(f"there is no list of stopwords: {cure}")


def _look_at_copies(facts: Facts, reader: Reader) -> None:
    """Note pictures of the same content under different names; those of one size are read."""
    files = {name: picture.file for name, picture in reader.pictures.items() if picture.file}
    sizes = {name: file.stat().st_size for name, file in files.items()}
    shared = Counter(sizes.values())
    first: dict[str, str] = {}
    copies = []
    for name in sorted((name for name in files if shared[sizes[name]] > 1), key=sizes.get):
        original = first.setdefault(digest_file(files[name]), name)
        if files[original] != files[name]:
            copies.append((name, original))
    if copies:
        such = f"{shown(copies[0][0])} of {shown(copies[0][1])}"
        found = f"pictures that are copies under another name: {len(copies):,}, such as {such}"
        facts.notes.append(f"{found}; one that stands in two parts is left out of training")
