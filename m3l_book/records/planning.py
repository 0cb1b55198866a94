"""Which runs a profile asks for: its list of runs, one a seed, and grids that vary some of them.

A *point* is a change, ``{topics: 25}``, made to each run that its grid is ``of``. A point that
changes nothing is that run itself, which then stands for the point's variant too.
"""

import fnmatch
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from m3l.errors import DataError, ParameterError, require

# of an entry of a profile's runs, not of the chapter that makes them
OWN_FIELDS = ("name", "seeds", "chapter")
# of a point, not of the runs that it makes
POINT_FIELDS = ("name", "variant")
# what does not change the numbers of a run
NAMES = ("model", "variant")


@dataclass
class Plan:
    """What is to be run.

    Attributes
    ----------
    runs : run name -> the parameters of its chapter, and ``chapter`` if that is not training
    shown : chapter -> names of the runs that it compares
    variants : chapter -> run name -> further variants that the run stands for there
    """

    runs: dict[str, dict] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    variants: dict[str, dict[str, list[dict]]] = field(default_factory=dict)
    # parameters as text -> run name
    names: dict[str, str] = field(default_factory=dict, repr=False)

    def every_variant(self) -> dict[str, list[dict]]:
        """The further variants that each run stands for in any chapter."""
        every: dict[str, list[dict]] = {}
        for variants in self.variants.values():
            for run, further in variants.items():
                own = every.setdefault(run, [])
                own += [variant for variant in further if variant not in own]
        return every


def make_plan(profile: Mapping) -> Plan:
    """List the runs of a profile, as read from its YAML.

    The form of a profile is checked by ``workflow/profile.schema.yaml``; here it is what it names.

    Raises
    ------
    ParameterError
        A grid, a point or a run that it names is not as it should be.
    """
    plan, base = Plan(), {}
    for run in profile["runs"]:
        twice = f"profile {profile['profile']}: two runs are called {run['name']!r}"
        require(run["name"] not in base, twice)
        base[run["name"]] = run
        for seed in run["seeds"]:
            _add_run(plan, run["name"], run, seed)
    plan.shown["main"] = list(plan.runs)
    grids = [_with_run_names(grid, profile, base) for grid in profile.get("grids", [])]
    for grid in grids:
        for point in grid["points"]:
            for name in grid["of"]:
                _add_point_runs(plan, grid, point, name, base)
    for run, values in plan.runs.items():
        teacher = values.get("teacher", "")
        require(
            not teacher or teacher in plan.runs,
            f"run {run!r} has the teacher {teacher!r}, which is no run of the profile; add it with "
            "that seed",
        )
    return plan


def _with_run_names(grid: Mapping, profile: Mapping, base: Mapping) -> dict:
    """A grid with its patterns replaced by the names of runs."""
    where = f"profile {profile['profile']}, grid of {grid['chapter']}"
    names: dict[str, None] = {}
    for pattern in grid["of"]:
        matching = fnmatch.filter(base, pattern)
        known = f"there are: {', '.join(base)}"
        require(bool(matching), f"{where}: of={pattern!r} names no run of the profile; {known}")
        names |= dict.fromkeys(matching)
    points = [dict(point) for point in grid["points"]]
    return {"name": "", "variant": {}, **grid, "of": list(names), "points": points}


def _changes(point: Mapping) -> dict:
    """The parameters that a point sets."""
    return {key: value for key, value in point.items() if key not in POINT_FIELDS}


def _add_point_runs(plan: Plan, grid: Mapping, point: Mapping, name: str, base: Mapping) -> None:
    """Put the runs of one point and one of the runs that it varies into the plan, a seed each."""
    changes = _changes(point)
    words = {key: _in_words(value) for key, value in changes.items()}
    template = point.get("name") or grid["name"].format(**words) or "-".join(words.values())
    suffix, variant = _slug(template), {**point.get("variant", words), **grid["variant"]}
    run = base[name]
    itself = all(run.get(key) == value for key, value in changes.items())
    varied = {**run, **changes, "variant": variant}
    if run.get("teacher") in grid["of"]:
        teacher = base[run["teacher"]]
        if any(teacher.get(key) != value for key, value in changes.items()):
            varied["teacher"] = f"{run['teacher']}-{suffix}"
    shown = plan.shown.setdefault(grid["chapter"], [])
    variants = plan.variants.setdefault(grid["chapter"], {})
    own_seeds = run["seeds"] if itself else grid.get("seeds", run["seeds"])
    for seed in own_seeds:
        if itself:
            whole = _add_run(plan, name, run, seed)
        else:
            whole = _add_run(plan, f"{name}-{suffix}", varied, seed, varied=True)
        known = [plan.runs[whole].get("variant", {}), *variants.get(whole, [])]
        if variant not in known:
            variants.setdefault(whole, []).append(variant)
        if whole not in shown:
            shown.append(whole)


def _add_run(plan: Plan, name: str, run: Mapping, seed: int, varied: bool = False) -> str:
    """Put a run of one seed into the plan; its name.

    A ``varied`` one is not put there twice: the name of one of that model with the same parameters.
    """
    whole = f"{name}-s{seed}"
    values = {key: value for key, value in run.items() if key not in ("name", "seeds")}
    values["seed"] = seed
    if "teacher" in run:  # a student learns from the teacher of its own seed
        values["teacher"] = f"{run['teacher']}-s{seed}"
    if whole in plan.runs:
        if _numbers(plan.runs[whole]) != _numbers(values):
            raise ParameterError(
                f"two points make a run called {whole!r}, with {values} and {plan.runs[whole]}; "
                "give one another name"
            )
        return whole
    what = json.dumps({**_numbers(values), "model": run["model"]}, sort_keys=True)
    if varied and what in plan.names:
        return plan.names[what]
    plan.runs[whole] = values
    plan.names.setdefault(what, whole)
    return whole


def _numbers(values: Mapping) -> dict:
    """The parameters that a run's numbers depend on."""
    return {key: value for key, value in values.items() if key not in NAMES}


def _in_words(value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(dict.fromkeys(map(str, value.values())))
    return str(value)


def _slug(text: str) -> str:
    slug = re.sub(r"[^\w.]+", "-", text).strip("-")
    require(bool(slug), f"{text!r} cannot be part of a run's name", DataError)
    return slug
