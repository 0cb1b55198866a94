"""Show how far a build is: a bar on a terminal, a line per finished step in a log.

It takes Snakemake's messages as a plugin (``--logger book``); Snakemake writes them as they are to
``.snakemake/log/``. What was done and what failed is kept in the file
that the environment variable `REPORT` names, where `build.py` reads it.
"""

import os
import statistics
import sys
import time

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from m3l.files import write_json
from m3l_book.apparatus.times import recorded_seconds

REPORT = "M3L_BUILD_REPORT"
TIMES = "book/seconds.csv"


def in_words(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``7 min``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Progress:
    """What a build has to do and what it has done.

    Parameters
    ----------
    seconds : rule -> list of recorded seconds of its steps
    """

    def __init__(self, seconds: dict[str, list[float]]):
        self.recorded = {rule: statistics.mean(taken) for rule, taken in seconds.items()}
        self.waiting: dict[str, int] = {}  # rule -> steps that have not ended
        self.running: dict[int, float] = {}  # number of a step -> when it began
        self.steps: dict[int, tuple[str, str]] = {}  # number of a step -> its name and rule
        self.done: dict[str, tuple[str, float]] = {}  # name of a step -> its rule, seconds
        self.failed: dict[str, str] = {}  # name of a step -> its log
        self.expected = 0.0  # recorded seconds of what is done
        self.begun = time.perf_counter()

    @property
    def total(self) -> int:
        """How many steps there are."""
        return sum(self.waiting.values()) + len(self.done)

    def seconds_of(self, rule: str) -> float:
        """The recorded seconds of a step of a rule; the median rule's of one that has none."""
        usual = statistics.median(self.recorded.values()) if self.recorded else 10.0
        return self.recorded.get(rule, usual)

    def left(self, now: float) -> float | None:
        """Seconds until all is done, by what the finished steps took; None before one is."""
        if not self.expected:
            return None
        running = sum(
            min(now - begun, self.seconds_of(self.steps[step][1]))
            for step, begun in self.running.items()
        )
        waiting = sum(self.seconds_of(rule) * steps for rule, steps in self.waiting.items())
        speed = (self.expected + running) / (now - self.begun)  # recorded seconds per second here
        return max(waiting - running, 0) / speed

    def finish(self, step: int, now: float) -> None:
        """Count a step as done."""
        name, rule = self.steps[step]
        self.done[name] = rule, now - self.running.pop(step, now)
        self.expected += self.seconds_of(rule)
        self.waiting[rule] -= 1


class LogHandler(LogHandlerBase):
    """Snakemake's messages as a bar or as lines."""

    def __post_init__(self) -> None:
        by_rule: dict[str, list[float]] = {}
        times = recorded_seconds(TIMES)
        for step in times.values():
            rule = step.pop("rule")
            by_rule.setdefault(rule, []).extend(filter(None, step.values()))
        self.progress = Progress({rule: taken for rule, taken in by_rule.items() if taken})
        self.bar: tqdm | None = None

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record) -> None:
        event, now = getattr(record, "event", None), time.perf_counter()
        progress = self.progress
        if event == LogEvent.RUN_INFO:
            steps = {rule: n for rule, n in record.stats.items() if rule != "total"}
            progress.waiting, progress.begun = steps, now
            self._show()
        elif event == LogEvent.JOB_INFO:
            log = str(record.log[0]) if record.log else record.rule_name
            name = log.partition("/logs/")[2].removesuffix(".txt") or log
            progress.steps[record.jobid] = name, record.rule_name
            if self.common_settings.dryrun:
                print(f"{name}: {record.reason}", file=sys.stderr)
            progress.running[record.jobid] = now
            self._show()
        elif event == LogEvent.JOB_FINISHED:
            progress.finish(record.job_id, now)
            self._show(progress.steps[record.job_id][0])
        elif event == LogEvent.JOB_ERROR:
            name, _ = progress.steps.get(record.jobid, (record.rule_name, ""))
            progress.running.pop(record.jobid, None)
            progress.failed[name] = str(record.log[0]) if record.log else ""
            self._show(f"{name} failed; what does not need it goes on")
        elif event == LogEvent.ERROR and not progress.failed:
            tqdm.write(record.getMessage(), file=sys.stderr)

    def _show(self, ended: str = "") -> None:
        """Show what has changed, and keep it for the end of the build."""
        progress, now = self.progress, time.perf_counter()
        if self.common_settings.dryrun:
            return
        report = {"total": progress.total, "done": progress.done, "failed": progress.failed}
        write_json(os.environ[REPORT], report)
        left = progress.left(now)
        when = f"about {in_words(left)} left" if left else ""
        if not sys.stderr.isatty():
            if ended:
                took = f" in {in_words(progress.done[ended][1])}" if ended in progress.done else ""
                ended = f"[{len(progress.done)}/{progress.total}] {ended}{took}"
                print(ended, when, sep="; " if when else "", file=sys.stderr, flush=True)
            return
        form = "{n_fmt}/{total_fmt} steps |{bar:20}| {elapsed} {desc}"
        if self.bar is None:
            self.bar = tqdm(total=progress.total, bar_format=form, file=sys.stderr)
        names = ", ".join(progress.steps[step][0] for step in progress.running)
        self.bar.total, self.bar.n = progress.total, len(progress.done)
        self.bar.set_description_str(f"{when} {names}".strip())

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        super().close()
