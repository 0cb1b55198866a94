"""What every chapter needs: parameters checked before anything runs, a page's provenance, execution by papermill.

``python -m m3l.notebook CHAPTER OUTPUT -p NAME VALUE ...`` executes a chapter after checking its parameters.
"""

import argparse
import ast
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from .errors import ParameterError, check_values

STARTED = time.perf_counter()


def project_root() -> Path:
    """The nearest folder upwards that holds ``_config.yml``: chapters run there wherever they were opened."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(f"{here}: no folder upwards holds _config.yml; run chapters inside the project")


def start(namespace: dict) -> dict:
    """Check a chapter's parameters and move to the project's root. Call it right after the parameters cell.

    The parameters cell annotates every parameter (``topics: int = 100``); papermill's injected cell does not. A
    name set after the parameters cell that it did not declare is therefore an unknown parameter.

    Returns
    -------
    The parameters by name.
    """
    os.chdir(project_root())
    declared = {name: kind for name, kind in namespace.get("__annotations__", {}).items() if not name.startswith("_")}
    shell = {"In", "Out", "exit", "quit", "open", "get_ipython"}
    found = {n: v for n, v in namespace.items() if not n.startswith("_") and n not in shell and not isinstance(v, ModuleType) and not callable(v)}
    checked = check_values(declared, found)
    namespace.update(checked)
    return {name: checked[name] for name in declared}


def provenance(params: dict, **data) -> None:
    """Show the line that ends every chapter: profile, parameters, hashes of the data, versions, wall time."""
    from IPython.display import Markdown, display

    from .runs import environment

    display(Markdown(provenance_text(params, data, environment(), time.perf_counter() - STARTED)))


def provenance_text(params: dict, data: dict, versions: dict, seconds: float) -> str:
    """The provenance of a page, as a folded Markdown block."""
    shown = {k: v for k, v in params.items() if k != "profile"}
    rows = [
        ("profile", f"`{params.get('profile', 'none')}`"),
        ("parameters", ", ".join(f"`{k}={json.dumps(v, ensure_ascii=False)}`" for k, v in shown.items()) or "none"),
        ("data", ", ".join(f"{name} `{str(value)[:16]}`" for name, value in data.items()) or "none"),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("wall time", f"{seconds:.1f} s"),
    ]
    lines = "\n".join(f"- **{name}**: {value}" for name, value in rows)
    return f":::{{admonition}} How this page was made\n:class: dropdown provenance\n\n{lines}\n:::\n"


def declared_parameters(path) -> dict[str, type]:
    """Name and type of every parameter in a chapter's parameters cell."""
    import builtins

    import nbformat

    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParameterError(f"{path}: expected one cell tagged 'parameters', found {len(cells)}")
    assignments = [node for node in ast.parse(cells[0].source).body if isinstance(node, ast.AnnAssign)]
    return {node.target.id: getattr(builtins, node.annotation.id) for node in assignments}


def execute(chapter, output, parameters: dict) -> float:
    """Execute a chapter with papermill; the seconds it took.

    Raises
    ------
    ParameterError
        A parameter is unknown or of the wrong type; nothing has run then.
    papermill.PapermillExecutionError
        A cell failed; the output up to there is kept beside ``output`` with ``.failed`` in its name.
    """
    import papermill

    from .files import atomic

    parameters, root = check_values(declared_parameters(chapter), parameters), str(project_root())
    begun, output = time.perf_counter(), Path(output)
    os.environ.setdefault("TQDM_DISABLE", "1")  # a bar would stay on the page, as a widget that asks a CDN for its script
    failed = output.with_suffix(".failed.ipynb")
    with atomic(output) as temporary:
        scratch = temporary.with_suffix(".ipynb")
        try:
            papermill.execute_notebook(
                str(chapter),
                str(scratch),
                parameters,
                progress_bar=False,
                log_output=False,
                cwd=root,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            os.replace(scratch, temporary)
            failed.unlink(missing_ok=True)
        except papermill.PapermillExecutionError:
            os.replace(scratch, failed)
            raise
        finally:
            scratch.unlink(missing_ok=True)
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    """Command line: execute one chapter; 1 and a plain message if it fails."""
    import papermill
    import yaml

    parser = argparse.ArgumentParser(prog="python -m m3l.notebook", description="Execute a chapter with papermill, its parameters checked first.")
    parser.add_argument("chapter", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a value in YAML")
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="all values at once")
    options = parser.parse_args(arguments)
    values = {}
    for name, text in [(None, options.parameters), *options.parameter]:
        try:
            values |= json.loads(text) if name is None else {name: yaml.safe_load(text)}
        except (yaml.YAMLError, json.JSONDecodeError) as error:
            print(f"\n{f'-p {name}' if name else '--parameters'} {text!r} is not {'YAML' if name else 'JSON'}: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
    try:
        seconds = execute(options.chapter, options.output, values)
    except papermill.PapermillExecutionError as error:
        print(
            f"\n{options.chapter} failed in cell {error.exec_count}: {error.ename}: {error.evalue}\nsee {options.output.with_suffix('.failed.ipynb')}",
            file=sys.stderr,
        )
        return 1
    except (ParameterError, FileNotFoundError) as error:
        print(f"\n{options.chapter}: {error}", file=sys.stderr)
        return 1
    print(f"{options.chapter.name} -> {options.output} in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
