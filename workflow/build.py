"""Build the book for a profile: ``python workflow/build.py laptop [TARGET ...] [--cores N] [--
SNAKEMAKE OPTIONS]``.

One build of the whole book at a time runs in a checkout. Several people may make run records at
once, ``--runs 'vital-*'``: each run is claimed by one of them. Locks go with the process, so a
killed build leaves none behind.
"""

import argparse
import contextlib
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

from jsonschema import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "workflow" / "profile.schema.yaml"
GPUS = Path("/proc/driver/nvidia/gpus")  # a folder for each that NVIDIA's driver drives
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "workflow"))
import warm  # noqa: E402

from m3l.errors import M3LError  # noqa: E402
from m3l.files import TEMPORARY, atomic  # noqa: E402
from m3l_book.records import planning  # noqa: E402
from m3l_book.values import NotYAML, read_yaml  # noqa: E402


class Refused(Exception):
    """The build cannot start; the message says why."""

    status = 2


class Busy(Refused):
    """Another build is running."""

    status = 3


def profiles() -> list[str]:
    """The names of the profiles there are."""
    return sorted(path.stem for path in (ROOT / "workflow" / "profiles").glob("*.yaml"))


def read_profile(name: str) -> dict:
    """A profile's YAML.

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
    """What a profile's schema says is wrong, and where."""
    cause = error.__context__
    if not isinstance(cause, ValidationError):
        return str(error)
    where = "".join(f"[{part!r}]" for part in cause.absolute_path)
    return f"{where}: {cause.message}" if where else cause.message


def sweep(profile: str, older_than: float = 3600) -> None:
    """Remove what killed processes left half-written: `atomic`'s temporaries, an hour old."""
    folders = [
        f"data/{profile}",
        f"runs/{profile}",
        f"build/{profile}/pages",
        f"build/{profile}/runs",
    ]
    for folder in folders:
        for path in list((ROOT / folder).glob(f"**/.*{TEMPORARY}*")):
            if path.exists() and time.time() - path.stat().st_mtime > older_than:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def locked(path: Path, shared: bool = False, wait: bool = False):
    """Hold the lock of a file; `BlockingIOError`, with who holds it as its text, if another process
    does and ``wait`` is not set.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(
                file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
            )
        except BlockingIOError:
            file.seek(0)
            raise BlockingIOError(file.read().strip() or "?") from None
        if not shared:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}")
            file.flush()
        yield


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
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}


def cards() -> list[str]:
    """Snakemake's limit where this machine has a GPU: jobs take the first, one at a time."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return ["--resources", "gpu=1"] if any(GPUS.glob("*")) and not hidden else []


def configuration(profile: dict) -> str:
    """The file from which Snakemake takes a profile: as JSON, since in the YAML that it reads the
    language ``no`` is false.
    """
    path = ROOT / "build" / profile["profile"] / "profile.json"
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(profile, ensure_ascii=False, indent=1), encoding="utf-8")
    return str(path.relative_to(ROOT))


def snakemake(config: str, targets: list[str], options: list[str], more: dict[str, str]) -> int:
    """Run Snakemake for targets with a configuration; its exit status."""
    command = [
        *(
            sys.executable,
            "-m",
            "snakemake",
            *targets,
            "--snakefile",
            "workflow/Snakefile",
            "--configfile",
            config,
        ),
        *("--nolock", "--rerun-incomplete", "--keep-going", "--quiet", "rules"),
        # its scheduler looks again once a timespan for every job that has ended: at the 1 s that is
        # its default, a third of a core after a hundred jobs
        *("--max-jobs-per-timespan", "500/5s", *options),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=environment() | more)
    try:
        return process.wait()
    except (
        BaseException
    ):  # interrupted or told to end: so are its jobs, and what they were making is made again
        process.terminate()
        process.wait()
        raise


def show_failures(profile: str, since: float) -> None:
    """Print the logs of the jobs that failed elsewhere, on a cluster's nodes, since a time; here
    they have shown them themselves.
    """
    for log in sorted((ROOT / "build" / profile / "logs").glob("*.txt")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if log.stat().st_mtime >= since and lines[-1:] == ["failed"]:
            print(f"{log.relative_to(ROOT)}:", *lines[-20:-1], sep="\n    ", file=sys.stderr)


def claim(
    stack: contextlib.ExitStack, profile: str, plan: planning.Plan, patterns: list[str]
) -> list[str]:
    """The runs that match and are nobody else's now, locked; a student comes with its teacher."""
    wanted = [
        run for run in plan.runs if any(fnmatch.fnmatchcase(run, pattern) for pattern in patterns)
    ]
    if not wanted:
        raise Refused(
            f"--runs {' '.join(patterns)}: no run of the profile is called that; there are:"
            f" {', '.join(list(plan.runs)[:8])}, …"
        )
    mine, others = [], {}
    for run in [
        r
        for name in wanted
        for r in (*([plan.runs[name]["teacher"]] if "teacher" in plan.runs[name] else []), name)
    ]:
        teacher = plan.runs[run].get("teacher")
        if run in mine or run in others:
            continue
        if teacher in others:
            others[run] = f"its teacher {teacher} is being made by {others[teacher]}"
            print(f"left out: {run}: {others[run]}", file=sys.stderr)
            continue
        try:
            stack.enter_context(locked(ROOT / "runs" / profile / "locks" / run))
            mine.append(run)
        except BlockingIOError as holder:
            others[run] = str(holder)
            print(f"left out: {run}: {holder} is making it", file=sys.stderr)
    return mine


def parse(given: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command line, and what of it is Snakemake's."""
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
    add = "a point of a chapter's figure to add for good, as 10-topic-numbers '{topics: 75}'"
    parser.add_argument("--add", nargs=2, metavar=("CHAPTER", "POINT"), help=add)
    runs = "make the records of these runs alone; others may make other runs at the same time"
    parser.add_argument("--runs", nargs="+", metavar="PATTERN", help=runs)
    keep = "make nothing; keep what the runs that are there measured, in data/results/PROFILE"
    parser.add_argument("--record", action="store_true", help=keep)
    parser.add_argument("targets", nargs="*", help="files to make, by default the HTML book")
    options = parser.parse_args(given)
    if options.add and options.dry_run:
        parser.error("--add keeps the point for good: not with --dry-run")
    return options, passed


def record(profile: str, plan: planning.Plan, records: Path) -> int:
    """Keep what the runs of a profile measured with the project; says which are missing."""
    from m3l_book import recorded
    from m3l_book.records.collection import Collection

    there = [run for run in plan.runs if (records / run / "metrics.json").is_file()]
    variants = {run: v for run, v in plan.every_variant().items() if run in there}
    if not there:
        raise Refused(f"{records}: no run of profile {profile} is there; make some with --runs")
    collection = Collection.load(ROOT / "data" / profile, records, there, variants)
    folder = ROOT / "data" / "results" / profile
    about = recorded.record(collection, folder, profile, str(ROOT / "data" / "paper"), [*plan.runs])
    print(f"{folder}: {about['runs']} runs, {about['seconds']:,} s of training")
    if missing := about["missing"]:
        print(f"{len(missing)} runs are not there yet: {', '.join(missing[:8])}, …")
    return 0


def make(options: argparse.Namespace, passed: list[str], elsewhere: bool) -> int:
    """Make what is asked for, under the locks that it needs; the exit status."""
    profile, records = read_profile(options.profile), ROOT / "runs" / options.profile
    if options.add:
        planning.add_point(profile, records, options.add[0], read_yaml(options.add[1]))
    plan = planning.make_plan(profile, planning.added_points(records))
    if options.record:
        return record(options.profile, plan, records)
    flags = ["--cores", options.cores, *([] if elsewhere else cards()), *passed]
    flags += ["--dry-run"] if options.dry_run else []
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(ROOT / "build" / "lock", shared=bool(options.runs)))
        except BlockingIOError as holder:
            message = f"another build ({holder}) is running in {ROOT}; wait for it to end"
            raise Busy(message) from None
        more, config = {}, configuration(profile)
        if not options.dry_run:
            sweep(options.profile)
            more = {} if elsewhere else stack.enter_context(server())
        if not options.runs:
            return snakemake(config, options.targets, flags, more)
        mine = claim(stack, options.profile, plan, options.runs)
        with locked(records / "locks" / "data", wait=True):
            code = snakemake(config, ["embeddings"], flags, more)
        targets = [f"runs/{options.profile}/{run}/metrics.json" for run in mine]
        if code == 0 and targets:
            rules = ["--allowed-rules", "train", "speed"]
            code = snakemake(config, targets, [*rules, *flags], more)
        return code


def main(arguments: list[str] | None = None) -> int:
    options, passed = parse(list(sys.argv[1:] if arguments is None else arguments))
    executors = ("--executor", "--profile", "--workflow-profile")
    begun, elsewhere = time.time(), any(o.split("=")[0] in executors for o in passed)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        code = make(options, passed, elsewhere)
    except (Refused, M3LError, NotYAML, OSError) as error:
        print(error, file=sys.stderr)
        return getattr(error, "status", 2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    if code and elsewhere:
        show_failures(options.profile, begun)
    other = options.dry_run or options.targets or options.runs or options.record
    if code == 0 and not other:
        print(f"the book: build/{options.profile}/html/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
