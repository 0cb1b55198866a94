import math
import tracemalloc
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from m3l import DataError
from m3l.metrics import (
    bootstrap,
    bootstrap_difference,
    chance,
    cosine_matrix,
    jensen_shannon,
    jensen_shannon_matrix,
    npmi,
    rank_scores,
    relevance,
    retrieval,
    topic_diversity,
    topic_recovery,
)


def simplex(n, k, seed=0, concentration=0.5):
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration), n)


def whole(blocks):
    return np.concatenate([block for _, block in blocks])


# Jensen-Shannon divergence


def test_jensen_shannon_is_that_of_scipy_squared_in_nats():
    p, q = simplex(30, 7), simplex(30, 7, seed=1)
    expected = np.array([jensenshannon(a, b, base=math.e) ** 2 for a, b in zip(p, q, strict=True)])
    np.testing.assert_allclose(jensen_shannon(p, q), expected, atol=1e-12)
    np.testing.assert_allclose(whole(jensen_shannon_matrix(p, q)).diagonal(), expected, atol=1e-12)


def test_the_matrix_holds_every_pair():
    p, q = np.vstack([simplex(5, 4), np.eye(4)]), np.vstack([simplex(6, 4, seed=1), np.eye(4)])
    expected = np.array([[jensenshannon(a, b) ** 2 for b in q] for a in p])
    np.testing.assert_allclose(whole(jensen_shannon_matrix(p, q)), expected, atol=1e-12)
    np.testing.assert_allclose(whole(jensen_shannon_matrix(q, p)), expected.T, atol=1e-12)


def test_one_hot_distributions_are_0_or_ln_2_apart():
    one = np.eye(5)
    expected = math.log(2) * (1 - one)
    np.testing.assert_allclose(whole(jensen_shannon_matrix(one, one)), expected, atol=1e-15)
    np.testing.assert_allclose(jensen_shannon(one[:, None], one[None]), expected, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_is_between_0_and_ln_2(dtype):
    p = np.vstack([simplex(40, 6, concentration=0.01), np.eye(6), np.full((1, 6), 1 / 6)]).astype(dtype)
    d = whole(jensen_shannon_matrix(p, p))
    assert d.min() >= 0 and d.max() <= math.log(2) + 1e-6
    np.testing.assert_allclose(d.diagonal(), 0, atol=1e-12)


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 5000, 1 << 30])
def test_chunks_change_nothing(chunk_bytes):
    p, q = simplex(23, 5), simplex(11, 5, seed=1)
    blocks = list(jensen_shannon_matrix(p, q, chunk_bytes))
    assert [start for start, _ in blocks] == list(np.cumsum([0] + [len(b) for _, b in blocks])[:-1])
    np.testing.assert_array_equal(whole(blocks), whole(jensen_shannon_matrix(p, q)))
    assert all(len(b) == 1 or b.size * 5 * 8 <= chunk_bytes for _, b in blocks)


def test_memory_stays_near_the_chunk():
    p, q, chunk = simplex(400, 20), simplex(500, 20, seed=1), 1 << 20  # 32 MB in one piece
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
    """Mean reciprocal rank and average precision over every order of the items that sorts the distances."""
    rr, ap = [], []
    for order in permutations(range(len(distance))):
        if any(distance[a] > distance[b] for a, b in pairwise(order)):
            continue
        ranks = [i + 1 for i, item in enumerate(order) if relevant[item]]
        rr.append(1 / ranks[0])
        ap.append(sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(ranks))
    return np.mean(rr), np.mean(ap)


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_expectations_over_orders_of_ties(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    distance = rng.integers(0, int(rng.integers(1, 5)), n).astype(float)
    relevant = rng.random(n) < rng.uniform(0.1, 0.9)
    relevant[rng.integers(n)] = True
    assert rank_scores(distance, relevant) == pytest.approx(by_enumeration(distance, relevant), abs=1e-12)


def test_scores_without_ties_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        distance, relevant = rng.permutation(50) / 7, rng.random(50) < 0.2
        relevant[3] = True
        rr, ap = rank_scores(distance, relevant)
        assert ap == pytest.approx(metrics.average_precision_score(relevant, -distance))
        assert rr == pytest.approx(1 / (1 + relevant[np.argsort(distance)].argmax()))


def test_scores_of_large_tie_groups_are_finite():
    for relevant in (1, 3, 5000, 9999, 10000):
        rr, ap = chance(relevant, 10000)
        assert 0 < ap <= 1 and 0 < rr <= 1
    assert chance(10000, 10000) == pytest.approx((1, 1))


def test_a_query_without_a_relevant_item_has_no_score():
    with pytest.raises(DataError, match="relevant"):
        rank_scores(np.arange(3.0), np.zeros(3, dtype=bool))


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_chance_of_one_relevant_item_is_the_harmonic_mean_rank(n):
    expected = sum(1 / i for i in range(1, n + 1)) / n
    assert chance(1, n) == pytest.approx((expected, expected))


def test_chance_is_the_mean_over_all_orders():
    assert chance(2, 5) == pytest.approx(by_enumeration([0] * 5, [True, True, False, False, False]))


# retrieval


def test_perfect_alignment_scores_1():
    theta = simplex(20, 5)
    for distance in (jensen_shannon_matrix, cosine_matrix):
        scores = retrieval(theta, theta, distance=distance)
        assert scores["reciprocal_rank"].tolist() == scores["average_precision"].tolist() == [1.0] * 20
        assert scores["first"].tolist() == scores["query"].tolist() == list(range(20))


@pytest.mark.parametrize("distance", [jensen_shannon_matrix, cosine_matrix])
def test_equal_topics_for_all_score_exactly_chance(distance):
    for n in (2, 3, 5, 6, 9, 10, 13, 22, 27, 30, 64):
        expected = sum(1 / i for i in range(1, n + 1)) / n
        for k in (2, 7, 50, 100):
            same, other = (np.tile(simplex(1, k, seed=n * k + extra), (n, 1)) for extra in (0, 1))
            for items in (same, other):
                scores = retrieval(same, items, distance=distance)
                np.testing.assert_allclose(scores["reciprocal_rank"], expected, rtol=1e-9)
                np.testing.assert_allclose(scores["average_precision"], expected, rtol=1e-9)
                assert scores["chance_rr"] == pytest.approx(expected) and scores["chance_ap"] == pytest.approx(expected)


def test_several_relevant_items_by_hand():
    items = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    scores = retrieval(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), items, [{1, 3}, {3, 2}, set()])
    np.testing.assert_allclose(scores["reciprocal_rank"], [1 / 2, 1])
    np.testing.assert_allclose(scores["average_precision"], [(1 / 2 + 2 / 4) / 2, 1])
    assert scores["query"].tolist() == [0, 1] and scores["first"].tolist() == [0, 3]
    assert (scores["chance_rr"], scores["chance_ap"]) == pytest.approx(chance(2, 4))


def test_queries_without_relevant_items_are_left_out_of_chance_too():
    theta = simplex(4, 3)
    scores = retrieval(theta, theta, [{0, 1, 2}, set(), {2}, set()])
    assert scores["query"].tolist() == [0, 2] and len(scores["reciprocal_rank"]) == 2
    assert scores["chance_rr"] == pytest.approx((chance(3, 4)[0] + chance(1, 4)[0]) / 2)
    assert scores["chance_ap"] == pytest.approx((chance(3, 4)[1] + chance(1, 4)[1]) / 2)
    with pytest.raises(DataError, match="no query has a relevant item"):
        retrieval(theta, theta, [set()] * 4)


def test_retrieval_that_is_not_said_is_refused():
    with pytest.raises(DataError, match="4 queries and 3 items: say which are relevant"):
        retrieval(simplex(4, 3), simplex(3, 3))
    with pytest.raises(DataError, match="2 sets of relevant items for 4 queries"):
        retrieval(simplex(4, 3), simplex(3, 3), [{0}, {1}])


@pytest.mark.parametrize("side", ["queries", "items"])
def test_topics_that_are_not_numbers_are_refused_and_not_scored(side):
    good, bad = simplex(4, 3), simplex(4, 3)
    bad[2] = np.nan
    with pytest.raises(DataError):
        retrieval(*((bad, good) if side == "queries" else (good, bad)), [{0}, {1}, {3}, {3}])


def test_items_of_several_articles_are_relevant_to_each():
    assert relevance([{"A"}, {"B"}, {"C"}, set(), {"A", "B"}], [{"A", "B"}, {"B"}, {"D"}]) == [{0}, {0, 1}, set(), set(), {0, 1}]
    assert relevance([{"A"}], [set()]) == [set()]
    queries, items = np.eye(3)[[0, 1]], np.eye(3)
    scores = retrieval(queries, items, relevance([{"A"}, {"B"}], [{"A", "B"}, {"B"}, {"A"}]))
    # query 0: item 0 first, items 1 and 2 tied, 2 relevant; query 1: item 1 first, items 0 and 2 tied, 0 relevant
    np.testing.assert_allclose(scores["reciprocal_rank"], [1, 1])
    np.testing.assert_allclose(scores["average_precision"], [(1 + (2 / 2 + 2 / 3) / 2) / 2] * 2)


# bootstrap


def test_bootstrap_covers_the_mean_and_is_seeded():
    values = np.random.default_rng(0).exponential(size=200)
    low, high = bootstrap(values)
    assert low < values.mean() < high
    assert bootstrap(values) == (low, high) and bootstrap(values, seed=1) != (low, high)
    half = 1.96 * values.std() / math.sqrt(200)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    narrow = bootstrap(values, level=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert bootstrap(np.full(5, 0.25)) == (0.25, 0.25)


def test_bootstrap_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        low, high = bootstrap(rng.standard_normal(60), level=0.9, draws=300, seed=trial)
        hits += low < 0 < high
    assert 0.83 <= hits / 200 <= 0.96


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2))])
def test_bootstrap_of_no_list_of_values_is_refused(values):
    with pytest.raises(DataError, match=r"shape \(N,\)"):
        bootstrap(values)


# topics


def npmi_by_hand(topic, documents, window=10):
    windows = [set(d[i : i + window]) for d in documents for i in range(max(1, len(d) - window + 1))]

    def share(*words):
        return sum(all(w in seen for w in words) for seen in windows) / len(windows)

    scores = []
    for a, b in combinations(topic, 2):
        together = share(a, b) + 1e-12
        scores.append(math.log(together / (share(a) * share(b))) / -math.log(together))
    return np.mean(scores)


def text(n=40, length=25, words=30, seed=0):
    """Documents in which no word stands twice (gensim's window forgets a repeated word too early)."""
    rng = np.random.default_rng(seed)
    return [[f"w{i}" for i in rng.permutation(words)[: int(rng.integers(3, length))]] for _ in range(n)]


def test_npmi_is_that_of_windows_of_ten_words():
    documents = text()
    topics = [["w0", "w1", "w2"], ["w5", "w0", "w9", "w11"], ["w20", "w21", "w22"]]
    expected = [npmi_by_hand(t, documents) for t in topics]
    np.testing.assert_allclose(npmi(topics, documents), expected, atol=1e-9)
    np.testing.assert_allclose(npmi(topics, documents, top_n=2), [npmi_by_hand(t[:2], documents) for t in topics], atol=1e-9)


def test_npmi_is_that_of_gensim():
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    documents, topics = text(seed=1), [["w0", "w1", "w2"], ["w5", "w0", "w9"]]
    model = CoherenceModel(topics=topics, texts=documents, dictionary=Dictionary(documents), coherence="c_npmi", window_size=10, processes=1)
    np.testing.assert_allclose(npmi(topics, documents), model.get_coherence_per_topic(), atol=1e-12)


def test_npmi_is_1_for_words_always_together_and_near_minus_1_for_words_never():
    documents = [["a", "b"], ["a", "b"], ["c", "d"], ["c", "e"]]
    scores = npmi([["a", "b"], ["a", "c"]], documents)
    assert scores[0] == pytest.approx(1, abs=1e-6)
    assert -1 <= scores[1] < -0.9


def test_a_topic_word_in_no_document_is_named():
    with pytest.raises(DataError, match="'ghost'"):
        npmi([["a", "ghost"]], [["a", "b"]])


def test_words_beyond_the_first_do_not_count():
    documents = [["a", "b"], ["a", "b"], ["c"]]
    assert npmi([["a", "b", "ghost"]], documents, top_n=2) == pytest.approx(npmi([["a", "b"]], documents))


def test_diversity_is_the_share_of_distinct_words():
    assert topic_diversity([["a", "b"], ["c", "d"]]) == 1
    assert topic_diversity([["a", "b"], ["a", "b"], ["a", "b"]]) == pytest.approx(1 / 3)
    assert topic_diversity([["a", "b", "c"], ["a", "d", "b"]], top_n=2) == pytest.approx(3 / 4)
    with pytest.raises(DataError, match="no topic has a word"):
        topic_diversity([[], []])


def test_recovery_of_permuted_truth_is_1():
    truth = simplex(100, 6)
    order = np.random.default_rng(0).permutation(6)
    found = topic_recovery(truth[:, order], truth)
    np.testing.assert_allclose(found["correlation"], 1)
    assert order[found["match"]].tolist() == list(range(6))


def test_recovery_with_fewer_or_more_topics_than_known():
    truth = simplex(100, 6)
    fewer = topic_recovery(truth[:, [4, 1]], truth)
    assert fewer["match"].tolist() == [-1, 1, -1, -1, 0, -1]
    np.testing.assert_allclose(fewer["correlation"], [0, 1, 0, 0, 1, 0], atol=1e-12)
    more = topic_recovery(np.hstack([simplex(100, 3, seed=1), truth]), truth)
    assert more["match"].tolist() == list(range(3, 9))
    assert np.abs(topic_recovery(simplex(500, 6, seed=2), simplex(500, 6))["correlation"]).max() < 0.3
    assert np.isfinite(topic_recovery(np.full((100, 6), 1 / 6), truth)["correlation"]).all()
    with pytest.raises(DataError, match="99 inferred and 100 known"):
        topic_recovery(truth[1:], truth)


def test_the_interval_of_a_difference_widens_with_the_spread_of_seeds_and_cancels_hard_queries():
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    a, b = hard + 0.1 + 0.01 * rng.standard_normal((3, 300)), hard + 0.01 * rng.standard_normal((3, 300))
    low, high = bootstrap_difference(a, b)
    assert low < a.mean() - b.mean() < high and high - low < 0.01
    shaken = a + np.array([[-0.2], [0.0], [0.2]])
    wide_low, wide_high = bootstrap_difference(shaken, b)
    assert wide_low < 0 < wide_high and (wide_low, wide_high) == bootstrap_difference(shaken, b)
    with pytest.raises(DataError, match="same queries"):
        bootstrap_difference(a, b[:, 1:])
