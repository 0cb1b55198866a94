"""The topic space, and what is measured of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from support import make_corpus

from m3l import DataError, ParameterError
from m3l_book import topic_space
from m3l_book.variants import Contender

VIEWS = ("en", "de", "image")


@pytest.fixture(scope="module")
def test_part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def thetas(n=60, k=5, mixed=True, seed=0):
    """θ of three views: near their tuple's truth, or each view about topics of its own."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(k, 0.3), n)
    actual = {}
    for i, view in enumerate(VIEWS):
        noise = rng.dirichlet(np.full(k, 0.3), n)
        x = 0.9 * truth + 0.1 * noise
        if not mixed:
            x = np.hstack([np.zeros((n, i * k)), x, np.zeros((n, (2 - i) * k))])
        actual[view] = x.astype(np.float32)
    return actual


def test_pool_holds_the_items_of_the_articles_drawn_and_no_other(test_part):
    theta = thetas()
    whole = topic_space.pool(theta, test_part)
    assert len(whole) == 180 and list(dict.fromkeys(whole.view)) == list(VIEWS)
    part = topic_space.pool(theta, test_part, 20, seed=3)
    assert len(part) == 60 and len(set(part.article)) == 20
    for view, item, article, row in zip(
        part.view, part.item, part.article, part.theta, strict=True
    ):
        np.testing.assert_array_equal(row, theta[view][item])
        assert article in test_part.article_of_items(view)[item]
    again, other = (
        topic_space.pool(theta, test_part, 20, seed=3),
        topic_space.pool(theta, test_part, 20, seed=4),
    )
    assert set(again.article) == set(part.article) != set(other.article)


def test_distances_are_scipys_squared(test_part):
    s = topic_space.pool(thetas(), test_part, 10)
    d = topic_space.distances(s)
    p = np.float64(s.theta) / s.theta.sum(axis=1, keepdims=True)
    expected = np.array([[jensenshannon(a, b) ** 2 for b in p] for a in p])
    np.testing.assert_allclose(d, expected, atol=1e-6)
    assert (d == d.T).all() and (d.diagonal() == 0).all()


def test_views_of_a_shared_space_are_as_mixed_as_labels_at_random_and_separate_ones_not_at_all(
    test_part,
):
    mixed, apart = (topic_space.pool(thetas(mixed=m), test_part) for m in (True, False))
    for s, low, high in ((mixed, 0.9, 1.3), (apart, 0.0, 0.0)):
        other = topic_space.neighbours_of_another_kind(s, topic_space.distances(s), 10)
        ratio = other.mean() / topic_space.mixing_at_random(s, "image")
        assert low <= ratio <= high
    assert topic_space.mixing_at_random(mixed, "en") == pytest.approx(120 / 179)


def test_items_equally_far_count_by_chance_and_not_by_their_order(test_part):
    same = dict.fromkeys(VIEWS, np.full((60, 4), 0.25, dtype=np.float32))
    s = topic_space.pool(same, test_part)
    d = topic_space.distances(s)
    for view in VIEWS:
        other = topic_space.neighbours_of_another_kind(s, d, 10)[s.view == view]
        np.testing.assert_allclose(other, topic_space.mixing_at_random(s, view))
    np.testing.assert_allclose(topic_space.partner_rank(s, d, "en", "image"), 0.5 * 59 / 60)


def test_neighbours_are_scikit_learns(test_part):
    from sklearn.neighbors import NearestNeighbors

    s = topic_space.pool(thetas(), test_part)
    d = topic_space.distances(s)
    nearest = (
        NearestNeighbors(n_neighbors=7, metric="precomputed")
        .fit(d)
        .kneighbors(return_distance=False)
    )
    expected = (s.view[nearest] != s.view[:, None]).mean(axis=1)
    np.testing.assert_allclose(topic_space.neighbours_of_another_kind(s, d, 7), expected)


def test_partners_of_a_perfect_alignment_are_nearest_and_of_none_in_the_middle(test_part):
    one = thetas()["en"]
    perfect = topic_space.pool(dict.fromkeys(VIEWS, one), test_part)
    assert (
        topic_space.partner_rank(perfect, topic_space.distances(perfect), "en", "image").max()
        == 0.0
    )
    shuffled = topic_space.pool(
        {"en": one, "image": one[np.random.default_rng(0).permutation(60)]}, test_part
    )
    assert (
        0.3
        < topic_space.partner_rank(shuffled, topic_space.distances(shuffled), "en", "image").mean()
        < 0.7
    )


def test_gap_is_zero_between_equal_views_and_root_two_between_views_that_share_no_topic(test_part):
    one = np.full((60, 4), 0.25, dtype=np.float32)
    first, second = (
        np.tile(row, (60, 1)).astype(np.float32) for row in ([1, 0, 0, 0], [0, 0, 1, 0])
    )
    assert topic_space.gap(topic_space.pool({"en": one, "de": one}, test_part), "en", "de") == 0.0
    assert topic_space.gap(
        topic_space.pool({"en": first, "de": second}, test_part), "en", "de"
    ) == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    "method",
    [pytest.param("umap", marks=pytest.mark.thorough), "tsne", "pca"],  # UMAP compiles itself first
)
def test_a_layout_keeps_themes_together_and_is_the_same_twice(test_part, method):
    rng = np.random.default_rng(0)
    centre = np.eye(3).repeat(20, axis=0)
    theta = 0.9 * centre + 0.1 * rng.dirichlet(np.ones(3), 60)
    s = topic_space.pool({"en": theta.astype(np.float32)}, test_part)
    d = topic_space.distances(s)
    place = topic_space.layout(d, method, perplexity=10, seed=1)
    assert place.shape == (60, 2) and np.isfinite(place).all()
    np.testing.assert_array_equal(place, topic_space.layout(d, method, perplexity=10, seed=1))
    theme, spread = centre.argmax(axis=1), np.linalg.norm(place[:, None] - place[None], axis=2)
    same = theme[:, None] == theme[None]
    assert spread[same].mean() < 0.5 * spread[~same].mean()


def test_classical_scaling_gives_back_points_of_a_plane(test_part):
    points = np.random.default_rng(0).standard_normal((30, 2)) * [3, 1]
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    place = topic_space.layout(squared, "pca", perplexity=5)
    np.testing.assert_allclose(
        ((place[:, None] - place[None]) ** 2).sum(axis=2), squared, atol=1e-9
    )


def test_a_map_of_points_of_a_plane_is_trusted_and_a_random_one_is_not():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 2))
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    assert (
        topic_space.trust(squared, points) == 1.0
        and topic_space.trust(squared, rng.standard_normal((60, 2))) < 0.7
    )


def test_themes_stand_where_their_items_are(test_part):
    theta = np.eye(3, dtype=np.float32)[[0] * 30 + [1] * 20 + [2] * 10]
    s = topic_space.pool({"en": theta}, test_part)
    place = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 9.0]])[theta.argmax(axis=1)]
    actual = topic_space.themes(s, place, [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]], n=2)
    assert actual == [(0.0, 0.0, "a, b"), (5.0, 0.0, "d, e")]


def test_summary_has_a_value_a_view_and_a_pair_and_is_told_in_words(test_part):
    s = topic_space.pool(thetas(), test_part)
    actual = topic_space.summary(s, topic_space.distances(s))
    assert set(actual["mixing"]) == set(actual["at random"]) == set(VIEWS)
    assert set(actual["gap"]) == set(actual["partners"]) == {"en – de", "en – image", "de – image"}
    assert all(0 <= x < 0.3 for x in actual["partners"].values())
    assert (
        f"{actual['mixing']['image']:.0%} by image ({120 / 179:.0%} at random)"
        in topic_space.in_words(actual)
    )


def record(name, model, trained, views=VIEWS, seed=0, teacher="", variant=None):
    theta = {v: x for v, x in thetas(seed=len(name)).items() if v in views}
    params = {
        "model": model,
        "variant": variant or {},
        "corpus": "small",
        "encoders": dict.fromkeys(views, "x"),
        "train_views": list(trained),
        "seed": seed,
        "teacher": teacher,
    }
    return SimpleNamespace(folder=SimpleNamespace(name=name), params=params, theta=theta)


def small_tests(test_part):
    return {
        ("small", tuple(sorted(dict.fromkeys(v, "x").items()))): test_part.select(list(v))
        for v in (VIEWS, ("en", "de"))
    }


def test_measured_takes_the_models_of_the_paper_and_the_same_items_for_each(test_part):
    runs = [
        record("m-s0", "M3L-Contrast", VIEWS),
        record("m-s1x", "M3L-Contrast", VIEWS, seed=1),
        record("z-en", "ZeroshotTM", ["en"]),
        record("z-de", "ZeroshotTM", ["de"]),
        record("texts", "M3L-Contrast", ["en", "de"], ["en", "de"]),
        record("k", "M3L-Contrast", VIEWS, variant={"topics": 25}),
    ]
    actual = topic_space.mixing_measurements(runs, small_tests(test_part), articles=30)
    assert {str(key[4]) for key in actual} == {"M3L-Contrast", "ZeroshotTM", "random labels"} and {
        key[3] for key in actual
    } == {"en", "de", "image"}
    assert actual[
        "small", "multimodal", "neighbours of another kind", "image", Contender("M3L-Contrast")
    ].values.shape == (2, 30)
    assert actual[
        "small", "multimodal", "neighbours of another kind", "image", Contender("ZeroshotTM")
    ].values.shape == (1, 30)


def test_the_space_of_students_is_their_teachers_and_their_own(test_part):
    students = [
        record("kd-de", "ZeroshotTM-KD", ["de"], ["en", "de"], teacher="z-en"),
        record("kd-image", "ZeroshotTM-KD", ["image"], ["en", "image"], teacher="z-en"),
        record("kd-of-de", "ZeroshotTM-KD", ["image"], ["de", "image"], teacher="z-de"),
    ]
    kd = Contender("ZeroshotTM-KD")
    theta, run = topic_space.of_contenders(students, test_part, "small", [kd], 0)[kd]
    assert list(theta) == list(VIEWS) and run.folder.name == "kd-de"
    np.testing.assert_array_equal(theta["de"], students[0].theta["de"])
    np.testing.assert_array_equal(theta["image"], students[1].theta["image"])
    assert topic_space.of_contenders(students[:1], test_part, "small", [kd], 0) == {}, (
        "no student of pictures, no map"
    )
    assert topic_space.of_contenders(students, test_part, "small", [kd], 1) == {}, "of another seed"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "mds"}, "method='mds' is unknown; valid: pca, tsne, umap"),
        ({"perplexity": 60}, "perplexity=60: expected at least 1 and below"),
        ({"perplexity": 0}, "perplexity=0"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        topic_space.layout(np.zeros((60, 60)), **options)
    with pytest.raises(DataError, match="2 items cannot be laid out"):
        topic_space.layout(np.zeros((2, 2)))


def test_pool_of_other_items_is_refused(test_part):
    with pytest.raises(DataError, match="3 distributions for 60 items"):
        topic_space.pool({"en": np.ones((3, 2), dtype=np.float32)}, test_part)
    with pytest.raises(ParameterError, match="articles=-1"):
        topic_space.pool(thetas(), test_part, -1)
