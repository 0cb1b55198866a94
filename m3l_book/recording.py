"""Keep what runs measured with the project, in ``data/results/``: see `m3l_book.recorded`."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, require
from m3l.files import atomic, write_json

from .claims.judging import Verdict
from .measured import Key, Measured, Measurements, load_measurements, save_measurements
from .recorded import Recorded, load_recorded, of_runs
from .records.collection import Collection
from .records.results import curves, longest, run_row, runs_behind, score_rows, tidy
from .records.run import commit, processor

if TYPE_CHECKING:
    from pandas import DataFrame


def record(
    collection: Collection,
    folder: str | Path,
    profile: str,
    paper: str,
    plan: Sequence[str] = (),
) -> dict:
    """Write what the runs of a collection measured, atomically; return what ``about.json`` says.

    Runs that were recorded before and are not in the collection stay as they are; runs of ``plan``
    that are not recorded then are named as missing. ``paper`` is the folder of the paper's numbers
    and claims. `DataError` if a corpus is another one than was recorded, or what a recorded run
    measured is not there.
    """
    before = load_recorded(folder) if (Path(folder) / "about.json").is_file() else Recorded()
    here = of_runs(collection)
    tables = _tables(before, here)
    about = {"profile": profile, **_about(before, here, tables["runs"], plan)}
    measured = _with_earlier(before, here, tables)
    with atomic(folder, directory=True) as temporary:
        save_measurements(temporary / "measurements", measured)
        write_json(temporary / "about.json", about)
        for name, table in tables.items():
            if len(table):
                table.to_csv(temporary / f"{name}.csv", index=False, lineterminator="\n")
        kept = Recorded(None, about, load_measurements(temporary / "measurements"))
        write_json(temporary / "verdicts.json", outcomes(kept.verdicts(paper)))
    return about


def _tables(before: Recorded, here: Recorded) -> dict[str, "DataFrame"]:
    """Return every table of a record by name: the rows of this collection after those that were
    recorded before of other runs, models or encoders.
    """
    import pandas as pd

    runs = here.collection.records
    fresh = {
        "runs": (pd.DataFrame(map(run_row, runs)), ["run"]),
        "scores": (pd.DataFrame(row for run in runs for row in score_rows(run)).round(4), ["run"]),
        "alignment": (here.alignment.round(4), ["corpus", "encoders"]),
        "curves": (curves(longest(runs)), ["corpus", "model"]),
    }
    tables = {}
    for name, (new, own) in fresh.items():
        # as text, so that what was recorded stays as it was written
        old = before.read(f"{name}.csv", dtype=str, na_filter=False)
        if len(old) and len(new):
            new = _no_shorter(new, old) if name == "curves" else new
            known = set(new[own].itertuples(index=False, name=None))
            stays = [row not in known for row in old[own].itertuples(index=False, name=None)]
            new = pd.concat([old[stays], new.astype(object)], ignore_index=True).fillna("")
        tables[name] = new if len(new) else old
    return tables


def _no_shorter(new: "DataFrame", old: "DataFrame") -> "DataFrame":
    """Leave out the curves of models that were followed to more updates before."""
    model = ["corpus", "model"]
    ends = old.astype({"updates": int}).groupby(model)["updates"].max()
    reached = new.groupby(model)["updates"].transform("max")
    before = ends.reindex([*zip(new["corpus"], new["model"], strict=True)], fill_value=0)
    return new[reached.to_numpy() >= before.to_numpy()]


def _about(before: Recorded, here: Recorded, runs: "DataFrame", plan: Sequence[str]) -> dict:
    """Say where, when and of what is recorded; `DataError` if a corpus is not the recorded one."""
    collection, known = here.collection, before.about
    for corpus, checksum in here.about["prepared"].items():
        same = known.get("prepared", {}).get(corpus, checksum) == checksum
        other = f"corpus {corpus} is not the one that was recorded; record all anew"
        require(same, other, DataError)
    articles = {c: card["counts"]["train"]["articles"] for c, card in collection.cards.items()}
    where = ("commit", "recorded", "machine", "versions", "runs")
    last = [{key: known[key] for key in where}] if known else []
    made_from = commit()
    require(bool(made_from), "git does not say which commit this is", DataError)
    return {
        "commit": made_from,
        "recorded": datetime.now(UTC).date().isoformat(),
        "machine": processor(),
        "versions": collection.records[0].metrics["environment"],
        "runs": len(runs),
        "missing": [name for name in plan if name not in set(runs["run"])],
        "seconds": round(runs["seconds"].astype(float).sum()),
        "roles": before.roles_with(here.roles),
        "generated": sorted({*before.generated, *here.generated}),
        "articles": known.get("articles", {}) | articles,
        "prepared": known.get("prepared", {}) | here.about["prepared"],
        "earlier": [*known.get("earlier", []), *last],
    }


def _with_earlier(before: Recorded, here: Recorded, tables: Mapping) -> Measurements:
    """Return what is measured of all runs that ``tables`` have: of each run here, or before.

    What several runs measured together (the topic space) stays as it was until all of them are
    here.
    """
    table = tidy(_as_read(tables["scores"]).merge(_as_read(tables["runs"]), on="run"))
    behind = runs_behind(table[table["part"] == "test"], before.roles_with(here.roles))
    made = {run.folder.name for run in here.collection.records}
    gone = table[~table["run"].isin(made)]
    partly = set(zip(gone["corpus"], gone["contender"], strict=True))
    measured = dict(before.measured)
    for key, new in here.measured.items():
        old = before.measured.get(key, new)
        # of a further variant, which no row of a table has
        runs = new.runs if set(new.runs) >= set(old.runs) else old.runs
        if key[2] == "NPMI":
            runs = tuple(dict.fromkeys((*old.runs, *new.runs)))
        runs = behind.get(key, runs)
        if runs:
            measured[key] = _of_these(runs, old, new, key)
        elif (key[0], key[-1]) not in partly:
            measured[key] = new
    return measured


def _of_these(runs: Sequence[str], old: Measured, new: Measured, key: Key) -> Measured:
    """Join what was measured of ``runs`` before and here; `DataError` if one has nothing, or if
    both are not of the same articles.
    """
    where = f"{key[2]} of {key[-1]} on {key[0]}"
    same = np.array_equal(old.units, new.units)
    require(same, f"{where}: measured on other articles than was recorded", DataError)
    values = dict(zip(old.runs, old.values, strict=True)) | dict(
        zip(new.runs, new.values, strict=True)
    )
    lacking = [run for run in runs if run not in values]
    message = f"{where}: what {', '.join(lacking)} measured is not recorded; make it again"
    require(not lacking, message, DataError)
    return Measured(np.stack([values[run] for run in runs]), new.units, new.trained, (*runs,))


def _as_read(table: "DataFrame") -> "DataFrame":
    """Give a table as it will be read again."""
    import pandas as pd

    text = table.to_csv(index=False, lineterminator="\n")
    return pd.read_csv(io.StringIO(text), na_filter=False)


def outcomes(judged: Mapping[str, Verdict]) -> dict[str, dict]:
    """Return verdicts as ``verdicts.json`` has them: the word, each corpus's, each comparison."""
    return {
        name: {
            "verdict": verdict.verdict,
            "by_corpus": verdict.by_corpus,
            "cases": [
                {"corpus": c.corpus, "pair": c.pair, "seeds": c.seeds, "right": c.right}
                | {key: round(getattr(c, key), 6) for key in ("value", "low", "high")}
                for c in verdict.cases
            ],
        }
        for name, verdict in judged.items()
    }
