"""What a corpus and a model must satisfy, checked when one is made."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from torch import nn

from .errors import DataError, require
from .networks import ViewSpec
from .view import View


def check_corpus(
    name: str,
    views: Mapping[str, View],
    tuple_ids: np.ndarray,
    article_ids: np.ndarray,
    split: np.ndarray,
) -> None:
    """Check that the views fit together and that no article or item stands in two splits.

    Raises
    ------
    DataError
        The message names the corpus, the view and the row.
    """
    where, n = f"corpus {name}", len(tuple_ids)
    require(n > 0, f"{where}: it has no tuple", DataError)
    require(len(views) > 0, f"{where}: it has no view", DataError)
    for field, values in (("article_ids", article_ids), ("split", split)):
        rows = len(values)
        require(rows == n, f"{where}: {field} has {rows} rows, tuple_ids has {n}", DataError)
    repeated = _repeated(tuple_ids)
    if repeated is not None:
        raise DataError(f"{where}: tuple id {repeated!r} stands in more than one row")
    anywhere = np.zeros(n, dtype=bool)
    for name, view in views.items():
        require(name == view.name, f"{where}: view {name!r} calls itself {view.name!r}", DataError)
        _check_embeddings(view, f"{where}: view {name!r}")
        _check_index(view, n, f"{where}: view {name!r}")
        _check_words(view, f"{where}: view {name!r}")
        anywhere |= view.present
    if not anywhere.all():
        row = _first(~anywhere)
        tuple_id = str(tuple_ids[row])
        raise DataError(f"{where}: tuple {tuple_id!r} (row {row}) has no view at all")
    _check_leakage(views, article_ids, split, where)


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
        row = _first(~finite)
        item = str(view.item_ids[row])
        raise DataError(f"{where}: the embedding of row {row} (item {item!r}) is not finite")
    repeated = _repeated(np.asarray(view.item_ids, dtype=str))
    if repeated is not None:
        raise DataError(f"{where}: item id {repeated!r} stands in more than one row")


def _check_index(view: View, n: int, where: str) -> None:
    index, items = view.index, len(view.item_ids)
    integers = isinstance(index, np.ndarray) and np.issubdtype(index.dtype, np.integer)
    if not (integers and index.shape == (n,)):
        kind = getattr(index, "dtype", type(index).__name__)
        shape = getattr(index, "shape", "")
        raise DataError(f"{where}: index must be {n} integers, got {kind} {shape}")
    outside = (index < -1) | (index >= items)
    if outside.any():
        row = _first(outside)
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
    repeated = _repeated(np.asarray(view.vocabulary, dtype=str))
    if repeated is not None:
        raise DataError(f"{where}: the word {repeated!r} stands twice in the vocabulary")
    negative = view.bow.nnz > 0 and view.bow.data.min() < 0
    require(not negative, f"{where}: negative word counts", DataError)
    empty = np.asarray(view.bow.sum(axis=1)).ravel() == 0
    if empty.any():
        row = _first(empty)
        item = str(view.item_ids[row])
        document = f"the document of row {row} (item {item!r})"
        raise DataError(f"{where}: {document} has no word of the vocabulary")


def _check_leakage(
    views: Mapping[str, View], article_ids: np.ndarray, split: np.ndarray, where: str
) -> None:
    columns = {"article": (np.arange(len(article_ids)), article_ids)}
    for name, view in views.items():
        rows = np.flatnonzero(view.present)
        ids = np.asarray(view.item_ids, dtype=str)[view.index[rows]]
        columns[f"view {name!r}: item"] = rows, ids
    for what, (rows, ids) in columns.items():
        parts = split[rows]
        order = np.lexsort((parts, ids))
        same = ids[order][1:] == ids[order][:-1]
        leaks = same & (parts[order][1:] != parts[order][:-1])
        if leaks.any():
            first = _first(leaks)
            a, b = rows[order[first]], rows[order[first + 1]]
            places = f"rows {a} ({split[a]}) and {b} ({split[b]})"
            name = str(ids[order][first])
            raise DataError(f"{where}: {what} {name!r} leaks between splits: {places}")


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _repeated(ids: np.ndarray) -> str | None:
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0]) if (counts > 1).any() else None


def check_model(
    views: Sequence[ViewSpec], topics: int, hidden: int, dropout: float, share_text_network: bool
) -> None:
    """Check what a model is made from; `ParameterError` naming what is wrong."""
    _check_sizes(topics, hidden, dropout)
    _check_names(views, share_text_network)
    if share_text_network:
        _check_one_width([view for view in views if view.vocabulary_size])


def _check_sizes(topics: int, hidden: int, dropout: float) -> None:
    for field, value, least in (("topics", topics, 2), ("hidden", hidden, 1)):
        integer = isinstance(value, int) and not isinstance(value, bool)
        require(integer, f"{field}={value!r}: expected an integer")
        require(value >= least, f"{field}={value}: expected {least} or more")
    require(isinstance(dropout, (int, float)), f"dropout={dropout!r}: expected a number")
    require(0 <= dropout < 1, f"dropout={dropout}: expected at least 0 and below 1")


def _check_names(views: Sequence[ViewSpec], share_text_network: bool) -> None:
    names = [view.name for view in views]
    require(len(names) > 0, "views: expected at least one")
    for name in names:  # they are keys of modules
        usable = bool(name) and "." not in name and not hasattr(nn.ModuleDict(), name)
        advice = "choose another without '.'"
        require(usable, f"views: {name!r} cannot be the name of a view; {advice}")
    require(len(set(names)) == len(names), f"views: names must differ, got {names}")
    wordless = {view.name for view in views if not view.vocabulary_size}
    require(
        not (share_text_network and "text" in wordless),
        "views: with share_text_network 'text' cannot be the name of a view without words",
    )


def _check_one_width(texts: Sequence[ViewSpec]) -> None:
    sizes = sorted({view.embedding_size for view in texts})
    require(len(sizes) > 0, "share_text_network: no view has words")
    message = f"share_text_network: text views must have one embedding size, got {sizes}"
    require(len(sizes) == 1, message)


def check_embeddings(embeddings: np.ndarray, view: str, size: int) -> None:
    """Check that embeddings are finite float32 (M, ``size``); `DataError` naming the view."""
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
