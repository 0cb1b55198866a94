import math
import os
import re
from dataclasses import replace
from itertools import pairwise, product
from math import lgamma
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.optimize import linear_sum_assignment
from support import columns, make_corpus

from m3l import Corpus, DataError, ParameterError, View, gibbs
from m3l.gibbs import Sampler
from m3l.metrics.ranking import retrieval
from m3l.pltm import PLTM, GibbsConfig, documents, fit, pltm_for
from m3l.saving import write_tensors


def planted(tuples=150, topics=5, length=30, seed=0, shares=None):
    """A corpus drawn from the model, and its topics' distributions over words by language."""
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(np.full(topics, 0.2) if shares is None else shares, size=tuples)
    ids, phi, views = [f"t{i}" for i in range(tuples)], {}, {}
    for name, size in (("en", 40), ("de", 50)):
        phi[name] = rng.dirichlet(np.full(size, 0.1), size=topics)
        bow = np.stack([rng.multinomial(length, p) for p in theta @ phi[name]]).astype(np.int32)
        vectors, words = np.ones((tuples, 2), np.float32), [f"{name}{i}" for i in range(size)]
        views[name] = View(name, vectors, np.arange(tuples), ids, sp.csr_matrix(bow), words)
    return Corpus("planted", views, ids, ids, ["train"] * tuples), phi


def sampled(corpus, checkpoint=None, topics=4, alpha=0.1, beta=0.01, **options):
    model = pltm_for(corpus, topics, alpha, beta)
    config = GibbsConfig(**{"sweeps": 10, "checkpoint_every": 2, **options})
    return model, fit(model, corpus, config, checkpoint, progress=False)


def same_model(a, b):
    same = [np.array_equal(a.counts[name], b.counts[name]) for name in a.counts | b.counts]
    return np.array_equal(a.alpha, b.alpha) and a.beta == b.beta and all(same)


def bags(*rows, size):
    """Documents given as lists of word numbers -> sparse counts."""
    counts = [np.bincount(np.array(row, dtype=int), minlength=size) for row in rows]
    return sp.csr_matrix(np.array(counts, dtype=np.int32))


def numbers_of(phi, corpus, model):
    """Which topic of the model each planted topic is, by language, and how well it correlates."""
    found = {}
    for name in phi:
        correlation = np.corrcoef(phi[name], model.phi(name))[: len(phi[name]), len(phi[name]) :]
        rows, match = linear_sum_assignment(-correlation)
        found[name] = match.tolist(), correlation[rows, match].min()
    return found


# the sampler's counts


def check_counts(sampler):
    """Everything that follows from the tokens' topics, counted again token by token."""
    languages = len(sampler.languages)
    words, totals = np.zeros_like(sampler.n_word), np.zeros_like(sampler.n_topic)
    tuples = np.zeros_like(sampler.tuple_topics().toarray())
    for segment, (begin, end) in enumerate(pairwise(sampler.starts)):
        d, language = divmod(segment, languages)
        for word, k in zip(sampler.words[begin:end], sampler.z[begin:end], strict=True):
            assert sampler.first_word[language] <= word < sampler.first_word[language + 1]
            for counts, row in ((words, word), (tuples, d), (totals, language)):
                counts[row, k] += 1
    np.testing.assert_array_equal(sampler.n_word, words)
    np.testing.assert_array_equal(sampler.tuple_topics().toarray(), tuples)
    np.testing.assert_array_equal(sampler.n_topic, totals)
    for listed, length, counts in zip(sampler.listed, sampler.length, words, strict=True):
        assert sorted(listed[:length]) == np.flatnonzero(counts).tolist()


@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 1), (5, 2), (60, 3)]))
def test_counts_are_those_of_the_tokens_after_every_sweep(seed, shape):
    rng, (topics, languages), corpus = np.random.default_rng(seed), shape, {}
    for name, size in zip(("en", "de", "fr")[:languages], (12, 9, 30), strict=False):
        bow = rng.poisson(0.6, size=(20, size)).astype(np.int32)
        bow[rng.random(20) < 0.3] = 0  # tuples that lack the language
        bow[:, 3] = 0  # a word that no document holds
        bow[0, 4] = 3
        corpus[name] = sp.csr_matrix(bow)
    alpha, beta = np.full(topics, rng.uniform(0.02, 1.0)), rng.uniform(0.01, 0.5)
    sampler = Sampler(corpus, alpha, dict.fromkeys(corpus, beta), seed)
    check_counts(sampler)
    lengths = np.asarray(sp.hstack(list(corpus.values())).sum(axis=1)).ravel()
    for _ in range(4):
        before = sampler.z.copy()
        sampler.sweep()
        check_counts(sampler)
        np.testing.assert_array_equal(sampler.tuple_topics().toarray().sum(axis=1), lengths)
        assert (sampler.z != before).any()
        sampler.optimize(1)
    for name, counts in sampler.word_topics().items():
        np.testing.assert_array_equal(counts.sum(axis=1), corpus[name].toarray().sum(axis=0))


def test_words_of_the_sampler_are_those_of_the_documents_language_after_language():
    corpus = {"en": bags([0, 2, 2], [], [1], size=3), "de": bags([1], [0, 0], [], size=2)}
    sampler = Sampler(corpus, np.ones(2), {"en": 1.0, "de": 1.0})
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
    corpus = {}
    for name, size in sizes.items():
        rows = [[w for language, w in tokens if language == name] for tokens in tuples]
        corpus[name] = bags(*rows, size=size)
    sampler = Sampler(corpus, np.array(alpha), beta, seed)
    offset = dict(zip(sizes, sampler.first_word, strict=False))
    expected = [offset[language] + word for tokens in tuples for language, word in tokens]
    assert sampler.words.tolist() == expected, "CASES list tokens in this order"
    return sampler


@njit
def visits(sweeps, words, starts, z, n_word, listed, length, n_topic, alpha, beta, beta_sum, rng):
    """How often a chain is in each state after a sweep; a loop in Python would cost a hundred times
    as much.
    """
    seen = np.zeros(len(alpha) ** len(z), np.int64)
    for _ in range(sweeps):
        gibbs.sweep(words, starts, z, n_word, listed, length, n_topic, alpha, beta, beta_sum, rng)
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
        patch.setattr(gibbs, "sweep", lambda *arguments: given.append(arguments))
        sampler.sweep()
    sweeps = 200_000
    seen = visits(sweeps, *given[0]) / sweeps
    # independent draws would come this far by chance, on average: √(p(1-p) · 2 / (π · sweeps)) / 2
    # a state
    by_noise = np.sqrt(expected * (1 - expected) * 2 / (math.pi * sweeps)).sum() / 2
    assert total_variation(seen, expected) < 2 * by_noise < 0.035
    # and the test can tell: the posteriors of models close by are several times as far away
    apart = [[t for t in tokens if t[0] == name] for tokens in tuples for name in sizes]
    reversed_or_doubled = alpha[::-1] if alpha[0] != alpha[-1] else [2 * a for a in alpha]
    others = [
        enumerated(tuples, sizes, reversed_or_doubled, beta),
        enumerated(tuples, sizes, alpha, {name: 1.5 * b for name, b in beta.items()}),
        enumerated(apart, sizes, alpha, beta),  # θ not shared by languages
    ]
    assert all(total_variation(expected, other) > 0.06 for other in others)
    check_counts(sampler)


def plain(sampler, tuples, sizes):
    """The tokens and counts of a sampler as `sweep_plain` takes them."""
    tokens = [(d, name, w) for d, own in enumerate(tuples) for name, w in own]
    n_topic = dict(zip(sizes, sampler.n_topic.copy(), strict=True))
    n_word = {name: counts.copy() for name, counts in sampler.word_topics().items()}
    return tokens, sampler.z.copy(), sampler.tuple_topics().toarray(), n_word, n_topic


@pytest.mark.parametrize("case", CASES)
def test_the_plain_sweep_draws_each_token_from_its_exact_conditional(case):
    """Each distribution that it draws from is the joint's, the topics of all other tokens given."""
    tuples, sizes, alpha, beta = CASES[case]
    state = plain(sampler_of(tuples, sizes, alpha, beta, seed=3), tuples, sizes)
    tokens, z = state[:2]
    drawn, place = [], iter(range(len(tokens)))

    class Last:
        """Draws the last topic that is possible at all, and looks at p."""

        def choice(self, n, p):
            i, others = next(place), []
            for k in range(n):
                log_p = log_joint(tuples, [*z[:i], k, *z[i + 1 :]], sizes, alpha, beta)
                others.append(math.exp(log_p))
            np.testing.assert_allclose(p, np.array(others) / sum(others), rtol=1e-9)
            drawn.append(n - 1 - i % n)
            return drawn[-1]

    gibbs.sweep_plain(*state, np.array(alpha), beta, Last())
    assert z.tolist() == drawn and len(drawn) == len(tokens)
    after = sampler_of(tuples, sizes, alpha, beta)
    after.z[:] = z
    after.count()
    for ours, counted in zip(state[2:], plain(after, tuples, sizes)[2:], strict=True):
        for key in range(len(tuples)) if isinstance(ours, np.ndarray) else ours:
            np.testing.assert_array_equal(ours[key], counted[key])


@pytest.mark.parametrize("case", CASES)
def test_the_log_likelihood_is_the_joint_log_probability(case):
    tuples, sizes, alpha, beta = CASES[case]
    for seed in range(10):
        sampler = sampler_of(tuples, sizes, alpha, beta, seed)
        for _ in range(2):
            joint = log_joint(tuples, sampler.z, sizes, alpha, beta)
            assert sampler.log_likelihood() == pytest.approx(joint, abs=1e-9)
            sampler.sweep()


def test_the_joint_probability_sums_to_one_over_words_and_topics():
    """A check of the check: over every text of two tuples and every assignment."""
    sizes, alpha, beta, total = {"en": 2, "de": 3}, [0.9, 0.3], {"en": 0.2, "de": 0.6}, 0.0
    for a, b, c, d in product(range(2), range(2), range(3), range(3)):
        tuples = [[("en", a), ("en", b), ("de", c)], [("de", d)]]
        for z in product(range(2), repeat=4):
            total += math.exp(log_joint(tuples, z, sizes, alpha, beta))
    assert total == pytest.approx(1)


# what it learns


@pytest.mark.parametrize(
    ("optimize_every", "lacking"), [(0, False), (10, False), (0, True)], ids=str
)
def test_planted_topics_are_found_in_every_language_under_one_numbering(optimize_every, lacking):
    corpus, phi = planted(tuples=240 if lacking else 150)
    if lacking:
        corpus = without(corpus, en=range(80), de=range(160, 240))
    how = {"sweeps": 150, "burn_in": 50, "optimize_every": optimize_every, "seed": 1}
    model, history = sampled(corpus, topics=5, **how)
    found = numbers_of(phi, corpus, model)
    assert found["en"][0] == found["de"][0], "topic k is the same topic in both languages"
    for name, view in corpus.views.items():
        assert found[name][1] > 0.95, name
        np.testing.assert_allclose(model.phi(name).sum(axis=1), 1)
        heaviest = [view.vocabulary[w] for w in model.phi(name).argmax(axis=1)]
        assert [words[0] for words in model.top_words(name, 3)] == heaviest
        tokens = view.bow[view.index[view.present]].toarray().sum(axis=0)
        np.testing.assert_array_equal(model.counts[name].sum(axis=0), tokens)
        assert model.counts[name].dtype == np.int32
    start = Sampler(documents(corpus), np.full(5, 0.1), {"en": 0.01, "de": 0.01}, seed=1)
    before = start.log_likelihood() / len(start.z)
    assert before < history[0]["log_likelihood"] < history[-1]["log_likelihood"]
    assert history[-1]["log_likelihood"] > before + 1  # nats a token


def test_held_out_documents_of_two_languages_get_the_same_topics():
    corpus, _ = planted(tuples=220)
    model, _ = sampled(corpus.subset(np.arange(150)), topics=5, sweeps=150)
    new = corpus.subset(np.arange(150, 220))
    en, de = (model.infer(new.views[name].bow, name) for name in ("en", "de"))
    scores = retrieval(en, de)
    assert scores["reciprocal_rank"].mean() > 5 * scores["chance_rr"]


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


def without(corpus, **rows):
    views = dict(corpus.views)
    for name, gone in rows.items():
        index = views[name].index.copy()
        index[gone] = -1
        views[name] = replace(views[name], index=index)
    return replace(corpus, views=views)


def test_a_tuple_without_a_language_has_an_empty_row():
    corpus = without(make_corpus(n=8), en=[2, 3], de=[5])
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
        "en": replace(en, index=index),
        "de": replace(de, index=np.array([4, 1, 1, -1, 2, 5])),
        "image": corpus.views["image"],
    }
    actual = documents(replace(corpus, views=views))
    np.testing.assert_array_equal(actual["en"].toarray(), en.bow.toarray()[[4, 0, 4, 0, 5]])
    expected = de.bow.toarray()[[4, 1, 0, 2, 5]]
    expected[2] = 0
    np.testing.assert_array_equal(actual["de"].toarray(), expected)


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
        weight = np.prod([phi[k][w] for k, w in zip(z, document, strict=True)])
        weights.append(weight * np.exp(sum(map(lgamma, alpha + counts))))
        means.append((alpha + counts) / (sum(alpha) + len(document)))
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


def test_a_document_of_one_word_has_its_posterior_at_once_and_one_of_none_the_prior():
    phi, alpha = np.array([[0.8, 0.2], [0.3, 0.7]]), [0.4, 0.6]
    theta = known({"en": phi}, alpha).infer(bags([1], [], size=2), "en", sweeps=2, burn_in=1)
    assert theta.dtype == np.float32
    np.testing.assert_allclose(theta, [exact_theta([1], phi, alpha), alpha], atol=1e-6)
    assert known({"en": phi}, alpha).infer(bags([1], size=2)[:0], "en").shape == (0, 2)


@given(st.integers(0, 2**32 - 1))
def test_a_documents_topics_are_a_distribution_that_depends_on_nothing_beside_it(seed):
    rng = np.random.default_rng(seed)
    model = known({"en": rng.dirichlet(np.ones(6), 4)}, rng.uniform(0.05, 1.0, 4))
    bow = sp.csr_matrix(rng.poisson(0.7, (8, 6)).astype(np.int32))
    before, counts = np.random.get_state()[1].copy(), model.counts["en"].copy()
    how = {"seed": seed, "sweeps": 12, "burn_in": 4, "one_state": bool(seed % 2)}
    theta = model.infer(bow, "en", **how)
    assert (theta > 0).all()
    np.testing.assert_allclose(theta.sum(axis=1), 1, atol=1e-6)
    some = rng.permutation(8)[:3]
    np.testing.assert_array_equal(model.infer(bow[some], "en", **how), theta[some])
    many = bow.getnnz(axis=1) > 2
    others = model.infer(bow, "en", **{**how, "seed": seed + 1})
    assert not many.any() or (np.abs(others - theta).max(axis=1) > 0)[many].any()
    np.testing.assert_array_equal(model.counts["en"], counts)
    assert np.array_equal(np.random.get_state()[1], before), "no global randomness is used"
    # what is compiled is the function that the book shows
    tokens = np.repeat(np.arange(6, dtype=np.int32), bow.toarray()[0])
    numbers = gibbs.numbers_of_document(tokens, "en", seed, 12)
    assert numbers.shape == (13, len(tokens)) and ((numbers >= 0) & (numbers < 1)).all()
    phi = np.ascontiguousarray(model.phi("en").T)
    own = gibbs.topics_of_document(tokens, phi, model.alpha, numbers, 4, how["one_state"])
    np.testing.assert_allclose(own, theta[0], atol=1e-6)


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


# hyperparameters


def test_hyperparameters_climb_to_the_maximum_of_the_likelihood_of_the_present_topics():
    corpus, _ = planted(tuples=80, shares=[1.0, 0.5, 0.3, 0.2, 0.1])
    sampler = Sampler(documents(corpus), np.full(5, 3.0), {"en": 2.0, "de": 2.0})
    for _ in range(60):
        sampler.sweep()
    z, reached = sampler.z.copy(), [sampler.log_likelihood()]
    for _ in range(200):
        sampler.optimize(1)
        reached.append(sampler.log_likelihood())
    assert (np.diff(reached) > -1e-6).all() and reached[-1] > reached[0] + 100
    np.testing.assert_array_equal(sampler.z, z)
    sampler.optimize(1000)
    best, alpha = sampler.log_likelihood(), sampler.alpha.copy()
    for factor in (0.97, 1.03):
        for k in range(5):
            sampler.alpha = alpha.copy()
            sampler.alpha[k] *= factor
            assert sampler.log_likelihood() < best
        sampler.alpha = alpha
        for name in ("en", "de"):
            value = sampler.beta[name]
            sampler.beta[name] = factor * value
            assert sampler.log_likelihood() < best
            sampler.beta[name] = value


def test_a_frequent_topic_gets_a_larger_prior_and_no_topic_a_prior_of_zero():
    corpus, phi = planted(tuples=300, topics=4, shares=[2.0, 0.2, 0.2, 0.2])
    model, _ = sampled(corpus, topics=6, sweeps=200, burn_in=50, optimize_every=5)
    match = numbers_of(phi, corpus, model)["en"][0]
    assert model.alpha.argmax() == match[0]
    assert model.alpha[match[0]] > 3 * model.alpha[match[1:]].max()
    assert (model.alpha > 0).all() and all(b > 0 for b in model.beta.values())


@pytest.mark.parametrize(
    ("every", "burn_in", "changed"), [(0, 0, 0), (5, 10, 0), (5, 9, 1), (1, 0, 1)]
)
def test_hyperparameters_change_when_they_are_asked_to(every, burn_in, changed):
    how = {"sweeps": 10, "optimize_every": every, "burn_in": burn_in}
    model, _ = sampled(planted(tuples=20)[0], **how)
    assert (model.alpha.tolist() != [0.1] * 4) == changed
    assert (model.beta != {"en": 0.01, "de": 0.01}) == changed


# checkpoints


@pytest.fixture(scope="module")
def small():
    return planted(tuples=25, length=12)[0]


@pytest.mark.parametrize("optimize_every", [0, 2])
@pytest.mark.parametrize("interruptions", [[1], [3], [8], [11], [5, 4], []])  # a checkpoint every 3
def test_a_chain_interrupted_twice_is_still_the_same(
    tmp_path, monkeypatch, small, interruptions, optimize_every
):
    path, real, calls = tmp_path / "a b ü.safetensors", Sampler.sweep, []

    def failing(self):
        calls.append(1)
        if interruptions and len(calls) > interruptions[0]:
            raise KeyboardInterrupt
        real(self)

    how = {"checkpoint_every": 3, "burn_in": 3, "optimize_every": optimize_every, "topics": 9}
    whole, history = sampled(small, sweeps=12, **how)
    monkeypatch.setattr(Sampler, "sweep", failing)
    done = 0
    while interruptions:
        with pytest.raises(KeyboardInterrupt):
            sampled(small, path, sweeps=12, **how)
        done += interruptions.pop(0) // 3 * 3
        assert path.exists() == (done > 0)
        calls.clear()
    sampled(small, path, sweeps=9, **how)
    resumed, rest = sampled(small, path, sweeps=12, **how)
    assert len(calls) == 12 - done, "it is resumed and not begun again"
    assert same_model(resumed, whole) and columns(rest) == columns(history)
    assert rest[-1]["seconds"] >= rest[0]["seconds"] and os.listdir(tmp_path) == [path.name]
    again, same = sampled(small, path, sweeps=12, **how)
    assert same == rest and same_model(again, resumed)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: .*after 12 epochs or sweeps"):
        sampled(small, path, sweeps=4, **how)


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "header", "text", "payload", "history", "another file"]
)
def test_a_broken_checkpoint_is_named(tmp_path, small, damage):
    path = tmp_path / "c.safetensors"
    sampled(small, path, sweeps=4)
    data = path.read_bytes()
    body = 8 + int.from_bytes(data[:8], "little") + 100
    flipped = bytes(b ^ 0x55 for b in data[body : body + 64])
    digit = data.index(b"log_likelihood") + len(b'log_likelihood\\": -')
    other = b"8" if data[digit : digit + 1] == b"9" else b"9"
    broken = {
        "empty": b"",
        "truncated": data[:-100],
        "header": b"\xff" * 16 + data[16:],
        "text": b"not a checkpoint",
        "history": data[:digit] + other + data[digit + 1 :],
        "payload": data[:body] + flipped + data[body + 64 :],
    }
    if damage == "another file":
        PLTM({"en": 3}, 2).save(path)
    else:
        path.write_bytes(broken[damage])
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: not a whole checkpoint"):
        sampled(small, path, sweeps=6)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch, small):
    import safetensors.torch

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "c"
    sampled(small, path, sweeps=4)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(OSError, match=re.escape(str(path))):
            sampled(small, path, sweeps=8)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c"]


def wider(corpus):
    """The corpus with a word more, that no document holds, in its last language."""
    view = corpus.views["de"]
    bow = sp.csr_matrix(
        (view.bow.data, view.bow.indices, view.bow.indptr), (len(view), view.bow.shape[1] + 1)
    )
    more = replace(view, bow=bow, vocabulary=[*view.vocabulary, "more"])
    return replace(corpus, views={**corpus.views, "de": more})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"seed": 1}, "config"),
        ({"optimize_every": 3}, "config"),
        ({"burn_in": 3}, "config"),
        ({"alpha": 0.2}, "prior"),
        ({"beta": 0.02}, "prior"),
        ({"topics": 5}, "prior"),
        ({"corpus": wider(planted(tuples=25, length=12)[0])}, "vocabulary_sizes"),
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


# parameters, data and files

PAIR = PLTM({"en": 5, "de": 4}, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PLTM({"en": 5}, 1), "topics=1"),
        (lambda: PLTM({"en": 5}, 2.5), r"topics=2\.5"),
        (lambda: PLTM({"en": 5}, True), "topics=True"),
        (lambda: PLTM({"en": 5}, "ten"), "topics='ten'"),
        (lambda: PLTM({"en": 5}, 4, alpha=0), "alpha=0"),
        (lambda: PLTM({"en": 5}, 4, alpha=float("inf")), "alpha=inf"),
        (lambda: PLTM({"en": 5}, 4, alpha=float("nan")), "alpha=nan"),
        (lambda: PLTM({"en": 5}, 4, alpha="small"), "alpha='small'"),
        (lambda: PLTM({"en": 5}, 4, beta=0), "beta=0"),
        (lambda: PLTM({"en": 5}, 4, beta=-0.1), r"beta=-0\.1"),
        (lambda: PLTM({"en": 5}, 4, beta=float("nan")), "beta=nan"),
        (lambda: PLTM({"en": 5}, 4, beta=float("inf")), "beta=inf"),
        (lambda: PLTM({}, 4), "vocabulary_sizes: expected at least one language"),
        (lambda: PLTM({"en": 5, "de": 0}, 4), "vocabulary_sizes: words of 'de'=0"),
        (
            lambda: PLTM({"de": 4}, 3, vocabularies={"de": list("abc")}),
            "vocabularies: 3 words of 'de', which has 4",
        ),
        (lambda: GibbsConfig(sweeps=0), "sweeps=0"),
        (lambda: GibbsConfig(sweeps=1.5), r"sweeps=1\.5: expected an integer, 1 or more"),
        (lambda: GibbsConfig(sweeps=True), "sweeps=True"),
        (lambda: GibbsConfig(seed=-1), "seed=-1"),
        (lambda: GibbsConfig(seed=None), "seed=None"),
        (lambda: GibbsConfig(optimize_every=-1), "optimize_every=-1"),
        (lambda: GibbsConfig(burn_in=-1), "burn_in=-1"),
        (lambda: GibbsConfig(checkpoint_every=0), "checkpoint_every=0"),
        (lambda: PAIR.infer(bags([0], size=5), "fr"), "view='fr' is unknown; valid: de, en"),
        (lambda: PAIR.infer(bags([0], size=5), "en", burn_in=100), "burn_in=100: .*sweeps=100"),
        (lambda: PAIR.infer(bags([0], size=5), "en", sweeps=20), "burn_in=20: .* sweeps=20"),
        (lambda: PAIR.infer(bags([0], size=5), "en", burn_in=-1), "burn_in=-1"),
        (lambda: PAIR.infer(bags([0], size=5), "en", 0, 0), "sweeps=0"),
        (lambda: PAIR.top_words("fr"), "view='fr' is unknown; valid: de, en"),
        (lambda: PAIR.phi("fr"), "view='fr' is unknown; valid: de, en"),
    ],
)
def test_a_bad_parameter_is_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def renamed_words(model):
    model.vocabularies["de"] = model.vocabularies["de"][::-1]
    return model


def fitted(sizes, corpus):
    return fit(PLTM(sizes, 4), corpus, GibbsConfig(sweeps=2), progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: PAIR.infer(bags([0], size=5), "de"), "view 'de': .*sparse .*with 4 columns"),
        (lambda _: PAIR.infer(bags([0], size=4).toarray(), "de"), "view 'de': expected a sparse"),
        (lambda _: PAIR.top_words("de"), "view 'de': the model does not know its vocabulary"),
        (lambda _: PAIR.infer(sp.csr_matrix([[0.5, 1, 0, 0]]), "de"), "other than counts"),
        (lambda _: PAIR.infer(sp.csr_matrix([[-1, 1, 0, 0]]), "de"), "other than counts"),
        (lambda small: fitted({"en": 40}, small), r"has languages \['en'\], the .*'de', 'en'"),
        (lambda small: fitted({"en": 40, "fr": 50}, small), r"\['en', 'fr'\], the .*'de', 'en'"),
        (lambda small: fitted({"en": 40, "de": 51}, small), "'de': 50 words, the model has 51"),
        (
            lambda small: fit(renamed_words(pltm_for(small, 4)), small, GibbsConfig(sweeps=2)),
            "language 'de': the corpus has other words than the model",
        ),
        (
            lambda _: fitted({"en": 30}, make_corpus(views=("en", "image")).select(["image"])),
            "no view has words",
        ),
        (lambda _: Sampler({"en": bags([], size=3)}, np.ones(2), {"en": 1.0}), "no token"),
        (
            lambda _: Sampler(
                {"en": bags([0], [1], size=3), "de": bags([0], size=2)},
                np.ones(2),
                {"en": 1.0, "de": 1.0},
            ),
            r"every language needs a row per tuple, and their rows are \[2, 1\]",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused_naming_what_is_wrong(small, make, message):
    with pytest.raises(DataError, match=message):
        make(small)


def test_a_saved_model_comes_back_whole_and_the_same_model_gives_the_same_bytes(tmp_path, small):
    for name in ("a", "b"):
        model, _ = sampled(small, optimize_every=2, burn_in=2)
        model.save(tmp_path / name)
    loaded = PLTM.load(tmp_path / "a")
    loaded.save(tmp_path / "c")
    files = [(tmp_path / name).read_bytes() for name in sorted(os.listdir(tmp_path))]
    assert len(files) == 3 and files[0] == files[1] == files[2]
    assert same_model(loaded, model) and list(loaded.counts) == list(model.counts)
    for name, view in small.views.items():
        assert loaded.vocabularies[name] == list(view.vocabulary)
        theta = loaded.infer(view.bow, name)
        np.testing.assert_array_equal(theta, model.infer(view.bow, name))
        assert loaded.top_words(name) == model.top_words(name)
    assert loaded.alpha.dtype == np.float64 and loaded.counts["en"].dtype == np.int32


@pytest.mark.parametrize("damage", ["empty", "truncated", "an array is missing", "a word too few"])
def test_a_broken_model_is_named(tmp_path, damage):
    path = tmp_path / "m.safetensors"
    PLTM({"en": 3, "de": 2}, 2).save(path)
    data = path.read_bytes()
    if damage == "an array is missing":
        write_tensors(path, {"alpha": np.ones(2)}, {"beta": {"en": 0.1}, "vocabularies": {}})
    elif damage == "a word too few":
        about = {"beta": {"en": 0.1}, "vocabularies": {"en": ["a", "b"]}}
        write_tensors(path, {"alpha": np.ones(2), "counts.en": np.ones((2, 3), np.int32)}, about)
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-3])
    with pytest.raises(DataError, match=re.escape(str(path))) as refused:
        PLTM.load(path)
    assert damage != "a word too few" or "2 words of 'en', which has 3" in str(refused.value)
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(DataError, match="no such file"):
        PLTM.load(tmp_path / "none")
