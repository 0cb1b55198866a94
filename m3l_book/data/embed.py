"""Views of a prepared corpus encoded into files."""

from pathlib import Path

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file, read_array, read_json, write_array, write_json

from ..encoders.cache import encode
from ..encoders.registry import get_encoder
from ..encoders.trained import corpus_encoder, is_corpus_encoder
from .prepared import (
    content_digest,
    file_name,
    items,
    read_tuples,
    training_texts,
    views_of,
)
from .schema import PICTURES


def embed_view(
    folder: str | Path,
    view: str,
    encoder: str,
    out: str | Path,
    cache: str | Path,
    max_tokens: int = 128,
    device: str = "auto",
    batch_size: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """Encode a view of a prepared corpus into ``<out>/<encoder>/<view>.npy`` and ``.json``: float32
    (M, D). Features of pictures that came with the corpus, under their name, are taken as they are.

    An encoder named ``corpus-<kind>-<language>`` is trained on the view's training documents first
    (`m3l_book.encoders.trained`).
    """
    choose("view", view, views_of(folder))
    frame = read_tuples(folder)
    given = Path(folder) / f"given_{encoder}.npy"
    if view == PICTURES and given.is_file():
        embeddings, rows = read_array(given), items(frame, view)
        told = {"encoder": encoder, "space": encoder, "identity": f"given: {digest_file(given)}"}
        return _written(out, encoder, view, embeddings, told, content_digest(rows, view, folder))
    if is_corpus_encoder(encoder) and view != PICTURES:
        model = corpus_encoder(encoder, view, training_texts(folder, view), max_tokens)
    else:
        model = get_encoder(encoder, "image" if view == PICTURES else "text", max_tokens, device)
    rows = items(frame, view)
    if view == PICTURES:
        names, hashes = (
            read_json(Path(folder) / "images.json"),
            read_json(Path(folder) / "images_sha256.json"),
        )
        content = [Path(folder) / "images" / names[image] for image in rows["image_id"]]
        for image, path in zip(rows["image_id"], content, strict=True):
            require(
                digest_file(path) == hashes.get(image),
                f"{path}: not the picture that was prepared; prepare the corpus again",
                DataError,
            )
    else:
        content = rows[f"{view}_text"].tolist()
    embeddings = encode(model, content, cache, batch_size, progress)
    told = {"encoder": encoder, "space": model.space, "identity": model.identity}
    told |= {"max_tokens": max_tokens}
    return _written(out, encoder, view, embeddings, told, content_digest(rows, view, folder))


def _written(
    out: str | Path, encoder: str, view: str, embeddings: np.ndarray, told: dict, content: str
) -> np.ndarray:
    """The embeddings of a view, written with what is told of them."""
    place = Path(out) / file_name(encoder)
    write_array(place / f"{view}.npy", embeddings)
    shape = {"shape": list(embeddings.shape), "sha256": digest(embeddings), "items": content}
    write_json(place / f"{view}.json", told | shape)
    return embeddings
