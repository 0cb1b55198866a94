"""Aligned tuples of views: the one data structure that models, metrics and chapters share.

A *tuple* is what the paper calls a tuple of comparable documents (Section 4.1): an article in several
languages and a picture of it. A *view* is one language or modality. A view holds each of its documents or
pictures once, as *items*; a tuple points at one item of each view it has, so that an article with five
pictures is five tuples that share their text items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .errors import DataError, require
from .files import atomic, digest, read_array, read_json, write_json

FORMAT = 1


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
    bow : sparse int32 (M, V) or None
        Bag of words of each item; ``None`` for a view without words (pictures).
    vocabulary : sequence of V str or None
        The words of ``bow``'s columns.
    """

    name: str
    embeddings: np.ndarray
    index: np.ndarray
    item_ids: Sequence[str]
    bow: sp.csr_matrix | None = None
    vocabulary: Sequence[str] | None = None

    @property
    def present(self) -> np.ndarray:
        """bool (N,): which tuples have this view."""
        return self.index >= 0

    @property
    def is_text(self) -> bool:
        return self.bow is not None

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True, repr=False)
class Corpus:
    """N aligned tuples over any number of views; validated on construction.

    Attributes
    ----------
    name : str
    views : mapping from name to `View`
    tuple_ids : N unique str
    article_ids : N str
        Equal for tuples that share an article.
    split : N str
        ``"train"``, ``"test"`` or any other name of a part.

    Raises
    ------
    DataError
        Naming the view and the row that break the contract.
    """

    name: str
    views: Mapping[str, View]
    tuple_ids: Sequence[str]
    article_ids: Sequence[str]
    split: Sequence[str]

    def __post_init__(self):
        for field in ("tuple_ids", "article_ids", "split"):
            object.__setattr__(self, field, np.asarray(getattr(self, field), dtype=str).reshape(-1))
        _check_corpus(self)

    def __len__(self) -> int:
        return len(self.tuple_ids)

    def __repr__(self) -> str:
        splits = ", ".join(f"{int((self.split == s).sum())} {s}" for s in dict.fromkeys(self.split.tolist()))
        views = ", ".join(
            f"{n} ({len(v)} items, {v.embeddings.shape[1]}-d{f', {len(v.vocabulary)} words' if v.is_text else ''})" for n, v in self.views.items()
        )
        return f"Corpus {self.name}: {splits} tuples; views {views}"

    @property
    def text_views(self) -> list[str]:
        return [name for name, view in self.views.items() if view.is_text]

    def part(self, split: str) -> "Corpus":
        """The tuples of one split, with the items they use and no others."""
        require(split in self.split, f"{self.name}: no tuple is in split {split!r}; splits: {sorted(set(self.split))}", DataError)
        return self.subset(self.split == split)

    def subset(self, tuples: np.ndarray) -> "Corpus":
        """The corpus of the chosen ``tuples`` (bool (N,) or indices), its items renumbered."""
        views = {}
        for name, view in self.views.items():
            index = view.index[tuples]
            used = np.unique(index[index >= 0])
            renumber = np.full(len(view) + 1, -1, dtype=np.int64)
            renumber[used] = np.arange(len(used))
            views[name] = replace(
                view,
                embeddings=view.embeddings[used],
                index=renumber[index],
                item_ids=np.asarray(view.item_ids)[used],
                bow=None if view.bow is None else view.bow[used],
            )
        return Corpus(self.name, views, self.tuple_ids[tuples], self.article_ids[tuples], self.split[tuples])

    def select(self, views: Sequence[str]) -> "Corpus":
        """The corpus with these views only, in this order; tuples left with no view at all are dropped."""
        for name in views:
            require(name in self.views, f"view {name!r} is not in corpus {self.name}; it has: {', '.join(self.views)}")
        chosen = {name: self.views[name] for name in views}
        some = np.any([view.present for view in chosen.values()], axis=0)
        require(bool(some.any()), f"{self.name}: no tuple has any of the views {list(views)}", DataError)
        if some.all():
            return Corpus(self.name, chosen, self.tuple_ids, self.article_ids, self.split)
        chosen = {name: replace(view, index=view.index[some]) for name, view in chosen.items()}
        return Corpus(self.name, chosen, self.tuple_ids[some], self.article_ids[some], self.split[some])

    def lend_words(self, source: str, to: str) -> "Corpus":
        """The corpus with the words of view ``source`` lent to view ``to``, which has none: each item gets those of its first tuple's document.

        `DataError` if an item of ``to`` stands in no tuple that has ``source``.
        """
        for name in (source, to):
            require(name in self.views, f"view {name!r} is not in corpus {self.name}; it has: {', '.join(self.views)}")
        lender, borrower = self.views[source], self.views[to]
        require(lender.is_text and not borrower.is_text, f"{source!r} must have words and {to!r} none")
        both = np.flatnonzero(lender.present & borrower.present)[::-1]  # reversed, so that the first tuple's document stays
        document = np.full(len(borrower), -1)
        document[borrower.index[both]] = lender.index[both]
        for item in np.flatnonzero(document < 0):
            require(False, f"corpus {self.name}: item {str(borrower.item_ids[item])!r} of view {to!r} is in no tuple with {source!r}", DataError)
        lent = replace(borrower, bow=lender.bow[document], vocabulary=lender.vocabulary)
        return replace(self, views={**self.views, to: lent})

    def article_of_items(self, name: str) -> list[set[str]]:
        """For each item of view ``name``, the articles whose tuples it stands in."""
        articles = [set() for _ in range(len(self.views[name]))]
        for item, article in zip(self.views[name].index, self.article_ids, strict=True):
            if item >= 0:
                articles[item].add(str(article))
        return articles

    def fingerprint(self) -> str:
        """SHA-256 of everything the corpus holds: what a run records as its data."""
        parts = [self.name, *self.tuple_ids, *self.article_ids, *self.split]
        for name, view in self.views.items():
            parts += [name, view.embeddings, view.index, *map(str, view.item_ids)]
            if view.bow is not None:
                parts += [view.bow.indptr.astype(np.int64), view.bow.indices.astype(np.int64), view.bow.data, *view.vocabulary]
        return digest(*parts)

    def save(self, folder) -> None:
        """Write the corpus into ``folder``, atomically, without pickle."""
        with atomic(folder, directory=True) as temporary:
            for name, view in self.views.items():
                np.save(temporary / f"{name}.embeddings.npy", view.embeddings, allow_pickle=False)
                np.save(temporary / f"{name}.index.npy", view.index, allow_pickle=False)
                if view.bow is not None:
                    sp.save_npz(temporary / f"{name}.bow.npz", view.bow)
            write_json(
                temporary / "corpus.json",
                {
                    "format": FORMAT,
                    "name": self.name,
                    "tuple_ids": self.tuple_ids.tolist(),
                    "article_ids": self.article_ids.tolist(),
                    "split": self.split.tolist(),
                    "views": [
                        {"name": n, "item_ids": list(map(str, v.item_ids)), "vocabulary": None if v.vocabulary is None else list(v.vocabulary)}
                        for n, v in self.views.items()
                    ],
                    "fingerprint": self.fingerprint(),
                },
            )

    @classmethod
    def load(cls, folder) -> "Corpus":
        """Read what `save` wrote; `DataError` if a file is missing, broken or not the one that was saved."""
        folder = Path(folder)
        meta = read_json(folder / "corpus.json")
        found = meta.get("format") if isinstance(meta, dict) else None
        require(found == FORMAT, f"{folder}/corpus.json: format {found!r}, expected {FORMAT}", DataError)
        missing = {"name", "tuple_ids", "article_ids", "split", "views", "fingerprint"} - set(meta)
        require(not missing, f"{folder}/corpus.json: it lacks {sorted(missing)}; delete the folder and make it again", DataError)
        views = {}
        for entry in meta["views"]:
            name, vocabulary = entry["name"], entry["vocabulary"]
            views[name] = View(
                name,
                read_array(folder / f"{name}.embeddings.npy"),
                read_array(folder / f"{name}.index.npy"),
                entry["item_ids"],
                None if vocabulary is None else read_sparse(folder / f"{name}.bow.npz"),
                vocabulary,
            )
        corpus = cls(meta["name"], views, meta["tuple_ids"], meta["article_ids"], meta["split"])
        require(
            corpus.fingerprint() == meta["fingerprint"], f"{folder}: the arrays are not those that were saved; delete the folder and make it again", DataError
        )
        return corpus


def read_sparse(path) -> sp.csr_matrix:
    """The sparse matrix in the .npz file ``path``; `DataError` naming it if it is missing or broken."""
    try:
        return sp.csr_matrix(sp.load_npz(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # zipfile, zlib and numpy each raise errors of their own on a broken archive
        raise DataError(f"{path}: not a whole sparse matrix ({error}); delete it and run again") from error


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _duplicate(ids: np.ndarray) -> str | None:
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0]) if (counts > 1).any() else None


def _check_corpus(corpus: Corpus) -> None:
    def check(condition, message):
        require(bool(condition), f"corpus {corpus.name}: {message}", DataError)

    n = len(corpus.tuple_ids)
    check(n > 0, "it has no tuple")
    check(len(corpus.views) > 0, "it has no view")
    for field in ("article_ids", "split"):
        check(len(getattr(corpus, field)) == n, f"{field} has {len(getattr(corpus, field))} rows, tuple_ids has {n}")
    double = _duplicate(corpus.tuple_ids)
    check(double is None, f"tuple id {double!r} stands in more than one row")
    anywhere = np.zeros(n, dtype=bool)
    for name, view in corpus.views.items():
        check(name == view.name, f"view {name!r} calls itself {view.name!r}")
        _check_view(view, n, check)
        anywhere |= view.present
    for row in np.flatnonzero(~anywhere):
        check(False, f"tuple {str(corpus.tuple_ids[row])!r} (row {row}) has no view at all")
    _check_leakage(corpus, check)


def _check_view(view: View, n: int, check) -> None:
    where, e, m = f"view {view.name!r}", view.embeddings, len(view.item_ids)
    check(
        isinstance(e, np.ndarray) and e.ndim == 2 and e.shape[1] > 0,
        f"{where}: embeddings must be an array of shape (items, dimensions), got {getattr(e, 'shape', type(e).__name__)}",
    )
    check(e.dtype == np.float32, f"{where}: embeddings are {e.dtype}, expected float32")
    check(len(e) == m, f"{where}: {len(e)} rows of embeddings for {m} items")
    for row in np.flatnonzero(~np.isfinite(e).all(axis=1)):
        check(False, f"{where}: the embedding of row {row} (item {str(view.item_ids[row])!r}) is not finite")
    double = _duplicate(np.asarray(view.item_ids, dtype=str))
    check(double is None, f"{where}: item id {double!r} stands in more than one row")
    integers = isinstance(view.index, np.ndarray) and np.issubdtype(view.index.dtype, np.integer)
    check(
        integers and view.index.shape == (n,),
        f"{where}: index must be {n} integers, got {getattr(view.index, 'dtype', type(view.index).__name__)} {getattr(view.index, 'shape', '')}",
    )
    for row in np.flatnonzero((view.index < -1) | (view.index >= m)):
        check(False, f"{where}: tuple row {row} points at item {view.index[row]}, of {m}")
    if view.bow is None:
        check(view.vocabulary is None, f"{where}: a vocabulary without a bag of words")
        return
    check(
        sp.issparse(view.bow) and view.bow.format == "csr",
        f"{where}: the bag of words must be a scipy.sparse CSR matrix, got {getattr(view.bow, 'format', type(view.bow).__name__)}",
    )
    check(view.vocabulary is not None and len(view.vocabulary) > 0, f"{where}: a bag of words without a vocabulary")
    check(view.bow.shape == (m, len(view.vocabulary)), f"{where}: bag of words of shape {view.bow.shape}, expected {(m, len(view.vocabulary))}")
    double = _duplicate(np.asarray(view.vocabulary, dtype=str))
    check(double is None, f"{where}: the word {double!r} stands twice in the vocabulary")
    check(view.bow.nnz == 0 or view.bow.data.min() >= 0, f"{where}: negative word counts")
    for row in np.flatnonzero(np.asarray(view.bow.sum(axis=1)).ravel() == 0):
        check(False, f"{where}: the document of row {row} (item {str(view.item_ids[row])!r}) has no word of the vocabulary")


def _check_leakage(corpus: Corpus, check) -> None:
    columns = {"article": (np.arange(len(corpus)), corpus.article_ids)}
    for name, view in corpus.views.items():
        rows = np.flatnonzero(view.present)
        columns[f"view {name!r}: item"] = rows, np.asarray(view.item_ids, dtype=str)[view.index[rows]]
    for what, (rows, ids) in columns.items():
        split = corpus.split[rows]
        order = np.lexsort((split, ids))
        leak = (ids[order][1:] == ids[order][:-1]) & (split[order][1:] != split[order][:-1])
        if leak.any():
            a, b = rows[order[_first(leak)]], rows[order[_first(leak) + 1]]
            check(False, f"{what} {str(ids[order][_first(leak)])!r} leaks between splits: rows {a} ({corpus.split[a]}) and {b} ({corpus.split[b]})")
