"""Which files of the project a chapter or program depends on: those it imports, and those they
import.

So a change in a file runs anew what uses it, and nothing else.
"""

import ast
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("m3l", "m3l_book")


def imported(source: str, package: str = "") -> Iterator[str]:
    """The dotted names that a piece of source imports, of modules and of what is in them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(base if node.level else []), *([node.module] if node.module else [])]
            module = ".".join(parts)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def file_of(name: str) -> Path | None:
    """The file of a module of the project, or None for any other name."""
    if name.split(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*name.split("."))
    module, package = path.with_suffix(".py"), path / "__init__.py"
    return module if module.is_file() else package if package.is_file() else None


@cache
def direct(path: Path) -> frozenset[Path]:
    """The files of the project that a Python file or notebook imports itself, and those beside a
    module that it may read: styles of figures and what stands in the folder ``static``.
    """
    if path.suffix not in (".py", ".ipynb"):
        return frozenset()
    text = path.read_text(encoding="utf-8")
    package = ""
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    elif path.is_relative_to(ROOT):
        package = ".".join(path.relative_to(ROOT).parent.parts)
    files = {file for name in imported(text, package) if (file := file_of(name))}
    if package:
        files |= {*path.parent.glob("*.mplstyle"), *path.parent.glob("static/*")}
    return frozenset(files)


def behind(*paths: str | Path, without: Iterable[str] = ()) -> list[str]:
    """Every file behind these, sorted, relative to the project; ``without`` names folders to leave
    out.
    """
    left_out = tuple(ROOT / folder for folder in without)
    waiting, reached = [ROOT / path for path in paths], set()
    while waiting:
        for file in direct(waiting.pop()) - reached:
            if not any(file.is_relative_to(folder) for folder in left_out):
                reached.add(file)
                waiting.append(file)
    return sorted(str(file.relative_to(ROOT)) for file in reached)
