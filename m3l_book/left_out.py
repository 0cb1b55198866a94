"""A page for a chapter that a profile does not run: what it would show, and why it is not there."""

import argparse
import sys
from pathlib import Path

import nbformat

from m3l.files import atomic

REASON = """
This build does not run this chapter: its profile has no runs for it, or its corpora lack what the
chapter is about. A chapter that compares models along a parameter needs an entry under `grids:` in
the profile.
"""


def leave_out(chapter: str | Path, output: str | Path) -> None:
    """Write the opening of a chapter, without anything that it would have computed."""
    book = nbformat.read(chapter, as_version=4)
    book.cells = [book.cells[0], nbformat.v4.new_markdown_cell(REASON.strip())]
    with atomic(output) as temporary:
        nbformat.write(book, temporary)


def main(arguments: list[str] | None = None) -> int:
    """Command line: ``python -m m3l_book.left_out CHAPTER OUTPUT``."""
    parser = argparse.ArgumentParser(prog="python -m m3l_book.left_out", description=__doc__)
    parser.add_argument("chapter", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    leave_out(options.chapter, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
