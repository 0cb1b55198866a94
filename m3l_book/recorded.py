"""What was measured at the paper's settings and is kept with the project, in ``data/results/``: it
is shown beside what a build measures itself.

A folder holds ``about.json`` (machine, versions, commit, seconds), ``runs.csv`` (a row a run),
``scores.csv`` (a row a run, part and direction), ``curves.csv`` (scores on the validation part
against updates), ``measurements/`` (each query's value of every
model) and ``verdicts.json`` (what became of each claim).
"""

import csv
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, require
from m3l.files import atomic, read_json, write_csv, write_json

from . import topic_space
from .claims.judging import Verdict, verdicts
from .measured import Measurements, load_measurements, save_measurements
from .records.collection import Collection
from .records.learning import curves, longest, trained_on
from .records.run import PARTS, Run, updates_an_epoch
from .variants import Contender, contender_of

if TYPE_CHECKING:
    from pandas import DataFrame

OWN_SCORES = ("query", "item", "metric", "score", "jsd", "chance")


@dataclass(frozen=True)
class Recorded:
    """Recorded results.

    Attributes
    ----------
    folder : Path or None
        None where nothing is recorded: then all else is empty.
    about : dict
        ``profile``, ``commit``, ``machine``, ``versions``, ``seconds``, ``runs``, ``missing``,
        ``roles`` and ``generated`` (both of `Collection`), ``articles`` (training, by corpus),
        ``earlier``: where and when runs were recorded before the last ones.
    measured : Measurements
    """

    folder: Path | None = None
    about: dict = field(default_factory=dict)
    measured: Measurements = field(default_factory=dict, repr=False)

    @property
    def roles(self) -> dict[str, dict[str, str]]:
        """The part that each view of each corpus plays in the paper's terms."""
        return self.about.get("roles", {})

    def roles_with(self, own: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """`roles` and those of a build, by corpus; a view of either counts, though the runs of one
        of them do not read it.
        """
        corpora = dict.fromkeys([*self.roles, *own])
        return {name: self.roles.get(name, {}) | dict(own.get(name, {})) for name in corpora}

    @property
    def generated(self) -> list[str]:
        """The corpora that decide nothing."""
        return self.about.get("generated", [])

    @property
    def words(self) -> str:
        """Where and when it was recorded."""
        text = f"at the paper's settings ({self.about['runs']} runs, "
        return f"{text}recorded on {self.about['recorded']}, {self.about['machine']})"

    @cached_property
    def scores(self) -> "DataFrame":
        """A row a run, part and direction, with the run's own columns."""
        import pandas as pd

        if self.folder is None:
            return pd.DataFrame()
        files = (self.folder / f"{name}.csv" for name in ("runs", "scores"))
        runs, scores = (pd.read_csv(file, na_filter=False) for file in files)
        numbers = ["score", "jsd", "chance"]
        scores[numbers] = scores[numbers].apply(pd.to_numeric)
        return scores.merge(runs, on="run", validate="many_to_one")

    @cached_property
    def curves(self) -> "DataFrame":
        """Scores on the validation part against updates, `m3l_book.records.learning.curves`'."""
        import pandas as pd

        return pd.DataFrame() if self.folder is None else pd.read_csv(self.folder / "curves.csv")

    def mean(
        self, corpus: str, setting: str, measure: str, pair: str, who: Contender
    ) -> float | None:
        """The mean over seeds and queries of one measure; None if it was not recorded."""
        found = self.measured.get((corpus, setting, measure, pair, who))
        return None if found is None else float(found.values.mean())

    def verdicts(self, paper: str, chapter: str | None = None) -> dict[str, Verdict]:
        """What the recorded measurements make of each claim, by its id; empty without any."""
        if not self.measured:
            return {}
        judged = verdicts(paper, self.measured, self.generated, chapter)
        return {verdict.claim.id: verdict for verdict in judged}


def load_recorded(folder: str | Path) -> Recorded:
    """The results in a folder; nothing if ``folder`` is empty.

    Raises
    ------
    DataError
        The folder is not there or not whole.
    """
    if not str(folder):
        return Recorded()
    folder = Path(folder)
    missing = f"{folder}: no recorded results there; leave recorded='' to show none"
    require((folder / "about.json").is_file(), missing, DataError)
    about = read_json(folder / "about.json")
    return Recorded(folder, about, load_measurements(folder / "measurements"))


def everything(collection: Collection) -> Measurements:
    """All that claims are about, measured of the runs of a collection: of the topic space too."""
    measured = collection.measurements
    return measured | topic_space.mixing_measurements(collection.runs, collection.tests)


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
    runs = [*_kept_rows(before, "runs", fresh), *(_run_row(run) for run in records)]
    scores = [*_kept_rows(before, "scores", fresh)]
    scores += [row for run in records for row in _score_rows(run)]
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


def _same_corpora(collection: Collection, before: Recorded) -> dict[str, str]:
    """The corpora's checksums; `DataError` if one was another when it was recorded before."""
    known = before.about.get("prepared", {})
    here = {
        corpus: read_json(f"{collection.prepared(corpus)}/card.json")["hashes"]["tuples"]
        for corpus in collection.roles
    }
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
    return read_json(f"{collection.prepared(corpus)}/card.json")["counts"]["train"]["articles"]


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


def _run_row(run: Run) -> dict:
    params, who = run.params, contender_of(run.params)
    npmi = list(run.metrics["npmi"].values())
    return {
        "run": run.folder.name,
        "corpus": params["corpus"],
        "model": who.model,
        "variant": who.variant,
        "changes": json.dumps(dict(who.changes)),
        "views": " ".join(params["train_views"]),
        "reads": " ".join(params["encoders"]),
        "trained": trained_on(run),
        "seed": params["seed"],
        "topics": params["topics"],
        "passes": params.get("epochs", params.get("sweeps")),
        "updates": updates_an_epoch(run) * params.get("epochs", 0),
        "tuples": run.metrics["training_tuples"],
        "npmi": round(sum(npmi) / len(npmi), 4) if npmi else "",
        "seconds": round(run.metrics["seconds"], 1),
    }


def _score_rows(run: Run) -> list[dict]:
    return [
        {"run": run.folder.name, "part": "test" if part == "scores" else part}
        | {key: _rounded(row[key]) for key in OWN_SCORES}
        for part in PARTS
        for row in run.metrics.get(part, [])
    ]


def _rounded(value):
    return round(value, 4) if isinstance(value, float) else value
