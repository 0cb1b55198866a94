"""What every chapter needs: its parameters, where it runs, and a page's provenance."""

import json
import os
import re
import time
from pathlib import Path
from types import ModuleType

from m3l.errors import check_values

from .shown import as_markdown

STARTED = time.perf_counter()
# a value of more characters, and a list of more hashes, are folded
LONGEST, FEWEST = 120, 3


def project_root() -> Path:
    """Return the nearest folder upwards that holds ``_config.yml``; chapters run there wherever
    they were opened.
    """
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(
        f"{here}: no folder upwards holds _config.yml; run chapters inside the project"
    )


def start(namespace: dict) -> dict:
    """Check a chapter's parameters, move to the project's root and return them by name.

    Call it right after the parameters cell, which annotates every parameter (``topics: int =
    100``). The cell that papermill injects does not: so a name that is set by then and was not
    declared is an unknown parameter, also where papermill was called without `m3l_book.execute`.
    When a cell is run again, the chapter's own names are set too, and only the declared are
    checked.

    Raises
    ------
    ParameterError
        A parameter is unknown, or of another type than declared.
    """
    os.chdir(project_root())
    annotations = namespace.get("__annotations__", {})
    declared = {name: kind for name, kind in annotations.items() if not name.startswith("_")}
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ("In", "Out")
        if not isinstance(value, ModuleType) and not callable(value)
        if name in declared or "_started" not in namespace
    }
    checked = check_values(declared, given)
    namespace.update(checked, _started=True)
    return {name: checked[name] for name in declared}


def provenance(params: dict, **data: str) -> None:
    """Show the line that ends every chapter: profile, parameters, hashes of the data, versions,
    wall time.
    """
    from IPython.display import Markdown, display

    from .records.run import environment

    display(Markdown(provenance_text(params, data, environment(), time.perf_counter() - STARTED)))


def provenance_text(params: dict, data: dict, versions: dict, seconds: float | None = None) -> str:
    """Return the provenance of a page, a folded Markdown block; long values are folded again."""
    listed, long = [], {}
    for name, value in params.items():
        text = json.dumps(value, ensure_ascii=False)
        if len(text) > LONGEST and isinstance(value, (list, dict)):
            listed.append(f"`{name}`: {len(value)} entries, below")
            long[name] = _code(text)
        elif name != "profile":
            listed.append(_code(f"{name}={text}"))
    hashes = ", ".join(f"{as_markdown(name)} `{str(value)[:16]}`" for name, value in data.items())
    if len(data) > FEWEST:
        long["data"], hashes = hashes, f"{len(data)} records, below"
    rows = {
        "profile": _code(params.get("profile", "none")),
        "parameters": ", ".join(listed) or "none",
        "data": hashes or "none",
        "versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
    }
    if seconds is not None:
        rows["wall time"] = f"{seconds:.1f} s"
    lines = "\n".join(f"- **{name}**: {value}" for name, value in rows.items())
    folds = "".join(
        f"\n::::{{admonition}} {name}\n:class: dropdown provenance\n\n{text}\n::::\n"
        for name, text in long.items()
    )
    head = ":::::{admonition} How this page was made\n:class: dropdown provenance\n"
    return f"{head}\n{lines}\n{folds}:::::\n"


def _code(text: str) -> str:
    """Return a text as code in Markdown, whatever signs it has."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, blank = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{blank}{text}{blank}{fence}"
