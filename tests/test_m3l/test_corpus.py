from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from support import make_corpus

from m3l import Corpus, DataError, Objective, ParameterError, TrainConfig, View, fit, model_for


def changed(corpus, view=None, **fields):
    """The corpus with some fields replaced, of one view or of itself."""
    if view is None:
        return replace(corpus, **fields)
    return replace(corpus, views={**corpus.views, view: replace(corpus.views[view], **fields)})


def without(corpus, view, rows):
    """The corpus with ``view`` taken away from the tuples ``rows``, and the items that only they
    used.
    """
    index = corpus.views[view].index.copy()
    index[rows] = -1
    return changed(corpus, view, index=index).subset(np.arange(len(corpus)))


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def shared():
    """Three tuples of two articles: the first article has two pictures, so its text item stands
    twice.
    """
    en = View(
        "en",
        np.eye(2, 3, dtype=np.float32),
        np.array([0, 0, 1]),
        ["a", "b"],
        sp.csr_matrix(np.array([[1, 0], [2, 3]], dtype=np.int32)),
        ["u", "v"],
    )
    image = View("image", np.eye(3, 4, dtype=np.float32), np.array([0, 1, 2]), ["p", "q", "r"])
    return Corpus(
        "shared",
        {"en": en, "image": image},
        ["1", "2", "3"],
        ["A", "A", "B"],
        ["train", "train", "test"],
    )


def same(a, b):
    assert list(a.views) == list(b.views) and a.name == b.name
    for field in ("tuple_ids", "article_ids", "split"):
        assert getattr(a, field).tolist() == getattr(b, field).tolist()
    for name in a.views:
        v, w = a.views[name], b.views[name]
        np.testing.assert_array_equal(v.embeddings, w.embeddings)
        np.testing.assert_array_equal(v.index, w.index)
        assert list(v.item_ids) == list(w.item_ids)
        assert (v.bow is None) == (w.bow is None)
        if v.bow is not None:
            np.testing.assert_array_equal(v.bow.toarray(), w.bow.toarray())
            assert v.bow.dtype == w.bow.dtype and list(v.vocabulary) == list(w.vocabulary)


# construction


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            lambda v: {"embeddings": v.embeddings.astype(np.float64)},
            "view 'de': embeddings are float64, expected float32",
        ),
        (
            lambda v: {"embeddings": v.embeddings.tolist()},
            "view 'de': embeddings must be an array .* got list",
        ),
        (lambda v: {"embeddings": v.embeddings[0]}, r"view 'de': embeddings must be .* got \(8,\)"),
        (
            lambda v: {"embeddings": v.embeddings[:-1]},
            "view 'de': 39 rows of embeddings for 40 items",
        ),
        (
            lambda v: {"embeddings": with_value(v.embeddings, (7, 2), np.nan)},
            "view 'de': .*row 7 .*'de-7'.* not finite",
        ),
        (
            lambda v: {"embeddings": with_value(v.embeddings, (9, 0), -np.inf)},
            "view 'de': .*row 9 .*'de-9'.* not finite",
        ),
        (lambda v: {"item_ids": ["de-0", "de-0", *v.item_ids[2:]]}, "view 'de': item id 'de-0'"),
        (
            lambda v: {"index": with_value(v.index, 3, 40)},
            "view 'de': tuple row 3 points at item 40, of 40",
        ),
        (
            lambda v: {"index": with_value(v.index, 4, -2)},
            "view 'de': tuple row 4 points at item -2",
        ),
        (lambda v: {"index": v.index[:-1]}, "view 'de': index must be 40 integers"),
        (
            lambda v: {"index": v.index.astype(float)},
            "view 'de': index must be 40 integers, .*got float64",
        ),
        (
            lambda v: {"bow": sp.csr_matrix(with_value(v.bow.toarray(), (5, slice(None)), 0))},
            "view 'de': the document of row 5 .*'de-5'.* no word",
        ),
        (
            lambda v: {"bow": v.bow[:-1]},
            r"view 'de': bag of words of shape \(39, 30\), expected \(40, 30\)",
        ),
        (lambda v: {"bow": -v.bow}, "view 'de': negative word counts"),
        (lambda v: {"bow": 0.5 * v.bow}, "view 'de': word counts are float64, expected integers"),
        (
            lambda v: {"index": v.index.astype(np.int16)},
            "view 'de': index must be 40 integers, int64 or int32, got int16",
        ),
        (
            lambda v: {"vocabulary": v.vocabulary[:-1]},
            r"view 'de': bag of words of shape \(40, 30\), expected \(40, 29\)",
        ),
        (
            lambda v: {"vocabulary": ["de1", *v.vocabulary[1:]]},
            "view 'de': the word 'de1' stands twice",
        ),
        (lambda v: {"vocabulary": None}, "view 'de': a bag of words without a vocabulary"),
        (lambda v: {"bow": None}, "view 'de': a vocabulary without a bag of words"),
        (lambda v: {"bow": v.bow.toarray()}, "view 'de': .*bag of words"),
        (lambda v: {"index": v.index.tolist()}, "view 'de': index must be 40 integers"),
        (lambda v: {"name": "fr"}, "view 'de' calls itself 'fr'"),
    ],
)
def test_a_broken_view_is_named(corpus, fields, message):
    with pytest.raises(DataError, match=message):
        changed(corpus, "de", **fields(corpus.views["de"]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"tuple_ids": ["t0", "t0", *(f"t{i}" for i in range(2, 40))]},
            "corpus small: tuple id 't0'",
        ),
        ({"article_ids": ["a"] * 39}, "article_ids has 39 rows, tuple_ids has 40"),
        ({"split": ["train"] * 41}, "split has 41 rows, tuple_ids has 40"),
        ({"tuple_ids": [], "article_ids": [], "split": []}, "corpus small: it has no tuple"),
        ({"views": {}}, "corpus small: it has no view"),
    ],
)
def test_a_broken_table_of_tuples_is_named(corpus, fields, message):
    with pytest.raises(DataError, match=message):
        changed(corpus, **fields)


def test_a_tuple_without_any_view_is_named(corpus):
    views = {n: replace(v, index=with_value(v.index, 6, -1)) for n, v in corpus.views.items()}
    with pytest.raises(DataError, match=r"tuple 't6' \(row 6\) has no view"):
        changed(corpus, views=views)


def test_an_article_in_two_splits_is_a_leak():
    with pytest.raises(
        DataError, match=r"article 'A' leaks between splits: rows 1 \(test\) and 0 \(train\)"
    ):
        changed(shared(), split=["train", "test", "test"])


def test_an_item_in_two_splits_is_a_leak(corpus):
    index = with_value(corpus.views["image"].index, 39, 2)
    with pytest.raises(
        DataError,
        match=(
            r"view 'image': item 'image-2' leaks between splits: rows 39 \(test\) and 2 \(train\)"
        ),
    ):
        replace(changed(corpus, "image", index=index), split=["train"] * 30 + ["test"] * 10)


def test_missing_views_are_allowed_and_do_not_leak(corpus):
    index = with_value(corpus.views["image"].index, [0, 39], -1)
    lacking = changed(corpus, "image", index=index, embeddings=corpus.views["image"].embeddings)
    lacking = replace(lacking, split=["train"] * 30 + ["test"] * 10)
    assert np.flatnonzero(~lacking.views["image"].present).tolist() == [0, 39]
    assert lacking.text_views == ["en", "de"]


def test_tuples_share_an_article_and_its_items():
    c = shared()
    assert len(c) == 3 and len(c.views["en"]) == 2
    assert c.article_of_items("en") == [{"A"}, {"B"}]
    assert changed(c, article_ids=["A", "C", "B"]).article_of_items("en") == [{"A", "C"}, {"B"}]


# parts


def test_part_keeps_the_items_of_its_tuples_alone():
    train, test = shared().part("train"), shared().part("test")
    assert train.tuple_ids.tolist() == ["1", "2"] and test.tuple_ids.tolist() == ["3"]
    assert list(train.views["en"].item_ids) == ["a"] and list(train.views["image"].item_ids) == [
        "p",
        "q",
    ]
    assert list(test.views["en"].item_ids) == ["b"] and test.views["en"].index.tolist() == [0]
    assert test.views["en"].bow.toarray().tolist() == [[2, 3]]
    with pytest.raises(DataError, match=r"no tuple is in split 'dev'; splits: test, train$"):
        shared().part("dev")


@pytest.mark.parametrize("choice", [np.array([5, 3, 17]), np.isin(np.arange(40), [3, 5, 17])])
def test_subset_renumbers_items_and_keeps_what_tuples_point_at(corpus, choice):
    corpus = without(corpus, "de", [3])
    part = corpus.subset(choice)
    for name, view in part.views.items():
        whole = corpus.views[name]
        assert sorted(set(view.index[view.present])) == list(range(len(view)))
        for row, tuple_id in enumerate(part.tuple_ids):
            old, new = whole.index[list(corpus.tuple_ids).index(tuple_id)], view.index[row]
            assert (old < 0) == (new < 0)
            if new >= 0:
                assert view.item_ids[new] == whole.item_ids[old]
                np.testing.assert_array_equal(view.embeddings[new], whole.embeddings[old])
                if view.is_text:
                    np.testing.assert_array_equal(view.bow[new].toarray(), whole.bow[old].toarray())
    assert (part.views["de"].index < 0).sum() == 1


def test_select_orders_views_and_drops_tuples_left_without_any(corpus):
    chosen = without(corpus, "image", [2, 8]).select(["image"])
    assert len(chosen) == 38 and not {"t2", "t8"} & set(chosen.tuple_ids)
    assert chosen.views["image"].present.all()
    assert (
        list(corpus.select(["image", "en"]).views) == ["image", "en"]
        and len(corpus.select(["en"])) == 40
    )
    with pytest.raises(
        ParameterError, match="view 'fr' is not in corpus small; it has: en, de, image"
    ):
        corpus.select(["en", "fr"])


def test_tuples_that_differ_in_other_views_alone_are_one_without_them(corpus):
    shared = replace(corpus.views["en"], index=np.arange(40) // 2)
    german = replace(corpus.views["de"], index=np.arange(40) // 2)
    views = {"en": shared, "de": german, "image": corpus.views["image"]}
    ids = [f"a{i // 2}" for i in range(40)]
    corpus = Corpus("pictures", views, corpus.tuple_ids, ids, corpus.split)
    texts = corpus.select(["en", "de"])
    assert texts.tuple_ids.tolist() == [f"t{i}" for i in range(0, 40, 2)]
    assert texts.views["en"].index.tolist() == texts.views["de"].index.tolist() == list(range(20))
    assert len(corpus.select(["en", "image"])) == 40


def test_having_keeps_the_tuples_that_have_every_view(corpus):
    some = without(without(corpus, "image", [2, 8]), "de", [3])
    assert set(corpus.tuple_ids) - set(some.having(["en", "image"]).tuple_ids) == {"t2", "t8"}
    assert set(corpus.tuple_ids) - set(some.having(["de", "image"]).tuple_ids) == {"t2", "t3", "t8"}
    assert corpus.having(["en"]) is corpus
    with pytest.raises(DataError, match="no tuple has all of the views"):
        without(corpus, "image", range(40)).having(["en", "image"])


def test_arrays_that_other_libraries_give_are_trained_on_as_lists_are(corpus):
    given = dict(corpus.views)
    for name in ("en", "de"):
        view = given[name]
        turned = np.ascontiguousarray(view.embeddings[::-1])[::-1]
        given[name] = replace(view, embeddings=turned, vocabulary=np.array(view.vocabulary))
    other = replace(corpus, views=given)
    for kernel in ("plain", "fused"):
        theta, config = [], TrainConfig(epochs=2, batch_size=8, kernel=kernel)
        for data in (corpus, other):
            model = model_for(data, 4)
            fit(model, data, Objective.preset("book"), config, progress=False)
            theta.append(model.infer(corpus.views["de"].embeddings, "de"))
        np.testing.assert_array_equal(*theta)


def test_a_bag_of_words_in_another_sparse_format_is_refused(corpus):
    with pytest.raises(DataError, match=r"view 'de'.*CSR"):
        changed(corpus, "de", bow=corpus.views["de"].bow.tocsc())


def test_fingerprint_changes_with_any_content(corpus):
    v = corpus.views["de"]
    bow = v.bow.copy()
    bow.data[0] += 1
    others = [
        changed(corpus, name="other"),
        changed(corpus, tuple_ids=["x", *corpus.tuple_ids[1:]]),
        changed(corpus, article_ids=["x", *corpus.article_ids[1:]]),
        changed(corpus, split=["test", *corpus.split[1:]]),
        changed(corpus, "de", embeddings=with_value(v.embeddings, (0, 0), 0.5)),
        changed(corpus, "de", index=v.index[::-1]),
        changed(corpus, "de", item_ids=["x", *v.item_ids[1:]]),
        changed(corpus, "de", bow=bow),
        changed(corpus, "de", vocabulary=["x", *v.vocabulary[1:]]),
        changed(corpus, "de", bow=None, vocabulary=None),
        corpus.select(["de", "en", "image"]),
        corpus.select(["en", "de"]),
        corpus.subset(np.arange(39)),
        replace(
            corpus,
            views={
                "en": corpus.views["en"],
                "fr": replace(v, name="fr"),
                "image": corpus.views["image"],
            },
        ),
    ]
    prints = [c.fingerprint() for c in [corpus, *others]]
    assert len(set(prints)) == len(prints)
    assert make_corpus().fingerprint() == corpus.fingerprint()


def test_a_corpus_describes_itself_in_a_line():
    assert (
        repr(make_corpus(n=4, split=["train"] * 3 + ["test"]))
        == "Corpus small: 3 train, 1 test tuples; views en (4 items, 8-d, 30 words), de (4 items,"
        " 8-d, 30 words), image (4 items, 8-d)"
    )
