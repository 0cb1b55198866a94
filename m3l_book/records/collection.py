"""The run records that a chapter compares, and all that follows from them, made when asked."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from m3l.corpus import Corpus
from m3l.files import read_json

from ..measured import Contender, Measurements, contender_of
from .results import measurements, raw_scores
from .run import Run
from .selection import (
    corpus_of,
    has_pictures,
    load_runs,
    roles_by_corpus,
    test_corpora,
    widest,
    with_variants,
)

if TYPE_CHECKING:
    from pandas import DataFrame


class Collection:
    """Run records and the test corpora that they were measured on.

    ``records`` are as they were made; ``runs`` are those, and each again in the further
    ``variants`` (by its name) that it stands for. ``data`` is the folder of the prepared corpora
    and embeddings.
    """

    def __init__(
        self,
        records: Sequence[Run],
        data: str,
        variants: Mapping[str, Sequence[Mapping]] | None = None,
    ):
        self.data, self.records = data, list(records)
        self.runs = with_variants(self.records, variants or {})

    @classmethod
    def load(
        cls,
        data: str,
        folder: str,
        names: Sequence[str] = (),
        variants: Mapping[str, Sequence[Mapping]] | None = None,
    ) -> "Collection":
        """Load the records of a folder with these names, or all."""
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
    def raw(self) -> "DataFrame":
        """What the raw embeddings score."""
        return raw_scores(self.tests)

    @cached_property
    def measurements(self) -> Measurements:
        """Everything that claims are about, the topic space apart."""
        return measurements(self.runs, self.tests, self.raw)

    @cached_property
    def cards(self) -> dict[str, dict]:
        """The card of each corpus."""
        return {corpus: read_json(f"{self.prepared(corpus)}/card.json") for corpus in self.roles}

    @property
    def generated(self) -> list[str]:
        """The corpora that were generated from known topics: no claim is decided by them."""
        return [corpus for corpus, card in self.cards.items() if card.get("true_topics")]

    @property
    def main_corpus(self) -> str:
        """The corpus whose articles pages show: the first that was not generated, or else the
        first; "" without any.
        """
        real = [corpus for corpus in self.widest if corpus not in self.generated]
        return next(iter([*real, *self.widest]), "")

    def with_pictures(self) -> list[str]:
        """Return the corpora that have pictures."""
        return [corpus for corpus, role in self.roles.items() if "image" in role.values()]

    def test_of(self, run: Run) -> Corpus:
        """Return the test corpus that a run was measured on."""
        return self.tests[corpus_of(run)]

    def first_of(self, model: str) -> list[Run]:
        """Return the first seed's records of a model as the main tables have it."""
        own = [run for run in self.records if contender_of(run.params) == Contender(model)]
        first = min((run.params["seed"] for run in self.records), default=0)
        return [run for run in own if run.params["seed"] == first]

    def how_trained(self, run: Run) -> str:
        """Say what tells a joint model's two runs apart, where the corpus has pictures."""
        if run.params["corpus"] not in self.with_pictures():
            return ""
        trained = "trained with pictures" if has_pictures(run) else "of texts alone"
        return f", the model {trained}"

    def prepared(self, corpus: str) -> str:
        """Return the folder of a prepared corpus."""
        return f"{self.data}/prepared/{corpus}"

    def hashes(self) -> dict[str, str]:
        """Return the hash of each record's data: what a page's provenance says."""
        return {record.folder.name: record.metrics["data"] for record in self.records}
