"""What was chosen on the validation part, and who had converged there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..recorded import Recorded
from ..records.results import trained_on, validation_scores
from ..records.run import Run
from ..variants import Contender, contender_of
from .shared import spread

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Looked:
    """What the validation part says of one run.

    ``trained`` is what it learnt from, in words; ``scores`` maps a direction to metric and score.
    """

    corpus: str
    who: Contender
    trained: str
    scores: dict[str, tuple[str, float]]


def looked(runs: Sequence[Run]) -> list[Looked]:
    """Of this build's runs."""
    found = []
    for run in runs:
        scores = {direction: (metric, score) for direction, metric, score in validation_scores(run)}
        who = contender_of(run.params)
        found.append(Looked(run.params["corpus"], who, trained_on(run), scores))
    return found


def looked_before(recorded: Recorded) -> list[Looked]:
    """Of recorded runs."""
    found, table = [], recorded.scores
    if not len(table):
        return found
    for _, rows in table[table["part"] == "validation"].groupby("run", sort=False):
        first = rows.iloc[0]
        judged = set(combinations(first["reads"].split(), 2))
        scores = {
            f"{row.query} → {row.item}": (row.metric, row.score)
            for row in rows.itertuples()
            if (row.query, row.item) in judged
        }
        found.append(Looked(first["corpus"], first["contender"], first["trained"], scores))
    return found


def choices(looks: Sequence[Looked], what: str, usual: str) -> "DataFrame":
    """Scores on the validation part of runs that differ in one respect.

    A row a corpus, a model with its training views and a value of ``what``; ``usual`` is what the
    model has that no variant names. Mean ± standard deviation over seeds; models with no variant in
    this respect are left out.
    """
    import pandas as pd

    lines = [
        {"corpus": corpus, "model": model, what: value} | _mean_scores(own)
        for (corpus, model, value), own in _groups(looks, what, usual).items()
    ]
    return pd.DataFrame(lines).fillna("–")


def best_choice(looks: Sequence[Looked], what: str, usual: str) -> str:
    """A sentence: which value of ``what`` scores best on the validation part, and whether it is the
    ``usual`` one. "" if no runs differ in this.

    Every model and direction counts alike; a value counts if all models were trained with it.
    """
    groups = _groups(looks, what, usual)
    means: dict[str, list[float]] = {}
    for (_, _, value), own in groups.items():
        scores: dict[str, list[float]] = {}
        for look in own:
            for direction, (_, score) in look.scores.items():
                scores.setdefault(direction, []).append(score)
        means.setdefault(value, []).extend(float(np.mean(s)) for s in scores.values())
    if usual not in means:
        return ""
    whole = {v: float(np.mean(m)) for v, m in means.items() if len(m) == len(means[usual])}
    best = max(whole, key=lambda value: whole[value])
    end = "the one used" if best == usual else f"{usual}, the one used, has {whole[usual]:.3f}"
    return (
        f"By the plain mean over models and directions, of MRR and UAP alike, which ranks and means"
        f" nothing more, of {len(whole)} values of {what} the best is {best} ({whole[best]:.3f}),"
        f" {end}."
    )


def _groups(
    looks: Sequence[Looked], what: str, usual: str
) -> dict[tuple[str, str, str], list[Looked]]:
    """The varied models' runs by corpus, model and value of ``what``, the usual value first."""
    groups: dict[tuple[str, str, str], list[Looked]] = {}
    for look in looks:
        changes = look.who.changes
        value = look.who.value(what) if len(changes) == 1 else "" if changes else usual
        if value:
            key = look.corpus, f"{look.who.model}, {look.trained}", value
            groups.setdefault(key, []).append(look)
    varied = {key[:2] for key in groups if key[2] != usual}
    order = sorted(groups, key=lambda key: (key[0], key[1], key[2] != usual))
    return {key: groups[key] for key in order if key[:2] in varied}


def _mean_scores(looks: Sequence[Looked]) -> dict:
    found: dict[str, list[float]] = {}
    for look in looks:
        for direction, (metric, score) in look.scores.items():
            found.setdefault(f"{metric} {direction}", []).append(score)
    line = {direction: spread(np.array(scores)) for direction, scores in found.items()}
    return {"seeds": len(looks), **line}


def still_moving(table: "DataFrame", roles: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence a model and direction: how much its score moved over the last fifth of the way.

    ``roles`` is `m3l_book.records.selection.roles_by_corpus`'.
    """
    lines: list[str] = []
    if not len(table):
        return lines
    for (corpus, model, direction), rows in table.groupby(
        ["corpus", "model", "direction"], sort=False
    ):
        if corpus not in roles:
            continue
        means = rows.groupby("updates")["score"].mean()
        last, before = means.index[-1], means.index[means.index <= 0.8 * means.index[-1]]
        if len(before):
            moved = means.iloc[-1] - means[before[-1]]
            lines.append(
                f"{corpus}, {model}, {direction}: {means.iloc[-1]:.3f} after {last:,} updates,"
                f" {moved:+.3f} over the last fifth"
            )
    return lines
