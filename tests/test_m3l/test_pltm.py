import json
import math
import os
import re
from dataclasses import replace
from itertools import pairwise, product
from math import lgamma

import numpy as np
import pytest
import scipy.sparse as sp
from numba import njit
from scipy.optimize import linear_sum_assignment
from support import make_corpus

from m3l import Corpus, DataError, ParameterError, View
from m3l.gibbs import GibbsConfig, Sampler, documents, fit
from m3l.kernels import gibbs
from m3l.metrics.ranking import retrieval
from m3l.pltm import PLTM, pltm_for


def planted(tuples=150, sizes=None, topics=5, length=30, seed=0, concentration=0.1, shares=None):
    """A corpus drawn from the model, and its topics' distributions over words by language."""
    sizes = sizes or {"en": 40, "de": 50}
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(np.full(topics, 0.2) if shares is None else shares, size=tuples)
    ids, phi, views = [f"t{i}" for i in range(tuples)], {}, {}
    for name, size in sizes.items():
        phi[name] = rng.dirichlet(np.full(size, concentration), size=topics)
        bow = np.stack([rng.multinomial(length, p) for p in theta @ phi[name]]).astype(np.int32)
        embeddings = rng.standard_normal((tuples, 2)).astype(np.float32)
        views[name] = View(
            name,
            embeddings,
            np.arange(tuples),
            ids,
            sp.csr_matrix(bow),
            [f"{name}{i}" for i in range(size)],
        )
    return Corpus("planted", views, ids, ids, ["train"] * tuples), phi


def sizes_of(corpus):
    return {name: len(corpus.views[name].vocabulary) for name in corpus.text_views}


def sampled(corpus, checkpoint=None, topics=4, alpha=0.1, beta=0.01, **options):
    model = pltm_for(corpus, topics, alpha, beta)
    return model, fit(
        model,
        corpus,
        GibbsConfig(**{"sweeps": 10, "checkpoint_every": 2, **options}),
        checkpoint,
        progress=False,
    )


def columns(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def same_model(a, b):
    return (
        np.array_equal(a.alpha, b.alpha)
        and a.beta == b.beta
        and all(np.array_equal(a.counts[name], b.counts[name]) for name in a.counts | b.counts)
    )


def bags(*rows, size):
    """Documents given as lists of word numbers -> sparse counts."""
    return sp.csr_matrix(
        np.array(
            [
                np.bincount(row, minlength=size) if row else np.zeros(size, dtype=int)
                for row in rows
            ],
            dtype=np.int32,
        )
    )


# the sampler's counts


def check_counts(sampler):
    """Everything that follows from the tokens' topics, counted again in plain Python, and the form
    of the words' lists.
    """
    topics, languages = sampler.model.topics, len(sampler.languages)
    assert sampler.z.min() >= 0 and sampler.z.max() < topics
    words = np.zeros((sampler.first_word[-1], topics), dtype=int)
    tuples = np.zeros(((len(sampler.starts) - 1) // languages, topics), dtype=int)
    totals = np.zeros((languages, topics), dtype=int)
    for segment, (begin, end) in enumerate(pairwise(sampler.starts)):
        for i in range(begin, end):
            word, k, language = sampler.words[i], sampler.z[i], segment % languages
            assert sampler.first_word[language] <= word < sampler.first_word[language + 1]
            words[word, k] += 1
            tuples[segment // languages, k] += 1
            totals[language, k] += 1
    np.testing.assert_array_equal(sampler.word_topics().toarray(), words)
    np.testing.assert_array_equal(sampler.tuple_topics().toarray(), tuples)
    np.testing.assert_array_equal(sampler.totals, totals)
    room, frequency = np.diff(sampler.list_start), words.sum(axis=1)
    np.testing.assert_array_equal(room, np.minimum(frequency, topics))
    for word, (start, length) in enumerate(
        zip(sampler.list_start[:-1], sampler.list_length, strict=True)
    ):
        listed, counts = (
            sampler.list_topic[start : start + length],
            sampler.list_count[start : start + length],
        )
        assert 0 <= length <= room[word]
        assert (counts > 0).all() and len(set(listed)) == length and counts.sum() == frequency[word]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("topics", "languages"), [(2, 1), (5, 2), (60, 3)])
def test_counts_are_those_of_the_tokens_after_every_sweep(seed, topics, languages):
    rng = np.random.default_rng(seed)
    corpus = {}
    for name, size in zip(("en", "de", "fr")[:languages], (12, 9, 30), strict=False):
        bow = rng.poisson(0.6, size=(20, size)).astype(np.int32)
        bow[rng.random(20) < 0.3] = 0  # tuples that lack the language
        bow[:, 3] = 0  # a word that no document holds
        bow[:, 4] *= 3
        corpus[name] = sp.csr_matrix(bow)
    model = PLTM(
        {name: bow.shape[1] for name, bow in corpus.items()},
        topics,
        alpha=rng.uniform(0.02, 1.0),
        beta=rng.uniform(0.01, 0.5),
    )
    sampler = Sampler(model, corpus, seed)
    lengths = sum(np.asarray(bow.sum(axis=1)).ravel() for bow in corpus.values())
    check_counts(sampler)
    for _ in range(6):
        before = sampler.z.copy()
        sampler.sweep()
        check_counts(sampler)
        np.testing.assert_array_equal(
            np.asarray(sampler.tuple_topics().sum(axis=1)).ravel(), lengths
        )
        assert (sampler.z != before).any()
        sampler.optimize(1)
    sampler.write_counts()
    for name, bow in corpus.items():
        np.testing.assert_array_equal(
            model.counts[name].sum(axis=0), np.asarray(bow.sum(axis=0)).ravel()
        )
        assert model.counts[name].dtype == np.int32
    np.testing.assert_array_equal(
        [counts.sum(axis=1) for counts in model.counts.values()], sampler.totals
    )


def test_words_of_the_sampler_are_those_of_the_documents_language_after_language():
    corpus = {"en": bags([0, 2, 2], [], [1], size=3), "de": bags([1], [0, 0], [], size=2)}
    sampler = Sampler(PLTM({"en": 3, "de": 2}, 2), corpus)
    assert sampler.words.tolist() == [0, 2, 2, 4, 3, 3, 1]
    assert sampler.starts.tolist() == [0, 3, 4, 4, 6, 7, 7]
    assert sampler.first_word.tolist() == [0, 3, 5]


# the posterior, exactly


def log_joint(tuples, z, sizes, alpha, beta):
    """log p(words, topics) in plain Python: a product of Dirichlet-multinomials, one a tuple and
    one a topic and language.

    ``tuples``: a list of (language, word) each; ``z``: the tokens' topics in that order.
    """
    topics, z = range(len(alpha)), iter(z)
    of_words = {(language, k): [0] * size for language, size in sizes.items() for k in topics}
    total = 0.0
    for tokens in tuples:
        of_tuple = [0] * len(alpha)
        for language, word in tokens:
            k = next(z)
            of_tuple[k] += 1
            of_words[language, k][word] += 1
        total += lgamma(sum(alpha)) - lgamma(sum(alpha) + len(tokens))
        total += sum(lgamma(a + n) - lgamma(a) for a, n in zip(alpha, of_tuple, strict=True))
    for (language, _), counts in of_words.items():
        b = beta[language]
        total += lgamma(b * len(counts)) - lgamma(b * len(counts) + sum(counts))
        total += sum(lgamma(b + n) - lgamma(b) for n in counts)
    return total


def enumerated(tuples, sizes, alpha, beta):
    """p(topics | words) of every assignment, the first token's topic changing fastest."""
    tokens = sum(map(len, tuples))
    states = [z[::-1] for z in product(range(len(alpha)), repeat=tokens)]
    log_p = np.array([log_joint(tuples, z, sizes, alpha, beta) for z in states])
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


CASES = {
    "two topics": (
        [[("en", 0), ("en", 1), ("de", 0)], [("en", 0), ("en", 0)], [("de", 0), ("de", 1)]],
        {"en": 2, "de": 3},
        [0.6, 0.6],
        {"en": 0.3, "de": 0.3},
    ),
    "asymmetric alpha, beta by language": (
        [[("en", 0), ("en", 0), ("de", 1)], [("en", 1), ("de", 0), ("de", 1)]],
        {"en": 2, "de": 2},
        [1.5, 0.3],
        {"en": 0.2, "de": 0.7},
    ),
    "three topics, three languages": (
        [[("en", 0), ("de", 0), ("fr", 1)], [("en", 0), ("en", 1)], [("fr", 1)]],
        {"en": 2, "de": 2, "fr": 2},
        [0.9, 0.4, 0.2],
        {"en": 0.2, "de": 0.5, "fr": 0.1},
    ),
    "more topics than tokens of a word": (
        [[("en", 0), ("de", 0)], [("en", 0), ("en", 2)]],
        {"en": 3, "de": 1},
        [0.5, 0.2, 0.8, 0.4],
        {"en": 0.1, "de": 0.4},
    ),
}


def sampler_of(tuples, sizes, alpha, beta, seed=0):
    corpus = {
        name: bags(
            *([w for language, w in tokens if language == name] for tokens in tuples), size=size
        )
        for name, size in sizes.items()
    }
    model = PLTM(sizes, len(alpha))
    model.alpha, model.beta = np.array(alpha), dict(beta)
    sampler = Sampler(model, corpus, seed)
    offset = dict(zip(sizes, sampler.first_word, strict=False))
    assert sampler.words.tolist() == [
        offset[language] + word for tokens in tuples for language, word in tokens
    ], "CASES list tokens in this order"
    return sampler


@njit
def visits(
    sweeps,
    sweep,
    words,
    starts,
    z,
    list_start,
    list_length,
    list_topic,
    list_count,
    totals,
    alpha,
    beta,
    beta_sum,
    rng,
):
    """How often a chain is in each state after a sweep; a loop in Python would cost a hundred times
    as much.
    """
    seen = np.zeros(len(alpha) ** len(z), np.int64)
    for _ in range(sweeps):
        sweep(
            words,
            starts,
            z,
            list_start,
            list_length,
            list_topic,
            list_count,
            totals,
            alpha,
            beta,
            beta_sum,
            rng,
        )
        state = 0
        for i in range(len(z) - 1, -1, -1):
            state = state * len(alpha) + z[i]
        seen[state] += 1
    return seen


def total_variation(p, q):
    return 0.5 * np.abs(p - q).sum()


@pytest.mark.parametrize("case", CASES)
def test_the_chain_visits_every_state_as_often_as_its_posterior_probability(monkeypatch, case):
    tuples, sizes, alpha, beta = CASES[case]
    expected = enumerated(tuples, sizes, alpha, beta)
    sampler, given = sampler_of(tuples, sizes, alpha, beta), []
    with monkeypatch.context() as patch:
        patch.setattr("m3l.gibbs.sweep", lambda *arguments: given.append(arguments))
        sampler.sweep()
    sweeps = 200_000
    seen = visits(sweeps, gibbs.sweep, *given[0]) / sweeps
    # independent draws would come this far by chance, on average: √(p(1-p) · 2 / (π · sweeps)) / 2
    # a state
    by_noise = np.sqrt(expected * (1 - expected) * 2 / (math.pi * sweeps)).sum() / 2
    assert total_variation(seen, expected) < 2 * by_noise < 0.035
    # and the test can tell: the posteriors of models close by are several times as far away
    others = [
        enumerated(
            tuples, sizes, alpha[::-1] if alpha[0] != alpha[-1] else [2 * a for a in alpha], beta
        ),
        enumerated(tuples, sizes, alpha, {name: 1.5 * b for name, b in beta.items()}),
        enumerated(
            [[t for t in tokens if t[0] == name] for tokens in tuples for name in sizes],
            sizes,
            alpha,
            beta,
        ),  # θ not shared by languages
    ]
    assert all(total_variation(expected, other) > 0.06 for other in others)
    check_counts(sampler)


@pytest.mark.parametrize("case", CASES)
def test_the_log_likelihood_is_the_joint_log_probability(case):
    tuples, sizes, alpha, beta = CASES[case]
    for seed in range(10):
        sampler = sampler_of(tuples, sizes, alpha, beta, seed)
        for _ in range(2):
            assert sampler.log_likelihood() == pytest.approx(
                log_joint(tuples, sampler.z, sizes, alpha, beta), abs=1e-9
            )
            sampler.sweep()


def test_the_joint_probability_sums_to_one_over_words_and_topics():
    """A check of the check: over every text of two tuples and every assignment."""
    sizes, alpha, beta, total = {"en": 2, "de": 3}, [0.9, 0.3], {"en": 0.2, "de": 0.6}, 0.0
    for a, b, c, d in product(range(2), range(2), range(3), range(3)):
        tuples = [[("en", a), ("en", b), ("de", c)], [("de", d)]]
        total += sum(
            math.exp(log_joint(tuples, z, sizes, alpha, beta)) for z in product(range(2), repeat=4)
        )
    assert total == pytest.approx(1)


# what it learns


@pytest.mark.parametrize("optimize_every", [0, 10])
def test_planted_topics_are_found_in_every_language_under_one_numbering(optimize_every):
    corpus, phi = planted()
    model, _ = sampled(
        corpus, topics=5, sweeps=150, burn_in=50, optimize_every=optimize_every, seed=1
    )
    actual = {name: np.corrcoef(phi[name], model.phi(name))[:5, 5:] for name in phi}
    matches = {
        name: linear_sum_assignment(-correlation)[1].tolist()
        for name, correlation in actual.items()
    }
    assert matches["en"] == matches["de"], "topic k is the same topic in both languages"
    for name, correlation in actual.items():
        assert correlation[np.arange(5), matches[name]].min() > 0.95, name
        np.testing.assert_allclose(model.phi(name).sum(axis=1), 1)
        heaviest = [corpus.views[name].vocabulary[w] for w in model.phi(name).argmax(axis=1)]
        assert [words[0] for words in model.top_words(name, 3)] == heaviest


def test_held_out_documents_of_two_languages_get_the_same_topics():
    corpus, _ = planted(tuples=220)
    model, _ = sampled(corpus.subset(np.arange(150)), topics=5, sweeps=150)
    new = corpus.subset(np.arange(150, 220))
    en, de = (model.infer(new.views[name].bow, name) for name in ("en", "de"))
    scores = retrieval(en, de)
    assert scores["reciprocal_rank"].mean() > 5 * scores["chance_rr"]


def test_the_joint_likelihood_rises():
    corpus, _ = planted()
    start = Sampler(PLTM(sizes_of(corpus), 5), documents(corpus), 0)
    before = start.log_likelihood() / len(start.z)
    _, history = sampled(corpus, topics=5, sweeps=100)
    assert history[-1]["log_likelihood"] > before + 1  # nats a token
    assert history[0]["log_likelihood"] > before
    assert [row["epoch"] for row in history] == list(range(2, 101, 2)) and all(
        row["seconds"] >= 0 for row in history
    )


def test_a_row_of_the_history_comes_every_few_sweeps_and_at_the_end():
    corpus = make_corpus(n=10)
    assert [row["epoch"] for row in sampled(corpus, sweeps=7, checkpoint_every=3)[1]] == [3, 6, 7]
    assert [row["epoch"] for row in sampled(corpus, sweeps=2, checkpoint_every=50)[1]] == [2]


def test_the_same_seed_gives_the_same_topics_and_another_seed_others():
    corpus, _ = planted(tuples=30)
    (a, first), (b, second), (c, third) = sampled(corpus), sampled(corpus), sampled(corpus, seed=1)
    assert same_model(a, b) and columns(first) == columns(second)
    assert not same_model(a, c) and columns(first) != columns(third)


def test_top_words_are_the_most_frequent_first_and_ties_by_column():
    model = PLTM({"en": 4}, 2, vocabularies={"en": list("abcd")})
    model.counts["en"] = np.array([[0, 3, 1, 3], [5, 0, 0, 7]], dtype=np.int32)
    assert model.top_words("en", n=4) == [["b", "d", "c", "a"], ["d", "a", "b", "c"]]
    assert model.top_words("en", n=2) == [["b", "d"], ["d", "a"]]


# documents


def lacking(corpus, **rows):
    views = dict(corpus.views)
    for name, gone in rows.items():
        index = views[name].index.copy()
        index[gone] = -1
        views[name] = View(
            name,
            views[name].embeddings,
            index,
            views[name].item_ids,
            views[name].bow,
            views[name].vocabulary,
        )
    return Corpus(corpus.name, views, corpus.tuple_ids, corpus.article_ids, corpus.split)


def test_a_tuple_without_a_language_has_an_empty_row():
    corpus = lacking(make_corpus(n=8), en=[2, 3], de=[5])
    actual = documents(corpus)
    assert list(actual) == ["en", "de"], "pictures have no words"
    for name, gone in (("en", [2, 3]), ("de", [5])):
        expected = corpus.views[name].bow.toarray()
        expected[gone] = 0
        np.testing.assert_array_equal(actual[name].toarray(), expected)


def test_tuples_that_share_all_their_documents_count_once():
    corpus = make_corpus(n=6)
    en, de = (corpus.views[name] for name in ("en", "de"))
    index = np.array([4, 0, 0, 4, 0, 5])  # rows 1 and 2 share both, rows 0 and 3 English alone
    views = {
        "en": View("en", en.embeddings, index, en.item_ids, en.bow, en.vocabulary),
        "de": View(
            "de", de.embeddings, np.array([4, 1, 1, -1, 2, 5]), de.item_ids, de.bow, de.vocabulary
        ),
        "image": corpus.views["image"],
    }
    actual = documents(Corpus("shared", views, corpus.tuple_ids, ["a"] * 6, corpus.split))
    np.testing.assert_array_equal(actual["en"].toarray(), en.bow.toarray()[[4, 0, 4, 0, 5]])
    expected = de.bow.toarray()[[4, 1, 0, 2, 5]]
    expected[2] = 0
    np.testing.assert_array_equal(actual["de"].toarray(), expected)


def test_tuples_that_lack_languages_are_sampled():
    corpus, phi = planted(tuples=240)
    some = lacking(corpus, en=range(80), de=range(160, 240))
    model, history = sampled(some, topics=5, sweeps=200)
    assert np.isfinite(history[-1]["log_likelihood"])
    for name, view in some.views.items():
        np.testing.assert_array_equal(
            model.counts[name].sum(axis=0),
            np.asarray(view.bow[view.index[view.present]].sum(axis=0)).ravel(),
        )
    actual = {name: np.corrcoef(phi[name], model.phi(name))[:5, 5:] for name in phi}
    matches = {
        name: linear_sum_assignment(-correlation)[1].tolist()
        for name, correlation in actual.items()
    }
    assert matches["en"] == matches["de"]


# held-out documents


def known(phi, alpha, scale=10**7):
    """A model whose φ are these, to seven digits."""
    model = PLTM({name: array.shape[1] for name, array in phi.items()}, len(alpha))
    model.alpha = np.array(alpha)
    model.counts = {
        name: np.round(np.array(array) * scale).astype(np.int32) for name, array in phi.items()
    }
    return model


def exact_theta(document, phi, alpha):
    """E[θ | words, φ]: the sum over all assignments of p(assignment) times the posterior mean given
    it.
    """
    weights, means = [], []
    for z in product(range(len(alpha)), repeat=len(document)):
        counts = np.bincount(np.array(z, dtype=int), minlength=len(alpha))
        log_p = sum(lgamma(a + n) for a, n in zip(alpha, counts, strict=True)) + sum(
            math.log(phi[k][w]) for k, w in zip(z, document, strict=True)
        )
        weights.append(math.exp(log_p))
        means.append((np.array(alpha) + counts) / (sum(alpha) + len(document)))
    return np.average(means, axis=0, weights=weights)


@pytest.mark.parametrize("alpha", [[0.1, 0.1, 0.1], [1.2, 0.5, 0.05]])
def test_topics_of_a_new_document_are_the_exact_posterior_mean(alpha):
    phi = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.5, 0.3, 0.1], [0.25, 0.25, 0.1, 0.4]])
    texts = [[0, 0, 1], [3], [], [1, 2, 2, 3, 0, 0], [0, 3, 3, 3, 1]]
    model = known({"en": phi}, alpha)
    theta = model.infer(bags(*texts, size=4), "en", sweeps=500_000, burn_in=100)
    expected = np.array([exact_theta(text, phi, alpha) for text in texts])
    assert np.abs(expected - np.array(alpha) / sum(alpha)).max() > 0.15, "the words say something"
    np.testing.assert_allclose(theta, expected, atol=0.005)
    # the usual number of sweeps says the same on average
    few = np.mean(
        [model.infer(bags(*texts, size=4), "en", seed=seed) for seed in range(60)], axis=0
    )
    np.testing.assert_allclose(few, expected, atol=0.03)


def test_a_document_of_one_word_has_its_posterior_at_once():
    phi, alpha = np.array([[0.8, 0.2], [0.3, 0.7]]), [0.4, 0.6]
    theta = known({"en": phi}, alpha).infer(bags([1], size=2), "en", sweeps=1, burn_in=0)
    np.testing.assert_allclose(theta, [exact_theta([1], phi, alpha)], atol=1e-6)


def test_inferred_topics_are_distributions():
    corpus, _ = planted(tuples=600, length=10)
    model, _ = sampled(corpus, topics=7, sweeps=5)
    theta = model.infer(corpus.views["de"].bow, "de", sweeps=10, burn_in=5)
    assert theta.shape == (600, 7) and theta.dtype == np.float32 and (theta > 0).all()
    np.testing.assert_allclose(theta.sum(axis=1), 1, atol=1e-6)
    assert model.infer(corpus.views["de"].bow[:0], "de").shape == (0, 7)


def test_documents_without_words_get_the_mean_of_the_prior():
    model = known({"en": np.full((3, 4), 0.25)}, [0.5, 0.2, 0.1])
    np.testing.assert_allclose(
        model.infer(bags([], [1, 1], [], size=4), "en")[[0, 2]],
        [[0.625, 0.25, 0.125]] * 2,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        model.infer(sp.csr_matrix((2, 4), dtype=np.int32), "en"),
        [[0.625, 0.25, 0.125]] * 2,
        atol=1e-6,
    )


def test_inference_is_reproducible_and_draws_from_its_seed():
    corpus, _ = planted(tuples=40)
    model, _ = sampled(corpus)
    bow, counts = corpus.views["en"].bow, model.counts["en"].copy()
    np.testing.assert_array_equal(model.infer(bow, "en", seed=3), model.infer(bow, "en", seed=3))
    assert np.abs(model.infer(bow, "en", seed=3) - model.infer(bow, "en", seed=4)).max() > 1e-3
    np.testing.assert_array_equal(model.counts["en"], counts)


def test_inference_changes_no_global_randomness():
    corpus, _ = planted(tuples=20)
    before = np.random.get_state()[1].copy()
    model, _ = sampled(corpus)
    model.infer(corpus.views["en"].bow, "en")
    assert np.array_equal(np.random.get_state()[1], before)


def test_documents_of_two_languages_share_no_noise():
    """Where φ says nothing θ is noise, and aligned noise would make any two languages agree."""
    rng = np.random.default_rng(0)
    uniform = np.full((20, 15), 1 / 15)
    model = known({"en": uniform, "de": uniform}, [0.1] * 20)
    same, other = (
        sp.csr_matrix(rng.multinomial(12, uniform[0], size=300).astype(np.int32)) for _ in range(2)
    )
    short = {"sweeps": 3, "burn_in": 1}
    en = model.infer(same, "en", **short)
    assert retrieval(en, model.infer(same, "en", **short))["reciprocal_rank"].mean() == 1, (
        "the same noise would be seen"
    )
    for theta in (
        model.infer(same, "de", **short),
        model.infer(other, "de", **short),
        model.infer(other, "en", **short),
    ):
        scores = retrieval(en, theta)
        assert scores["reciprocal_rank"].mean() < 2 * scores["chance_rr"]


# hyperparameters


def test_hyperparameters_climb_to_the_maximum_of_the_likelihood_of_the_present_topics():
    corpus, _ = planted(tuples=80, shares=[1.0, 0.5, 0.3, 0.2, 0.1])
    sampler = Sampler(PLTM(sizes_of(corpus), 5, alpha=3.0, beta=2.0), documents(corpus), 0)
    for _ in range(60):
        sampler.sweep()
    z, model, reached = sampler.z.copy(), sampler.model, [sampler.log_likelihood()]
    for _ in range(200):
        sampler.optimize(1)
        reached.append(sampler.log_likelihood())
    assert (np.diff(reached) > -1e-6).all() and reached[-1] > reached[0] + 100
    np.testing.assert_array_equal(sampler.z, z)
    sampler.optimize(1000)
    best, alpha = sampler.log_likelihood(), model.alpha.copy()
    for factor in (0.97, 1.03):
        for k in range(5):
            model.alpha = alpha.copy()
            model.alpha[k] *= factor
            assert sampler.log_likelihood() < best
        model.alpha = alpha
        for name in ("en", "de"):
            value = model.beta[name]
            model.beta[name] = factor * value
            assert sampler.log_likelihood() < best
            model.beta[name] = value


def test_a_frequent_topic_gets_a_larger_prior_and_no_topic_a_prior_of_zero():
    corpus, phi = planted(tuples=300, topics=4, shares=[2.0, 0.2, 0.2, 0.2])
    model, _ = sampled(corpus, topics=6, sweeps=200, burn_in=50, optimize_every=5)
    match = linear_sum_assignment(-np.corrcoef(phi["en"], model.phi("en"))[:4, 4:])[1]
    assert (
        model.alpha.argmax() == match[0]
        and model.alpha[match[0]] > 3 * model.alpha[match[1:]].max()
    )
    assert (model.alpha > 0).all() and all(b > 0 for b in model.beta.values())


@pytest.mark.parametrize(
    ("optimize_every", "burn_in", "changed"),
    [(0, 0, False), (5, 10, False), (5, 9, True), (1, 0, True)],
)
def test_hyperparameters_change_when_they_are_asked_to(optimize_every, burn_in, changed):
    model, _ = sampled(
        planted(tuples=20)[0], sweeps=10, optimize_every=optimize_every, burn_in=burn_in
    )
    assert (model.alpha.tolist() != [0.1] * 4) == changed
    assert (model.beta != {"en": 0.01, "de": 0.01}) == changed


# checkpoints


@pytest.fixture(scope="module")
def small():
    return planted(tuples=25, length=12)[0]


def interrupted(monkeypatch, corpus, checkpoint, after, **options):
    """Sample until Ctrl-C once so many sweeps are done."""
    real, calls = Sampler.sweep, []

    def failing(self):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "sweep", failing)
        with pytest.raises(KeyboardInterrupt):
            sampled(corpus, checkpoint, **options)


@pytest.mark.parametrize("optimize_every", [0, 2])
@pytest.mark.parametrize("sweeps", [1, 3, 8, 11])  # a checkpoint every 3
def test_a_resumed_chain_is_bit_identical_to_one_never_interrupted(
    tmp_path, monkeypatch, small, sweeps, optimize_every
):
    path = tmp_path / "a b ü.safetensors"
    options = {
        "sweeps": 12,
        "checkpoint_every": 3,
        "burn_in": 3,
        "optimize_every": optimize_every,
        "topics": 9,
    }
    whole, history = sampled(small, **options)
    interrupted(monkeypatch, small, path, sweeps, **options)
    assert path.exists() == (sweeps >= 3)
    resumed, rest = sampled(small, path, **options)
    assert same_model(resumed, whole) and columns(rest) == columns(history)
    assert rest[-1]["seconds"] >= rest[0]["seconds"]
    assert os.listdir(tmp_path) == [path.name]


def test_a_chain_is_resumed_and_not_begun_again(tmp_path, monkeypatch, small):
    sampled(small, tmp_path / "c", sweeps=6)
    calls, real = [], Sampler.sweep
    monkeypatch.setattr(Sampler, "sweep", lambda self: calls.append(1) or real(self))
    longer, rest = sampled(small, tmp_path / "c", sweeps=10)
    assert len(calls) == 4
    assert same_model(longer, sampled(small, sweeps=10)[0])
    again, same = sampled(small, tmp_path / "c", sweeps=10)
    assert same == rest and same_model(again, longer)


def test_a_chain_interrupted_twice_is_still_the_same(tmp_path, monkeypatch, small):
    options = {"sweeps": 20, "checkpoint_every": 2, "topics": 9}
    interrupted(monkeypatch, small, tmp_path / "c", 5, **options)
    interrupted(monkeypatch, small, tmp_path / "c", 9, **options)
    resumed, rest = sampled(small, tmp_path / "c", **options)
    whole, history = sampled(small, **options)
    assert same_model(resumed, whole) and columns(rest) == columns(history)


def test_a_checkpoint_beyond_the_sweeps_asked_for_is_not_passed_off_as_the_run(tmp_path, small):
    path = tmp_path / "c"
    sampled(small, path, sweeps=6)
    with pytest.raises(
        DataError, match=rf"{re.escape(str(path))}: .*after 6 sweeps, more than sweeps=4"
    ):
        sampled(small, path, sweeps=4)


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "header", "text", "payload", "another file"]
)
def test_a_broken_checkpoint_is_named(tmp_path, small, damage):
    path = tmp_path / "c.safetensors"
    sampled(small, path, sweeps=4)
    data = path.read_bytes()
    body = 8 + int.from_bytes(data[:8], "little") + 100
    if damage == "another file":
        PLTM({"en": 3}, 2).save(path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": data[:-100],
                "header": b"\xff" * 16 + data[16:],
                "text": b"not a checkpoint",
                "payload": (
                    data[:body]
                    + bytes(b ^ 0x55 for b in data[body : body + 64])
                    + data[body + 64 :]
                ),
            }[damage]
        )
    with pytest.raises(DataError, match=re.escape(str(path))):
        sampled(small, path, sweeps=6)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"seed": 1}, "config"),
        ({"optimize_every": 3}, "config"),
        ({"burn_in": 3}, "config"),
        ({"alpha": 0.2}, "prior"),
        ({"beta": 0.02}, "prior"),
        ({"topics": 5}, "prior"),
        ({"corpus": planted(tuples=25, length=12, seed=1)[0]}, "data"),
        ({"corpus": planted(tuples=24, length=12)[0]}, "data"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_naming_what_differs(tmp_path, small, change, part):
    path = tmp_path / "c"
    sampled(small, path, sweeps=4)
    before = path.read_bytes()
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: .*another run: its {part} "):
        sampled(**{"corpus": small, "checkpoint": path, "sweeps": 6, **change})
    assert path.read_bytes() == before


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch, small):
    import safetensors.torch

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    path = tmp_path / "c"
    sampled(small, path, sweeps=4)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(OSError, match=re.escape(str(path))):
            sampled(small, path, sweeps=8)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c"]


# parameters and data


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PLTM({"en": 5}, 1), "topics=1"),
        (lambda: PLTM({"en": 5}, 2.5), r"topics=2\.5"),
        (lambda: PLTM({"en": 5}, True), "topics=True"),
        (lambda: PLTM({"en": 5}, "ten"), "topics='ten'"),
        (lambda: PLTM({"en": 5}, 4, alpha=0), "alpha=0"),
        (lambda: PLTM({"en": 5}, 4, alpha=float("nan")), "alpha=nan"),
        (lambda: PLTM({"en": 5}, 4, alpha=float("inf")), "alpha=inf"),
        (lambda: PLTM({"en": 5}, 4, alpha="small"), "alpha='small'"),
        (lambda: PLTM({"en": 5}, 4, beta=-0.1), r"beta=-0\.1"),
        (lambda: PLTM({"en": 5}, 4, beta=float("nan")), "beta=nan"),
        (lambda: PLTM({}, 4), "vocabulary_sizes: expected at least one language"),
        (lambda: PLTM({"en": 5, "de": 0}, 4), "vocabulary_sizes: 0 words of 'de'"),
        (lambda: GibbsConfig(sweeps=0), "sweeps=0"),
        (lambda: GibbsConfig(sweeps=1.5), r"sweeps=1\.5"),
        (lambda: GibbsConfig(sweeps=True), "sweeps=True"),
        (lambda: GibbsConfig(seed=-1), "seed=-1"),
        (lambda: GibbsConfig(seed=None), "seed=None"),
        (lambda: GibbsConfig(optimize_every=-1), "optimize_every=-1"),
        (lambda: GibbsConfig(burn_in=-1), "burn_in=-1"),
        (lambda: GibbsConfig(checkpoint_every=0), "checkpoint_every=0"),
    ],
)
def test_a_bad_parameter_is_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "fr"}, "view='fr' is unknown; valid: de, en"),
        ({"burn_in": 100}, "burn_in=100: expected at least 0 and below sweeps=100"),
        ({"sweeps": 20}, "burn_in=20: .* sweeps=20"),
        ({"burn_in": -1}, "burn_in=-1"),
        ({"sweeps": 0, "burn_in": 0}, "sweeps=0"),
    ],
)
def test_bad_inference_parameters_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        PLTM({"en": 5, "de": 4}, 3).infer(bags([0], size=5), **{"view": "en", **options})


def test_bags_of_another_vocabulary_are_refused_naming_the_view():
    model = PLTM({"en": 5, "de": 4}, 3)
    for bow in (bags([0], size=5), bags([0], size=4).toarray()):
        with pytest.raises(
            DataError, match="view 'de': expected a sparse bag of words with 4 columns"
        ):
            model.infer(bow, "de")
    with pytest.raises(DataError, match="view 'de': the model does not know its vocabulary"):
        model.top_words("de")
    with pytest.raises(ParameterError, match="vocabularies: 3 words of 'de', which has 4"):
        PLTM({"en": 5, "de": 4}, 3, vocabularies={"de": list("abc")})
    for call in (lambda: model.top_words("fr"), lambda: model.phi("fr")):
        with pytest.raises(ParameterError, match="view='fr' is unknown; valid: de, en"):
            call()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"en": 40}, r"model has languages \['en'\], the documents \['de', 'en'\]"),
        ({"en": 40, "fr": 50}, r"model has languages \['en', 'fr'\], the documents \['de', 'en'\]"),
        ({"en": 40, "de": 51}, "language 'de': 50 words, the model has 51"),
    ],
)
def test_a_corpus_that_does_not_match_the_model_is_refused(small, sizes, message):
    with pytest.raises(DataError, match=message):
        fit(PLTM(sizes, 4), small, GibbsConfig(sweeps=2), progress=False)


def test_documents_that_cannot_be_sampled_are_refused():
    model = PLTM({"en": 3, "de": 2}, 2)
    with pytest.raises(DataError, match="no token"):
        Sampler(model, {"en": bags([], [], size=3), "de": bags([], [], size=2)})
    with pytest.raises(DataError, match="a row a tuple"):
        Sampler(model, {"en": bags([0], [1], size=3), "de": bags([0], size=2)})


# files


def test_a_saved_model_comes_back_whole(tmp_path, small):
    model, _ = sampled(small, optimize_every=2, burn_in=2)
    model.save(tmp_path / "m.safetensors")
    loaded = PLTM.load(tmp_path / "m.safetensors")
    assert same_model(loaded, model)
    assert loaded.vocabularies == {
        name: list(small.views[name].vocabulary) for name in small.text_views
    }
    assert loaded.topics == model.topics and list(loaded.counts) == list(model.counts)
    for name in model.counts:
        assert loaded.counts[name].dtype == np.int32
        np.testing.assert_array_equal(
            loaded.infer(small.views[name].bow, name), model.infer(small.views[name].bow, name)
        )
        assert loaded.top_words(name) == model.top_words(name)
    assert loaded.alpha.dtype == np.float64 and loaded.alpha.tolist() == model.alpha.tolist()
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_the_same_model_gives_the_same_bytes(tmp_path, small):
    for name in ("a", "b"):
        sampled(small, optimize_every=2, burn_in=2)[0].save(tmp_path / name)
    PLTM.load(tmp_path / "a").save(tmp_path / "c")
    assert (
        (tmp_path / "a").read_bytes()
        == (tmp_path / "b").read_bytes()
        == (tmp_path / "c").read_bytes()
    )


@pytest.mark.parametrize("damage", ["empty", "truncated", "an array is missing"])
def test_a_broken_model_is_named(tmp_path, damage):
    path = tmp_path / "m.safetensors"
    PLTM({"en": 3, "de": 2}, 2).save(path)
    data = path.read_bytes()
    if damage == "an array is missing":
        from safetensors.numpy import save_file

        save_file(
            {"alpha": np.ones(2)},
            path,
            metadata={"m3l": json.dumps({"beta": {"en": 0.1}, "vocabularies": {}})},
        )
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-3])
    with pytest.raises(DataError, match=re.escape(str(path))):
        PLTM.load(path)
    with pytest.raises(DataError, match="no such file"):
        PLTM.load(tmp_path / "none")


def test_a_corpus_of_pictures_and_bags_that_are_no_counts_are_refused(small):
    pictures = make_corpus(views=("en", "image")).select(["image"])
    with pytest.raises(DataError, match="no view has words"):
        fit(PLTM({"en": 30}, 4), pictures, GibbsConfig(sweeps=1), progress=False)
    model = PLTM({"en": 3}, 4)
    for value in (0.5, -1.0):
        with pytest.raises(DataError, match="other than counts"):
            model.infer(sp.csr_matrix([[value, 1.0, 0.0]]), "en")


def test_a_checkpoint_of_another_vocabulary_or_with_another_history_is_refused(tmp_path, small):
    path, config = tmp_path / "c", GibbsConfig(sweeps=2, checkpoint_every=2)
    sizes = {v: len(small.views[v].vocabulary) for v in small.text_views}
    fit(PLTM(sizes, 4), small, config, path, progress=False)
    last = small.text_views[-1]
    view = small.views[last]
    wider = replace(
        view,
        bow=sp.csr_matrix(
            (view.bow.data, view.bow.indices, view.bow.indptr), (len(view), sizes[last] + 5)
        ),
        vocabulary=[*view.vocabulary, *"vwxyz"],
    )
    with pytest.raises(DataError, match="vocabulary_sizes"):
        fit(
            PLTM({**sizes, last: sizes[last] + 5}, 4),
            replace(small, views={**small.views, last: wider}),
            config,
            path,
            progress=False,
        )
    content = path.read_bytes()
    place = content.index(b"log_likelihood") + len(b'log_likelihood\\": -')
    path.write_bytes(
        content[:place]
        + (b"9" if content[place : place + 1] != b"9" else b"8")
        + content[place + 1 :]
    )
    with pytest.raises(DataError, match=r"not a whole checkpoint|not those that were saved"):
        fit(PLTM(sizes, 4), small, config, path, progress=False)


def test_a_documents_topics_do_not_depend_on_its_companions(small):
    model, _ = sampled(small)
    bow = small.views["en"].bow
    whole = model.infer(bow, "en", seed=2)
    some = np.array([9, 0, 4])
    np.testing.assert_array_equal(model.infer(bow[some], "en", seed=2), whole[some])
    assert np.abs(model.infer(bow, "en", seed=3) - whole).max() > 1e-4


def test_one_state_is_a_count_of_tokens_and_many_of_them_average_to_the_mean():
    phi = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.6]])
    model = known({"en": phi}, [0.5, 0.5])
    bow = bags([0, 0, 3, 2], [1, 2, 2], size=4)
    states = np.stack([model.infer(bow, "en", seed=s, one_state=True) for s in range(800)])
    counts = states * np.array([5.0, 4.0])[:, None] - 0.5  # 4 and 3 tokens, and the prior's 1
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)
    mean = model.infer(bow, "en", sweeps=50_000, burn_in=100)
    np.testing.assert_allclose(states.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(states.sum(axis=2), 1, atol=1e-6)
