"""Build the book of a profile: ``python workflow/build.py laptop [TARGET ...] [--cores N] [--
SNAKEMAKE OPTIONS]``.

Snakemake decides what has to be made and papermill executes the notebooks. One build at a time
runs in a checkout; its lock goes with its process, so a killed build leaves none behind. A build
that is told to end takes every process that it started with it.
"""

import argparse
import contextlib
import ctypes
import fcntl
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from jsonschema import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "workflow" / "profile.schema.yaml"
GPUS = Path("/proc/driver/nvidia/gpus")  # a folder for each that NVIDIA's driver drives
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "workflow"))
import warm  # noqa: E402
from progress import REPORT, TIMES  # noqa: E402

from m3l.errors import M3LError  # noqa: E402
from m3l.files import TEMPORARY, atomic, read_json  # noqa: E402
from m3l_book.apparatus.times import (  # noqa: E402
    record_seconds,
    recorded_seconds,
    slow_steps,
)
from m3l_book.records import planning  # noqa: E402
from m3l_book.values import NotYAML, read_yaml  # noqa: E402


class Refused(Exception):
    """The build cannot start; the message says why."""

    status = 2


class Busy(Refused):
    """Another build is running."""

    status = 3


def profiles() -> list[str]:
    """Return the names of the profiles that there are."""
    return sorted(path.stem for path in (ROOT / "workflow" / "profiles").glob("*.yaml"))


def read_profile(name: str) -> dict:
    """Read a profile's YAML.

    Raises
    ------
    Refused
        There is none of that name, it calls itself another, or its form is not that of
        ``workflow/profile.schema.yaml``.
    """
    if name not in profiles():
        raise Refused(f"PROFILE={name!r} is unknown; valid: {', '.join(profiles())}")
    place = f"workflow/profiles/{name}.yaml"
    try:
        profile = read_yaml((ROOT / place).read_text(encoding="utf-8"))
    except (NotYAML, UnicodeDecodeError) as error:
        raise Refused(f"{place} is not YAML: {error}") from None
    try:
        validate(profile, str(SCHEMA), set_default=False)
    except WorkflowError as error:
        raise Refused(f"{place}: {_reason(error)}") from None
    if profile["profile"] != name:
        raise Refused(
            f"{place} says profile: {profile['profile']}; its data, runs and book would replace "
            f"that profile's. Write profile: {name}"
        )
    return profile


def _reason(error: WorkflowError) -> str:
    """Say what is wrong with a profile's form, and where."""
    cause = error.__context__
    if not isinstance(cause, ValidationError):
        return str(error)
    where = "".join(f"[{part!r}]" for part in cause.absolute_path)
    return f"{where}: {cause.message}" if where else cause.message


def sweep(profile: str) -> None:
    """Remove what killed processes left half-written.

    The build holds the lock, so nothing else is being written there.
    """
    for folder in (f"data/{profile}", f"runs/{profile}", f"build/{profile}"):
        for path in list((ROOT / folder).glob(f"**/.*{TEMPORARY}*")):
            if path.exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def locked(path: Path):
    """Hold the lock of a file; `BlockingIOError`, with who holds it as its text, if another process
    does.

    Snakemake's own lock would outlive a killed build, and would have to be removed by hand.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BlockingIOError(file.read().strip() or "?") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


@contextlib.contextmanager
def ending_with_its_processes():
    """End every process that was started within the block, however it ends.

    On Linux a process whose parent has ended becomes this one's child (PR_SET_CHILD_SUBREAPER), so
    that none is missed. Elsewhere those that can be found from here are ended.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)
    before = set(psutil.Process().children())
    try:
        yield
    finally:
        for end in (psutil.Process.terminate, psutil.Process.kill):
            started = set(psutil.Process().children(recursive=True)) - before
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(process)
            psutil.wait_procs(started, timeout=2)
        while started := set(psutil.Process().children(recursive=True)) - before:
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(started, timeout=1)


@contextlib.contextmanager
def server():
    """Environment variables that make chapters run in forks of one process, for as long as the
    block lasts; see `warm`.
    """
    with tempfile.TemporaryDirectory(prefix="m3l-") as folder:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "workflow" / "warm.py"), "--serve", f"{folder}/s"],
            cwd=ROOT,
            env=environment(),
        )
        try:
            while (
                not os.path.exists(f"{folder}/s.starting")
                and not os.path.exists(f"{folder}/s")
                and process.poll() is None
            ):
                time.sleep(0.01)
            yield {warm.SOCKET: f"{folder}/s", "JUPYTER_PATH": warm.kernel_path(folder)}
        finally:
            process.terminate()
            process.wait()


def environment() -> dict[str, str]:
    """Return the environment that Snakemake and its jobs run in."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    places = f"{ROOT}{os.pathsep}{ROOT / 'workflow'}"
    return os.environ | {"PATH": path, "PYTHONPATH": places, "PYTHONHASHSEED": "0"}


def cards() -> list[str]:
    """Return Snakemake's limit where this machine has a GPU: jobs take it one at a time."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return ["--resources", "gpu=1"] if any(GPUS.glob("*")) and not hidden else []


def configuration(profile: dict) -> str:
    """Write the file from which Snakemake takes a profile: as JSON, since in the YAML that it reads
    the language ``no`` is false.
    """
    path = ROOT / "build" / profile["profile"] / "profile.json"
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(profile, ensure_ascii=False, indent=1), encoding="utf-8")
    return str(path.relative_to(ROOT))


def report_file(profile: str) -> Path:
    """Return where a build keeps what it did: steps done, with their seconds, and steps failed."""
    return ROOT / "build" / profile / "report.json"


def snakemake(
    profile: str, config: str, targets: list[str], options: list[str], more: dict[str, str]
) -> int:
    """Run Snakemake for targets with a configuration; return its exit status."""
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", "workflow/Snakefile"]
    command += ["--configfile", config, "--nolock", "--rerun-incomplete", "--keep-going"]
    # its scheduler looks again once a timespan for every job that has ended: at the 1 s that is
    # its default, a third of a core after a hundred jobs
    command += ["--logger", "book", "--max-jobs-per-timespan", "500/5s", *options]
    report_file(profile).unlink(missing_ok=True)
    variables = environment() | more | {REPORT: str(report_file(profile))}
    return subprocess.Popen(command, cwd=ROOT, env=variables).wait()


def reason_of(log: Path) -> str:
    """Return what a failed step said last, in one line."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    silent = f"it ended without a word (killed, often for want of memory); see {log}"
    return lines[-1] if lines else silent


def say_what_failed(profile: str) -> None:
    """Say what is done and kept, what the next build will do, and, last, why this one failed."""
    if not report_file(profile).is_file():
        return  # no step began, and Snakemake has said why
    report = read_json(report_file(profile))
    done, total = len(report["done"]), report["total"]
    kept = f"{done} of {total} steps are done and kept; the next build makes the other"
    print(f"{kept} {total - done} and goes on from there", file=sys.stderr)
    for name, log in report["failed"].items():
        print(f"{name} failed: {reason_of(ROOT / log)}", file=sys.stderr)


def say_what_was_slow(profile: str) -> None:
    """Name the steps that took long for this machine, in one line."""
    done = read_json(report_file(profile))["done"] if report_file(profile).is_file() else {}
    taken = {step: seconds for step, (_, seconds) in done.items()}
    slow = slow_steps(taken, recorded_seconds(ROOT / TIMES), profile)
    if slow:
        named = ", ".join(f"{step} {ratio:.0f} times" for step, ratio in slow.items())
        print(f"longer than what is recorded, at this machine's speed: {named}")


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
    times = f"keep the seconds that the steps of this build take, in {TIMES}"
    parser.add_argument("--times", action="store_true", help=times)
    page = "make one page from what is there, such as 07-retrieval"
    parser.add_argument("--page", metavar="NAME", help=page)
    parser.add_argument("targets", nargs="*", help="files to make, by default the HTML book")
    return parser.parse_args(given), passed


def record(profile: str, plan: planning.Plan, records: Path) -> int:
    """Keep what the runs of a profile measured with the project; say which are missing."""
    from m3l_book import recording
    from m3l_book.records.collection import Collection

    there = [run for run in plan.runs if (records / run / "metrics.json").is_file()]
    variants = {run: v for run, v in plan.every_variant().items() if run in there}
    if not there:
        raise Refused(f"{records}: no run of profile {profile} is there; make some with --runs")
    collection = Collection.load(ROOT / "data" / profile, records, there, variants)
    folder = ROOT / "data" / "results" / profile
    about = recording.record(
        collection, folder, profile, str(ROOT / "data" / "paper"), [*plan.runs]
    )
    print(f"{folder}: {about['runs']} runs, {about['seconds']:,} s of training")
    if missing := about["missing"]:
        print(f"{len(missing)} runs are not there yet: {', '.join(missing[:8])}, …")
    return 0


def chosen_runs(profile: str, plan: planning.Plan, patterns: list[str]) -> list[str]:
    """Return the records of the runs that match; a student's teacher is made with it."""
    chosen = [run for run in plan.runs if any(fnmatch.fnmatchcase(run, p) for p in patterns)]
    if not chosen:
        raise Refused(
            f"--runs {' '.join(patterns)}: no run of the profile is called that; there are:"
            f" {', '.join(list(plan.runs)[:8])}, …"
        )
    return [f"runs/{profile}/{run}/metrics.json" for run in chosen]


def render_page(profile: str, page: str) -> int:
    """Render a page with what else there is of the book; return the exit status."""
    folder = ROOT / "build" / profile
    command = [sys.executable, "workflow/render.py", profile, folder / "pages", folder / "html"]
    code = subprocess.run([*command, "--page"], cwd=ROOT, env=environment()).returncode
    if code == 0:
        print(f"the page: build/{profile}/html/{page}.html")
    return code


def make(options: argparse.Namespace, passed: list[str], elsewhere: bool) -> int:
    """Make what is asked for, under the lock; return the exit status."""
    profile, name = read_profile(options.profile), options.profile
    plan, records = planning.make_plan(profile), ROOT / "runs" / name
    if options.record:
        return record(name, plan, records)
    targets = chosen_runs(name, plan, options.runs) if options.runs else options.targets
    if options.page:
        targets = [f"build/{name}/pages/{options.page}.ipynb"]
    flags = ["--cores", options.cores, *([] if elsewhere else cards()), *passed]
    flags += ["--dry-run"] if options.dry_run else []
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(ROOT / "build" / "lock"))
        except BlockingIOError as holder:
            message = f"another build ({holder}) is running in {ROOT}; wait for it to end"
            raise Busy(message) from None
        more, config = {}, configuration(profile)
        stack.enter_context(ending_with_its_processes())
        if not options.dry_run:
            sweep(name)
            more = {} if elsewhere else stack.enter_context(server())
        code = snakemake(name, config, targets, flags, more)
        return code or (render_page(name, options.page) if options.page else 0)


def _end(number: int, _) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    options, passed = parse(list(sys.argv[1:] if arguments is None else arguments))
    executors = ("--executor", "--profile", "--workflow-profile")
    elsewhere = any(o.split("=")[0] in executors for o in passed)
    signal.signal(signal.SIGTERM, _end)
    try:
        code = make(options, passed, elsewhere)
    except (Refused, M3LError, NotYAML, OSError) as error:
        print(error, file=sys.stderr)
        return getattr(error, "status", 2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    if code:
        say_what_failed(options.profile)
    elif not any((options.dry_run, options.targets, options.runs, options.record, options.page)):
        if not report_file(options.profile).is_file():
            print("nothing had to be made")
        say_what_was_slow(options.profile)
        if options.times:
            done = read_json(report_file(options.profile))["done"]
            record_seconds(ROOT / TIMES, options.profile, done)
        print(f"the book: build/{options.profile}/html/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
