"""What was chosen on the validation part, and who had converged there."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..records.run import Run, updates_an_epoch
from ..variants import Contender, contender_of
from .cells import spread

if TYPE_CHECKING:
    from pandas import DataFrame


def _validation(run: Run) -> Iterator[tuple[str, str, float]]:
    """Direction, metric and score on the validation part of the directions a run is judged by."""
    rows = {(row["query"], row["item"]): row for row in run.metrics.get("validation", [])}
    for query, item in combinations(run.params["encoders"], 2):
        if (query, item) in rows:
            row = rows[query, item]
            yield f"{query} → {item}", row["metric"], row["score"]


def choices(runs: Sequence[Run], what: str, usual: str) -> "DataFrame":
    """Scores on the validation part of runs that differ in one respect.

    A row a corpus, a model with its training views and a value of ``what``; ``usual`` is what the
    model has that no variant names. Mean ± standard deviation over seeds; models with no variant in
    this respect are left out.
    """
    import pandas as pd

    lines = [
        {"corpus": corpus, "model": model, what: value} | _mean_scores(own)
        for (corpus, model, value), own in _groups(runs, what, usual).items()
    ]
    return pd.DataFrame(lines).fillna("–")


def best_choice(runs: Sequence[Run], what: str, usual: str) -> str:
    """A sentence: which value of ``what`` scores best on the validation part, and whether it is the
    ``usual`` one. "" if no runs differ in this.

    Every model and direction counts alike; a value counts if all models were trained with it.
    """
    groups = _groups(runs, what, usual)
    means: dict[str, list[float]] = {}
    for (_, _, value), own in groups.items():
        scores: dict[str, list[float]] = {}
        for run in own:
            for direction, _, score in _validation(run):
                scores.setdefault(direction, []).append(score)
        means.setdefault(value, []).extend(float(np.mean(s)) for s in scores.values())
    if usual not in means:
        return ""
    whole = {v: float(np.mean(m)) for v, m in means.items() if len(m) == len(means[usual])}
    best = max(whole, key=lambda value: whole[value])
    end = "the one used" if best == usual else f"{usual}, the one used, has {whole[usual]:.3f}"
    return (
        f"Over models and directions alike, of {len(whole)} values of {what} the best is {best}"
        f" ({whole[best]:.3f}), {end}."
    )


def _groups(runs: Sequence[Run], what: str, usual: str) -> dict[tuple[str, str, str], list[Run]]:
    """The varied models' runs by corpus, model and value of ``what``, the usual value first."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        who = contender_of(run.params)
        value = who.value(what) if len(who.changes) == 1 else "" if who.changes else usual
        if value:
            trained = " + ".join(run.params["train_views"])
            model = f"{who.model}, {_taught(run)}{trained}"
            groups.setdefault((run.params["corpus"], model, value), []).append(run)
    varied = {key[:2] for key in groups if key[2] != usual}
    order = sorted(groups, key=lambda key: (key[0], key[1], key[2] != usual))
    return {key: groups[key] for key in order if key[:2] in varied}


def _taught(run: Run) -> str:
    teacher = run.params.get("teacher", "")
    home = [view for view in run.params["encoders"] if view not in run.params["train_views"]]
    return f"{home[0]} to " if teacher and home else ""


def _mean_scores(runs: Sequence[Run]) -> dict:
    found: dict[str, list[float]] = {}
    for run in runs:
        for direction, metric, score in _validation(run):
            found.setdefault(f"{metric} {direction}", []).append(score)
    line = {direction: spread(np.array(scores)) for direction, scores in found.items()}
    return {"seeds": len(runs), **line}


def longest(runs: Sequence[Run]) -> list[Run]:
    """The models of the main tables; of each, the runs that were trained for most epochs."""
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        who = contender_of(run.params)
        if {what for what, _ in who.changes} <= {"epochs"} and "epochs" in run.params:
            key = run.params["corpus"], who.model, _taught(run), tuple(run.params["train_views"])
            groups.setdefault(key, []).append(run)
    most = {key: max(run.params["epochs"] for run in own) for key, own in groups.items()}
    return [run for key, own in groups.items() for run in own if run.params["epochs"] == most[key]]


def curves(runs: Sequence[Run]) -> "DataFrame":
    """Scores on the validation part against updates, of the runs that were looked at on the way.

    Columns corpus, model (with its training views), direction, metric, seed, updates, score.
    """
    import pandas as pd

    rows = []
    for run in runs:
        who = Contender(run.params["model"])
        name = f"{who.short} {_taught(run)}{' + '.join(run.params['train_views'])}"
        about = {"corpus": run.params["corpus"], "model": name, "seed": run.params["seed"]}
        metrics = {direction: metric for direction, metric, _ in _validation(run)}
        for epoch in run.history:
            for direction, metric in metrics.items():
                score = epoch.get(direction.replace(" → ", ">"))
                if isinstance(score, (int, float)) and np.isfinite(score):
                    where = {"direction": direction, "metric": metric}
                    at = {
                        "updates": updates_an_epoch(run) * int(epoch["epoch"]),
                        "score": float(score),
                    }
                    rows.append(about | where | at)
    return pd.DataFrame(rows)


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
