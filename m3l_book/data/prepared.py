"""A prepared corpus on disk, and the `Corpus` that its files make.

``<prepared>/``: ``tuples.parquet`` (schema in `m3l_book.data.schema`), ``images/``, ``images.json``
and ``images_sha256.json``, ``bow_<lang>.npz``, ``vocab_<lang>.txt``, ``card.json`` and, if features
of pictures came with the source, ``given_<encoder>.npy``.
``<embeddings>/<encoder>/<view>.npy`` with a ``.json`` beside it. Rows of a bag of words and of an
embedding are the view's items in order of first appearance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l import text as words
from m3l.corpus import Corpus, View
from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file, read_array, read_json, read_sparse
from m3l.text import keep_vocabulary

from .schema import PICTURES

if TYPE_CHECKING:
    from pandas import DataFrame


def read_tuples(folder: str | Path) -> "DataFrame":
    """Read the frame of a prepared corpus, None where a text or title is missing; `DataError`
    naming the file if it is missing or broken, or lacks a column that every corpus has.
    """
    import pandas as pd

    path = Path(folder) / "tuples.parquet"
    require(path.is_file(), f"{path}: no such file; prepare the corpus first", DataError)
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for a broken file
        cure = f"delete {folder} and prepare the corpus again"
        raise DataError(f"{path}: not a whole Parquet file ({error}); {cure}") from error
    columns = ("tuple_id", "article_id", "split", "image_id")
    lacking = [name for name in columns if name not in frame]
    broken = f"{path}: no column {lacking}; delete {folder} and prepare the corpus again"
    require(not lacking, broken, DataError)
    for column in frame:
        if column.endswith(("_text", "_title")):
            frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    return frame


def items(frame: "DataFrame", view: str) -> "DataFrame":
    """Take the first row of each item of a view: its documents, or pictures if it is ``image``."""
    key, content = _columns(view)
    return frame[frame[content].notna()].drop_duplicates(key)


def _columns(view: str) -> tuple[str, str]:
    """Name the columns of a view's ids and of its content."""
    return ("image_id", "image_id") if view == PICTURES else ("article_id", f"{view}_text")


def tokens_of(
    texts: Iterable[str],
    language: str,
    segmented: Sequence[str] = (),
    max_words: int | None = None,
) -> list[list[str]]:
    """Cut texts of a language into words, and keep the first ``max_words`` of each, or all.

    ``segmented`` are languages whose words have blanks between them though their script has none.
    """
    blanks = language in segmented
    return [words.tokenize(text, language, blanks)[:max_words] for text in texts]


def cutting(folder: str | Path) -> dict:
    """Read how a prepared corpus was cut into words: the options of `tokens_of`."""
    card = Path(folder) / "card.json"
    return {option: entry_of(card, option) for option in ("segmented", "max_words")}


def vocabulary(folder: str | Path, language: str) -> list[str]:
    """Read the vocabulary of a prepared corpus, in the order of its bag of words' columns."""
    path, card = Path(folder) / f"vocab_{language}.txt", Path(folder) / "card.json"
    require(path.is_file(), f"{path}: no such file; prepare the corpus first", DataError)
    other = f"{path}: not the file that was written with {card}; prepare the corpus again"
    same = entry_of(card, "hashes").get(path.name) == digest_file(path)
    require(same, other, DataError)
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def entry_of(path: str | Path, key: str) -> object:
    """Read the value of ``key`` in a JSON object; `DataError` naming the file if it has none."""
    value = read_json(path)
    there = isinstance(value, dict) and key in value
    require(there, f"{path}: no entry {key!r}; delete it and make it again", DataError)
    return value[key]


def views_of(folder: str | Path) -> list[str]:
    """List the views of a prepared corpus: its languages, then ``image`` if it has pictures."""
    pictures = [PICTURES] if (Path(folder) / "images.json").is_file() else []
    return [*entry_of(Path(folder) / "card.json", "languages"), *pictures]


def training_texts(folder: str | Path, language: str) -> list[str]:
    """Read the training documents of a language."""
    frame = read_tuples(folder)
    return items(frame[frame["split"] == "train"], language)[f"{language}_text"].tolist()


def training_tokens(folder: str | Path, language: str) -> list[list[str]]:
    """Read each training document's words of the vocabulary, on which coherence is measured."""
    tokens = tokens_of(training_texts(folder, language), language, **cutting(folder))
    return keep_vocabulary(tokens, vocabulary(folder, language))


def running_article(folder: str | Path) -> str:
    """Choose the article that chapters come back to: of the test articles that have every view, or
    the most views that any has, the one whose shorter text keeps the most words of its vocabulary;
    of several the first by its id.
    """
    frame = read_tuples(folder)
    test = frame[frame["split"] == "test"]
    columns = [_columns(view)[1] for view in views_of(folder)]
    views = test[columns].notna().groupby(test["article_id"]).any().sum(axis=1)
    whole = sorted(views.index[views == views.max()])
    kept = dict.fromkeys(whole, np.inf)
    for language in entry_of(Path(folder) / "card.json", "languages"):
        counts = read_sparse(Path(folder) / f"bow_{language}.npz").sum(axis=1).A1
        of_article = dict(zip(items(frame, language)["article_id"], counts, strict=True))
        kept = {article: min(n, of_article.get(article, 0)) for article, n in kept.items()}
    return str(max(kept, key=lambda article: kept[article]))


def embedding_path(embeddings: str | Path, view: str, encoder: str) -> Path:
    """Give the file of a view's embeddings; the encoder may be a path or a hub name."""
    return Path(embeddings) / encoder.strip("/").replace("/", "--") / f"{view}.npy"


def embedding_card(embeddings: str | Path, view: str, encoder: str) -> dict:
    """Read what `embed_view` recorded of an embedding: encoder, space, identity, shape, hashes."""
    return read_json(embedding_path(embeddings, view, encoder).with_suffix(".json"))


def item_ids(rows: "DataFrame", view: str) -> list[str]:
    """List the ids of a view's items."""
    return rows[_columns(view)[0]].astype(str).tolist()


def content_digest(rows: "DataFrame", view: str, folder: str | Path) -> str:
    """Compute the SHA-256 of the ids and the content of a view's items: their texts, or the bytes
    of their pictures.
    """
    if view == PICTURES:
        hashes = read_json(Path(folder) / "images_sha256.json")
        content = [hashes[image] for image in rows["image_id"]]
    else:
        content = rows[f"{view}_text"].tolist()
    return digest(*item_ids(rows, view), *content)


def assemble(folder: str | Path, embeddings: str | Path, encoders: Mapping[str, str]) -> Corpus:
    """Make the corpus of a prepared folder with ``encoders`` (view -> encoder name) from what
    `embed_view` wrote, of the tuples that have any of these views.

    Raises
    ------
    DataError
        A file is missing or broken, or the embeddings are of other items than the prepared corpus
        holds.
    """
    frame, views = read_tuples(folder), {}
    for view, encoder in encoders.items():
        choose("view", view, views_of(folder))
        rows, path = items(frame, view), embedding_path(embeddings, view, encoder)
        cure = f"encode view {view!r} with {encoder!r} first (book/02-encoders.ipynb)"
        require(path.is_file(), f"{path}: no such file; {cure}", DataError)
        array, card = read_array(path), path.with_suffix(".json")
        same = entry_of(card, "items") == content_digest(rows, view, folder)
        same = same and entry_of(card, "sha256") == digest(array)
        other = f"{path}: not the embeddings of the items in {folder}; encode the view again"
        require(same, other, DataError)
        ids, (key, content) = item_ids(rows, view), _columns(view)
        place = {item: i for i, item in enumerate(ids)}
        index = np.array([place.get(item, -1) for item in frame[key].astype(str)], dtype=np.int64)
        index[frame[content].isna()] = -1
        bow = words_of_view = None
        if view != PICTURES:
            bow = read_sparse(Path(folder) / f"bow_{view}.npz")
            words_of_view = vocabulary(folder, view)
        views[view] = View(view, array, index, ids, bow, words_of_view)
    there = np.any([view.present for view in views.values()], axis=0)
    views = {of: replace(view, index=view.index[there]) for of, view in views.items()}
    name = entry_of(Path(folder) / "card.json", "name")
    return Corpus(name, views, *(frame[c][there] for c in ("tuple_id", "article_id", "split")))


def part_if_any(corpus: Corpus, split: str) -> Corpus | None:
    """Take the tuples of a split; None if the corpus has no such split."""
    return corpus.part(split) if split in corpus.split else None


def known_topics(folder: str | Path, view: str, split: str) -> np.ndarray | None:
    """Read the true topic proportions (M, G) of a split's items, or None if nobody knows them."""
    frame = read_tuples(folder)
    if f"{view}_truth" not in frame:
        return None
    return np.stack(items(frame[frame["split"] == split], view)[f"{view}_truth"].to_list())


def known_topics_of(folder: str | Path, views: Iterable[str], split: str) -> dict[str, np.ndarray]:
    """Read `known_topics` of each of the views of which the source knows them."""
    known = {view: known_topics(folder, view, split) for view in views}
    return {view: truth for view, truth in known.items() if truth is not None}


def wanted(encoders: Mapping[str, Mapping]) -> list[tuple[str, str, str]]:
    """List corpus, view and name of each encoder of a mapping by corpus and view."""
    return [
        (corpus, view, name)
        for corpus, views in encoders.items()
        for view, names in views.items()
        for name in ([names] if isinstance(names, str) else names)
    ]


def spaces(embeddings: str | Path, encoders: Mapping) -> dict[str, dict[str, str]]:
    """Group the views that share a space, each with its encoder: space -> view -> encoder.

    ``encoders`` are those of one corpus by view, one or several; of several in one space the last
    counts.
    """
    by_space: dict[str, dict[str, str]] = {}
    for _, view, name in wanted({"": encoders}):
        space = embedding_card(embeddings, view, name)["space"]
        by_space.setdefault(space, {})[view] = name
    return by_space
