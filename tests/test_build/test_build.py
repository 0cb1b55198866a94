"""What a build refuses, asks of Snakemake, and says."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import printing
import pytest
import render
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
    ],
}
HOLDER = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import build
build.ROOT = pathlib.Path(sys.argv[2])
with build.locked():
    print("held", flush=True)
    time.sleep(10**6)
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The module, in a folder with one profile; instead of running commands it lists them."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "workflow" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    (tmp_path / "workflow" / "profiles" / "mini.yaml").write_text(yaml.safe_dump(PROFILE))
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "seconds.csv").write_text("step,rule,mini\n")
    (tmp_path / "book" / "10-topic-numbers.ipynb").touch()
    module.asked = []
    monkeypatch.setattr(module, "run", lambda command, _: module.asked.append(command) or 0)
    return module


def test_what_is_asked_for_goes_to_snakemake(build, capsys):
    assert build.main(["mini"]) == 0
    said = capsys.readouterr().out
    assert "nothing had to be made" in said and "the book: build/mini/html/index.html" in said
    assert build.main(["mini", "some/file", "--cores", "1", "--", "--jobs", "4"]) == 0
    assert build.main(["mini", "--runs", "student-*"]) == 0
    assert build.main(["mini", "--page", "primer"]) == 0
    whole, file, runs, page, render = build.asked
    assert whole[3] == "--snakefile" and file[3] == "some/file" and file[-2:] == ["--jobs", "4"]
    assert runs[3:5] == [f"runs/mini/student-s{seed}/metrics.json" for seed in (0, 1)]
    assert page[3] == "build/mini/pages/primer.ipynb" and render[1] == "workflow/render.py"


def test_jobs_take_turns_on_a_gpu_of_this_machine_and_a_cluster_sees_to_its_own(build, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    build.main(["mini"])
    (build.GPUS / "0000:01:00.0").mkdir(parents=True)
    build.main(["mini"])
    build.main(["mini", "--", "--workflow-profile", "workflow/slurm"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    build.main(["mini"])
    assert ["gpu=1" in command for command in build.asked] == [False, True, False, False]


def test_one_build_at_a_time_runs_in_a_checkout(build, capsys):
    command = [sys.executable, "-c", HOLDER, str(ROOT / "workflow"), str(build.ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert build.main(["mini"]) == 3 and build.main(["mini", "--runs", "*"]) == 3
        said = capsys.readouterr().err
        assert re.search(r"another build \(process \d+ on .+\) is running in", said)
        holder.kill()
    assert build.main(["mini"]) == 0, "a lock goes with its process"


def test_a_checkout_that_cannot_be_written_is_one_line(build, capsys, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system", str(build.ROOT / "build"))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert build.main(["mini"]) == 2 and build.asked == []
    (error,) = capsys.readouterr().err.splitlines()
    assert "Read-only file system" in error and str(build.ROOT) in error


def test_an_interrupted_build_says_how_to_go_on_and_leaves_its_lock(build, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run", interrupted)
    assert build.main(["mini"]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    with build.locked():
        pass


def test_leftovers_of_killed_processes_are_swept_and_nothing_else(build):
    kept = {"data/mini/.the-users-own/file", "data/mini/card.json"}
    left = {"data/mini/.corpus.m3l-tmp.abc/images/1.jpg", "runs/mini/.run.m3l-tmp.xyz"}
    for name in kept | left:
        (build.ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (build.ROOT / name).write_text("x")
    assert build.main(["mini"]) == 0
    assert {name for name in kept | left if (build.ROOT / name).exists()} == kept


def test_a_slow_step_is_named_and_fails_nothing(build, capsys, monkeypatch):
    recorded = {"a": 10, "b": 10, "c": 10, "d": 1}
    rows = "".join(f"{step},page,{seconds}\n" for step, seconds in recorded.items())
    (build.ROOT / "book" / "seconds.csv").write_text(f"step,rule,mini\n{rows}")

    def slow(*_):
        done = {"a": 100.0, "b": 110.0, "c": 400.0, "d": 9.0, "new": 1000.0}
        report = {step: ["page", seconds] for step, seconds in done.items()}
        (build.ROOT / "build/mini/report.json").write_text(json.dumps(report))
        return 0

    monkeypatch.setattr(build, "run", slow)
    assert build.main(["mini", "--times"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "longer than what is recorded, at this machine's speed: c 4 times"
    kept = (build.ROOT / "book" / "seconds.csv").read_text().splitlines()
    assert kept[1:3] == ["a,page,100.0", "b,page,110.0"]


GRID = {"chapter": "9", "of": ["teacher"], "points": []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "other"}, "says profile: other, whose book it would replace"),
        ({"grids": [{"of": ["teacher"], "points": []}]}, "$.grids[0]: 'chapter' is a required"),
        ({"grids": [GRID]}, "$.grids[0].points: []"),
        ({"max_tokens": "many"}, "$.max_tokens: 'many' is not of type 'integer'"),
        ({"extra": 1}, "'extra' was unexpected"),
        ({"runs": [{"name": "a"}]}, "$.runs[0]: 'model' is a required property"),
        ({"runs": [{**RUN, "name": "a", "model": "b", "seeds": [-1]}]}, "seeds[0]: -1 is less"),
        ({"grids": [{**GRID, "points": [{"topics": 5}]}]}, "chapter='9' is unknown; valid: 10-"),
    ],
)
def test_a_profile_of_another_form_is_refused_naming_the_place(build, capsys, change, message):
    place = build.ROOT / "workflow/profiles/mini.yaml"
    place.write_text(yaml.safe_dump({**PROFILE, **change}))
    assert build.main(["mini"]) == 2 and build.asked == []
    printed = capsys.readouterr().err
    assert printed.startswith("workflow/profiles/mini.yaml") and message in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["laptpo"], "PROFILE='laptpo' is unknown; valid: mini"),
        (["mini", "--runs", "x*"], "no run of the profile is called that; there are: teacher-s0"),
        (["mini", "--record"], "no run of profile mini is there; make some with --runs"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(build, capsys, arguments, message):
    assert build.main(arguments) == 2 and message in capsys.readouterr().err
    assert build.asked == []


SNAKEFILE = """
rule all:
    input: "a", "b", "c"
rule make:
    output: "{name}"
    log: "build/logs/{name}.txt"
    shell: "test {wildcards.name} != b && touch {output} || (echo why; echo; false) > {log}"
"""


@pytest.mark.parametrize("recorded", ["x,make,2\n", ""], ids=["recorded", "nothing recorded"])
def test_what_is_kept_is_said_first_and_why_a_step_failed_last(tmp_path, recorded):
    """By Snakemake itself, on three files of which one cannot be made."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "seconds.csv").write_text(f"step,rule,mini\n{recorded}")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"]
    command += ["--logger", "book", "--logger-book-report", "report.json"]
    places = {"PYTHONPATH": f"{ROOT}:{ROOT / 'workflow'}", "PATH": "/usr/bin:/bin"}
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=places)
    assert result.returncode == 1
    *steps, kept, last = result.stderr.splitlines()
    assert len([step for step in steps if step.startswith("[")]) == 3
    assert kept.startswith("2 of 4 steps are done and kept; the next build makes the other 2")
    assert last == "b failed: why"
    assert set(json.loads((tmp_path / "report.json").read_text())) == {"a", "c"}


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ("", "jupyter-book: it ended with status 137"),
        ("a\npage.md:1: WARNING: odd\nb", "jupyter-book: page.md:1: WARNING: odd"),
        ("at\nSphinxError: no index\n===\n\n", "jupyter-book: SphinxError: no index"),
    ],
)
def test_why_a_book_was_not_rendered_is_said_last(tmp_path, capsys, monkeypatch, said, last):
    ended = SimpleNamespace(returncode=137, stdout=said)
    monkeypatch.setattr(render.subprocess, "run", lambda *_, **__: ended)
    assert render.jupyter_book(tmp_path, "html", strict=True) == 137
    assert capsys.readouterr().err.splitlines()[-1] == last


@pytest.mark.parametrize("pages", ["pages", "own"])
def test_a_book_is_printed_of_its_own_pages(tmp_path, monkeypatch, pages):
    for folder in {"pages", pages}:  # the data of a user's own book are prepared in pages
        (tmp_path / "build/mini" / folder).mkdir(parents=True)
    asked = []
    monkeypatch.setattr(printing, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["printing.py", "mini", "book"])
    ended = SimpleNamespace(returncode=1)
    monkeypatch.setattr(printing.subprocess, "run", lambda c, **_: asked.append(c) or ended)
    assert printing.main() == 1
    assert asked[0][3] == str(tmp_path / "build/mini" / pages)
