"""Show how far a build is: a bar on a terminal, a line per finished step in a log.

Snakemake finds this package by its name (``--logger book``) and gives it its messages, which it
also writes as they are to ``.snakemake/log/``.
"""

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from tqdm import tqdm

from m3l.files import write_json
from m3l_book.apparatus.times import recorded_seconds


def in_words(seconds: float) -> str:
    """Say a time as people do: ``40 s``, ``7 min``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def seconds_by_rule(path: str) -> dict[str, float]:
    """Average the recorded seconds of each rule's steps."""
    taken: dict[str, list[float]] = {}
    for step in recorded_seconds(path).values():
        taken.setdefault(step.pop("rule"), []).extend(filter(None, step.values()))
    return {rule: statistics.mean(seconds) for rule, seconds in taken.items() if seconds}


def reason_of(log: str) -> str:
    """Return what a failed step said last, in one line."""
    path = Path(log)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    silent = f"it ended without a word (killed, often for want of memory); see {log}"
    return lines[-1] if lines else silent


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The option of the command line."""

    about = "where to keep what was done: step -> [rule, seconds], in JSON"
    report: str = field(default="", metadata={"help": about})


class LogHandler(LogHandlerBase):
    """Snakemake's messages as a bar or as lines."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.recorded = seconds_by_rule("book/seconds.csv")
        self.running: dict[int, tuple[str, str, str, float]] = {}  # name, rule, log, beginning
        self.done: dict[str, tuple[str, float]] = {}  # name of a step -> its rule, seconds
        self.failed: dict[str, str] = {}  # name of a step -> its log
        self.bar: tqdm | None = None
        self.steps, self.expected, self.ended, self.begun = 0, 0.0, 0.0, 0.0

    def emit(self, record) -> None:
        """Take one message."""
        event, now = getattr(record, "event", None), time.perf_counter()
        if event == LogEvent.RUN_INFO and not self.common_settings.dryrun:
            stats = {rule: steps for rule, steps in record.stats.items() if rule != "total"}
            self.steps, self.begun = sum(stats.values()), now
            self.expected = sum(self.usual(rule) * steps for rule, steps in stats.items())
            if sys.stderr.isatty():
                form = "{n_fmt}/{total_fmt} steps |{bar:20}| {elapsed} {desc}"
                self.bar = tqdm(total=self.steps, bar_format=form, file=sys.stderr)
        elif event == LogEvent.JOB_INFO:
            log = str(record.log[0]) if record.log else record.rule_name
            name = log.partition("/logs/")[2].removesuffix(".txt") or log
            if self.common_settings.dryrun:
                print(f"{name}: {record.reason}", file=sys.stderr)
            self.running[record.jobid] = name, record.rule_name, log, now
            self.show("", now)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.running:
            name, rule, _, begun = self.running.pop(record.job_id)
            self.done[name] = rule, now - begun
            self.ended += self.usual(rule)
            self.show(f"{name} in {in_words(now - begun)}", now)
        elif event == LogEvent.JOB_ERROR and record.jobid in self.running:
            name, _, log, _ = self.running.pop(record.jobid)
            self.failed[name] = log
            self.show(f"{name} failed; what does not need it goes on", now)
        elif event == LogEvent.ERROR and not self.failed:
            tqdm.write(record.getMessage(), file=sys.stderr)

    def usual(self, rule: str) -> float:
        """Return the recorded seconds of a step of a rule; of one that has none, the median's; 10
        if nothing is recorded.
        """
        usual = statistics.median(self.recorded.values()) if self.recorded else 10.0
        return self.recorded.get(rule, usual)

    def show(self, message: str, now: float) -> None:
        """Show how far the build is; a log gets a line where there is a message."""
        # at the speed of the steps so far, once they are enough to know it
        known = self.expected / 20 < self.ended < self.expected
        left = (self.expected / self.ended - 1) * (now - self.begun) if known else 0.0
        when = f"about {in_words(left)} left" if known else ""
        if self.bar is not None:
            names = ", ".join(name for name, *_ in self.running.values())
            self.bar.n = len(self.done)
            self.bar.set_description_str(f"{when} {names}".strip())
        elif message:
            line = f"[{len(self.done)}/{self.steps}] {message}"
            print(line, when, sep="; " if when else "", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Keep what was done; say what is kept and, last, why something failed."""
        if self.bar is not None:
            self.bar.close()
        if self.done and self.settings.report:
            write_json(self.settings.report, self.done)
        if self.failed:
            kept = f"{len(self.done)} of {self.steps} steps are done and kept; the next build makes"
            rest = f"the other {self.steps - len(self.done)} and goes on from there"
            print(kept, rest, file=sys.stderr)
        for name, log in self.failed.items():
            print(f"{name} failed: {reason_of(log)}", file=sys.stderr)
        self.failed = {}
        super().close()
