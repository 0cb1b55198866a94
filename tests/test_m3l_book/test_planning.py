"""What runs a profile and its grids ask for."""

from pathlib import Path

import pytest
import yaml

from m3l import ParameterError
from m3l.errors import DataError
from m3l_book.records.planning import make_plan

ROOT = Path(__file__).resolve().parents[2]
EVERY = ["teacher", "student", "joint"]
SIZES = {"of": ["student"], "points": [{"batch_size": 64}], "name": "b{batch_size}"}


def profile(*more, **grid):
    """A profile of three models with one grid, changed by ``grid``, and ``more`` of them."""
    base = {"corpus": "emoji", "topics": 50, "batch_size": 32, "seeds": [0, 1]}
    runs = [
        {"name": "teacher", "model": "ZeroshotTM", **base},
        {"name": "student", "model": "ZeroshotTM-KD", "teacher": "teacher", **base},
        {"name": "joint", "model": "M3L-Contrast", **base, "epochs": 60},
    ]
    points = [{"topics": 25}, {"topics": 50}]
    one = {"chapter": "08", "of": EVERY, "points": points, "name": "k{topics}", **grid}
    return {"profile": "test", "corpora": {"emoji": {}}, "runs": runs, "grids": [one, *more]}


def test_a_grid_is_a_run_for_each_model_point_and_seed():
    plan = make_plan(profile())
    main = [f"{name}-s{seed}" for name in EVERY for seed in (0, 1)]
    assert plan.shown["main"] == main
    assert list(plan.runs) == main + [f"{name}-k25-s{seed}" for name in EVERY for seed in (0, 1)]
    about = {"model": "M3L-Contrast", "variant": {"topics": "25"}, "corpus": "emoji", "topics": 25}
    about |= {"chapter": "04-training"}
    assert plan.runs["joint-k25-s1"] == about | {"batch_size": 32, "epochs": 60, "seed": 1}
    assert set(plan.shown["08"]) == set(plan.runs)
    # a student learns from the teacher of its own point and seed
    assert plan.runs["student-k25-s1"]["teacher"] == "teacher-k25-s1"
    assert plan.runs["student-s1"]["teacher"] == "teacher-s1"
    # and from its own where the grid does not vary the teacher
    assert make_plan(profile(**SIZES)).runs["student-b64-s0"]["teacher"] == "teacher-s0"
    # and where the point is the teacher itself, though not the student
    given = profile(of=["teacher", "student"], points=[{"batch_size": 16}], name="b16")
    given["runs"][0]["batch_size"] = 16
    assert make_plan(given).runs["student-b16-s0"]["teacher"] == "teacher-s0"


def test_a_point_that_is_the_run_itself_names_it_and_trains_nothing():
    plan = make_plan(profile({**profile()["grids"][0], "of": ["joint"]}, seeds=[0]))
    assert "joint-k50-s0" not in plan.runs
    # the run's own seeds count there, whatever the grid's; a variant of two grids counts once
    own = plan.variants["08"]
    assert own["joint-s0"] == own["joint-s1"] == [{"topics": "50"}]
    assert plan.every_variant()["joint-s1"] == [{"topics": "50"}]
    assert "teacher-k25-s1" not in plan.runs and "teacher-s1" in plan.shown["08"]


def test_several_parameters_change_together_and_names_are_safe():
    encoders = {"en": "minilm-en", "de": "some/model"}
    points = [{"encoders": encoders}, {"batch_size": 64, "epochs": 120}]
    runs = make_plan(profile(of=["joint"], points=points, name="")).runs
    named = runs["joint-minilm-en-some-model-s0"]
    assert named["encoders"] == encoders
    assert named["variant"] == {"encoders": "minilm-en, some/model"}
    assert runs["joint-64-120-s0"]["epochs"] == 120


def test_a_point_of_two_grids_is_run_once_and_has_both_names():
    points = [{"batch_size": 64, "epochs": 60}, {"batch_size": 64, "epochs": 90}]
    equal = {"chapter": "09", "of": ["joint"], "points": points, "name": "b{batch_size}-e{epochs}"}
    equal |= {"variant": {"updates": "equal"}}
    plan = make_plan(profile(equal, **{**SIZES, "of": ["joint"]}))
    assert "joint-b64-e60-s0" not in plan.runs and "joint-b64-e90-s0" in plan.runs
    both = {"batch_size": "64", "epochs": "60", "updates": "equal"}
    assert plan.variants["09"]["joint-b64-s0"] == [both]
    assert "joint-b64-s0" in plan.shown["09"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": ["nobody"]}, "of='nobody' names no run of the profile; there are: teacher, stu"),
        (
            {"points": [{"topics": 25}, {"topics": 30}], "name": "same"},
            "two points make a run called 'teacher-same-s0'",
        ),
        ({"points": [{"topics": 25, "name": "/"}]}, "'/' cannot be part of a run's name"),
        ({"points": [{"epochs": 9}]}, "name='k{topics}' names what a point lacks, {'epochs': 9}"),
        ({**SIZES, "seeds": [9]}, "run 'student-b64-s9' has the teacher 'teacher-s9', which is no"),
    ],
)
def test_a_broken_grid_is_named(change, message):
    with pytest.raises((ParameterError, DataError), match=message):
        make_plan(profile(**change))


def test_two_runs_of_one_name_are_refused():
    given = profile()
    given["runs"].append(dict(given["runs"][0]))
    with pytest.raises(ParameterError, match="two runs are called 'teacher'"):
        make_plan(given)


GRIDS = {"06-validation", "10-topic-numbers", "11-batch-sizes", "12-encoder-combinations"}
GRIDS |= {"13-words-or-vectors", "14-your-corpus", "terms", "ledger", "recommended"}


@pytest.mark.parametrize(
    ("name", "runs", "grids"),
    [("smoke", 12, {"10-topic-numbers"}), ("laptop", 12, set()), ("full", 1038, GRIDS)],
)
def test_every_profile_is_planned_and_students_are_as_their_teachers(name, runs, grids):
    path = ROOT / "workflow" / "profiles" / f"{name}.yaml"
    plan = make_plan(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert len(plan.runs) == runs and set(plan.shown) == {"main"} | grids
    for run, values in plan.runs.items():
        teacher = plan.runs[values["teacher"]] if "teacher" in values else values
        for setting in ("topics", "corpus", "seed"):
            assert teacher[setting] == values[setting], run


def test_a_browser_and_a_corpus_of_a_run_are_of_the_profile():
    with pytest.raises(ParameterError, match="profile test: browsers names 'no-s0', which is no"):
        make_plan(profile() | {"browsers": ["joint-s0", "no-s0"]})
    with pytest.raises(ParameterError, match="run 'teacher-s0': corpus='emoji' is unknown; valid"):
        make_plan(profile() | {"corpora": {"vital": {}}})


def test_a_chapter_on_training_shows_the_first_run_of_most_views():
    given = profile()
    for run, views in zip(given["runs"], (["en"], ["de", "en"], ["de", "en"]), strict=True):
        run["train_views"] = views
    plan = make_plan(given)
    assert plan.shown_as("04-training") == "student-s0" and plan.shown_as("05-pltm") == ""
    given["runs"][2]["chapter"] = "05-pltm"
    assert make_plan(given).shown_as("05-pltm") == "joint-s0"
