"""Long documents: the manual pages of Debian that stand in English and in French. ``make manuals``

The packages ``manpages`` and ``manpages-dev`` have the English pages, ``manpages-fr`` and
``manpages-fr-dev`` translations of many. Each page of both is laid out as text by groff and
becomes a row of ``data/downloads/manuals.csv``, which profile ``manuals`` reads; what its runs
measure is kept in ``data/results/manuals/``, and no page is.
"""

import argparse
import gzip
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from m3l.errors import DataError, require
from m3l.files import atomic

PACKAGES = {"en": ("manpages", "manpages-dev"), "fr": ("manpages-fr", "manpages-fr-dev")}
GROFF = ["groff", "-k", "-mandoc", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=2000n"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("data/downloads/manuals.csv"))
    options = parser.parse_args()
    require(
        bool(shutil.which("groff")), "groff lays out the pages: apt-get install groff", DataError
    )
    with tempfile.TemporaryDirectory() as place:
        pages = {language: fetched(Path(place) / language, language) for language in PACKAGES}
        names = sorted(set.intersection(*map(set, pages.values())))
        require(len(names) > 0, "no page stands in both languages", DataError)
        rows = [
            {"article": name, **{f"{of}_text": laid_out(pages[of][name]) for of in pages}}
            for name in tqdm(names, desc="pages")
        ]
    with atomic(options.out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def fetched(place: Path, language: str) -> dict[str, Path]:
    """Fetch the packages of a language and unpack them; find its pages by name and section."""
    place.mkdir()
    subprocess.run(["apt-get", "download", "-qq", *PACKAGES[language]], cwd=place, check=True)
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, place], check=True)
    folder = place / "usr/share/man" / ("" if language == "en" else language)
    files = [path for path in folder.glob("man*/*.gz") if not path.is_symlink()]
    # a page that is nothing but a reference to another is that page
    return {path.stem: path for path in files if not source_of(path).startswith(b".so ")}


def source_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()).lstrip()


def laid_out(path: Path) -> str:
    """Lay out a page as text, without its running head and foot."""
    done = subprocess.run(GROFF, input=source_of(path), capture_output=True, check=True)
    lines = [line.strip() for line in done.stdout.decode().splitlines() if line.strip()]
    return "\n".join(lines[1:-1])


if __name__ == "__main__":
    main()
