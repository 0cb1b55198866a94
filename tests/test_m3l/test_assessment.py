from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from support import make_corpus

from m3l import Corpus, View, model_for
from m3l.errors import DataError, ParameterError
from m3l.metrics.assessment import aligned_cosines, aligned_pairs, assess, evaluate, readers
from m3l.metrics.coherence import npmi, topic_diversity, topic_recovery
from m3l.metrics.ranking import jensen_shannon
from m3l.metrics.uncertainty import interval_of_mean
from m3l.pltm import GibbsConfig, pltm_for
from m3l.pltm import fit as sample
from m3l_book.records import results
from m3l_book.records.run import load_model, load_run, save_run
from m3l_book.tables.shared import score_table


def test_unrelated_views_score_what_chance_scores():
    """Row i of two views must share no noise: aligned draws would make any two views agree."""
    rng, n = np.random.default_rng(0), 400
    corpus = make_corpus(n=n, views=("en", "fr"), split=["test"] * n)
    for name, view in corpus.views.items():
        corpus.views[name] = replace(view, embeddings=rng.standard_normal((n, 8), dtype=np.float32))
    model = model_for(corpus, topics=20)
    for fr in ("fr", "en"):
        reader = {"en": "en", "fr": fr}
        theta = {v: model.infer(corpus.views[v].embeddings, by) for v, by in reader.items()}
        for row in evaluate(theta, corpus):
            assert row["score"] < 3 * row["chance"], row["score"]


def test_perfect_topics_score_one_in_both_directions():
    corpus = make_corpus(n=30, views=("en", "de"))
    theta = np.random.default_rng(1).dirichlet(np.ones(5), size=30)
    rows = evaluate({"en": theta, "de": theta}, corpus)
    assert [(r["query"], r["item"], r["score"], r["low"], r["high"], r["jsd"]) for r in rows] == [
        ("en", "de", 1, 1, 1, 0),
        ("de", "en", 1, 1, 1, 0),
    ]


def test_views_that_no_tuple_has_both_of_are_left_out():
    corpus = make_corpus(n=12)
    corpus.views["image"].index[:] = -1
    corpus.views["image"].index[3] = 3
    corpus.views["de"].index[3] = -1
    theta = {v: np.random.default_rng(0).dirichlet(np.ones(4), 12) for v in corpus.views}
    rows = evaluate(theta, corpus)
    pairs = {(row["query"], row["item"]) for row in rows}
    assert pairs == {("en", "de"), ("de", "en"), ("en", "image"), ("image", "en")}
    assert [row["low"] for row in rows if "image" in (row["query"], row["item"])] == [None] * 2
    shown = score_table(rows).data.set_index("from → to")["95 % interval"]
    assert shown["en → image"] == "" and "–" in shown["en → de"]


def test_articles_with_several_pictures_are_scored_by_average_precision():
    corpus = make_corpus(n=6, views=("en", "image"))
    en = corpus.views["en"]
    index = np.array([0, 0, 1, 1, 2, 2])
    text = View("en", en.embeddings[:3], index, ["a", "b", "c"], en.bow[:3], en.vocabulary)
    views = {"en": text, "image": corpus.views["image"]}
    articles = ["a", "a", "b", "b", "c", "c"]
    corpus = Corpus("pictures", views, corpus.tuple_ids, articles, ["test"] * 6)
    topics = np.eye(3)
    to_picture, to_text = evaluate({"en": topics, "image": np.repeat(topics, 2, axis=0)}, corpus)
    assert to_picture["metric"] == to_text["metric"] == "UAP"
    assert to_picture["score"] == to_text["score"] == 1
    turned = np.repeat(np.roll(topics, 1, axis=0), 2, axis=0)
    worst = evaluate({"en": topics, "image": turned}, corpus)[0]
    # the two right pictures tie with two wrong ones behind two others: positions 3 to 6, in
    # expectation
    expected = sum((0.5 * (1 + (i - 1) * (1 / 3))) / (2 + i) for i in range(1, 5)) / 2
    assert worst["score"] == pytest.approx(expected)


def test_vectors_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r"'en': 3 vectors"):
        evaluate({"en": np.ones((3, 2))}, make_corpus())


def assert_same_rows(actual, expected):
    assert [list(row) for row in actual] == [list(row) for row in expected]
    for row, other in zip(actual, expected, strict=True):
        for name, value in other.items():
            np.testing.assert_array_equal(row[name], value)


def shared_corpus():
    """Three texts and six pictures in eight tuples, one pair of which stands there twice, in two
    articles; one tuple has no picture, one no text.
    """
    corpus = make_corpus(n=8, views=("en", "de", "image"))
    views, index = {}, np.array([2, 0, 1, 1, 0, 1, 2, -1])
    for name in ("en", "de"):
        of = corpus.views[name]
        rows = of.embeddings[:3], index, ["a", "b", "c"], of.bow[:3], of.vocabulary
        views[name] = View(name, *rows)
    image, index = corpus.views["image"], np.array([0, 3, 1, 2, 4, 1, -1, 5])
    views["image"] = View("image", image.embeddings[:6], index, image.item_ids[:6])
    return Corpus("shared", views, corpus.tuple_ids, list("cabbaecd"), ["test"] * 8)


def test_aligned_pairs_are_distinct_and_in_one_order_in_both_directions():
    corpus = shared_corpus()
    there, back = aligned_pairs(corpus, "en", "image"), aligned_pairs(corpus, "image", "en")
    np.testing.assert_array_equal(there, back[::-1])
    assert list(zip(*there.tolist(), strict=True)) == [(0, 3), (0, 4), (1, 1), (1, 2), (2, 0)]
    assert aligned_pairs(corpus, "de", "en").tolist() == [[0, 1, 2], [0, 1, 2]]
    apart = make_corpus(n=4, views=("en", "de"))
    index = {"en": np.array([0, 1, -1, -1]), "de": np.array([-1, -1, 2, 3])}
    views = {v: replace(view, index=index[v]) for v, view in apart.views.items()}
    with pytest.raises(DataError, match="no tuple has both 'en' and 'de'"):
        aligned_pairs(replace(apart, views=views), "en", "de")


def test_cosines_of_aligned_items_and_of_the_same_items_paired_at_random():
    corpus = make_corpus(n=60)
    corpus.views["image"] = replace(
        corpus.views["image"], embeddings=np.ones((60, 3), dtype=np.float32)
    )
    x, y = (corpus.views[name].embeddings.astype(float) for name in ("en", "de"))
    expected = (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    aligned, shuffled = aligned_cosines(corpus)
    assert list(aligned) == list(shuffled) == [("en", "de")], "pictures have another width"
    np.testing.assert_allclose(aligned["en", "de"], expected)
    assert np.abs(shuffled["en", "de"] - expected).max() > 0.1
    every = (x @ y.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    assert np.isclose(shuffled["en", "de"][:, None], every).any(axis=1).all()
    other = aligned_cosines(corpus, seed=1)
    np.testing.assert_array_equal(other[0]["en", "de"], aligned["en", "de"])
    assert (other[1]["en", "de"] != shuffled["en", "de"]).any()


def test_every_row_holds_the_values_behind_its_means():
    corpus, rng = shared_corpus(), np.random.default_rng(0)
    theta = {v: rng.dirichlet(np.ones(4), len(view)) for v, view in corpus.views.items()}
    rows = {(r["query"], r["item"]): r for r in evaluate(theta, corpus)}
    names = np.unique(corpus.article_ids)
    assert list(rows) == list(permutations(theta, 2))
    for (a, b), row in rows.items():
        first, second = aligned_pairs(corpus, a, b)
        expected = jensen_shannon(theta[a][first], theta[b][second])
        np.testing.assert_allclose(row["divergences"], expected)
        np.testing.assert_array_equal(row["divergences"], rows[b, a]["divergences"])
        assert row["jsd"] == pytest.approx(row["divergences"].mean())
        assert row["score"] == pytest.approx(row["values"].mean())
        assert row["queries"] == len(row["values"])
        within = interval_of_mean(row["values"], row["articles"])
        assert (row["low"], row["high"]) == within and within[0] <= row["score"] <= within[1]
        found = {names[number] for number in row["articles"]}
        assert found == {"a", "b", "c"}, "of an item in several articles the first"
        assert row["metric"] == ("UAP" if "image" in (a, b) else "MRR")
        # each direction alone says the same: the second of a pair reuses the first's distances
        alone = evaluate({a: theta[a], b: theta[b]}, corpus)[0]
        assert_same_rows([alone], [row])
    assert rows["image", "en"]["queries"] == 5, "the picture of an article without text finds none"


def test_raw_embeddings_are_compared_by_cosine_and_have_no_divergence(corpus):
    rows = evaluate({v: view.embeddings for v, view in corpus.views.items()}, corpus, raw=True)
    assert len(rows) == 6 and all(row["jsd"] is None and row["divergences"] is None for row in rows)
    en, wide = corpus.views["en"].embeddings, make_corpus(dimension=9).views["de"].embeddings
    same = evaluate({"en": en, "de": 3 * en}, corpus, raw=True)
    assert [row["score"] for row in same] == [1, 1]
    assert evaluate({"en": en, "de": wide}, corpus, raw=True) == [], "other widths do not compare"


def test_everything_measured_of_a_model_is_what_each_measure_says(corpus):
    rng = np.random.default_rng(0)
    words = {v: corpus.views[v].vocabulary for v in corpus.text_views}
    topics = {v: [list(rng.permutation(words[v])[:12]) for _ in range(3)] for v in words}
    tokens = {v: [list(rng.choice(words[v], size=25)) for _ in range(50)] for v in words}
    theta = {v: rng.dirichlet(np.ones(3), len(view)) for v, view in corpus.views.items()}
    truth = {v: rng.dirichlet(np.ones(2), len(corpus.views[v])) for v in ("en", "image")}
    actual = assess(theta, topics, corpus, tokens, truth)
    assert list(actual) == ["scores", "npmi", "npmi_of_topics", "diversity", "recovery"]
    assert_same_rows(actual["scores"], evaluate(theta, corpus))
    for v in topics:
        coherence = npmi(topics[v], tokens[v])
        assert actual["npmi"][v] == pytest.approx(coherence.mean())
        assert actual["npmi_of_topics"][v] == pytest.approx(coherence, abs=1e-6)
        assert actual["diversity"][v] == topic_diversity(topics[v])
    recovery = {v: topic_recovery(theta[v], truth[v])["correlation"].mean() for v in truth}
    assert actual["recovery"] == pytest.approx(recovery)
    without_words = assess(theta, {}, corpus, {}, {})
    assert len(without_words.pop("scores")) == 6 and not any(without_words.values())


def recorded(folder, corpus, classical=False, seed=0):
    """The model, its measures and the run that is read back from ``folder``."""
    if classical:
        model = pltm_for(corpus, 4)
        history = sample(model, corpus, GibbsConfig(20, checkpoint_every=10), progress=False)
        theta = {v: model.infer(corpus.views[v].bow, v) for v in corpus.text_views}
    else:
        model, history = model_for(corpus, topics=4, seed=seed), [{"epoch": 1, "loss": 2.5}]
        theta = {v: model.infer(view.embeddings, v) for v, view in corpus.views.items()}
    topics = {v: model.top_words(v, 25) for v in corpus.text_views}
    metrics = {"scores": evaluate(theta, corpus), "npmi": {"en": 0.1}}
    metrics["validation"] = evaluate(theta, corpus.subset(np.arange(len(corpus))))
    params = {"encoders": dict.fromkeys(theta, "x"), "seed": seed}
    save_run(folder, model, params, metrics, history, theta, topics)
    return model, metrics, history, load_run(folder)


@pytest.mark.parametrize("classical", [False, True])
def test_a_run_is_read_back_and_its_model_infers_the_same(tmp_path, corpus, classical):
    model, metrics, history, run = recorded(tmp_path / "a", corpus, classical)
    for part in ("scores", "validation"):
        assert_same_rows(run.metrics[part], metrics[part])
        assert all("values" in row for row in metrics[part]), "what was given is not changed"
    assert run.metrics["npmi"] == {"en": 0.1} and run.params["seed"] == 0
    assert run.history == history and len(history) == (2 if classical else 1)
    assert list(run.theta) == list(run.params["encoders"]), "views are in the encoders' order"
    assert run.topics == {v: model.top_words(v, 25) for v in corpus.text_views}
    loaded = load_model(run.folder / "model.safetensors")
    assert loaded.vocabularies == {v: list(corpus.views[v].vocabulary) for v in corpus.text_views}
    for v, theta in run.theta.items():
        items = corpus.views[v].bow if classical else corpus.views[v].embeddings
        np.testing.assert_array_equal(loaded.infer(items, v), theta)
    recorded(tmp_path / "b", corpus, classical)
    names = {path.name for path in run.folder.iterdir()}
    kinds = {"params.json", "metrics.json", "history.csv", "values.npz", "topics.json"}
    assert names == kinds | {"model.safetensors"} | {f"theta_{v}.npy" for v in run.theta}
    for name in names - ({"history.csv"} if classical else set()):  # which has seconds
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("damage", [b"", b"garbage" * 50])
def test_a_broken_model_is_named(tmp_path, corpus, damage):
    path = recorded(tmp_path / "r", corpus)[3].folder / "model.safetensors"
    path.write_bytes(damage)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_model(path)
    with pytest.raises(DataError, match="no such run"):
        load_run(tmp_path / "none")


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "garbage", "truncated", "flipped", "without an array"]
)
def test_broken_values_are_named(tmp_path, corpus, damage):
    run = recorded(tmp_path / "r", corpus)[3]
    path = run.folder / "values.npz"
    data = path.read_bytes()
    path.unlink()
    if damage == "without an array":
        np.savez(path, **{"en>de.values": np.zeros(3)})
    elif damage != "missing":
        flipped = data[:2000] + bytes(b ^ 0x55 for b in data[2000:2010]) + data[2010:]
        broken = {"empty": b"", "garbage": b"garbage" * 50, "truncated": data[: len(data) // 2]}
        path.write_bytes({**broken, "flipped": flipped}[damage])
    with pytest.raises(DataError, match=r"values\.npz"):
        load_run(run.folder)


def test_a_full_disk_leaves_the_earlier_run_whole(tmp_path, corpus, monkeypatch):
    run = recorded(tmp_path / "r", corpus)[3]
    before = {p.name: p.read_bytes() for p in run.folder.iterdir()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("m3l_book.records.run.np.save", full)
    with pytest.raises(OSError, match="No space left"):
        recorded(tmp_path / "r", corpus, seed=1)
    assert {p.name: p.read_bytes() for p in run.folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == [run.folder.name]


def test_raw_scores_are_a_row_a_corpus_and_direction(corpus):
    other = make_corpus(n=10, views=("en", "de"), seed=1)
    frame = results.raw_scores(
        {("small", "a"): corpus, ("small", "b"): other, ("other", "a"): other}
    )
    assert frame[["corpus", "direction"]].drop_duplicates().shape == (8, 2) == (len(frame), 2)
    raw = evaluate({v: view.embeddings for v, view in corpus.views.items()}, corpus, raw=True)
    assert frame["score"][:6].tolist() == [row["score"] for row in raw], (
        "the first corpus of a name counts"
    )
    assert frame["corpus"].tolist() == ["small"] * 6 + ["other"] * 2 and frame["direction"][
        6:
    ].tolist() == ["en → de", "de → en"]
    np.testing.assert_array_equal(frame["values"][0], raw[0]["values"])


def test_a_view_that_no_network_can_read_is_named_before_training():
    corpus = make_corpus(views=("en", "image"))
    model = model_for(corpus.select(["en"]), topics=4)
    assert readers(model, corpus, "en") == {"en": "en", "image": "en"}
    wide = make_corpus(views=("en", "image"), dimension=12).views["image"]
    message = "view 'image' has 12 dimensions and the network of 'en' reads 8"
    with pytest.raises(ParameterError, match=message):
        readers(model, replace(corpus, views={**corpus.views, "image": wide}), "en")
