"""A page for a chapter that a profile does not run: what it would show, and why it is not there.

``python -m m3l_book.left_out CHAPTER OUTPUT`` writes the opening of a chapter, without anything
that it would have computed.
"""

import sys

import nbformat

from m3l.files import atomic

REASON = """
This build does not run this chapter: its profile has no runs for it, or its corpora lack what the
chapter is about. A chapter that compares models along a parameter needs an entry under `grids:` in
the profile.
"""

if __name__ == "__main__":
    chapter, output = sys.argv[1:]
    book = nbformat.read(chapter, as_version=4)
    book.cells = [book.cells[0], nbformat.v4.new_markdown_cell(REASON.strip())]
    with atomic(output) as temporary:
        nbformat.write(book, temporary)
