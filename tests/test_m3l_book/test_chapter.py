import json
import os
import sys

import nbformat
import pytest

from m3l.errors import ParameterError, check_values
from m3l_book import chapter, execute
from m3l_book.values import NotYAML, read_value, read_yaml


def written(path, *cells):
    book = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
    )
    book.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, path)
    return path


START = "from m3l_book import chapter\nparams = chapter.start(globals())"


def test_values_of_the_right_type_pass_and_an_int_becomes_a_float():
    assert check_values({"a": int, "b": float, "c": bool}, {"a": 1, "b": 2, "c": True}) == {
        "a": 1,
        "b": 2.0,
        "c": True,
    }


@pytest.mark.parametrize(
    "name, value", [("a", "1"), ("a", True), ("a", 1.5), ("c", 1), ("d", "x"), ("e", [])]
)
def test_value_of_the_wrong_type_is_named(name, value):
    with pytest.raises(ParameterError, match=f"{name}=.*expected"):
        check_values({"a": int, "b": float, "c": bool, "d": list, "e": dict}, {name: value})


def test_unknown_parameter_lists_the_valid_ones():
    with pytest.raises(ParameterError, match=r"'topcis' is unknown; valid: seed, topics"):
        check_values({"topics": int, "seed": int}, {"topcis": 3})


def test_execute_refuses_an_unknown_parameter_before_it_runs(tmp_path):
    path = written(
        tmp_path / "a.ipynb", "topics: int = 3  # number", f"open({str(tmp_path / 'ran')!r}, 'w')"
    )
    with pytest.raises(ParameterError, match="topcis"):
        execute.execute(path, tmp_path / "out.ipynb", {"topcis": 4})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ipynb"]


def test_plain_papermill_meets_the_check_inside_the_chapter(tmp_path, monkeypatch):
    import papermill

    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    path = written(
        tmp_path / "a.ipynb",
        "topics: int = 3  # number",
        START,
        f"open({str(tmp_path / 'ran')!r}, 'w')",
    )
    for parameters, message in (
        ({"topcis": 4}, "'topcis' is unknown; valid: topics"),
        ({"topics": "many"}, "topics='many' is of type str, expected int"),
    ):
        with pytest.raises(papermill.PapermillExecutionError, match=message):
            papermill.execute_notebook(
                str(path),
                str(tmp_path / "out.ipynb"),
                parameters,
                progress_bar=False,
                cwd=str(chapter.project_root()),
            )
    assert not (tmp_path / "ran").exists()


def test_execute_runs_with_the_parameters_given(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    folder = tmp_path / "ein Größe und пробел"
    folder.mkdir()
    path = written(folder / "a.ipynb", "topics: int = 3  # number", START, "print(params)")
    execute.execute(path, folder / "out.ipynb", {"topics": 7})
    assert "{'topics': 7}" in str(nbformat.read(folder / "out.ipynb", 4).cells[-1].outputs)


def test_a_failed_cell_fails_the_command_and_keeps_the_old_output(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    path = written(
        tmp_path / "a.ipynb", "topics: int = 3  # number", "raise ValueError('no such luck')"
    )
    (tmp_path / "out.ipynb").write_text("old")
    assert execute.main([str(path), str(tmp_path / "out.ipynb"), "-p", "topics", "5"]) == 1
    message = capsys.readouterr().err
    assert "a.ipynb" in message and "ValueError: no such luck" in message
    assert (tmp_path / "out.ipynb").read_text() == "old"
    assert (tmp_path / "out.failed.ipynb").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_command_line_names_a_bad_parameter_and_a_missing_chapter(tmp_path, capsys):
    path = written(tmp_path / "a.ipynb", "topics: int = 3  # number")
    assert execute.main([str(path), str(tmp_path / "o.ipynb"), "-p", "topics", "many"]) == 1
    assert "topics='many' is of type str, expected int" in capsys.readouterr().err
    assert execute.main([str(tmp_path / "none.ipynb"), str(tmp_path / "o.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err


def test_a_chapter_that_shows_progress_leaves_no_widget_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    path = written(
        tmp_path / "a.ipynb",
        "topics: int = 3  # number",
        "from m3l.progress import progress_bar\nfor _ in progress_bar(range(3)):\n   "
        " pass\nprint('done')",
    )
    execute.execute(path, tmp_path / "out.ipynb", {})
    text = (tmp_path / "out.ipynb").read_text()
    assert "done" in text and "widget" not in text and "it/s" not in text


def test_broken_yaml_is_named(tmp_path, capsys):
    path = written(tmp_path / "a.ipynb", "topics: int = 3  # number")
    assert execute.main([str(path), str(tmp_path / "o.ipynb"), "-p", "topics", "a: b: c"]) == 1
    assert "-p topics 'a: b: c' is not YAML" in capsys.readouterr().err
    assert execute.main([str(path), str(tmp_path / "o.ipynb"), "--parameters", "{bad"]) == 1
    assert "--parameters '{bad' is not JSON" in capsys.readouterr().err


def test_outside_the_project_a_chapter_says_so(tmp_path, monkeypatch, capsys):
    path = written(tmp_path / "a.ipynb", "topics: int = 3  # number")
    monkeypatch.chdir(tmp_path)
    assert execute.main([str(path), str(tmp_path / "o.ipynb")]) == 1
    assert "run chapters inside the project" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        ({"languages": ["en"]}, "languages=.*expected str"),
        ({"test_fraction": "abc"}, "test_fraction='abc'.*expected float"),
        ({"lang": "en"}, "'lang' is unknown; valid: allow_missing"),
    ],
)
def test_source_options_are_checked_before_anything_is_read(options, message):
    from m3l_book.data.sources import load_source

    with pytest.raises(ParameterError, match=f"options of corpus 'table': .*{message}"):
        load_source("table", path="none.csv", **options)


def test_captions_are_counted_by_kind_with_the_chapters_number(monkeypatch, capsys):
    import matplotlib.pyplot as plt
    import pandas as pd
    from IPython import display as ipython

    from m3l_book.figures import captions, style

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
    html = [getattr(x, "_repr_html_", lambda: None)() or x.data for x in shown]
    text = " ".join(html)
    assert text.count("Of &lt;b&gt;somebody&lt;/b&gt;.") == 2 and "<b>somebody" not in text


# values from the command line


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (float, "1e-2", 0.01),
        (float, "3", 3.0),
        (str, "2024", "2024"),
        (str, "2024-05-01", "2024-05-01"),
        (str, "010", "010"),
        (str, "no", "no"),
        (str, "'quoted'", "quoted"),
        (int, "010", 10),
        (bool, "true", True),
        (list, "[en, no, zh-TW]", ["en", "no", "zh-TW"]),
        (
            dict,
            "{no: [use-multilingual], on: 2024-05-01}",
            {"no": ["use-multilingual"], "on": "2024-05-01"},
        ),
        (dict, "{learning_rate: 1e-3}", {"learning_rate": 0.001}),
        (None, "{yes: 1}", {"yes": 1}),
    ],
)
def test_values_are_what_people_mean(kind, text, value):
    read = read_value(text, kind)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["a: b: c", "{a: 1, a: 2}", "[1, 2", "@x"])
def test_what_is_no_yaml_is_said_in_a_line(text):
    with pytest.raises(NotYAML) as error:
        read_yaml(text)
    assert "\n" not in str(error.value)


def test_number_of_the_wrong_type_is_still_refused(tmp_path, capsys):
    path = written(tmp_path / "a.ipynb", "topics: int = 3  # number\nrate: float = 1.0  # a rate")
    for name, text in (("topics", "1e-2"), ("topics", "3.5"), ("rate", "fast")):
        assert execute.main([str(path), str(tmp_path / "o.ipynb"), "-p", name, text]) == 1
        assert f"{name}=" in capsys.readouterr().err


# the Python that runs a chapter


def test_a_chapter_runs_in_the_python_that_was_called(tmp_path, monkeypatch):
    place = tmp_path / "kernels" / "python3"
    place.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "other"}
    (place / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.delenv("M3L_WARM", raising=False)
    path = written(
        tmp_path / "a.ipynb", "n: int = 3  # number", START, "import sys; print(sys.executable)"
    )
    execute.execute(path, tmp_path / "out.ipynb", {})
    assert sys.executable in str(nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs)
    assert os.environ["JUPYTER_PATH"] == str(tmp_path)


def test_a_killed_kernel_is_one_line_and_keeps_the_old_output(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(chapter.project_root()))
    path = written(
        tmp_path / "a.ipynb",
        "n: int = 3  # number",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    )
    (tmp_path / "out.ipynb").write_text("old")
    assert execute.main([str(path), str(tmp_path / "out.ipynb")]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "a.ipynb: " in line]
    assert "the process that ran its cells ended" in line
    assert (tmp_path / "out.ipynb").read_text() == "old"
