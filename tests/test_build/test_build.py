"""Who may build what at the same time, and what Snakemake is told."""

import contextlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RUN = {"corpus": "c", "seeds": [0, 1], "encoders": {"en": "x"}, "train_views": ["en"], "topics": 10}
PROFILE = {
    "profile": "mini",
    "max_tokens": 128,
    "corpora": {"c": {"source": {}, "prepare": {}, "encoders": {"en": ["x"]}}},
    "runs": [
        {"name": "teacher", "model": "ZeroshotTM", **RUN},
        {"name": "student", "model": "ZeroshotTM-KD", "teacher": "teacher", **RUN},
        {"name": "joint", "model": "M3L-Contrast", **RUN},
    ],
    "grids": [
        {
            "chapter": "10-topic-numbers",
            "of": ["joint"],
            "points": [{"topics": 10}],
            "name": "k{topics}",
        }
    ],
    "training_page": "joint-s0",
    "pltm_page": "joint-s0",
}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The module, in a folder with one profile, its Snakemake replaced by a list of what it was
    asked.
    """
    spec = importlib.util.spec_from_file_location("build", ROOT / "workflow" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    (tmp_path / "workflow" / "profiles" / "mini.yaml").write_text(yaml.safe_dump(PROFILE))
    (tmp_path / "book").mkdir()
    (tmp_path / module.TIMES).write_text("step,rule,mini\n")
    module.asked = []
    monkeypatch.setattr(
        module,
        "snakemake",
        lambda _, config, targets, options, more: (
            module.asked.append((targets, options, more)) or 0
        ),
    )
    monkeypatch.setattr(module, "server", lambda: contextlib.nullcontext({"M3L_WARM": "here"}))
    return module


def holder(build, path, seconds=10**6):
    """Another process that holds a lock; it has it when this returns."""
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'workflow')!r}, {str(ROOT)!r}]; import build,"
        f" time, pathlib\nwith build.locked(pathlib.Path({str(path)!r})):\n    print('held',"
        f" flush=True); time.sleep({seconds})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_the_whole_book_and_its_targets(build, capsys):
    assert (
        build.main(["mini"]) == 0
        and "the book: build/mini/html/index.html" in capsys.readouterr().out
    )
    assert build.main(["mini", "some/file", "--cores", "1"]) == 0
    assert [targets for targets, _, _ in build.asked] == [[], ["some/file"]]
    assert build.asked[1][1] == ["--cores", "1"] and build.asked[0][2] == {"M3L_WARM": "here"}


def test_what_follows_the_dashes_goes_to_snakemake_and_elsewhere_needs_no_server(build):
    assert build.main(["mini", "--", "--workflow-profile", "workflow/slurm", "--jobs", "4"]) == 0
    _, options, more = build.asked[0]
    assert options[-4:] == ["--workflow-profile", "workflow/slurm", "--jobs", "4"] and more == {}


def test_jobs_take_turns_on_a_gpu_of_this_machine_and_a_cluster_sees_to_its_own(
    build, tmp_path, monkeypatch
):
    monkeypatch.setattr(build, "GPUS", tmp_path / "gpus")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert build.cards() == []
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    assert build.main(["mini", "--cores", "4"]) == 0
    assert build.main(["mini", "--", "--workflow-profile", "workflow/slurm"]) == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert build.main(["mini"]) == 0
    limited = ["--resources", "gpu=1"]
    assert [options[2:4] == limited for _, options, _ in build.asked] == [True, False, False]


def test_runs_that_match_and_no_page(build):
    assert build.main(["mini", "--runs", "student-*"]) == 0
    ((targets, _, _),) = build.asked
    assert targets == [f"runs/mini/student-s{seed}/metrics.json" for seed in (0, 1)]


def test_one_build_at_a_time_runs_in_a_checkout(build, capsys):
    other = holder(build, build.ROOT / "build/lock")
    try:
        assert build.main(["mini"]) == 3 and build.main(["mini", "--runs", "*"]) == 3
        assert f"another build (process {other.pid} on" in capsys.readouterr().err
    finally:
        other.kill()
        other.wait()
    assert build.main(["mini"]) == 0, "a lock goes with its process"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["laptpo"], "PROFILE='laptpo' is unknown; valid: mini"),
        (
            ["mini", "--runs", "nobody-*"],
            "no run of the profile is called that; there are: teacher-s0",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(build, capsys, arguments, message):
    assert build.main(arguments) == 2 and message in capsys.readouterr().err
    assert build.asked == []


def test_a_checkout_that_cannot_be_written_is_one_line(build, capsys, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system", str(build.ROOT / "build"))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert build.main(["mini"]) == 2
    error = capsys.readouterr().err
    assert "Read-only file system" in error and str(build.ROOT) in error
    assert len(error.splitlines()) == 1 and build.asked == []


def test_an_interrupted_build_says_how_to_go_on_and_leaves_its_lock(build, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "snakemake", interrupted)
    assert build.main(["mini"]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    with build.locked(build.ROOT / "build" / "lock"):
        pass


def test_a_profile_that_is_called_otherwise_is_refused(build, capsys):
    (build.ROOT / "workflow/profiles/copy.yaml").write_text(yaml.safe_dump(PROFILE))
    assert build.main(["copy"]) == 2 and "Write profile: copy" in capsys.readouterr().err


def test_what_is_kept_is_said_first_and_why_a_step_failed_last(build, capsys, monkeypatch):
    folder = build.ROOT / "build/mini"
    (folder / "logs").mkdir(parents=True)

    def fails(*_):
        (folder / "logs/joint-s0.txt").write_text("a warning\n\ntopics=1: expected 2 or more\n\n")
        failed = {"joint-s0": "build/mini/logs/joint-s0.txt"}
        report = {"total": 9, "done": {"data": ["data", 1.0]}, "failed": failed}
        (folder / "report.json").write_text(json.dumps(report))
        return 1

    monkeypatch.setattr(build, "snakemake", fails)
    assert build.main(["mini"]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert (
        first == "1 of 9 steps are done and kept; the next build makes the other 8 and goes on"
        " from there"
    )
    assert last == "joint-s0 failed: topics=1: expected 2 or more"


def test_a_slow_step_is_named_and_fails_nothing(build, capsys, monkeypatch):
    recorded = {"a": 10, "b": 10, "c": 10, "d": 1}
    rows = "".join(f"{step},page,{seconds}\n" for step, seconds in recorded.items())
    (build.ROOT / build.TIMES).write_text(f"step,rule,mini\n{rows}")

    def slow(*_):
        done = {"a": 100.0, "b": 110.0, "c": 400.0, "d": 9.0, "new": 1000.0}
        report = {"total": 5, "done": {k: ["page", v] for k, v in done.items()}, "failed": {}}
        (build.ROOT / "build/mini/report.json").write_text(json.dumps(report))
        return 0

    monkeypatch.setattr(build, "snakemake", slow)
    assert build.main(["mini", "--times"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "longer than what is recorded, at this machine's speed: c 4 times"
    assert (build.ROOT / build.TIMES).read_text().splitlines()[1:3] == [
        "a,page,100.0",
        "b,page,110.0",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grids": [{"of": ["joint"], "points": []}]}, "['grids'][0]: 'chapter' is a required"),
        (
            {"grids": [{"chapter": "9", "of": ["joint"], "points": []}]},
            "['grids'][0]['points']: []",
        ),
        ({"max_tokens": "many"}, "['max_tokens']: 'many' is not of type 'integer'"),
        ({"extra": 1}, "'extra' was unexpected"),
        ({"runs": [{"name": "a"}]}, "['runs'][0]: 'model' is a required property"),
        ({"runs": [{**RUN, "name": "a", "model": "b", "seeds": [-1]}]}, "['seeds'][0]: -1 is less"),
    ],
)
def test_a_profile_of_another_form_is_refused_naming_the_place(build, capsys, change, message):
    place = build.ROOT / "workflow/profiles/mini.yaml"
    place.write_text(yaml.safe_dump({**PROFILE, **change}))
    assert build.main(["mini"]) == 2 and build.asked == []
    printed = capsys.readouterr().err
    assert printed.startswith("workflow/profiles/mini.yaml: ") and message in printed
