"""Pictures of a corpus, and their features, taken out of where they are published."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import numpy as np

from m3l.errors import DataError
from m3l.files import atomic, digest, read_arrays, read_json, write_json
from m3l.progress import progress_bar

from ..pictures.reading import load_image
from . import formats, hub
from .fetching import NotThere, Refused, Unreachable, get

CHECKED_AT = 224
WIDTH = 330
"""Pixels of a picture that is fetched by its address; Wikimedia makes few widths."""

LONGEST_NAME = 160
"""Of a longer name of a file, Wikimedia's names of smaller pictures have the ending alone."""

THUMBNAILS = dict.fromkeys(("tif", "tiff"), ("lossy-page1-", ".jpg"))
THUMBNAILS |= dict.fromkeys(("pdf", "djvu"), ("page1-", ".jpg")) | {"webp": ("", ".png")}
"""What stands before and behind the name of a smaller picture, by the kind of file."""

LARGEST = 32 << 20  # bytes of a picture that is not made smaller

MISSING = "pictures that the server does not have"
UNREADABLE = "pictures that cannot be read"
NOT_PUBLISHED = "pictures that the challenge does not publish"


def published(
    wanted: Iterable[str], folder: str | Path, counts: Counter, pixels: bool = True
) -> tuple[dict[str, Path], dict[str, np.ndarray]]:
    """Take pictures of wanted keys out of ``wikimedia/wit_base``: their files, and their ResNet-50
    features, float32 (2048,), by key.

    Without ``pixels``, features alone are taken.
    """
    wanted, folder = frozenset(wanted), Path(folder)

    def take(table: Path) -> dict:
        counted, seen, found, vectors = Counter(), [], {}, {}
        for picture in formats.published(table, wanted):
            seen.append(picture.key)
            if picture.features is None:
                counted[formats.NO_FEATURES] += 1
            else:
                vectors[picture.key] = picture.features
            if pixels:
                counted[formats.NO_PIXELS] += picture.data is None
                name = _write(picture.data, picture.key, folder / "pictures", counted)
                found |= {picture.key: name} if name else {}
        arrays = f"{digest(*sorted(vectors))[:24]}.npz" if vectors else ""
        if vectors:
            path = folder / "features" / arrays
            with atomic(path) as temporary, open(temporary, "wb") as target:
                keys, rows = np.array(list(vectors)), np.stack(list(vectors.values()))
                np.savez(target, keys=keys, vectors=rows)
        return {"found": found, "features": arrays, "seen": seen, "counts": dict(+counted)}

    files, features, seen = {}, {}, set()

    def is_whole(note: dict) -> bool:
        paths = [folder / "pictures" / name for name in note["found"].values()]
        paths += [folder / "features" / note["features"]] if note["features"] else []
        return all(path.is_file() for path in paths)

    asked = [str(pixels), *sorted(wanted)]
    for note in hub.taken("wikimedia/wit_base", "data", asked, folder, take, is_whole):
        files |= {key: folder / "pictures" / name for key, name in note["found"].items()}
        seen |= set(note["seen"])
        counts.update(note["counts"])
        if note["features"]:
            arrays = read_arrays(folder / "features" / note["features"])
            features |= dict(zip(arrays["keys"].tolist(), arrays["vectors"], strict=True))
    counts[NOT_PUBLISHED] += len(wanted - seen)
    return files, features


def page_pictures(languages: Iterable[str], folder: str | Path) -> list[formats.PagePicture]:
    """Take the pictures out of ``wikimedia/wit_base`` that stand on pages of some languages."""
    languages = tuple(languages)

    def take(table: Path) -> list[formats.PagePicture]:
        return list(formats.page_pictures(table, languages))

    asked = ["pages", *languages]
    notes = hub.taken("wikimedia/wit_base", "data", asked, Path(folder), take)
    return [formats.PagePicture(*cells) for note in notes for cells in note]


def _write(data: bytes | None, key: str, folder: Path, counts: Counter) -> str:
    """Write a picture into a folder: the name of its file, or "" if there is none to be read."""
    if data is None:
        return ""
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

    What the server does not have is counted and not asked for again; what it refuses, or does not
    answer to, stops the whole, which goes on from there.
    """
    folder, found = Path(folder) / "fetched", {}
    for key, address in progress_bar(sorted(addresses.items()), desc="pictures", unit="picture"):
        note = folder / f"{digest(key, WIDTH)[:24]}.json"
        kept = read_json(note)["file"] if note.is_file() else ""
        if not note.is_file() or (kept and not (folder / "pictures" / kept).is_file()):
            counted, about = Counter(), {"address": address, "file": ""}
            try:
                about["file"] = _write(_scaled(address), key, folder / "pictures", counted)
            except NotThere as error:
                about["missing"] = str(error)
                counted[MISSING] += 1
            write_json(note, about | {"counts": dict(counted)})
        about = read_json(note)
        counts.update(about["counts"])
        if about["file"]:
            found[key] = folder / "pictures" / about["file"]
    return found


def _scaled(address: str) -> bytes:
    """Fetch a picture in `WIDTH`; the original where the server makes no smaller one of it."""
    small = smaller(address)
    try:
        return get(small)
    except (NotThere, Unreachable):  # or a failure of what makes it smaller
        if small == address:
            raise
    except Refused as error:
        if small == address or error.status != 400:
            raise
    return get(address, LARGEST)


def smaller(address: str) -> str:
    """Give the address of a Wikimedia picture in `WIDTH`; other addresses stay."""
    parts = urlsplit(address)
    match = re.fullmatch(r"(/wikipedia/[\w-]+)(/[0-9a-f]/[0-9a-f]{2}/)([^/]+)", parts.path)
    if not match or parts.netloc != "upload.wikimedia.org":
        return address
    project, place, name = match.groups()
    name = unquote(name)
    kind = name.rpartition(".")[2]
    short = name if len(name.encode()) <= LONGEST_NAME else f"thumbnail.{kind}"
    begin, ending = THUMBNAILS.get(kind.lower(), ("", ""))
    whole, short = (quote(part, safe="()',!*;:@~") for part in (name, short))
    thumb = f"{whole}/{begin}{WIDTH}px-{short}{ending}"
    return f"https://{parts.netloc}{project}/thumb{place}{thumb}"
