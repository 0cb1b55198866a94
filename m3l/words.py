"""The words of a text, in any language: letters, case, and scripts that put no blank between words.

What a reader sees is never changed; this is how words are counted.
"""

import unicodedata
from functools import cache

import regex

from .errors import DataError, require

JOINERS = "\u200c\u200d"  # inside a word they say how its letters join, as in Persian and Malayalam
LETTER = rf"\p{{L}}[\p{{M}}{JOINERS}]*"
WORD = regex.compile(rf"(?:{LETTER})+")
"""A run of letters of any script, with the marks and joiners that belong to them."""

# soft hyphen, zero-width blanks, marks of direction, and the stroke that lengthens Arabic words
INVISIBLE = regex.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff\u061c\u202a-\u202e\u2066-\u2069ـ]")

WITHOUT_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
UNSPACED = regex.compile(f"[{WITHOUT_BLANKS}]")
MARKED_END = regex.compile(f"(?<=[{WITHOUT_BLANKS}\\p{{M}}])\u200b")  # here it ends a word
LONG_ENOUGH = regex.compile(r"\p{Han}|\p{L}\P{L}*\p{L}")
LAST_JOINERS = regex.compile(f"{JOINERS[0]}+$|(?<=\\p{{L}})[{JOINERS}]+$")  # after a mark one stays

DOTLESS = ("tr", "az", "crh", "gag")
"""Languages in which i and ı are two letters, whose capitals are İ and I."""

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


def stopwords(language: str) -> frozenset[str]:
    """The stopwords of a language, from stopwords-iso, tokenised like the text.

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
    return frozenset(word for entry in entries for word in tokenize(entry, language))


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
