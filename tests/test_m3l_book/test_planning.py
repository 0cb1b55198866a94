"""What runs a profile and its grids ask for."""

from pathlib import Path

import pytest
import yaml

from m3l import ParameterError
from m3l.errors import DataError
from m3l_book.records import planning

ROOT = Path(__file__).resolve().parents[2]


def profile(**grids):
    base = {"corpus": "emoji", "topics": 50, "batch_size": 32, "seeds": [0, 1]}
    runs = [
        {"name": "teacher", "model": "ZeroshotTM", **base},
        {"name": "student", "model": "ZeroshotTM-KD", "teacher": "teacher", **base},
        {"name": "joint", "model": "M3L-Contrast", **base, "epochs": 60},
    ]
    one = {
        "chapter": "08",
        "of": ["*"],
        "points": [{"topics": 25}, {"topics": 50}],
        "name": "k{topics}",
        **grids,
    }
    return {"profile": "test", "runs": runs, "grids": [one]}


def test_a_run_a_seed_and_a_point():
    actual = planning.make_plan(profile())
    main = [f"{name}-s{seed}" for name in ("teacher", "student", "joint") for seed in (0, 1)]
    assert actual.shown["main"] == main
    assert list(actual.runs) == main + [
        f"{name}-k25-s{seed}" for name in ("teacher", "student", "joint") for seed in (0, 1)
    ]
    assert actual.runs["joint-k25-s1"] == {
        "model": "M3L-Contrast",
        "variant": {"topics": "25"},
        "corpus": "emoji",
        "topics": 25,
        "batch_size": 32,
        "epochs": 60,
        "seed": 1,
    }
    assert set(actual.shown["08"]) == set(actual.runs)


def test_a_point_that_is_the_run_itself_names_it_and_trains_nothing():
    actual = planning.make_plan(profile(seeds=[0]))
    assert "joint-k50-s0" not in actual.runs
    # the run's own seeds count there, whatever the grid's
    assert (
        actual.variants["08"]["joint-s0"] == actual.variants["08"]["joint-s1"] == [{"topics": "50"}]
    )
    assert "joint-k25-s1" not in actual.runs and "joint-s1" in actual.shown["08"]


def test_a_student_has_a_teacher_of_its_own_point_and_seed():
    actual = planning.make_plan(profile())
    assert (
        actual.runs["student-k25-s1"]["teacher"] == "teacher-k25-s1"
        and actual.runs["student-s1"]["teacher"] == "teacher-s1"
    )
    batches = planning.make_plan(
        profile(
            of=["student"],
            points=[{"batch_size": 64}],
            name="b{batch_size}",
        )
    )
    assert batches.runs["student-b64-s0"]["teacher"] == "teacher-s0", (
        "a teacher outside the grid stays"
    )


def test_several_parameters_change_together_and_names_are_safe():
    encoders = {"en": "minilm-en", "de": "some/model"}
    actual = planning.make_plan(
        profile(
            of=["joint"],
            points=[{"encoders": encoders}, {"batch_size": 64, "epochs": 120}],
            name="",
        )
    )
    assert actual.runs["joint-minilm-en-some-model-s0"]["encoders"] == encoders
    assert actual.runs["joint-minilm-en-some-model-s0"]["variant"] == {
        "encoders": "minilm-en, some/model"
    }
    assert actual.runs["joint-64-120-s0"]["epochs"] == 120


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"of": ["nobody"]},
            "of='nobody' names no run of the profile; there are: teacher, student, joint",
        ),
        (
            {"points": [{"topics": 25}, {"topics": 30}], "name": "same"},
            "two points make a run called 'teacher-same-s0'",
        ),
        ({"points": [{"topics": 25, "name": "/"}]}, "'/' cannot be part of a run's name"),
    ],
)
def test_a_broken_grid_is_named(change, message):
    with pytest.raises((ParameterError, DataError), match=message):
        planning.make_plan(profile(**change))


def test_two_runs_of_one_name_are_refused():
    given = profile()
    given["runs"].append(dict(given["runs"][0]))
    with pytest.raises(ParameterError, match="two runs are called 'teacher'"):
        planning.make_plan(given)


@pytest.mark.parametrize("name", ["smoke", "laptop", "full"])
def test_every_profile_can_be_planned_and_students_are_as_their_teachers(name):
    path = ROOT / "workflow" / "profiles" / f"{name}.yaml"
    actual = planning.make_plan(yaml.safe_load(path.read_text(encoding="utf-8")))
    grids = {"06-validation", "10-topic-numbers", "11-batch-sizes", "12-encoder-combinations"}
    grids |= {"13-words-or-vectors", "14-your-corpus"}
    own = {"smoke": {"10-topic-numbers"}, "laptop": set(), "full": grids}
    assert set(actual.shown) == {"main"} | own[name]
    for run, values in actual.runs.items():
        if "teacher" in values:
            teacher = actual.runs[values["teacher"]]
            assert (teacher["topics"], teacher["corpus"], teacher["seed"]) == (
                values["topics"],
                values["corpus"],
                values["seed"],
            ), run


def test_a_point_of_two_grids_is_run_once_and_has_both_names():
    given = profile(of=["joint"], points=[{"batch_size": 64}], name="b{batch_size}")
    equal = {
        "chapter": "09",
        "of": ["joint"],
        "points": [{"batch_size": 64, "epochs": 60}, {"batch_size": 64, "epochs": 90}],
    }
    given["grids"].append(
        {**equal, "name": "b{batch_size}-e{epochs}", "variant": {"updates": "equal"}}
    )
    actual = planning.make_plan(given)
    assert "joint-b64-e60-s0" not in actual.runs and "joint-b64-e90-s0" in actual.runs
    assert (
        actual.variants["09"]["joint-b64-s0"]
        == [{"batch_size": "64", "epochs": "60", "updates": "equal"}]
        and "joint-b64-s0" in actual.shown["09"]
    )


def test_a_variant_that_two_grids_give_counts_once():
    given = profile(of=["joint"])
    given["grids"].append({**given["grids"][0], "of": ["joint", "teacher"]})
    assert planning.make_plan(given).variants["08"]["joint-s0"] == [{"topics": "50"}]


def test_a_student_without_a_teacher_of_its_seed_is_refused():
    with pytest.raises(
        ParameterError, match="run 'student-b64-s9' has the teacher 'teacher-s9', which is no run"
    ):
        planning.make_plan(
            profile(
                of=["student"],
                points=[{"batch_size": 64}],
                name="b{batch_size}",
                seeds=[9],
            )
        )
