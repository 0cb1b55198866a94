"""The topic space, and what is measured of it, by the functions that its chapter defines."""

import ast
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.neighbors import NearestNeighbors
from support import make_corpus

from m3l import DataError, ParameterError
from m3l_book import topic_space
from m3l_book.measured import Contender
from m3l_book.records.selection import seed_there

VIEWS = ("en", "de", "image")
KIND = "small", "multimodal", "neighbours of another kind"


@pytest.fixture(scope="module")
def chapter():
    """The functions of the chapter's visible cells, with what its notebook imports."""
    path = Path(__file__).resolve().parents[2] / "book" / "09-topic-space.ipynb"
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    nodes = [node for cell in cells for node in ast.parse(cell.source).body]
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef
    module = ast.Module([node for node in nodes if isinstance(node, kinds)], type_ignores=[])
    names = {}
    exec(compile(module, str(path), "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture(scope="module")
def test_part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def thetas(n=60, k=5, mixed=True, seed=0):
    """θ of three views: near their tuple's truth, or each view about topics of its own."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(k, 0.3), n)
    actual = {}
    for i, view in enumerate(VIEWS):
        x = 0.9 * truth + 0.1 * rng.dirichlet(np.full(k, 0.3), n)
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
    again, other = (set(topic_space.pool(theta, test_part, 20, seed=s).article) for s in (3, 4))
    assert again == set(part.article) != other


def test_what_cannot_be_pooled_is_refused(test_part):
    with pytest.raises(DataError, match="3 rows of θ for 60 items"):
        topic_space.pool({"en": np.ones((3, 2), dtype=np.float32)}, test_part)
    with pytest.raises(ParameterError, match="articles=-1"):
        topic_space.pool(thetas(), test_part, -1)
    with pytest.raises(DataError, match="2 items cannot be laid out"):
        topic_space.pool({"en": thetas()["en"]}, test_part, 2)


def test_distances_are_scipys_squared(test_part):
    s = topic_space.pool(thetas(), test_part, 10)
    d = topic_space.distances(s.theta)
    p = np.float64(s.theta) / s.theta.sum(axis=1, keepdims=True)
    expected = np.array([[jensenshannon(a, b) ** 2 for b in p] for a in p])
    np.testing.assert_allclose(d, expected, atol=1e-6)
    assert (d == d.T).all() and (d.diagonal() == 0).all()


def test_a_shared_space_is_as_mixed_as_labels_at_random_and_separate_ones_not_at_all(test_part):
    for mixed, low, high in ((True, 0.9, 1.3), (False, 0.0, 0.0)):
        s = topic_space.pool(thetas(mixed=mixed), test_part)
        table = topic_space.mixing(s, topic_space.distances(s.theta))
        assert table["at random"].to_dict() == dict.fromkeys(VIEWS, pytest.approx(120 / 179))
        assert (table["mixing"] / table["at random"]).between(low, high).all()


def test_items_equally_far_count_by_chance_and_not_by_their_order(test_part, chapter):
    same = dict.fromkeys(VIEWS, np.full((60, 4), 0.25, dtype=np.float32))
    s = topic_space.pool(same, test_part)
    d = topic_space.distances(s.theta)
    other = topic_space.neighbours_of_another_kind(d, s.view, 10)
    np.testing.assert_allclose(other, 120 / 179)
    ranks = chapter.partner_rank(d[:60, 60:120], np.eye(60, dtype=bool))
    np.testing.assert_allclose(ranks, 0.5 * 59 / 60)


def test_neighbours_are_scikit_learns(test_part):
    s = topic_space.pool(thetas(), test_part)
    d = topic_space.distances(s.theta)
    found = NearestNeighbors(n_neighbors=7, metric="precomputed").fit(d)
    nearest = found.kneighbors(return_distance=False)
    expected = (s.view[nearest] != s.view[:, None]).mean(axis=1)
    np.testing.assert_allclose(topic_space.neighbours_of_another_kind(d, s.view, 7), expected)


def test_partners_of_a_perfect_alignment_are_nearest_and_of_none_in_the_middle(test_part, chapter):
    one = thetas()["en"]
    shuffled = one[np.random.default_rng(0).permutation(60)]
    s = topic_space.pool({"en": one, "de": one, "image": shuffled}, test_part)
    table = chapter.pairs(s, topic_space.distances(s.theta))
    assert table["partners, en – de"] == table["gap, en – de"] == 0
    assert 0.3 < table["partners, en – image"] < 0.7
    # an item without a partner has no rank
    same = np.array([[True, False], [False, False]])
    distance = np.array([[0.2, 0.1], [0.1, 0.2]])
    assert chapter.partner_rank(distance, same).tolist() == [0.5]


def test_gap_is_root_two_between_views_that_share_no_topic(test_part, chapter):
    rows = [[1, 0, 0, 0], [0, 0, 1, 0]]
    first, second = (np.tile(row, (60, 1)).astype(np.float32) for row in rows)
    s = topic_space.pool({"en": first, "de": second}, test_part)
    table = chapter.pairs(s, topic_space.distances(s.theta))
    assert table["gap, en – de"] == pytest.approx(2**0.5)


def test_a_layout_keeps_themes_together_and_is_the_same_twice(test_part, chapter):
    rng = np.random.default_rng(0)
    centre = np.eye(3).repeat(20, axis=0)
    theta = 0.9 * centre + 0.1 * rng.dirichlet(np.ones(3), 60)
    d = topic_space.distances(theta)
    place = chapter.layout(d, perplexity=10, seed=1)
    assert place.shape == (60, 2) and np.isfinite(place).all()
    np.testing.assert_array_equal(place, chapter.layout(d, perplexity=10, seed=1))
    theme, spread = centre.argmax(axis=1), np.linalg.norm(place[:, None] - place[None], axis=2)
    same = theme[:, None] == theme[None]
    assert spread[same].mean() < 0.5 * spread[~same].mean()
    # a space of few items, and one of items that are all alike, are laid out too
    assert np.isfinite(chapter.layout(d[:3, :3])).all()
    assert np.isfinite(chapter.layout(np.zeros((9, 9)))).all()


def test_a_map_of_points_of_a_plane_is_trusted_and_a_random_one_is_not():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 2))
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    assert topic_space.trust(squared, points) == 1.0
    assert topic_space.trust(squared, rng.standard_normal((60, 2))) < 0.7


def test_what_cannot_be_laid_out_or_measured_is_refused(test_part, chapter):
    d = np.zeros((9, 9))
    with pytest.raises(ParameterError, match=r"perplexity=0\.5: expected 1 or more"):
        chapter.layout(d, perplexity=0.5)
    with pytest.raises(DataError, match="2 items cannot be laid out; expected 3 or more"):
        chapter.layout(d[:2, :2])
    view = np.repeat(VIEWS, 3)
    for neighbours in (topic_space.neighbours_of_another_kind, chapter.neighbours_of_another_kind):
        for k in (0, 9):
            with pytest.raises(ParameterError, match=f"k={k}: expected at least 1 and below 9"):
                neighbours(d, view, k)
    s = topic_space.pool(thetas(), test_part, 3)
    apart = topic_space.Space(s.view, s.item, np.array([f"a{i}" for i in range(9)]), s.theta)
    with pytest.raises(DataError, match="no item of en has a partner in de"):
        chapter.pairs(apart, topic_space.distances(s.theta))


def test_measuring_a_view_that_has_no_item_is_refused(test_part, monkeypatch):
    runs = [record("m", "M3L-Contrast", VIEWS)]
    whole = topic_space.pool(runs[0].theta, test_part, 3)
    left = [field[whole.view != "de"] for field in vars(whole).values()]
    monkeypatch.setattr(topic_space, "pool", lambda *_: topic_space.Space(*left))
    tests = {("small", tuple((v, "x") for v in sorted(VIEWS))): test_part}
    with pytest.raises(DataError, match="view 'de' has no item in the space"):
        topic_space.mixing_measurements(runs, tests)


def record(name, model, trained, views=VIEWS, seed=0, teacher="", variant=None):
    theta = {v: x for v, x in thetas(seed=len(name)).items() if v in views}
    params = {
        **{"model": model, "variant": variant or {}, "corpus": "small", "seed": seed},
        **{"encoders": dict.fromkeys(views, "x"), "train_views": list(trained)},
        "teacher": teacher,
    }
    return SimpleNamespace(folder=SimpleNamespace(name=name), params=params, theta=theta)


def test_measured_takes_the_models_of_the_paper_and_the_same_items_for_each(test_part):
    runs = [
        record("m-s0", "M3L-Contrast", VIEWS),
        record("m-s1x", "M3L-Contrast", VIEWS, seed=1),
        record("z-en", "ZeroshotTM", ["en"]),
        record("z-de", "ZeroshotTM", ["de"]),
        record("texts", "M3L-Contrast", ["en", "de"], ["en", "de"]),
        record("k", "M3L-Contrast", VIEWS, variant={"topics": 25}),
    ]
    tests = {
        ("small", tuple(sorted(dict.fromkeys(v, "x").items()))): test_part.select(list(v))
        for v in (VIEWS, ("en", "de"))
    }
    actual = topic_space.mixing_measurements(runs, tests, articles=30)
    assert {str(key[4]) for key in actual} == {"M3L-Contrast", "ZeroshotTM", "random labels"}
    assert {key[3] for key in actual} == set(VIEWS)
    for model, seeds in (("M3L-Contrast", 2), ("ZeroshotTM", 1)):
        assert actual[(*KIND, "image", Contender(model))].values.shape == (seeds, 30)
    at_random = actual[(*KIND, "image", topic_space.RANDOM_LABELS)].values
    np.testing.assert_allclose(at_random, 60 / 89)
    # the recorded values are the table's
    theta, _ = topic_space.of_contenders(runs, test_part, "small", [Contender("M3L-Contrast")], 0)[
        Contender("M3L-Contrast")
    ]
    s = topic_space.pool(theta, test_part, 30)
    table = topic_space.mixing(s, topic_space.distances(s.theta))
    means = {
        view: actual[(*KIND, view, Contender("M3L-Contrast"))].values[0].mean() for view in VIEWS
    }
    pd.testing.assert_series_equal(table["mixing"], pd.Series(means), check_names=False)


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
    for some, seed in ((students[:1], 0), (students, 1)):  # no student of pictures; another seed
        assert topic_space.of_contenders(some, test_part, "small", [kd], seed) == {}


def test_where_a_seed_is_not_there_the_least_is_shown():
    runs = [record(f"p{seed}", "PLTM", ["en"], ["en"], seed=seed) for seed in (20, 30)]
    assert seed_there(runs, "small", 30) == 30 and seed_there(runs, "small", 0) == 20
    assert seed_there(runs, "another", 7) == 7
