"""A model in one of its variants: what tables, figures and claims compare.

A variant is a mapping of what is different, as ``{"topics": 25}`` or ``{"objective": "paper"}``;
the model as the main tables have it is the variant of no difference. Names are made from this for
readers, and no code reads them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from m3l.errors import DataError, require

from .values import NotYAML, read_yaml

SHORT = {"ZeroshotTM-KD": "KD", "ZeroshotTM": "Zeroshot", "M3L-Contrast": "M3L"}
SHORT |= {"raw embeddings": "raw"}


class Contender(NamedTuple):
    """A model and what is different about it: ``changes`` are (what, value), sorted by what."""

    model: str
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def variant(self) -> str:
        """What is different, in words; "" of the model itself."""
        return ", ".join(f"{what.replace('_', ' ')} {value}" for what, value in self.changes)

    def __str__(self) -> str:
        return f"{self.model} ({self.variant})" if self.changes else self.model

    @property
    def short(self) -> str:
        """The name as a crowded cell has it."""
        name = SHORT.get(self.model, self.model)
        return f"{name} ({self.variant})" if self.changes else name

    def value(self, what: str) -> str:
        """Return how it differs in one respect; "" if it does not."""
        return dict(self.changes).get(what, "")


def contender(model: str, variant: Mapping | None = None) -> Contender:
    """Make the contender of a model's name and a mapping of what is different."""
    changes = {str(what): str(value) for what, value in (variant or {}).items()}
    return Contender(model, tuple(sorted(changes.items())))


def contender_of(params: Mapping) -> Contender:
    """Make the contender of a run record's parameters."""
    return contender(params["model"], params.get("variant"))


def read_contender(text: str) -> Contender:
    """Read ``Model`` or ``Model {what: value, …}``, as claims write contenders; `DataError` if what
    stands in braces is no mapping.
    """
    model, brace, rest = text.partition("{")
    try:
        variant = read_yaml(brace + rest) if brace else {}
    except NotYAML:
        variant = None
    wrong = f"{text!r}: what stands in braces is no mapping"
    require(isinstance(variant, dict), wrong, DataError)
    return contender(model.strip(), variant)
