"""Pages that are made from the notebooks and the build, so that they cannot be out of date:
Markdown as jupyter-book reads it, and slides.

The list of slides is ``book/slides.yml``. They are made of the book's own figures and tables; the
deck is one HTML file beside the pages, moved through by arrow keys, printed one slide per page, and
read without a network, as the slides of nbconvert are not.
"""

import csv
import html
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import papermill
from nbformat import NotebookNode

from m3l.errors import DataError, require

from .times import SLOW, seconds_taken, slow_steps

ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^\])]+")
STATIC = Path(__file__).parent.parent / "pages" / "static"
CAPTION = re.compile(
    r'class="figure-caption"[^>]*>(.*?)</p>|<caption[^>]*>(.*?)</caption>', re.DOTALL
)
LONG = 14  # rows of a table that are set smaller
NUMBER = re.compile(r"^(Figure|Table) [\d.]+ ")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a table in Markdown; a bar in a cell is escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def parameters(folder: str | Path) -> str:
    """Write the page of all parameters of all notebooks, as papermill finds them."""
    parts = [
        "# All parameters\n\nEvery notebook is run again with other values by `-p NAME VALUE`.",
        "What stands here is read from the notebooks, as `papermill --help-notebook` does.",
    ]
    for path in sorted(Path(folder).glob("*.ipynb")):
        rows = [
            (f"`{name}`", f"`{p['inferred_type_name']}`", f"`{p['default']}`", p["help"])
            for name, p in papermill.inspect_notebook(str(path)).items()
        ]
        head = "parameter", "type", "if not given", "what it is"
        parts.append(f"## {path.stem}\n\nOf {{doc}}`{path.stem}`.\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def labels(notebooks: Iterable[NotebookNode]) -> set[str]:
    """Find the labels of the equations that stand in notebooks."""
    cells = [cell.source for notebook in notebooks for cell in notebook.cells]
    return {label for text in cells for label in re.findall(r"^\$\$ \((\w+)\)", text, re.M)}


def equations(path: str | Path, there: Collection[str]) -> str:
    """Write the page that leads from each equation of ``book/equations.csv`` to its function and
    its test; of those labels that are not ``there`` in this build, from the page that has them
    elsewhere.

    Raises
    ------
    DataError
        A field is empty other than the label, which not every equation has; its line is named.
    """
    rows = []
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            empty = [name for name, value in row.items() if not value and name != "label"]
            require(not empty, f"{path}, line {number}: {', '.join(empty)} is empty", DataError)
            where = f"{{eq}}`{row['label']}`" if row["label"] in there else row["source"]
            function, (name, _, test) = row["function"], row["test"].partition("::")
            link = f"{{py:obj}}`{function}`" if function.startswith("m3l.") else f"`{function}`"
            rows.append((where, row["what"], link, f"`{test}` in `tests/{name}`"))
    head = "equation", "what it says", "function", "held to it by"
    about = "Each equation that this book computes, the function that does, and a test of the two."
    return f"# Equation, function, test\n\n{about}\n\n{table(head, rows)}\n"


def warnings_in(notebook: NotebookNode) -> int:
    """Count the warnings that the executed cells of a notebook printed."""
    texts = [
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("output_type") == "stream" and output.get("name") == "stderr"
    ]
    return sum(len(re.findall(r"\w*Warning\b", text)) for text in texts)


def status(
    profile: str,
    pages: Mapping[str, NotebookNode],
    runs: Mapping[str, NotebookNode],
    recorded: Mapping[str, Mapping],
) -> str:
    """Write the page of what the build executed: seconds, what is recorded of them, warnings."""
    taken, rows = {}, []
    for page, notebook in pages.items():
        seconds, took = seconds_taken(notebook), "not executed"
        if seconds is not None:
            taken[page], took = seconds, f"{seconds:,.1f}"
        usual = recorded.get(page, {}).get(profile) or "–"
        rows.append((f"{{doc}}`{page}`", took, usual, warnings_in(notebook)))
    slow = ", ".join(f"{{doc}}`{page}`" for page in slow_steps(taken, recorded, profile))
    computed = sum(seconds_taken(notebook) or 0.0 for notebook in runs.values())
    noisy = [f"`{name}`" for name, notebook in runs.items() if warnings_in(notebook)]
    lines = [
        f"# Status of this build\n\nProfile `{profile}`. Seconds are recorded on two cores without",
        f"a GPU. Pages that took more than {SLOW} times as long as recorded, after division by",
        f"the median ratio of all pages, which is this machine's speed: {slow or 'none'}.",
        "",
        table(("page", "seconds", "seconds recorded", "warnings"), rows),
        "",
        f"Beside the pages {len(runs)} runs were executed, in {computed:,.0f} s of computation;",
        f"{len(noisy) or 'none'} of them printed a warning" + (":" if noisy else "."),
        ", ".join(noisy[:10]) + ("." if noisy else ""),
    ]
    return "\n".join(lines).strip() + "\n"


def links(folder: str | Path) -> str:
    """Write the page of addresses outside the book, in its prose and bibliography, and of the pages
    that hold them.

    Raises
    ------
    DataError
        An address has no host with a dot in it, or is not https.
    """
    found: dict[str, dict[str, None]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.parent.name == ".ipynb_checkpoints":  # JupyterLab's copies
            continue
        if path.suffix == ".ipynb":
            book = nbformat.read(path, as_version=4)
            text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
        elif path.suffix in (".md", ".bib"):
            text = path.read_text(encoding="utf-8")
        else:
            continue
        for address in ADDRESS.findall(text):
            address = address.rstrip(".,;:")
            parts = urlsplit(address)
            if parts.hostname in ("127.0.0.1", "localhost"):
                continue
            formed = parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc)
            message = f"{path.name}: {address} is no address of the form https://host.name/…"
            require(bool(formed), message, DataError)
            found.setdefault(address, {})[path.name] = None
    rows = [(f"<{address}>", ", ".join(pages)) for address, pages in found.items()]
    about = "None of them is needed to read the book, and nothing is fetched from them."
    listed = table(("address", "stands in"), rows) if rows else "There are none."
    return f"# Addresses outside the book\n\n{about}\n\n{listed}\n"


def figure_or_table(notebook: NotebookNode, captions: Sequence[str]) -> str | None:
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


def without_the_book(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook without the cells that need the book around it, and without outputs."""
    alone = nbformat.v4.new_notebook(metadata=notebook.metadata)
    for cell in notebook.cells:
        tags = {"support", "parameters", "injected-parameters"} & set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            # a page of the book is named, since nothing leads to it from elsewhere
            text = re.sub(r"```\{glue:any\}.*?```\n", "", cell.source, flags=re.DOTALL)
            text = re.sub(r"\{doc\}`([^`]*)`", r"*\1* of the book", text)
            alone.cells.append(nbformat.v4.new_markdown_cell(text, id=cell.id))
        elif not tags:
            alone.cells.append(nbformat.v4.new_code_cell(cell.source, id=cell.id))
    return alone


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
        found = figure_or_table(notebooks[page], captions) if page in notebooks else None
        if found is None:
            return ""
        long = " long" if found.count("<tr") > LONG else ""
        source = f'<p class="source">from <a href="{page}.html">{page}</a></p>'
        parts.append(f'<div class="shown{long}">{found}</div>{source}')
    return f"<section>{''.join(parts)}</section>"


def deck(slides: Sequence[Mapping], notebooks: Mapping[str, NotebookNode], mathjax: str) -> str:
    """Write all slides as one page; ``mathjax`` is the address of the script, from the page.

    Raises
    ------
    DataError
        A slide has no title, an unknown entry, or says nothing; its number is named.
    """
    for number, about in enumerate(slides, 1):
        where = f"slides.yml, slide {number}"
        unknown = sorted(set(about) - {"title", "text", "points", "show"})
        require(not unknown, f"{where}: {', '.join(unknown)} is unknown", DataError)
        whole = "title" in about and len(about) > 1
        require(whole, f"{where}: it needs a title and more", DataError)
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
