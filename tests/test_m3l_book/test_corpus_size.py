"""How much of a corpus is enough: what the chapter shows, by hand and on records made up."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from book_support import VIEWS, record
from support import make_corpus

from m3l import DataError
from m3l.metrics.assessment import evaluate
from m3l_book.recorded import Recorded, load_recorded
from m3l_book.tables import corpus_size

ALL = 400
ARTICLES_100 = {"variant": {"articles": 100}}


@pytest.fixture(scope="module")
def part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def looked_at(part, model, trained, quality, seed=0, **more):
    """A record that was looked at on the validation part, which is its test part here."""
    made = record(part, model, trained, quality=quality, seed=seed, **more)
    made.metrics["validation"] = made.metrics["scores"]
    return made


@pytest.fixture(scope="module")
def runs(part):
    found = []
    for seed in (0, 1, 2):
        found.append(looked_at(part, "M3L-Contrast", VIEWS, 3.0, seed))
        found.append(looked_at(part, "M3L-Contrast", VIEWS, 0.5, seed, **ARTICLES_100))
        found.append(looked_at(part, "PLTM", ("en", "fr"), 1.0, seed, views=["en", "fr"]))
    found.append(looked_at(part, "M3L-Contrast", VIEWS, 1.0, variant={"topics": 25}))
    return found


def test_a_curve_has_the_models_that_were_trained_on_fewer_articles(runs):
    points = corpus_size.learning_curve(runs, "small", ALL)
    assert set(points["model"]) == {"M3L en + fr + image"}
    assert list(dict.fromkeys(points["panel"])) == ["en → fr, MRR", "en → image, UAP"]
    own = points[points["panel"] == "en → fr, MRR"].groupby("x")["score"].agg(["mean", "count"])
    assert own.index.tolist() == [100, 400] and own["count"].tolist() == [3, 3]
    assert own["mean"][400] > own["mean"][100]
    assert not len(corpus_size.learning_curve(runs, "another", ALL))


def test_the_corpus_looked_at_is_one_with_a_curve(runs, part):
    other = record(part, "PLTM", ("en", "fr"))
    other.params["corpus"] = "vital"
    assert corpus_size.with_a_curve([other, *runs], Recorded()) == "small"
    plain = [run for run in runs if not run.params["variant"]]
    assert corpus_size.with_a_curve([*plain, other], Recorded()) == "small"
    kept = load_recorded("data/results/full")
    assert corpus_size.with_a_curve([*plain, other], kept) == "vital"


def test_a_last_step_is_told_by_its_interval(runs):
    steps = corpus_size.last_steps(runs, "small", ALL)
    assert len(steps) == 3 and set(steps["articles"]) == {"100 to 400"}
    first = steps.iloc[0]
    assert first["direction"] == "en → fr" and first["then"] == "it still rises"
    assert 0 < first["low"] < first["a doubling gave"] < first["high"]
    scores = {
        x: np.mean([row["score"] for run in runs for row in run.metrics["validation"]
                    if (row["query"], row["item"]) == ("en", "fr")
                    and run.params["model"] == "M3L-Contrast" and run.params["variant"] == variant])
        for x, variant in ((100, {"articles": 100}), (400, {}))
    }  # fmt: skip
    assert first["a doubling gave"] == pytest.approx((scores[400] - scores[100]) / 2)
    back = [run for run in runs if not run.params["variant"]]
    assert not len(corpus_size.last_steps(back, "small", ALL))


def test_what_was_recorded_is_read_as_what_is_measured_here():
    recorded = load_recorded("data/results/full")
    points = corpus_size.recorded_curve(recorded, "vital")
    assert {"PLTM en + fr", "Zeroshot en", "M3L en + fr"} <= set(points["model"])
    assert {500, 1500} < set(points["x"]) and set(points["panel"]) >= {"en → fr, MRR"}
    assert not len(corpus_size.recorded_curve(Recorded(), "vital"))
    table = corpus_size.without_encoder(recorded).set_index("model")
    assert (table.loc["Zeroshot en", "aligned"] > table.loc["Zeroshot en", "each its own"]).all()
    assert not len(corpus_size.without_encoder(Recorded()))


def test_a_smaller_test_part_flatters_and_says_less(part):
    theta = record(part, "M3L-Contrast", VIEWS, quality=1.0).theta
    table = corpus_size.by_test_size(part, theta, "en", "fr", (10, 30, 900), draws=20)
    assert table["test articles"].tolist() == [10, 30, 60]
    assert table["score"].is_monotonic_decreasing and table["chance"].is_monotonic_decreasing
    assert table["interval"].is_monotonic_decreasing
    whole = next(r for r in evaluate(theta, part) if (r["query"], r["item"]) == ("en", "fr"))
    last = table.iloc[-1]
    assert last["score"] == last["lowest"] == last["highest"] == whole["score"]
    assert last["interval"] == pytest.approx((whole["high"] - whole["low"]) / 2)
    pd.testing.assert_frame_equal(
        table, corpus_size.by_test_size(part, theta, "en", "fr", (10, 30, 900), draws=20)
    )


def test_one_test_article_is_no_test_part(part):
    one = part.subset(np.arange(len(part)) < 1)
    theta = {view: np.full((1, 2), 0.5, np.float32) for view in VIEWS}
    with pytest.raises(DataError, match="one test article with en and fr"):
        corpus_size.by_test_size(one, theta, "en", "fr")


def test_words_that_never_meet_are_counted_by_hand():
    corpus = make_corpus(n=4, views=("en", "fr"), split=["train"] * 4)
    there = np.zeros((4, 30), dtype=np.int32)
    there[0, [0, 1]] = there[1, [0, 2]] = there[2, 0] = there[3, 2] = 1
    view = replace(corpus.views["en"], bow=sp.csr_matrix(there))
    corpus = replace(corpus, views={**corpus.views, "en": view})
    topics = {"en": [[view.vocabulary[i] for i in (0, 1, 2)]]}
    (line,) = corpus_size.words_seen(topics, corpus).to_dict("records")
    assert line["documents"] == 4 and line["documents a word"] == 2  # of 3, 1 and 2
    assert line["pairs never together"] == pytest.approx(1 / 3)


def test_encoders_are_listed_by_the_languages_that_they_know():
    table = corpus_size.encoders_for(["en", "sw", "tlh"], {"en": ["a", "b"], "sw": [], "tlh": []})
    assert table["known to"].tolist() == [
        "use-multilingual, e5-multilingual, minilm-en",
        "e5-multilingual",
        "none",
    ]
    assert table["here"].tolist() == ["a, b", "", ""]
