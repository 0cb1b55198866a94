"""Building the book of profile smoke in a copy of the project."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
CONTENTS = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
ENTRIES = [entry for part in CONTENTS["parts"] for entry in part["chapters"]]
ENTRIES += [below for entry in ENTRIES for below in entry.get("sections", [])]
EVERY = ["index", *(entry["file"] for entry in ENTRIES)]


def ends_with_the_tests():
    """For ``preexec_fn``: the process is told to end when the one that runs tests has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def build(folder, *arguments, **options):
    return subprocess.run(
        [sys.executable, "workflow/build.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        preexec_fn=ends_with_the_tests,
        **options,
    )


def copy_of_the_project(folder):
    """The project's files, and the encoders' outputs that are there, in a folder of their own."""
    names = [".git", ".venv*", "build", "runs", ".snakemake", "look", "__pycache__"]
    anywhere, generated = shutil.ignore_patterns(*names), {"smoke", "laptop", "full", "cache"}

    def left_out(of, entries):
        # what is recorded of a profile is called as what is generated of it
        own = generated & set(entries) if Path(of) == ROOT / "data" else set()
        return anywhere(of, entries) | own

    shutil.copytree(ROOT, folder, ignore=left_out)
    # keyed by content: it spares minutes and changes nothing
    if (ROOT / "data" / "cache").is_dir():
        shutil.copytree(ROOT / "data" / "cache", folder / "data" / "cache")


def build_interrupted(folder):
    """Build the book of smoke; on the way, a build killed in its middle and given again."""
    command = [sys.executable, "workflow/build.py", "smoke"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(
        command, cwd=folder, start_new_session=True, preexec_fn=ends_with_the_tests, **quiet
    )
    encoded = folder / "data/smoke/embeddings/vital/use-multilingual/en.npy"
    while not encoded.exists() and first.poll() is None:
        time.sleep(0.5)
    second = build(folder, "smoke")
    assert second.returncode == 3 and "another build" in second.stderr, second.stderr
    time.sleep(3)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    result = build(folder, "smoke")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "build/smoke/html/index.html" in result.stdout


def all_pages(book, every=True):
    """The files of all pages; or of the chapters and what stands around them alone."""
    return [book / f"{page}.html" for page in (EVERY if every else ["index", *PAGES])]
