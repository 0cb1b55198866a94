"""Views of a prepared corpus encoded into files."""

import sys
from pathlib import Path

import numpy as np

from m3l.errors import DataError, M3LError, choose, require
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
    content = _content(folder, view, rows)
    embeddings = encode(model, content, cache, batch_size, progress)
    told = {"encoder": encoder, "space": model.space, "identity": model.identity}
    told |= {"max_tokens": max_tokens}
    return _written(out, encoder, view, embeddings, told, content_digest(rows, view, folder))


def encode_share(
    folder: str | Path,
    view: str,
    encoder: str,
    cache: str | Path,
    share: int,
    shares: int,
    max_tokens: int = 128,
    device: str = "auto",
) -> int:
    """Encode one of several shares of a view into the cache, from which `embed_view` then takes it;
    the number of items.

    So that many jobs, or machines that see one folder, encode a corpus together. A corpus's own
    encoder is trained on all of it, and its shares are none.

    Parameters
    ----------
    share : int
        Counted from 0.
    shares : int
    """
    whole = isinstance(shares, int) and shares >= 1 and isinstance(share, int)
    require(whole and 0 <= share < shares, f"share={share!r} of {shares!r}: expected 0 to below it")
    choose("view", view, views_of(folder))
    own = f"encoder={encoder!r} is trained on the corpus; it has no shares"
    require(not is_corpus_encoder(encoder), own)
    model = get_encoder(encoder, "image" if view == PICTURES else "text", max_tokens, device)
    content = _content(folder, view, items(read_tuples(folder), view))[share::shares]
    encode(model, content, cache)
    return len(content)


def _content(folder: str | Path, view: str, rows) -> list:
    """What an encoder reads of the items of a view: texts, or paths of pictures."""
    if view != PICTURES:
        return rows[f"{view}_text"].tolist()
    names = read_json(Path(folder) / "images.json")
    hashes = read_json(Path(folder) / "images_sha256.json")
    content = [Path(folder) / "images" / names[image] for image in rows["image_id"]]
    for image, path in zip(rows["image_id"], content, strict=True):
        changed = f"{path}: not the picture that was prepared; prepare the corpus again"
        require(digest_file(path) == hashes.get(image), changed, DataError)
    return content


def _written(
    out: str | Path, encoder: str, view: str, embeddings: np.ndarray, told: dict, content: str
) -> np.ndarray:
    """The embeddings of a view, written with what is told of them."""
    place = Path(out) / file_name(encoder)
    write_array(place / f"{view}.npy", embeddings)
    shape = {"shape": list(embeddings.shape), "sha256": digest(embeddings), "items": content}
    write_json(place / f"{view}.json", told | shape)
    return embeddings


def main() -> None:
    """``python -m m3l_book.data.embed FOLDER VIEW ENCODER CACHE SHARE SHARES [MAX_TOKENS]``."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m m3l_book.data.embed", description=main.__doc__)
    for name in ("folder", "view", "encoder", "cache"):
        parser.add_argument(name)
    parser.add_argument("share", type=int, help="which one, counted from 0")
    parser.add_argument("shares", type=int, help="how many there are")
    parser.add_argument("max_tokens", type=int, nargs="?", default=128)
    given = vars(parser.parse_args())
    try:
        print(f"{encode_share(**given):,} items are in {given['cache']}")
    except (M3LError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
