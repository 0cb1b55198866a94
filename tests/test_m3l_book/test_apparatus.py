"""What surrounds the chapters: openings, pages made from the code, glossary, notation, slides."""

import ast
import csv
import importlib
import inspect
import re
from pathlib import Path

import nbformat
import pytest
import render
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import m3l
from m3l.errors import DataError
from m3l.files import write_json
from m3l_book import execute
from m3l_book.apparatus import generated, times

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))


def prose(path):
    """The Markdown of a notebook or a page."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


# openings and seconds


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_page_opens_with_what_one_can_do_after_it(path):
    opening = nbformat.read(path, as_version=4).cells[0].source
    parts = ["**What you will see.**", "**After this page you can**", "**What you need.**"]
    places = [opening.index(part) for part in parts]
    assert places == sorted(places)
    objectives = re.findall(r"^- (\w+)", opening[places[1] : places[2]], re.M)
    assert 2 <= len(objectives) <= 5
    # a verb that can be tested, and no state of mind
    assert not {"understand", "know", "learn", "appreciate"} & set(objectives)


def test_seconds_are_recorded_of_every_page():
    recorded = times.recorded_seconds(BOOK / "seconds.csv")
    for profile in ("smoke", "laptop"):
        there = {step for step, row in recorded.items() if row[profile] is not None}
        assert {path.stem for path in NOTEBOOKS} <= there


@pytest.mark.parametrize(
    "rows, message",
    [
        ("a,page,1\na,page,2\n", "line 3: step 'a' stands there already"),
        ("a,page,soon\n", "line 2: smoke is 'soon', expected seconds"),
    ],
)
def test_seconds_that_are_none_are_named(tmp_path, rows, message):
    (tmp_path / "s.csv").write_text(f"step,rule,smoke\n{rows}")
    with pytest.raises(DataError, match=message):
        times.recorded_seconds(tmp_path / "s.csv")


def test_seconds_are_recorded_by_profile(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("step,rule,smoke,laptop\na,page,1.0,\nold,page,5.0,\nb,page,1.0,7.0\n")
    times.record_seconds(path, "smoke", {"a": ("page", 2.04), "new": ("train", 3.0)})
    assert path.read_text() == (
        "step,rule,smoke,laptop\na,page,2.0,\nb,page,,7.0\nnew,train,3.0,\n"
    )
    recorded = times.recorded_seconds(path)["b"]
    assert times.opening(recorded, 200.0) == "*To compute this page took 3 minutes.*"
    usual = "*To compute this page takes about 7 s in profile `laptop` on two cores.*"
    assert times.opening(recorded, None) == usual and times.opening({}, None) == ""


def test_a_page_is_slow_by_this_machines_own_speed():
    recorded = {name: {"smoke": 10.0} for name in "abcd"}
    taken = {"a": 100.0, "b": 120.0, "c": 400.0, "unknown": 9e9}
    assert times.slow_steps(taken, recorded, "smoke") == {"c": pytest.approx(400 / 120)}
    assert times.slow_steps(taken, recorded, "mine") == {}
    assert times.slow_steps({"a": 9.0, "b": 0.1, "c": 0.1}, recorded, "smoke") == {}


# pages made from the code


def executed(seconds, texts=()):
    outputs = [new_output("stream", name="stderr", text=text) for text in texts]
    cells = [new_markdown_cell("# A page"), new_code_cell("pass", outputs=outputs)]
    return new_notebook(cells=cells, metadata={"papermill": {"duration": seconds}})


def test_the_status_page_counts_seconds_and_warnings():
    noisy = executed(2.0, ["x.py:1: UserWarning: a\n  warn()\n", "FutureWarning: b"])
    pages = {"01-data": executed(61.25), "play": noisy, "left-out": new_notebook()}
    declared = {"01-data": {"smoke": 1}}
    text = generated.status("smoke", pages, {"r1": executed(5.0), "r2": noisy}, declared)
    assert "| {doc}`01-data` | 61.2 | 1 | 0 |" in text
    assert "| {doc}`play` | 2.0 | – | 2 |" in text
    assert "| {doc}`left-out` | not executed | – | 0 |" in text
    assert "2 runs were executed, in 7 s" in text and text.endswith("`r2`.\n")


def test_the_status_counts_the_runs_of_the_profile_and_none_from_before(tmp_path):
    (tmp_path / "runs").mkdir()
    for name in ("a-s0", "removed-s0", "a-s1.failed"):
        nbformat.write(executed(5.0), tmp_path / "runs" / f"{name}.ipynb")
    runs = [{"name": "a", "corpus": "c", "seeds": [0, 1]}]
    write_json(tmp_path / "profile.json", {"profile": "p", "corpora": {"c": {}}, "runs": runs})
    render.stage_generated("p", {}, tmp_path / "runs", tmp_path)
    status = (tmp_path / "status.md").read_text(encoding="utf-8")
    assert "Beside the pages 1 runs were executed, in 5 s" in status


def test_the_page_of_parameters_has_every_parameter_of_every_notebook():
    text = generated.parameters(BOOK)
    for path in NOTEBOOKS:
        part = text.split(f"## {path.stem}\n")[1].split("\n## ")[0]
        names = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", part, re.M)
        kinds = {n: kind.__name__ for n, kind in execute.declared_parameters(path).items()}
        assert dict(names) == kinds


def function_of(name):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_each_equation_leads_to_a_function_and_a_test_and_each_function_to_its_equation():
    with open(BOOK / "equations.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labelled = {}
    for path in NOTEBOOKS:
        for label in re.findall(r"^\$\$ \((\w+)\)", prose(path), re.M):
            labelled[label] = path.stem
    listed = {row["label"]: row["source"] for row in rows if row["label"]}
    assert listed == labelled
    for row in rows:
        assert all(value for name, value in row.items() if name != "label"), row
        assert callable(function_of(row["function"])), row
        file, test = row["test"].split("::")
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), row
    # the other way: who cites an equation is in the list
    cited = set()
    for path in (ROOT / "m3l").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and "Eq. 1" in (ast.get_docstring(node) or ""):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                cited.add(f"{module}.{node.name}")
    assert cited and cited <= {row["function"] for row in rows}


def test_an_equation_that_a_build_lacks_is_not_referred_to():
    book = new_notebook(cells=[new_markdown_cell("$$\nx\n$$ (jsd)\n\nand so on")])
    assert generated.labels([book]) == {"jsd"}
    text = generated.equations(BOOK / "equations.csv", generated.labels([book]))
    assert "{eq}`jsd`" in text and "{eq}`margin`" not in text and "| 01-data |" in text


def test_an_empty_field_of_the_equations_is_named(tmp_path):
    head = "label,source,what,function,test\n"
    (tmp_path / "e.csv").write_text(head + ",a,b,,t::t\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"e\.csv, line 2: function is empty"):
        generated.equations(tmp_path / "e.csv", [])


def test_the_library_page_has_all_that_is_public_and_says_what_it_is():
    listed = r"automodule:: ([\w.]+)\n +:members: ?(\w*)$"
    shown = {}
    for module, only in re.findall(listed, (BOOK / "api.md").read_text("utf-8"), re.M):
        for name, value in vars(importlib.import_module(module)).items():
            own = getattr(value, "__module__", "") == module and name[0] != "_"
            if own and only in ("", name):
                shown[module, name] = value
    assert {name for _, name in shown} >= set(m3l.__all__) - {"PRESETS"}
    for (module, name), value in shown.items():
        about = inspect.getdoc(value)
        assert about and len(about) > 20, f"{module}.{name}"
        if not inspect.isfunction(value) or module.split(".")[1] in ("saving", "files"):
            continue
        if re.search(r"ndarray|Tensor", str(inspect.signature(value))):
            shape = r"\((?:[A-Z0-9]\w*|\.\.\.)(?:, ?\w*'?)*\)"
            assert re.search(shape, about), f"{module}.{name}: a shape"


# addresses


def test_addresses_of_the_book_are_well_formed_and_listed():
    text = generated.links(BOOK)
    for path in (path for end in ("ipynb", "md", "bib") for path in BOOK.rglob(f"*.{end}")):
        text_of_it = path.read_text("utf-8") if path.suffix == ".bib" else prose(path)
        for address in generated.ADDRESS.findall(text_of_it):
            local = re.match(r"https?://(127\.0\.0\.1|localhost)\b", address)
            assert local or f"<{address.rstrip('.,;:')}>" in text, f"{path}: {address}"
    assert "| <https://github.com/somebody/m3l-book> | elsewhere.md |" in text


@pytest.mark.parametrize("address", ["http://example.org", "https://nohost", "https://a b"])
def test_a_malformed_address_names_its_page(tmp_path, address):
    (tmp_path / "page.md").write_text(f"see {address} there", encoding="utf-8")
    with pytest.raises(DataError, match=r"page\.md"):
        generated.links(tmp_path)


def test_copies_that_jupyterlab_keeps_are_no_pages(tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "page-checkpoint.md").write_text("http://draft")
    assert "There are none." in generated.links(tmp_path)


# glossary and notation


def test_the_glossary_is_in_order_and_each_term_is_met_in_the_book():
    import sys

    sys.path.insert(0, str(BOOK / "_ext"))
    try:
        import terms
    finally:
        sys.path.pop(0)
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    found = terms.terms(text)
    listed = re.findall(r"^(\S.*)$", re.search(r"\{glossary\}\n(.*?)```", text, re.S)[1], re.M)
    assert listed == sorted(listed, key=str.lower) and len(set(listed)) == len(listed) > 40
    assert set(found) == set(listed)
    pages = [*NOTEBOOKS, *BOOK.glob("*.md"), *(BOOK / "teaching").glob("*.md")]
    everything = "\n".join(prose(path) for path in pages if path.stem != "glossary")
    for term in found:
        assert terms.words(term).search(everything), f"{term} is met nowhere"


GREEK = {"alpha", "beta", "gamma", "delta", "varepsilon", "epsilon", "eta", "theta", "lambda", "mu"}
GREEK |= {"phi", "psi", "sigma", "tau"}
WORDS = r"\\(?:text|operatorname|mathrm|label|begin|end)\s*\{[^}]*\}"


def symbols(formula):
    """The letters of a formula that stand for something, with what makes another letter of them."""
    formula = re.sub(WORDS, " ", formula)
    formula = re.sub(r"\\math(cal|bb)\s*\{?([A-Z])\}?", r" <\1\2> ", formula)
    found = set(re.findall(r"<\w+>", formula))
    formula = re.sub(r"<\w+>", " ", formula)
    found |= {c for c in re.findall(r"\\([A-Za-z]+)", formula) if c in GREEK}
    formula = re.sub(r"\\[A-Za-z]+", " ", formula)
    return found | set(re.findall(r"[A-Za-z]", formula))


def formulas(text):
    text = re.sub(r"`[^`\n]*`|^```.*?^```", " ", text, flags=re.S | re.M)
    return [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)\$", text, re.S)]


def test_symbols_of_all_equations_are_in_the_notation():
    rows = re.findall(r"^\| (\$.+?) \|", (BOOK / "notation.md").read_text(encoding="utf-8"), re.M)
    listed = set().union(*(symbols(f) for row in rows for f in re.findall(r"\$(.+?)\$", row)))
    assert {"theta", "beta", "<calN>", "K"} <= listed and len(rows) > 25
    pages = [*NOTEBOOKS, *(BOOK / "exercises").glob("*.ipynb"), *(BOOK / "teaching").glob("*.md")]
    for path in pages:
        for formula in formulas(prose(path)):
            unknown = symbols(formula) - listed
            assert not unknown, f"{path.name}: {sorted(unknown)} of {formula}"


def test_a_symbol_that_is_not_in_the_notation_would_be_found():
    assert symbols(r"\operatorname{softmax}(\theta\beta_l) \in \mathbb{R}") == {
        *("theta", "beta", "l", "<bbR>"),
    }


# slides


def page_with(caption, figure=True):
    outputs = [new_output("display_data", {"image/svg+xml": "<svg>drawn</svg>"})]
    html = f'<p class="figure-caption">Figure 3.1. {caption}</p>'
    outputs += [new_output("display_data", {"text/html": html})]
    if not figure:
        html = f"<table><caption>Table 3.1. {caption}</caption></table>"
        outputs = [new_output("display_data", {"text/html": html})]
    return new_notebook(cells=[new_code_cell("", outputs=outputs)])


def test_a_slide_shows_the_pages_own_figure_or_table():
    page = page_with("The model &amp; more.")
    assert generated.figure_or_table(page, ["The model & more"]) == "<svg>drawn</svg>"
    assert "<table>" in generated.figure_or_table(page_with("Scores.", figure=False), ["Scores"])
    assert generated.figure_or_table(page, ["Another"]) is None
    listed = [
        {"title": "First & best", "points": ["*one* < two", "$a < b$"]},
        {"title": "Drawn", "show": ["p", "The model"]},
        {"title": "Elsewhere", "show": ["q", "The model"]},
    ]
    text = generated.deck(listed, {"p": page}, "x.js")
    assert text.count("<section>") == 2, "a slide whose page is not there is left out"
    assert "<em>one</em> &lt; two" in text and "First &amp; best" in text and "drawn" in text


@pytest.mark.parametrize(
    "slide, message",
    [
        ({"title": "a"}, "slide 2: it needs a title and more"),
        ({"text": "a", "points": ["b"]}, "slide 2: it needs a title and more"),
        ({"title": "a", "picture": "b"}, "slide 2: picture is unknown"),
    ],
    ids=["nothing said", "no title", "unknown entry"],
)
def test_a_slide_that_says_nothing_is_named(slide, message):
    with pytest.raises(DataError, match=message):
        generated.deck([{"title": "First", "text": "good"}, slide], {}, "x.js")


def test_the_slides_of_the_book_say_something_and_name_pages_of_the_book():
    listed = yaml.safe_load((BOOK / "slides.yml").read_text(encoding="utf-8"))
    assert len(listed) > 10
    for slide in listed:
        assert {"title"} < set(slide) <= {"title", "text", "points", "show"}, slide
    code = {path.stem: path.read_text(encoding="utf-8") for path in NOTEBOOKS}
    for page, *captions in (slide["show"] for slide in listed if "show" in slide):
        # a caption may begin with the corpus, which the page fills in
        assert any(c.rpartition(": ")[2] in code[page] for c in captions), (page, captions)
