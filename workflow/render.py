"""Stage executed chapters and prose, and build them into HTML: ``python workflow/render.py PROFILE
PAGES HTML``.

Warnings are errors, and nothing is executed here: what the reader sees is what papermill left.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import nbformat
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from m3l.files import atomic, digest_file, read_json
from m3l_book.chapter import provenance_text
from m3l_book.pages.explorer import bokeh_scripts
from m3l_book.records.environment import environment
from m3l_book.shown import as_markdown

ROOT = Path(__file__).resolve().parent.parent


def page_tags(cell) -> list[str]:
    """A cell's tags as the page needs them.

    What papermill injected stands at the foot of the page, and so is left out here; the cells of
    parameters and provenance support the page, whose reader sees them on demand.
    """
    tags = list(cell.metadata.get("tags", []))
    if "injected-parameters" in tags:
        return ["remove-cell"]
    supports = "parameters" in tags or cell.source.startswith("chapter.provenance")
    return [*tags, "support"] if supports and "support" not in tags else tags


def told(cell, corpora: Collection[str]) -> bool:
    """Whether a page says what a cell says: not if the cell is about a corpus of another build."""
    tags = cell.metadata.get("tags", [])
    about = [tag.removeprefix("only-") for tag in tags if tag.startswith("only-")]
    return not about or any(corpus in corpora for corpus in about)


OTHER_CORPUS = """
```{{note}}
This build is of {whose}, {corpora}. Where a page speaks of `vital` and `emoji`, it means the
corpora that the book comes with.
```
"""


def opening(text: str, corpora: Collection[str]) -> str:
    """The first page, which says so under its title if the corpora are a user's own."""
    if {"vital", "emoji"} & set(corpora):
        return text
    title, _, rest = text.partition("\n")
    whose = "the paper's own data" if "wikipedia" in corpora else "a corpus of your own"
    note = OTHER_CORPUS.format(whose=whose, corpora=", ".join(map(as_markdown, corpora)))
    return f"{title}\n{note}{rest}"


def stage(profile: str, pages: Path, source: Path) -> None:
    """Copy prose, static files and executed chapters into ``source``; prose gets the provenance
    that chapters carry.
    """
    corpora = read_json(pages.parent / "profile.json")["corpora"]
    shutil.copytree(
        ROOT / "book",
        source,
        ignore=shutil.ignore_patterns("*.ipynb", "_ext", ".ipynb_checkpoints", "__pycache__"),
    )
    made = {page.stem: digest_file(page) for page in sorted(pages.glob("*.ipynb"))}
    for page in sorted(pages.glob("*.ipynb")):
        notebook = nbformat.read(page, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if told(cell, corpora)]
        for cell in notebook.cells:
            cell.metadata["tags"] = page_tags(cell)
        nbformat.write(notebook, source / page.name)
    extra = source / "_extra"  # goes beside the pages as it is
    for folder in ("assets", "topics"):
        if (pages.parent / folder).is_dir():
            shutil.copytree(pages.parent / folder, extra / folder)
    (extra / "bokeh").mkdir(parents=True)
    for script in bokeh_scripts():
        shutil.copyfile(script, extra / "bokeh" / script.name)
    for page in sorted(source.glob("*.md")):
        begun = time.perf_counter()
        text = page.read_text(encoding="utf-8")
        text = opening(text, corpora) if page.stem == "index" else text
        block = provenance_text(
            {"profile": profile}, made, environment(), time.perf_counter() - begun
        )
        page.write_text(f"{text}\n{block}", encoding="utf-8")


def main() -> int:
    profile, pages, html = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    work = html.parent / "jupyter-book"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    stage(profile, pages, work / "source")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["bibtex_bibfiles"] = ["references.bib"]
    config["sphinx"]["config"]["html_extra_path"] = ["_extra"]
    config["sphinx"]["local_extensions"] = {
        name: str(ROOT / folder) for name, folder in config["sphinx"]["local_extensions"].items()
    }
    (work / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    command = [
        str(Path(sys.executable).parent / "jupyter-book"),
        "build",
        str(work / "source"),
        "--path-output",
        str(work),
    ]
    command += [
        "--config",
        str(work / "_config.yml"),
        "--toc",
        str(work / "source" / "_toc.yml"),
        "--warningiserror",
        "--nitpick",
        "--keep-going",
        "--quiet",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    (work / "log.txt").write_text(result.stdout + result.stderr, encoding="utf-8")
    if result.returncode:
        print("\n".join((result.stdout + result.stderr).splitlines()[-60:]), file=sys.stderr)
        return result.returncode
    with atomic(html, directory=True) as temporary:
        shutil.copytree(work / "_build" / "html", temporary, dirs_exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
