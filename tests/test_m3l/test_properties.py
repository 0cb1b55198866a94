"""What holds for any corpus, metric and loss, and not for the examples of other tests alone."""

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from m3l import loss
from m3l.corpus import Corpus, View
from m3l.metrics import (
    chance,
    estimate,
    holm,
    jensen_shannon,
    jensen_shannon_matrix,
    npmi,
    retrieval_from,
    topic_diversity,
)
from m3l.text import bag_of_words, learn_vocabulary

seeds = st.integers(0, 2**32 - 1)


@st.composite
def corpora(draw):
    """A corpus of one to three views, whose tuples have some of them; items may be shared."""
    random = np.random.default_rng(draw(seeds))
    n, views = draw(st.integers(1, 12)), draw(st.sampled_from([1, 2, 3]))
    there = random.random((n, views)) < draw(st.floats(0.3, 1.0))
    there[np.arange(n), random.integers(views, size=n)] = True
    built = {}
    for place, name in enumerate(("en", "de", "image")[:views]):
        own = np.flatnonzero(there[:, place])
        index = np.full(n, -1, dtype=np.int64)
        # an item for each tuple that has the view: no item in two parts
        index[own] = np.arange(len(own))
        vectors = random.standard_normal((len(own), 3)).astype(np.float32)
        built[name] = View(name, vectors, index, [f"{name}-{i}" for i in own])
    ids = [f"t{i}" for i in range(n)]
    return Corpus("any", built, ids, ids, random.choice(["train", "test"], size=n))


def rows_of(corpus):
    """Each tuple as what it holds: its id and the vector of each view that it has."""
    return {
        tuple_id: {
            name: view.embeddings[view.index[row]].tobytes()
            for name, view in corpus.views.items()
            if view.index[row] >= 0
        }
        for row, tuple_id in enumerate(corpus.tuple_ids)
    }


@given(corpora(), seeds)
def test_a_subset_holds_the_chosen_tuples_as_they_were(corpus, seed):
    chosen = np.random.default_rng(seed).random(len(corpus)) < 0.5
    assume(chosen.any())
    part = corpus.subset(chosen)
    assert rows_of(part) == {
        tuple_id: row
        for tuple_id, row in rows_of(corpus).items()
        if tuple_id in set(np.asarray(corpus.tuple_ids)[chosen])
    }
    for view in part.views.values():
        assert len(view.embeddings) == len(set(view.index[view.index >= 0].tolist()))
    assert corpus.subset(np.ones(len(corpus), bool)).fingerprint() == corpus.fingerprint()


@given(corpora())
def test_parts_of_a_corpus_are_the_whole(corpus):
    splits = [split for split in ("train", "test") if split in set(corpus.split)]
    parts = [rows_of(corpus.part(split)) for split in splits]
    assert sum(map(len, parts)) == len(corpus)
    assert {key: row for part in parts for key, row in part.items()} == rows_of(corpus)


@given(corpora(), st.data())
def test_tuples_having_views_have_them_and_no_other_tuple_does(corpus, data):
    views = data.draw(st.lists(st.sampled_from(list(corpus.views)), min_size=1, unique=True))
    having = {key for key, row in rows_of(corpus).items() if set(views) <= set(row)}
    assume(having)
    assert set(rows_of(corpus.having(views))) == having


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), max_size=8), st.integers(1, 8))
def test_a_bag_holds_every_token_of_the_vocabulary_and_no_other(documents, size):
    words = {word for document in documents for word in document}
    assume(words)
    vocabulary = learn_vocabulary(documents, min(size, len(words)), frozenset(), "xx")
    bags = bag_of_words(documents, vocabulary).toarray()
    counted = [[document.count(word) for word in vocabulary] for document in documents]
    assert bags.tolist() == counted
    rest = words - set(vocabulary)
    frequency = {word: sum(d.count(word) for d in documents) for word in words}
    assert all(frequency[v] >= frequency[r] for v in vocabulary for r in rest)


def distributions(random, n, k):
    """Rows that sum to 1, from nearly one topic each to nearly flat."""
    return random.dirichlet(np.full(k, random.choice([0.05, 1.0, 20.0])), size=n)


@given(seeds, st.integers(1, 6), st.integers(2, 9))
def test_jensen_shannon_is_a_bounded_symmetric_divergence(seed, n, k):
    random = np.random.default_rng(seed)
    p, q = distributions(random, n, k), distributions(random, n, k)
    value = jensen_shannon(p, q)
    assert ((value >= 0) & (value <= np.log(2) + 1e-12)).all()
    np.testing.assert_allclose(value, jensen_shannon(q, p), atol=1e-12)
    np.testing.assert_allclose(jensen_shannon(p, p), 0, atol=1e-12)
    order = random.permutation(k)
    np.testing.assert_allclose(value, jensen_shannon(p[:, order], q[:, order]), atol=1e-12)
    (_, matrix), *_ = jensen_shannon_matrix(p, q)
    np.testing.assert_allclose(np.diag(matrix), value, atol=1e-9)


@given(seeds, st.integers(1, 5), st.integers(1, 9))
def test_retrieval_does_not_depend_on_the_order_of_items(seed, queries, items):
    random = np.random.default_rng(seed)
    # few values, so that many are equally far
    distance = random.integers(4, size=(queries, items)).astype(float)
    relevant = [set(np.flatnonzero(random.random(items) < 0.4).tolist()) for _ in range(queries)]
    assume(any(relevant))
    order = random.permutation(items)
    place = np.argsort(order)
    a = retrieval_from(distance, relevant)
    b = retrieval_from(distance[:, order], [{int(place[i]) for i in own} for own in relevant])
    for score in ("reciprocal_rank", "average_precision"):
        np.testing.assert_allclose(a[score], b[score], atol=1e-12)
        assert ((a[score] >= 1 / items / 2) & (a[score] <= 1 + 1e-12)).all()
    equal = retrieval_from(np.zeros_like(distance), relevant)
    np.testing.assert_allclose(equal["reciprocal_rank"].mean(), equal["chance_rr"])
    np.testing.assert_allclose(equal["average_precision"].mean(), equal["chance_ap"])


@given(st.integers(1, 40), st.data())
def test_chance_grows_with_what_is_relevant_and_is_certain_of_all(items, data):
    relevant = data.draw(st.integers(1, items))
    rr, ap = chance(relevant, items)
    assert 0 < ap <= 1 + 1e-12 and 0 < rr <= 1 + 1e-12
    if relevant < items:
        more = chance(relevant + 1, items)
        assert more[0] > rr and more[1] > ap
    else:
        assert abs(rr - 1) < 1e-12 and abs(ap - 1) < 1e-12


@given(
    arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 8)), elements=st.floats(-5, 5)),
    st.floats(-3, 3),
    st.floats(0.1, 3),
)
def test_an_estimate_moves_and_scales_with_its_values(values, shift, factor):
    first = estimate([values], [1.0])
    low, high = first.interval()
    assert low <= first.value <= high
    moved = estimate([values], [factor], constant=shift)
    assert np.isclose(moved.value, factor * first.value + shift, atol=1e-9)
    assert np.isclose(moved.error, factor * first.error, atol=1e-9)
    wider = first.interval(0.99)
    assert wider[0] <= low and wider[1] >= high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_p_values_are_no_smaller_and_in_the_same_order(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=1, max_size=6))
def test_coherence_lies_between_minus_one_and_one(documents):
    words = sorted({word for document in documents for word in document})
    assume(len(words) > 1)
    (value,) = npmi([words], documents)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    assert topic_diversity([words, words]) == 0.5


@given(seeds, st.integers(1, 6), st.integers(2, 6))
def test_divergences_of_posteriors_are_positive_and_zero_of_equal_ones(seed, n, k):
    random = torch.Generator().manual_seed(seed % 2**31)
    mean_p, mean_q, s_p, s_q = torch.randn((4, n, k), generator=random, dtype=torch.float64)
    value = loss.gaussian_kl(mean_p, s_p, mean_q, s_q)
    assert (value >= 0).all()
    assert loss.gaussian_kl(mean_p, s_p, mean_p, s_p).abs().max() < 1e-12
    log_p, log_q = mean_p.log_softmax(-1), mean_q.log_softmax(-1)
    assert (loss.categorical_kl(log_p, log_q) >= -1e-12).all()
    assert loss.categorical_kl(log_p, log_p).abs().max() < 1e-12


@given(
    seeds,
    st.integers(2, 7),
    st.integers(2, 6),
    st.sampled_from(["dot", "cosine"]),
    st.sampled_from(["cross_view", "both_views"]),
)
def test_the_contrast_depends_on_pairs_alone(seed, n, k, similarity, negatives):
    random = torch.Generator().manual_seed(seed % 2**31)
    a, b = torch.randn((2, n, k), generator=random, dtype=torch.float64).softmax(-1)
    how = {"temperature": 0.07, "similarity": similarity, "negatives": negatives}
    value = loss.info_nce(a, b, **how)
    assert (value >= 0).all()
    order = torch.randperm(n, generator=random)
    again = loss.info_nce(a[order], b[order], **how)
    torch.testing.assert_close(value.sum(), again.sum())
    torch.testing.assert_close(value.sum(), loss.info_nce(b, a, **how).sum())
    columns = torch.randperm(k, generator=random)
    torch.testing.assert_close(value, loss.info_nce(a[:, columns], b[:, columns], **how))


@given(seeds, st.integers(1, 5), st.integers(2, 8))
def test_reconstruction_counts_words_and_is_least_for_their_own_shares(seed, n, v):
    random = torch.Generator().manual_seed(seed % 2**31)
    logits = torch.randn((n, v), generator=random, dtype=torch.float64)
    bow = torch.randint(0, 5, (n, v), generator=random).double()
    value = loss.reconstruction(logits, bow)
    assert (value >= 0).all()
    torch.testing.assert_close(value, loss.reconstruction(logits + 3, bow))
    torch.testing.assert_close(2 * value, loss.reconstruction(logits, 2 * bow))
    best = (bow / bow.sum(-1, keepdim=True).clamp(min=1) + 1e-12).log()
    assert (loss.reconstruction(best, bow) <= value + 1e-9).all()
