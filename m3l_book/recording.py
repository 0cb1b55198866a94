"""Keep what runs measured with the project, in ``data/results/``: see `m3l_book.recorded`."""

import csv
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, require
from m3l.files import atomic, write_csv, write_json

from .alignment import alignment_rows
from .claims.judging import Verdict
from .measured import Measurements, load_measurements, save_measurements
from .recorded import Recorded, everything, load_recorded, run_row, score_rows
from .records.collection import Collection
from .records.learning import curves, longest
from .records.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame


def record(
    collection: Collection,
    folder: str | Path,
    profile: str,
    paper: str,
    plan: Sequence[str] = (),
) -> dict:
    """Write what the runs of a collection measured, atomically; runs that were recorded before and
    are not in it stay as they are.

    Parameters
    ----------
    collection : Collection
    folder : path
    profile : str
    paper : path
        The folder of the paper's numbers and claims.
    plan : names of runs
        Those of the profile; what of them is not recorded then is named as missing.

    Returns
    -------
    What ``about.json`` says.

    Raises
    ------
    DataError
        A model has fewer seeds here than were recorded, or a corpus is another one.
    """
    before = load_recorded(folder) if (Path(folder) / "about.json").is_file() else Recorded()
    measured = everything(collection)
    records, fresh = collection.records, {run.folder.name for run in collection.records}
    runs = [*_kept_rows(before, "runs", fresh), *(run_row(run) for run in records)]
    scores = [*_kept_rows(before, "scores", fresh)]
    scores += [row for run in records for row in score_rows(run)]
    about = {
        "profile": profile,
        **_origin(collection),
        "runs": len(runs),
        "missing": [name for name in plan if name not in {row["run"] for row in runs}],
        "seconds": round(sum(float(row["seconds"]) for row in runs)),
        "roles": before.roles_with(collection.roles),
        "generated": sorted({*before.generated, *collection.generated}),
        "articles": before.about.get("articles", {})
        | {corpus: _articles(collection, corpus) for corpus in collection.roles},
        "prepared": _same_corpora(collection, before),
        "data": sorted(
            {f"{r.params['corpus']} {r.metrics['data']}" for r in records}
            | set(before.about.get("data", []))
        ),
        "earlier": _earlier(before),
    }
    with atomic(folder, directory=True) as temporary:
        save_measurements(temporary / "measurements", _with_earlier(before.measured, measured))
        write_json(temporary / "about.json", about)
        write_csv(temporary / "runs.csv", runs)
        write_csv(temporary / "scores.csv", scores)
        if alignment := _alignment_with_earlier(before, collection):
            write_csv(temporary / "alignment.csv", alignment)
        _curves_with_earlier(before, records).to_csv(temporary / "curves.csv", index=False)
        kept = Recorded(None, about, load_measurements(temporary / "measurements"))
        write_json(temporary / "verdicts.json", outcomes(kept.verdicts(paper)))
    return about


def _origin(collection: Collection) -> dict:
    """Where and when the runs of a collection are recorded, and how many they are."""
    return {
        "commit": _commit(),
        "recorded": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": collection.records[0].metrics["environment"],
    }


def _earlier(before: Recorded) -> list[dict]:
    """What was recorded before, by where and when."""
    if before.folder is None:
        return []
    told = ("commit", "recorded", "machine", "versions", "runs")
    return [*before.about.get("earlier", []), {key: before.about[key] for key in told}]


def _kept_rows(before: Recorded, name: str, fresh: set[str]) -> list[dict]:
    """The rows of a table of what was recorded before, without those of runs that are here."""
    if before.folder is None:
        return []
    with open(before.folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["run"] not in fresh]


def _with_earlier(before: Measurements, measured: Measurements) -> Measurements:
    """Measurements, and what was measured before of other models."""
    for key in before.keys() & measured.keys():
        there, here = len(before[key].values), len(measured[key].values)
        fewer = f"{key[-1]} on {key[0]}: {there} seeds were recorded and {here} are here; make the"
        require(here >= there, f"{fewer} others, or none of it", DataError)
    return {**before, **measured}


def _curves_with_earlier(before: Recorded, records: Sequence[Run]) -> "DataFrame":
    import pandas as pd

    new, old, own = curves(longest(records)), before.curves, ["corpus", "model"]
    if not len(old) or not len(new):
        return old if len(old) else new
    replaced = set(map(tuple, new[own].to_numpy()))
    stays = [tuple(row) not in replaced for row in old[own].to_numpy()]
    return pd.concat([old[stays], new], ignore_index=True)


def _alignment_with_earlier(before: Recorded, collection: Collection) -> list[dict]:
    """The rows of ``alignment.csv``: those of this collection's encoders, and earlier ones of
    others.
    """
    rows = [
        {key: _number(value) for key, value in row.items()} for row in alignment_rows(collection)
    ]
    here = {(row["corpus"], row["encoders"]) for row in rows}
    old = []
    if before.folder is not None and (before.folder / "alignment.csv").is_file():
        with open(before.folder / "alignment.csv", encoding="utf-8", newline="") as file:
            old = list(csv.DictReader(file))
    return [row for row in old if (row["corpus"], row["encoders"]) not in here] + rows


def _number(value):
    """A value as a table keeps it: a number to four digits, "" for none."""
    if isinstance(value, str):
        return value
    return "" if value != value else round(float(value), 4)


def _same_corpora(collection: Collection, before: Recorded) -> dict[str, str]:
    """The corpora's checksums; `DataError` if one was another when it was recorded before."""
    known = before.about.get("prepared", {})
    here = {c: card["hashes"]["tuples"] for c, card in collection.cards.items()}
    for corpus, checksum in here.items():
        same = known.get(corpus, checksum) == checksum
        require(
            same, f"corpus {corpus} is not the one that was recorded; record all anew", DataError
        )
    return known | here


def outcomes(judged: Mapping[str, Verdict]) -> dict[str, dict]:
    """Verdicts as ``verdicts.json`` has them: the word, each corpus's, and each comparison."""
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


def _articles(collection: Collection, corpus: str) -> int:
    """Articles of a corpus's training part."""
    return collection.cards[corpus]["counts"]["train"]["articles"]


def machine() -> str:
    """The processor, as the system names it, and how many cores of it there are."""
    import os

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor() or platform.machine()])[0]}, {os.cpu_count()} cores"


def _commit() -> str:
    """The commit of the checkout, with a + if files were changed since."""
    try:
        asked = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise DataError(f"git does not say which commit this is ({error})") from error
