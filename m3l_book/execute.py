"""Chapters executed by papermill.

``python -m m3l_book.execute CHAPTER OUTPUT -p NAME VALUE ...`` executes a chapter after checking
its parameters.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from m3l.errors import M3LError, ParameterError, check_values, require

from .chapter import project_root
from .figures import captions
from .values import NotYAML, read_value

PATIENCE = 10**9  # seconds for a kernel to start: one that has died is noticed at once


class KernelEnded(M3LError, RuntimeError):
    """The process that ran a chapter's cells ended before they did."""


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


@contextlib.contextmanager
def this_python() -> Iterator[None]:
    """Run notebooks in the Python that runs this, whatever kernels the machine lists.

    A kernel called python3 that stands in ``JUPYTER_PATH`` goes before an environment's own. A
    build (``M3L_WARM``) has put its kernel there itself.
    """
    if os.environ.get("M3L_WARM"):
        yield
        return
    before = os.environ.get("JUPYTER_PATH")
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": start, "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory(prefix="m3l-") as folder:
        place = Path(folder, "kernels", "python3")
        place.mkdir(parents=True)
        (place / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
        os.environ["JUPYTER_PATH"] = folder + (os.pathsep + before if before else "")
        try:
            yield
        finally:
            os.environ.pop("JUPYTER_PATH")
            if before is not None:
                os.environ["JUPYTER_PATH"] = before


def execute(chapter: str | Path, output: str | Path, parameters: dict) -> float:
    """Execute a chapter with papermill; the seconds it took.

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

    from m3l.files import atomic

    parameters, root = check_values(declared_parameters(chapter), parameters), str(project_root())
    begun, output = time.perf_counter(), Path(output)
    os.environ.setdefault(
        "TQDM_DISABLE", "1"
    )  # a bar would stay on the page, as a widget that asks a CDN for its script
    # captions begin with the chapter's number
    chapters = Path(chapter).parent.name != "exercises"
    place = re.match(r"(\d+)-", Path(chapter).stem) if chapters else None
    os.environ[captions.CHAPTER] = str(int(place[1])) if place else ""
    failed = output.with_suffix(".failed.ipynb")
    with atomic(output) as temporary:
        scratch = temporary.with_suffix(".ipynb")
        try:
            with this_python():
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
        except papermill.PapermillExecutionError:
            os.replace(scratch, failed)
            raise
        except (DeadKernelError, RuntimeError) as error:
            if not isinstance(error, DeadKernelError) and "Kernel died" not in str(error):
                raise
            if scratch.is_file():
                os.replace(scratch, failed)
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
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a value in YAML 1.2",
    )
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="all values at once")
    options = parser.parse_args(arguments)
    try:
        kinds = declared_parameters(options.chapter) if options.parameter else {}
        values = json.loads(options.parameters)
        for name, text in options.parameter:
            values[name] = _value(name, text, kinds.get(name))
        seconds = execute(options.chapter, options.output, values)
    except json.JSONDecodeError as error:
        print(f"\n--parameters {options.parameters!r} is not JSON: {error}", file=sys.stderr)
        return 1
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


def _value(name: str, text: str, kind: type | None) -> object:
    try:
        return read_value(text, kind)
    except NotYAML as error:
        raise ParameterError(f"-p {name} {text!r} is not YAML: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
