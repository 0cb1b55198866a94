"""From a source's tuples to files with a schema, and from files to a `Corpus`.

``<prepared>/``: ``tuples.parquet`` (schema in `m3l_book.data.schema`), ``images/``, ``images.json``
and ``images_sha256.json``, ``bow_<lang>.npz``, ``vocab_<lang>.txt`` and ``card.json``.
``<embeddings>/<encoder>/<view>.npy`` with a ``.json`` beside it. Rows of a bag of words and of an
embedding are the view's items in order of first appearance.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus, View
from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file, read_array, read_json, read_sparse
from m3l.text import keep_vocabulary

from .schema import PICTURES
from .wording import tokens_of

if TYPE_CHECKING:
    from pandas import DataFrame


def read_tuples(folder: str | Path) -> "DataFrame":
    """The frame of a prepared corpus, None where a text or title is missing; `DataError` naming the
    file if it is missing or broken.
    """
    import pandas as pd

    path = Path(folder) / "tuples.parquet"
    require(path.is_file(), f"{path}: no such file; prepare the corpus first", DataError)
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise DataError(
            f"{path}: not a whole Parquet file ({error}); delete {folder} and prepare the corpus"
            " again"
        ) from error
    words = [column for column in frame if column.endswith(("_text", "_title"))]
    return frame.assign(
        **{
            column: frame[column].astype(object).where(frame[column].notna(), None)
            for column in words
        }
    )


def items(frame: "DataFrame", view: str) -> "DataFrame":
    """The rows of ``frame`` that hold each item of a view first: its documents, or pictures if view
    is ``image``.
    """
    key = "image_id" if view == PICTURES else "article_id"
    has = frame["image_id"].notna() if view == PICTURES else frame[f"{view}_text"].notna()
    return frame[has].drop_duplicates(key)


def vocabulary(folder: str | Path, language: str) -> list[str]:
    """The vocabulary of a prepared corpus, in the order of its bag of words' columns."""
    path = Path(folder) / f"vocab_{language}.txt"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; prepare the corpus first") from None
    require(
        entry_of(Path(folder) / "card.json", "hashes").get(path.name) == digest_file(path),
        f"{path}: not the file that was written with {folder}/card.json; prepare the corpus again",
        DataError,
    )
    return data.decode("utf-8").split("\n")[:-1]


def entry_of(path: str | Path, key: str) -> object:
    """The value of ``key`` in a JSON object; `DataError` naming the file if it is not there."""
    value = read_json(path)
    require(
        isinstance(value, dict) and key in value,
        f"{path}: no entry {key!r}; delete it and make it again",
        DataError,
    )
    return value[key]


def views_of(folder: str | Path) -> list[str]:
    """The views of a prepared corpus: its languages, then ``image`` if there are pictures."""
    return [
        *entry_of(Path(folder) / "card.json", "languages"),
        *([PICTURES] if (Path(folder) / "images.json").is_file() else []),
    ]


def training_tokens(folder: str | Path, language: str) -> list[list[str]]:
    """Each training document's words of the vocabulary, in their order: what coherence is measured
    on.
    """
    frame = read_tuples(folder)
    rows = items(frame[frame["split"] == "train"], language)
    segmented = entry_of(Path(folder) / "card.json", "segmented")
    tokens = tokens_of(rows[f"{language}_text"], language, segmented)
    return keep_vocabulary(tokens, vocabulary(folder, language))


def training_texts(folder: str | Path, language: str) -> list[str]:
    """The training documents of a language, as an encoder that is trained on them gets them."""
    frame = read_tuples(folder)
    return items(frame[frame["split"] == "train"], language)[f"{language}_text"].tolist()


def file_name(encoder: str) -> str:
    """The folder name of an encoder, which may be a path or a hub name."""
    return encoder.strip("/").replace("/", "--")


def item_ids(rows: "DataFrame", view: str) -> list[str]:
    return rows["image_id" if view == PICTURES else "article_id"].astype(str).tolist()


def content_digest(rows: "DataFrame", view: str, folder: str | Path) -> str:
    """SHA-256 of the ids and the content of a view's items: their texts, or the bytes of their
    pictures.
    """
    if view == PICTURES:
        hashes = read_json(Path(folder) / "images_sha256.json")
        content = [hashes[image] for image in rows["image_id"]]
    else:
        content = rows[f"{view}_text"].tolist()
    return digest(*item_ids(rows, view), *content)


def assemble(folder: str | Path, embeddings: str | Path, encoders: Mapping[str, str]) -> Corpus:
    """The corpus of a prepared folder with ``encoders`` (view -> encoder name) from what
    `embed_view` wrote.

    Raises
    ------
    DataError
        A file is missing or broken, or the embeddings are of other items than the prepared corpus
        holds.
    """
    frame, name = read_tuples(folder), entry_of(Path(folder) / "card.json", "name")
    views = {}
    for view, encoder in encoders.items():
        choose("view", view, views_of(folder))
        rows = items(frame, view)
        ids = item_ids(rows, view)
        path = Path(embeddings) / file_name(encoder) / f"{view}.npy"
        require(
            path.is_file(),
            f"{path}: no such file; encode view {view!r} with {encoder!r} first"
            " (book/02-encoders.ipynb)",
            DataError,
        )
        array, meta = read_array(path), path.with_suffix(".json")
        require(
            entry_of(meta, "items") == content_digest(rows, view, folder)
            and entry_of(meta, "sha256") == digest(array),
            f"{path}: not the embeddings of the items in {folder}; encode the view again",
            DataError,
        )
        place = {item: i for i, item in enumerate(ids)}
        if view == PICTURES:
            index = [place.get(image, -1) for image in frame["image_id"]]
        else:
            index = [
                place[a] if t is not None and t == t else -1
                for a, t in zip(frame["article_id"].astype(str), frame[f"{view}_text"], strict=True)
            ]
        bow = None if view == PICTURES else read_sparse(Path(folder) / f"bow_{view}.npz")
        views[view] = View(
            view,
            array,
            np.array(index, dtype=np.int64),
            ids,
            bow,
            None if view == PICTURES else vocabulary(folder, view),
        )
    return Corpus(name, views, frame["tuple_id"], frame["article_id"], frame["split"])


def part_if_any(corpus: Corpus, split: str) -> Corpus | None:
    """The tuples of a split; None if the corpus has no such split."""
    return corpus.part(split) if split in corpus.split else None


def embedding_card(embeddings: str | Path, view: str, encoder: str) -> dict:
    """What `embed_view` recorded beside an embedding: encoder, space, identity, shape, hashes."""
    return read_json(Path(embeddings) / file_name(encoder) / f"{view}.json")


def known_topics(folder: str | Path, view: str, split: str) -> np.ndarray | None:
    """The true topic proportions (M, G) of a split's items, or None if nobody knows them."""
    frame = read_tuples(folder)
    if f"{view}_truth" not in frame:
        return None
    return np.stack(items(frame[frame["split"] == split], view)[f"{view}_truth"].to_list())


def known_topics_of(folder: str | Path, views: Iterable[str], split: str) -> dict[str, np.ndarray]:
    """`known_topics` of each of the views that the source knows them of."""
    known = {view: known_topics(folder, view, split) for view in views}
    return {view: truth for view, truth in known.items() if truth is not None}


def wanted(encoders: Mapping[str, Mapping]) -> list[tuple[str, str, str]]:
    """Corpus, view and name of each encoder of a mapping by corpus and view, one or several."""
    return [
        (corpus, view, name)
        for corpus, views in encoders.items()
        for view, names in views.items()
        for name in ([names] if isinstance(names, str) else names)
    ]


def spaces(embeddings: str | Path, encoders: Mapping) -> dict[str, dict[str, str]]:
    """The views that share a space, each with its encoder, by space: space -> view -> encoder.

    ``encoders`` are those of one corpus by view, one or several; of several in one space the last
    counts.
    """
    by_space: dict[str, dict[str, str]] = {}
    for _, view, name in wanted({"": encoders}):
        space = embedding_card(embeddings, view, name)["space"]
        by_space.setdefault(space, {})[view] = name
    return by_space
