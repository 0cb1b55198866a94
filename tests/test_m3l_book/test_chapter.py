import json
import os
import sys

import nbformat
import pandas as pd
import pytest

from m3l.errors import ParameterError, check_values
from m3l_book import chapter, execute, left_out
from m3l_book.figures import captions
from m3l_book.values import NotYAML, read_value, read_yaml

ROOT = chapter.project_root()
START = "from m3l_book import chapter\nparams = chapter.start(globals())"
TOPICS = "topics: int = 3  # number\nrate: float = 1.0  # a rate"


def written(path, *cells):
    """A notebook of code cells, the first of them of parameters."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, path)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that executes cells by the command line: exit status, message, path of output."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def of(*cells, options=(), old=None):
        output = tmp_path / "out.ipynb"
        if old is not None:
            output.write_text(old)
        path = written(tmp_path / "a.ipynb", TOPICS, *cells)
        status = execute.main([str(path), str(output), *options])
        return status, capsys.readouterr().err, output

    return of


# parameters


@pytest.mark.parametrize(
    "name, value", [("a", "1"), ("a", True), ("a", 1.5), ("c", 1), ("d", "x"), ("e", [])]
)
def test_value_of_the_wrong_type_is_named(name, value):
    declared = {"a": int, "b": float, "c": bool, "d": list, "e": dict}
    with pytest.raises(ParameterError, match=f"{name}=.*expected"):
        check_values(declared, {name: value})
    assert check_values(declared, {"a": 1, "b": 2, "c": True}) == {"a": 1, "b": 2.0, "c": True}


def test_a_reader_may_run_the_first_cells_again():
    namespace = {"__annotations__": {"topics": int}, "topics": 3}
    assert chapter.start(namespace) == {"topics": 3}
    namespace |= {"params": {}, "table": [1], "topics": 4}
    assert chapter.start(namespace) == {"topics": 4}
    with pytest.raises(ParameterError, match="topics='many' is of type str"):
        chapter.start(namespace | {"topics": "many"})


def test_execute_refuses_an_unknown_parameter_before_it_runs(tmp_path):
    ran = f"open({str(tmp_path / 'ran')!r}, 'w')"
    path = written(tmp_path / "a.ipynb", TOPICS, ran)
    with pytest.raises(ParameterError, match=r"'topcis' is unknown; valid: rate, topics"):
        execute.execute(path, tmp_path / "out.ipynb", {"topcis": 4})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ipynb"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"topcis": 4}, "'topcis' is unknown; valid: rate, topics"),
        ({"topics": "many"}, "topics='many' is of type str, expected int"),
    ],
)
def test_plain_papermill_meets_the_check_inside_the_chapter(tmp_path, monkeypatch, given, message):
    import papermill

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ran = f"open({str(tmp_path / 'ran')!r}, 'w')"
    path = written(tmp_path / "a.ipynb", TOPICS, START, ran)
    options = {"progress_bar": False, "cwd": str(ROOT)}
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        papermill.execute_notebook(str(path), str(tmp_path / "out.ipynb"), given, **options)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-p", "topics", "many"], "topics='many' is of type str, expected int"),
        (["-p", "topics", "1e-2"], "topics=0.01 is of type float"),
        (["-p", "rate", "fast"], "rate='fast'"),
        (["-p", "topics", "a: b: c"], "-p topics 'a: b: c' is not YAML"),
        (["--parameters", "{bad"], "--parameters '{bad' is not JSON"),
    ],
)
def test_a_bad_value_on_the_command_line_is_named(run, options, message):
    status, said, _ = run(options=options)
    assert status == 1 and message in said and "Traceback" not in said


def test_a_chapter_without_typed_parameters_or_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(ParameterError, match="parameter 'n' has no type"):
        execute.declared_parameters(written(tmp_path / "a.ipynb", "n = 3"))
    with pytest.raises(ParameterError, match="expected one cell tagged 'parameters'"):
        execute.declared_parameters(written(tmp_path / "a.ipynb", ""))
    assert execute.main([str(tmp_path / "none.ipynb"), str(tmp_path / "o.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (float, "1e-2", 0.01),
        (str, "2024", "2024"),
        (str, "2024-05-01", "2024-05-01"),
        (str, "010", "010"),
        (str, "no", "no"),
        (str, "'quoted'", "quoted"),
        (int, "010", 10),
        (bool, "true", True),
        (list, "[en, no, zh-TW]", ["en", "no", "zh-TW"]),
        (dict, "{no: [a], on: 2024-05-01}", {"no": ["a"], "on": "2024-05-01"}),
        (dict, "{learning_rate: 1e-3}", {"learning_rate": 0.001}),
        (None, "{yes: 1}", {"yes": 1}),
    ],
)
def test_values_are_what_people_mean(kind, text, value):
    read = read_value(text, kind)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("a: b: c", "{a: 1, a: 2}", "[1, 2", "@x"),
        *("!!int ''", "!!float _", "!!bool x", "[" * 3000),
    ],
)
def test_what_is_no_yaml_is_said_in_a_line(text):
    with pytest.raises(NotYAML) as error:
        read_yaml(text)
    assert "\n" not in str(error.value)


# running


def test_a_chapter_runs_in_the_python_that_was_called(run, tmp_path, monkeypatch):
    """Whatever kernel stands in JUPYTER_PATH; and a bar of progress leaves no widget behind."""
    place = tmp_path / "kernels" / "python3"
    place.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "other"}
    (place / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    bar = "from m3l.progress import progress_bar\nfor _ in progress_bar(range(3)):\n    pass"
    shown = "import sys; print(sys.executable, params)"
    before = dict(os.environ)
    status, _, output = run(START, bar, shown, options=["-p", "topics", "7", "-p", "rate", "2"])
    text = output.read_text()
    assert status == 0 and "widget" not in text and "it/s" not in text
    printed = nbformat.read(output, 4).cells[-1].outputs[0]["text"]
    assert printed.split(" ", 1) == [sys.executable, "{'topics': 7, 'rate': 2.0}\n"]
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "chapter_file, number",
    [("book/03-model.ipynb", "3"), ("book/primer.ipynb", ""), ("exercises/03-model.ipynb", "")],
)
def test_what_a_user_has_set_is_there_again_after_a_chapter(monkeypatch, chapter_file, number):
    for name in ("JUPYTER_PREFER_ENV_PATH", captions.CHAPTER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.setenv("JUPYTER_PATH", "/the/users/own")
    before = dict(os.environ)
    with pytest.raises(ValueError, match="a cell failed"), execute.environment(chapter_file):
        assert os.environ["TQDM_DISABLE"] == "0" and "JUPYTER_PATH" not in os.environ
        assert os.environ[captions.CHAPTER] == number
        raise ValueError("a cell failed")
    assert dict(os.environ) == before
    monkeypatch.delenv("TQDM_DISABLE")
    with execute.environment(chapter_file):
        assert os.environ["TQDM_DISABLE"] == "1"
    assert "TQDM_DISABLE" not in os.environ


def test_a_path_with_blanks_and_other_letters_is_no_hindrance(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "ein Größe und пробел"
    folder.mkdir()
    execute.execute(written(folder / "a.ipynb", TOPICS, START), folder / "out.ipynb", {})
    assert (folder / "out.ipynb").is_file()


def test_a_failed_cell_fails_the_command_and_keeps_the_old_output(run, tmp_path):
    status, said, output = run("raise ValueError('no such luck')", old="old")
    assert status == 1 and "a.ipynb failed in cell 2: ValueError: no such luck" in said
    assert output.read_text() == "old"
    assert (tmp_path / "out.failed.ipynb").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_killed_kernel_is_one_line_and_keeps_the_old_output(run):
    status, said, output = run("import os; os.kill(os.getpid(), 9)", old="old")
    (line,) = [line for line in said.splitlines() if "a.ipynb: " in line]
    assert status == 1 and "the process that ran its cells ended" in line
    assert output.read_text() == "old"


def test_outside_the_project_a_chapter_says_so(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said, _ = run()
    assert status == 1 and "run chapters inside the project" in said


# what a page says


def test_a_chapter_that_is_left_out_opens_as_it_would_and_says_why(tmp_path, monkeypatch):
    import runpy

    chapter_file, output = ROOT / "book" / "10-topic-numbers.ipynb", tmp_path / "page.ipynb"
    monkeypatch.setattr(sys, "argv", ["left_out", str(chapter_file), str(output)])
    runpy.run_path(left_out.__file__, run_name="__main__")
    first, second = nbformat.read(output, 4).cells
    assert first.source == nbformat.read(chapter_file, 4).cells[0].source
    assert "This build does not run this chapter" in second.source


def test_provenance_folds_what_is_long_and_shows_signs_as_they_are():
    params = {"profile": "p", "names": ["run"] * 40, "text": "a `sign`"}
    data = {f"run{i}": "0123456789abcdef-and-more" for i in range(4)}
    text = chapter.provenance_text(params, data, {"m3l": "1"}, 1.234)
    assert "- **profile**: `p`\n" in text and "- **wall time**: 1.2 s\n" in text
    assert "`names`: 40 entries, below" in text and f"\n`{json.dumps(params['names'])}`\n" in text
    assert '`` text="a `sign`" ``' in text
    assert "- **data**: 4 records, below" in text and "run3 `0123456789abcdef`" in text
    few = chapter.provenance_text({}, {"run0": "x"}, {})
    assert "- **data**: run0 `x`\n" in few and "wall time" not in few
    assert "- **parameters**: none" in few


def test_dashes_are_explained_once_a_page(monkeypatch):
    shown = []
    monkeypatch.setattr(captions, "_numbers", {})
    monkeypatch.setattr("IPython.display.display", shown.append)
    gaps, none = pd.DataFrame({"a": [1.0, None]}), pd.DataFrame({"a": [1.0, 2.0]})
    captions.table(none, "Whole.", na_rep="–")
    captions.table(gaps, "Not measured: –.", na_rep="–")
    captions.table(gaps, "Gaps.", na_rep="–")
    captions.table(pd.DataFrame({"a": ["–"]}), "Other gaps.")
    captions.table(gaps, "Gaps.", na_rep="–")
    told = ["A dash means that there is no such value." in str(one.caption) for one in shown]
    assert told == [False, False, True, False, True], "a cell may be run again"


def test_captions_are_counted_by_kind_with_the_chapters_number(monkeypatch):
    import matplotlib.pyplot as plt
    import pandas as pd
    from IPython import display as ipython

    from m3l_book.figures import style

    shown = []
    monkeypatch.setattr(ipython, "display", shown.append)
    monkeypatch.setattr(captions, "_numbers", {})
    monkeypatch.setenv(captions.CHAPTER, "7")
    assert captions.numbered("Table", "One.") == "Table 7.1. One."
    assert captions.numbered("Figure", "One.") == "Figure 7.1. One."
    assert captions.numbered("Table", "Two.") == "Table 7.2. Two."
    assert captions.numbered("Table", "One.") == "Table 7.1. One.", "a cell may be run again"
    monkeypatch.setenv(captions.CHAPTER, "")
    assert captions.numbered("Table", "Three.") == "Table 3. Three."
    figure = plt.figure()
    captions.figure(style.described(figure, "an empty figure"), "Of <b>somebody</b>.")
    captions.table(pd.DataFrame({"a": [1]}), "Of <b>somebody</b>.")
    text = " ".join(getattr(x, "_repr_html_", lambda: None)() or x.data for x in shown)
    assert text.count("Of &lt;b&gt;somebody&lt;/b&gt;.") == 2 and "<b>somebody" not in text
