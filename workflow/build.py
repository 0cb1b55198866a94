"""Build the book for a profile: ``python workflow/build.py laptop [TARGET ...] [--cores N]``.

One build at a time runs in a checkout; the lock goes with the process, so a killed build leaves none behind.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def profiles() -> list[str]:
    """The names of the profiles there are."""
    return sorted(path.stem for path in (ROOT / "workflow" / "profiles").glob("*.yaml"))


def sweep(profile: str, older_than: float = 3600) -> None:
    """Remove what killed processes left half-written: names with a leading dot, untouched for an hour."""
    for folder in (ROOT / "data" / profile, ROOT / "runs" / profile, ROOT / "build" / profile / "pages", ROOT / "build" / profile / "runs"):
        for path in [*folder.glob("**/.*")] if folder.is_dir() else []:
            if path.exists() and time.time() - path.stat().st_mtime > older_than:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("--cores", default="all")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why")
    parser.add_argument("targets", nargs="*", help="files to make, by default the HTML book")
    options = parser.parse_args(arguments)
    if options.profile not in profiles():
        print(f"PROFILE={options.profile!r} is unknown; valid: {', '.join(profiles())}", file=sys.stderr)
        return 2
    named = yaml.safe_load((ROOT / "workflow" / "profiles" / f"{options.profile}.yaml").read_text(encoding="utf-8")).get("profile")
    if named != options.profile:
        print(
            f"workflow/profiles/{options.profile}.yaml says profile: {named}; its data, runs and book would replace that profile's. Write profile: {options.profile}",
            file=sys.stderr,
        )
        return 2
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / "lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(f"another build (process {lock.read().strip() or '?'}) is running in {ROOT}; wait for it to end", file=sys.stderr)
            return 3
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        sweep(options.profile)
        command = [
            *(sys.executable, "-m", "snakemake", *options.targets, "--snakefile", "workflow/Snakefile"),
            *("--configfile", f"workflow/profiles/{options.profile}.yaml"),
            *("--cores", options.cores, "--nolock", "--rerun-incomplete", "--quiet", "rules"),
            *(["--dry-run"] if options.dry_run else []),
        ]
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
        }
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    if code == 0 and not options.dry_run and not options.targets:
        print(f"the book: build/{options.profile}/html/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
