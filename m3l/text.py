"""From raw text to bags of words (Appendix, "Data preprocessing")."""

from collections.abc import Iterable, Sequence

import scipy.sparse as sp

from .errors import DataError, require


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
    from sklearn.feature_extraction.text import CountVectorizer

    require(size >= 1, f"vocabulary_size={size}: expected 1 or more")
    documents = [[word for word in words if word not in stop] for words in documents]
    require(
        any(documents),
        f"language {language!r}: the training documents hold no word that is not a stopword",
        DataError,
    )
    counter = CountVectorizer(analyzer=lambda words: words)
    counts = counter.fit_transform(documents).sum(axis=0).A1
    words = counter.get_feature_names_out()
    require(
        len(words) >= size,
        f"language {language!r}: vocabulary_size={size}, but the training documents hold"
        f" {len(words)} distinct words; ask for {len(words)} or fewer",
        DataError,
    )
    ranked = sorted(zip(-counts, words, strict=True))
    return [str(word) for _, word in ranked[:size]]


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
