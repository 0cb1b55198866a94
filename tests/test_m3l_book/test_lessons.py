"""Exercises: every stub fails, every answer passes."""

import re
from pathlib import Path

import nbformat
import pytest

from m3l.errors import DataError
from m3l_book.apparatus import lessons

ROOT = Path(__file__).resolve().parents[2]
SOLVED = sorted((ROOT / "book" / "exercises").glob("*.ipynb"))
CHAPTERS = sorted((ROOT / "book").glob("[01]*.ipynb"))


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_every_stub_fails_and_every_answer_passes(path, monkeypatch, tmp_path):
    """Cell by cell: a student's stub fails its check for want of an answer, and for nothing else;
    the answer in its place passes.
    """
    monkeypatch.chdir(ROOT)
    book = nbformat.read(path, as_version=4)
    student = lessons.for_student(book, path.stem)
    names = {"__name__": "exercises"}
    cells = [cell for cell in book.cells if not cell.source.startswith("chapter.provenance")]
    waiting, checked = None, 0
    for cell, stub in zip(cells, student.cells, strict=True):
        if cell.cell_type != "code":
            continue
        if "solution" in cell.metadata.get("tags", []):
            assert "NotImplementedError" in stub.source and lessons.BEGIN not in stub.source
            exec(compile(stub.source, f"{path.stem}, stub", "exec"), names)
            waiting = cell.source
        elif waiting and "check" in cell.metadata.get("tags", []):
            with pytest.raises(NotImplementedError, match="write this yourself"):
                exec(compile(stub.source, f"{path.stem}, check", "exec"), names)
            exec(compile(waiting, f"{path.stem}, answer", "exec"), names)
            exec(compile(cell.source, f"{path.stem}, check", "exec"), names)
            waiting, checked = None, checked + 1
        else:
            exec(compile(cell.source, path.stem, "exec"), names)
    assert checked and waiting is None, "every answer has its check"


def test_every_chapter_has_three_to_six_exercises_from_recall_to_research():
    assert {path.stem for path in SOLVED} == {path.stem for path in CHAPTERS} | {"lab-infonce"}
    for path in SOLVED:
        if path.stem == "lab-infonce":
            continue
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        found = re.findall(
            r"^## (\d+)\.(\d+) .+ \((recall|compute|explore|research)\)$", text, re.M
        )
        assert 3 <= len(found) <= 6, path
        assert [int(n) for _, n, _ in found] == list(range(1, len(found) + 1))
        assert {int(chapter) for chapter, _, _ in found} == {int(path.stem[:2])}
        kinds = [kind for _, _, kind in found]
        assert kinds[0] == "recall" and kinds[-1] == "research"
        assert {"compute", "explore"} & set(kinds)
        # every question in words has its answer
        asked = sum(kind in ("recall", "research") for kind in kinds)
        assert text.count(":::{dropdown} Answer") >= asked


def test_a_students_notebook_holds_no_answer_and_is_one_that_nbgrader_knows(tmp_path):
    from jsonschema import validate

    written = lessons.write_all(tmp_path)
    assert [path.name for path in written] == [path.name for path in SOLVED]
    known = {"type": "object", "required": ["schema_version", "grade_id", "solution", "grade"]}
    for path in written:
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text and "dropdown" not in text and "{doc}" not in text
        assert "provenance" not in text
        graded = [cell.metadata["nbgrader"] for cell in book.cells if "nbgrader" in cell.metadata]
        for about in graded:
            validate(about, known)
            assert about["solution"] != about["grade"]
        ids = [about["grade_id"] for about in graded]
        assert len(set(ids)) == len(ids) > 0
        points = [about for about in graded if about["grade"]]
        assert all(about["points"] == 1 and about["locked"] for about in points)


@pytest.mark.parametrize(
    "source",
    [
        f"{lessons.BEGIN}\nx = 1",
        f"x = 1\n{lessons.END}",
        f"{lessons.BEGIN}\n{lessons.BEGIN}\n{lessons.END}",
        "x = 1",
    ],
)
def test_marks_without_their_other_half_are_refused(source):
    with pytest.raises(DataError, match="expected ### BEGIN SOLUTION and then"):
        lessons.without_solution(source)


def test_the_indent_of_an_answer_is_kept():
    source = f"def f():\n    {lessons.BEGIN}\n    return 1\n    {lessons.END}\n\n\nx = 2"
    stub = 'def f():\n    raise NotImplementedError("write this yourself")\n\n\nx = 2'
    assert lessons.without_solution(source) == stub
