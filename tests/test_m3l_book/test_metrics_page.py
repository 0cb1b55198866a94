"""The trial of measures: its damage and its deceivers are what the page says they are."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp
from book_support import VIEWS, record, run_page
from scipy.stats import spearmanr
from support import make_corpus

from m3l_book.records.collection import Collection

ROOT = Path(__file__).resolve().parents[2]
N, G = 120, 4


@pytest.fixture(scope="module")
def page():
    with pytest.MonkeyPatch.context() as patches:
        patches.chdir(ROOT)
        with patch.object(Collection, "load", lambda *_: Collection([], "data")):
            yield run_page("metrics")


@pytest.fixture(scope="module")
def world(page):
    """A world of four topics with words of their own, and the same in training and test."""
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.full(G, 0.2), N)
    corpus = make_corpus(n=N, views=VIEWS, words=40)
    beta = np.kron(np.eye(G), np.full(10, 0.1))  # (G, 40)
    tokens = {}
    for view in corpus.text_views:
        counts = np.stack([rng.multinomial(60, row @ beta) for row in theta])
        corpus.views[view] = replace(corpus.views[view], bow=sp.csr_matrix(counts))
        words = corpus.views[view].vocabulary
        tokens[view] = [
            [words[i] for i in rng.permutation(np.repeat(np.arange(40), row))] for row in counts
        ]
    truth = {(part, view): theta for part in ("train", "test") for view in VIEWS}
    return page["World"]("small", corpus, corpus, truth, tokens)


def test_without_a_world_the_page_says_so(page):
    assert "No corpus of this build has known topics" in page.said and not page.tables


def test_words_of_known_topics_are_theirs(page, world):
    words = page["words_of"](world, world.truth)
    for view in world.tokens:
        assert [sorted(row) for row in words[view].tolist()] == [
            list(range(10 * t, 10 * t + 10)) for t in range(G)
        ]


@pytest.mark.parametrize("k", [2, 4, 8])
def test_damage_keeps_distributions_and_undamaged_topics_are_recovered(page, world, k):
    shares = page["damaged"](world, k, 0.0, seed=1)
    for theta in shares.values():
        assert theta.shape == (N, k)
        np.testing.assert_allclose(theta.sum(axis=1), 1)
    found = page["recovered"](world, page["model_from"](world, shares))
    assert (found["θ recovered"] > 0.999) == (k == G)
    assert (found["words recovered"] > 0.999) == (k >= G), "split topics have the same words"
    noisy = page["model_from"](world, page["damaged"](world, k, 0.9, seed=1))
    assert page["recovered"](world, noisy)["θ recovered"] < found["θ recovered"]
    a, b = (page["damaged"](world, G, 0.9, seed=1)["test", view] for view in ("en", "fr"))
    assert not np.allclose(a, b), "the noise of each view is its own"


def test_each_deceiver_is_wrong_in_one_thing_and_right_in_the_other(page, world):
    made = page["deceivers"](world, np.random.default_rng(0))
    found = {name: page["recovered"](world, model) for name, model in made.items()}
    assert found["numbered"]["θ recovered"] < 0.4
    for name in ("random words", "frequent words"):
        assert found[name]["θ recovered"] > 0.999 and found[name]["words recovered"] < 0.5
    assert found["random θ"]["words recovered"] > 0.999 > 0.5 > found["random θ"]["θ recovered"]
    numbered = made["numbered"].theta
    for view in VIEWS:
        np.testing.assert_array_equal(numbered[view], numbered["en"])
    scores = page["of_theta"](world, made["numbered"], [numbered, numbered])
    assert scores["reliability"] > 0.999 and scores["JSD"] == pytest.approx(0, abs=1e-6)


def test_a_measure_that_follows_is_told_from_one_that_does_not(page):
    import pandas as pd

    rng = np.random.default_rng(0)
    truth = rng.random(40)
    frame = pd.DataFrame({"θ recovered": truth, "MRR": truth**3, "UAP": -truth})
    assert page["follows"](frame, "MRR").startswith("1.00 (1.00 to 1.00)")
    assert page["follows"](frame, "UAP").startswith("-1.00 (-1.00 to -1.00)")
    frame["JSD"] = truth + rng.normal(size=40)
    low, high = page["follows"](frame, "JSD").split("(")[1].strip(")").split(" to ")
    assert float(low) < spearmanr(truth, frame["JSD"]).statistic < float(high) < 1


def test_a_run_is_measured_by_its_own_words_and_topics(page, world):
    run = record(world.test, "M3L-Contrast", list(VIEWS), k=G)
    run.topics = {
        view: [[items.vocabulary[10 * t + i] for i in range(10)] for t in range(G)]
        for view, items in world.train.views.items()
        if items.is_text
    }
    page["collection"].test_of = lambda _: world.test
    model = page["model_of"](run, world)
    assert page["recovered"](world, model)["words recovered"] > 0.999
    np.testing.assert_array_equal(model.theta["image"], run.theta["image"])
