"""Topics as a user renamed and merged them: a small table in her profile, applied to what a run
learnt without any training.

::

    topics:
      my-m3l-k20-s0:
        of: t1a2b3c4d
        names: {3: "Horses", 7: "Railways"}
        merge: [[3, 12], [5, 6, 9]]

``of`` says which topics were meant (`digest_of`): once the run is trained anew they are others, and
what is said of them is left alone. Without it names and merges are of whatever the run has.
"""

from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from m3l.errors import DataError, require
from m3l.files import digest_file

from ..records.run import Run
from .profile import read_profile


@dataclass(frozen=True)
class Edits:
    """Which topics of a run are one (``groups``), and what each group is called (``names``).

    ``groups`` are lists of the run's own topic numbers; a group goes by its least number.
    """

    groups: list[list[int]]
    names: list[str]
    stale: bool = False  # what is said is of topics that the run had before

    def sums(self, theta: np.ndarray) -> np.ndarray:
        """Add up the shares of topics that are one: from (M, K) to (M, number of groups)."""
        if len(self.groups) == theta.shape[1]:
            return theta
        return np.stack([theta[:, group].sum(axis=1) for group in self.groups], axis=1)

    def applied(self, run: Run) -> Run:
        """Return a run with these topics: shares added, words taken in turn, coherence averaged."""
        if all(len(group) == 1 for group in self.groups):
            return run
        topics = {
            language: [_in_turn([own[k] for k in group]) for group in self.groups]
            for language, own in run.topics.items()
        }
        npmi = {
            language: [float(np.mean([values[k] for k in group])) for group in self.groups]
            for language, values in run.metrics.get("npmi_of_topics", {}).items()
        }
        theta = {view: self.sums(values) for view, values in run.theta.items()}
        metrics = {**run.metrics, "npmi_of_topics": npmi}
        return replace(run, topics=topics, theta=theta, metrics=metrics)


def edits_of(run: Run, profile: str | Path) -> Edits:
    """Read what a profile says of a run's topics; without a profile they are as they were learnt.

    Raises
    ------
    DataError
        A number is no topic of the run, or is merged twice; a name is no text; what is merged is no
        list.
    """
    given = read_profile(Path(profile)) if Path(profile).is_file() else {}
    said = (given.get("topics") or {}).get(run.folder.name) or {}
    stale = str(said.get("of", digest_of(run))) != digest_of(run)
    said = {} if stale else said
    known = range(next(iter(run.theta.values())).shape[1])
    where = f"{profile}: topics: {run.folder.name}:"
    names, merge = said.get("names") or {}, said.get("merge") or []
    lists = all(isinstance(group, list) for group in merge)
    require(lists, f"{where} merge: {merge}: expected lists, as [[3, 12]]", DataError)
    texts = all(isinstance(name, (str, int, float)) for name in names.values())
    require(texts, f"{where} names: {dict(names)}: expected texts", DataError)
    merged = list(chain.from_iterable(merge))
    wrong = [number for number in [*merged, *map(_number, names)] if number not in known]
    there = f"they go from 0 to {known[-1]}"
    require(not wrong, f"{where} {wrong[:1]} is no topic of the run; {there}", DataError)
    twice = sorted({number for number in merged if merged.count(number) > 1})
    require(not twice, f"{where} topic {twice[:1]} is merged twice", DataError)
    groups = [sorted(group) for group in merge if group]
    groups = sorted([*groups, *([k] for k in known if k not in merged)])
    called = {_number(number): str(name) for number, name in names.items()}
    own = [next((called[k] for k in group if k in called), _plain(group)) for group in groups]
    return Edits(groups, own, stale)


def digest_of(run: Run) -> str:
    """Return a checksum of a run's topics as they were learnt, which YAML reads as text."""
    return f"t{digest_file(run.folder / 'topics.json')[:8]}"


def _number(key: object) -> int:
    return int(key) if str(key).isdecimal() else -1


def _plain(group: list[int]) -> str:
    return "topic " + " + ".join(map(str, group))


def _in_turn(lists: list[list[str]]) -> list[str]:
    """Take words from lists in turn, each once, as many as the longest list has."""
    words = dict.fromkeys(word for row in zip_longest(*lists) for word in row if word is not None)
    return list(words)[: max(map(len, lists))]
