"""Datasets of the model hub, in Parquet, taken file by file.

Of each file what is wanted is taken and written beside a note; then the file is deleted, so that
hundreds of gigabytes pass through the disk without filling it, and a file that has a note is not
fetched again. The server that has copies of the hub is named by ``HF_ENDPOINT``, as for its own
client.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from m3l.errors import DataError, require
from m3l.files import digest, read_json, write_json
from m3l.progress import progress_bar

from .fetching import fetch, get

REVISIONS = {
    "wikimedia/wikipedia": "b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
    "wikimedia/wit_base": "3a42930525982958f9261ac9388255560e3b6bf9",
}
"""The commits that are read."""


def files(dataset: str, folder: str) -> list[tuple[str, str]]:
    """List the Parquet files in a folder of a dataset: their addresses and SHA-256 checksums.

    Raises
    ------
    DataError
        There are none, or the list cannot be had.
    """
    from huggingface_hub.constants import ENDPOINT

    revision = REVISIONS[dataset]
    listing = f"{ENDPOINT}/api/datasets/{dataset}/tree/{revision}/{folder}"
    content = get(listing)
    try:
        entries = json.loads(content)
        listed = [entry for entry in entries if entry["type"] == "file"]
        found = {entry["path"]: (entry.get("lfs") or {}).get("oid", "") for entry in listed}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{listing}: not a list of files ({error})") from error
    begin = f"{ENDPOINT}/datasets/{dataset}/resolve/{revision}"
    tables = [
        (f"{begin}/{path}", found[path]) for path in sorted(found) if path.endswith(".parquet")
    ]
    require(tables, f"{listing}: no file in Parquet is listed there", DataError)
    return tables


def taken(
    dataset: str,
    folder: str,
    asked: Iterable[str],
    place: Path,
    take: Callable[[Path], object],
    is_whole: Callable[[object], bool] = lambda _: True,
) -> Iterator[object]:
    """Give what was taken from each file of a folder of a dataset, by ``take``, as JSON has it.

    ``asked`` says what is looked for: with other things, other notes are written. ``is_whole``
    tells whether what a note names is there; if not, its file is looked through again.
    """
    from huggingface_hub.constants import ENDPOINT

    name, revision = f"{dataset.split('/')[1]}-{folder}", REVISIONS[dataset]
    notes = place / "looked-through" / f"{name}-{digest(revision, *asked)[:16]}"
    listing = place / "looked-through" / f"{name}-{digest(ENDPOINT, revision)[:12]}.json"
    if not listing.is_file():
        write_json(listing, files(dataset, folder))
    for address, checksum in progress_bar(read_json(listing), desc=name, unit="file"):
        table = address.rsplit("/", 1)[1]
        note, file = notes / f"{table}.json", place / "shards" / f"{name}-{table}"
        if not note.is_file() or not is_whole(read_json(note)):
            fetch(address, file.parent, file.name, checksum)
            write_json(note, take(file))
        file.unlink(missing_ok=True)
        yield read_json(note)
