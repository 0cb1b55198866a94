"""The views of a corpus from texts and embeddings in memory."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .errors import DataError, require
from .text import bag_of_words, learn_vocabulary
from .view import View
from .words import stopwords, tokenize

Parts = tuple[dict[str, View], list[str], list[str], list[str]]


def corpus_parts(
    texts: Mapping[str, Sequence[str | None]],
    embeddings: Mapping[str, Sequence],
    vocabulary_size: int,
    stop: Mapping[str, Iterable[str]] | None,
    min_words: int,
    tuple_ids: Sequence[str] | None,
    article_ids: Sequence[str] | None,
    split: Sequence[str] | None,
) -> Parts:
    """Views, tuple ids, article ids and splits: see `m3l.Corpus.from_texts`."""
    n = _common_length(texts, embeddings)
    ids = [str(i) for i in range(n)] if tuple_ids is None else [str(i) for i in tuple_ids]
    articles = ids if article_ids is None else [str(i) for i in article_ids]
    parts = ["train"] * n if split is None else [str(part) for part in split]
    for what, values in (("tuple_ids", ids), ("article_ids", articles), ("split", parts)):
        require(len(values) == n, f"{what}: {len(values)} values for {n} tuples", DataError)
    require(min_words >= 1, f"min_words={min_words}: expected 1 or more")
    views = {}
    for name, vectors in embeddings.items():
        if name in texts:
            rows = _document_rows(texts[name], articles, name)
            training = [
                tokenize(texts[name][i], name) for i in rows.values() if parts[i] == "train"
            ]
            given = None if stop is None else stop.get(name)
            words = stopwords(name) if given is None else frozenset(given)
            vocabulary = learn_vocabulary(training, vocabulary_size, words, name)
            bow = bag_of_words([tokenize(texts[name][i], name) for i in rows.values()], vocabulary)
            enough = np.asarray(bow.sum(axis=1)).ravel() >= min_words
            kept = {key: row for (key, row), ok in zip(rows.items(), enough, strict=True) if ok}
            place = {article: item for item, article in enumerate(kept)}
            index = [
                -1 if text is None else place.get(article, -1)
                for text, article in zip(texts[name], articles, strict=True)
            ]
            array = _array(vectors, list(kept.values()), name)
            counts = bow[np.flatnonzero(enough)]
            views[name] = View(name, array, np.array(index), list(kept), counts, vocabulary)
        else:
            present = [i for i in range(n) if vectors[i] is not None]
            index = np.full(n, -1, dtype=np.int64)
            index[present] = np.arange(len(present))
            array = _array(vectors, present, name)
            views[name] = View(name, array, index, [ids[i] for i in present])
    without = ~np.any([view.present for view in views.values()], axis=0)
    if without.any():
        row = int(np.flatnonzero(without)[0])
        cure = "raise vocabulary_size, lower min_words, or leave the tuple out"
        raise DataError(f"row {row}: its texts have too few words of the vocabulary; {cure}")
    return views, ids, articles, parts


def _common_length(texts: Mapping, embeddings: Mapping) -> int:
    without = sorted(set(texts) - set(embeddings))
    require(not without, f"embeddings: none for the texts of {', '.join(without)}", DataError)
    require(len(embeddings) > 0, "embeddings: expected at least one view", DataError)
    lengths = {f"texts of {name}": len(values) for name, values in texts.items()}
    lengths |= {f"embeddings of {name}": len(values) for name, values in embeddings.items()}
    numbers = ", ".join(f"{what} {length}" for what, length in lengths.items())
    same = len(set(lengths.values())) == 1
    require(same, f"every view needs a value a tuple, None for a missing one: {numbers}", DataError)
    return next(iter(lengths.values()))


def _document_rows(
    texts: Sequence[str | None], articles: Sequence[str], name: str
) -> dict[str, int]:
    """The first row of each article that has a text; `DataError` if two of its rows differ."""
    rows: dict[str, int] = {}
    for row, (text, article) in enumerate(zip(texts, articles, strict=True)):
        if text is None:
            continue
        if not isinstance(text, str):
            kind = type(text).__name__
            raise DataError(f"texts of {name}: row {row} is of type {kind}, expected str or None")
        first = rows.setdefault(article, row)
        if texts[first] != text:
            where = f"texts of {name}: rows {first} and {row}"
            raise DataError(f"{where} are of article {article!r} and differ")
    require(len(rows) > 0, f"texts of {name}: every one is missing", DataError)
    return rows


def _array(vectors: Sequence, rows: Sequence[int], name: str) -> np.ndarray:
    """The vectors of some rows: float32 (M, D)."""
    for row in rows:
        if vectors[row] is None:
            raise DataError(f"embeddings of {name}: row {row} is None, and the tuple has the view")
    require(len(rows) > 0, f"embeddings of {name}: every one is missing", DataError)
    widths = {np.shape(vectors[row]) for row in rows}
    one = len(widths) == 1 and len(next(iter(widths))) == 1
    require(one, f"embeddings of {name}: vectors of different shapes, {sorted(widths)}", DataError)
    return np.stack([np.asarray(vectors[row], dtype=np.float32) for row in rows])
