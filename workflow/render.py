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
from m3l_book.apparatus import generated, times
from m3l_book.chapter import provenance_text
from m3l_book.pages.explorer import bokeh_scripts
from m3l_book.records.planning import make_plan
from m3l_book.records.run import environment

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
WHOLE = "m3l-in-150-lines"  # a page that runs without the book, too
OTHER_CORPUS = """
```{note}
This build is of the paper's own data. Where a page speaks of `vital` and `emoji`, it means the
corpora that the book comes with.
```
"""


def is_a_users(corpora: Collection[str]) -> bool:
    """Say whether the corpora are a user's, who has a book of her own."""
    return not {"vital", "emoji", "wikipedia"} & set(corpora)


def first_page(text: str, corpora: Collection[str]) -> str:
    """Say under the title of the first page if the corpora are the paper's, and leave out what is
    about the book's.
    """
    if "wikipedia" not in corpora:
        return text
    text = re.sub(r"<!-- offline -->.*?<!-- end -->", "", text, flags=re.DOTALL)
    title, _, rest = text.partition("\n")
    return f"{title}\n{OTHER_CORPUS}{rest}"


def executed(pages: Path, book: Path = BOOK) -> dict[str, nbformat.NotebookNode]:
    """Read executed notebooks by the place of their page in the book, their prose as it is now."""
    found = {}
    for path in sorted(pages.rglob("*.ipynb")):
        place, page = path.relative_to(pages), nbformat.read(path, as_version=4)
        if "papermill" in page.metadata and (book / place).is_file():
            made = {cell.id: cell for cell in page.cells if cell.cell_type == "code"}
            injected = [
                c for c in page.cells if "injected-parameters" in c.metadata.get("tags", [])
            ]
            page.cells = []
            for cell in nbformat.read(book / place, as_version=4).cells:
                page.cells.append(made.get(cell.id, cell) if cell.cell_type == "code" else cell)
                if "parameters" in cell.metadata.get("tags", []):
                    page.cells += injected
        found[str(place.with_suffix(""))] = page
    return found


def prepare_cells(cells: list, corpora: Collection[str]) -> list:
    """Tag cells as their page needs them, and drop those about a corpus of another build.

    The cells of parameters and provenance support the page, whose reader sees them on demand; what
    papermill injected stands at its foot.
    """
    shown = []
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        about = {tag.removeprefix("only-") for tag in tags if tag.startswith("only-")}
        if about and not about & set(corpora):
            continue
        if "injected-parameters" in tags:
            tags = ["remove-cell"]
        supports = "parameters" in tags or cell.source.startswith("chapter.provenance")
        cell.metadata["tags"] = [*tags, "support"] if supports and "support" not in tags else tags
        if "solution" in tags:
            cell.metadata["mystnb"] = {"code_prompt_show": "Answer", "code_prompt_hide": "Answer"}
        shown.append(cell)
    return shown


def stage_notebooks(
    notebooks: dict[str, nbformat.NotebookNode], corpora: Collection[str], source: Path
) -> None:
    """Write executed chapters as pages: what they took under their title, their exercises at their
    end.
    """
    recorded = times.recorded_seconds(BOOK / "seconds.csv")
    for place, notebook in notebooks.items():
        cells = prepare_cells(notebook.cells, corpora)
        if line := times.opening(recorded.get(place, {}), times.seconds_taken(notebook)):
            cells.insert(1, nbformat.v4.new_markdown_cell(line, id="seconds"))
        if f"exercises/{place}" in notebooks:
            line = f"Exercises to this chapter, with answers: {{doc}}`exercises/{place}`."
            cells.insert(len(cells) - 1, nbformat.v4.new_markdown_cell(line, id="exercises"))
        notebook.cells = cells
        path = source / f"{place}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


def stage_generated(
    profile: str, notebooks: dict[str, nbformat.NotebookNode], runs: Path, source: Path
) -> None:
    """Write the pages that are made from the code, the notebooks and the build."""
    shown = {place: book for place, book in notebooks.items() if "/" not in place}
    recorded = times.recorded_seconds(BOOK / "seconds.csv")
    plan = make_plan(read_json(runs.parent / "profile.json"))  # others may lie there from before
    planned = {name: run for name, run in executed(runs).items() if name in plan.runs}
    made = {
        "parameters": generated.parameters(BOOK),
        "equations": generated.equations(BOOK / "equations.csv", generated.labels(shown.values())),
        "status": generated.status(profile, shown, planned, recorded),
        "links": generated.links(BOOK),
    }
    for name, text in made.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")


def stage_contents(source: Path, part_of_it: bool) -> None:
    """Write the sidebar's list; of a part of the book, without the pages that are not there."""
    path = source / "_toc.yml"
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in contents["parts"] if part_of_it else ():
        there = [e for e in part["chapters"] if any(source.glob(f"{e['file']}.*"))]
        part["chapters"] = there
    contents["parts"] = [part for part in contents["parts"] if part["chapters"]]
    if not contents["parts"]:
        contents.pop("parts")
    path.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")


def stage(profile: str, pages: Path, source: Path, part_of_it: bool) -> None:
    """Copy prose, static files and executed chapters into ``source``; the page on the status of the
    build says of which profile it is, and which versions made it.
    """
    told, extra = read_json(pages.parent / "profile.json"), source / "_extra"
    browsers = told.get("browsers", [])
    if is_a_users(told["corpora"]):
        stage_own(pages, source, part_of_it)
        browsers = make_plan(told).shown["main"]
    else:
        stage_book(profile, told["corpora"], pages, source, part_of_it)
    (extra / "bokeh").mkdir(parents=True)  # goes beside the pages as it is
    for script in bokeh_scripts():
        shutil.copyfile(script, extra / "bokeh" / script.name)
    if (pages.parent / "assets").is_dir():
        shutil.copytree(pages.parent / "assets", extra / "assets")
    for run in browsers:  # others may lie there from before
        if (pages.parent / "topics" / run).is_dir():
            shutil.copytree(pages.parent / "topics" / run, extra / "topics" / run)


def stage_own(pages: Path, source: Path, part_of_it: bool) -> None:
    """Stage a user's own book: the pages about her corpus, and nothing of the method's."""
    shutil.copytree(BOOK / "_static", source / "_static")
    for name in ("own/_toc.yml", "references.bib"):
        shutil.copyfile(BOOK / name, source / Path(name).name)
    for place, notebook in executed(pages, BOOK / "own").items():
        notebook.cells = prepare_cells(notebook.cells, ())
        nbformat.write(notebook, source / f"{place}.ipynb")
    stage_contents(source, part_of_it)


def stage_book(
    profile: str, corpora: Collection[str], pages: Path, source: Path, part_of_it: bool
) -> None:
    """Stage the book of the method."""
    left_out = ["*.ipynb", "*.csv", "slides.yml", "_ext", ".ipynb_checkpoints", "__pycache__"]
    shutil.copytree(BOOK, source, ignore=shutil.ignore_patterns(*left_out, "own"))
    notebooks, extra = executed(pages), source / "_extra"
    # exercises that this profile does not execute are shown as they are
    for path in sorted((BOOK / "exercises").glob("*.ipynb")):
        notebooks.setdefault(f"exercises/{path.stem}", nbformat.read(path, as_version=4))
    stage_notebooks(notebooks, corpora, source)
    stage_generated(profile, notebooks, pages.parent / "runs", source)
    stage_contents(source, part_of_it)
    extra.mkdir()
    if WHOLE in notebooks:
        nbformat.write(generated.without_the_book(notebooks[WHOLE]), extra / f"{WHOLE}.ipynb")
    plan = yaml.safe_load((BOOK / "slides.yml").read_text(encoding="utf-8"))
    text = generated.deck(plan, notebooks, "_static/mathjax/tex-svg.js")
    (extra / "slides.html").write_text(text, encoding="utf-8")
    front, status = source / "index.md", source / "status.md"
    front.write_text(first_page(front.read_text(encoding="utf-8"), corpora), encoding="utf-8")
    with open(status, "a", encoding="utf-8") as file:
        file.write("\n" + provenance_text({"profile": profile}, {}, environment()))


def configuration(repository: str, title: str) -> str:
    """Write jupyter-book's configuration for a staged book of a title, or of its own; with the
    address of a repository, chapters have buttons that open them in Binder and Colab.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["title"] = title or config["title"]
    config["sphinx"]["config"]["bibtex_bibfiles"] = ["references.bib"]
    config["sphinx"]["config"]["html_extra_path"] = ["_extra"]
    extensions = config["sphinx"]["local_extensions"]
    extensions |= {name: str(ROOT / folder) for name, folder in extensions.items()}
    if repository:
        config["repository"] = {"url": repository, "branch": "main", "path_to_book": "book"}
        config["launch_buttons"]["binderhub_url"] = "https://mybinder.org"
        config["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
        config["html"]["use_repository_button"] = True
    return yaml.safe_dump(config, allow_unicode=True)


def replace_changed(new: Path, old: Path) -> bool:
    """Make a folder equal to a new one, and leave files alone whose content is the same: Sphinx
    reads again what was written since. Return whether a file went.
    """
    there = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    files = [path for path in old.rglob("*") if path.is_file()]
    gone = [path for path in files if path.relative_to(old) not in there]
    for path in gone:
        path.unlink()
    for name in there:
        target = old / name
        if not target.is_file() or not filecmp.cmp(new / name, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new / name, target)
    return bool(gone)


def jupyter_book(work: Path, builder: str, strict: bool) -> int:
    """Run jupyter-book on a staged book and return its exit status; say what is wrong last.

    After a failure nothing is left for the next build to go on from, so that every page of it is
    read, and its warnings are seen, again.
    """
    command = [Path(sys.executable).parent / "jupyter-book", "build", work / "source", "--quiet"]
    command += ["--builder", builder, "--path-output", work, "--config", work / "_config.yml"]
    command += ["--warningiserror", "--nitpick", "--keep-going"] if strict else []
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        shutil.rmtree(work / "_build", ignore_errors=True)
        lines = result.stdout.splitlines()
        faults = [line for line in lines if re.search("WARNING|ERROR|Error: ", line)]
        ended = f"it ended with status {result.returncode}"
        print(f"jupyter-book: {[*faults, ended][0]}", file=sys.stderr)
    return result.returncode


def main() -> int:
    """Render a book from the command line."""
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
        if replace_changed(Path(folder, "source"), work / "source"):
            # Sphinx would leave the page of a file that is gone
            shutil.rmtree(work / "_build", ignore_errors=True)
    repository = os.environ.get("M3L_BOOK_REPOSITORY", "").removesuffix("/").removesuffix(".git")
    own = is_a_users(read_json(pages.parent / "profile.json")["corpora"])
    title, repository = (options.profile, "") if own else ("", repository)
    (work / "_config.yml").write_text(configuration(repository, title), encoding="utf-8")
    if code := jupyter_book(work, options.builder, strict=not options.page):
        return code
    with atomic(html, directory=True) as temporary:
        shutil.copytree(work / "_build" / options.builder, temporary, dirs_exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
