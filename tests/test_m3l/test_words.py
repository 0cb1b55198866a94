import builtins
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3l.errors import DataError
from m3l.text import primary, stopwords, tokenize

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
    cure = r"language 'tlh'.*option stopwords: \{'tlh': \[\]\}.*\bde\b"
    with pytest.raises(DataError, match=cure):
        stopwords("tlh")


# case


@pytest.mark.parametrize("language", ["tr", "TR", "tr-TR", "tr_TR", "az", "az-Latn"])
def test_capitals_of_turkish_and_azeri_have_two_letters_i(language):
    assert tokenize("İSTASYON IRMAK istasyon ırmak", language) == ["istasyon", "ırmak"] * 2


def test_turkish_capitals_typed_with_a_combining_dot(tmp_path):
    assert tokenize("I\u0307STASYON", "tr") == ["istasyon"]


def test_a_capital_with_a_dot_in_another_language_is_an_i():
    assert tokenize("İstanbul ISTANBUL", "en") == ["istanbul", "istanbul"]


# letters written in other ways


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("loko\u00admo\u00adtive", ["lokomotive"]),
        ("\ufeffwasser\u200bfall \u2060berg", ["wasserfall", "berg"]),
        ("ﬁsh oﬃce", ["fish", "office"]),
        ("ＡＢＣ ｄｅｆ", ["abc", "def"]),
        ("𝗯𝗼𝗹𝗱 𝑖𝑡𝑎𝑙𝑖𝑐", ["bold", "italic"]),
        ("ﻛﺘﺎﺏ", ["كتاب"]),
        ("كـتـاب", ["كتاب"]),
        ("Windows™ m² 5ª", ["windows"]),
        ("ﾊﾟﾝﾀﾞ", ["パンダ"]),
        ("ㅋㅋㅋ", ["ㅋㅋㅋ"]),
    ],
)
def test_another_way_to_write_letters_gives_the_same_word(text, words):
    assert tokenize(text) == words


def test_joiners_stay_inside_words_and_not_at_their_ends():
    books = "کتاب\u200cها"
    assert tokenize(f"{books} {books}\u200c «کتاب\u200c»", "fa") == [books, books, "کتاب"]
    assert tokenize("അവന്\u200d bonds\u200d") == ["അവന്\u200d", "bonds"]


# scripts without blanks


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("zh", "今天天气很好，我们去公园。", {"今天", "天气", "公园", "去"}),
        ("zh-TW", "機器學習是人工智慧的分支", {"機器", "學習", "人工", "智慧"}),
        ("ja", "東京の電車に乗りました", {"東京", "電車"}),
        ("th", "ภาษาไทยง่ายนิดเดียว", {"ภาษา", "ไทย", "ง่าย"}),
        ("km", "ភាសាខ្មែរគឺជាភាសា", {"ភាសា"}),
        ("my", "မြန်မာဘာသာစကား", {"စကား"}),
        ("en", "the 東京 tower", {"the", "東京", "tower"}),
    ],
)
def test_scripts_without_blanks_are_cut_into_words(language, text, words):
    assert words <= set(tokenize(text, language))


def test_a_word_is_one_ideograph_but_not_one_syllable():
    assert tokenize("山と海", "ja") == ["山", "海"]


def test_latin_words_between_ideographs_are_words():
    assert tokenize("iPhone手机很好", "zh") == ["iphone", "手机", "很好"]


def test_segmented_texts_keep_the_words_that_blanks_divide():
    assert tokenize("今天天气 很好", "zh", segmented=True) == ["今天天气", "很好"]


def test_invisible_blanks_divide_words_where_no_other_blank_does():
    assert tokenize("ភាសា\u200bខ្មែរ", "km", segmented=True) == ["ភាសា", "ខ្មែរ"]


def test_without_icu_the_text_is_refused_with_the_reason(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("icu4py"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    cure = r"'今天天气很好' is written without blanks.*pip install icu4py"
    with pytest.raises(DataError, match=cure):
        tokenize("今天天气很好", "zh")
    assert tokenize("no such script", "zh") == ["no", "such", "script"]


# codes of languages


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("en_US", "en"),
        ("EN", "en"),
        ("zh-TW", "zh"),
        ("zh_Hant_HK", "zh"),
        ("pt-Latn-BR", "pt"),
        ("nb", "no"),
        ("iw", "he"),
    ],
)
def test_codes_with_region_or_script_take_the_stopwords_of_their_language(code, language):
    assert primary(code) == language
    assert stopwords(code) == stopwords(language)


def test_turkish_stopwords_are_lower_case_as_turkish_has_it():
    assert all(tokenize(word, "tr") == [word] for word in stopwords("tr"))


# whatever the text is


@given(st.text())
def test_words_are_words_of_themselves(text):
    for word in tokenize(text, segmented=True):
        assert tokenize(word, segmented=True) == [word]


@given(st.text(), st.sampled_from(["NFC", "NFD"]))
def test_unicode_form_makes_no_difference(text, form):
    other = unicodedata.normalize(form, text)
    assert tokenize(other, segmented=True) == tokenize(text, segmented=True)


@given(st.lists(st.text(), max_size=4))
def test_a_blank_divides_words_wherever_it_stands(texts):
    apart = [word for text in texts for word in tokenize(text, segmented=True)]
    assert tokenize(" ".join(texts), segmented=True) == apart
