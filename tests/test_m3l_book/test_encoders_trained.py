"""Encoders trained on the corpus itself."""

import numpy as np
import pytest

from m3l import DataError, ParameterError
from m3l_book.encoders.cache import encode
from m3l_book.encoders.trained import DIMENSIONS, corpus_encoder, is_corpus_encoder

ANIMALS, TOOLS = (
    ["horse", "cow", "sheep", "goat", "pig", "hen", "duck"],
    [
        "hammer",
        "saw",
        "drill",
        "plane",
        "chisel",
        "file",
        "vice",
    ],
)


def documents(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, 5)) for words in (ANIMALS, TOOLS) for _ in range(n // 2)]


def cosines(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


@pytest.mark.parametrize("kind", ["lsi", "fasttext"])
def test_documents_of_one_theme_are_nearer_than_of_two(kind, tmp_path):
    encoder = corpus_encoder(f"corpus-{kind}-en", "en", documents())
    x = encode(encoder, documents(20, seed=1), tmp_path, progress=False)
    assert x.shape == (20, DIMENSIONS) and x.dtype == np.float32 and np.isfinite(x).all()
    near = cosines(x)
    inside = (near[:10, :10].sum() + near[10:, 10:].sum() - 20) / 180
    assert inside > near[:10, 10:].mean() + 0.1


@pytest.mark.parametrize("kind", ["lsi", "fasttext"])
def test_the_same_documents_train_the_same_encoder_and_others_another(kind):
    texts = documents(10, seed=2)
    first, second, other = (
        corpus_encoder(f"corpus-{kind}-en", "en", d)
        for d in (documents(), documents(), documents(seed=3))
    )
    np.testing.assert_array_equal(first.embed(texts), second.embed(texts))
    assert first.identity == second.identity != other.identity and first.space != other.space
    assert not np.allclose(first.embed(texts), other.embed(texts))


def test_words_after_the_first_tokens_and_words_never_seen_count_for_nothing():
    lsi = corpus_encoder("corpus-lsi-en", "en", documents(), max_tokens=3)
    a, b, c = lsi.embed(["horse cow sheep hammer", "horse cow sheep", "horse cow sheep zebra"])
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(b, c)
    assert not lsi.embed(["zebra okapi"]).any()


def test_a_word_never_seen_has_its_subwords_vector():
    encoder = corpus_encoder("corpus-fasttext-en", "en", documents())
    assert encoder.embed(["horses"]).any() and np.isfinite(encoder.embed(["x"])).all()


def test_training_waits_until_something_is_asked_for(tmp_path, monkeypatch):
    encoder = corpus_encoder("corpus-lsi-en", "en", documents())
    encode(encoder, ["horse cow"], tmp_path, progress=False)
    again = corpus_encoder("corpus-lsi-en", "en", documents())
    monkeypatch.setattr(
        "m3l_book.encoders.trained._lsi",
        lambda _: pytest.fail("trained though all is in the cache"),
    )
    encode(again, ["horse cow"], tmp_path, progress=False)


@pytest.mark.parametrize(
    "name, language, error, message",
    [
        ("corpus-bert-en", "en", ParameterError, "kind='bert' is unknown; valid: fasttext, lsi"),
        (
            "corpus-lsi-de",
            "en",
            ParameterError,
            "is of language 'de', the view is 'en'; expected corpus-lsi-en",
        ),
        ("corpus-lsi", "en", ParameterError, "is of language ''"),
    ],
)
def test_a_wrong_name_is_refused(name, language, error, message):
    with pytest.raises(error, match=message):
        corpus_encoder(name, language, documents())


def test_too_little_to_learn_from_is_refused():
    with pytest.raises(DataError, match="1 training documents, expected 2 or more"):
        corpus_encoder("corpus-lsi-en", "en", ["horse"])
    with pytest.raises(DataError, match="0 words stand in two training documents"):
        corpus_encoder("corpus-lsi-en", "en", ["horse", "cow"]).embed(["horse"])


def test_names_are_told_from_other_encoders():
    assert is_corpus_encoder("corpus-lsi-en") and not is_corpus_encoder("minilm-en")
