import os
import subprocess
import sys
from pathlib import Path

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


def test_vocabulary_counts_tokens_and_not_documents():
    assert learn_vocabulary([["aa", "aa", "aa"], ["bb"], ["bb"]], 1, frozenset()) == ["aa"]


def test_vocabulary_is_the_same_under_any_hash_seed():
    code = (
        "from m3l.text import *; from m3l.words import tokenize;"
        " print(learn_vocabulary([tokenize('dd cc bb aa ee ff gg bb cc')],"
        " 5, frozenset({'aa', 'gg'})))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for seed in ("1", "22"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**env, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == "['bb', 'cc', 'dd', 'ee', 'ff']\n"


def test_vocabulary_larger_than_the_corpus_names_language_and_sizes():
    with pytest.raises(DataError, match=r"language 'de': vocabulary_size=7.* 2 distinct words"):
        learn_vocabulary([["wald", "hund", "und"]], 7, frozenset({"und"}), "de")


def test_vocabulary_of_every_word_is_allowed():
    assert sorted(learn_vocabulary([["wald", "hund"]], 2, frozenset())) == ["hund", "wald"]


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
