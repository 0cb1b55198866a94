"""The first mention of a glossary's term on a page leads to the glossary."""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

GLOSSARY = "glossary"
# what is shown of a corpus or computed, what leads elsewhere already, and headings
APART = (nodes.reference, nodes.literal, nodes.math, nodes.title, nodes.rubric, nodes.raw)
APART += (nodes.table, nodes.literal_block, addnodes.pending_xref, nodes.caption, nodes.emphasis)
COMPUTED = {"cell_output", "provenance"}
# pages that are tables of names, and those on which students are people
WITHOUT = ("glossary", "api", "parameters", "status", "links", "exercises/", "teaching/")


def terms(text):
    """The terms that a glossary's page defines, the longest first."""
    block = re.search(r"```\{glossary\}\n(.*?)```", text, re.DOTALL)
    found = re.findall(r"^(\S.*)$", block[1], re.MULTILINE) if block else []
    return sorted(found, key=len, reverse=True)


def words(term):
    """A pattern for a term, in the singular or plural; capitals count where the term has them."""
    free = term == term.lower()
    escaped = re.escape(term).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w-]){escaped}(e?s)?(?![\w-])", re.IGNORECASE if free else 0)


def plain(node, apart=APART):
    """Whether a text is prose of the page, and in nothing that is set ``apart``."""
    parent = node.parent
    while parent is not None:
        computed = isinstance(parent, nodes.Element) and COMPUTED & set(parent.get("classes", []))
        if isinstance(parent, apart) or computed:
            return False
        parent = parent.parent
    return True


def link(app, doctree):
    page = app.env.docname
    if page.startswith(WITHOUT):
        return
    waiting = dict(app.m3l_terms)
    for text in [node for node in doctree.findall(nodes.Text) if plain(node)]:
        found = sorted(
            (match.start(), match.end(), term)
            for term, pattern in waiting.items()
            if (match := pattern.search(text))
        )
        pieces, end = [], 0
        for start, stop, term in found:
            if start < end:  # within a longer term
                continue
            said = str(text)[start:stop]
            reference = addnodes.pending_xref(
                "", refdomain="std", reftype="term", reftarget=term, refdoc=page, refwarn=True
            )
            reference += nodes.inline(said, said, classes=["term"])
            pieces += [nodes.Text(str(text)[end:start]), reference]
            end = stop
            del waiting[term]
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(str(text)[end:])])


def read(app):
    path = Path(app.srcdir, f"{GLOSSARY}.md")
    found = terms(path.read_text(encoding="utf-8")) if path.is_file() else []
    app.m3l_terms = {term: words(term) for term in found}


def setup(app):
    app.connect("builder-inited", read)
    app.connect("doctree-read", link, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
