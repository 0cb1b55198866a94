"""Exercises for students, made from those that the book solves: ``python -m
m3l_book.apparatus.lessons FOLDER``.

A cell tagged ``solution`` holds its answer between nbgrader's marks, a cell tagged ``check`` the
assertions that it must pass. A student's notebook has neither answers nor outputs; both tags
become the metadata by which nbgrader knows what to grade.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from m3l.errors import DataError, require
from m3l.files import atomic

from ..chapter import project_root

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLUTION = re.compile(rf"^( *){BEGIN}$.*?^ *{END}$", re.DOTALL | re.MULTILINE)
STUB = r'\1raise NotImplementedError("write this yourself")'
ANSWER = re.compile(r"^:::\{dropdown\} Answer\n.*?^:::$", re.DOTALL | re.MULTILINE)


def without_solution(source: str) -> str:
    """Replace each marked answer of a cell by an error that says what is to be done.

    Raises
    ------
    DataError
        A mark lacks its other half, or there is none.
    """
    stub, n = SOLUTION.subn(STUB, source)
    paired = source.count(BEGIN) == source.count(END) == n > 0
    require(paired, f"expected {BEGIN} and then {END} in the cell\n{source}", DataError)
    return stub


def for_student(book: NotebookNode, name: str) -> NotebookNode:
    """Make a student's notebook of a solved one; ``name`` begins the ids of its cells."""
    cells = []
    for place, cell in enumerate(book.cells):
        if cell.source.startswith("chapter.provenance"):
            continue
        cell, tags = nbformat.from_dict(cell), cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = re.sub(r"\{doc\}`[./]*([^`]+)`", r"*\1*", cell.source)
            cell.source = ANSWER.sub("*Write your answer here.*", cell.source)
        if "solution" in tags:
            cell.source = without_solution(cell.source)
        kept = [tag for tag in tags if tag not in ("solution", "check")]
        cell.metadata = NotebookNode({"tags": kept})
        if len(kept) < len(tags):
            check = "check" in tags
            about = {"schema_version": 3, "grade_id": f"{name}-{place}", "task": False}
            about |= {"solution": not check, "grade": check, "locked": check}
            cell.metadata["nbgrader"] = about | ({"points": 1} if check else {})
        cells.append(cell)
    metadata = {key: value for key, value in book.metadata.items() if key != "papermill"}
    return nbformat.from_dict({**book, "cells": cells, "metadata": metadata})


def write_all(folder: str | Path) -> list[Path]:
    """Write a student's notebook of each that the book solves; their files."""
    written = []
    for path in sorted((project_root() / "book" / "exercises").glob("*.ipynb")):
        output = Path(folder) / path.name
        with atomic(output) as temporary:
            nbformat.write(for_student(nbformat.read(path, as_version=4), path.stem), temporary)
        written.append(output)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: ``python -m m3l_book.apparatus.lessons FOLDER``."""
    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.apparatus.lessons", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    written = write_all(parser.parse_args(arguments).folder.resolve())
    print(f"{len(written)} notebooks without solutions in {written[0].parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
