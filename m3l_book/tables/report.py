"""Tables of the reproduction report."""

from collections.abc import Iterable

import pandas as pd

from ..claims.judging import Verdict
from ..recorded import Recorded
from ..records.collection import Collection


def corpora_table(collection: Collection) -> pd.DataFrame:
    """Corpora of the runs: training tuples and encoders of their views."""
    rows = {}
    for run in collection.records:
        row = rows.setdefault(run.params["corpus"], {"training tuples": 0, "encoders": {}})
        row["training tuples"] = max(row["training tuples"], run.metrics["training_tuples"])
        for view, encoder in run.params["encoders"].items():
            row["encoders"].setdefault(view, set()).add(encoder)
    return pd.DataFrame(
        {
            "corpus": corpus,
            "training tuples, at most": row["training tuples"],
            "encoders": "; ".join(
                f"{view}: {', '.join(sorted(names))}" for view, names in row["encoders"].items()
            ),
        }
        for corpus, row in rows.items()
    )


def cost(collection: Collection, recorded: Recorded) -> str:
    """What was run and what it cost, in a sentence or two."""
    seconds = sum(run.metrics["seconds"] for run in collection.records)
    took = f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds / 60:.1f} min"
    here = f"This build trained {len(collection.records)} models in {took}"
    if recorded.folder is None:
        return f"{here}."
    about = recorded.about
    hours = about["seconds"] / 3600
    return (
        f"{here}; the recorded verdicts rest on {about['runs']} models, {hours:.1f} h on one core"
        f" each of {about['machine']}, recorded on {about['recorded']}."
    )


def scores_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """What the main comparisons rest on: a row a model, corpus and direction."""
    rows: dict[tuple, dict] = {}
    for verdict in verdicts:
        claim = verdict.claim
        if claim.chapter != "07-retrieval":
            continue
        for (corpus, pair, who), mean in verdict.means.items():
            if corpus in verdict.by_corpus and not who.changes:
                printed = verdict.paper_means.get((pair, who))
                rows[corpus, claim.measure, pair, who.model] = {
                    "corpus": corpus,
                    "measure": claim.measure,
                    "direction": pair.replace("-", " → "),
                    "model": who.model,
                    "measured": f"{mean:.3f}",
                    "paper": "–" if printed is None else f"{printed:.3f}",
                }
    return pd.DataFrame(rows[key] for key in sorted(rows))


def claims_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """A row a claim: its section, what it says, whether the paper's own tables bear it out, and
    the verdict.
    """
    bears = {"yes": "yes", "no": "no"}
    return pd.DataFrame(
        {
            "section": verdict.claim.section,
            "claim": verdict.claim.claim,
            "paper's tables": bears.get(verdict.paper_agrees, "–"),
            "verdict": verdict.verdict,
        }
        for verdict in verdicts
    )


def untested_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """A row a claim that is not tested, with the reason."""
    return pd.DataFrame(
        {"section": v.claim.section, "claim": v.claim.claim, "why not": v.claim.remark(v.by_corpus)}
        for v in verdicts
    )
