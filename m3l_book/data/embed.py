"""Views of a prepared corpus encoded into files."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from m3l.errors import DataError, M3LError, choose, require
from m3l.files import digest, digest_file, read_array, read_json, write_array, write_json

from ..encoders.cache import encode
from ..encoders.registry import get_encoder
from ..encoders.trained import corpus_encoder, is_corpus_encoder
from .prepared import (
    content_digest,
    cutting,
    embedding_path,
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
    precision: str = "full",
) -> np.ndarray:
    """Encode a view of a prepared corpus into ``<out>/<encoder>/<view>.npy`` and ``.json``: float32
    (M, D). Features of pictures that came with the corpus, under their name, are taken as they are.
    Files that say the same already stay as they are, with the seconds that they took.

    An encoder named ``corpus-<kind>-<language>`` is trained on the view's training documents first
    (`m3l_book.encoders.trained`).
    """
    begun = time.perf_counter()
    choose("view", view, views_of(folder))
    rows, given = items(read_tuples(folder), view), Path(folder) / f"given_{encoder}.npy"
    about = {"encoder": encoder}
    if view == PICTURES and given.is_file():
        embeddings = read_array(given)
        about |= {"space": encoder, "identity": f"given: {digest_file(given)}"}
    else:
        kind = "image" if view == PICTURES else "text"
        if is_corpus_encoder(encoder) and kind == "text":
            texts, blanks = training_texts(folder, view), cutting(folder)["segmented"]
            model = corpus_encoder(encoder, view, texts, max_tokens, blanks)
        else:
            model = get_encoder(encoder, kind, max_tokens, device, precision)
        embeddings = encode(model, _content(folder, view, rows), cache, batch_size, progress)
        about |= {"space": model.space, "identity": model.identity, "max_tokens": max_tokens}
    about |= {"shape": list(embeddings.shape), "sha256": digest(embeddings)}
    about |= {"items": content_digest(rows, view, folder)}
    path = embedding_path(out, view, encoder)
    card = path.with_suffix(".json")
    kept = read_json(card) if path.is_file() and card.is_file() else {}
    if kept | about != kept or digest(read_array(path)) != kept["sha256"]:
        write_array(path, embeddings)
        write_json(card, about | {"seconds": round(time.perf_counter() - begun, 1)})
    return embeddings


def encode_share(
    folder: str | Path,
    view: str,
    encoder: str,
    cache: str | Path,
    share: int,
    shares: int,
    max_tokens: int = 128,
    device: str = "auto",
    precision: str = "full",
) -> int:
    """Encode share 0, 1, ... of ``shares`` of a view into the cache, from which `embed_view` then
    takes it; the number of items.

    So that many jobs, or machines that see one folder, encode a corpus together. A corpus's own
    encoder is trained on all of it, and has no shares.
    """
    require(0 <= share < shares, f"share={share!r} of {shares!r}: expected 0 to below it")
    choose("view", view, views_of(folder))
    whole = f"encoder={encoder!r} is trained on the corpus; it has no shares"
    require(not is_corpus_encoder(encoder), whole)
    kind = "image" if view == PICTURES else "text"
    model = get_encoder(encoder, kind, max_tokens, device, precision)
    content = _content(folder, view, items(read_tuples(folder), view))[share::shares]
    encode(model, content, cache)
    return len(content)


def _content(folder: str | Path, view: str, rows) -> list:
    """Give what an encoder reads of the items of a view: texts, or paths of pictures."""
    if view != PICTURES:
        return rows[f"{view}_text"].tolist()
    names = read_json(Path(folder) / "images.json")
    hashes = read_json(Path(folder) / "images_sha256.json")
    content = [Path(folder) / "images" / names[image] for image in rows["image_id"]]
    for image, path in zip(rows["image_id"], content, strict=True):
        changed = f"{path}: not the picture that was prepared; prepare the corpus again"
        require(digest_file(path) == hashes.get(image), changed, DataError)
    return content


def main() -> None:
    """Run ``python -m m3l_book.data.embed FOLDER VIEW ENCODER --out FOLDER``, or with ``--share
    0/4`` the first of four shares.
    """
    parser = argparse.ArgumentParser(prog="python -m m3l_book.data.embed", description=main.__doc__)
    parser.add_argument("folder", help="of the prepared corpus")
    parser.add_argument("view")
    parser.add_argument("encoder")
    parser.add_argument("--out", help="folder that the vectors are written into, by encoder")
    parser.add_argument("--share", metavar="I/N", help="of N shares, counted from 0")
    parser.add_argument("--cache", default="data/cache", help="folder of encoder outputs")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--precision", default="full", choices=("full", "half"))
    given = parser.parse_args()
    item = (given.folder, given.view, given.encoder)
    options = {"max_tokens": given.max_tokens, "precision": given.precision}
    try:
        if given.share:
            share, shares = _share(given.share)
            done = encode_share(*item, given.cache, share, shares, **options)
            print(f"{done:,} items are in {given.cache}")
        else:
            require(bool(given.out), "--out FOLDER or --share I/N is needed")
            vectors = embed_view(*item, given.out, given.cache, **options)
            print(f"{len(vectors):,} items are in {given.out}")
    except (M3LError, OSError) as error:
        sys.exit(f"error: {error}")


def _share(text: str) -> tuple[int, int]:
    numbers = text.split("/")
    whole = len(numbers) == 2 and all(number.isdigit() for number in numbers)
    require(whole, f"--share {text}: expected two numbers, as in 0/4")
    return int(numbers[0]), int(numbers[1])


if __name__ == "__main__":
    main()
