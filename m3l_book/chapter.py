"""What every chapter needs: parameters checked before anything runs, and a page's provenance."""

import inspect
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from m3l.errors import check_values

STARTED = time.perf_counter()
# a value of more characters, and a list of more hashes, are folded
LONGEST, FEWEST = 120, 3


def project_root() -> Path:
    """The nearest folder upwards that holds ``_config.yml``: chapters run there wherever they were
    opened.
    """
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(
        f"{here}: no folder upwards holds _config.yml; run chapters inside the project"
    )


def start(namespace: dict) -> dict:
    """Check a chapter's parameters and move to the project's root.

    Call it right after the parameters cell.

    The parameters cell annotates every parameter (``topics: int = 100``); papermill's injected cell
    does not. A name set after the parameters cell that it did not declare is therefore an unknown
    parameter.

    Returns
    -------
    The parameters by name.
    """
    os.chdir(project_root())
    annotations = namespace.get("__annotations__", {})
    declared = {name: kind for name, kind in annotations.items() if not name.startswith("_")}
    shell = {"In", "Out", "exit", "quit", "open", "get_ipython"}
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in shell
        if not isinstance(value, ModuleType) and not callable(value)
    }
    checked = check_values(declared, given)
    namespace.update(checked)
    return {name: checked[name] for name in declared}


def provenance(params: dict, **data) -> None:
    """Show the line that ends every chapter: profile, parameters, hashes of the data, versions,
    wall time.
    """
    from IPython.display import Markdown, display

    from .records.run import environment

    display(Markdown(provenance_text(params, data, environment(), time.perf_counter() - STARTED)))


def provenance_text(params: dict, data: dict, versions: dict, seconds: float | None = None) -> str:
    """The provenance of a page, as a folded Markdown block; long values are counted and folded."""
    short, long = {}, {}
    for name, value in params.items():
        if name != "profile":
            text = json.dumps(value, ensure_ascii=False)
            fits = len(text) <= LONGEST or not isinstance(value, (list, dict))
            (short if fits else long)[name] = text
    listed = [_code(f"{name}={text}") for name, text in short.items()]
    listed += [f"`{name}`: {len(params[name])} entries, below" for name in long]
    hashes = [f"{name} `{str(value)[:16]}`" for name, value in data.items()]
    if len(hashes) > FEWEST:
        long["data"] = ", ".join(hashes)
        hashes = [f"{len(data)} records, below"]
    rows = {
        "profile": f"`{params.get('profile', 'none')}`",
        "parameters": ", ".join(listed) or "none",
        "data": ", ".join(hashes) or "none",
        "versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
    }
    if seconds is not None:
        rows["wall time"] = f"{seconds:.1f} s"
    lines = "\n".join(f"- **{name}**: {value}" for name, value in rows.items())
    folds = "".join(
        f"\n::::{{admonition}} {name}\n:class: dropdown provenance\n\n"
        f"{text if name == 'data' else _code(text)}\n::::\n"
        for name, text in long.items()
    )
    head = ":::::{admonition} How this page was made\n:class: dropdown provenance\n"
    return f"{head}\n{lines}\n{folds}:::::\n"


def _code(text: str) -> str:
    """A text as code in Markdown, whatever signs it has."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def source(function: Callable) -> None:
    """Show a function's code, for chapters that set it beside its equation."""
    from IPython.display import Code, display

    display(Code(inspect.getsource(function), language="python"))
