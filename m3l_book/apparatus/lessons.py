"""Exercises for students, made from those that the book solves: ``python -m
m3l_book.apparatus.lessons FOLDER``.

A cell tagged ``solution`` holds its answer between nbgrader's marks, a cell tagged ``check`` the
assertions that it must pass. A student's notebook has neither answers nor outputs; both tags
become the metadata by which nbgrader knows what to grade.
"""

import argparse
import copy
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from m3l.errors import DataError, require
from m3l.files import atomic

from ..chapter import project_root

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ANSWER = re.compile(r"^:::\{dropdown\} Answer\n.*?^:::$", re.DOTALL | re.MULTILINE)
BLANK = "*Write your answer here.*"


def without_solution(source: str) -> str:
    """A cell's code with each marked answer replaced by an error that says what is to be done.

    Raises
    ------
    DataError
        A mark lacks its other half, or there is none.
    """
    lines, inside, found = [], False, False
    for line in source.splitlines():
        mark = line.strip()
        if mark == BEGIN:
            require(not inside, f"{BEGIN} stands twice before {END}", DataError)
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f'{indent}raise NotImplementedError("write this yourself")')
            inside = found = True
        elif mark == END:
            require(inside, f"{END} stands without {BEGIN}", DataError)
            inside = False
        elif not inside:
            lines.append(line)
    require(found and not inside, f"expected {BEGIN} and then {END}", DataError)
    return "\n".join(lines)


def graded(name: str, place: int, tags: list[str]) -> dict:
    """nbgrader's metadata of a cell that a student writes, or that checks what was written."""
    check = "check" in tags
    about = {"schema_version": 3, "grade_id": f"{name}-{place}", "task": False}
    about |= {"solution": not check, "grade": check, "locked": check}
    return about | ({"points": 1} if check else {})


def for_student(book: NotebookNode, name: str) -> NotebookNode:
    """A student's notebook of a solved one; ``name`` begins the ids of its cells."""
    student = copy.deepcopy(book)
    cells = []
    for place, cell in enumerate(student.cells):
        tags = list(cell.metadata.get("tags", []))
        if cell.source.startswith("chapter.provenance"):
            continue
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = re.sub(r"\{doc\}`[./]*([^`]+)`", r"*\1*", cell.source)
            cell.source = ANSWER.sub(BLANK, cell.source)
        if "solution" in tags:
            cell.source = without_solution(cell.source)
        cell.metadata = NotebookNode({"tags": [t for t in tags if t not in ("solution", "check")]})
        if {"solution", "check"} & set(tags):
            cell.metadata["nbgrader"] = graded(name, place, tags)
        cells.append(cell)
    student.cells = cells
    student.metadata.pop("papermill", None)
    return student


def write_all(folder: str | Path) -> list[Path]:
    """Write a student's notebook of each that the book solves; their files."""
    written = []
    for path in sorted((project_root() / "book" / "exercises").glob("*.ipynb")):
        output = Path(folder) / path.name
        output.parent.mkdir(parents=True, exist_ok=True)
        with atomic(output) as temporary:
            nbformat.write(for_student(nbformat.read(path, as_version=4), path.stem), temporary)
        written.append(output)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Command line: ``python -m m3l_book.apparatus.lessons FOLDER``."""
    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.apparatus.lessons", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    written = write_all(parser.parse_args(arguments).folder.resolve())
    print(f"{len(written)} notebooks without solutions in {written[0].parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
