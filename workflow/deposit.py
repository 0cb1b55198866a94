"""Gather what others may want to cite or check: ``python workflow/deposit.py PROFILE``.

``build/PROFILE/deposit`` gets the book, the report, the recorded results with their provenance, the
paper's numbers and claims, ``claims.json``, the project's files at the commit, and checksums.
``workflow/crate.py`` describes and packs it.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from m3l.errors import DataError, M3LError, require  # noqa: E402
from m3l.files import atomic, digest_file, write_json  # noqa: E402
from m3l_book.claims.log import claims_log  # noqa: E402
from m3l_book.recorded import load_recorded  # noqa: E402
from m3l_book.records.run import commit  # noqa: E402

README = """\
A reproduction of "Multilingual and Multimodal Topic Modelling with Pretrained Embeddings" (Zosa and
Pivovarova, COLING 2022): the book, its evidence and its program.

book/index.html    the book, to be read by any browser, without a network
report.pdf         the reproduction in four pages, in the form of the ML Reproducibility Challenge
claims.json        each claim of the paper, its rule, every comparison, the verdict
results/           what was measured, run by run, with commit, machine and checksums
paper/             numbers, settings and sentences of the paper; claims and rules as tables
project.tar.gz     the program at commit {commit}

sha256sum --check SHA256SUMS    checks that nothing is missing or changed
"""


def gather(build: Path, folder: Path) -> None:
    """Put the parts of a deposit into a folder; `DataError` naming what was not built."""
    recorded, html, report = ROOT / "data" / "results", build / "html", build / "report.pdf"
    unbuilt = f"is not there; make report PROFILE={build.name}"
    require((html / "index.html").is_file(), f"{html / 'index.html'} {unbuilt}", DataError)
    require(report.is_file(), f"{report} {unbuilt}", DataError)
    of_commit = commit()
    changed = "files were changed since the last commit, which the archive would not show"
    require(bool(of_commit) and not of_commit.endswith("+"), f"{changed}; commit them", DataError)
    shutil.copytree(html, folder / "book")
    shutil.copytree(recorded, folder / "results")
    shutil.copytree(ROOT / "data" / "paper", folder / "paper")
    shutil.copyfile(report, folder / "report.pdf")
    paper = str(ROOT / "data" / "paper")
    kept = load_recorded(recorded / "full")
    write_json(folder / "claims.json", claims_log(kept.verdicts(paper), kept.about, paper))
    archive = ["git", "archive", "--prefix=project/", "-o", folder / "project.tar.gz", "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)
    (folder / "README.txt").write_text(README.format(commit=of_commit), encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{digest_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("profile")
    build = ROOT / "build" / parser.parse_args().profile
    try:
        with atomic(build / "deposit", directory=True) as folder:
            gather(build, folder)
    except M3LError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
