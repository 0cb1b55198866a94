import ast
import re
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from m3l import grid, notebook

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def pins(lines):
    found = {}
    for line in lines:
        line = line.split("#")[0].strip()
        if "==" in line:
            name, version = line.split("==")
            found[re.sub(r"[-_.]+", "-", re.sub(r"\[.*\]", "", name)).lower()] = version
    return found


def test_three_descriptions_of_the_environment_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = pins(project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra])
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = pins(next(d["pip"] for d in conda if isinstance(d, dict)))
    full = pins((ROOT / "requirements.txt").read_text().splitlines())
    assert direct == by_pip
    assert direct.items() <= full.items()
    assert "python=3.11" in conda and project["requires-python"] == ">=3.11,<3.12"


def test_every_requirement_is_pinned():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) > 100
    assert all(re.fullmatch(r"[\w.\-]+==[\w.+\-]+", line) for line in lines), [line for line in lines if "==" not in line]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_chapter_is_clean_and_its_parameters_are_typed_and_documented(chapter):
    book = nbformat.read(chapter, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "committed with outputs"
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert [len(c.source.splitlines()) for c in code if len(c.source.splitlines()) > 20] == [], "cells over 20 lines"
    for line in cell.source.splitlines():
        assert re.fullmatch(r"\w+: (str|int|float|bool|list|dict) = .+  # .{10,}", line), line
    assert "profile" in notebook.declared_parameters(chapter)
    after = code[code.index(cell) + 1].source
    assert "notebook.start(globals())" in after, "parameters are checked in the next cell"
    assert book.cells[0].cell_type == "markdown" and "What you will see" in book.cells[0].source
    assert "notebook.provenance(" in code[-1].source
    assert any("## To take away" in c.source for c in book.cells if c.cell_type == "markdown")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_cells_that_draw_have_alternative_text(chapter):
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code" and re.search(r"display\(plots\.", cell.source):
            assert len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) > 30, cell.source


def test_papermill_documents_every_parameter():
    import papermill

    for chapter in CHAPTERS:
        found = papermill.inspect_notebook(str(chapter))
        assert set(found) == set(notebook.declared_parameters(chapter))
        assert all(p["help"] and p["inferred_type_name"] for p in found.values()), chapter


def test_profiles_set_only_parameters_that_chapters_have():
    for path in (ROOT / "workflow" / "profiles").glob("*.yaml"):
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert profile["profile"] == path.stem
        names = [run["name"] for run in profile["runs"]]
        assert len(set(names)) == len(names)
        assert {profile["training_page"], profile["pltm_page"]} <= {f"{run['name']}-s{seed}" for run in profile["runs"] for seed in run["seeds"]}
        for run in profile["runs"]:
            declared = notebook.declared_parameters(ROOT / "book" / f"{run.get('chapter', '04-training')}.ipynb")
            notebook.check_values(declared, {k: v for k, v in run.items() if k not in ("name", "seeds", "chapter")})
            assert set(run["train_views"]) <= set(run["encoders"])
            if "teacher" in run:  # a student's teacher has its seeds, and the one view that the student does not learn
                teacher = next(other for other in profile["runs"] if other["name"] == run["teacher"])
                assert set(run["seeds"]) <= set(teacher["seeds"]) and run["topics"] == teacher["topics"] and run["corpus"] == teacher["corpus"]
                assert set(run["encoders"]) == {*teacher["train_views"], *run["train_views"]}
        for run in grid.plan(profile).runs.values():
            for view, encoder in run["encoders"].items():
                assert encoder in profile["corpora"][run["corpus"]]["encoders"][view]


def test_core_imports_nothing_but_its_four_packages_at_module_level():
    allowed = {"torch", "numpy", "scipy", "tqdm"}
    import sys

    for name in ("__init__", "errors", "files", "progress", "corpus", "model", "loss", "train", "metrics", "evaluation", "runs"):
        for node in ast.parse((ROOT / "m3l" / f"{name}.py").read_text()).body:
            modules = (
                [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            )
            for module in modules:
                top = module.split(".")[0]
                assert top in allowed or top in sys.stdlib_module_names, f"{name} imports {module}"


def test_no_pickle_and_no_network_address_of_a_registry():
    for path in sorted((ROOT / "m3l").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text and "import pickle" not in text and "weights_only=False" not in text, path


def test_equations_in_chapters_and_functions_refer_to_each_other():
    labels = set()
    for chapter in CHAPTERS:
        for cell in nbformat.read(chapter, as_version=4).cells:
            labels |= set(re.findall(r"^\$\$ \((\w+)\)", cell.source, re.M))
    assert {"eq1", "generative", "jsd", "margin"} <= labels
    assert "Eq. 1" in (ROOT / "m3l" / "loss.py").read_text()


def test_ci_brings_a_browser_and_runs_make_test_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith(("#", "set", "cd"))]
    assert lines[1:] == ["CI=true make test"] and lines[0].startswith("command -v chromium")


def test_files_that_the_readmes_show_are_there():
    for readme in (ROOT / "README.md", ROOT / "data" / "README.md"):
        for path in re.findall(r"\]\(([^)#:]+)\)", readme.read_text(encoding="utf-8")):
            assert (readme.parent / path).is_file(), path


def test_code_is_lint_free():
    import sys

    found = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_leftovers_of_killed_processes_are_swept_and_nothing_else(tmp_path, monkeypatch):
    import importlib.util
    import os
    import time

    spec = importlib.util.spec_from_file_location("build", ROOT / "workflow" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    for name in ("data/smoke/.corpus.abc/images/1.jpg", "data/smoke/.young", "data/smoke/card.json", "runs/smoke/.run.xyz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    old = time.time() - 7200
    for name in ("data/smoke/.corpus.abc", "data/smoke/card.json", "runs/smoke/.run.xyz"):
        os.utime(tmp_path / name, (old, old))
    build.sweep("smoke")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == ["data/smoke/.young", "data/smoke/card.json"]


def test_a_program_that_runs_chapters_imports_no_torch():
    import sys

    code = "import sys, m3l.notebook; assert 'torch' not in sys.modules; import m3l; assert all(getattr(m3l, n) for n in m3l.__all__) and 'fit' in dir(m3l)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
