"""The runs of a build held against the recorded ones: is each number one that another recorded
seed might have given, and does each claim's comparison point the same way?
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from .claims.judging import Verdict
from .measured import Key
from .recorded import Recorded

LEVEL = 0.05  # the chance that any number of a build lies outside, if it is of the recorded kind
FEWEST = 3  # recorded seeds that have a spread


@dataclass(frozen=True)
class Cell:
    """One measure of one model, the mean over the build's seeds.

    ``low`` and ``high`` bound where a new seed is expected, given the recorded ones.
    """

    value: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the number is one that another recorded seed might have given."""
        return bool(self.low <= self.value <= self.high)


def same_corpora(recorded: Recorded, live: Recorded) -> list[str]:
    """Return the corpora of a build that are those recorded, by their checksums."""
    known = recorded.about.get("prepared", {})
    own = live.about.get("prepared", {})
    return [corpus for corpus, checksum in own.items() if known.get(corpus) == checksum]


def _settings(results: Recorded) -> dict[tuple, set[tuple]]:
    """Return topics, passes, batch size and encoders of each contender on each corpus."""
    found: dict[tuple, set[tuple]] = {}
    for row in results.scores.drop_duplicates("run").itertuples():
        settings = int(row.topics), int(row.passes), str(row.batch_size), row.encoders
        found.setdefault((row.corpus, row.contender), set()).add(settings)
    return found


def held_against(recorded: Recorded, live: Recorded) -> dict[Key, Cell]:
    """Hold each measure of a build's trained models against the recorded seeds'.

    Compared are models with the recorded settings on the recorded corpora. The bounds are those of
    a *t* prediction interval of the mean of the build's seeds, widened for how many measures are
    looked at (Bonferroni), so that with `LEVEL` chance any is outside.
    """
    corpora = same_corpora(recorded, live)
    if not corpora:
        return {}
    before, now = _settings(recorded), _settings(live)
    fits = {who for who, settings in now.items() if settings <= before.get(who, set())}
    keys = [
        key
        for key, measured in live.measured.items()
        if key[0] in corpora
        and (key[0], key[-1]) in fits
        and measured.trained
        and key in recorded.measured
        and len(recorded.measured[key].values) >= FEWEST
    ]
    cells = {}
    for key in keys:
        seeds = recorded.measured[key].values.mean(axis=1)
        values = live.measured[key].values.mean(axis=1)
        factor = stdtrit(len(seeds) - 1, 1 - LEVEL / (2 * len(keys)))
        half = factor * seeds.std(ddof=1) * np.sqrt(1 / len(values) + 1 / len(seeds))
        mean = float(seeds.mean())
        cells[key] = Cell(float(values.mean()), mean - half, mean + half)
    return cells


def summary(cells: Mapping[Key, Cell]) -> str:
    """Say in Markdown how many numbers are inside, and name those that are not."""
    if not cells:
        return (
            "The runs of this build are of other corpora or settings than the recorded ones, so"
            " their numbers are not held against them."
        )
    outside = [
        f"{who} {measure} {pair} on {corpus}, {cell.value:.3f} where {cell.low:.3f} to"
        f" {cell.high:.3f} is expected"
        for (corpus, _, measure, pair, who), cell in cells.items()
        if not cell.inside
    ]
    text = (
        f"Of {len(cells)} scores that this build measured again, {len(cells) - len(outside)} lie"
        " within the range that the recorded seeds predict."
    )
    return f"{text} Outside: {'; '.join(outside)}." if outside else text


def points(verdict: Verdict, live: Verdict | None) -> str:
    """Say whether a build's means point where a decided verdict does: "same", "other" or "".

    The means of the build are taken as exact: a claim that replicated points the same way if every
    comparison is above zero there, one that differed if any is not.
    """
    if live is None or verdict.verdict not in ("replicates", "differs"):
        return ""
    cases = [case for case in live.cases if case.corpus in verdict.by_corpus]
    if not cases:
        return ""
    holds = all(case.value > 0 for case in cases)
    return "same" if holds == (verdict.verdict == "replicates") else "other"


def agreement(verdicts: Mapping[str, Verdict], live: Mapping[str, Verdict]) -> str:
    """Say of how many decided claims a build's means point the same way, naming the others."""
    ways = {name: points(verdict, live.get(name)) for name, verdict in verdicts.items()}
    ways = {name: way for name, way in ways.items() if way}
    if not ways:
        return ""
    other = [f"“{verdicts[name].claim.claim}”" for name, way in ways.items() if way == "other"]
    text = (
        f"Of {len(ways)} decided claims that this build's runs speak to, their means point the same"
        f" way on {len(ways) - len(other)}"
    )
    return f"{text}; not on {'; '.join(other)}." if other else f"{text}."
