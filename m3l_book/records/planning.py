"""Which runs a profile asks for: its list of runs, one a seed, and grids that vary some of them.

A *point* is a change, ``{topics: 25}``, made to each run that its grid is ``of``. A point that
changes nothing is that run itself, which then stands for the point's variant too.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from m3l.errors import DataError, choose, require

# of an entry of a profile's runs, not of the chapter that makes them
OWN_FIELDS = ("name", "seeds", "chapter")


@dataclass
class Plan:
    """What is to be run: by run, the ``chapter`` that makes it, and its parameters; by chapter, the
    runs that it compares, and the further ``variants`` that a run stands for there.
    """

    runs: dict[str, dict] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    variants: dict[str, dict[str, list[dict]]] = field(default_factory=dict)
    # what a run's numbers depend on, as text -> run name
    names: dict[str, str] = field(default_factory=dict, repr=False)

    def every_variant(self) -> dict[str, list[dict]]:
        """Return the further variants that each run stands for in any chapter."""
        every: dict[str, list[dict]] = {}
        for variants in self.variants.values():
            for run, further in variants.items():
                own = every.setdefault(run, [])
                own += [variant for variant in further if variant not in own]
        return every

    def shown_as(self, chapter: str) -> str:
        """Return the run whose notebook is this chapter, the first of most views that the profile
        itself lists; empty if it lists none.
        """
        own = [run for run in self.shown["main"] if self.runs[run]["chapter"] == chapter]
        return max(own, key=lambda run: len(self.runs[run]["train_views"]), default="")

    def add(self, name: str, run: Mapping, seed: int, varied: bool = False) -> str:
        """Add a run of one seed and return its name; one that is ``varied`` may be there already
        under another name, which is returned then.
        """
        whole = f"{name}-s{seed}"
        values = {key: value for key, value in run.items() if key not in ("name", "seeds")}
        values = {"chapter": "04-training", **values, "seed": seed}
        if "teacher" in run:  # a student learns from the teacher of its own seed
            values["teacher"] = f"{run['teacher']}-s{seed}"
        start = values.get("protocol", {}).get("start", "")
        if start:  # a run goes on from the one of its own seed
            values["protocol"] = {**values["protocol"], "start": f"{start}-s{seed}"}
        numbers = {key: value for key, value in values.items() if key != "variant"}
        what = json.dumps(numbers, sort_keys=True)
        if varied and what in self.names and whole not in self.runs:
            return self.names[what]
        same = {**self.runs.setdefault(whole, values), "variant": ""} == {**values, "variant": ""}
        twice = f"two points make a run called {whole!r}, with {values} and {self.runs[whole]}"
        require(same, f"{twice}; give one another name")
        self.names.setdefault(what, whole)
        return whole


def make_plan(profile: Mapping) -> Plan:
    """List the runs of a profile, whose form ``workflow/profile.schema.yaml`` has checked;
    `ParameterError` naming a run, a grid, a corpus, a teacher or a browser whose name stands twice
    or for nothing.
    """
    plan, base = Plan(), {run["name"]: run for run in profile["runs"]}
    names = [run["name"] for run in profile["runs"]]
    for name, run in base.items():
        twice = f"profile {profile['profile']}: two runs are called {name!r}"
        require(names.count(name) == 1, twice)
        for seed in run["seeds"]:
            plan.add(name, run, seed)
    plan.shown["main"] = list(plan.runs)
    for grid in profile.get("grids", []):
        for name in grid["of"]:
            where = f"profile {profile['profile']}, grid of {grid['chapter']}: of={name!r}"
            known = f"names no run of the profile; there are: {', '.join(base)}"
            require(name in base, f"{where} {known}")
        for point in grid["points"]:
            for name in grid["of"]:
                _add_point(plan, grid, point, base[name], base)
    for run, values in plan.runs.items():
        choose(f"run {run!r}: corpus", values["corpus"], profile["corpora"])
        teacher = values.get("teacher", "")
        lacks = f"run {run!r} has the teacher {teacher!r}, which is no run of the profile"
        require(teacher in ("", *plan.runs), f"{lacks}; add it with that seed")
    for name in profile.get("browsers", []):
        lacks = f"profile {profile['profile']}: browsers names {name!r}, which is no run of it"
        require(name in plan.runs, f"{lacks}; a run is called by its name and seed")
    return plan


def _add_point(plan: Plan, grid: Mapping, point: Mapping, run: Mapping, base: Mapping) -> None:
    """Add the runs of one point and one of the runs that it varies, a seed each."""
    changes = {key: value for key, value in point.items() if key not in ("name", "variant")}
    words = {key: _in_words(value) for key, value in changes.items()}
    try:
        named = point.get("name") or grid.get("name", "").format(**words)
    except (KeyError, IndexError):
        where = f"grid of {grid['chapter']}: name={grid['name']!r} names"
        raise DataError(f"{where} what a point lacks, {point}; give that point a name") from None
    named = named or "-".join(words.values())
    suffix = re.sub(r"[^\w.]+", "-", named).strip("-")
    require(bool(suffix), f"{named!r} cannot be part of a run's name", DataError)
    variant = {**point.get("variant", words), **grid.get("variant", {})}
    varied = {**run, **changes, "variant": variant}
    teacher = base.get(run.get("teacher"), {})
    if teacher.get("name") in grid["of"] and not _has(teacher, changes):
        varied["teacher"] = f"{teacher['name']}-{suffix}"
    shown = plan.shown.setdefault(grid["chapter"], [])
    variants = plan.variants.setdefault(grid["chapter"], {})
    itself = _has(run, changes)
    for seed in run["seeds"] if itself else grid.get("seeds", run["seeds"]):
        name = run["name"] if itself else f"{run['name']}-{suffix}"
        whole = plan.add(name, run if itself else varied, seed, varied=not itself)
        if variant not in (plan.runs[whole].get("variant", {}), *variants.get(whole, [])):
            variants.setdefault(whole, []).append(variant)
        if whole not in shown:
            shown.append(whole)


def _has(run: Mapping, changes: Mapping) -> bool:
    """Whether a run has these settings already."""
    return all(run.get(key) == value for key, value in changes.items())


def _in_words(value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(dict.fromkeys(map(str, value.values())))
    return str(value)
