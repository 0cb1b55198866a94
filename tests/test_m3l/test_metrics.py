import math
import tracemalloc
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import t as student_t

from m3l import DataError, ParameterError
from m3l.metrics import (
    chance,
    cosine_matrix,
    estimate,
    holm,
    interval_of_mean,
    jensen_shannon,
    jensen_shannon_matrix,
    modality_gap,
    nearest_both_ways,
    neighbour_overlap,
    npmi,
    rank_scores,
    relevance,
    retrieval,
    topic_diversity,
    topic_recovery,
)
from m3l.metrics.ranking import retrieval_from

seeds = st.integers(0, 2**32 - 1)


def simplex(n, k, seed=0, concentration=0.5):
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration), n)


def whole(blocks):
    return np.concatenate([block for _, block in blocks])


# distances


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jensen_shannon_is_that_of_scipy_squared_in_nats(dtype):
    p = np.vstack([simplex(9, 6), simplex(9, 6, 1, 0.01), np.eye(6), np.full((1, 6), 1 / 6)])
    p, q = p.astype(dtype), np.vstack([simplex(8, 6, seed=2), np.eye(6)]).astype(dtype)
    expected = np.array([[jensenshannon(a, b, base=math.e) ** 2 for b in q] for a in p])
    expected = np.nan_to_num(expected)  # scipy's root of a rounded difference below zero
    atol = 1e-12 if dtype is np.float64 else 1e-7
    np.testing.assert_allclose(whole(jensen_shannon_matrix(p, q)), expected, atol=atol)
    np.testing.assert_array_equal(
        whole(jensen_shannon_matrix(q, p)), whole(jensen_shannon_matrix(p, q)).T
    )
    np.testing.assert_allclose(jensen_shannon(p[:, None], q[None]), expected, atol=atol)
    one = whole(jensen_shannon_matrix(np.eye(5), np.eye(5)))
    np.testing.assert_allclose(one, math.log(2) * (1 - np.eye(5)), atol=1e-15)
    near = p + 1e-9 * simplex(len(p), 6, seed=3)
    assert whole(jensen_shannon_matrix(p, near / near.sum(axis=1, keepdims=True))).min() >= 0
    many = simplex(1000, 50)
    assert jensen_shannon(many, np.nextafter(many, 1)).min() == 0  # what rounds below it


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_is_between_0_and_ln_2_and_0_from_itself(dtype):
    edges = np.vstack([np.eye(6), np.full((1, 6), 1 / 6)])
    p = np.vstack([simplex(40, 6, concentration=0.01), edges]).astype(dtype)
    distance = whole(jensen_shannon_matrix(p, p))
    assert distance.min() >= 0 and distance.max() <= math.log(2) + 1e-6
    np.testing.assert_allclose(distance.diagonal(), 0, atol=1e-12)


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 5000, 1 << 30])
def test_chunks_change_nothing(chunk_bytes):
    p, q = simplex(23, 5), simplex(11, 5, seed=1)
    blocks = list(jensen_shannon_matrix(p, q, chunk_bytes))
    assert [start for start, _ in blocks] == list(np.cumsum([0] + [len(b) for _, b in blocks])[:-1])
    np.testing.assert_array_equal(whole(blocks), whole(jensen_shannon_matrix(p, q)))
    assert all(len(b) == 1 or b.nbytes <= chunk_bytes for _, b in blocks)


def test_distances_are_the_same_whatever_the_threads():
    p, q = simplex(50, 90, concentration=0.05), simplex(431, 90, seed=1)
    p[3], threads, found = np.eye(90)[2], torch.get_num_threads(), []
    try:
        for number in (1, 3, 9):
            torch.set_num_threads(number)
            found.append(list(jensen_shannon_matrix(p, q, 20_000)))
    finally:
        torch.set_num_threads(threads)
    for blocks in found:
        assert [start for start, _ in blocks] == list(range(0, 50, 5))
        np.testing.assert_array_equal(whole(blocks), whole(found[0]))
    np.testing.assert_array_equal(whole(found[0]), whole(jensen_shannon_matrix(q, p)).T)


def test_memory_stays_near_the_chunk():
    # as one array of pairs and topics 32 MB
    p, q, chunk = simplex(400, 20), simplex(500, 20, seed=1), 1 << 20
    tracemalloc.start()
    for _ in jensen_shannon_matrix(p, q, chunk):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * chunk


def test_arrays_of_different_numbers_of_topics_are_refused():
    for matrix in (jensen_shannon_matrix, cosine_matrix):
        with pytest.raises(DataError, match=r"\(3, 4\) and \(3, 5\)"):
            list(matrix(simplex(3, 4), simplex(3, 5)))


def test_cosine_distance_is_one_minus_cosine():
    p, q = np.random.default_rng(0).standard_normal((2, 6, 4))
    expected = [[1 - a @ b / np.sqrt((a @ a) * (b @ b)) for b in q] for a in p]
    np.testing.assert_allclose(whole(cosine_matrix(p, q)), expected, atol=1e-12)
    assert np.isfinite(whole(cosine_matrix(np.zeros((2, 4)), q))).all()


# scores of a ranking


def by_enumeration(distance, relevant):
    """Mean reciprocal rank and average precision over every order of the items that sorts the
    distances.
    """
    rr, ap = [], []
    for order in permutations(range(len(distance))):
        if any(distance[a] > distance[b] for a, b in pairwise(order)):
            continue
        ranks = [i + 1 for i, item in enumerate(order) if relevant[item]]
        rr.append(1 / ranks[0])
        ap.append(sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(ranks))
    return np.mean(rr), np.mean(ap)


@given(seeds, st.integers(1, 7), st.integers(1, 4))
def test_scores_are_expectations_over_orders_of_ties(seed, n, levels):
    rng = np.random.default_rng(seed)
    distance, relevant = rng.integers(0, levels, n).astype(float), rng.random(n) < rng.random()
    relevant[rng.integers(n)] = True
    expected = by_enumeration(distance, relevant)
    assert rank_scores(distance, relevant) == pytest.approx(expected, abs=1e-12)


def test_scores_without_ties_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

    for seed in range(20):
        rng = np.random.default_rng(seed)
        distance, relevant = rng.permutation(50) / 7, rng.random(50) < 0.2
        relevant[3] = True
        rr, ap = rank_scores(distance, relevant)
        assert ap == pytest.approx(average_precision_score(relevant, -distance))
        assert rr == pytest.approx(1 / (1 + relevant[np.argsort(distance)].argmax()))
        # with one relevant item scikit-learn's label ranking average precision is both
        one = np.arange(50) == rng.integers(50)
        expected = label_ranking_average_precision_score([one], [-distance])
        assert rank_scores(distance, one) == pytest.approx((expected, expected), abs=1e-12)


def test_rankings_at_the_edges():
    for n in (1, 2, 7, 300):
        everything, last = np.ones(n, dtype=bool), np.arange(n) == n - 1
        for distance in (np.arange(n) / 3, np.zeros(n)):
            assert rank_scores(distance, everything) == pytest.approx((1, 1)), "all are relevant"
        assert rank_scores(np.arange(n) / 3, last) == pytest.approx((1 / n, 1 / n))
        tied = sum(1 / i for i in range(1, n + 1)) / n  # the mean over every place
        assert chance(1, n) == rank_scores(np.zeros(n), last) == pytest.approx((tied, tied))
    for relevant in (1, 3, 5000, 9999, 10000):
        rr, ap = chance(relevant, 10000)
        assert 0 < ap <= 1 and 0 < rr <= 1, "large groups of ties are finite"
    assert chance(10000, 10000) == pytest.approx((1, 1))
    assert chance(2, 5) == pytest.approx(by_enumeration([0] * 5, [True, True, False, False, False]))


# retrieval


def test_perfect_alignment_scores_1():
    theta = simplex(20, 5)
    for distance in (jensen_shannon_matrix, cosine_matrix):
        scores = retrieval(theta, theta, distance=distance)
        assert (
            scores["reciprocal_rank"].tolist() == scores["average_precision"].tolist() == [1.0] * 20
        )
        assert scores["first"].tolist() == scores["query"].tolist() == list(range(20))


@pytest.mark.parametrize("distance", [jensen_shannon_matrix, cosine_matrix])
def test_equal_topics_for_all_score_exactly_chance(distance):
    for n in (2, 3, 5, 6, 9, 10, 13, 22, 27, 30, 64):
        expected = sum(1 / i for i in range(1, n + 1)) / n
        for k in (2, 7, 50, 100):
            same, other = (np.tile(simplex(1, k, seed=n * k + extra), (n, 1)) for extra in (0, 1))
            for items in (same, other):
                scores = retrieval(same, items, distance=distance)
                for name in ("reciprocal_rank", "average_precision", "chance_rr", "chance_ap"):
                    np.testing.assert_allclose(scores[name], expected, rtol=1e-9)


def test_random_topics_score_what_theory_says():
    n, harmonic = 200, sum(1 / i for i in range(1, 201))
    actual = [retrieval(simplex(n, 10, seed), simplex(n, 10, 1000 + seed)) for seed in range(10)]
    scores = np.concatenate([found["reciprocal_rank"] for found in actual])
    # one relevant item of n at rank R, uniform: E[1/R] = H_n / n
    spread = np.std(1 / np.arange(1, n + 1)) / math.sqrt(len(scores))
    assert abs(scores.mean() - harmonic / n) < 5 * spread < harmonic / n
    for found in actual:
        assert (found["chance_rr"], found["chance_ap"]) == pytest.approx((harmonic / n,) * 2)


def test_random_topics_with_several_relevant_items_score_chance():
    rng, n, r = np.random.default_rng(0), 60, 4
    relevant = [set(rng.choice(n, r, replace=False).tolist()) for _ in range(3000)]
    actual = retrieval(simplex(3000, 8), simplex(n, 8, 1), relevant)
    for name, expected in zip(("reciprocal_rank", "average_precision"), chance(r, n), strict=True):
        assert actual[name].mean() == pytest.approx(expected, rel=0.05)
    assert (actual["chance_rr"], actual["chance_ap"]) == pytest.approx(chance(r, n))
    # P(no relevant item before rank i) = C(n-i+1, r) / C(n, r)
    first_at = [math.comb(n - i, r - 1) / math.comb(n, r) for i in range(1, n - r + 2)]
    assert sum(first_at) == pytest.approx(1)
    assert actual["chance_rr"] == pytest.approx(sum(p / i for i, p in enumerate(first_at, 1)))
    # AP of a random order: each rank i holds a relevant item with r/n, and then (r-1)/(n-1) of
    # those before it
    expected = sum((1 + (i - 1) * (r - 1) / (n - 1)) / i for i in range(1, n + 1)) / n
    assert actual["chance_ap"] == pytest.approx(expected)


def test_several_relevant_items_by_hand():
    items = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    scores = retrieval(
        np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), items, [{1, 3}, {3, 2}, set()]
    )
    np.testing.assert_allclose(scores["reciprocal_rank"], [1 / 2, 1])
    np.testing.assert_allclose(scores["average_precision"], [(1 / 2 + 2 / 4) / 2, 1])
    assert scores["query"].tolist() == [0, 1] and scores["first"].tolist() == [0, 3]
    assert (scores["chance_rr"], scores["chance_ap"]) == pytest.approx(chance(2, 4))


def test_queries_without_relevant_items_are_left_out_of_chance_too():
    theta = simplex(4, 3)
    scores = retrieval(theta, theta, [{0}, set(), {2, 1, 0}, set()])
    assert scores["query"].tolist() == [0, 2] and len(scores["reciprocal_rank"]) == 2
    expected = (np.array(chance(3, 4)) + chance(1, 4)) / 2
    assert (scores["chance_rr"], scores["chance_ap"]) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: retrieval(x, x[:3]), "4 queries and 3 items: say which are relevant"),
        (lambda x: retrieval(x, x, [{0}, {1}]), "2 sets of relevant items for 4 queries"),
        (lambda x: retrieval_from(x, [{0}] * 3), "3 sets of relevant items for 4 queries"),
        (lambda x: retrieval_from(iter(x), [{0}] * 5), "5 sets of relevant items for 4 queries"),
        (lambda x: retrieval_from(iter([]), [{0}]), "1 sets of relevant items for 0 queries"),
        (lambda x: retrieval(x, x, [set()] * 4), "no query has a relevant item"),
        (lambda x: retrieval(x, x * [[1], [1], [np.nan], [1]]), "query 0: .* NaN or infinity"),
        (lambda x: retrieval(x * [[1], [1], [np.nan], [1]], x), "query 2: .* NaN or infinity"),
        (lambda x: retrieval(x * np.inf, x, distance=cosine_matrix), "query 0: .* NaN"),
        (lambda _: chance(0, 3), "0 of 3: expected 1 or more"),
        (lambda _: nearest_both_ways([], 3), "no block of distances"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message):
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match=message):
        call(simplex(4, 3))


def test_items_of_several_articles_are_relevant_to_each():
    assert relevance([{"A"}, {"B"}, {"C"}, set(), {"A", "B"}], [{"A", "B"}, {"B"}, {"D"}]) == [
        {0},
        {0, 1},
        set(),
        set(),
        {0, 1},
    ]
    assert relevance([{"A"}], [set()]) == [set()]
    queries, items = np.eye(3)[[0, 1]], np.eye(3)
    scores = retrieval(queries, items, relevance([{"A"}, {"B"}], [{"A", "B"}, {"B"}, {"A"}]))
    # query 0: item 0 first, items 1 and 2 tied, 2 relevant; query 1: item 1 first, items 0 and 2
    # tied, 0 relevant
    np.testing.assert_allclose(scores["reciprocal_rank"], [1, 1])
    np.testing.assert_allclose(scores["average_precision"], [(1 + (2 / 2 + 2 / 3) / 2) / 2] * 2)


@pytest.mark.parametrize("n", [1, 3, 9, 50])
@pytest.mark.parametrize("levels", [3, 1000])
def test_nearest_both_ways_are_those_of_a_whole_sort(n, levels):
    """With few levels many distances are equal; they are in order of their number."""
    distance = np.random.default_rng(0).integers(levels, size=(40, 25)) / levels
    blocks = [(start, distance[start : start + 7]) for start in range(0, 40, 7)]
    there, back = nearest_both_ways(blocks, n)
    np.testing.assert_array_equal(there, np.argsort(distance, axis=1, kind="stable")[:, :n])
    np.testing.assert_array_equal(back, np.argsort(distance.T, axis=1, kind="stable")[:, :n])


def test_retrieval_from_blocks_is_that_from_the_whole():
    distance = np.random.default_rng(1).random((30, 12)).round(1)
    relevant = [{i % 12} if i % 4 else set() for i in range(30)]
    at_once = retrieval_from(distance, relevant)
    blocks = [distance[start : start + 8] for start in range(0, 30, 8)]
    for found in (
        retrieval_from((row for block in blocks for row in block), relevant),
        retrieval(distance, distance, relevant, lambda *_: enumerate(blocks)),
    ):
        for key, value in at_once.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_relevant_rows_may_be_arrays_and_vectors_lists():
    theta = np.random.default_rng(1).dirichlet(np.ones(3), size=4)
    expected = retrieval(theta, theta)
    for relevant in (np.arange(4)[:, None], [[i, i] for i in range(4)], None):
        found = retrieval(theta.tolist(), theta.tolist(), relevant)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
    assert modality_gap(theta.tolist(), theta.tolist()) == 0.0


def test_retrieval_holds_one_block_of_distances_at_a_time():
    theta = np.random.default_rng(0).dirichlet(np.full(5, 0.1), size=1500)
    tracemalloc.start()
    retrieval(theta, theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9 << 20, "the whole matrix would be 17 MiB"


# uncertainty


def test_the_interval_of_a_mean_is_the_t_interval_and_none_of_one_unit():
    values = np.random.default_rng(0).exponential(size=200)
    low, high = interval_of_mean(values)
    half = student_t.isf(0.025, 199) * values.std(ddof=1) / math.sqrt(200)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))
    narrow = estimate([values[None]], [1.0]).interval(0.5)
    assert low < narrow[0] < narrow[1] < high
    assert interval_of_mean(np.full(5, 0.25)) == (0.25, 0.25)
    assert interval_of_mean([0.3]) is None
    assert interval_of_mean([0.3, 0.4], units=["a", "a"]) is None


def test_measurements_of_one_article_are_one_draw():
    rng = np.random.default_rng(2)
    one_each = rng.random(50)
    three_each = np.repeat(one_each, 3)
    articles = np.repeat(np.arange(50), 3)
    assert interval_of_mean(three_each, articles) == pytest.approx(interval_of_mean(one_each))
    as_if_apart = estimate([three_each[None]], [1.0])
    assert as_if_apart.error < 0.6 * estimate([three_each[None]], [1.0], articles).error
    shuffled = rng.permutation(150)
    names = np.array([f"article {a}" for a in articles])[shuffled]
    again = estimate([three_each[shuffled][None]], [1.0], names)
    assert again.error == pytest.approx(estimate([three_each[None]], [1.0], articles).error)


def test_by_hand_two_articles_and_two_seeds():
    """Seeds' means 0.3 and 0.5; articles' means 0.2, 0.6, the second with two measurements."""
    values = np.array([[0.1, 0.4, 0.4], [0.3, 0.6, 0.6]])
    found = estimate([values], [2.0], units=["a", "b", "b"], constant=1.0)
    mean = values.mean()
    over_articles = 2 * ((0.2 - mean) ** 2 + (2 * 0.5 - 2 * mean) ** 2) / 9
    over_seeds = np.var([0.3, 0.5], ddof=1) / 2
    assert found.value == pytest.approx(2 * mean + 1) and found.seeds == 2
    assert found.error**2 == pytest.approx(4 * (over_articles + over_seeds))
    expected = (over_articles + over_seeds) ** 2 / (over_articles**2 + over_seeds**2)
    assert found.freedom == pytest.approx(expected)
    low, high = found.interval()
    half = student_t.isf(0.025, expected) * found.error
    assert (low, high) == pytest.approx((found.value - half, found.value + half))


def test_the_interval_of_a_difference_widens_with_the_spread_of_seeds_and_cancels_hard_queries():
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    a, b = (
        hard + 0.1 + 0.01 * rng.standard_normal((3, 300)),
        hard + 0.01 * rng.standard_normal((3, 300)),
    )
    low, high = estimate([a, b], [1, -1]).interval()
    assert low < a.mean() - b.mean() < high and high - low < 0.01
    unpaired = estimate([a, b], [1, -1], paired=False).interval()
    assert unpaired[1] - unpaired[0] > 10 * (high - low)
    shaken = a + np.array([[-0.2], [0.0], [0.2]])
    wide = estimate([shaken, b], [1, -1])
    assert wide.interval()[0] < 0 < wide.interval()[1]
    assert wide.freedom == pytest.approx(2, abs=0.1), "nearly all of it is three seeds"


def test_a_p_value_and_an_interval_say_the_same():
    values = np.random.default_rng(4).normal(0.1, 1.0, (3, 200))
    found = estimate([values], [1.0])
    for level in (0.5, 0.8, 0.95, 0.999):
        low, high = found.interval(level)
        assert (found.p_value < 1 - level) == (low > 0 or high < 0)
    assert found.interval(1 - found.p_value)[0] == pytest.approx(0, abs=1e-9)
    assert estimate([np.ones((2, 3))], [1.0]).p_value == 0.0
    assert estimate([np.zeros((2, 3))], [1.0]).p_value == 1.0
    with pytest.raises(ParameterError, match="level=1"):
        found.interval(1)


def simulated(rng, seeds, units, truth, of_seed, of_both):
    """A value of each seed and unit: the truth, and what the seed, the unit and both together add;
    what a unit adds to every model, and to each one.
    """
    unit = rng.standard_normal(units)
    return [
        mean
        + unit
        + 0.5 * rng.standard_normal(units)
        + of_seed * rng.standard_normal((s, 1))
        + of_both * rng.standard_normal((s, units))
        for s, mean in zip(seeds, truth, strict=True)
    ]


@pytest.mark.parametrize(
    ("seeds", "weights"),
    [
        ((5,), (1.0,)),
        ((12,), (1.0,)),
        ((12, 12), (1.0, -1.0)),
        ((5, 5), (1.0, -1.0)),
        ((3, 3), (1.0, -1.0)),
        ((12, 9, 15), (1.0, -0.5, -0.5)),
    ],
)
@pytest.mark.parametrize(("of_seed", "of_both"), [(0.3, 0.3), (0.1, 2.0), (0.0, 1.0)])
def test_the_interval_of_a_combination_holds_the_truth_as_often_as_it_says(
    seeds, weights, of_seed, of_both
):
    truth, trials = np.array([0.7, 0.4, -0.2])[: len(seeds)], 1000
    rng, hits = np.random.default_rng(11), 0
    for _ in range(trials):
        found = estimate(simulated(rng, seeds, 80, truth, of_seed, of_both), weights)
        low, high = found.interval()
        hits += low < truth @ np.array(weights) < high
    # 94 to 96 % and two standard errors of 1,000 trials; three seeds say little of the parts of
    # the variance, and the interval errs to the wide side
    assert 0.926 <= hits / trials <= (0.974 if min(seeds) > 3 else 0.985)


def test_components_of_variance_are_those_of_the_two_way_table():
    """By the mean squares of a table of seeds and units, as textbooks have them."""
    rng = np.random.default_rng(8)
    x = 0.5 * rng.standard_normal((4, 1)) + rng.standard_normal(60) + rng.standard_normal((4, 60))
    (s, n), mean = x.shape, x.mean()
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    both = ((x - rows[:, None] - columns + mean) ** 2).sum() / ((s - 1) * (n - 1))
    seeds = n * rows.var(ddof=1)
    units = s * columns.var(ddof=1)
    found = estimate([x], [1.0])
    assert found.of_seeds == pytest.approx((seeds - both) / (s * n))
    assert found.of_both == pytest.approx(both / (s * n))
    assert found.of_units == pytest.approx((units - both) / (s * n))
    assert found.error**2 == pytest.approx((seeds + units - both) / (s * n))
    low = (seeds + units - both) ** 2 / (
        seeds**2 / (s - 1) + units**2 / (n - 1) + both**2 / ((s - 1) * (n - 1))
    )
    assert found.freedom == pytest.approx(low)
    flat = estimate([x - rows[:, None]], [1.0])
    assert flat.of_seeds == 0.0 and flat.error**2 == pytest.approx(flat.of_units + flat.of_both)


def test_topics_are_other_topics_with_each_seed_and_count_as_such():
    """The mean of S · K topics that are drawn anew with each seed varies as the seeds' means do."""
    rng, hits = np.random.default_rng(2), 0
    for _ in range(600):
        a, b = (0.1 * rng.standard_normal((5, 1)) + rng.standard_normal((5, 40)) for _ in "ab")
        low, high = estimate([a, b], [1.0, -1.0], paired=False).interval()
        hits += low < 0 < high
    assert 0.93 <= hits / 600 <= 0.98


def test_two_one_sided_tests_say_what_the_90_percent_interval_says():
    rng = np.random.default_rng(6)
    for mean in (0.0, 0.01, 0.03, -0.02):
        found = estimate([mean + 0.2 * rng.standard_normal((3, 500))], [1.0])
        for margin in (0.005, 0.02, 0.05):
            low, high = found.interval(0.9)
            assert (found.p_equal(margin) <= 0.05) == (low >= -margin and high <= margin)
    exact = estimate([np.full((2, 3), 0.01)], [1.0])
    assert exact.p_equal(0.02) == 0.0 and exact.p_equal(0.005) == 1.0


@pytest.mark.parametrize(("gap", "fewest", "most"), [(0, 0.9, 1), (0.02, 0, 0.07), (0.05, 0, 0)])
def test_of_models_at_the_margin_a_twentieth_is_called_equal(gap, fewest, most):
    rng, equal = np.random.default_rng(1), 0
    for _ in range(500):
        values = [
            mean + 0.005 * rng.standard_normal((5, 1)) + 0.05 * rng.standard_normal((5, 400))
            for mean in (0.4 + gap, 0.4)
        ]
        equal += estimate(values, [1.0, -1.0]).p_equal(0.02) <= 0.05
    assert fewest <= equal / 500 <= most


def test_unpaired_arrays_may_be_of_different_units():
    rng, hits = np.random.default_rng(5), 0
    for _ in range(300):
        a, b = 0.5 + rng.standard_normal((1, 50)), 0.1 + 2 * rng.standard_normal((1, 130))
        low, high = estimate([a, b], [1, -1], paired=False).interval()
        hits += low < 0.4 < high
    assert 0.90 <= hits / 300 <= 0.985
    width = 2 * 1.96 * math.sqrt(1 / 50 + 4 / 130)
    assert high - low == pytest.approx(width, rel=0.25)


def test_weights_scale_an_interval_and_a_model_against_itself_is_nothing():
    values = np.random.default_rng(0).exponential(size=100)
    low, high = interval_of_mean(values)
    assert estimate([values[None]], [3.0]).interval() == pytest.approx((3 * low, 3 * high))
    assert estimate([values[None]], [-1.0]).interval() == pytest.approx((-high, -low))
    assert estimate([values[None], values[None]], [1, -1]).interval() == pytest.approx((0, 0))
    assert estimate([np.full((3, 4), 0.25)], [2.0]).interval() == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    ("values", "weights", "options", "message"),
    [
        ([np.ones((2, 5)), np.ones((2, 4))], [1, -1], {}, "same units"),
        ([np.ones((2, 3))] * 2, [1, -1], {"units": [0, 0, 1], "paired": False}, "unit of its own"),
        ([np.ones((2, 5))], [1], {"units": ["a"] * 4}, "and 4 units"),
        ([np.ones((2, 5))], [1, -1], {}, "1 arrays and 2 weights"),
        ([], [], {}, "0 arrays and 0 weights"),
        ([np.ones(5)], [1], {}, r"expected arrays \(seeds, measurements\)"),
        ([np.ones((2, 0))], [1], {}, r"expected arrays \(seeds, measurements\)"),
        ([np.ones((2, 5)), np.ones((0, 4))], [1, -1], {"paired": False}, "expected arrays"),
        ([np.array([[1.0, np.nan]])], [1], {}, "NaN"),
        ([np.ones((3, 1))], [1], {}, "1 unit: an interval needs two or more"),
    ],
)
def test_what_cannot_be_combined_is_refused(values, weights, options, message):
    with pytest.raises(DataError, match=message):
        estimate(values, weights, **options)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2] and holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
    with pytest.raises(DataError, match="between 0 and 1"):
        holm([1.2])


# topics


def npmi_by_hand(topic, documents, window=10):
    windows = [
        set(d[i : i + window]) for d in documents for i in range(max(1, len(d) - window + 1))
    ]

    def share(*words):
        return sum(all(w in seen for w in words) for seen in windows) / len(windows)

    scores = []
    for a, b in combinations(topic, 2):
        together = share(a, b) + 1e-12
        scores.append(math.log(together / (share(a) * share(b))) / -math.log(together))
    return np.mean(scores)


def text(n=40, length=25, words=30, seed=0):
    """Documents in which no word stands twice."""
    rng = np.random.default_rng(seed)
    return [
        [f"w{i}" for i in rng.permutation(words)[: int(rng.integers(3, length))]] for _ in range(n)
    ]


def repetitive_text(n=60, length=60, words=8, seed=0):
    """Documents of few words again and again, many shorter than a window, some of one word."""
    rng = np.random.default_rng(seed)
    short = [
        ["w0"],
        ["w1"],
        ["other"],
        ["w0", "w0", "w0"],
        ["w1", "w2", "w1"],
        ["w3"] * 30,
        ["w4", *["other"] * 9, "w4"],
        [f"w{i}" for i in range(words)],
    ]
    return short + [
        [f"w{i}" for i in rng.integers(words + 3, size=rng.integers(1, length))] for _ in range(n)
    ]


REPEATED_TOPICS = [["w0", "w1", "w2"], ["w5", "w0", "w7", "w3"], ["w6", "w4"]]


def npmi_of_gensim(topics, documents, window=10):
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    model = CoherenceModel(
        topics=topics,
        texts=documents,
        dictionary=Dictionary(documents),
        coherence="c_npmi",
        window_size=window,
        processes=1,
    )
    return model.get_coherence_per_topic()


def test_npmi_is_that_of_windows_of_ten_words():
    documents = text()
    topics = [["w0", "w1", "w2"], ["w5", "w0", "w9", "w11"], ["w20", "w21", "w22"]]
    for top_n in (10, 2):
        expected = [npmi_by_hand(t[:top_n], documents) for t in topics]
        np.testing.assert_allclose(npmi(topics, documents, top_n), expected, atol=1e-9)
    expected = npmi_of_gensim(topics, documents)
    np.testing.assert_allclose(npmi(topics, documents), expected, atol=1e-9)


@pytest.mark.parametrize("window", [1, 2, 3, 10, 45])
def test_npmi_is_that_of_gensim_where_words_repeat(window):
    documents = [[], *repetitive_text(), [], []]
    np.testing.assert_allclose(
        npmi(REPEATED_TOPICS, documents, window=window),
        npmi_of_gensim(REPEATED_TOPICS, documents, window),
        atol=1e-9,
    )


def test_a_word_counts_as_gone_once_the_first_of_two_has_left_the_window_as_in_gensim():
    # windows of 3: {a b}, {b c}, {c}, and not {a b}, {a b c}, {a c}
    value = npmi([["b", "c"]], [["a", "b", "a", "c", "c"]], window=3)
    assert value == pytest.approx(math.log((1 / 3) / (2 / 3) ** 2) / -math.log(1 / 3))


@pytest.mark.parametrize(
    ("topics", "options", "error", "message"),
    [
        ([["a", "b"]], {"window": 0}, ParameterError, "window=0"),
        ([["a", "ghost"]], {}, DataError, "'ghost'"),
    ],
)
def test_coherence_that_cannot_be_measured_is_refused(topics, options, error, message):
    with pytest.raises(error, match=message):
        npmi(topics, [["a", "b"]], **options)


def test_npmi_is_1_for_words_always_together_near_minus_1_for_words_never_and_none_of_one_word():
    documents = [["a", "b"], ["a", "b"], ["c", "d"], ["c", "e"]]
    scores = npmi([["a", "b"], ["a", "c"], ["a"]], documents)
    assert scores[0] == pytest.approx(1, abs=1e-6) and -1 <= scores[1] < -0.9
    assert np.isnan(scores[2])


def test_words_beyond_the_first_do_not_count():
    documents = [["a", "b"], ["a", "b"], ["c"]]
    first = npmi([["a", "b", "ghost"]], documents, top_n=2)
    assert first == pytest.approx(npmi([["a", "b"]], documents))


def test_diversity_is_the_share_of_distinct_words():
    assert topic_diversity([["a", "b"], ["c", "d"]]) == 1
    assert topic_diversity([["a", "b"], ["a", "b"], ["a", "b"]]) == pytest.approx(1 / 3)
    assert topic_diversity([["a", "b", "c"], ["a", "d", "b"]], top_n=2) == pytest.approx(3 / 4)
    with pytest.raises(DataError, match="no topic has a word"):
        topic_diversity([[], []])


def test_recovery_matches_each_known_topic_once():
    truth, order = simplex(100, 6), np.random.default_rng(0).permutation(6)
    actual = topic_recovery(truth[:, order], truth)
    np.testing.assert_allclose(actual["correlation"], 1)
    assert order[actual["match"]].tolist() == list(range(6))
    fewer = topic_recovery(truth[:, [4, 1]], truth)
    assert fewer["match"].tolist() == [-1, 1, -1, -1, 0, -1]
    np.testing.assert_allclose(fewer["correlation"], [0, 1, 0, 0, 1, 0], atol=1e-12)
    more = topic_recovery(np.hstack([simplex(100, 3, seed=1), truth]), truth)
    assert more["match"].tolist() == list(range(3, 9))
    unrelated = topic_recovery(simplex(500, 6, seed=2), simplex(500, 6))
    assert np.abs(unrelated["correlation"]).max() < 0.3
    assert np.isfinite(topic_recovery(np.full((100, 6), 1 / 6), truth)["correlation"]).all()
    with pytest.raises(DataError, match="99 inferred and 100 known"):
        topic_recovery(truth[1:], truth)


def test_modality_gap_is_the_distance_of_centres_of_unit_vectors():
    a = np.array([[2.0, 0.0], [5.0, 0.0]])
    assert modality_gap(a, 3 * a) == pytest.approx(0.0)
    assert modality_gap(a, -a) == pytest.approx(2.0)
    assert modality_gap(a, a[:, ::-1]) == pytest.approx(2**0.5)
    rng = np.random.default_rng(0)
    assert modality_gap(rng.standard_normal((4000, 8)), rng.standard_normal((3000, 8))) < 0.05
    with pytest.raises(DataError, match="as many columns"):
        modality_gap(a, np.zeros((2, 3)))


def test_neighbour_overlap_is_what_scikit_learn_finds():
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(1)
    a = rng.standard_normal((80, 5))
    b = a + 0.7 * rng.standard_normal((80, 5))
    actual = [
        NearestNeighbors(n_neighbors=4, metric="cosine").fit(x).kneighbors(return_distance=False)
        for x in (a, b)
    ]
    assert neighbour_overlap(a, b, 4) == pytest.approx(
        np.mean([len(set(p) & set(q)) / 4 for p, q in zip(*actual, strict=True)])
    )
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    assert neighbour_overlap(a, 3 * a @ rotation, 10) == pytest.approx(1.0, abs=0.01)
    a, b = rng.standard_normal((300, 6)), rng.standard_normal((300, 9))
    assert neighbour_overlap(a, b, 10) == pytest.approx(10 / 299, abs=0.02), "chance"
    with pytest.raises(DataError, match="more than k"):
        neighbour_overlap(a[:10], a[:10], 10)
