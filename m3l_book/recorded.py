"""What was measured at the paper's settings and is kept with the project, in ``data/results/``: it
is shown beside what a build measures itself.

A folder holds ``about.json`` (machine, versions, commit, seconds), ``runs.csv`` (a row per run),
``scores.csv`` (a row per run, part and direction), ``alignment.csv`` (encoders before any
training), ``curves.csv`` (scores on the validation part against updates), ``measurements/`` (each
query's value of every model) and ``verdicts.json`` (what became of each claim).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, require
from m3l.files import digest_file, read_json
from m3l.metrics import modality_gap, neighbour_overlap
from m3l.metrics.assessment import aligned_pairs, evaluate

from .claims.judging import Verdict, judge
from .claims.reading import paper_lookup, read_claims, read_margins, read_numbers
from .data.prepared import embedding_card
from .measured import Measurements, load_measurements
from .records.collection import Collection
from .records.results import scores, tidy
from .records.selection import has_pictures
from .topic_space import mixing_measurements

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Recorded:
    """Recorded results, which have a ``folder``, or those of a build, which have a ``collection``.

    ``about`` has ``roles``, ``generated`` (both of `Collection`) and ``prepared`` (checksums of
    corpora); of what is recorded also when, where and from which commit it was, ``seconds``,
    ``runs`` and ``missing``. ``known`` are its measurements; those of a build are made when asked.
    """

    folder: Path | None = None
    about: dict = field(default_factory=dict)
    known: Measurements | None = field(default=None, repr=False)
    collection: Collection | None = field(default=None, repr=False)

    @cached_property
    def measured(self) -> Measurements:
        """Everything that claims are about."""
        if self.known is not None or self.collection is None:
            return self.known or {}
        space = mixing_measurements(self.collection.runs, self.collection.tests)
        return self.collection.measurements | space

    @property
    def roles(self) -> dict[str, dict[str, str]]:
        """The part that each view of each corpus plays in the paper's terms."""
        return self.about.get("roles", {})

    def roles_with(self, own: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Return `roles` and those of a build: a view of either counts."""
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

    @property
    def source(self) -> str:
        """Where the numbers are from, as a caption says it."""
        return "as recorded" if self.folder is not None else "in this build"

    def hashes(self) -> dict[str, str]:
        """Return what a page's provenance says of the data: a hash per run, or of what is kept."""
        if self.folder is None:
            return self.collection.hashes() if self.collection else {}
        return {str(self.folder): digest_file(self.folder / "scores.csv")}

    def read(self, name: str, **options: object) -> "DataFrame":
        """Read a table of the folder; it is empty where there is none."""
        import pandas as pd

        there = self.folder is not None and (self.folder / name).is_file()
        return pd.read_csv(self.folder / name, **options) if there else pd.DataFrame()

    @cached_property
    def scores(self) -> "DataFrame":
        """A row per run, part and direction, with the run's own columns: `tidy`."""
        if self.collection is not None:
            return scores(self.collection.records)
        table, runs = (self.read(f"{name}.csv", na_filter=False) for name in ("scores", "runs"))
        return tidy(table.merge(runs, on="run", validate="many_to_one")) if len(table) else table

    @cached_property
    def alignment(self) -> "DataFrame":
        """How aligned the encoders of joint models are before any training."""
        if self.collection is not None:
            return alignment_of(self.collection)
        return self.read("alignment.csv")

    @cached_property
    def curves(self) -> "DataFrame":
        """Scores on the validation part against updates, as `m3l_book.records.results.curves`."""
        return self.read("curves.csv")

    def with_two_languages(self) -> list[str]:
        """Return the corpora that can play the paper's two languages."""
        return [c for c, role in self.roles.items() if {"en", "de"} <= set(role.values())]

    def with_pictures(self) -> list[str]:
        """Return the corpora that have pictures."""
        return [corpus for corpus, role in self.roles.items() if "image" in role.values()]

    def verdicts(self, paper: str, chapter: str | None = None) -> dict[str, Verdict]:
        """Decide each claim, or those of a chapter, by id; empty without any measurement.

        ``paper`` is the folder of the paper's numbers, claims and margins.
        """
        if not self.measured:
            return {}
        find = paper_lookup(read_numbers(f"{paper}/numbers.csv"))
        given = self.measured, find, self.generated, read_margins(f"{paper}/margins.csv")
        claims = read_claims(f"{paper}/claims.csv")
        return {c.id: judge(c, *given) for c in claims if chapter in (None, c.chapter)}


def load_recorded(folder: str | Path) -> Recorded:
    """Load the results in a folder, nothing if ``folder`` is empty; `DataError` if the folder is
    not there or not whole.
    """
    if not str(folder):
        return Recorded()
    folder = Path(folder)
    missing = f"{folder}: no recorded results there; leave recorded='' to show none"
    require((folder / "about.json").is_file(), missing, DataError)
    about = read_json(folder / "about.json")
    return Recorded(folder, about, load_measurements(folder / "measurements"))


def of_runs(collection: Collection) -> Recorded:
    """Return what the runs of a collection measured, in the form of recorded results."""
    about = {
        "roles": collection.roles,
        "generated": collection.generated,
        "prepared": {c: card["hashes"]["tuples"] for c, card in collection.cards.items()},
    }
    return Recorded(None, about, None, collection)


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


def alignment(test: Corpus, spaces: Mapping[str, str], neighbours: int = 10) -> list[dict]:
    """Measure how aligned a test corpus's encoders are before any training: a row per two views.

    Raw retrieval in both directions with chance, the modality gap and the overlap of
    neighbourhoods. Retrieval and gap need one width; in two spaces of one width they are what
    unaligned vectors give. Overlap needs neither. ``spaces`` are the encoders', by view.
    """
    vectors = {view: items.embeddings for view, items in test.views.items()}
    raw = {(s["query"], s["item"]): s for s in evaluate(vectors, test, raw=True)}
    rows = []
    for a, b in combinations(vectors, 2):
        x, y = aligned_pairs(test, a, b)
        row = {"views": f"{a} – {b}", "one space": "yes" if spaces[a] == spaces[b] else "no"}
        row |= {"metric": "–"} | dict.fromkeys(("there", "back", "chance", "gap"), np.nan)
        if (a, b) in raw:
            there, back = raw[a, b], raw[b, a]
            row |= {"metric": there["metric"], "there": there["score"]}
            row |= {"back": back["score"], "chance": there["chance"]}
            row["gap"] = modality_gap(vectors[a], vectors[b])
        common = neighbour_overlap(vectors[a][x], vectors[b][y], neighbours)
        rows.append(row | {f"{neighbours} neighbours in common": common})
    return rows


def alignment_of(collection: Collection) -> "DataFrame":
    """Return `alignment` of the encoders of every joint model that was trained with pictures, a row
    per combination and pair of views, with corpus and encoders.
    """
    import pandas as pd

    rows, seen = [], set()
    for run in collection.runs:
        corpus, encoders = run.params["corpus"], run.params["encoders"]
        names = " + ".join(dict.fromkeys(encoders.values()))
        joint = run.params["model"] == "M3L-Contrast" and has_pictures(run)
        if joint and (corpus, names) not in seen:
            seen.add((corpus, names))
            folder = f"{collection.data}/embeddings/{corpus}"
            spaces = {v: embedding_card(folder, v, name)["space"] for v, name in encoders.items()}
            for row in alignment(collection.test_of(run), spaces):
                rows.append({"corpus": corpus, "encoders": names, **row})
    return pd.DataFrame(rows)
