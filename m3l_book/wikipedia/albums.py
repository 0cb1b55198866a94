"""Pictures of a corpus, and their features, taken out of where they are published.

What is taken from a file is written beside a note that names what was looked for; a file whose note
is there is not fetched again, and one that was looked through is deleted, so that hundreds of
gigabytes pass through the disk without filling it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import numpy as np

from m3l.errors import DataError, require
from m3l.files import atomic, digest, read_arrays, read_json, write_json
from m3l.progress import progress_bar

from ..pictures.reading import load_image
from . import formats
from .fetching import NotThere, fetch, get

CHALLENGE = (
    "https://analytics.wikimedia.org/published/datasets/one-off/caption_competition/training/"
)
PIXELS, FEATURES = "image_pixels/", "resnet_embeddings/"
SHARD = re.compile(r'href="(?:[^"]*/)?([\w.-]*part-\d+[\w.-]*\.csv(?:\.gz)?)"')
CHECKED_AT = 224
WIDTH = 330
"""Pixels of a picture that is fetched by its address."""

MISSING = "pictures that the server does not have"
UNREADABLE = "pictures that cannot be read"
NOT_PUBLISHED = "pictures that the challenge does not publish"
NO_FEATURES = "pictures without ResNet-50 features"


def pictures_of_challenge(
    wanted: Iterable[str], folder: str | Path, counts: Counter
) -> dict[str, Path]:
    """Take the pictures of wanted keys from the challenge's pixels into files of a folder."""
    wanted, folder, found = frozenset(wanted), Path(folder), {}

    def take(file: Path, counted: Counter) -> dict[str, str]:
        pictures = formats.pixels(file, counted, wanted)
        names = {key: _write(data, key, folder / "pictures", counted) for key, data in pictures}
        return {key: name for key, name in names.items() if name}

    for note in _looked_through(PIXELS, wanted, folder, take):
        found |= note["found"]
        counts.update(note["counts"])
    broken = counts[UNREADABLE] + counts[formats.BROKEN_PIXELS]
    counts[NOT_PUBLISHED] += max(0, len(wanted - found.keys()) - broken)
    return {key: folder / "pictures" / name for key, name in found.items()}


def features_of_challenge(
    wanted: Iterable[str], folder: str | Path, counts: Counter
) -> tuple[list[str], np.ndarray]:
    """Take keys and ResNet-50 features, float32 (M, 2048), of the pictures of wanted keys."""
    wanted, folder, vectors = frozenset(wanted), Path(folder), {}

    def take(file: Path, counted: Counter) -> dict[str, str]:
        rows = dict(formats.features(file, counted, wanted))
        if not rows:
            return {}
        name = f"{digest(*sorted(rows))[:24]}.npz"
        with atomic(folder / "features" / name) as temporary, open(temporary, "wb") as target:
            np.savez(target, keys=np.array(list(rows)), vectors=np.stack(list(rows.values())))
        return dict.fromkeys(rows, name)

    names = set()
    for note in _looked_through(FEATURES, wanted, folder, take):
        names |= set(note["found"].values())
        counts.update(note["counts"])
    for name in sorted(names):
        arrays = read_arrays(folder / "features" / name)
        vectors |= dict(zip(arrays["keys"].tolist(), arrays["vectors"], strict=True))
    counts[NO_FEATURES] += len(wanted - vectors.keys())
    keys = sorted(vectors.keys() & wanted)
    empty = np.empty((0, formats.FEATURES), np.float32)
    return keys, np.stack([vectors[key] for key in keys]) if keys else empty


def _looked_through(
    kind: str, wanted: frozenset[str], folder: Path, take: Callable
) -> Iterator[dict]:
    """Give what was taken from each file of a directory of the challenge: ``found``, ``counts``."""
    directory, what = CHALLENGE + kind, kind.rstrip("/")
    of_these = digest(directory, *sorted(wanted))[:16]
    names = sorted(set(SHARD.findall(get(directory).decode("utf-8", "replace"))))
    require(names, f"{directory}: no file part-….csv.gz is listed there", DataError)
    for name in progress_bar(names, desc=what, unit="file"):
        note = folder / "looked-through" / f"{what}-{of_these}" / f"{name}.json"
        if not note.is_file():
            file = fetch(urljoin(directory, name), folder / "shards")
            counted: Counter = Counter()
            write_json(note, {"found": take(file, counted), "counts": dict(+counted)})
            file.unlink()
        yield read_json(note)


def _write(data: bytes, key: str, folder: Path, counts: Counter) -> str:
    """Write a picture into a folder: the name of its file, or "" if it cannot be read."""
    try:
        load_image(data, CHECKED_AT)
    except DataError:
        counts[UNREADABLE] += 1
        return ""
    signs = {b"\xff\xd8": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}
    end = next((end for sign, end in signs.items() if data.startswith(sign)), "img")
    name = f"{digest(key)[:24]}.{end}"
    with atomic(folder / name) as temporary:
        temporary.write_bytes(data)
    return name


def pictures_by_address(
    addresses: Mapping[str, str], folder: str | Path, counts: Counter
) -> dict[str, Path]:
    """Fetch pictures one by one, by key, as wide as Wikimedia gives them (`WIDTH`).

    What the server does not have, or has something else in place of, is counted and not asked for
    again; what it does not answer to stops the whole, which goes on from there.
    """
    folder, found = Path(folder), {}
    for key, address in progress_bar(sorted(addresses.items()), desc="pictures", unit="picture"):
        note = folder / "fetched" / f"{digest(key, WIDTH)[:24]}.json"
        if not note.is_file():
            counted: Counter = Counter()
            try:
                name = _write(get(smaller(address)), key, folder / "pictures", counted)
            except NotThere:
                name = ""
                counted[MISSING] += 1
            write_json(note, {"address": address, "file": name, "counts": dict(counted)})
        about = read_json(note)
        counts.update(about["counts"])
        if about["file"]:
            found[key] = folder / "pictures" / about["file"]
    return found


def smaller(address: str) -> str:
    """Give the address of a Wikimedia picture in `WIDTH`; other addresses stay."""
    parts = urlsplit(address)
    match = re.fullmatch(r"(/wikipedia/[\w-]+)(/[0-9a-f]/[0-9a-f]{2}/)([^/]+)", parts.path)
    if not match or parts.netloc != "upload.wikimedia.org":
        return address
    project, place, name = match.groups()
    ending = ".jpg" if name.lower().endswith((".tif", ".tiff", ".pdf", ".djvu")) else ""
    name = quote(name, safe="%()',!*;:@~")
    return f"https://{parts.netloc}{project}/thumb{place}{name}/{WIDTH}px-{name}{ending}"
