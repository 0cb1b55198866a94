"""What is built again, and what is not."""

import json
import os
import shutil
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
import yaml
from building import ROOT, build, ends_with_the_tests

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def workshop(as_built):
    return as_built


def numbers(folder):
    """The arrays of a run, as bytes."""
    files = [*folder.glob("*.npy"), *folder.glob("*.safetensors")]
    return {path.name: path.read_bytes() for path in files}


def test_a_second_build_does_nothing(workshop):
    before = {p: p.stat().st_mtime_ns for p in (workshop / "runs/smoke").rglob("*") if p.is_file()}
    page = (workshop / "build/smoke/html/index.html").stat().st_mtime_ns
    result = build(workshop, "smoke")
    assert result.returncode == 0, result.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (workshop / "build/smoke/html/index.html").stat().st_mtime_ns == page


def test_an_edited_sentence_is_shown_and_executes_nothing(workshop):
    """In a chapter, and in the one on training, whose code every run is made by."""
    built, sentence = workshop / "build/smoke", "This sentence was edited."
    made = [*(built / "pages").rglob("*.ipynb"), *(workshop / "runs/smoke").glob("*/metrics.json")]
    before = {path: path.stat().st_mtime_ns for path in made}
    for chapter in ("04-training", "07-retrieval"):
        path = workshop / f"book/{chapter}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += f"\n\n{sentence}"
        nbformat.write(notebook, path)
    result = build(workshop, "smoke")
    assert result.returncode == 0, result.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in made} == before
    for chapter in ("04-training", "07-retrieval"):
        assert sentence in (built / f"html/{chapter}.html").read_text(encoding="utf-8")


TRAINED = {"01-data", "encode-vital-en-use-multilingual", "emoji-m3l-s0", "vital-pltm-s0"}
SHOWN = {"02-encoders", "03-model", "07-retrieval", "verdicts", "browser-vital-m3l-s0", "html"}


@pytest.mark.parametrize(
    ("edited", "again", "not_again"),
    [
        ("m3l/train.py", {*TRAINED, *SHOWN, "speed"}, set()),
        ("m3l_book/records/run.py", {*TRAINED, *SHOWN}, {"speed"}),
        ("m3l_book/figures/style.py m3l_book/tables/shared.py", SHOWN, {*TRAINED, "speed"}),
        ("book/07-retrieval.ipynb", {"07-retrieval", "html"}, {*TRAINED, "03-model", "verdicts"}),
        ("data/paper/claims.csv", {"verdicts", "09-topic-space", "html"}, {*TRAINED, "03-model"}),
    ],
)
def test_code_that_changed_makes_anew_what_it_makes_and_no_more(workshop, edited, again, not_again):
    before = {path: path.read_bytes() for path in map(workshop.joinpath, edited.split())}
    for path, code in before.items():
        change = code.replace(b"from m3l_book import chapter", b"from m3l_book import  chapter")
        path.write_bytes(change if path.suffix == ".ipynb" else code + b"\n")
    try:
        said = build(workshop, "smoke", "--dry-run").stderr
    finally:
        for path, code in before.items():
            path.write_bytes(code)
    steps = {line.partition(": ")[0] for line in said.splitlines()}
    assert again <= steps and not not_again & steps, said


def test_a_repository_that_is_named_makes_the_buttons_and_executes_nothing(workshop):
    named = os.environ | {"M3L_BOOK_REPOSITORY": "https://github.com/somebody/m3l-book"}
    said = build(workshop, "smoke", "--dry-run", env=named).stderr
    assert {line.partition(": ")[0] for line in said.splitlines()} == {"html"}, said


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_numbers(workshop):
    folder = workshop / "runs/smoke/emoji-m3l-s0"
    before = numbers(folder)
    shutil.rmtree(folder)
    assert build(workshop, "smoke", "runs/smoke/emoji-m3l-s0/metrics.json").returncode == 0
    assert numbers(folder) == before


@pytest.mark.thorough
def test_through_an_executor_the_same_runs_give_the_same_bytes(workshop, tmp_path):
    """Jobs submitted to a scheduler, here one that just starts them: a joint model, and a student,
    whose teacher is inferred from.
    """
    profile = tmp_path / "profile"
    profile.mkdir()
    submit, status = tmp_path / "submit.sh", tmp_path / "status.sh"
    submit.write_text(
        f'#!/bin/bash\nid=$$\n(bash "$1" > {tmp_path}/$id.txt 2>&1; echo $? > {tmp_path}/$id.rc) >'
        " /dev/null 2>&1 &\necho $id\n"
    )
    status.write_text(
        f"#!/bin/bash\nif [ ! -f {tmp_path}/$1.rc ]; then echo running; elif [ $(cat"
        f" {tmp_path}/$1.rc) = 0 ]; then echo success; else echo failed; fi\n"
    )
    for script in (submit, status):
        script.chmod(0o755)
    real = yaml.safe_load((ROOT / "workflow/slurm/config.yaml").read_text())
    own = {
        "cluster-generic-submit-cmd": str(submit),
        "cluster-generic-status-cmd": str(status),
        "cluster-generic-cancel-cmd": "true",
        "seconds-between-status-checks": 1,
    }
    (profile / "config.yaml").write_text(yaml.safe_dump(real | own))
    names = ["emoji-m3l-s0", "vital-kd-en-fr-s0"]
    folders = [workshop / "runs/smoke" / name for name in names]
    before = [numbers(folder) for folder in folders]
    for folder in folders:
        shutil.rmtree(folder)
    passed = ["--", "--workflow-profile", str(profile), "--jobs", "2"]
    result = build(workshop, "smoke", "--runs", *names, *passed)
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(list(tmp_path.glob("*.rc"))) == 2
    assert [numbers(folder) for folder in folders] == before


@pytest.mark.thorough
def test_one_chapter_reruns_with_one_parameter_changed(workshop):
    command = [sys.executable, "-m", "m3l_book.execute"]
    command += ["book/04-training.ipynb", "build/mine.ipynb", "--parameters"]
    changed = {"profile": "smoke", "data": "data/smoke", "runs": "build/my-runs", "run": "mine"}
    command.append(json.dumps(changed | {"epochs": 2}))
    environment = os.environ | {"PYTHONPATH": str(workshop)}
    subprocess.run([*command, "-p", "topics", "7"], cwd=workshop, check=True, env=environment)
    assert json.loads((workshop / "build/my-runs/mine/params.json").read_text())["topics"] == 7
    assert len((workshop / "build/my-runs/mine/history.csv").read_text().splitlines()) == 1 + 2


def test_a_failing_chapter_fails_the_build_and_is_named(workshop, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(workshop, folder)
    profile = folder / "workflow/profiles/smoke.yaml"
    profile.write_text(profile.read_text().replace(", topics: 10", ", topics: 1"))
    result = build(folder, "smoke", "runs/smoke/emoji-m3l-s0/metrics.json")
    assert result.returncode != 0
    assert (
        "book/04-" in result.stderr
        and "topics=1: expected" in result.stderr
        and "2 or more" in result.stderr
    )


def test_a_build_that_is_told_to_end_does_not_wait_and_leaves_no_process(workshop, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(workshop, folder)
    profile = folder / "workflow/profiles/smoke.yaml"
    profile.write_text(profile.read_text().replace("epochs: 4", "epochs: 100000000"))
    command = [sys.executable, "workflow/build.py", "smoke", "runs/smoke/emoji-m3l-s0/metrics.json"]
    build = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=ends_with_the_tests
    )
    # a run that would never end is being trained
    while not (folder / "runs/smoke/emoji-m3l-s0.checkpoint.safetensors").exists():
        assert build.poll() is None, build.stderr.read()
        time.sleep(0.2)
    started = psutil.Process(build.pid).children(recursive=True)
    assert len(started) > 2
    build.terminate()
    assert "the same command goes on from here" in build.communicate()[1]
    assert build.returncode == 130
    left = [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not left


@pytest.mark.thorough
def test_runs_are_recorded_in_parts(workshop):
    """What was recorded before stays, where its runs are gone."""
    folder, runs = workshop / "data/results/smoke", workshop / "runs/smoke"
    gone, who = workshop / "gone", ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "a commit"]):
        subprocess.run(["git", *command], cwd=workshop, check=True)
    try:
        first = build(workshop, "smoke", "--record")
        assert first.returncode == 0, first.stderr[-3000:]
        about = json.loads((folder / "about.json").read_text())
        files = {p.name: p.read_bytes() for p in folder.glob("*.csv")}
        verdicts = (folder / "verdicts.json").read_text()
        assert about["missing"] == [] and about["earlier"] == [] and about["runs"] == 12
        gone.mkdir()
        for run in runs.glob("*-s*"):
            if run.name != "emoji-pltm-s0":
                run.rename(gone / run.name)
        assert build(workshop, "smoke", "--record").returncode == 0
        again = json.loads((folder / "about.json").read_text())
        assert again["runs"] == about["runs"] and again["seconds"] == about["seconds"]
        assert again["missing"] == [] and again["prepared"] == about["prepared"]
        (earlier,) = again["earlier"]
        assert earlier["runs"] == about["runs"] and earlier["commit"] == about["commit"]
        assert (folder / "verdicts.json").read_text() == verdicts
        for name, content in files.items():
            old, new = content.splitlines(), (folder / name).read_bytes().splitlines()
            assert sorted(old) == sorted(new), name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(workshop / ".git")
        for run in gone.glob("*") if gone.is_dir() else ():
            run.rename(runs / run.name)
