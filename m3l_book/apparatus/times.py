"""Seconds of a build's steps: what was recorded of them, and what a build measured.

``book/seconds.csv`` has a row per step: the page or run, the rule of the build that makes it, and a
column of seconds per profile, measured on two cores without a GPU. No build fails by them.
"""

import csv
import statistics
from collections.abc import Mapping
from pathlib import Path

import nbformat

from m3l.errors import DataError, require
from m3l.files import write_csv

SLOW = 3  # times what is recorded, at this machine's speed


def recorded_seconds(path: str | Path) -> dict[str, dict]:
    """Read the ``rule`` of each step and its seconds by profile, None where there are none.

    Raises
    ------
    DataError
        A step stands twice, or a number is none; the line is named.
    """
    steps: dict[str, dict] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            step, rule, where = row.pop("step"), row.pop("rule"), f"{path}, line {number}"
            require(step not in steps, f"{where}: step {step!r} stands there already", DataError)
            steps[step] = {"rule": rule}
            for profile, seconds in row.items():
                try:
                    steps[step][profile] = float(seconds) if seconds else None
                except ValueError:
                    message = f"{where}: {profile} is {seconds!r}, expected seconds"
                    raise DataError(message) from None
    return steps


def record_seconds(path: str | Path, profile: str, taken: Mapping[str, tuple[str, float]]) -> None:
    """Write what the steps of a whole build took, ``step -> (rule, seconds)``, into the file."""
    steps = recorded_seconds(path)
    profiles = dict.fromkeys(name for row in steps.values() for name in row if name != "rule")
    profiles = list(dict.fromkeys([*profiles, profile]))
    for row in steps.values():
        row[profile] = None
    for step, (rule, seconds) in taken.items():
        steps.setdefault(step, {})
        steps[step] |= {"rule": rule, profile: round(seconds, 1)}
    rows = [
        {"step": step, "rule": row["rule"]}
        | {p: "" if row.get(p) is None else row[p] for p in profiles}
        for step, row in sorted(steps.items())
        if any(row.get(p) is not None for p in profiles)
    ]
    write_csv(path, rows)


def seconds_taken(notebook: nbformat.NotebookNode) -> float | None:
    """Return the seconds that papermill took for a notebook; None for one that it did not run."""
    duration = notebook.metadata.get("papermill", {}).get("duration")
    return None if duration is None else float(duration)


def opening(recorded: Mapping, seconds: float | None) -> str:
    """Write the line about time under a page's title, in Markdown."""
    said = ", ".join(
        f"{_in_words(value)} in profile `{profile}`"
        for profile, value in recorded.items()
        if profile != "rule" and value
    )
    if seconds is not None:
        return f"*To compute this page took {_in_words(seconds)}.*"
    return f"*To compute this page takes about {said} on two cores.*" if said else ""


def _in_words(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def relative_times(
    taken: Mapping[str, float], recorded: Mapping[str, Mapping], profile: str
) -> tuple[float, dict[str, float]]:
    """Compare what steps took with what is recorded of them.

    Seconds of two machines do not compare. So each step's ratio to what is recorded is divided by
    the median ratio of all steps, which is the speed of this machine.

    Returns
    -------
    The median ratio, and of each step that is recorded how many times it took at that speed.
    """
    ratios = {
        step: seconds / recorded[step][profile]
        for step, seconds in taken.items()
        if recorded.get(step, {}).get(profile)
    }
    usual = statistics.median(ratios.values()) if ratios else 1.0
    return usual, {step: ratio / usual for step, ratio in ratios.items()}


def slow_steps(taken: Mapping[str, float], recorded: Mapping[str, Mapping], profile: str) -> dict:
    """Return the steps of ten seconds or more that took more than `SLOW` times what is recorded,
    at this machine's speed, and how many times.
    """
    _, ratios = relative_times(taken, recorded, profile)
    return {step: r for step, r in ratios.items() if r > SLOW and taken[step] >= 10}
