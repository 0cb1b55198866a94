"""Slides made of the book's own pages: figures as vectors, tables as they stand, equations by the
book's MathJax.

The list of slides is ``book/slides.yml``. The deck is one HTML file beside the pages, moved through
by arrow keys, and printed one slide a page.
"""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import yaml

from m3l.errors import DataError, require

STATIC = Path(__file__).parent.parent / "pages" / "static"
CAPTION = re.compile(
    r'class="figure-caption"[^>]*>(.*?)</p>|<caption[^>]*>(.*?)</caption>', re.DOTALL
)
LONG = 14  # rows of a table that are set smaller
NUMBER = re.compile(r"^(Figure|Table) [\d.]+ ")


def read_slides(path: str | Path) -> list[dict]:
    """The slides that a file lists.

    Raises
    ------
    DataError
        A slide has no title, an unknown entry, or says nothing.
    """
    slides = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    for number, slide in enumerate(slides, 1):
        where = f"{path}, slide {number}"
        unknown = sorted(set(slide) - {"title", "text", "points", "show"})
        require(not unknown, f"{where}: {', '.join(unknown)} is unknown", DataError)
        require(
            len(slide) > 1 and "title" in slide, f"{where}: it needs a title and more", DataError
        )
    return slides


def shown(notebook: nbformat.NotebookNode, captions: Sequence[str]) -> str | None:
    """The HTML of the first figure or table of an executed notebook whose caption begins so."""
    before = ""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = data.get("text/html", "")
            for match in CAPTION.finditer(text):
                plain = re.sub(r"<[^>]+>", "", match[1] or match[2])
                caption = NUMBER.sub("", html.unescape(plain).strip())
                if any(caption.startswith(wanted) for wanted in captions):
                    figure = match[1] is not None
                    return before if figure else text
            before = data.get("image/svg+xml", before)
    return None


def _emphasis(text: str) -> str:
    """A line of a slide as HTML; *stars* are emphasis, and mathematics is left to MathJax."""
    return re.sub(r"\*([^*$]+)\*", r"<em>\1</em>", html.escape(text, quote=False))


def slide(about: Mapping, notebooks: Mapping[str, nbformat.NotebookNode]) -> str | None:
    """One slide as HTML; None if the page has nothing of the kind in this build."""
    parts = [f"<h2>{_emphasis(about['title'])}</h2>"]
    if "text" in about:
        parts.append(f"<p>{_emphasis(about['text'])}</p>")
    if "points" in about:
        parts.append(f"<ul>{''.join(f'<li>{_emphasis(p)}</li>' for p in about['points'])}</ul>")
    if "show" in about:
        page, *captions = about["show"]
        found = shown(notebooks[page], captions) if page in notebooks else None
        if found is None:
            return None
        source = f'<p class="source">from <a href="{page}.html">{page}</a></p>'
        long = " long" if found.count("<tr") > LONG else ""
        parts.append(f'<div class="shown{long}">{found}</div>{source}')
    return f"<section>{''.join(parts)}</section>"


def deck(
    slides: Sequence[Mapping], notebooks: Mapping[str, nbformat.NotebookNode], mathjax: str
) -> str:
    """All slides as one page; ``mathjax`` is the address of the script, from the page."""
    made = [text for about in slides if (text := slide(about, notebooks))]
    style = (STATIC / "slides.css").read_text(encoding="utf-8")
    script = (STATIC / "slides.js").read_text(encoding="utf-8")
    delimiters = "MathJax = {tex: {inlineMath: [['$', '$']], displayMath: [['$$', '$$']]}};"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(slides[0]['title'])}: slides</title><style>{style}</style>"
        f'<script>{delimiters}</script><script defer src="{mathjax}"></script></head>'
        f"<body><main>{''.join(made)}</main><script>{script}</script></body></html>\n"
    )
