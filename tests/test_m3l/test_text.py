import numpy as np
import pytest

from m3l.errors import DataError, ParameterError
from m3l.text import bag_of_words, keep_vocabulary, learn_vocabulary


def test_vocabulary_is_the_most_frequent_words_and_ties_go_by_code_point():
    documents = [["zoo", "bee", "bee", "ähre"], ["ant", "zoo", "the", "the", "the"], ["bee", "Ant"]]
    assert learn_vocabulary(documents, 5, frozenset({"the"})) == [
        "bee",
        "zoo",
        "Ant",
        "ant",
        "ähre",
    ]
    # many words that stand equally often, of which a set or a hash would give some others
    ties = [[f"{a}{b}" for b in "tsrqponm" for a in "hgfedcba"]]
    assert (
        learn_vocabulary(ties, 40, frozenset({"am", "bn"}))
        == [word for word in sorted(ties[0]) if word not in ("am", "bn")][:40]
    )


def test_vocabulary_larger_than_the_corpus_names_language_and_sizes():
    with pytest.raises(DataError, match=r"language 'de': vocabulary_size=7.* 2 distinct words"):
        learn_vocabulary([["wald", "hund", "und"]], 7, frozenset({"und"}), "de")


@pytest.mark.parametrize("documents", [[["und", "oder"], ["und"]], [[]], []])
def test_documents_of_stopwords_alone_are_an_error_naming_the_language(documents):
    with pytest.raises(DataError, match=r"language 'de'.*no word that is not a stopword"):
        learn_vocabulary(documents, 1, frozenset({"und", "oder"}), "de")


def test_vocabulary_size_below_one_is_named():
    with pytest.raises(ParameterError, match=r"vocabulary_size=0"):
        learn_vocabulary([["wald"]], 0, frozenset())


def test_bag_of_words_counts_by_hand():
    bow = bag_of_words(
        [["hund", "wald", "hund", "unknown"], [], ["katze"]], ["wald", "katze", "hund"]
    )
    assert bow.dtype == np.int32
    assert bow.toarray().tolist() == [[1, 0, 2], [0, 0, 0], [0, 1, 0]]


def test_keep_vocabulary_keeps_order_and_repeats():
    assert keep_vocabulary([["cc", "aa", "xx", "cc"], ["xx"]], ["aa", "cc"]) == [
        ["cc", "aa", "cc"],
        [],
    ]
