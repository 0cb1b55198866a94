import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from m3l.errors import DataError, ParameterError
from m3l.text import bag_of_words, keep_vocabulary, learn_vocabulary, stopwords, tokenize

WHOLE = [
    "äpfel",
    "schön",
    "übung",
    "straße",
    "été",
    "москва",
    "йод",
    "ωκεανός",
    "كِتَاب",
    "हिन्दी",
    "नमस्ते",
    "việt",
]


@pytest.mark.parametrize("word", WHOLE)
def test_word_of_any_script_stays_whole(word):
    assert tokenize(f"({word}), {word}!") == [unicodedata.normalize("NFC", word)] * 2


@pytest.mark.parametrize("word", WHOLE)
def test_typed_composed_or_decomposed_gives_the_same_tokens(word):
    assert tokenize(unicodedata.normalize("NFC", word)) == tokenize(
        unicodedata.normalize("NFD", word)
    )


def test_tokens_are_lower_case_in_their_order_with_repeats():
    assert tokenize("Zebra ÄPFEL zebra МОСКВА") == ["zebra", "äpfel", "zebra", "москва"]


def test_digits_and_underscores_are_no_letters():
    assert tokenize("ab12cd __under_score__ 1984 ٣٤٥ h2o") == ["ab", "cd", "under", "score"]


def test_single_letters_are_no_words_even_with_marks():
    assert tokenize("a ä e\u0301 x́ и of") == ["of"]


def test_apostrophe_and_hyphen_split():
    assert tokenize("l'été d’hier Nord-Süd") == ["été", "hier", "nord", "süd"]


def test_text_without_letters_has_no_token():
    assert tokenize("") == tokenize("12 € — 😀\n") == []


@pytest.mark.parametrize(
    ("language", "inside", "outside"),
    [
        ("de", {"und", "für", "über"}, "wald"),
        ("fr", {"les", "été", "même"}, "forêt"),
        ("en", {"the", "and"}, "forest"),
    ],
)
def test_stopwords_of_a_language(language, inside, outside):
    words = stopwords(language)
    assert inside <= words
    assert outside not in words


def test_stopwords_are_tokenised_like_the_text():
    assert "don" in stopwords("en")  # of don't
    assert all(
        tokenize(word) == [word] for language in ("de", "fr", "en") for word in stopwords(language)
    )


def test_language_without_stopwords_is_named_with_the_way_out():
    with pytest.raises(DataError, match=r"language 'tlh'.*stopwords=\{'tlh': \[\.\.\.\]\}.*\bde\b"):
        stopwords("tlh")


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
        "from m3l.text import *; print(learn_vocabulary([tokenize('dd cc bb aa ee ff gg bb cc')],"
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
