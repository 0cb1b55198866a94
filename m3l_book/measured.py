"""What was measured of models, each in one of its variants, as claims and tables ask for it.

A variant is a mapping of what is different, as ``{"topics": 25}`` or ``{"objective": "paper"}``;
the model as the main tables have it is the variant of no difference. Names are made from this for
readers, and no code reads them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from m3l.errors import DataError, require
from m3l.files import atomic, read_arrays, read_json, write_json
from m3l.metrics.uncertainty import Estimate, estimate

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


# corpus, setting, measure, pair in the paper's terms, contender
Key = tuple[str, str, str, str, Contender]


@dataclass(frozen=True)
class Measured:
    """One measure of one model: ``values`` (S, N) of each seed and query, aligned pair, item or
    topic, and the articles that they are of, ``units`` (N,), by `article_keys`.

    ``units`` is None of what is no article's and not the same for two models, as topics are.
    ``trained`` is whether another seed would give another number. ``runs`` are the S runs that were
    measured; () of what is of no run, or of several together.
    """

    values: np.ndarray
    units: np.ndarray | None = field(default=None, repr=False)
    trained: bool = True
    runs: tuple[str, ...] = field(default=(), repr=False)

    @property
    def drawn(self) -> int:
        """How many units there are."""
        return self.values.shape[1] if self.units is None else len(np.unique(self.units))


Measurements = dict[Key, Measured]


def article_keys(ids: Iterable[str]) -> np.ndarray:
    """Return a number for each article, int64 (N,), that depends on its id alone: by it the
    articles of another test part are told from these.
    """
    digests = b"".join(blake2b(str(name).encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)


def combine(
    measured: Mapping[Contender, Measured], weights: Mapping[Contender, float], constant: float
) -> Estimate:
    """Estimate Σ weight · mean + constant of one measure of several models; `DataError` if two were
    measured on articles in another order, or on others.
    """
    chosen = [measured[who] for who in weights]
    values, factors = [m.values for m in chosen], list(weights.values())
    units = chosen[0].units
    same = all((m.units is None) == (units is None) for m in chosen)
    same = same and (units is None or all(np.array_equal(units, m.units) for m in chosen))
    require(same, f"{', '.join(map(str, weights))}: not measured on the same articles", DataError)
    return estimate(values, factors, units, paired=units is not None, constant=constant)


def fewest_seeds(measured: Sequence[Measured]) -> int:
    """Count how often the least trained of models was trained; 0 if there is nothing to train."""
    return min((len(m.values) for m in measured if m.trained), default=0)


def save_measurements(folder: str | Path, measured: Mapping[Key, Measured]) -> None:
    """Write measurements: ``values.npz``, in single precision, and ``index.json``."""
    arrays: dict[str, np.ndarray] = {}
    known: dict[tuple, str] = {}

    def kept(array: np.ndarray) -> str:
        what = array.shape, array.dtype.str, array.tobytes()
        name = known.setdefault(what, f"array{len(known)}")
        arrays[name] = array
        return name

    index = []
    for (*where, who), m in measured.items():
        units = ""
        if m.units is not None:
            units = kept(np.asarray(m.units, dtype=np.int64))
        about = {"where": where, "model": who.model, "changes": [list(c) for c in who.changes]}
        about["values"] = kept(np.asarray(m.values, dtype=np.float32))
        about["runs"] = kept(np.array(m.runs)) if m.runs else ""
        index.append({**about, "units": units, "trained": m.trained})
    with atomic(folder, directory=True) as temporary:
        np.savez_compressed(temporary / "values.npz", **arrays)
        write_json(temporary / "index.json", index)


def load_measurements(folder: str | Path) -> Measurements:
    """Read what `save_measurements` wrote; `DataError` if it is not there or broken."""
    file = Path(folder) / "values.npz"
    index, arrays = read_json(f"{folder}/index.json"), read_arrays(file)
    measured: Measurements = {}
    for row in index:
        corpus, setting, measure, pair = row["where"]
        changes = tuple((what, value) for what, value in row["changes"])
        key = corpus, setting, measure, pair, Contender(row["model"], changes)
        for name in filter(None, (row["values"], row["units"], row["runs"])):
            lacks = f"{file}: it lacks the array {name!r}, which index.json names"
            require(name in arrays, lacks, DataError)
        units = arrays[row["units"]] if row["units"] else None
        runs = tuple(arrays[row["runs"]].tolist()) if row["runs"] else ()
        values = arrays[row["values"]].astype(np.float64)
        measured[key] = Measured(values, units, row["trained"], runs)
    return measured
