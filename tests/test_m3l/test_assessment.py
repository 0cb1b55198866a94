from dataclasses import replace

import numpy as np
import pytest
from support import make_corpus

from m3l import Corpus, View, model_for
from m3l.errors import DataError, ParameterError
from m3l.metrics.assessment import aligned_cosines, aligned_pairs, assess, evaluate, readers
from m3l.metrics.coherence import npmi, topic_diversity, topic_recovery
from m3l.metrics.ranking import jensen_shannon
from m3l.pltm import GibbsConfig, pltm_for
from m3l.pltm import fit as sample
from m3l_book.records import results
from m3l_book.records.run import load_model, load_run, save_run


def test_unrelated_views_score_what_chance_scores():
    """Row i of two views must share no noise: aligned draws would make any two views agree."""
    rng = np.random.default_rng(0)
    n = 400
    ids = [f"t{i}" for i in range(n)]
    base = make_corpus(n=n, views=("en", "fr"))
    views = {
        v: View(
            v,
            rng.standard_normal((n, 8), dtype=np.float32),
            np.arange(n),
            ids,
            base.views[v].bow,
            base.views[v].vocabulary,
        )
        for v in ("en", "fr")
    }
    corpus = Corpus("unrelated", views, ids, ids, ["test"] * n)
    model = model_for(corpus, topics=20)
    for network in (("en", "fr"), ("en", "en")):
        theta = {
            v: model.infer(views[v].embeddings, by)
            for v, by in zip(("en", "fr"), network, strict=True)
        }
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


def test_articles_with_several_pictures_are_scored_by_average_precision():
    corpus = make_corpus(n=6, views=("en", "image"))
    en, image = corpus.views["en"], corpus.views["image"]
    text = View(
        "en",
        en.embeddings[:3],
        np.array([0, 0, 1, 1, 2, 2]),
        ["a", "b", "c"],
        en.bow[:3],
        en.vocabulary,
    )
    corpus = Corpus(
        "pictures",
        {"en": text, "image": image},
        corpus.tuple_ids,
        ["a", "a", "b", "b", "c", "c"],
        ["test"] * 6,
    )
    topics = np.eye(3)
    to_picture, to_text = evaluate({"en": topics, "image": np.repeat(topics, 2, axis=0)}, corpus)
    assert to_picture["metric"] == to_text["metric"] == "UAP"
    assert to_picture["score"] == to_text["score"] == 1
    worst = evaluate(
        {"en": topics, "image": np.repeat(np.roll(topics, 1, axis=0), 2, axis=0)}, corpus
    )[0]
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
    """Three texts and six pictures in eight tuples, one pair of which stands there twice; one tuple
    has no picture, one no text.
    """
    corpus = make_corpus(n=8, views=("en", "de", "image"))
    text = {}
    for name in ("en", "de"):
        view = corpus.views[name]
        text[name] = View(
            name,
            view.embeddings[:3],
            np.array([2, 0, 1, 1, 0, 1, 2, -1]),
            ["a", "b", "c"],
            view.bow[:3],
            view.vocabulary,
        )
    image = corpus.views["image"]
    index = np.array([0, 3, 1, 2, 4, 1, -1, 5])
    views = {**text, "image": View("image", image.embeddings[:6], index, image.item_ids[:6])}
    return Corpus(
        "shared", views, corpus.tuple_ids, ["c", "a", "b", "b", "a", "b", "c", "d"], ["test"] * 8
    )


def test_aligned_pairs_are_distinct_and_in_one_order_in_both_directions():
    corpus = shared_corpus()
    there, back = aligned_pairs(corpus, "en", "image"), aligned_pairs(corpus, "image", "en")
    np.testing.assert_array_equal(there, back[::-1])
    assert list(zip(*there.tolist(), strict=True)) == [(0, 3), (0, 4), (1, 1), (1, 2), (2, 0)]
    assert aligned_pairs(corpus, "de", "en").tolist() == [[0, 1, 2], [0, 1, 2]]
    apart = make_corpus(n=4, views=("en", "de"))
    index = {"en": np.array([0, 1, -1, -1]), "de": np.array([-1, -1, 2, 3])}
    views = {
        v: View(v, view.embeddings, index[v], view.item_ids, view.bow, view.vocabulary)
        for v, view in apart.views.items()
    }
    with pytest.raises(DataError, match="no tuple has both 'en' and 'de'"):
        aligned_pairs(
            Corpus("apart", views, apart.tuple_ids, apart.article_ids, apart.split), "en", "de"
        )


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
    theta = {
        "en": rng.dirichlet(np.ones(4), 3),
        "de": rng.dirichlet(np.ones(4), 3),
        "image": rng.dirichlet(np.ones(4), 6),
    }
    rows = {(r["query"], r["item"]): r for r in evaluate(theta, corpus)}
    assert list(rows) == [
        ("en", "de"),
        ("en", "image"),
        ("de", "en"),
        ("de", "image"),
        ("image", "en"),
        ("image", "de"),
    ]
    for (a, b), row in rows.items():
        first, second = aligned_pairs(corpus, a, b)
        np.testing.assert_allclose(
            row["divergences"], jensen_shannon(theta[a][first], theta[b][second])
        )
        assert row["jsd"] == pytest.approx(row["divergences"].mean()) and row[
            "score"
        ] == pytest.approx(row["values"].mean())
        assert row["low"] <= row["score"] <= row["high"] and row["queries"] == len(row["values"])
        np.testing.assert_array_equal(row["divergences"], rows[b, a]["divergences"])
    assert rows["en", "de"]["metric"] == "MRR" and {
        r["metric"] for (a, b), r in rows.items() if "image" in (a, b)
    } == {"UAP"}
    assert rows["image", "en"]["queries"] == 5, (
        "the picture of an article without a text has nothing to find"
    )
    # each direction alone says the same: the second of a pair reuses the distances of the first
    for a, b in (("en", "image"), ("image", "de")):
        for query, item in ((a, b), (b, a)):
            alone = evaluate({query: theta[query], item: theta[item]}, corpus)[0]
            assert_same_rows([alone], [rows[query, item]])


def test_raw_embeddings_are_compared_by_cosine_and_have_no_divergence(corpus):
    rows = evaluate({v: view.embeddings for v, view in corpus.views.items()}, corpus, raw=True)
    assert len(rows) == 6 and all(row["jsd"] is None and row["divergences"] is None for row in rows)
    same = {v: corpus.views["en"].embeddings * scale for v, scale in (("en", 1), ("de", 3))}
    assert [row["score"] for row in evaluate(same, corpus, raw=True)] == [1, 1]
    wide = make_corpus(dimension=9)
    assert (
        evaluate(
            {"en": corpus.views["en"].embeddings, "de": wide.views["de"].embeddings},
            corpus,
            raw=True,
        )
        == []
    ), "other widths cannot be compared"


def test_everything_measured_of_a_model_is_what_each_measure_says(corpus):
    rng = np.random.default_rng(0)
    words = {v: corpus.views[v].vocabulary for v in corpus.text_views}
    topics = {v: [list(rng.permutation(words[v])[:12]) for _ in range(3)] for v in words}
    tokens = {v: [list(rng.choice(words[v], size=25)) for _ in range(50)] for v in words}
    theta = {v: rng.dirichlet(np.ones(3), len(view)) for v, view in corpus.views.items()}
    truth = {v: rng.dirichlet(np.ones(2), len(corpus.views[v])) for v in ("en", "image")}
    actual = assess(theta, topics, corpus, tokens, truth)
    assert set(actual) == {"scores", "npmi", "npmi_of_topics", "diversity", "recovery"}
    assert_same_rows(actual["scores"], evaluate(theta, corpus))
    assert (
        list(actual["npmi"])
        == list(actual["npmi_of_topics"])
        == list(actual["diversity"])
        == ["en", "de"]
    )
    for v in topics:
        coherence = npmi(topics[v], tokens[v])
        assert actual["npmi"][v] == pytest.approx(coherence.mean())
        assert actual["npmi_of_topics"][v] == pytest.approx(coherence, abs=1e-6)
        assert actual["diversity"][v] == topic_diversity(topics[v])
    assert actual["recovery"] == {
        v: pytest.approx(topic_recovery(theta[v], truth[v])["correlation"].mean()) for v in truth
    }


def test_a_model_without_words_is_measured_by_its_topics_of_documents_alone(corpus):
    theta = {
        v: np.random.default_rng(0).dirichlet(np.ones(3), len(view))
        for v, view in corpus.views.items()
    }
    actual = assess(theta, {}, corpus, {}, {})
    assert (
        len(actual["scores"]) == 6
        and actual["npmi"]
        == actual["npmi_of_topics"]
        == actual["diversity"]
        == actual["recovery"]
        == {}
    )


def test_a_classical_model_is_recorded_as_others_are(tmp_path, corpus):
    vocabularies = {v: corpus.views[v].vocabulary for v in corpus.text_views}
    model = pltm_for(corpus, 4)
    history = sample(model, corpus, GibbsConfig(sweeps=20, checkpoint_every=10), progress=False)
    theta = {v: model.infer(corpus.views[v].bow, v) for v in vocabularies}
    topics = {v: model.top_words(v) for v in vocabularies}
    tokens = {
        v: [
            words,
            *([words[w] for w in np.repeat(row.indices, row.data)] for row in corpus.views[v].bow),
        ]
        for v, words in vocabularies.items()
    }
    metrics = assess(theta, topics, corpus, tokens, {})
    metrics["validation"] = evaluate(theta, corpus.subset(np.arange(len(corpus))))
    for name in ("a", "b"):
        save_run(
            tmp_path / name,
            model,
            {"encoders": dict.fromkeys(theta, "x")},
            metrics,
            history,
            theta,
            topics,
        )
    run = load_run(tmp_path / "a")
    assert_same_rows(run.metrics["scores"], metrics["scores"])
    assert_same_rows(run.metrics["validation"], metrics["validation"])
    assert run.history == history and run.topics == topics and list(run.theta) == ["en", "de"]
    loaded = load_model(run.folder / "model.safetensors")
    np.testing.assert_array_equal(loaded.infer(corpus.views["en"].bow, "en"), run.theta["en"])
    assert all("values" in row for row in metrics["scores"]), "what was given is not changed"
    names = sorted(p.name for p in run.folder.iterdir())
    assert names == sorted(
        [
            *(
                "params.json",
                "metrics.json",
                "history.csv",
                "values.npz",
                "topics.json",
                "model.safetensors",
            ),
            "theta_en.npy",
            "theta_de.npy",
        ]
    )
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        for name in names
    )


def run_of(tmp_path, corpus, seed=0, model="M3L-Contrast"):
    network = model_for(corpus, topics=4, seed=seed)
    theta = {v: network.infer(view.embeddings, v) for v, view in corpus.views.items()}
    params = {
        "corpus": "small",
        "model": model,
        "seed": seed,
        "encoders": dict.fromkeys(corpus.views, "x"),
    }
    metrics = {
        "scores": evaluate(theta, corpus),
        "npmi": {"en": 0.1},
        "diversity": {"en": 0.5},
        "recovery": {},
    }
    metrics |= {"seconds": 2.0, "tuples_per_second": 10.0}
    topics = {v: network.top_words(v, 25) for v in corpus.text_views}
    save_run(
        tmp_path / f"{model}-{seed}",
        network,
        params,
        metrics,
        [{"epoch": 1, "loss": 2.5}],
        theta,
        topics,
    )
    return network, load_run(tmp_path / f"{model}-{seed}")


def test_a_run_is_read_back_and_its_model_infers_the_same(tmp_path, corpus):
    network, run = run_of(tmp_path, corpus)
    model = load_model(run.folder / "model.safetensors")
    for v, view in corpus.views.items():
        assert np.array_equal(model.infer(view.embeddings, v), run.theta[v])
    assert run.topics["en"] == network.top_words("en", 25)
    assert model.vocabularies == {v: list(corpus.views[v].vocabulary) for v in corpus.text_views}
    assert list(run.theta) == list(corpus.views), "views come in the order of the run's encoders"
    assert run.history == [{"epoch": 1.0, "loss": 2.5}]
    assert_same_rows(run.metrics["scores"], evaluate(run.theta, corpus))
    assert run.metrics["npmi"] == {"en": 0.1} and run.params["model"] == "M3L-Contrast"


@pytest.mark.parametrize("damage", [b"", b"garbage" * 50])
def test_a_broken_model_is_named(tmp_path, corpus, damage):
    _, run = run_of(tmp_path, corpus)
    path = run.folder / "model.safetensors"
    path.write_bytes(damage)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_model(path)
    with pytest.raises(DataError, match="no such run"):
        load_run(tmp_path / "none")


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "garbage", "truncated", "flipped", "without an array"]
)
def test_broken_values_are_named(tmp_path, corpus, damage):
    _, run = run_of(tmp_path, corpus)
    path = run.folder / "values.npz"
    data = path.read_bytes()
    path.unlink()
    if damage == "without an array":
        np.savez(path, **{"en>de.values": np.zeros(3)})
    elif damage != "missing":
        flipped = data[:2000] + bytes(b ^ 0x55 for b in data[2000:2010]) + data[2010:]
        path.write_bytes(
            {
                "empty": b"",
                "garbage": b"garbage" * 50,
                "truncated": data[: len(data) // 2],
                "flipped": flipped,
            }[damage]
        )
    with pytest.raises(DataError, match=r"values\.npz"):
        load_run(run.folder)


def test_a_full_disk_leaves_the_earlier_run_whole(tmp_path, corpus, monkeypatch):
    _, run = run_of(tmp_path, corpus)
    before = {p.name: p.read_bytes() for p in run.folder.iterdir()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("m3l_book.records.run.np.save", full)
    with pytest.raises(OSError, match="No space left"):
        run_of(tmp_path, corpus)
    assert {p.name: p.read_bytes() for p in run.folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == [run.folder.name]


def test_save_model_is_atomic(tmp_path, corpus):
    path = tmp_path / "m.safetensors"
    model_for(corpus, 4).save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


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
    corpus, wide = (
        make_corpus(views=("en", "image")),
        make_corpus(views=("en", "image"), dimension=12),
    )
    model = model_for(corpus.select(["en"]), topics=4)
    assert readers(model, corpus, "en") == {"en": "en", "image": "en"}
    mixed = Corpus(
        "mixed",
        {"en": corpus.views["en"], "image": wide.views["image"]},
        corpus.tuple_ids,
        corpus.article_ids,
        corpus.split,
    )
    with pytest.raises(
        ParameterError, match="view 'image' has 12 dimensions and the network of 'en' reads 8"
    ):
        readers(model, mixed, "en")
