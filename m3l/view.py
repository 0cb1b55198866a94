"""A view: one language or modality of a corpus, and what must hold of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .errors import DataError, require


@dataclass(frozen=True)
class View:
    """One language or modality.

    Attributes
    ----------
    name : str
        ``"en"``, ``"image"``, ...
    embeddings : float32 (M, D)
        A row per item, from a frozen encoder.
    index : int64 (N,)
        The item of each tuple; -1 where the tuple lacks this view.
    item_ids : sequence of M str
        Unique names of the items.
    bow : CSR matrix of integers (M, V) or None
        Bag of words of each item, none of them empty; ``None`` for a view without words (pictures).
    vocabulary : sequence of V str or None
        The words of ``bow``'s columns.
    """

    name: str
    embeddings: np.ndarray
    index: np.ndarray
    item_ids: Sequence[str]
    bow: sp.csr_matrix | None = None
    vocabulary: Sequence[str] | None = None

    def __post_init__(self):
        if self.vocabulary is not None:
            object.__setattr__(self, "vocabulary", list(map(str, self.vocabulary)))

    @property
    def present(self) -> np.ndarray:
        """bool (N,): which tuples have this view."""
        return self.index >= 0

    @property
    def is_text(self) -> bool:
        """Whether the view has words."""
        return self.bow is not None

    def __len__(self) -> int:
        return len(self.item_ids)


def check_view(view: View, tuples: int, where: str) -> None:
    """Raise `DataError`, beginning with ``where``, if a view of N ``tuples`` is not as it must."""
    _check_embeddings(view, where)
    _check_index(view, tuples, where)
    _check_words(view, where)


def _check_embeddings(view: View, where: str) -> None:
    vectors, items = view.embeddings, len(view.item_ids)
    if not (isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.shape[1] > 0):
        shape = getattr(vectors, "shape", type(vectors).__name__)
        expected = "embeddings must be an array of shape (items, dimensions)"
        raise DataError(f"{where}: {expected}, got {shape}")
    require(
        vectors.dtype == np.float32,
        f"{where}: embeddings are {vectors.dtype}, expected float32",
        DataError,
    )
    require(
        len(vectors) == items,
        f"{where}: {len(vectors)} rows of embeddings for {items} items",
        DataError,
    )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = first_row(~finite)
        item = str(view.item_ids[row])
        raise DataError(f"{where}: the embedding of row {row} (item {item!r}) is not finite")
    repeated = repeated_value(np.asarray(view.item_ids, dtype=str))
    if repeated is not None:
        raise DataError(f"{where}: item id {repeated!r} stands in more than one row")


def _check_index(view: View, n: int, where: str) -> None:
    index, items = view.index, len(view.item_ids)
    integers = isinstance(index, np.ndarray) and index.dtype in (np.int32, np.int64)
    if not (integers and index.shape == (n,)):
        kind = getattr(index, "dtype", type(index).__name__)
        shape = getattr(index, "shape", "")
        raise DataError(f"{where}: index must be {n} integers, int64 or int32, got {kind} {shape}")
    outside = (index < -1) | (index >= items)
    if outside.any():
        row = first_row(outside)
        raise DataError(f"{where}: tuple row {row} points at item {index[row]}, of {items}")


def _check_words(view: View, where: str) -> None:
    if view.bow is None:
        require(view.vocabulary is None, f"{where}: a vocabulary without a bag of words", DataError)
        return
    kind = getattr(view.bow, "format", type(view.bow).__name__)
    require(
        sp.issparse(view.bow) and kind == "csr",
        f"{where}: the bag of words must be a scipy.sparse CSR matrix, got {kind}",
        DataError,
    )
    if view.vocabulary is None or len(view.vocabulary) == 0:
        raise DataError(f"{where}: a bag of words without a vocabulary")
    shape, expected = view.bow.shape, (len(view.item_ids), len(view.vocabulary))
    require(
        shape == expected, f"{where}: bag of words of shape {shape}, expected {expected}", DataError
    )
    repeated = repeated_value(np.asarray(view.vocabulary, dtype=str))
    if repeated is not None:
        raise DataError(f"{where}: the word {repeated!r} stands twice in the vocabulary")
    counts = np.issubdtype(view.bow.dtype, np.integer)
    require(counts, f"{where}: word counts are {view.bow.dtype}, expected integers", DataError)
    negative = view.bow.nnz > 0 and view.bow.data.min() < 0
    require(not negative, f"{where}: negative word counts", DataError)
    empty = np.asarray(view.bow.sum(axis=1)).ravel() == 0
    if empty.any():
        row = first_row(empty)
        item = str(view.item_ids[row])
        document = f"the document of row {row} (item {item!r})"
        raise DataError(f"{where}: {document} has no word of the vocabulary")


def check_embeddings(embeddings: np.ndarray, view: str, size: int) -> None:
    """Check that embeddings (M, D) are finite float32 and D is ``size``, or `DataError`."""
    kind = getattr(embeddings, "dtype", type(embeddings).__name__)
    shape = getattr(embeddings, "shape", "")
    fits = isinstance(embeddings, np.ndarray) and embeddings.ndim == 2
    require(
        fits and embeddings.shape[1] == size and embeddings.dtype == np.float32,
        f"view {view!r}: expected float32 embeddings of shape (items, {size}), got {kind} {shape}",
        DataError,
    )
    finite = bool(np.isfinite(embeddings).all())
    require(finite, f"view {view!r}: the embeddings hold NaN or infinity", DataError)


def first_row(mask: np.ndarray) -> int:
    """Return the first row where a mask (N,) is true."""
    return int(np.flatnonzero(mask)[0])


def repeated_value(ids: np.ndarray) -> str | None:
    """Return the first of values (N,) that stands there twice; None if there is none."""
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0]) if (counts > 1).any() else None
