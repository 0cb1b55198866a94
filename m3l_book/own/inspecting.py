"""What is in a table, and what is odd about it, in seconds: nothing is encoded."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from m3l import text as words
from m3l.errors import DataError, choose, require
from m3l.files import digest_file

from ..data.prepare import leaking_texts
from ..data.prepared import tokens_of
from ..data.schema import PICTURES, draw_parts
from ..data.sources.table import Reader, gather, notes_of
from ..data.tables import Table, read_table, renamed, shown
from ..pictures.reading import PictureFolder

if TYPE_CHECKING:
    from pandas import DataFrame, Series

KNOWN = ("id", "article", "date", "category")
"""Columns that are taken for what they are called, unless others are named."""

PICTURE_COLUMNS = ("picture", "image", "photo", "picture_file", "image_file", "file_name")
SAMPLE = 2000
"""Documents whose words are counted."""

LONGEST_WORD = 4
"""Letters that half of the pieces between blanks have at most where a script without blanks was cut
into words: of Chinese a word has two, and a sentence twenty.
"""


@dataclass
class Facts:
    """What a table holds: articles, tuples, and tuples that have a picture.

    ``columns`` are names of ``id``, ``article``, ``split``, ``image``, ``category`` and ``date``,
    each "" if there is none, ``names`` other names of columns as ``--text`` and ``--title`` give
    them; by language, ``texts`` counts articles that have one and ``length`` is the median of its
    words; ``without_stopwords`` are languages that no list is for, ``segmented`` those of a script
    without blanks whose words were cut. ``problems`` are why the table is refused as it stands,
    ``notes`` what is odd about it and what will be done.
    """

    path: Path
    columns: dict[str, str]
    languages: list[str]
    names: dict[str, str] = field(default_factory=dict)
    articles: int = 0
    tuples: int = 0
    pictures: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    length: dict[str, int] = field(default_factory=dict)
    without_stopwords: list[str] = field(default_factory=list)
    segmented: list[str] = field(default_factory=list)
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
    names: Mapping[str, str] | None = None,
    decode: bool = False,
    over: str = "",
    **reading: object,
) -> Facts:
    """Look at a table; `DataError` if the file is none, or has no column of text.

    ``languages`` are by default those that have a column ``<lang>_text`` and are a code of ISO
    639-1, ``pictures`` the table's own folder, ``columns`` and ``names`` as in `Facts`, where
    columns are looked for by their names. ``decode`` says whether pictures are read, which takes
    longer. ``over`` is a column that is asked for. ``reading`` are options of
    `m3l_book.data.sources.table.load`.
    """
    table = read_table(path, str(reading.get("delimiter", "")), str(reading.get("encoding", "")))
    if over:
        choose("column", over, table.columns)
    table = renamed(table, names or {})
    chosen, notes = _languages(table, languages, names or {})
    listed = ", ".join(column for column in table.columns if column)
    named, more = _known_columns(table, columns or {})
    unnamed = f"{path}: pictures={str(pictures)!r}, and no column is called as pictures are"
    cure = "; name it with --picture-column"
    require(not pictures or bool(named["image"]), unnamed + cure, DataError)
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
        decode=decode,
    )
    frame = gather(reader, chosen, named)
    require(len(frame) > 0, f"{path}: no row below the header", DataError)
    facts = Facts(table.path, named, chosen, dict(names or {}), problems=reader.problems)
    facts.notes += [*notes, *more, *notes_of(reader)]
    facts.tuples, facts.articles = len(frame), int(frame["article_id"].nunique())
    facts.pictures = int(frame["image_id"].notna().sum())
    if facts.pictures and not decode:
        facts.notes.append("pictures were found and not looked at; --pictures-too reads each")
    if reader.markup == "keep" and any("hold HTML" in what for what in reader.counts):
        html = "tags and entities are counted as words; --markup strip frees texts of them"
        facts.notes.append(html)
    for language in chosen:
        _look_at_texts(facts, frame, language)
    _look_at_copies(facts, reader)
    _look_at_parts(facts, frame, named["split"])
    return facts


def _languages(
    table: Table, asked: Sequence[str], names: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Choose the languages of a table: those that are asked for, or those of its columns that are
    codes of ISO 639-1 or that ``names`` have; `DataError` saying how to name columns if there is
    none.
    """
    from babel.localedata import locale_identifiers

    twice = f"languages {','.join(asked)}: a language stands twice"
    require(len(set(asked)) == len(asked), twice, DataError)
    pictures = f"languages {','.join(asked)}: {PICTURES!r} is the name of the pictures"
    require(PICTURES not in asked, pictures, DataError)
    if asked:
        return list(asked), []
    ends = [c.removesuffix("_text") for c in table.columns if c.endswith("_text") and c != "_text"]
    codes = {name for name in locale_identifiers() if len(name) == 2}
    said = {name.removesuffix("_text") for name in names if name.endswith("_text")}
    known = [c for c in ends if c in said or re.split(r"[-_]", c)[0].lower() in codes]
    others = [f"{code}_text" for code in ends if code not in known]
    note = (
        f"{', '.join(others)}: no two-letter code of a language; name it with --languages if it is"
    )
    if known:
        return known, [f"{note} one"] if others else []
    listed = ", ".join(column for column in table.columns if column)
    none = f"{table.path}: no column is called <language>_text, as en_text is; it has: {listed}"
    proposed = " ".join(f"--text {of}={shlex.quote(name)}" for name, of in _spoken(table).items())
    cure = f"; say which column is which language: {proposed}" if proposed else ""
    raise DataError(none + cure + (f"; {note} one" if others else ""))


def _spoken(table: Table) -> dict[str, str]:
    """Find columns that are called as a language is, in English or in itself: name -> code."""
    from babel import Locale
    from babel.localedata import locale_identifiers

    called: dict[str, str] = {}
    for code in (name for name in locale_identifiers() if len(name) == 2):
        locale = Locale(code)
        for name in (locale.get_language_name("en"), locale.get_language_name(code), code):
            called.setdefault((name or "").casefold(), code)
    found = {column: called.get(column.casefold(), "") for column in table.columns}
    return {column: code for column, code in found.items() if column and code}


def _known_columns(table: Table, given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Choose the columns of ids, articles, parts, pictures, categories and dates: those that are
    named, or that are called so; say which were taken.
    """
    named = dict.fromkeys(("id", "article", "split", "category", "date", "image"), "")
    by_name = {column.casefold(): column for column in table.columns if column}
    named |= {what: by_name.get(what, "") for what in KNOWN if not given.get(what)}
    notes = []
    if named["id"]:
        ids = [values.get(named["id"]) for _, values in table.rows()]
        if len(set(map(str, ids))) < len(ids) or any(
            i is None or str(i).strip() == "" for i in ids
        ):
            again = "some rows have none, or the same; it is not used, and rows go by their number"
            notes.append(
                f"column {named['id']!r}: {again} (--article-column {named['id']} if rows"
                " of an article share it)"
            )
            named["id"] = ""
    named["image"] = next((by_name[name] for name in PICTURE_COLUMNS if name in by_name), "")
    named |= {what: column for what, column in given.items() if column}
    named = {what: "" if column == "none" else column for what, column in named.items()}
    taken = [f"{what} in {column!r}" for what, column in named.items() if column]
    return named, [f"columns taken: {', '.join(taken)}", *notes] if taken else notes


def _look_at_parts(facts: Facts, frame: "DataFrame", split: str) -> None:
    """Note how many training tuples will be left out since a text of theirs stands in a later part
    too, and which text stands in most; a problem if none is left.
    """
    if not split:
        draw_parts(frame)
    if "train" not in set(frame["split"]):
        facts.problems.append("no row is in the part 'train'")
        return
    lost = leaking_texts(frame, facts.languages)
    train = frame["split"] == "train"
    gone, all_of_them = int((lost & train).sum()), int(train.sum())
    if gone:
        texts = _texts_of(frame[train], facts.languages).value_counts()
        most = f"; the text in most articles ({texts.iloc[0]:,}) is {shown(texts.index[0])}"
        share = f"{gone:,} of {all_of_them:,} training tuples ({gone / all_of_them:.0%})"
        facts.notes.append(
            f"{share} will be left out: a text of theirs stands in the validation or test part too"
            f"{most if texts.iloc[0] > 2 else ''}"
        )
    if gone == all_of_them:
        facts.problems.append("every training tuple has a text that stands in a later part too")


def _texts_of(frame: "DataFrame", languages: Sequence[str]) -> "Series":
    """Put the texts of all languages into one column, one an article."""
    import pandas as pd

    once = frame.drop_duplicates("article_id")
    return pd.concat([once[f"{language}_text"].dropna() for language in languages])


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
    if not counts:
        facts.problems.append(f"column '{language}_text' holds no word of letters")
        return
    facts.length[language] = sorted(map(len, documents))[len(documents) // 2]
    once = sum(n == 1 for n in counts.values()) / len(counts)
    note(f"{len(counts):,} different words, {once:.0%} of them once, in the first {SAMPLE:,} texts")
    if sum(n for w, n in counts.items() if words.UNSPACED.search(w)) > counts.total() / 2:
        pieces = sorted(len(piece) for text in texts.iloc[:SAMPLE] for piece in text.split())
        if pieces[len(pieces) // 2] <= LONGEST_WORD:
            note("words have blanks between them already, and are kept as they are cut")
            facts.segmented.append(language)
        else:
            note("written without blanks, and cut into words by ICU")
    try:
        words.stopwords(language)
    except DataError:
        cure = f"every word is kept; give your own with --stopwords {language}=words.txt"
        note(f"there is no list of stopwords: {cure}")
        facts.without_stopwords.append(language)


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
