"""What runs cost: tables for the chapter on scale, from run records, from measured speeds, and from
array sizes.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, require

from ..records.run import Run
from .cells import styled

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def costs(runs: Sequence[Run]) -> "DataFrame":
    """Jobs, seconds of training and memory by corpus, model and number of views trained; a data
    frame.
    """
    import pandas as pd

    rows = [
        {
            **{
                "corpus": run.params["corpus"],
                "model": run.params["model"],
                "views": len(run.params["train_views"]),
            },
            **{"seconds": run.metrics["seconds"], "memory": run.metrics["memory_mb"]},
        }
        for run in runs
    ]
    grouped = pd.DataFrame(rows).groupby(["corpus", "model", "views"], sort=False)
    means = grouped.agg(
        jobs=("seconds", "size"),
        mean=("seconds", "mean"),
        longest=("seconds", "max"),
        total=("seconds", "sum"),
        memory=("memory", "max"),
    )
    columns = {
        "mean": "seconds a job",
        "longest": "longest",
        "total": "seconds together",
        "memory": "memory (MiB)",
    }
    return means.reset_index().rename(columns=columns)


def total(runs: Sequence[Run]) -> dict[str, float]:
    """``jobs``, ``hours`` of training on one core, and ``chain``, the seconds of the longest run
    with the teacher it waits for.
    """
    seconds = {run.folder.name: run.metrics["seconds"] for run in runs}
    chains = [
        run.metrics["seconds"] + seconds.get(run.params.get("teacher", ""), 0.0) for run in runs
    ]
    return {"jobs": len(runs), "hours": sum(seconds.values()) / 3600, "chain": max(chains)}


def speed_table(speed: Mapping) -> "DataFrame":
    """What each step gave: tuples a second of a model of three views, and the ratio to the first; a
    data frame. ``speed`` is what benchmarks/bench.py wrote.
    """
    import pandas as pd

    rows = [row for row in speed["rows"] if row["views"] == 3]
    first = rows[0]["tuples_per_second"]
    return pd.DataFrame(
        [
            {
                "": row["what"],
                "cores": row["cores"],
                "tuples a second": row["tuples_per_second"],
                "ratio": row["tuples_per_second"] / first,
            }
            for row in rows
        ]
    )


def styled_speed(speed: Mapping) -> "Styler":
    """`speed_table`, ready to be shown."""
    table = styled(speed_table(speed))
    return table.format({"tuples a second": "{:,.0f}", "ratio": "{:.1f}"})


def efficiency(speed: Mapping) -> "DataFrame":
    """Speed of several jobs at once against as many times that of one; a data frame."""
    import pandas as pd

    rows = [row for row in speed["rows"] if "jobs" in row]
    require(
        len(rows) > 0 and rows[0]["jobs"] == 1, "speed: no measurement of one job alone", DataError
    )
    one = rows[0]["tuples_per_second"]
    return pd.DataFrame(
        [
            {
                "jobs at once": r["jobs"],
                "tuples a second": r["tuples_per_second"],
                "efficiency": r["tuples_per_second"] / (r["jobs"] * one),
            }
            for r in rows
        ]
    )


def gpu_memory(
    tuples: int, sizes: Sequence[int], words: Sequence[int], topics: int, hidden: int = 100
) -> dict[str, float]:
    """MiB that a run keeps on a GPU, from the sizes of its arrays in single precision.

    ``data``: embeddings of ``sizes`` dimensions and dense bags of ``words``; ``model``: weights,
    their gradients and Adam's two moments.
    """
    weights = sum(d * hidden + hidden**2 + 2 * hidden * topics for d in sizes) + sum(
        topics * v for v in words
    )
    return {
        "data": tuples * (sum(sizes) + sum(words)) * 4 / 2**20,
        "model": weights * 4 * 4 / 2**20,
    }


def paper_grid(path: str | Path, speed: Mapping, tuples: int, epochs: int) -> "DataFrame":
    """The runs that the paper's text implies, from a CSV file, with core-hours at measured speeds
    and hours as the paper states them; a data frame.
    """
    import pandas as pd

    by_views = {
        row["views"]: row["tuples_per_second"]
        for row in speed["rows"]
        if row.get("kernel") == "fused"
    }
    require(Path(path).is_file(), f"{path}: no such file", DataError)
    rows = []
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            views, runs = row["trained_views"], row["runs"]
            require(
                views.isdigit() and runs.isdigit(),
                f"{path}, line {number}: trained_views {views!r}, runs {runs!r}: expected integers",
                DataError,
            )
            views, runs, classical = int(views), int(runs), row["model"] == "PLTM"
            ours = np.nan if classical else runs * tuples * epochs / by_views[views] / 3600
            theirs = runs * (3.0 if classical else 35 / 60)
            columns = {
                "§": row["section"],
                "what": row["what"],
                "model": row["model"],
                "views": views,
                "runs a seed": runs,
            }
            rows.append({**columns, "core-hours here": ours, "hours, as the paper says": theirs})
    return pd.DataFrame(rows)


def paper_sum(grid: "DataFrame", seeds: int) -> str:
    """The grid's sums in a sentence."""
    neural = grid[grid["model"] != "PLTM"]
    return (
        f"**{grid['runs a seed'].sum()} runs a seed**, {seeds * grid['runs a seed'].sum()} with"
        f" {seeds} seeds. At the speeds measured here the neural ones take"
        f" **{neural['core-hours here'].sum():.1f} core-hours a seed**,"
        f" {seeds * neural['core-hours here'].sum():.0f} with {seeds} seeds; by the paper's own"
        f" figures {neural['hours, as the paper says'].sum():.0f} hours of a V100 a seed, and"
        f" {grid[grid['model'] == 'PLTM']['hours, as the paper says'].sum():.0f} hours of a CPU for"
        " PLTM."
    )
