"""Build the book of a profile: ``python workflow/build.py laptop [TARGET ...] [--cores N] [--
SNAKEMAKE OPTIONS]``.

Snakemake decides what has to be made and papermill executes the notebooks. One build at a time
runs in a checkout. A build that is told to end takes every process that it started with it, and
the next one goes on from there.
"""

import argparse
import contextlib
import ctypes
import fcntl
import fnmatch
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TextIO

import psutil
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "workflow" / "profile.schema.yaml"
GPUS = Path("/proc/driver/nvidia/gpus")  # a folder for each that NVIDIA's driver drives
sys.path.insert(0, str(ROOT))
from m3l.errors import M3LError, ParameterError, choose, require  # noqa: E402
from m3l.files import TEMPORARY, read_json, write_json  # noqa: E402
from m3l_book.apparatus.times import record_seconds, recorded_seconds, slow_steps  # noqa: E402
from m3l_book.records import planning  # noqa: E402
from m3l_book.values import NotYAML, read_yaml  # noqa: E402


class Busy(M3LError):
    """Another build is running in this checkout."""


def read_profile(name: str) -> dict:
    """Read a profile's YAML.

    Raises
    ------
    ParameterError
        There is no profile of that name, it calls itself by another, its form is not that of
        ``workflow/profile.schema.yaml``, or it names a chapter that the book lacks.
    """
    path = ROOT / "workflow" / "profiles" / f"{name}.yaml"
    choose("PROFILE", name, [other.stem for other in path.parent.glob("*.yaml")])
    place = path.relative_to(ROOT)
    try:
        profile = read_yaml(path.read_text(encoding="utf-8"))
    except (NotYAML, UnicodeDecodeError) as error:
        raise ParameterError(f"{place} is not YAML: {error}") from None
    form = Draft202012Validator(read_yaml(SCHEMA.read_text(encoding="utf-8")))
    if error := best_match(form.iter_errors(profile)):
        raise ParameterError(f"{place}: {error.json_path}: {error.message}")
    other = profile["profile"]
    message = f"{place} says profile: {other}, whose book it would replace; write profile: {name}"
    require(other == name, message)
    chapters = [path.stem for path in (ROOT / "book").glob("*.ipynb")]
    for entry in [*profile["runs"], *profile.get("grids", [])]:
        if "chapter" in entry:
            choose(f"{place}: chapter", entry["chapter"], chapters)
    return profile


@contextlib.contextmanager
def locked():
    """Give a file that is locked while this process, or one that it passes the file to, lives.

    Snakemake's own lock would outlive a killed build, and would have to be removed by hand.
    """
    path = ROOT / "build" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        file.seek(0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "?"
            message = f"another build ({holder}) is running in {ROOT}; wait for it to end"
            raise Busy(message) from None
        file.truncate()
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield file


def sweep(profile: str) -> None:
    """Remove what killed processes left half-written; only the holder of the lock may do so."""
    for folder in ("data", "runs", "build"):
        for path in list((ROOT / folder / profile).glob(f"**/.*{TEMPORARY}*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def run(command: list, lock: TextIO) -> int:
    """Run a command in the project's root and return its exit status.

    However it ends, the process and all that it has started are ended, a notebook's kernel too
    whose notebook is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans become this process's own
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workflow'}",
        "PYTHONHASHSEED": "0",
    }
    process = psutil.Popen(command, cwd=ROOT, env=environment, pass_fds=[lock.fileno()])
    try:
        return process.wait()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()  # so that it starts no further step
        for started in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                started.kill()
        process.wait()


def record(profile: str, plan: planning.Plan) -> None:
    """Keep what the runs of a profile measured with the project; say which are missing."""
    from m3l_book import recording
    from m3l_book.records.collection import Collection

    records, folder = ROOT / "runs" / profile, ROOT / "data" / "results" / profile
    there = [run for run in plan.runs if (records / run / "metrics.json").is_file()]
    variants = {run: v for run, v in plan.every_variant().items() if run in there}
    none = f"{records}: no run of profile {profile} is there; make some with --runs"
    require(bool(there), none)
    collection = Collection.load(ROOT / "data" / profile, records, there, variants)
    paper = str(ROOT / "data" / "paper")
    about = recording.record(collection, folder, profile, paper, [*plan.runs])
    print(f"{folder}: {about['runs']} runs, {about['seconds']:,} s of training")
    if missing := about["missing"]:
        print(f"{len(missing)} runs are not there yet: {', '.join(missing[:8])}, …")


def snakemake(options: argparse.Namespace, passed: list[str], targets: list[str]) -> list[str]:
    """Return the command that makes the targets of a profile, by default the whole book."""
    folder = f"build/{options.profile}"
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", "workflow/Snakefile"]
    command += ["--configfile", f"{folder}/profile.json", "--nolock", "--rerun-incomplete"]
    command += ["--keep-going", "--logger", "book", "--logger-book-report", f"{folder}/report.json"]
    # its scheduler looks again once a timespan for every job that has ended: at the 1 s that is
    # its default, a third of a core after a hundred jobs
    command += ["--max-jobs-per-timespan", "500/5s", "--cores", options.cores, *passed]
    elsewhere = any("--executor" in option or "profile" in option for option in passed)
    if any(GPUS.glob("*")) and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1"):
        command += [] if elsewhere else ["--resources", "gpu=1"]  # steps take turns on it
    return command + (["--dry-run"] if options.dry_run else [])


def chosen_targets(options: argparse.Namespace, plan: planning.Plan) -> list[str]:
    """Return the files that are asked for; none stands for the book."""
    if options.page:
        return [f"build/{options.profile}/pages/{options.page}.ipynb"]
    if not options.runs:
        return options.targets
    runs = [run for run in plan.runs if any(fnmatch.fnmatchcase(run, p) for p in options.runs)]
    there = f"no run of the profile is called that; there are: {', '.join([*plan.runs][:8])}, …"
    require(bool(runs), f"--runs {' '.join(options.runs)}: {there}")
    return [f"runs/{options.profile}/{run}/metrics.json" for run in runs]


def first_topics(options: argparse.Namespace, passed: list[str], lock: TextIO) -> int:
    """Make a user's topics by the first models and show them, before the rest is made."""
    name, folder = options.profile, f"build/{options.profile}"
    if code := run(snakemake(options, passed, [f"{folder}/first/index.ipynb"]), lock):
        return code
    render = [sys.executable, "workflow/render.py", name, f"{folder}/first", f"{folder}/html"]
    if code := run([*render, "--page"], lock):
        return code
    print(f"your first topics: {folder}/html/index.html; the rest follows", flush=True)
    return 0


def look_beforehand(name: str, profile: dict, lock: TextIO) -> int:
    """Before hours of fetching, see that encoders of the hub load and that articles are found."""
    for corpus, about in profile["corpora"].items():
        source = about["source"]
        card = ROOT / "data" / name / "prepared" / corpus / "card.json"
        kept = read_json(card).get("options", {}) if card.is_file() else {}
        known = str(kept.get("texts")) == str(source.get("texts", "2023"))
        if source.get("from", corpus) == "wikipedia" and not known:
            module = "m3l_book.data.beforehand"
            return run([sys.executable, "-m", module, f"build/{name}/profile.json"], lock)
    return 0


def say_what_was_done(options: argparse.Namespace, done: dict) -> None:
    """Name the steps of a whole build that took long for this machine; keep the times if asked."""
    path = ROOT / "book" / "seconds.csv"
    taken = {step: seconds for step, (_, seconds) in done.items()}
    if slow := slow_steps(taken, recorded_seconds(path), options.profile):
        named = ", ".join(f"{step} {ratio:.0f} times" for step, ratio in slow.items())
        print(f"longer than what is recorded, at this machine's speed: {named}")
    if options.times and done:
        record_seconds(path, options.profile, done)
    if not done:
        print("nothing had to be made")
    print(f"the book: build/{options.profile}/html/index.html")


def make(options: argparse.Namespace, passed: list[str]) -> int:
    """Make what is asked for, and return an exit status."""
    profile, name = read_profile(options.profile), options.profile
    plan, folder = planning.make_plan(profile), ROOT / "build" / name
    if options.record:
        record(name, plan)
        return 0
    targets, report = chosen_targets(options, plan), folder / "report.json"
    with locked() as lock:
        if not options.dry_run:
            sweep(name)
            report.unlink(missing_ok=True)
        # as JSON, since in the YAML that Snakemake reads the language ``no`` is false
        write_json(folder / "profile.json", profile)
        if not options.dry_run and (code := look_beforehand(name, profile, lock)):
            return code
        alone = not (folder / "html" / "fit.html").is_file()
        if profile.get("first") and alone and not targets and not options.dry_run:
            if code := first_topics(options, passed, lock):
                return code
            passed = [*passed, "--forcerun", "html"]  # what stands there is her first page alone
        if (code := run(snakemake(options, passed, targets), lock)) or options.dry_run:
            return code
        if options.page:
            render = [sys.executable, "workflow/render.py", name, folder / "pages", folder / "html"]
            if code := run([*render, "--page"], lock):
                return code
            print(f"the page: build/{name}/html/{options.page}.html")
        elif not targets:
            say_what_was_done(options, read_json(report) if report.is_file() else {})
    return 0


def parse(given: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line: its options, and what of it is Snakemake's."""
    passed: list[str] = []
    if "--" in given:
        given, passed = given[: given.index("--")], given[given.index("--") + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="What follows -- is given to Snakemake, such as --executor slurm --jobs 8.",
    )
    parser.add_argument("profile")
    parser.add_argument("--cores", default="all")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why")
    runs = "make the records of these runs alone, and no page"
    parser.add_argument("--runs", nargs="+", metavar="PATTERN", help=runs)
    keep = "make nothing; keep what the runs that are there measured, in data/results/PROFILE"
    parser.add_argument("--record", action="store_true", help=keep)
    times = "keep the seconds that the steps of this build take, in book/seconds.csv"
    parser.add_argument("--times", action="store_true", help=times)
    page = "make one page from what is there, such as 07-retrieval"
    parser.add_argument("--page", metavar="NAME", help=page)
    parser.add_argument("targets", nargs="*", help="files to make, by default the HTML book")
    return parser.parse_args(given), passed


def main(arguments: list[str] | None = None) -> int:
    """Build from the command line: 2 for what cannot be, 3 beside another build."""
    options, passed = parse(list(sys.argv[1:] if arguments is None else arguments))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        return make(options, passed)
    except (M3LError, OSError) as error:
        print(error, file=sys.stderr)
        return 3 if isinstance(error, Busy) else 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
