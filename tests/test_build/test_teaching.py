"""What a reader plays with, slides, print, buttons, and what each page says of itself."""

import json
import os
import re
import shutil
import subprocess
import sys

import browsing
import nbformat
import pytest
import torch
from building import ROOT, build, copy_of_the_project

from m3l import Objective
from m3l.files import digest_file
from m3l.loss import agreement, contrast, reconstruction
from m3l.networks import Posterior
from m3l_book.apparatus.generated import without_the_book
from m3l_book.pages import lab

pytestmark = pytest.mark.book
PDF_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")


def turn(page, knob, value):
    page.locator(f'[data-knob="{knob}"]').evaluate(
        "(k, v) => { k.value = v; k.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def loss_by_the_library(temperature, weight, kl, move):
    """The three terms of each of three tuples by m3l, (3, 3)."""
    objective = Objective(temperature=temperature, contrastive_weight=weight, kl_weight=kl)
    english = torch.tensor(lab.THETA_EN, dtype=torch.float64)
    german = torch.tensor(lab.THETA_DE, dtype=torch.float64)
    german[1] = (1 - move) * german[1] + move * german[2]
    none = torch.zeros(3, 3)
    a, b = (Posterior(none, none, theta.log()) for theta in (english, german))
    beta = torch.tensor(lab.BETA, dtype=torch.float64)
    counts = torch.tensor(lab.COUNTS, dtype=torch.float64)
    words = sum(reconstruction(theta @ beta, counts) for theta in (english, german))
    terms = words, kl * agreement(objective, a, b), weight * contrast(objective, a, b)
    return torch.stack(terms, dim=1)


def test_the_loss_under_the_knobs_is_that_of_the_library(book, running):
    with browsing.opened(running, book / "play.html") as tab:
        for log10, weight, kl, move in [(-1.15, 50, 1, 0), (-1.7, 3, 20, 1), (0, 100, 0.5, 0.45)]:
            for knob, value in zip(
                ("temperature", "weight", "kl", "move"), (log10, weight, kl, move), strict=True
            ):
                turn(tab.page, knob, value)
            shown = tab.page.locator("#loss-lab tbody tr").evaluate_all(
                "rows => rows.map(r => ['reconstruction', 'agreement', 'contrast'].map("
                "t => Number(r.querySelector(`[data-term=${t}]`).textContent)))"
            )
            expected = loss_by_the_library(10**log10, weight, kl, move)
            assert shown == pytest.approx(expected.numpy(), abs=6e-4)
            total = float(tab.page.locator("#loss-lab").get_attribute("data-total"))
            assert total == pytest.approx(float(expected.sum()), rel=1e-9)
        tab.page.locator("#loss-lab button").click()
        assert tab.page.locator('[data-shown="weight"]').text_content() == "50.00"
        assert not tab.faults


def test_a_point_of_the_simplex_is_dragged_and_moved_by_keys(book, running):
    def state():
        root = tab.page.locator("#simplex-lab")
        return [json.loads(root.get_attribute(f"data-{name}")) for name in ("theta", "words")]

    with browsing.opened(running, book / "play.html") as tab:
        picture = tab.page.locator("#simplex-lab svg")
        picture.scroll_into_view_if_needed()
        box, before = picture.bounding_box(), state()[0]
        tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 500)  # far above the top
        tab.page.mouse.up()
        theta, words = state()
        assert theta != before and theta[2] == pytest.approx(1) and sum(theta) == pytest.approx(1)
        beta = torch.tensor(lab.BETA, dtype=torch.float64)
        expected = (torch.tensor(theta, dtype=torch.float64) @ beta).softmax(0)
        assert words == pytest.approx(expected.tolist())
        tab.page.locator("#simplex-lab [data-point]").focus()
        for _ in range(6):
            tab.page.keyboard.press("ArrowDown")
        assert state()[0][2] < 0.9 and all(share >= 0 for share in state()[0])


def test_slides_show_figures_as_vectors_and_are_walked_by_keys(book, running):
    with browsing.opened(running, book / "slides.html") as tab:
        tab.page.wait_for_function("() => document.querySelectorAll('mjx-container').length > 0")
        slides = tab.page.locator("section")
        assert slides.count() >= 12
        drawn = tab.page.locator(".shown svg, .shown table").count()
        assert drawn >= 8 and tab.page.locator(".shown img").count() == 0
        for _ in range(3):
            tab.page.keyboard.press("ArrowRight")
        top = tab.page.evaluate("document.querySelector('main').scrollTop")
        assert top == pytest.approx(3 * tab.page.viewport_size["height"], abs=2)
        # nothing that a slide shows is wider than the slide
        wide = tab.page.evaluate(
            "[...document.querySelectorAll('.shown')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(wide) <= 1 and not tab.faults


@pytest.mark.thorough
def test_slides_report_and_cards_are_printed(workshop):
    run, pages = [sys.executable, "workflow/printing.py"], {}
    for what in ("slides", "report", "cards"):
        subprocess.run([*run, "smoke", what], cwd=workshop, check=True)
        printed = (workshop / f"build/smoke/{what}.pdf").read_bytes()
        assert printed.startswith(b"%PDF")
        pages[what] = len(PDF_PAGE.findall(printed))
    assert pages["slides"] >= 12 and pages["report"] == 4
    html = (workshop / "build/smoke/html/verdicts.html").read_text(encoding="utf-8")
    assert pages["cards"] >= html.count('class="claim-card"') > 50, "each on its own page"
    result = subprocess.run([*run, "none", "report"], cwd=workshop, capture_output=True)
    assert result.returncode == 2 and b"make book PROFILE=none" in result.stderr


@pytest.mark.thorough
def test_what_is_handed_on_is_whole_and_a_validator_accepts_it(workshop, tmp_path):
    gather = [sys.executable, "workflow/deposit.py", "smoke"]
    build, python = workshop / "build/smoke", tmp_path / "crate/bin/python"
    (build / "report.pdf").write_bytes(b"%PDF of a test")
    refused = subprocess.run(gather, cwd=workshop, capture_output=True, text=True)
    assert refused.returncode == 2 and not (build / "deposit").exists(), "no commit to name"
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "-m", "a"]):
        subprocess.run(["git", *command], cwd=workshop, check=True)
    subprocess.run(gather, cwd=workshop, check=True)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "crate"], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "-r", ROOT / "requirements-crate.txt"]
    subprocess.run(pip, check=True)
    subprocess.run([python, "workflow/crate.py", build / "deposit"], cwd=workshop, check=True)
    shutil.unpack_archive(build / "deposit.zip", tmp_path / "unpacked")
    sums = (tmp_path / "unpacked/SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: checksum for checksum, name in (line.split("  ", 1) for line in sums)}
    there = {
        p.relative_to(tmp_path / "unpacked").as_posix(): p
        for p in (tmp_path / "unpacked").rglob("*")
        if p.is_file()
    }
    assert set(there) - set(listed) == {"SHA256SUMS", "ro-crate-metadata.json"}
    assert all(digest_file(there[name]) == checksum for name, checksum in listed.items())
    assert {"book/index.html", "claims.json", "results/full/runs.csv"} <= set(listed)
    metadata = build / "deposit/ro-crate-metadata.json"
    about = json.loads(metadata.read_text(encoding="utf-8"))
    del about["@graph"][0]["license"]
    metadata.write_text(json.dumps(about), encoding="utf-8")
    look = "import sys, crate, pathlib; sys.exit(crate.problems(pathlib.Path(sys.argv[1])))"
    wrong = subprocess.run(
        [python, "-c", look, build / "deposit"],
        cwd=workshop / "workflow",
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 1 and "`license`" in wrong.stderr


def test_pages_say_how_long_they_took_and_lead_to_exercises_terms_and_numbered_figures(book):
    def html_of(page):
        return (book / f"{page}.html").read_text(encoding="utf-8")

    for page in ("03-model", "07-retrieval"):
        html = html_of(page)
        assert re.search(r"To compute this page took [\d,]+ s\.", html)
        assert f'href="exercises/{page}.html"' in html
        link = re.search(r'href="([^"]+\.ipynb)"', html)[1]
        notebook = nbformat.read((book / page).parent / link, as_version=4)
        nbformat.validate(notebook)
        assert any(cell.get("outputs") for cell in notebook.cells), "as it was executed"
    html = html_of("status")
    assert "07-retrieval.html" in html and "runs were executed" in html
    term = 'href="glossary.html#term-InfoNCE"'
    assert html_of("03-model").count(term) == 1, "at its first mention alone"
    html = html_of("11-batch-sizes")
    assert 'href="#table-11-2"' in html and 'id="table-11-2"' in html
    assert 'id="figure-10-1"' in html_of("10-topic-numbers")
    assert 'href="../01-data.html#table-1-1"' in html_of("teaching/plan")


@pytest.mark.thorough
def test_buttons_for_binder_and_colab_and_their_files(workshop):
    render = [sys.executable, "workflow/render.py", "smoke", "build/smoke/pages", "build/y/html"]
    environment = os.environ | {
        "PYTHONPATH": str(workshop),
        "M3L_BOOK_REPOSITORY": "https://github.com/somebody/m3l-book.git",
    }
    result = subprocess.run(render, cwd=workshop, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    html = (workshop / "build/y/html/exercises/03-model.html").read_text(encoding="utf-8")
    at = "book/exercises/03-model.ipynb"
    assert "https://mybinder.org/v2/gh/somebody/m3l-book/main?urlpath=" in html and at in html
    assert f"https://colab.research.google.com/github/somebody/m3l-book/blob/main/{at}" in html
    binder = ROOT / ".binder"
    assert (binder / "runtime.txt").read_text() == "python-3.11\n"
    # files of this folder are copied before all others, so none of them may name another
    assert {path.name for path in binder.iterdir()} == {"runtime.txt", "postBuild"}
    assert os.access(binder / "postBuild", os.X_OK)
    subprocess.run(["bash", "-n", str(binder / "postBuild")], check=True)


def notebooks_run(python, folder, *names):
    """Run notebooks cell by cell by the kernel of an environment."""
    quiet = {"cwd": folder, "capture_output": True, "text": True}
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([python, "-c", CELL_BY_CELL, *names], env=environment, **quiet)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.thorough
def test_pages_that_need_no_build_run_on_what_is_named_for_colab(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.txt"]
    subprocess.run([*pip, "torch", "numpy", "nbclient", "ipykernel"], check=True)
    (tmp_path / "alone").mkdir()
    alone = without_the_book(nbformat.read(ROOT / "book/m3l-in-150-lines.ipynb", as_version=4))
    nbformat.write(alone, tmp_path / "alone/page.ipynb")
    notebooks_run(python, tmp_path, "alone/page.ipynb")
    page = (ROOT / "book/elsewhere.md").read_text(encoding="utf-8")
    named = re.search(r"what Colab has: `([^`]+)`", page)[1].split()
    named += re.search(r"!pip install --quiet (.+)", page)[1].split()
    subprocess.run([*pip, *named], check=True)
    copy_of_the_project(tmp_path / "m3l")
    pages = ["primer", "play", "exercises/lab-infonce", "exercises/03-model"]
    notebooks_run(python, tmp_path / "m3l", *(f"book/{name}.ipynb" for name in pages))


@pytest.mark.thorough
def test_what_binder_installs_builds_the_small_book(tmp_path):
    copy_of_the_project(tmp_path / "m3l")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    path = f"{tmp_path / 'env/bin'}{os.pathsep}{os.environ['PATH']}"
    quiet = {"cwd": tmp_path / "m3l", "capture_output": True, "text": True}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path}
    done = subprocess.run(["bash", ".binder/postBuild"], env=environment, **quiet)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    chapter = ["-m", "m3l_book.execute", "book/07-retrieval.ipynb", "build/mine.ipynb"]
    chapter += ["-p", "profile", "smoke", "-p", "data", "data/smoke", "-p", "runs", "runs/smoke"]
    done = subprocess.run([tmp_path / "env/bin/python", *chapter], env=environment, **quiet)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.thorough
def test_exercises_are_executed_and_their_outputs_shown(workshop):
    """In a build as by default, which smoke is not: one that executes the exercises."""
    profile = workshop / "workflow/profiles/smoke.yaml"
    before = profile.read_text(encoding="utf-8")
    profile.write_text(before.replace("exercises: false\n", ""), encoding="utf-8")
    try:
        result = build(workshop, "smoke")
    finally:
        profile.write_text(before, encoding="utf-8")
    assert result.returncode == 0, result.stderr[-3000:]
    exercises = sorted((workshop / "build/smoke/pages/exercises").glob("*.ipynb"))
    names = {path.stem for path in (ROOT / "book/exercises").glob("*.ipynb")}
    assert {path.stem for path in exercises} == names
    for path in exercises:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert all(cell.execution_count for cell in cells), path.name
    assert (workshop / "build/smoke/html/exercises/03-model.html").is_file()


@pytest.mark.thorough
def test_the_commands_of_the_cookbook_do_what_they_say(workshop):
    text = (ROOT / "book" / "cookbook.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.+?)\n```", text, re.M | re.S)
    assert len(commands) == 11
    rows = [f"A{i},B{i},a bridge over river number {i},eine Brücke {i}" for i in range(30)]
    table = "\n".join(["en_title,de_title,en_text,de_text", *rows])
    (workshop / "my.csv").write_text(table, encoding="utf-8")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for git in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "a copy"]):
        subprocess.run(["git", *git], cwd=workshop, check=True)
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(workshop), "PATH": path}
    said = []
    for command in commands:
        command = command.replace("laptop", "smoke").replace("-s20", "-s0")
        if "m3l_book.execute" in command:
            command += " -p profile smoke -p data data/smoke -p runs runs/smoke"
        if "my-run" in command:
            command += " -p epochs 2"
        quiet = {"capture_output": True, "text": True, "env": environment}
        result = subprocess.run(["bash", "-c", command], cwd=workshop, **quiet)
        assert result.returncode == 0, f"{command}\n{result.stdout[-1500:]}{result.stderr[-1500:]}"
        said.append(result.stdout + result.stderr)
    assert "topics: int" in said[0]
    record = json.loads((workshop / "runs/smoke/my-run/params.json").read_text())
    assert record["topics"] == 25
    for made in ("my-tables.ipynb", "my-topics/index.html", "exercises/lab-infonce.ipynb"):
        assert (workshop / "build" / made).is_file()
    assert "the page: build/smoke/html/primer.html" in said[5]
    assert "runs" in said[9] and said[10].count("[") == 11


CELL_BY_CELL = """
import nbformat, sys
from nbclient import NotebookClient
for name in sys.argv[1:]:
    book = nbformat.read(name, as_version=4)
    client = NotebookClient(book, kernel_name="python3", startup_timeout=10**9)
    client.execute(cwd=name.rpartition("/")[0])
"""


@pytest.mark.thorough
def test_jupyterlab_takes_this_environments_kernel_and_chapters_run_cell_by_cell(
    workshop, tmp_path
):
    """As `make lab` starts it, with another kernel of that name in the user's folder."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    setting = r"env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 \$\(RUN\) -m jupyterlab"
    assert re.search(setting, makefile)
    other = tmp_path / ".local/share/jupyter/kernels/python3"
    other.mkdir(parents=True)
    kernel = {"argv": ["/nowhere/python"], "display_name": "Another", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(kernel))
    for folder in ("data", "runs", "build"):
        (workshop / folder / "laptop").symlink_to(workshop / folder / "smoke")
    environment = {k: v for k, v in os.environ.items() if k != "JUPYTER_PATH"}
    environment |= {"JUPYTER_PREFER_ENV_PATH": "1", "HOME": str(tmp_path)}
    environment |= {"PYTHONPATH": str(workshop)}
    names = ["03-model", "07-retrieval", "primer", "play", "exercises/03-model"]
    command = [sys.executable, "-c", CELL_BY_CELL, *(f"book/{name}.ipynb" for name in names)]
    subprocess.run(command, cwd=workshop, env=environment, check=True)
