"""A figure or table that prose names by its number, as Table 3.1, is led to."""

import re
from pathlib import Path

from docutils import nodes
from terms import APART, plain

MENTION = re.compile(r"\b(Figure|Table)\s(\d+)\.(\d+)\b")
# tables of the prose name others; computed ones are HTML, which is not looked into
ELSEWHERE = tuple(kind for kind in APART if kind not in (nodes.table, nodes.emphasis))
ANCHOR = re.compile(r'id=\\"((?:figure|table)-\d+-\d+)\\"')


def read(app):
    """Which page holds which figure or table, from the outputs of the staged notebooks."""
    app.m3l_captions = {
        anchor: path.stem
        for path in sorted(Path(app.srcdir).glob("*.ipynb"))
        for anchor in ANCHOR.findall(path.read_text(encoding="utf-8"))
    }


def link(app, doctree):
    page = app.env.docname
    for text in [node for node in doctree.findall(nodes.Text) if plain(node, ELSEWHERE)]:
        pieces, end = [], 0
        for match in MENTION.finditer(text):
            anchor = f"{match[1].lower()}-{match[2]}-{match[3]}"
            if anchor not in app.m3l_captions:
                continue
            one = app.builder.name == "singlehtml"
            there = "" if one else app.builder.get_relative_uri(page, app.m3l_captions[anchor])
            pieces.append(nodes.Text(str(text)[end : match.start()]))
            uri = f"{there.partition('#')[0]}#{anchor}"
            pieces.append(nodes.reference("", match[0], refuri=uri, internal=True))
            end = match.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(str(text)[end:])])


def setup(app):
    app.connect("builder-inited", read)
    app.connect("doctree-read", link, priority=940)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
