import numpy as np
import pytest
from conftest import make_corpus

from m3l import Corpus, View, model_for, report
from m3l.errors import DataError, ParameterError
from m3l.evaluation import evaluate, readers
from m3l.runs import load_model, load_run, save_model, save_run


def test_unrelated_views_score_what_chance_scores():
    """Row i of two views must share no noise: aligned draws would make any two views agree."""
    rng = np.random.default_rng(0)
    n = 400
    ids = [f"t{i}" for i in range(n)]
    base = make_corpus(n=n, views=("en", "fr"))
    views = {v: View(v, rng.standard_normal((n, 8), dtype=np.float32), np.arange(n), ids, base.views[v].bow, base.views[v].vocabulary) for v in ("en", "fr")}
    corpus = Corpus("unrelated", views, ids, ids, ["test"] * n)
    model = model_for(corpus, topics=20)
    for network in (("en", "fr"), ("en", "en")):
        theta = {v: model.infer(views[v].embeddings, by) for v, by in zip(("en", "fr"), network, strict=True)}
        for row in evaluate(theta, corpus, draws=200):
            assert row["score"] < 3 * row["chance"], row["score"]


def test_perfect_topics_score_one_in_both_directions():
    corpus = make_corpus(n=30, views=("en", "de"))
    theta = np.random.default_rng(1).dirichlet(np.ones(5), size=30)
    rows = evaluate({"en": theta, "de": theta}, corpus, draws=50)
    assert [(r["query"], r["item"], r["score"], r["low"], r["high"], r["jsd"]) for r in rows] == [("en", "de", 1, 1, 1, 0), ("de", "en", 1, 1, 1, 0)]


def test_articles_with_several_pictures_are_scored_by_average_precision():
    corpus = make_corpus(n=6, views=("en", "image"))
    en, image = corpus.views["en"], corpus.views["image"]
    text = View("en", en.embeddings[:3], np.array([0, 0, 1, 1, 2, 2]), ["a", "b", "c"], en.bow[:3], en.vocabulary)
    corpus = Corpus("pictures", {"en": text, "image": image}, corpus.tuple_ids, ["a", "a", "b", "b", "c", "c"], ["test"] * 6)
    topics = np.eye(3)
    to_picture, to_text = evaluate({"en": topics, "image": np.repeat(topics, 2, axis=0)}, corpus, draws=20)
    assert to_picture["metric"] == to_text["metric"] == "UAP"
    assert to_picture["score"] == to_text["score"] == 1
    worst = evaluate({"en": topics, "image": np.repeat(np.roll(topics, 1, axis=0), 2, axis=0)}, corpus, draws=20)[0]
    # the two right pictures tie with two wrong ones behind two others: positions 3 to 6, in expectation
    expected = sum((0.5 * (1 + (i - 1) * (1 / 3))) / (2 + i) for i in range(1, 5)) / 2
    assert worst["score"] == pytest.approx(expected)


def test_vectors_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r"'en': 3 vectors"):
        evaluate({"en": np.ones((3, 2))}, make_corpus())


def run_of(tmp_path, corpus, seed=0, model="M3L-Contrast"):
    network = model_for(corpus, topics=4, seed=seed)
    theta = {v: network.infer(view.embeddings, v) for v, view in corpus.views.items()}
    params = {"corpus": "small", "model": model, "seed": seed, "encoders": dict.fromkeys(corpus.views, "x")}
    metrics = {"npmi": {"en": 0.1}, "diversity": {"en": 0.5}, "recovery": {}, "seconds": 2.0, "tuples_per_second": 10.0}
    vocabularies = {v: corpus.views[v].vocabulary for v in corpus.text_views}
    save_run(tmp_path / f"{model}-{seed}", network, vocabularies, params, metrics, [{"epoch": 1, "loss": 2.5}], theta)
    return network, load_run(tmp_path / f"{model}-{seed}")


def test_a_run_is_read_back_and_its_model_infers_the_same(tmp_path, corpus):
    network, run = run_of(tmp_path, corpus)
    model, vocabularies = load_model(run.folder / "model.safetensors")
    for v, view in corpus.views.items():
        assert np.array_equal(model.infer(view.embeddings, v), run.theta[v])
    assert run.topics["en"] == network.topic_words("en", vocabularies["en"], 25)
    assert list(run.theta) == list(corpus.views), "views come in the order of the run's encoders"
    assert run.history == [{"epoch": 1.0, "loss": 2.5}]


@pytest.mark.parametrize("damage", [b"", b"garbage" * 50])
def test_a_broken_model_is_named(tmp_path, corpus, damage):
    _, run = run_of(tmp_path, corpus)
    path = run.folder / "model.safetensors"
    path.write_bytes(damage)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_model(path)
    with pytest.raises(DataError, match="no such run"):
        load_run(tmp_path / "none")


def test_a_full_disk_leaves_the_earlier_run_whole(tmp_path, corpus, monkeypatch):
    _, run = run_of(tmp_path, corpus)
    before = {p.name: p.read_bytes() for p in run.folder.iterdir()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("m3l.runs.np.save", full)
    with pytest.raises(OSError, match="No space left"):
        run_of(tmp_path, corpus)
    assert {p.name: p.read_bytes() for p in run.folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == [run.folder.name]


def test_save_model_is_atomic(tmp_path, corpus):
    path = tmp_path / "m.safetensors"
    save_model(path, model_for(corpus, 4), {})
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_comparisons_say_who_is_ahead_and_when_it_is_open(tmp_path, corpus):
    import pandas as pd

    rng = np.random.default_rng(0)
    base = rng.random(200)

    def table(shift):
        rows = [
            {"corpus": "c", "metric": "MRR", "model": m, "seed": s, "direction": "a → b", "values": base + d + 0.01 * rng.standard_normal(200)}
            for s in (0, 1)
            for m, d in zip(report.MAIN, (shift, 0), strict=True)
        ]
        return pd.DataFrame(rows)

    for shift, ahead in ((0.1, "ZeroshotTM"), (-0.1, "M3L-Contrast"), (0.0, "undecided")):
        (row,) = report.comparisons(table(shift)).to_dict("records")
        assert row["ahead"] == ahead and row["ZeroshotTM"] - row["M3L-Contrast"] == pytest.approx(shift, abs=0.01)
    assert len(report.comparisons(table(0.1)[:1])) == 0


def test_quality_table_shows_mean_and_spread(tmp_path, corpus):
    runs = [run_of(tmp_path, corpus, seed)[1] for seed in (0, 1)]
    runs[1].metrics["npmi"]["en"] = 0.3
    table = report.quality_table(runs, "small")
    assert table.loc["NPMI en"].tolist() == ["0.200 ± 0.141"] and table.loc["seconds"].tolist() == ["2 ± 0"]


def test_a_view_that_no_network_can_read_is_named_before_training():
    corpus, wide = make_corpus(views=("en", "image")), make_corpus(views=("en", "image"), dimension=12)
    model = model_for(corpus.select(["en"]), topics=4)
    assert readers(model, corpus, "en") == {"en": "en", "image": "en"}
    mixed = Corpus("mixed", {"en": corpus.views["en"], "image": wide.views["image"]}, corpus.tuple_ids, corpus.article_ids, corpus.split)
    with pytest.raises(ParameterError, match="view 'image' has 12 dimensions and the network of 'en' reads 8"):
        readers(model, mixed, "en")
