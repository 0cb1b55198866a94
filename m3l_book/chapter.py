"""What every chapter needs: parameters checked before anything runs, and a page's provenance."""

import json
import os
import time
from pathlib import Path
from types import ModuleType

from m3l.errors import check_values

STARTED = time.perf_counter()


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
    declared = {
        name: kind
        for name, kind in namespace.get("__annotations__", {}).items()
        if not name.startswith("_")
    }
    shell = {"In", "Out", "exit", "quit", "open", "get_ipython"}
    found = {
        n: v
        for n, v in namespace.items()
        if not n.startswith("_")
        and n not in shell
        and not isinstance(v, ModuleType)
        and not callable(v)
    }
    checked = check_values(declared, found)
    namespace.update(checked)
    return {name: checked[name] for name in declared}


def provenance(params: dict, **data) -> None:
    """Show the line that ends every chapter: profile, parameters, hashes of the data, versions,
    wall time.
    """
    from IPython.display import Markdown, display

    from .records.environment import environment

    display(Markdown(provenance_text(params, data, environment(), time.perf_counter() - STARTED)))


def provenance_text(params: dict, data: dict, versions: dict, seconds: float) -> str:
    """The provenance of a page, as a folded Markdown block."""
    shown = {k: v for k, v in params.items() if k != "profile"}
    rows = [
        ("profile", f"`{params.get('profile', 'none')}`"),
        (
            "parameters",
            ", ".join(f"`{k}={json.dumps(v, ensure_ascii=False)}`" for k, v in shown.items())
            or "none",
        ),
        (
            "data",
            ", ".join(f"{name} `{str(value)[:16]}`" for name, value in data.items()) or "none",
        ),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("wall time", f"{seconds:.1f} s"),
    ]
    lines = "\n".join(f"- **{name}**: {value}" for name, value in rows)
    return (
        f":::{{admonition}} How this page was made\n:class: dropdown provenance\n\n{lines}\n:::\n"
    )
