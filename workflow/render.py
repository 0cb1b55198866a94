"""Stage executed chapters and prose, and build them into HTML: ``python workflow/render.py PROFILE
PAGES HTML``; with ``--builder singlehtml``, into one page.

Warnings are errors, and nothing is executed here: what the reader sees is what papermill left.
"""

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import nbformat
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from m3l.files import atomic, read_json
from m3l_book.apparatus import generated, slides, times
from m3l_book.chapter import provenance_text
from m3l_book.pages.explorer import bokeh_scripts
from m3l_book.records.run import environment
from m3l_book.shown import as_markdown

ROOT = Path(__file__).resolve().parent.parent
LESSONS = ["exercises", "teaching"]  # folders that are about the book's own corpora
TIMES = ROOT / "book" / "seconds.csv"
ANSWER = "Answer"  # what a folded solution is called


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


def own(corpora: Collection[str]) -> bool:
    """Whether the corpora are a user's, of which exercises and lessons do not speak."""
    return not {"vital", "emoji", "wikipedia"} & set(corpora)


def opening(text: str, corpora: Collection[str]) -> str:
    """The first page, which says so under its title if the corpora are not the book's own; for a
    user's, without what is about the book's.
    """
    if own(corpora):
        text = re.sub(r"<!-- lessons -->.*?<!-- end -->", "", text, flags=re.DOTALL)
    if {"vital", "emoji"} & set(corpora):
        return text
    if "wikipedia" in corpora:
        text = re.sub(r"<!-- offline -->.*?<!-- end -->", "", text, flags=re.DOTALL)
    title, _, rest = text.partition("\n")
    whose = "the paper's own data" if "wikipedia" in corpora else "a corpus of your own"
    note = OTHER_CORPUS.format(whose=whose, corpora=", ".join(map(as_markdown, corpora)))
    return f"{title}\n{note}{rest}"


def with_prose_of(
    page: nbformat.NotebookNode, source: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """Put the prose of a chapter as it is now around what its code gave when it was executed."""
    made = {cell.id: cell for cell in page.cells if cell.cell_type == "code"}
    injected = [c for c in page.cells if "injected-parameters" in c.metadata.get("tags", [])]
    cells = []
    for cell in source.cells:
        cells.append(made.get(cell.id, cell) if cell.cell_type == "code" else cell)
        if "parameters" in cell.metadata.get("tags", []):
            cells += injected
    return nbformat.from_dict({**page, "cells": cells})


def executed(pages: Path) -> dict[str, nbformat.NotebookNode]:
    """Read executed notebooks by the place of their page in the book, with its present prose."""
    found = {}
    for path in sorted(pages.rglob("*.ipynb")):
        place, page = path.relative_to(pages), nbformat.read(path, as_version=4)
        source = ROOT / "book" / place
        if "papermill" in page.metadata and source.is_file():
            page = with_prose_of(page, nbformat.read(source, as_version=4))
        found[str(place.with_suffix(""))] = page
    return found


def stage_notebooks(
    notebooks: dict[str, nbformat.NotebookNode], corpora: Collection[str], source: Path
) -> None:
    """Write executed chapters as pages: what they took under their title, their exercises at their
    end.
    """
    recorded = times.recorded_seconds(TIMES)
    for place, notebook in notebooks.items():
        cells = [cell for cell in notebook.cells if told(cell, corpora)]
        if line := times.opening(recorded.get(place, {}), times.seconds_taken(notebook)):
            cells.insert(1, nbformat.v4.new_markdown_cell(line))
        if f"exercises/{place}" in notebooks:
            line = f"Exercises to this chapter, with answers: {{doc}}`exercises/{place}`."
            cells.insert(len(cells) - 1, nbformat.v4.new_markdown_cell(line))
        notebook.cells = cells
        for cell in notebook.cells:
            cell.metadata["tags"] = page_tags(cell)
            if "solution" in cell.metadata["tags"]:
                cell.metadata["mystnb"] = {"code_prompt_show": ANSWER, "code_prompt_hide": ANSWER}
        path = source / f"{place}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


def stage_generated(
    profile: str, notebooks: dict[str, nbformat.NotebookNode], runs: Path, source: Path
) -> None:
    """Write the pages that are made from the code, the notebooks and the build."""
    shown = {place: book for place, book in notebooks.items() if "/" not in place}
    there = generated.labels(shown.values())
    recorded = times.recorded_seconds(TIMES)
    made = {
        "parameters": generated.parameters(ROOT / "book"),
        "equations": generated.equations(ROOT / "book" / "equations.csv", there),
        "status": generated.status(profile, shown, executed(runs), recorded),
        "links": generated.links(ROOT / "book"),
        "api": generated.interface(ROOT / "m3l"),
    }
    for name, text in made.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")


def stage_contents(source: Path, part_of_it: bool) -> None:
    """Write the sidebar's list, without lessons that are not in this book; of a part of the book,
    without any page that is not there.
    """
    path = source / "_toc.yml"
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in contents["parts"]:
        part["chapters"] = [
            entry
            for entry in part["chapters"]
            if (not part_of_it and entry["file"].partition("/")[0] not in LESSONS)
            or any(source.glob(f"{entry['file']}.*"))
        ]
    contents["parts"] = [part for part in contents["parts"] if part["chapters"]]
    path.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")


def stage(profile: str, pages: Path, source: Path, part_of_it: bool = False) -> None:
    """Copy prose, static files and executed chapters into ``source``; prose says of which profile
    and with which versions it was built.
    """
    corpora = read_json(pages.parent / "profile.json")["corpora"]
    left_out = ["*.ipynb", "*.csv", "slides.yml", "_ext", ".ipynb_checkpoints", "__pycache__"]
    left_out += LESSONS if own(corpora) else []
    shutil.copytree(ROOT / "book", source, ignore=shutil.ignore_patterns(*left_out))
    notebooks = executed(pages)
    if not own(corpora):  # exercises that this profile does not execute are shown as they are
        for path in sorted((ROOT / "book" / "exercises").glob("*.ipynb")):
            notebooks.setdefault(f"exercises/{path.stem}", nbformat.read(path, as_version=4))
    stage_notebooks(notebooks, corpora, source)
    stage_generated(profile, notebooks, pages.parent / "runs", source)
    stage_contents(source, part_of_it)
    extra = source / "_extra"  # goes beside the pages as it is
    for folder in ("assets", "topics"):
        if (pages.parent / folder).is_dir():
            shutil.copytree(pages.parent / folder, extra / folder)
    if not own(corpora):
        plan = slides.read_slides(ROOT / "book" / "slides.yml")
        extra.mkdir(exist_ok=True)
        text = slides.deck(plan, notebooks, "_static/mathjax/tex-svg.js")
        (extra / "slides.html").write_text(text, encoding="utf-8")
    (extra / "bokeh").mkdir(parents=True)
    for script in bokeh_scripts():
        shutil.copyfile(script, extra / "bokeh" / script.name)
    for page in sorted(source.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        text = opening(text, corpora) if page == source / "index.md" else text
        block = provenance_text({"profile": profile}, {}, environment())
        page.write_text(f"{text}\n{block}", encoding="utf-8")


def configure(work: Path, repository: str) -> None:
    """Write jupyter-book's configuration for a staged book; with the address of a repository,
    chapters have buttons that open them in Binder and Colab.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["bibtex_bibfiles"] = ["references.bib"]
    config["sphinx"]["config"]["html_extra_path"] = ["_extra"]
    config["sphinx"]["local_extensions"] = {
        name: str(ROOT / folder) for name, folder in config["sphinx"]["local_extensions"].items()
    }
    if repository:
        config["repository"] = {"url": repository, "branch": "main", "path_to_book": "book"}
        config["launch_buttons"] |= {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }
        config["html"]["use_repository_button"] = True
    (work / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def replace_changed(new: Path, old: Path) -> None:
    """Make a folder equal to a new one, and leave files alone whose content is the same: Sphinx
    reads again what was written since.
    """
    there = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    for path in [path for path in old.rglob("*") if path.is_file()]:
        if path.relative_to(old) not in there:
            path.unlink()
    for name in there:
        target = old / name
        if not target.is_file() or not filecmp.cmp(new / name, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new / name, target)


def jupyter_book(work: Path, builder: str, strict: bool = True) -> int:
    """Run jupyter-book on a staged book; what it says is in ``log.txt``, and shown if it fails.

    After a failure nothing is left for the next build to go on from, so that every page of it is
    read, and its warnings are seen, again.
    """
    places = ["--path-output", work, "--config", work / "_config.yml"]
    places += ["--toc", work / "source" / "_toc.yml"]
    program = Path(sys.executable).parent / "jupyter-book"
    how = ["--warningiserror", "--nitpick", "--keep-going"] if strict else []
    command = [program, "build", work / "source", "--builder", builder, *places, *how, "--quiet"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    said = result.stdout + result.stderr
    (work / "log.txt").write_text(said, encoding="utf-8")
    if result.returncode:
        shutil.rmtree(work / "_build", ignore_errors=True)
        lines = said.splitlines()
        faults = [line for line in lines if "WARNING" in line or "ERROR" in line]
        print(*lines[-60:], f"jupyter-book: {(faults or lines[-1:])[0]}", sep="\n", file=sys.stderr)
    return result.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("pages", type=Path, help="folder of the executed chapters")
    parser.add_argument("html", type=Path, help="folder that the book is written into")
    parser.add_argument("--builder", default="html", choices=["html", "singlehtml"])
    about = "for one page: what else there is of the book is shown, and warnings are no errors"
    parser.add_argument("--page", action="store_true", help=about)
    options = parser.parse_args()
    pages, html = options.pages.resolve(), options.html.resolve()
    work = html.parent / ("jupyter-book" if options.builder == "html" else "jupyter-book-one")
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        stage(options.profile, pages, Path(folder, "source"), options.page)
        repository = os.environ.get("M3L_BOOK_REPOSITORY", "")
        configure(Path(folder), repository.removesuffix("/").removesuffix(".git"))
        replace_changed(Path(folder, "source"), work / "source")
        shutil.copyfile(Path(folder, "_config.yml"), work / "_config.yml")
    if code := jupyter_book(work, options.builder, strict=not options.page):
        return code
    with atomic(html, directory=True) as temporary:
        shutil.copytree(work / "_build" / options.builder, temporary, dirs_exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
