"""How the texts of a corpus are read as words: which are left out, and what looks wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from m3l import words
from m3l.errors import DataError, require

ONCE, LONG = 0.8, 7.0
"""Words of which this share occurs once, and which have this many letters on average, are not words
but clauses: a word of a text in English has 5 letters, one of Finnish 8, and half occur once.
"""

MARKS = "amp", "nbsp", "quot", "lt", "gt", "apos", "hellip", "href", "https", "http", "www", "html"
LEFTOVERS = frozenset(MARKS)
"""What is left of HTML when a text is cut into words."""


def tokens_of(
    texts: Iterable[str], language: str, segmented: Sequence[str] = ()
) -> list[list[str]]:
    """The words of texts of a language; ``segmented`` are languages whose words have blanks between
    them though their script has none.
    """
    return [words.tokenize(text, language, language in segmented) for text in texts]


def stopwords_used(language: str, given: Mapping | None) -> frozenset[str]:
    """The stopwords that are left out, as tokens: those given for the language, words or a file
    with one a line, or else its list.

    Raises
    ------
    DataError
        There is no list for the language, or the file cannot be read.
    """
    given = given or {}
    if language not in given:
        return words.stopwords(language)
    entries = given[language]
    if isinstance(entries, str):
        try:
            entries = Path(entries).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"stopwords of {language!r}: {given[language]}: {error}") from error
    return frozenset(word for entry in entries for word in words.tokenize(str(entry), language))


def check_words(documents: Iterable[Sequence[str]], language: str) -> None:
    """See that words, and not clauses, were found; `DataError` saying what was found."""
    counts = Counter(word for document in documents for word in document)
    if len(counts) < 100:
        return
    once = sum(n == 1 for n in counts.values()) / len(counts)
    letters = sum(map(len, counts)) / len(counts)
    require(
        once < ONCE or letters < LONG,
        f"language {language!r}: {once:.0%} of its words occur once, and they have"
        f" {letters:.0f} letters on average: clauses, and no words. Put blanks between the words",
        DataError,
    )


def odd_words(vocabulary: Sequence[str], language: str) -> list[str]:
    """What a data card warns of in a vocabulary."""
    left = sorted(LEFTOVERS & set(vocabulary[:200]))
    if len(left) < 2:
        return []
    cure = "if they come from HTML, markup: strip takes it out of the texts"
    return [f"{language}: among the commonest words are {', '.join(left)}; {cure}"]
