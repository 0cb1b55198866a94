"""From texts to bags of words, in any language, and to the views of a corpus (Appendix, "Data
preprocessing").

What a reader sees is never changed; this is how words are counted.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import regex
import scipy.sparse as sp

from .errors import DataError, check_integer, require
from .view import View

JOINERS = "\u200c\u200d"  # inside a word they say how its letters join, as in Persian and Malayalam
LETTER = rf"\p{{L}}[\p{{M}}{JOINERS}]*"
# a run of letters of any script, with the marks and joiners that belong to them
WORD = regex.compile(rf"(?:{LETTER})+")

# soft hyphen, zero-width blanks, marks of direction, and the stroke that lengthens Arabic words
INVISIBLE = regex.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff\u061c\u202a-\u202e\u2066-\u2069ـ]")

WITHOUT_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
UNSPACED = regex.compile(f"[{WITHOUT_BLANKS}]")
MARKED_END = regex.compile(f"(?<=[{WITHOUT_BLANKS}\\p{{M}}])\u200b")  # here it ends a word
LONG_ENOUGH = regex.compile(r"\p{Han}|\p{L}\P{L}*\p{L}")
LAST_JOINERS = regex.compile(f"{JOINERS[0]}+$|(?<=\\p{{L}})[{JOINERS}]+$")  # after a mark one stays

# languages in which i and ı are two letters, whose capitals are İ and I
DOTLESS = ("tr", "az", "crh", "gag")

FOLDED = ("<compat>", "<wide>", "<narrow>", "<font>", "<initial>", "<medial>", "<final>")
FOLDED += ("<isolated>",)
# Latin; Armenian and Arabic; presentation forms and full width; the letters of mathematics
COMPATIBLE = (range(0x100, 0x250), range(0x500, 0x700), range(0xFB00, 0x10000))
COMPATIBLE += (range(0x1D400, 0x1EF00),)

OLD_CODES = {"iw": "he", "in": "id", "ji": "yi", "nb": "no", "nn": "no"}


def primary(language: str) -> str:
    """The language of a code with or without region and script: ``zh`` of ``zh-TW``.

    Lower case; codes that were replaced, and the two written forms of Norwegian, give the one that
    lists of words go by.
    """
    code = regex.split("[-_]", language.strip().lower())[0]
    return OLD_CODES.get(code, code)


def tokenize(text: str, language: str = "", segmented: bool = False) -> list[str]:
    """Lower-case words of two or more letters, or of one ideograph, in their order.

    ä, ß, é, Cyrillic and the like are letters however they were typed: composed or not, as
    ligatures, in full width. Soft hyphens and invisible blanks are passed over; joiners stay inside
    a word. Chinese, Japanese, Thai, Lao, Khmer and Burmese, which write words without a blank
    between them, are cut by ICU's dictionaries.

    Parameters
    ----------
    text : str
    language : str
        A code such as ``tr`` or ``zh-TW``; it decides what the small letter of I is.
    segmented : bool
        Whether blanks stand between the words of scripts that have none.

    Raises
    ------
    DataError
        The text has such a script, is not segmented, and ICU is not installed.

    >>> tokenize("The ﬁrst bridge, over the RIVER", "en")
    ['the', 'first', 'bridge', 'over', 'the', 'river']
    """
    text = MARKED_END.sub(" ", text)
    text = INVISIBLE.sub("", text).translate(_folded_letters())
    text = unicodedata.normalize("NFC", text)
    if primary(language) in DOTLESS:
        text = text.replace("İ", "i").replace("I", "ı")
    # the small letter of İ in other languages is an i with a second dot
    text = unicodedata.normalize("NFC", text.lower().replace("i\u0307", "i"))
    words = WORD.findall(text)
    if not segmented and UNSPACED.search(text):
        words = [word for run in words for word in _cut(run, language)]
    if any(joiner in text for joiner in JOINERS):
        words = [LAST_JOINERS.sub("", word) for word in words]
    return [word for word in words if LONG_ENOUGH.search(word)]


def stopwords(language: str, segmented: bool = False) -> frozenset[str]:
    """The stopwords of a language, from stopwords-iso, tokenised like the text (`tokenize`).

    A region or script is passed over: ``zh-TW`` takes those of ``zh``.

    Raises
    ------
    DataError
        There is no list for the language; the message says what to pass instead.
    """
    import stopwordsiso

    code = primary(language)
    require(
        stopwordsiso.has_lang(code),
        f"no stopword list for language {language!r}; give your own as the option stopwords:"
        f" {{{language!r}: []}} keeps every word. Languages with a list:"
        f" {', '.join(sorted(stopwordsiso.langs()))}",
        DataError,
    )
    entries = stopwordsiso.stopwords(code)
    return frozenset(word for entry in entries for word in tokenize(entry, language, segmented))


@cache
def _folded_letters() -> dict[int, str]:
    """Letters that are another way to write letters, as ﬁ and Ａ are: code point -> letters.

    Small raised letters mean something, and Thai, Lao and Korean take theirs apart: they stay.
    """
    folded = {}
    for point in (point for block in COMPATIBLE for point in block):
        letter = chr(point)
        other = unicodedata.decomposition(letter).startswith(FOLDED)
        if other and unicodedata.category(letter).startswith("L"):
            folded[point] = unicodedata.normalize("NFKC", letter)
    return folded


def _cut(run: str, language: str) -> list[str]:
    """A run of letters cut into words if it is of a script that puts no blanks between them."""
    if not UNSPACED.search(run):
        return [run]
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        shown = run[:20]
        raise DataError(
            f"{shown!r} is written without blanks between words, and the package that cuts it is"
            " not installed: pip install icu4py, or put a blank between words yourself"
        ) from None
    # ICU tells Chinese from Japanese by the letters, and both from Thai
    parts = WordBreaker(run, primary(language) or "und")
    return [word for part in parts for word in WORD.findall(part)]


def learn_vocabulary(
    documents: Iterable[Sequence[str]], size: int, stop: frozenset[str], language: str = ""
) -> list[str]:
    """The ``size`` most frequent words of tokenised training documents, stopwords aside.

    By count, ties by code point, so that every run on every machine finds the same words in the
    same order.

    Raises
    ------
    DataError
        There are fewer than ``size`` distinct words.
    """
    check_integer("vocabulary_size", size, 1)
    counts = Counter(word for words in documents for word in words if word not in stop)
    require(
        len(counts) > 0,
        f"language {language!r}: the training documents hold no word that is not a stopword",
        DataError,
    )
    require(
        len(counts) >= size,
        f"language {language!r}: vocabulary_size={size}, but the training documents hold"
        f" {len(counts)} distinct words; ask for {len(counts)} or fewer",
        DataError,
    )
    return sorted(counts, key=lambda word: (-counts[word], word))[:size]


def keep_vocabulary(
    documents: Iterable[Sequence[str]], vocabulary: Sequence[str]
) -> list[list[str]]:
    """Each tokenised document with its words of the vocabulary alone, in their order."""
    known = frozenset(vocabulary)
    return [[word for word in words if word in known] for words in documents]


def bag_of_words(documents: Iterable[Sequence[str]], vocabulary: Sequence[str]) -> sp.csr_matrix:
    """Word counts, int32 (M, V), of M tokenised documents over the vocabulary's columns.

    >>> bag_of_words([["river", "stone", "river"]], ["bridge", "river"]).toarray().tolist()
    [[0, 2]]
    """
    from sklearn.feature_extraction.text import CountVectorizer

    return sp.csr_matrix(
        CountVectorizer(analyzer=lambda words: words, vocabulary=list(vocabulary))
        .transform(list(documents))
        .astype("int32")
    )


Parts = tuple[dict[str, View], list[str], list[str], list[str]]


def corpus_parts(
    texts: Mapping[str, Sequence[str | None]],
    embeddings: Mapping[str, Sequence],
    vocabulary_size: int,
    stop: Mapping[str, Iterable[str]] | None,
    min_words: int,
    tuple_ids: Sequence[str] | None,
    article_ids: Sequence[str] | None,
    split: Sequence[str] | None,
) -> Parts:
    """Views, tuple ids, article ids and splits: see `m3l.Corpus.from_texts`."""
    # a column of a pandas table has rows by the names of its index, a list by their place
    texts = {name: list(values) for name, values in texts.items()}
    embeddings = {name: list(values) for name, values in embeddings.items()}
    n = _common_length(texts, embeddings)
    by_language = f"stopwords is of type {type(stop).__name__}; expected a mapping by language"
    require(stop is None or isinstance(stop, Mapping), by_language, DataError)
    ids = [str(i) for i in range(n)] if tuple_ids is None else [str(i) for i in tuple_ids]
    articles = ids if article_ids is None else [str(i) for i in article_ids]
    parts = ["train"] * n if split is None else [str(part) for part in split]
    for what, values in (("tuple_ids", ids), ("article_ids", articles), ("split", parts)):
        require(len(values) == n, f"{what}: {len(values)} values for {n} tuples", DataError)
    check_integer("min_words", min_words, 1)
    views = {}
    for name, vectors in embeddings.items():
        if name in texts:
            rows = _document_rows(texts[name], articles, name)
            tokens = {i: tokenize(texts[name][i], name) for i in rows.values()}
            training = [words for i, words in tokens.items() if parts[i] == "train"]
            given = (stop or {}).get(name)
            own = (word for entry in given or () for word in tokenize(entry, name))
            left_out = stopwords(name) if given is None else frozenset(own)
            vocabulary = learn_vocabulary(training, vocabulary_size, left_out, name)
            bow = bag_of_words([*tokens.values()], vocabulary)
            enough = np.asarray(bow.sum(axis=1)).ravel() >= min_words
            short = f"texts of {name}: none has {min_words} words of the vocabulary or more"
            require(bool(enough.any()), short, DataError)
            kept = {key: row for (key, row), ok in zip(rows.items(), enough, strict=True) if ok}
            place = {article: item for item, article in enumerate(kept)}
            index = [
                -1 if text is None else place.get(article, -1)
                for text, article in zip(texts[name], articles, strict=True)
            ]
            array = _array(vectors, list(kept.values()), name)
            counts = bow[np.flatnonzero(enough)]
            views[name] = View(name, array, np.array(index), list(kept), counts, vocabulary)
        else:
            present = [i for i in range(n) if vectors[i] is not None]
            index = np.full(n, -1, dtype=np.int64)
            index[present] = np.arange(len(present))
            array = _array(vectors, present, name)
            views[name] = View(name, array, index, [ids[i] for i in present])
    without = ~np.any([view.present for view in views.values()], axis=0)
    if without.any():
        row = int(np.flatnonzero(without)[0])
        cure = "raise vocabulary_size, lower min_words, or leave the tuple out"
        raise DataError(f"row {row}: its texts have too few words of the vocabulary; {cure}")
    return views, ids, articles, parts


def _common_length(texts: Mapping, embeddings: Mapping) -> int:
    without = sorted(set(texts) - set(embeddings))
    require(not without, f"embeddings: none for the texts of {', '.join(without)}", DataError)
    require(len(embeddings) > 0, "embeddings: expected at least one view", DataError)
    lengths = {f"texts of {name}": len(values) for name, values in texts.items()}
    lengths |= {f"embeddings of {name}": len(values) for name, values in embeddings.items()}
    numbers = ", ".join(f"{what} {length}" for what, length in lengths.items())
    needed = "every view needs a value per tuple, None for a missing one"
    require(len(set(lengths.values())) == 1, f"{needed}: {numbers}", DataError)
    return next(iter(lengths.values()))


def _document_rows(
    texts: Sequence[str | None], articles: Sequence[str], name: str
) -> dict[str, int]:
    """The first row of each article that has a text; `DataError` if two of its rows differ."""
    rows: dict[str, int] = {}
    for row, (text, article) in enumerate(zip(texts, articles, strict=True)):
        if text is None:
            continue
        if not isinstance(text, str):
            kind = type(text).__name__
            raise DataError(f"texts of {name}: row {row} is of type {kind}, expected str or None")
        first = rows.setdefault(article, row)
        if texts[first] != text:
            where = f"texts of {name}: rows {first} and {row}"
            raise DataError(f"{where} are of article {article!r} and differ")
    require(len(rows) > 0, f"texts of {name}: every one is missing", DataError)
    return rows


def _array(vectors: Sequence, rows: Sequence[int], name: str) -> np.ndarray:
    """The vectors of some rows: float32 (M, D)."""
    for row in rows:
        if vectors[row] is None:
            raise DataError(f"embeddings of {name}: row {row} is None, and the tuple has the view")
    require(len(rows) > 0, f"embeddings of {name}: every one is missing", DataError)
    widths = {np.shape(vectors[row]) for row in rows}
    one = len(widths) == 1 and len(next(iter(widths))) == 1
    expected = "expected a vector per row, all of one size"
    require(one, f"embeddings of {name}: {expected}, got shapes {sorted(widths)}", DataError)
    return np.stack([np.asarray(vectors[row], dtype=np.float32) for row in rows])
