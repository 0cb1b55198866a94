"""Which runs a profile asks for: its list of runs, one a seed, and grids that change some
parameters of some of them.

A *point* is a change, ``{topics: 25}``, made to each run that its grid is ``of``. A point that
changes nothing is that run itself, which then answers to the point's label too. Points added from
the command line are kept beside the run records.
"""

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from m3l.errors import DataError, ParameterError, choose, require
from m3l.files import read_json, write_json

GRID_FIELDS = {"chapter": str, "of": list, "points": list, "name": str, "label": str, "seeds": list}


# of an entry of a profile's runs, not of the chapter that makes them
OWN_FIELDS = ("name", "seeds", "chapter")


@dataclass
class Plan:
    """What is to be run.

    Attributes
    ----------
    runs : run name -> the parameters of its chapter, and ``chapter`` if that is not 04-training
    shown : chapter -> names of the runs that it compares
    labels : chapter -> run name -> the other names, as of a model, that a run has there
    """

    runs: dict[str, dict] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    known: dict[str, str] = field(
        default_factory=dict, repr=False
    )  # parameters as text -> run name


def points_file(runs) -> Path:
    """Where points that were added from the command line are kept, beside the run records."""
    return Path(runs) / "points.json"


def added_points(runs) -> list[dict]:
    """The points that were added, each with ``chapter`` and ``point``."""
    return read_json(points_file(runs)) if points_file(runs).exists() else []


def add_point(profile: Mapping, runs, chapter: str, point: Mapping) -> None:
    """Add a point to the grids of a chapter and keep it; `ParameterError` if no grid there can take
    it.
    """
    known = added_points(runs)
    if {"chapter": chapter, "point": dict(point)} not in known:
        known.append({"chapter": chapter, "point": dict(point)})
    plan(profile, known)  # refuses what cannot be
    write_json(points_file(runs), known)


def plan(profile: Mapping, added: Sequence[Mapping] = ()) -> Plan:
    """The runs of a profile, as read from its YAML, with the ``added`` points.

    Raises
    ------
    ParameterError
        A grid, a point or a run that it names is not as it should be.
    """
    found, base = Plan(), {}
    for run in profile["runs"]:
        require(
            run["name"] not in base,
            f"profile {profile['profile']}: two runs are called {run['name']!r}",
        )
        base[run["name"]] = run
        for seed in run["seeds"]:
            _add(found, run["name"], run, seed)
    found.shown["main"] = list(found.runs)
    grids = [_checked(grid, profile, base) for grid in profile.get("grids", [])]
    for entry in added:
        _take(grids, **entry)
    for grid in grids:
        _expand(found, grid, base)
    for run, values in found.runs.items():
        teacher = values.get("teacher", "")
        require(
            not teacher or teacher in found.runs,
            f"run {run!r} has the teacher {teacher!r}, which is no run of the profile; add it with"
            " that seed",
        )
    return found


def _checked(grid: Mapping, profile: Mapping, base: Mapping) -> dict:
    """A grid with its patterns replaced by the names of runs."""
    where = f"profile {profile['profile']}, grid of {grid.get('chapter', '?')}"
    for key in grid:
        choose(f"{where}: field", key, GRID_FIELDS)
    for key in ("chapter", "of", "points"):
        require(
            isinstance(grid.get(key), GRID_FIELDS[key]) and bool(grid[key]),
            f"{where}: {key} is missing or no {GRID_FIELDS[key].__name__}",
        )
    names = []
    for pattern in grid["of"]:
        hit = fnmatch.filter(base, pattern)
        require(
            bool(hit),
            f"{where}: of={pattern!r} names no run of the profile; there are: {', '.join(base)}",
        )
        names += [name for name in hit if name not in names]
    return {
        "name": "",
        "label": "",
        **grid,
        "of": names,
        "points": [dict(point) for point in grid["points"]],
    }


def _take(grids: list[dict], chapter: str, point: Mapping) -> None:
    """Add a point to those grids of a chapter whose points change the same parameters; ``{seeds:
    [3]}`` gives all of them more seeds.
    """
    there = [grid for grid in grids if grid["chapter"] == chapter]
    require(
        bool(there),
        f"chapter={chapter!r} has no grid in this profile; there are:"
        f" {', '.join(sorted({g['chapter'] for g in grids})) or 'none'}",
    )
    if set(point) == {"seeds"}:
        good = isinstance(point["seeds"], list) and all(
            isinstance(s, int) and s >= 0 for s in point["seeds"]
        )
        require(good, f"seeds={point['seeds']!r}: expected a list of integers")
        for grid in there:
            grid.setdefault("more_seeds", []).extend(point["seeds"])
        return
    fits = [grid for grid in there if _changes(point) == _changes(grid["points"][0])]
    known = " or ".join(
        dict.fromkeys(" and ".join(sorted(_changes(grid["points"][0]))) for grid in there)
    )
    require(
        bool(fits), f"point={json.dumps(point)}: the grids of {chapter} change {known}, or seeds"
    )
    for key, like in fits[0]["points"][0].items():
        require(
            type(point.get(key, like)) is type(like),
            f"{key}={point.get(key)!r}: expected {type(like).__name__}, as {json.dumps(like)}",
        )
    for grid in fits:
        if point not in grid["points"]:
            grid["points"].append(dict(point))


def _changes(point: Mapping) -> set[str]:
    """The parameters that a point sets; of one that is set for each view, with the views."""
    changed = {key: value for key, value in point.items() if key not in ("name", "label")}
    return {
        f"{key} of {', '.join(value)}" if isinstance(value, Mapping) else key
        for key, value in changed.items()
    }


def _expand(found: Plan, grid: Mapping, base: Mapping) -> None:
    shown, labels = (
        found.shown.setdefault(grid["chapter"], []),
        found.labels.setdefault(grid["chapter"], {}),
    )
    for point in grid["points"]:
        changes = {key: value for key, value in point.items() if key not in ("name", "label")}
        spoken = {key: _spoken(value) for key, value in changes.items()}
        suffix = _slug(
            point.get("name") or grid["name"].format(**spoken) or "-".join(spoken.values())
        )
        label = point.get("label") or grid["label"].format(**spoken) or ", ".join(spoken.values())
        for name in grid["of"]:
            run, model = base[name], f"{base[name]['model']}, {label}"
            itself = all(run.get(key) == value for key, value in changes.items())
            varied = {**run, **changes, "model": model}
            if (
                "teacher" in run
                and run["teacher"] in grid["of"]
                and any(base[run["teacher"]].get(k) != v for k, v in changes.items())
            ):
                varied["teacher"] = f"{run['teacher']}-{suffix}"
            seeds = [
                *(run["seeds"] if itself else grid.get("seeds", run["seeds"])),
                *grid.get("more_seeds", []),
            ]
            for seed in dict.fromkeys(seeds):
                whole = (
                    _add(found, name, run, seed)
                    if itself
                    else _add(found, f"{name}-{suffix}", varied, seed, varied=True)
                )
                if model not in (found.runs[whole]["model"], *labels.get(whole, [])):
                    labels.setdefault(whole, []).append(model)
                if whole not in shown:
                    shown.append(whole)


def _add(found: Plan, name: str, run: Mapping, seed: int, varied: bool = False) -> str:
    """Put a run of one seed into the plan; its name.

    A ``varied`` one is not put there twice: the name of one of that model with the same parameters.
    """
    whole = f"{name}-s{seed}"
    values = {key: value for key, value in run.items() if key not in ("name", "seeds")} | {
        "seed": seed
    }
    if "teacher" in run:  # a student learns from the teacher of its own seed
        values["teacher"] = f"{run['teacher']}-s{seed}"
    if whole in found.runs:
        if {**found.runs[whole], "model": ""} != {**values, "model": ""}:
            raise ParameterError(
                f"two points make a run called {whole!r}, with {values} and {found.runs[whole]};"
                " give one another name"
            )
        return whole
    what = json.dumps({**values, "model": run["model"].partition(",")[0]}, sort_keys=True)
    if varied and what in found.known:
        return found.known[what]
    found.runs[whole] = values
    found.known.setdefault(what, whole)
    return whole


def _spoken(value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(dict.fromkeys(map(str, value.values())))
    return str(value)


def _slug(text: str) -> str:
    slug = re.sub(r"[^\w.]+", "-", text).strip("-")
    require(bool(slug), f"{text!r} cannot be part of a run's name", DataError)
    return slug
