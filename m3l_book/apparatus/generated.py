"""Pages that are made from the code, the notebooks and the build, so that they cannot be out of
date: Markdown as jupyter-book reads it.
"""

import ast
import csv
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import papermill

from m3l.errors import DataError, require

from .times import SLOW, seconds_taken, slow_steps

MEASURES = ("ranking", "coherence", "uncertainty", "assessment")
METHOD = (
    ("Data", ("corpus", "view", "words", "text")),
    ("The model", ("model", "networks", "noise")),
    ("The loss", ("loss", "distillation")),
    ("Training", ("train", "device", "checkpoint", "estimator")),
    ("PLTM", ("pltm", "gibbs")),
    ("What is measured", tuple(f"metrics.{name}" for name in MEASURES)),
    ("Looking at topics", ("inspection",)),
    ("Errors and files", ("errors", "saving", "files")),
)
# what scikit-learn adds to every estimator
INHERITED = ":exclude-members: set_fit_request, set_transform_request, set_score_request"
ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^\])]+")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; a bar in a cell is escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The heading of a notebook's first cell."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def parameters(folder: str | Path) -> str:
    """The page of all parameters of all notebooks, as papermill finds them."""
    parts = [
        "# All parameters\n\nEvery notebook is run again with other values by `-p NAME VALUE`."
    ]
    parts += ["What stands here is read from the notebooks, as `papermill --help-notebook` does."]
    for path in sorted(Path(folder).glob("*.ipynb")):
        found = papermill.inspect_notebook(str(path))
        rows = [
            (f"`{name}`", f"`{p['inferred_type_name']}`", f"`{p['default']}`", p["help"])
            for name, p in found.items()
        ]
        head = "parameter", "type", "if not given", "what it is"
        parts.append(f"## {path.stem}\n\nOf {{doc}}`{path.stem}`.\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def read_equations(path: str | Path) -> list[dict[str, str]]:
    """Rows of ``book/equations.csv``: an equation's label, its page, what it says, the function
    that computes it and the test that holds the function to it.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, 2):
        empty = [name for name, value in row.items() if not value and name != "label"]
        require(not empty, f"{path}, line {number}: {', '.join(empty)} is empty", DataError)
    return rows


def labels(notebooks: Iterable[nbformat.NotebookNode]) -> set[str]:
    """The labels of the equations that stand in notebooks."""
    cells = [cell.source for notebook in notebooks for cell in notebook.cells]
    return {label for text in cells for label in re.findall(r"^\$\$ \((\w+)\)", text, re.M)}


def equations(path: str | Path, there: Collection[str]) -> str:
    """The page that leads from each equation to its function and its test; of those labels that
    are not ``there`` in this build, from the page that has them elsewhere.
    """
    rows = []
    for row in read_equations(path):
        where = f"{{eq}}`{row['label']}`" if row["label"] in there else row["source"]
        function, test = row["function"], row["test"].split("::")
        link = f"{{py:obj}}`{function}`" if function.startswith("m3l.") else f"`{function}`"
        rows.append((where, row["what"], link, f"`{test[1]}` in `tests/{test[0]}`"))
    head = "equation", "what it says", "function", "held to it by"
    about = "Each equation that this book computes, the function that does, and a test of the two."
    return f"# Equation, function, test\n\n{about}\n\n{table(head, rows)}\n"


def warnings_in(notebook: nbformat.NotebookNode) -> int:
    """How many warnings the executed cells of a notebook printed."""
    texts = [
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("output_type") == "stream" and output.get("name") == "stderr"
    ]
    return sum(len(re.findall(r"\w*Warning\b", text)) for text in texts)


def status(
    profile: str,
    pages: Mapping[str, nbformat.NotebookNode],
    runs: Mapping[str, nbformat.NotebookNode],
    recorded: Mapping[str, Mapping],
) -> str:
    """Write the page of what the build executed: seconds, what is recorded of them, warnings."""
    seconds = {page: seconds_taken(notebook) for page, notebook in pages.items()}
    taken = {page: value for page, value in seconds.items() if value is not None}
    rows = []
    for page, notebook in pages.items():
        took = f"{taken[page]:,.1f}" if page in taken else "not executed"
        usual = recorded.get(page, {}).get(profile) or "–"
        rows.append((f"{{doc}}`{page}`", took, usual, warnings_in(notebook)))
    slow = ", ".join(f"{{doc}}`{page}`" for page in slow_steps(taken, recorded, profile))
    computed = sum(seconds_taken(notebook) or 0.0 for notebook in runs.values())
    noisy = [name for name, notebook in runs.items() if warnings_in(notebook)]
    lines = [
        f"# Status of this build\n\nProfile `{profile}`. Seconds are recorded on two cores without",
        f"a GPU. Pages that took more than {SLOW} times as long as recorded, after division by",
        f"the median ratio of all pages, which is this machine's speed: {slow or 'none'}.",
        "",
        table(("page", "seconds", "seconds recorded", "warnings"), rows),
        "",
        f"Beside the pages {len(runs)} runs were executed, in {computed:,.0f} s of computation;",
        f"{len(noisy) or 'none'} of them printed a warning" + (":" if noisy else "."),
        ", ".join(f"`{name}`" for name in noisy[:10]) + ("." if noisy else ""),
    ]
    return "\n".join(lines).strip() + "\n"


def addresses(folder: str | Path) -> dict[str, list[str]]:
    """Every address in the prose and the bibliography of a folder, and the pages that hold it.

    Raises
    ------
    DataError
        An address has no host with a dot in it, or is not https.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*")):
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
            pages = found.setdefault(address, [])
            if path.name not in pages:
                pages.append(path.name)
    return found


def links(folder: str | Path) -> str:
    """The page of addresses outside the book."""
    rows = [(f"<{address}>", ", ".join(pages)) for address, pages in addresses(folder).items()]
    about = "None of them is needed to read the book, and nothing is fetched from them."
    none = "There are none." if not rows else table(("address", "stands in"), rows)
    return f"# Addresses outside the book\n\n{about}\n\n{none}\n"


def public_names(path: str | Path) -> list[str]:
    """The public classes and functions that a module defines, in their order."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    kinds = ast.ClassDef | ast.FunctionDef
    return [n.name for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


def interface(package: str | Path) -> str:
    """The page of `m3l`'s public classes and functions, from their docstrings."""
    parts = [
        "# The library `m3l`\n\nB tuples in a batch, N tuples or items, D dimensions of an",
        "embedding, K topics, V words of a vocabulary, L languages. Logarithms are natural.",
    ]
    for heading, modules in METHOD:
        parts.append(f"\n## {heading}\n")
        for module in modules:
            name = f"m3l.{module}"
            path = Path(package, *module.split(".")).with_suffix(".py")
            parts.append(f"```{{eval-rst}}\n.. automodule:: {name}\n   :no-index:\n```\n")
            for member in public_names(path):
                kind = "class" if member[0].isupper() else "function"
                members = f"   :members:\n   {INHERITED}\n" if kind == "class" else ""
                parts.append(f"```{{eval-rst}}\n.. auto{kind}:: {name}.{member}\n{members}```\n")
    return "\n".join(parts)
