"""What was measured at the paper's settings and is kept with the project, in ``data/results/``: it
is shown beside what a build measures itself.

A folder holds ``about.json`` (machine, versions, commit, seconds), ``runs.csv`` (a row a run),
``scores.csv`` (a row a run, part and direction), ``curves.csv`` (scores on the validation part
against updates), ``measurements/`` (each query's value of every
model) and ``verdicts.json`` (what became of each claim).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, require
from m3l.files import digest_file, read_json

from . import topic_space
from .alignment import alignment_rows
from .claims.judging import Verdict, verdicts
from .data.schema import PICTURES
from .measured import Measurements, load_measurements
from .records.collection import Collection
from .records.learning import trained_on
from .records.run import PARTS, Run, updates_an_epoch
from .values import read_value
from .variants import Contender, contender, contender_of

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
    rows : ``runs`` and ``scores`` -> list of dict
        What ``runs.csv`` and ``scores.csv`` would hold, of runs that are not recorded.
    collection : Collection or None
        Those runs.
    """

    folder: Path | None = None
    about: dict = field(default_factory=dict)
    measured: Measurements = field(default_factory=dict, repr=False)
    rows: dict[str, list[dict]] = field(default_factory=dict, repr=False)
    collection: Collection | None = field(default=None, repr=False)

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
        """Where and when it was recorded; of runs that are not, that they are a build's."""
        if self.folder is None:
            return "in this build"
        text = f"at the paper's settings ({self.about['runs']} runs, "
        return f"{text}recorded on {self.about['recorded']}, {self.about['machine']})"

    @cached_property
    def scores(self) -> "DataFrame":
        """A row per run, part and direction, with the run's own columns.

        Further columns are ``changes``, what is varied as a dict with values of their own types;
        ``contender`` and ``name``; ``direction``; ``forward``, whether the query is the earlier
        view; ``home``, the view whose network reads the others ("" for a joint model); and
        ``setting``, the one of Section 4.2 that a joint model was trained in.
        """
        import pandas as pd

        if self.folder is None and not self.rows:
            return pd.DataFrame()
        runs, scores = (self._frame(name) for name in ("runs", "scores"))
        numbers = ["score", "jsd", "chance"]
        scores[numbers] = scores[numbers].apply(pd.to_numeric)
        table = scores.merge(runs, on="run", validate="many_to_one")
        table["npmi"] = pd.to_numeric(table["npmi"])
        return table.assign(**_derived(table))

    def hashes(self) -> dict[str, str]:
        """Return what a page's provenance says of the data: a hash per run, or of what is kept."""
        if self.folder is None:
            return self.about.get("hashes", {})
        return {str(self.folder): digest_file(self.folder / "scores.csv")}

    def _frame(self, name: str) -> "DataFrame":
        import pandas as pd

        if self.folder is None:
            return pd.DataFrame(self.rows[name])
        return pd.read_csv(self.folder / f"{name}.csv", na_filter=False)

    @cached_property
    def alignment(self) -> "DataFrame":
        """How aligned the encoders of joint models are before any training."""
        import pandas as pd

        if self.folder is None:
            return pd.DataFrame(alignment_rows(self.collection))
        path = self.folder / "alignment.csv"
        return pd.read_csv(path) if path.is_file() else pd.DataFrame()

    @cached_property
    def curves(self) -> "DataFrame":
        """Scores on the validation part against updates, `m3l_book.records.learning.curves`'."""
        import pandas as pd

        return pd.DataFrame() if self.folder is None else pd.read_csv(self.folder / "curves.csv")

    @property
    def source(self) -> str:
        """Where the numbers are from, as a caption says it."""
        return "as recorded" if self.folder is not None else "in this build"

    def with_two_languages(self) -> list[str]:
        """Return the corpora that can play the paper's two languages."""
        return [c for c, role in self.roles.items() if {"en", "de"} <= set(role.values())]

    def with_pictures(self) -> list[str]:
        """Return the corpora that have pictures."""
        return [corpus for corpus, role in self.roles.items() if "image" in role.values()]

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


def _derived(table: "DataFrame") -> dict[str, list]:
    """The columns of `Recorded.scores` that follow from others."""
    names = "changes", "contender", "name", "forward", "home", "setting"
    columns: dict[str, list] = {name: [] for name in names}
    variants = {text: json.loads(text) for text in table["changes"].unique()}
    values = {
        text: {what: read_value(value) for what, value in words.items()}
        for text, words in variants.items()
    }
    for row in table.itertuples():
        words, views, reads = variants[row.changes], row.views.split(), row.reads.split()
        who = contender(row.model, words)
        joint = row.model not in ("ZeroshotTM", "ZeroshotTM-KD")
        taught = row.model == "ZeroshotTM-KD"
        others = [view for view in reads if view not in views]
        columns["changes"].append(values[row.changes])
        columns["contender"].append(who)
        columns["name"].append(str(who))
        columns["forward"].append(reads.index(row.query) < reads.index(row.item))
        columns["home"].append("" if joint else others[0] if taught else views[0])
        setting = "multimodal" if PICTURES in views else "multilingual"
        columns["setting"].append(setting if joint else "")
    return columns | {"direction": table["query"] + " → " + table["item"]}


def of_runs(collection: Collection) -> Recorded:
    """What the runs of a collection measured, in the form of recorded results."""
    records = collection.records
    about = {
        "roles": collection.roles,
        "generated": collection.generated,
        "hashes": collection.hashes(),
        "prepared": {c: card["hashes"]["tuples"] for c, card in collection.cards.items()},
    }
    rows = {
        "runs": [run_row(run) for run in records],
        "scores": [row for run in records for row in score_rows(run, digits=None)],
    }
    return Recorded(None, about, everything(collection), rows, collection)


def results_of(
    recorded: str, data: str, runs: str, names: Sequence[str], variants: Mapping | None = None
) -> Recorded:
    """Return what the named runs measured, or, with no names, the recorded results.

    It is how a chapter about a grid shows the runs of a build that makes it, and otherwise those
    that were recorded.
    """
    if not names:
        return load_recorded(recorded)
    return of_runs(Collection.load(data, runs, names, variants or {}))


def everything(collection: Collection) -> Measurements:
    """All that claims are about, measured of the runs of a collection: of the topic space too."""
    measured = collection.measurements
    return measured | topic_space.mixing_measurements(collection.runs, collection.tests)


def run_row(run: Run) -> dict:
    """Return a row of ``runs.csv``."""
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
        "encoders": json.dumps(params["encoders"]),
        "trained": trained_on(run),
        "seed": params["seed"],
        "topics": params["topics"],
        "passes": params.get("epochs", params.get("sweeps")),
        "batch_size": params.get("batch_size", ""),
        "updates": updates_an_epoch(run) * params.get("epochs", 0),
        "tuples": run.metrics["training_tuples"],
        "npmi": round(sum(npmi) / len(npmi), 4) if npmi else "",
        "seconds": round(run.metrics["seconds"], 1),
    }


def score_rows(run: Run, digits: int | None = 4) -> list[dict]:
    """Return the rows of ``scores.csv`` of a run, rounded to ``digits``."""
    return [
        {"run": run.folder.name, "part": "test" if part == "scores" else part}
        | {key: _rounded(row[key], digits) for key in OWN_SCORES}
        for part in PARTS
        for row in run.metrics.get(part, [])
    ]


def _rounded(value, digits: int | None):
    return round(value, digits) if digits and isinstance(value, float) else value
