"""Aligned tuples of views: the one data structure that models, metrics and chapters share.

A *tuple* is the paper's tuple of aligned documents (Sections 3.1 and 4.1): an article in
several languages and a picture of it. A *view* is one language or modality. A view holds each of
its documents or pictures once, as *items*; a tuple points at one item of each view it has, so that
an article with five pictures is five tuples that share their text items.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import DataError, require
from .files import digest
from .view import View, check_view, first_row, repeated_value


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
        The message names the view and the row that break the contract.
    """

    name: str
    views: Mapping[str, View]
    tuple_ids: np.ndarray
    article_ids: np.ndarray
    split: np.ndarray

    @classmethod
    def from_texts(
        cls,
        texts: Mapping[str, Sequence[str | None]],
        embeddings: Mapping[str, Sequence],
        vocabulary_size: int = 2000,
        *,
        stopwords: Mapping[str, Iterable[str]] | None = None,
        min_words: int = 1,
        tuple_ids: Sequence[str] | None = None,
        article_ids: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        name: str = "corpus",
    ) -> "Corpus":
        """A corpus of N tuples from texts and embeddings, without files.

        Parameters
        ----------
        texts : language -> N texts
            ``None`` where a tuple lacks the language.
        embeddings : view -> N vectors
            Of every language, and of views without words, which may have any name. ``None`` where a
            tuple lacks the view; an array (N, D) where none does.
        vocabulary_size : int
            Words a language, the most frequent of the ``"train"`` tuples, stopwords aside.
        stopwords : mapping of language to words, optional
            By default `m3l.text.stopwords` of the language's code; an empty list keeps every word,
            and capitals do not count.
        min_words : int
            A document with fewer words of the vocabulary counts as missing.
        tuple_ids, article_ids, split : N str, optional
            By default the row's number, the tuple's id, and ``"train"``. Rows of one article share
            their texts.
        name : str

        Raises
        ------
        DataError
            The message names the view and the row that do not fit.
        """
        from .text import corpus_parts  # its words need a package that the rest does not

        order = tuple_ids, article_ids, split
        parts = corpus_parts(texts, embeddings, vocabulary_size, stopwords, min_words, *order)
        return cls(name, *parts)

    def __post_init__(self):
        for field in ("tuple_ids", "article_ids", "split"):
            values = np.asarray(getattr(self, field), dtype=str).reshape(-1)
            object.__setattr__(self, field, values)
        check_corpus(self)

    def __len__(self) -> int:
        return len(self.tuple_ids)

    def __repr__(self) -> str:
        parts = dict.fromkeys(self.split.tolist())
        splits = ", ".join(f"{int((self.split == part).sum())} {part}" for part in parts)
        views = []
        for name, view in self.views.items():
            words = f", {len(view.vocabulary)} words" if view.vocabulary is not None else ""
            views.append(f"{name} ({len(view)} items, {view.embeddings.shape[1]}-d{words})")
        return f"Corpus {self.name}: {splits} tuples; views {', '.join(views)}"

    @property
    def text_views(self) -> list[str]:
        """The names of the views that have words."""
        return [name for name, view in self.views.items() if view.is_text]

    @property
    def picture_views(self) -> list[str]:
        """The names of the views that have none."""
        return [name for name, view in self.views.items() if not view.is_text]

    def part(self, split: str) -> "Corpus":
        """The tuples of one split, with the items they use and no others."""
        splits = ", ".join(sorted(set(self.split)))
        nothing = f"corpus {self.name}: no tuple is in split {split!r}; splits: {splits}"
        require(split in self.split, nothing, DataError)
        return self.subset(self.split == split)

    def subset(self, tuples: np.ndarray) -> "Corpus":
        """The corpus of the chosen ``tuples`` (bool (N,) or indices), its items renumbered."""
        views = {}
        for name, view in self.views.items():
            index = view.index[tuples]
            used = np.unique(index[index >= 0])
            new_number = np.full(len(view) + 1, -1, dtype=np.int64)
            new_number[used] = np.arange(len(used))
            views[name] = replace(
                view,
                embeddings=view.embeddings[used],
                index=new_number[index],
                item_ids=np.asarray(view.item_ids)[used],
                bow=None if view.bow is None else view.bow[used],
            )
        ids, articles = self.tuple_ids[tuples], self.article_ids[tuples]
        return Corpus(self.name, views, ids, articles, self.split[tuples])

    def select(self, views: Sequence[str]) -> "Corpus":
        """The corpus with these views only, in this order.

        Tuples left with no view are dropped, and of several that differ in other views alone, such
        as the pictures of an article, the first stays.
        """
        self._require_views(views)
        chosen = {name: self.views[name] for name in views}
        index = np.stack([view.index for view in chosen.values()], axis=1)  # (N, views)
        first = np.zeros(len(self), dtype=bool)
        first[np.unique(index, axis=0, return_index=True)[1]] = True
        kept = first & (index >= 0).any(axis=1)
        nothing = f"{self.name}: no tuple has any of the views {list(views)}"
        require(bool(kept.any()), nothing, DataError)
        if kept.all():
            return Corpus(self.name, chosen, self.tuple_ids, self.article_ids, self.split)
        chosen = {name: replace(view, index=view.index[kept]) for name, view in chosen.items()}
        ids, articles = self.tuple_ids[kept], self.article_ids[kept]
        return Corpus(self.name, chosen, ids, articles, self.split[kept])

    def having(self, views: Sequence[str]) -> "Corpus":
        """The tuples that have every one of these views.

        Raises
        ------
        DataError
            There is none.
        """
        self._require_views(views)
        whole = np.all([self.views[name].present for name in views], axis=0)
        nothing = f"{self.name}: no tuple has all of the views {list(views)}"
        require(bool(whole.any()), nothing, DataError)
        return self if whole.all() else self.subset(whole)

    def copy_words(self, source: str, to: str) -> "Corpus":
        """The corpus with the words of view ``source`` copied to view ``to``, which has none.

        Each item gets the words of its first tuple's document.

        Raises
        ------
        DataError
            An item of ``to`` stands in no tuple that has ``source``.
        """
        self._require_views((source, to))
        with_words, without_words = self.views[source], self.views[to]
        require(
            with_words.is_text and not without_words.is_text,
            f"{source!r} must have words and {to!r} none",
        )
        # reversed, so that the first tuple's document stays
        both = np.flatnonzero(with_words.present & without_words.present)[::-1]
        document = np.full(len(without_words), -1)
        document[without_words.index[both]] = with_words.index[both]
        without = np.flatnonzero(document < 0)
        if len(without):
            item = str(without_words.item_ids[without[0]])
            raise DataError(
                f"corpus {self.name}: item {item!r} of view {to!r} is in no tuple with {source!r}"
            )
        copied = replace(
            without_words, bow=with_words.bow[document], vocabulary=with_words.vocabulary
        )
        return replace(self, views={**self.views, to: copied})

    def article_of_items(self, name: str) -> list[set[str]]:
        """For each item of view ``name``, the articles whose tuples it stands in."""
        articles: list[set[str]] = [set() for _ in range(len(self.views[name]))]
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
                places = view.bow.indptr.astype(np.int64), view.bow.indices.astype(np.int64)
                parts += [*places, view.bow.data, *view.vocabulary]
        return digest(*parts)

    def _require_views(self, names: Sequence[str]) -> None:
        known = ", ".join(self.views)
        for name in names:
            message = f"view {name!r} is not in corpus {self.name}; it has: {known}"
            require(name in self.views, message)


def check_corpus(corpus: Corpus) -> None:
    """Check that the views fit together and that no article or item stands in two splits.

    Raises
    ------
    DataError
        The message names the corpus, the view and the row.
    """
    where, n, views = f"corpus {corpus.name}", len(corpus), corpus.views
    require(n > 0, f"{where}: it has no tuple", DataError)
    require(len(views) > 0, f"{where}: it has no view", DataError)
    for field in ("article_ids", "split"):
        rows = len(getattr(corpus, field))
        require(rows == n, f"{where}: {field} has {rows} rows, tuple_ids has {n}", DataError)
    repeated = repeated_value(corpus.tuple_ids)
    if repeated is not None:
        raise DataError(f"{where}: tuple id {repeated!r} stands in more than one row")
    for name, view in views.items():
        require(name == view.name, f"{where}: view {name!r} calls itself {view.name!r}", DataError)
        check_view(view, n, f"{where}: view {name!r}")
    anywhere = np.any([view.present for view in views.values()], axis=0)
    if not anywhere.all():
        row = first_row(~anywhere)
        tuple_id = str(corpus.tuple_ids[row])
        raise DataError(f"{where}: tuple {tuple_id!r} (row {row}) has no view at all")
    _check_leakage(corpus, where)


def _check_leakage(corpus: Corpus, where: str) -> None:
    columns = {"article": (np.arange(len(corpus)), corpus.article_ids)}
    for name, view in corpus.views.items():
        rows = np.flatnonzero(view.present)
        ids = np.asarray(view.item_ids, dtype=str)[view.index[rows]]
        columns[f"view {name!r}: item"] = rows, ids
    for what, (rows, ids) in columns.items():
        parts = corpus.split[rows]
        order = np.lexsort((parts, ids))
        same = ids[order][1:] == ids[order][:-1]
        leaks = same & (parts[order][1:] != parts[order][:-1])
        if leaks.any():
            first = first_row(leaks)
            a, b = rows[order[first]], rows[order[first + 1]]
            places = f"rows {a} ({corpus.split[a]}) and {b} ({corpus.split[b]})"
            name = str(ids[order][first])
            raise DataError(f"{where}: {what} {name!r} leaks between splits: {places}")
