"""Chapters executed by papermill.

``python -m m3l_book.execute CHAPTER OUTPUT -p NAME VALUE ...`` executes a chapter after checking
its parameters.
"""

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from m3l.errors import ParameterError, check_values, require

from .chapter import project_root
from .figures import captions


def declared_parameters(path: str | Path) -> dict[str, type]:
    """Name and type of every parameter in a chapter's parameters cell.

    Raises
    ------
    ParameterError
        The chapter has no such cell, or a parameter of it no type.
    """
    import builtins

    from papermill import inspect_notebook

    parameters = inspect_notebook(str(path))
    require(bool(parameters), f"{path}: expected one cell tagged 'parameters', with parameters")
    kinds = {}
    for name, about in parameters.items():
        kind = getattr(builtins, about["inferred_type_name"], None)
        untyped = f"{path}: parameter {name!r} has no type; write {name}: int = … or the like"
        require(isinstance(kind, type), untyped)
        kinds[name] = kind
    return kinds


def execute(chapter: str | Path, output: str | Path, parameters: dict) -> float:
    """Execute a chapter with papermill; the seconds it took.

    Raises
    ------
    ParameterError
        A parameter is unknown or of the wrong type; nothing has run then.
    papermill.PapermillExecutionError
        A cell failed; the output up to there is kept beside ``output`` with ``.failed`` in its
        name.
    """
    import papermill

    from m3l.files import atomic

    parameters, root = check_values(declared_parameters(chapter), parameters), str(project_root())
    begun, output = time.perf_counter(), Path(output)
    os.environ.setdefault(
        "TQDM_DISABLE", "1"
    )  # a bar would stay on the page, as a widget that asks a CDN for its script
    place = re.match(r"(\d+)-", Path(chapter).stem)  # captions begin with the chapter's number
    os.environ[captions.CHAPTER] = str(int(place[1])) if place else ""
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

    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.execute",
        description="Execute a chapter with papermill, its parameters checked first.",
    )
    parser.add_argument("chapter", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a value in YAML",
    )
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="all values at once")
    options = parser.parse_args(arguments)
    values = {}
    for name, text in [(None, options.parameters), *options.parameter]:
        try:
            values |= json.loads(text) if name is None else {name: yaml.safe_load(text)}
        except (yaml.YAMLError, json.JSONDecodeError) as error:
            print(
                f"\n{f'-p {name}' if name else '--parameters'} {text!r} is not"
                f" {'YAML' if name else 'JSON'}: {' '.join(str(error).split())}",
                file=sys.stderr,
            )
            return 1
    try:
        seconds = execute(options.chapter, options.output, values)
    except papermill.PapermillExecutionError as error:
        print(
            f"\n{options.chapter} failed in cell {error.exec_count}: {error.ename}:"
            f" {error.evalue}\nsee {options.output.with_suffix('.failed.ipynb')}",
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
