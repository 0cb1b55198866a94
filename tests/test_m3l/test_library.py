"""The package as a library: from texts to topics without files, and as scikit-learn has models."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from support import make_corpus

from m3l import (
    M3L,
    Corpus,
    DataError,
    M3LTopicModel,
    ParameterError,
    ldavis_arrays,
    model_for,
    top_documents,
    word_distributions,
)

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = ["the horse runs", "the cat sleeps here", None, "a horse and a cat", "cat cat horse"]
GERMAN = ["das Pferd rennt", None, "die Katze", "Pferd und Katze", "Katze Katze Pferd"]


def vectors(n=5, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def small(**options):
    drawings = [vectors(1, 6, i)[0] for i in range(4)] + [None]
    embeddings = {"en": vectors(), "de": vectors(seed=1), "drawing": drawings}
    texts = {"en": ENGLISH, "de": GERMAN}
    return Corpus.from_texts(texts, embeddings, 2, **options)


def test_texts_become_a_corpus_with_missing_items_and_any_name_of_a_picture_view():
    corpus = small(stopwords={"en": ["The", "here", "a", "and", "runs", "sleeps"], "de": []})
    assert list(corpus.views) == ["en", "de", "drawing"] and len(corpus) == 5
    assert corpus.text_views == ["en", "de"] and corpus.picture_views == ["drawing"]
    assert corpus.views["en"].vocabulary == ["cat", "horse"]
    assert corpus.views["de"].vocabulary == ["katze", "pferd"]
    assert corpus.views["en"].present.tolist() == [True, True, False, True, True]
    assert corpus.views["drawing"].present.tolist() == [True, True, True, True, False]
    assert corpus.views["en"].bow.toarray().tolist() == [[0, 1], [1, 0], [1, 1], [2, 1]]
    np.testing.assert_array_equal(corpus.views["de"].embeddings[1], vectors(seed=1)[2].astype("f4"))


def test_the_languages_own_stopwords_are_the_default():
    assert "the" not in small().views["en"].vocabulary


def test_a_text_with_too_few_words_counts_as_missing_and_the_vocabulary_is_of_training():
    texts = {"en": ["cat dog cat", "dog cat", "cat", "cow cow cow", "dog cow cat"]}
    split = ["train"] * 3 + ["test"] * 2
    embeddings = {"en": vectors(), "image": vectors()}
    corpus = Corpus.from_texts(texts, embeddings, 2, stopwords={"en": []}, min_words=2, split=split)
    assert corpus.views["en"].vocabulary == ["cat", "dog"], "of the training texts alone"
    assert corpus.views["en"].present.tolist() == [True, True, False, False, True]


def test_rows_of_one_article_share_their_texts():
    texts, x = {"en": ["a cat", "a cat", "a dog"]}, vectors(3)
    corpus = Corpus.from_texts(
        texts, {"en": x, "image": x}, 2, stopwords={"en": ["a"]}, article_ids=["1", "1", "2"]
    )
    assert corpus.views["en"].index.tolist() == [0, 0, 1] and len(corpus.views["image"]) == 3


def test_columns_of_a_shuffled_table_are_read_row_by_row():
    shuffled, x = [3, 1, 4, 0, 2], vectors()
    texts = {"en": ["a cat", "a dog", "a horse", "a cow", "a pig"]}
    plain = Corpus.from_texts(texts, {"en": x, "image": x}, 3)
    table = pd.DataFrame({"en": texts["en"], "vector": list(x)}, index=shuffled)
    columns = {"en": table["vector"], "image": table["vector"]}
    assert Corpus.from_texts({"en": table["en"]}, columns, 3).fingerprint() == plain.fingerprint()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"texts": {"en": ["a"] * 4}}, "every view needs a value per tuple"),
        ({"texts": {"fr": ["a"] * 5}}, "embeddings: none for the texts of fr"),
        ({"texts": {"en": [1] * 5}}, "texts of en: row 0 is of type int"),
        ({"texts": {"en": [None] * 5}}, "texts of en: every one is missing"),
        ({"embeddings": {"en": [None] * 5}}, "embeddings of en: row 0 is None"),
        ({"embeddings": {"en": [[1.0], [1.0, 2.0]] * 2 + [[1.0]]}}, "got shapes [(1,), (2,)]"),
        ({"embeddings": {"en": [1.0] * 5}}, "embeddings of en: expected a vector per row"),
        ({"article_ids": ["1"] * 5}, "rows 0 and 1 are of article '1' and differ"),
        ({"tuple_ids": ["1"]}, "tuple_ids: 1 values for 5 tuples"),
        ({"vocabulary_size": 1}, "row 1: its texts have too few words of the vocabulary"),
        ({"min_words": 9}, "texts of en: none has 9 words of the vocabulary or more"),
        ({"vocabulary_size": 99}, "vocabulary_size=99, but the training documents hold"),
        ({"stopwords": ["a"]}, "stopwords is of type list; expected a mapping by language"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    given = {
        "texts": {"en": ["a cat", "a dog", "a horse", "a cow", "a pig"]},
        "embeddings": {"en": vectors()},
        "vocabulary_size": 3,
        "stopwords": {"en": ["a"]},
        **change,
    }
    with pytest.raises(DataError, match=re.escape(message)):
        Corpus.from_texts(given.pop("texts"), given.pop("embeddings"), **given)


@pytest.fixture(scope="module")
def fitted():
    corpus = make_corpus(n=60, views=("en", "de", "photo"))
    return M3LTopicModel(n_topics=4, epochs=10, batch_size=16).fit(corpus), corpus


def test_the_estimator_trains_what_model_for_and_fit_train(fitted):
    from m3l import Objective, TrainConfig, fit

    estimator, corpus = fitted
    model = model_for(corpus, 4)
    fit(model, corpus, Objective.preset("book"), TrainConfig(10, 16), progress=False)
    theta = model.infer(corpus.views["photo"].embeddings, "photo")
    np.testing.assert_array_equal(estimator.transform(corpus, "photo"), theta)
    assert estimator.history_[-1]["epoch"] == 10


def test_transform_gives_a_row_a_tuple_the_mean_over_its_views(fitted):
    from dataclasses import replace

    estimator, corpus = fitted
    views = [estimator.transform(corpus, view) for view in corpus.views]
    np.testing.assert_allclose(estimator.transform(corpus), np.mean(views, axis=0), rtol=1e-5)
    index = corpus.views["photo"].index.copy()
    index[3] = -1
    lacking = replace(
        corpus, views={**corpus.views, "photo": replace(corpus.views["photo"], index=index)}
    )
    assert np.isnan(estimator.transform(lacking, "photo")[3]).all()
    np.testing.assert_allclose(
        estimator.transform(lacking)[3], (views[0][3] + views[1][3]) / 2, rtol=1e-5
    )


def test_the_estimator_says_words_and_documents_and_is_saved(fitted, tmp_path):
    estimator, corpus = fitted
    assert len(estimator.top_words("de", 3)) == 4
    documents = estimator.top_documents(corpus, "en", 2)
    theta = estimator.transform(corpus, "en")
    assert documents[1][0] == f"en-{theta[:, 1].argmax()}"
    estimator.save(tmp_path / "m.safetensors")
    loaded = M3LTopicModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.transform(corpus), estimator.transform(corpus))
    assert M3L.load(tmp_path / "m.safetensors").top_words("de", 3) == loaded.top_words("de", 3)
    assert loaded.get_params() | {"epochs": 10, "batch_size": 16} == estimator.get_params()
    made = {"layers": 1, "share_text_network": True, "input_scaling": "scale"}
    other = M3LTopicModel(n_topics=3, epochs=1, **made).fit(corpus)
    other.save(tmp_path / "other.safetensors")
    parameters = M3LTopicModel.load(tmp_path / "other.safetensors").get_params()
    assert {"n_topics": 3, **made}.items() <= parameters.items()


def test_an_estimator_that_was_not_fitted_or_is_given_no_corpus_says_so(fitted):
    with pytest.raises(NotFittedError):
        M3LTopicModel().transform(fitted[1])
    with pytest.raises(ParameterError, match=r"corpus is of type list; expected a m3l\.Corpus"):
        M3LTopicModel().fit([[1.0]])
    with pytest.raises(ParameterError, match="corpus is of type ndarray; expected a"):
        fitted[0].transform(vectors())
    with pytest.raises(ParameterError, match="corpus is of type list; expected a"):
        fitted[0].top_documents([], "en")
    with pytest.raises(ParameterError, match="view='fr' is unknown; valid: de, en, photo"):
        fitted[0].transform(fitted[1], "fr")


@pytest.mark.parametrize(
    "check",
    [
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_no_attributes_set_in_init",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_mixin_order",
    ],
)
def test_scikit_learns_own_checks_that_need_no_array(check):
    getattr(estimator_checks, check)("M3LTopicModel", M3LTopicModel())


def test_a_clone_has_the_parameters_and_nothing_learnt(fitted):
    copy = clone(fitted[0])
    assert copy.get_params() == fitted[0].get_params() and not hasattr(copy, "model_")


def test_top_documents_are_the_heaviest_first_and_ties_by_row():
    theta = np.array([[0.2, 0.8], [0.7, 0.3], [0.2, 0.8]])
    assert top_documents(theta, 2).tolist() == [[1, 0], [0, 2]]
    assert top_documents(theta, 9).shape == (2, 3)


def test_a_topics_words_are_what_the_decoder_gives_for_it_alone(fitted):
    estimator, _ = fitted
    words = word_distributions(estimator.model_, "en")
    np.testing.assert_allclose(words.sum(axis=1), 1.0, rtol=1e-5)
    norm = estimator.model_.decoders["en"].norm
    beta = estimator.model_.beta["en"].detach().numpy()
    logits = (beta - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(words, expected, rtol=1e-4)


def test_arrays_for_ldavis_have_the_shapes_and_sums_that_it_asks_for(fitted):
    estimator, corpus = fitted
    arrays = ldavis_arrays(estimator.model_, corpus, "en")
    assert set(arrays) == {
        "topic_term_dists",
        "doc_topic_dists",
        "doc_lengths",
        "vocab",
        "term_frequency",
    }
    for name in ("topic_term_dists", "doc_topic_dists"):
        np.testing.assert_allclose(arrays[name].sum(axis=1), 1.0, atol=1e-12)
    assert arrays["topic_term_dists"].shape == (4, 30) and arrays["doc_topic_dists"].shape == (
        60,
        4,
    )
    assert arrays["doc_lengths"].sum() == arrays["term_frequency"].sum() == 60 * 15
    with pytest.raises(DataError, match="another vocabulary than the model"):
        ldavis_arrays(estimator.model_, make_corpus(n=60, words=29), "en")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", pytest.param("whole", marks=pytest.mark.thorough)])
def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys, size):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, code = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    smaller = {"1600": "256", "vocabulary_size=800": "vocabulary_size=100", "epochs=40": "epochs=4"}
    for own, less in smaller.items() if size == "small" else ():
        assert own in code
        code = code.replace(own, less)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 3
    assert (tmp_path / "topics.safetensors").is_file()
