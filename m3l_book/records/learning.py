"""What the validation part says of runs: at their end, and on the way."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..variants import Contender, contender_of
from .run import Run, updates_an_epoch

if TYPE_CHECKING:
    from pandas import DataFrame


def trained_on(run: Run) -> str:
    """What a run learnt from, in words: its views; of a student, its teacher's language first."""
    trained = run.params["train_views"]
    home = [view for view in run.params["encoders"] if view not in trained]
    taught = f"{home[0]} to " if run.params.get("teacher") and home else ""
    return f"{taught}{' + '.join(trained)}"


def validation_scores(run: Run) -> Iterator[tuple[str, str, float]]:
    """Direction, metric and score on the validation part of the directions a run is judged by."""
    rows = {(row["query"], row["item"]): row for row in run.metrics.get("validation", [])}
    for query, item in combinations(run.params["encoders"], 2):
        if (query, item) in rows:
            row = rows[query, item]
            yield f"{query} → {item}", row["metric"], row["score"]


def longest(runs: Sequence[Run]) -> list[Run]:
    """The models of the main tables; of each, the runs that were trained for most epochs."""
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        who = contender_of(run.params)
        if {what for what, _ in who.changes} <= {"epochs"} and "epochs" in run.params:
            groups.setdefault((run.params["corpus"], who.model, trained_on(run)), []).append(run)
    most = {key: max(run.params["epochs"] for run in own) for key, own in groups.items()}
    return [run for key, own in groups.items() for run in own if run.params["epochs"] == most[key]]


def curves(runs: Sequence[Run]) -> "DataFrame":
    """Scores on the validation part against updates, of the runs that were looked at on the way.

    Columns corpus, model (with its training views), direction, metric, seed, updates, score.
    """
    import pandas as pd

    rows = []
    for run in runs:
        name = f"{Contender(run.params['model']).short} {trained_on(run)}"
        about = {"corpus": run.params["corpus"], "model": name, "seed": run.params["seed"]}
        metrics = {direction: metric for direction, metric, _ in validation_scores(run)}
        for epoch in run.history:
            updates = updates_an_epoch(run) * int(epoch["epoch"])
            for direction, metric in metrics.items():
                score = epoch.get(direction.replace(" → ", ">"))
                if isinstance(score, (int, float)) and np.isfinite(score):
                    where = {"direction": direction, "metric": metric}
                    rows.append({**about, **where, "updates": updates, "score": float(score)})
    return pd.DataFrame(rows)
