"""The run records that a chapter compares, and all that follows from them, made when asked."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from m3l.corpus import Corpus
from m3l.files import read_json

from ..measured import Measurements
from .results import as_in_the_paper, measurements, raw_scores, scores
from .run import Run
from .selection import (
    corpus_of,
    has_pictures,
    load_runs,
    main_runs,
    roles_by_corpus,
    test_corpora,
    widest,
    with_variants,
)

if TYPE_CHECKING:
    from pandas import DataFrame


class Collection:
    """Run records and the test corpora that they were measured on.

    Parameters
    ----------
    records : sequence of Run
    data : path
        Folder of the prepared corpora and embeddings.
    variants : run name -> further variants that the run stands for, optional

    Attributes
    ----------
    records : list of Run
        As they were made.
    runs : list of Run
        Those, and each again in the further variants that it stands for.
    """

    def __init__(
        self,
        records: Sequence[Run],
        data: str,
        variants: Mapping[str, Sequence[Mapping]] | None = None,
    ):
        self.data = data
        self.records = list(records)
        self.runs = with_variants(self.records, variants or {})

    @classmethod
    def load(
        cls,
        data: str,
        folder: str,
        names: Sequence[str] = (),
        variants: Mapping[str, Sequence[Mapping]] | None = None,
    ) -> "Collection":
        """The records of a folder with these names, or all."""
        return cls(load_runs(folder, names), data, variants)

    @cached_property
    def tests(self) -> dict[tuple, Corpus]:
        """The test corpus of each group of comparable runs, by `corpus_of`."""
        return test_corpora(self.runs, self.data)

    @cached_property
    def widest(self) -> dict[str, Corpus]:
        """The test corpus with most views, by name."""
        return widest(self.tests)

    @cached_property
    def roles(self) -> dict[str, dict[str, str]]:
        """The part that each view of each corpus plays in the paper's terms."""
        return roles_by_corpus(self.tests)

    @cached_property
    def scores(self) -> "DataFrame":
        """A row per run and direction."""
        return scores(self.runs)

    @cached_property
    def main_scores(self) -> "DataFrame":
        """The rows of `scores` of the models of the paper as its tables have them."""
        return scores(main_runs(self.runs))

    @cached_property
    def main(self) -> "DataFrame":
        """Those of them that the paper's tables would hold."""
        return as_in_the_paper(self.main_scores)

    @cached_property
    def raw(self) -> "DataFrame":
        """What the raw embeddings score."""
        return raw_scores(self.tests)

    @cached_property
    def measurements(self) -> Measurements:
        """Everything that claims are about."""
        return measurements(self.runs, self.tests, self.scores, self.raw)

    @property
    def varied(self) -> list[Run]:
        """The runs that stand for a variant: the points of the grids."""
        return [run for run in self.runs if run.params.get("variant")]

    @cached_property
    def cards(self) -> dict[str, dict]:
        """The card of each corpus."""
        return {corpus: read_json(f"{self.prepared(corpus)}/card.json") for corpus in self.roles}

    @property
    def generated(self) -> list[str]:
        """The corpora that were generated from known topics: no claim is decided by them."""
        return [corpus for corpus, card in self.cards.items() if card.get("true_topics")]

    def with_two_languages(self) -> list[str]:
        """The corpora that can play the paper's two languages."""
        return [c for c, role in self.roles.items() if {"en", "de"} <= set(role.values())]

    def with_pictures(self) -> list[str]:
        """The corpora that have pictures."""
        return [corpus for corpus, role in self.roles.items() if "image" in role.values()]

    def test_of(self, run: Run) -> Corpus:
        """The test corpus that a run was measured on."""
        return self.tests[corpus_of(run)]

    def first_of(self, model: str) -> list[Run]:
        """The first seed's records of a model that its tables hold, on every corpus."""
        own = self.main[self.main["model"] == model]
        first = set(own[own["seed"] == self.main["seed"].min()]["run"])
        return [record for record in self.records if record.folder.name in first]

    def how_trained(self, run: Run) -> str:
        """What tells a joint model's two runs apart, where the corpus has pictures."""
        if run.params["corpus"] not in self.with_pictures():
            return ""
        trained = "trained with pictures" if has_pictures(run) else "of texts alone"
        return f", the model {trained}"

    def prepared(self, corpus: str) -> str:
        """The folder of a prepared corpus."""
        return f"{self.data}/prepared/{corpus}"

    def hashes(self) -> dict[str, str]:
        """The hash of the data that each record was made from: what a page's provenance says."""
        return {record.folder.name: record.metrics["data"] for record in self.records}
