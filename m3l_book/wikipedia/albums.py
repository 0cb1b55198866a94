"""Pictures of a corpus, and their features, taken out of where they are published.

What is taken from a file is written beside a note that names what was looked for; a file whose note
is there is not fetched again, and one that was looked through is deleted, so that hundreds of
gigabytes pass through the disk without filling it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import numpy as np

from m3l.errors import DataError, require
from m3l.files import atomic, digest, read_arrays, read_json, write_json
from m3l.progress import progress_bar

from ..pictures.reading import load_image
from . import challenge
from .fetching import NotThere, fetch, get
from .lists import picture_key

CHALLENGE = (
    "https://analytics.wikimedia.org/published/datasets/one-off/caption_competition/training/"
)
PIXELS, FEATURES = "image_pixels/", "resnet_embeddings/"
SHARD = re.compile(r'href="(?:[^"]*/)?([\w.-]*part-\d+[\w.-]*\.csv(?:\.gz)?)"')
CHECKED_AT = 224

MISSING = "pictures that the server does not have"
UNREADABLE = "pictures that cannot be read"
NOT_PUBLISHED = "pictures that the challenge does not publish"
NO_FEATURES = "pictures without ResNet-50 features"


def shards(directory: str) -> list[str]:
    """The addresses of the files that a directory on a server lists.

    Raises
    ------
    DataError
        It lists none.
    """
    page = get(directory).decode("utf-8", "replace")
    names = sorted(set(SHARD.findall(page)))
    require(names, f"{directory}: no file part-….csv.gz is listed there", DataError)
    return [urljoin(directory, name) for name in names]


def pictures_of_challenge(
    wanted: Iterable[str], folder: str | Path, counts: Counter, directory: str = CHALLENGE + PIXELS
) -> dict[str, Path]:
    """The pictures whose keys are wanted, as files below a folder, from the challenge's pixels."""
    wanted, folder = frozenset(wanted), Path(folder)

    def take(file: Path, notes: Counter) -> dict[str, str]:
        found = {}
        for key, data in challenge.pixels(file, notes, _one_of(wanted)):
            name = _kept(data, key, folder / "pictures", notes)
            if name:
                found[key] = name
        return found

    found: dict[str, str] = {}
    for note in _looked_through(directory, wanted, folder, take):
        found |= note["found"]
        counts.update(note["counts"])
    broken = counts[UNREADABLE] + counts[challenge.BROKEN_PIXELS]
    counts[NOT_PUBLISHED] += max(0, len(wanted - found.keys()) - broken)
    return {key: folder / "pictures" / name for key, name in found.items()}


def features_of_challenge(
    wanted: Iterable[str],
    folder: str | Path,
    counts: Counter,
    directory: str = CHALLENGE + FEATURES,
) -> tuple[list[str], np.ndarray]:
    """Keys and ResNet-50 features, float32 (M, 2048), of the pictures whose keys are wanted."""
    wanted, folder = frozenset(wanted), Path(folder)

    def take(file: Path, notes: Counter) -> dict[str, str]:
        rows = dict(challenge.features(file, notes, _one_of(wanted)))
        if not rows:
            return {}
        name = f"{digest(*sorted(rows))[:24]}.npz"
        with atomic(folder / "features" / name) as temporary, open(temporary, "wb") as target:
            np.savez(target, keys=np.array(list(rows)), vectors=np.stack(list(rows.values())))
        return dict.fromkeys(rows, name)

    names: dict[str, str] = {}
    for note in _looked_through(directory, wanted, folder, take):
        names |= note["found"]
        counts.update(note["counts"])
    vectors: dict[str, np.ndarray] = {}
    for name in sorted(set(names.values())):
        arrays = read_arrays(folder / "features" / name)
        vectors |= dict(zip(arrays["keys"].tolist(), arrays["vectors"], strict=True))
    counts[NO_FEATURES] += len(wanted - vectors.keys())
    keys = sorted(vectors.keys() & wanted)
    empty = np.empty((0, challenge.FEATURES), np.float32)
    return keys, np.stack([vectors[key] for key in keys]) if keys else empty


def _one_of(wanted: frozenset[str]) -> Callable[[str], str | None]:
    def key_of(address: str) -> str | None:
        key = picture_key(address)
        return key if key in wanted else None

    return key_of


def _looked_through(
    directory: str, wanted: frozenset[str], folder: Path, take: Callable
) -> list[dict]:
    """What was taken from each file of a directory: ``found`` and ``counts``."""
    of_these = digest(directory, *sorted(wanted))[:16]
    addresses, notes = shards(directory), []
    what = directory.rstrip("/").rsplit("/", 1)[-1]
    for address in progress_bar(addresses, desc=what, unit="file"):
        name = urlsplit(address).path.rsplit("/", 1)[-1]
        note = folder / "looked-through" / f"{what}-{of_these}" / f"{name}.json"
        if not note.is_file():
            file = fetch(address, folder / "shards")
            counted: Counter = Counter()
            write_json(note, {"found": take(file, counted), "counts": dict(+counted)})
            file.unlink()
        notes.append(read_json(note))
    return notes


def _kept(data: bytes, key: str, folder: Path, counts: Counter) -> str:
    """The name of the file that a picture is kept in; "" if it is none that can be read."""
    try:
        load_image(data, CHECKED_AT)
    except DataError:
        counts[UNREADABLE] += 1
        return ""
    name = f"{digest(key)[:24]}.{_format(data)}"
    with atomic(folder / name) as temporary:
        temporary.write_bytes(data)
    return name


def _format(data: bytes) -> str:
    """The usual ending of a picture's file, by its first bytes."""
    signs = {b"\xff\xd8": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}
    return next((end for sign, end in signs.items() if data.startswith(sign)), "img")


def pictures_by_address(
    addresses: Mapping[str, str], folder: str | Path, counts: Counter, width: int = 330
) -> dict[str, Path]:
    """The pictures of addresses, by key, fetched one by one, as ``width`` pixels wide as Wikimedia
    gives them.

    What the server does not have, or has something else in place of, is counted and not asked for
    again; what it does not answer to stops the whole, which goes on from there.
    """
    folder, found = Path(folder), {}
    for key, address in progress_bar(sorted(addresses.items()), desc="pictures", unit="picture"):
        note = folder / "fetched" / f"{digest(key, width)[:24]}.json"
        if not note.is_file():
            counted: Counter = Counter()
            try:
                name = _kept(get(smaller(address, width)), key, folder / "pictures", counted)
            except NotThere:
                name = ""
                counted[MISSING] += 1
            write_json(note, {"address": address, "file": name, "counts": dict(counted)})
        kept = read_json(note)
        counts.update(kept["counts"])
        if kept["file"]:
            found[key] = folder / "pictures" / kept["file"]
    return found


def smaller(address: str, width: int) -> str:
    """The address of a Wikimedia picture, ``width`` pixels wide: of other servers, as it is."""
    parts = urlsplit(address)
    match = re.fullmatch(r"(/wikipedia/[\w-]+)(/[0-9a-f]/[0-9a-f]{2}/)([^/]+)", parts.path)
    if not match or parts.netloc != "upload.wikimedia.org":
        return address
    project, place, name = match.groups()
    ending = ".jpg" if name.lower().endswith((".tif", ".tiff", ".pdf", ".djvu")) else ""
    name = quote(name, safe="%()',!*;:@~")
    return f"https://{parts.netloc}{project}/thumb{place}{name}/{width}px-{name}{ending}"
