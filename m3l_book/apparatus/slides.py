"""Slides made of the book's own pages: figures as vectors, tables as they stand, equations by the
book's MathJax, all read without a network, as the slides of nbconvert are not.

The list of slides is ``book/slides.yml``. The deck is one HTML file beside the pages, moved through
by arrow keys, and printed one slide a page.
"""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

STATIC = Path(__file__).parent.parent / "pages" / "static"
CAPTION = re.compile(
    r'class="figure-caption"[^>]*>(.*?)</p>|<caption[^>]*>(.*?)</caption>', re.DOTALL
)
LONG = 14  # rows of a table that are set smaller
NUMBER = re.compile(r"^(Figure|Table) [\d.]+ ")


def shown(notebook: NotebookNode, captions: Sequence[str]) -> str | None:
    """Find the first figure or table of an executed notebook whose caption begins so, as HTML."""
    before = ""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = data.get("text/html", "")
            for match in CAPTION.finditer(text):
                plain = re.sub(r"<[^>]+>", "", match[1] or match[2])
                if NUMBER.sub("", html.unescape(plain).strip()).startswith(tuple(captions)):
                    return before if match[1] is not None else text
            before = data.get("image/svg+xml", before)
    return None


def _emphasis(text: str) -> str:
    """Write a line of a slide as HTML; *stars* are emphasis, and mathematics is left to MathJax."""
    return re.sub(r"\*([^*$]+)\*", r"<em>\1</em>", html.escape(text, quote=False))


def slide(about: Mapping, notebooks: Mapping[str, NotebookNode]) -> str:
    """Write one slide as HTML; "" if the page has nothing of the kind in this build."""
    parts = [f"<h2>{_emphasis(about['title'])}</h2>"]
    if "text" in about:
        parts.append(f"<p>{_emphasis(about['text'])}</p>")
    if "points" in about:
        parts.append(f"<ul>{''.join(f'<li>{_emphasis(p)}</li>' for p in about['points'])}</ul>")
    if "show" in about:
        page, *captions = about["show"]
        found = shown(notebooks[page], captions) if page in notebooks else None
        if found is None:
            return ""
        long = " long" if found.count("<tr") > LONG else ""
        source = f'<p class="source">from <a href="{page}.html">{page}</a></p>'
        parts.append(f'<div class="shown{long}">{found}</div>{source}')
    return f"<section>{''.join(parts)}</section>"


def deck(slides: Sequence[Mapping], notebooks: Mapping[str, NotebookNode], mathjax: str) -> str:
    """Write all slides as one page; ``mathjax`` is the address of the script, from the page."""
    made = "".join(slide(about, notebooks) for about in slides)
    style, script = (
        (STATIC / f"slides.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")
    )
    delimiters = "MathJax = {tex: {inlineMath: [['$', '$']], displayMath: [['$$', '$$']]}};"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(slides[0]['title'])}: slides</title><style>{style}</style>"
        f'<script>{delimiters}</script><script defer src="{mathjax}"></script></head>'
        f"<body><main>{made}</main><script>{script}</script></body></html>\n"
    )
