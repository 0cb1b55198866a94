"""Chapters executed by papermill.

``python -m m3l_book.execute CHAPTER OUTPUT -p NAME VALUE ...`` executes a chapter after checking
its parameters.
"""

import argparse
import builtins
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from m3l.errors import M3LError, ParameterError, check_values, require
from m3l.files import atomic

from .chapter import project_root
from .figures import captions
from .values import NotYAML, read_value

PATIENCE = 10**9  # seconds for a kernel to start: one that has died is noticed at once


class KernelEnded(M3LError, RuntimeError):
    """The process that ran a chapter's cells ended before they did."""


def declared_parameters(path: str | Path) -> dict[str, type]:
    """Return name and type of every parameter in a chapter's parameters cell; `ParameterError` if
    there is no such cell, or a parameter has no type.
    """
    from papermill import inspect_notebook

    parameters = inspect_notebook(str(path))
    require(bool(parameters), f"{path}: expected one cell tagged 'parameters', with parameters")
    kinds = {}
    for name, about in parameters.items():
        kinds[name] = getattr(builtins, about["inferred_type_name"], None)
        untyped = f"{path}: parameter {name!r} has no type; write {name}: int = … or the like"
        require(isinstance(kinds[name], type), untyped)
    return kinds


@contextlib.contextmanager
def environment(chapter: str | Path) -> Iterator[None]:
    """Set the variables that a chapter's kernel finds; afterwards they are what they were."""
    # captions begin with the chapter's number
    number = re.match(r"(\d+)-", Path(chapter).stem)
    numbered = number and Path(chapter).parent.name != "exercises"
    wanted = {
        captions.CHAPTER: str(int(number[1])) if numbered else "",
        # a bar would stay on the page, as a widget that asks a CDN for its script
        "TQDM_DISABLE": os.environ.get("TQDM_DISABLE", "1"),
        # notebooks run in the Python that runs this, before any kernel of the user's
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    names = (*wanted, "JUPYTER_PATH")  # kernels listed there would go before this environment's own
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ |= wanted
    try:
        yield
    finally:
        for name in wanted:
            os.environ.pop(name, None)
        os.environ |= before


def execute(chapter: str | Path, output: str | Path, parameters: dict) -> float:
    """Execute a chapter with papermill and return the seconds it took.

    Raises
    ------
    ParameterError
        A parameter is unknown or of the wrong type; nothing has run then.
    papermill.PapermillExecutionError
        A cell failed; the output up to there is kept beside ``output`` with ``.failed`` in its
        name.
    KernelEnded
        The process that ran the cells was killed, or could not start; the same is kept.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    parameters, root = check_values(declared_parameters(chapter), parameters), str(project_root())
    begun, output = time.perf_counter(), Path(output)
    failed = output.with_suffix(".failed.ipynb")
    with environment(chapter), atomic(output) as temporary:
        scratch = temporary.with_suffix(".ipynb")
        try:
            papermill.execute_notebook(
                str(chapter),
                str(scratch),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                cwd=root,
                start_timeout=PATIENCE,
                iopub_timeout=600,  # then the page goes on, perhaps without an output
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            os.replace(scratch, temporary)
            failed.unlink(missing_ok=True)
        except (papermill.PapermillExecutionError, DeadKernelError, RuntimeError) as error:
            if scratch.is_file():
                os.replace(scratch, failed)
            if not isinstance(error, DeadKernelError) and "Kernel died" not in str(error):
                raise
            raise KernelEnded(
                "the process that ran its cells ended: it was killed, often for want of memory, or"
                f" could not start ({sys.executable})"
            ) from None
        finally:
            scratch.unlink(missing_ok=True)
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    """Command line: execute one chapter; 1 and a plain message if it fails."""
    import papermill

    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.execute",
        description="Execute a chapter with papermill, its parameters checked first.",
    )
    parser.add_argument("chapter", type=Path)
    parser.add_argument("output", type=Path)
    pair = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    parser.add_argument("-p", "--parameter", **pair, help="a value in YAML 1.2")
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="all values at once")
    options = parser.parse_args(arguments)
    try:
        seconds = execute(options.chapter, options.output, _values(options))
    except papermill.PapermillExecutionError as error:
        where = f"{options.chapter} failed in cell {error.exec_count}"
        what = f"{error.ename}: {' '.join(error.evalue.split())}"
        failed = options.output.with_suffix(".failed.ipynb")
        print(f"\n{where}: {what} (see {failed})", file=sys.stderr)
        return 1
    except (ParameterError, KernelEnded, FileNotFoundError) as error:
        print(f"\n{options.chapter}: {error}", file=sys.stderr)
        return 1
    print(f"{options.chapter.name} -> {options.output} in {seconds:.0f} s")
    return 0


def _values(options: argparse.Namespace) -> dict:
    """Return the values of parameters that the command line gives, by name."""
    try:
        values = json.loads(options.parameters)
    except json.JSONDecodeError as error:
        message = f"--parameters {options.parameters!r} is not JSON: {error}"
        raise ParameterError(message) from None
    kinds = declared_parameters(options.chapter) if options.parameter else {}
    for name, text in options.parameter:
        try:
            values[name] = read_value(text, kinds.get(name))
        except NotYAML as error:
            raise ParameterError(f"-p {name} {text!r} is not YAML: {error}") from None
    return values


if __name__ == "__main__":
    sys.exit(main())
