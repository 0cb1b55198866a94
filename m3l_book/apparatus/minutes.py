"""How long a page takes to compute: what is declared of it, and what a build measured."""

import csv
from collections.abc import Mapping
from pathlib import Path

import nbformat

from m3l.errors import DataError, require

DECLARED = "book/minutes.csv"
TOO_LONG = 3  # times what is declared


def declared_minutes(path: str | Path) -> dict[str, dict[str, int]]:
    """Whole minutes by page and profile.

    Raises
    ------
    DataError
        A page stands twice, or a number is not a whole one of at least 1; the row is named.
    """
    pages: dict[str, dict[str, int]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            page = row.pop("page")
            where = f"{path}, line {number}"
            require(page not in pages, f"{where}: page {page!r} stands there already", DataError)
            for profile, minutes in row.items():
                whole = (minutes or "").isdecimal() and int(minutes) >= 1
                message = f"{where}: {profile} is {minutes!r}, expected whole minutes, 1 or more"
                require(whole, message, DataError)
            pages[page] = {profile: int(minutes) for profile, minutes in row.items()}
    return pages


def seconds_taken(notebook: nbformat.NotebookNode) -> float | None:
    """Seconds that papermill took to execute a notebook; None for one that it did not."""
    duration = notebook.metadata.get("papermill", {}).get("duration")
    return None if duration is None else float(duration)


def opening(declared: Mapping[str, int], seconds: float | None) -> str:
    """The line about time under a page's title, in Markdown."""
    said = ", ".join(
        f"{minutes} minute{'s' if minutes > 1 else ''} in profile `{profile}`"
        for profile, minutes in declared.items()
    )
    took = "" if seconds is None else f" This build took {max(seconds, 1):,.0f} s."
    return f"**To compute it.** At most {said}.{took}" if said else took.strip()


def too_long(seconds: Mapping[str, float], declared: Mapping, profile: str) -> list[str]:
    """A sentence for each page that took more than three times what is declared of it."""
    found = []
    for page, taken in seconds.items():
        minutes = declared.get(page, {}).get(profile)
        if minutes is not None and taken > TOO_LONG * 60 * minutes:
            times = f"more than {TOO_LONG} times the {minutes} min that {DECLARED} declares"
            found.append(f"{page} took {taken / 60:.1f} min, {times} for {profile}")
    return found
