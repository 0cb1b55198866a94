import ast
import csv
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from m3l.errors import check_values
from m3l_book import execute
from m3l_book.records import planning

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
OWN = sorted((ROOT / "book" / "own").glob("*.ipynb"))  # pages of a user's own book


def test_what_the_packages_ask_for_is_pinned_within_their_ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(line) for line in chain(project["dependencies"], *extras)]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(one.name): next(iter(one.specifier)).version
        for one in map(Requirement, (line for line in lines if line and line[0] != "#"))
    }
    for one in asked:
        if one.name != "m3l":
            assert one.specifier.contains(pinned[canonicalize_name(one.name)]), one
    assert all("==" not in str(one) for one in asked), "ranges, and pins in requirements.txt alone"
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "python=3.11" in conda and {"pip": ["--requirement requirements.txt"]} in conda


@pytest.mark.thorough
def test_the_ten_lines_of_the_readme_run_where_only_the_library_is_installed(tmp_path):
    """A wheel in an environment of its own, with what the README says that they need."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(wheel, check=True, cwd=tmp_path)
    (package,) = tmp_path.glob("m3l-*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    needs = re.search(r'pip install "m3l\[texts\]" ([\w -]+)', readme)[1].split()
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.txt"]
    subprocess.run([*install, f"{package}[texts]", *needs], check=True, cwd=tmp_path)
    code = next(
        c for c in re.findall(r"```python\n(.*?)```", readme, re.S) if "from m3l import" in c
    )
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8 and (tmp_path / "topics.safetensors").is_file()


def test_every_requirement_is_pinned():
    lines = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert len(lines) > 100
    assert all(re.fullmatch(r"[\w.\-]+==[\w.+\-]+", line) for line in lines), [
        line for line in lines if "==" not in line
    ]


@pytest.mark.parametrize("chapter", [*CHAPTERS, *OWN], ids=lambda p: p.stem)
def test_chapter_is_clean_and_its_parameters_are_typed_and_documented(chapter):
    book = nbformat.read(chapter, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "committed with outputs"
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert [len(c.source.splitlines()) for c in code if len(c.source.splitlines()) > 20] == [], (
        "cells over 20 lines"
    )
    for line in cell.source.splitlines():
        assert re.fullmatch(r"\w+: (str|int|float|bool|list|dict) = .+  # .{10,}", line), line
    assert "profile" in execute.declared_parameters(chapter)
    after = code[code.index(cell) + 1].source
    assert "chapter.start(globals())" in after, "parameters are checked in the next cell"
    assert "chapter.provenance(" in code[-1].source


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_says_what_it_will_show_and_what_to_take_away(chapter):
    book = nbformat.read(chapter, as_version=4)
    assert book.cells[0].cell_type == "markdown" and "What you will see" in book.cells[0].source
    closed = any("## To take away" in c.source for c in book.cells if c.cell_type == "markdown")
    assert closed


@pytest.mark.parametrize("page", OWN, ids=lambda p: p.stem)
def test_a_page_of_a_users_book_speaks_of_no_chapter_and_of_no_paper(page):
    for cell in nbformat.read(page, as_version=4).cells:
        assert not re.search(r"\{doc\}`(?!the map <map>`|fit`|data`)|paper", cell.source), cell.id


@pytest.mark.parametrize("chapter", [*CHAPTERS, *OWN], ids=lambda p: p.stem)
def test_figures_are_shown_with_alternative_text_and_code_fits_its_box(chapter):
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            # captions.figure refuses a figure that says nothing
            assert not re.search(r"plt\.|display\(figure", cell.source), cell.source
            assert all(len(line) <= 88 for line in cell.source.splitlines()), cell.source


def test_files_sidebar_and_prose_give_chapters_the_same_numbers():
    toc = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    numbered = [part for part in toc["parts"] if part.get("numbered")]
    files = [entry["file"] for part in numbered for entry in part["chapters"]]
    assert [int(name[:2]) for name in files] == list(range(1, len(files) + 1))
    assert set(files) == {path.stem for path in CHAPTERS if path.stem[0].isdigit()}
    prose = [*ROOT.glob("*.md"), *(ROOT / "book").glob("*.md"), *CHAPTERS]
    code = [p for d in ("m3l", "m3l_book", "workflow") for p in (ROOT / d).rglob("*.py")]
    for path in [*prose, *code, ROOT / "workflow/Snakefile"]:
        text = path.read_text(encoding="utf-8")
        # a number that nobody checks would be wrong after the next chapter
        assert not re.search(r"\b[Cc]hapters? \d", text), path
        for name in re.findall(r"\b\d\d-[a-z]+(?:-[a-z]+)*\b", text):
            if re.match(r"(0\d|1[0-3])-", name) and name[3:] not in ("s", "text"):
                assert name in files or not (ROOT / "book").joinpath(f"{name}.ipynb").exists(), path


def test_papermill_documents_every_parameter():
    import papermill

    for chapter in CHAPTERS:
        actual = papermill.inspect_notebook(str(chapter))
        assert set(actual) == set(execute.declared_parameters(chapter))
        assert all(p["help"] and p["inferred_type_name"] for p in actual.values()), chapter


def test_profiles_set_only_parameters_that_chapters_have():
    for path in (ROOT / "workflow" / "profiles").glob("*.yaml"):
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert profile["profile"] == path.stem
        names = [run["name"] for run in profile["runs"]]
        assert len(set(names)) == len(names)
        made = {f"{run['name']}-s{seed}" for run in profile["runs"] for seed in run["seeds"]}
        assert set(profile.get("first", [])) <= made  # the runs of a user's first page
        for run in profile["runs"]:
            declared = execute.declared_parameters(
                ROOT / "book" / f"{run.get('chapter', '04-training')}.ipynb"
            )
            check_values(
                declared, {k: v for k, v in run.items() if k not in ("name", "seeds", "chapter")}
            )
            assert set(run["train_views"]) <= set(run["encoders"])
            # a student's teacher has its seeds, and the one view that the student does not learn
            if "teacher" in run:
                teacher = next(
                    other for other in profile["runs"] if other["name"] == run["teacher"]
                )
                assert (
                    set(run["seeds"]) <= set(teacher["seeds"])
                    and run["topics"] == teacher["topics"]
                    and run["corpus"] == teacher["corpus"]
                )
                assert set(run["encoders"]) == {*teacher["train_views"], *run["train_views"]}
        for run in planning.make_plan(profile).runs.values():
            for view, encoder in run["encoders"].items():
                assert encoder in profile["corpora"][run["corpus"]]["encoders"][view]


@cache
def tree_of(path):
    """The syntax tree of a file, which nobody changes."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path):
    """The dotted names of modules that a file imports at module level."""
    for node in tree_of(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def test_the_method_imports_nothing_but_its_five_packages_at_module_level():
    allowed = {"torch", "numpy", "scipy", "tqdm", "safetensors"} | sys.stdlib_module_names
    compiled = {
        "m3l/compiling.py",
        "m3l/gibbs.py",
        "m3l/loops.py",
    }  # need numba
    beyond = compiled | {"m3l/text.py", "m3l/estimator.py"}
    for path in (ROOT / "m3l").rglob("*.py"):
        if str(path.relative_to(ROOT)) not in beyond:
            for module in imports_of(path):
                assert module.split(".")[0] in allowed, f"{path} imports {module}"


# a room may import from those to its left; see ARCHITECTURE.md
ROOMS = {
    "m3l": """errors progress files saving view text corpus noise compiling networks trained model
        loss checks code loops fused train distillation variants gibbs pltm metrics estimator""",
    "m3l_book": """shown values measured pictures summaries wikipedia encoders data
        records claims topic_space recorded recording record_check tables figures pages
        chapter execute left_out apparatus own __main__""",
}


def imported(path):
    """The dotted names that a file imports anywhere, of modules and of what is in them."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


@pytest.mark.parametrize("package", ROOMS)
def test_imports_go_in_one_direction(package):
    place = {room: number for number, room in enumerate(ROOMS[package].split())}
    rooms = {
        path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for path in (ROOT / package).rglob("*.py")
    }
    assert rooms - {"__init__"} == set(place), "every room has its place"
    for path in (ROOT / package).rglob("*.py"):
        room = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for name in imported(path):
            parts = name.split(".")
            assert package != "m3l" or parts[0] != "m3l_book", f"{path} imports {name}"
            if parts[0] == package and len(parts) > 1 and parts[1] in place and room in place:
                assert parts[1] == room or place[parts[1]] < place[room], (
                    f"{path} imports {name}, which lies above it"
                )


@pytest.mark.parametrize("package", ROOMS)
def test_no_import_goes_in_a_circle(package):
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {name: set(imported(path)) & set(modules) for name, path in modules.items()}
    assert any(graph.values())
    TopologicalSorter(graph).prepare()  # an error names the circle


def test_no_module_is_too_long_to_be_read():
    method = {
        "model.py",
        "loss.py",
        "train.py",
        "corpus.py",
        *(f"metrics/{p.name}" for p in (ROOT / "m3l/metrics").glob("*.py")),
    }
    for package in ROOMS:
        for path in (ROOT / package).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            name = str(path.relative_to(ROOT / package))
            most = 300 if name in method else 400
            assert lines <= most, path


def test_no_pickle_and_no_network_address_of_a_registry():
    for path in [*(ROOT / "m3l").rglob("*.py"), *(ROOT / "m3l_book").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert (
            "allow_pickle=True" not in text
            and "import pickle" not in text
            and "weights_only=False" not in text
        ), path


def test_ci_brings_a_browser_and_runs_the_tests_and_nothing_else():
    lines = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith(("#", "set", "cd"))
    ]
    assert lines[0].startswith("command -v chromium")
    assert lines[1:] == ["CI=true make test", "CI=true make test-all"]


def test_files_that_the_readmes_show_are_there():
    for readme in (ROOT / "README.md", ROOT / "data" / "README.md"):
        for path in re.findall(r"\]\(([^)#:]+)\)", readme.read_text(encoding="utf-8")):
            assert (readme.parent / path).is_file(), path


def test_code_is_lint_free():
    actual = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert actual.returncode == 0, actual.stdout


def test_every_table_goes_through_the_function_that_shows_texts_as_themselves():
    own = ROOT / "m3l_book" / "tables" / "shared.py"
    files = [*(ROOT / "m3l_book").rglob("*.py"), *(ROOT / "book").glob("*.ipynb")]
    for path in set(files) - {own}:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"[\w\])]\.style\.(hide|format|set_|apply)|\)\.style\b", text), path
        assert not re.search(r"\.to_html\(|\.to_markdown\(", text), path


def test_every_fault_of_the_table_is_tested_where_it_says():
    """Where a test has several cases, the one in brackets is among those that it names."""
    with open(ROOT / "tests" / "faults.csv", encoding="utf-8", newline="") as file:
        faults = list(csv.DictReader(file))
    assert len(faults) >= 60 and len({row["fault"] for row in faults}) == len(faults)
    for row in faults:
        assert row["when"] and row["what the user sees"], row
        file, test, case = re.fullmatch(r"(.+?)::(\w+)(?:\[(.+)\])?", row["test"]).groups()
        parts = tree_of(ROOT / "tests" / file).body
        functions = {part.name: part for part in parts if isinstance(part, ast.FunctionDef)}
        assert test in functions, row["test"]
        marks = [part for mark in functions[test].decorator_list for part in ast.walk(mark)]
        named = [p.value for p in marks if isinstance(p, ast.keyword) and p.arg in ("id", "ids")]
        cases = {getattr(part, "value", None) for own in named for part in ast.walk(own)}
        assert case in {None, *cases}, row["test"]


def test_a_program_that_runs_chapters_imports_no_torch():
    code = (
        "import sys, m3l, m3l_book.execute; assert 'torch' not in sys.modules and 'fit' in dir(m3l)"
    )
    actual = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert actual.returncode == 0, actual.stderr
    import m3l

    assert all(getattr(m3l, name) for name in m3l.__all__), "they come when they are asked for"


# chapters that define what they teach, and the modules that hold the same code
DEFINED = {
    "03-model": [f"m3l/{name}.py" for name in ("networks", "model", "trained", "loss")],
    "04-training": ["m3l/train.py"],
    "05-pltm": ["m3l/gibbs.py"],
    "07-retrieval": ["m3l/metrics/ranking.py"],
    "08-topics": ["m3l/metrics/coherence.py"],
    "09-topic-space": ["m3l_book/topic_space.py"],
}
TAUGHT = {
    "03-model": {
        *("InputScaling", "BatchNorm", "InferenceNetwork", "Decoder", "Posterior", "Batch"),
        *("M3L.__init__", "make_networks", "network_of", "make_decoders", "make_prior"),
        *("encode", "decode", "forward", "mean_of_samples", "reconstruction", "categorical_kl"),
        *("gaussian_kl", "info_nce", "rows_with", "pairs", "agreement", "contrast"),
        *("kl_to_prior", "loss_terms"),
    },
    "04-training": {"Batches.__init__", "take", "train_step", "train_epoch"},
    "05-pltm": {"conditional", "sweep_plain", "topics_of_document"},
    "07-retrieval": {"jensen_shannon", "rank_scores", "log_choose"},
    "08-topics": {"npmi_of_pairs"},
    "09-topic-space": {"distances", "neighbours_of_another_kind", "mixing"},
}


def definitions(tree):
    """The functions and classes of a module or cell by name, as trees without docstrings.

    The methods of classes that a chapter defines one by one stand here by their own names.
    """
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part):
                    part.body = part.body[1:]
            if node.name in ("M3L", "Batches"):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                found |= {part.name: ast.dump(part) for part in methods if part.name[0] != "_"}
                found |= {f"{node.name}.{part.name}": ast.dump(part) for part in methods}
            else:
                found[node.name] = ast.dump(node)
    return found


@pytest.mark.parametrize("chapter", DEFINED)
def test_what_a_chapter_defines_is_what_the_package_has(chapter):
    """Cells that a reader sees and runs hold the library's own code, so that neither drifts."""
    package = {}
    for module in DEFINED[chapter]:
        package |= definitions(ast.parse((ROOT / module).read_text(encoding="utf-8")))
    shown = {}
    for cell in nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells:
        hidden = {"support", "parameters"} & set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not hidden:
            shown |= definitions(ast.parse(cell.source))
    same = {name for name in shown if name in package}
    assert same >= TAUGHT[chapter]
    for name in same:
        assert shown[name] == package[name], name


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_a_benchmark_imports_what_is_there(path):
    """They run by hand, and so a module that moved away would be noticed late."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ROOMS:
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name):
                    importlib.import_module(f"{node.module}.{name}")


def functions(path):
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("folder", [*ROOMS, "workflow", "benchmarks"])
def test_no_function_is_too_long_to_be_read(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for function in functions(path):
            first = function.body[0]
            begin = first.end_lineno if ast.get_docstring(function) else first.lineno - 1
            assert function.end_lineno - begin <= 60, f"{path}: {function.name}"


@pytest.mark.parametrize("package", ROOMS)
def test_public_functions_say_what_they_take_and_give(package):
    for path in (ROOT / package).rglob("*.py"):
        tree = tree_of(path)
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(member for cls in classes for member in cls.body)]:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            # numba finds types itself, also of the sampler's functions that a chapter defines
            parts = [part for top in node.decorator_list for part in ast.walk(top)]
            decorators = {part.id for part in parts if isinstance(part, ast.Name)}
            if (
                decorators & {"njit", "compiled", "loops", "intrinsic"}
                or node.name in TAUGHT["05-pltm"]
            ):
                continue
            arguments = [*node.args.args, *node.args.kwonlyargs]
            untyped = [
                a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")
            ]
            assert not untyped and node.returns is not None, f"{path}: {node.name} {untyped}"
