"""Measures of topics, each by hand or against another computation of it."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import FactorAnalysis

from m3l import DataError
from m3l.metrics import (
    cross_lingual_npmi,
    embedding_coherence,
    image_coherence,
    image_similarity,
    inverted_rbo,
    reliability,
    transfer,
)


def test_cross_lingual_npmi_by_hand():
    a = sp.csr_matrix([[2, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    b = sp.csr_matrix([[1, 0], [3, 0], [0, 0], [0, 2], [0, 1]])
    together, first, second = 2 / 5, 3 / 5, 2 / 5  # column 0 of each; in two pairs both stand
    one = np.log(together / (first * second)) / -np.log(together)
    assert cross_lingual_npmi([[0]], a, b, [[0]])[0] == pytest.approx(one)
    assert cross_lingual_npmi([[0]], a, b, [[1]])[0] == -1, "they never meet"
    other = 1 / 5
    four = np.log(other / (2 / 5 * 2 / 5)) / -np.log(other)
    mean = cross_lingual_npmi([[0, 1]], a, b, [[0, 1]])[0]
    assert mean == pytest.approx((one - 1 - 1 + four) / 4)
    with pytest.raises(DataError, match="rows must be aligned"):
        cross_lingual_npmi([[0]], a, b[:3], [[0]])


def test_words_that_every_document_has_tell_nothing():
    every = sp.csr_matrix(np.ones((4, 1), dtype=int))
    assert cross_lingual_npmi([[0]], every, every, [[0]]).tolist() == [0.0]


def test_embedding_coherence_is_the_mean_of_cosines_of_pairs():
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([3.0, 3.0]), "c": np.array([0.0, 2.0])}
    cosines = [np.sqrt(0.5), np.sqrt(0.5), 0.0]
    found = embedding_coherence([["a", "b", "c", "d"], ["a", "d"], ["a", "b"]], vectors)
    np.testing.assert_allclose(found, [np.mean(cosines), np.nan, cosines[0]])
    assert embedding_coherence([["a", "b", "c"]], vectors, top_n=2)[0] == pytest.approx(cosines[0])


def test_pictures_of_a_topic_are_those_that_it_weighs_most_in():
    theta = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.5, 0.5]])
    features = np.array([[1.0, 0], [2.0, 0], [0, 1.0], [1.0, 1.0], [-9.0, 0]])
    found = image_coherence(theta, features, top_n=2)
    np.testing.assert_allclose(found, [1.0, np.sqrt(0.5)])
    # each of the first two against each of the other two
    assert image_similarity(theta, features, top_n=2) == pytest.approx(np.mean([0, np.sqrt(0.5)]))


def rbo_by_summing_on(a, b, p):
    """Rank-biased overlap by its infinite sum, agreement staying what it is at the end."""
    total, shared = 0.0, 0
    for d in range(1, 3000):
        shared = len(set(a[:d]) & set(b[:d])) / min(d, len(a)) if d <= len(a) else shared
        total += (1 - p) * p ** (d - 1) * shared
    return total


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_inverted_rbo_is_one_less_the_sum_that_defines_it(p):
    rng = np.random.default_rng(0)
    topics = [rng.permutation(list("abcdefghijklmnop"))[:8].tolist() for _ in range(4)]
    pairs = [(a, b) for i, a in enumerate(topics) for b in topics[i + 1 :]]
    expected = 1 - np.mean([rbo_by_summing_on(a, b, p) for a, b in pairs])
    assert inverted_rbo(topics, top_n=8, p=p) == pytest.approx(expected, abs=1e-6)
    assert inverted_rbo([topics[0]] * 3, p=p) == pytest.approx(0.0, abs=1e-12)


def test_reliability_is_omega_of_one_factor_whatever_the_order_of_topics():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 3))
    loading, runs = (0.9, 0.7, 0.8, 0.6), []
    for number, weight in enumerate(loading):
        noise = rng.standard_normal(truth.shape) * np.sqrt(1 - weight**2)
        runs.append((weight * truth + noise)[:, np.roll(np.arange(3), number)])
    common = sum(loading) ** 2
    omega = common / (common + sum(1 - weight**2 for weight in loading))
    np.testing.assert_allclose(reliability(runs), omega, atol=0.02)
    first = np.stack([np.roll(run, -number, axis=1)[:, 0] for number, run in enumerate(runs)], 1)
    fitted = FactorAnalysis(1, tol=1e-8).fit((first - first.mean(0)) / first.std(0))
    theirs = fitted.components_.sum() ** 2
    theirs /= theirs + fitted.noise_variance_.sum()
    assert reliability(runs)[0] == pytest.approx(theirs, abs=1e-4), "that of scikit-learn"
    assert reliability([truth] * 3).min() > 0.999
    with pytest.raises(DataError, match="three runs or more"):
        reliability(runs[:2])
    with pytest.raises(DataError, match=r"runs of different shapes, \[\(4000, 2\), \(4000, 3\)\]"):
        reliability([truth, truth[:, :2], truth[:, :2]])


def test_what_is_learnt_of_one_view_is_used_in_the_other():
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=300)
    theta = rng.dirichlet(np.full(3, 0.3), 300) * 0.3 + 0.7 * np.eye(3)[label]
    turned = np.roll(theta, 1, axis=1)
    assert transfer(theta[:200], label[:200], theta[200:], label[200:]) > 0.95
    assert transfer(theta, label, turned, label) < 0.2
