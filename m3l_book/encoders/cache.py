"""A cache of what encoders computed."""

import contextlib
import os
import sqlite3
import time
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m3l.errors import DataError, require
from m3l.files import digest, digest_file
from m3l.progress import progress_bar

from .spaces import Encoder

PATIENCE = 86_400  # seconds for another process to end its writing, which takes moments


def encode(
    encoder: Encoder,
    items: Sequence,
    cache: str | Path,
    batch_size: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """Embed texts, or pictures by path, once for each content: float32 (M, D).

    Every batch is committed to ``cache`` as it is done, so that a run killed at any moment loses
    one batch. The key is the encoder's identity and the item's content, so that nothing stale is
    served. A row that fails its checksum is computed again. The cache is a folder with one SQLite
    file an encoder.

    Raises
    ------
    DataError
        An item is no text or picture, the encoder returned something not finite, or the cache file
        is broken.
    """
    require(batch_size >= 1, f"batch_size={batch_size}: expected 1 or more")
    if encoder.base is not None:
        return encoder.adapt(encode(encoder.base, items, cache, batch_size, progress))
    keys = [digest(encoder.identity, content) for content in _contents(encoder, items)]
    path = Path(cache) / f"{encoder.name.replace(os.sep, '_').strip('._')}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
            _prepare(database)
            vectors = _lookup(database, set(keys), path)
            missing = {k: item for k, item in zip(keys, items, strict=True) if k not in vectors}
            _compute(encoder, missing, database, vectors, batch_size, progress)
    except sqlite3.OperationalError as error:
        failed = f"{path}: the cache cannot be read or written ({error})"
        raise OSError(f"{failed}; what was computed before is kept") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: not a whole cache ({error}); delete it and run again") from error
    return np.stack([vectors[key] for key in keys]) if keys else np.empty((0, 0), np.float32)


def _contents(encoder: Encoder, items: Sequence) -> list[str]:
    """Give what an item's key is made of: the text itself, or the checksum of a picture's file."""
    if encoder.kind == "text":
        for row, item in enumerate(items):
            if not isinstance(item, str) or item.strip() == "":
                raise DataError(f"encoder {encoder.name}: text of row {row} is empty")
        return list(items)
    try:
        return [digest_file(item) for item in items]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _prepare(database: sqlite3.Connection) -> None:
    """Make the table, with a journal that works on network folders too.

    SQLite's write-ahead log needs memory that all writers share, which machines of a cluster do not
    (SQLite, "Write-Ahead Logging"); the rollback journal needs locks alone. SQLite does not wait
    for a lock when the journal changes, whatever its timeout says, so the wait is here.
    """
    while True:
        try:
            database.execute("PRAGMA journal_mode=TRUNCATE")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.02)
    columns = "key TEXT PRIMARY KEY, checksum INTEGER NOT NULL, vector BLOB NOT NULL"
    database.execute(f"CREATE TABLE IF NOT EXISTS vectors ({columns})")


def _lookup(database: sqlite3.Connection, keys: set[str], path: Path) -> dict[str, np.ndarray]:
    vectors, broken, ordered = {}, 0, sorted(keys)
    for start in range(0, len(ordered), 500):
        chunk = ordered[start : start + 500]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT key, checksum, vector FROM vectors WHERE key IN ({marks})"
        for key, checksum, blob in database.execute(query, chunk):
            if zlib.crc32(blob) == checksum and len(blob) % 4 == 0:
                vectors[key] = np.frombuffer(blob, dtype=np.float32)
            else:
                broken += 1
    if broken:
        failed = f"{path}: {broken} rows fail their checksum and are computed again"
        warnings.warn(failed, stacklevel=3)
    return vectors


def _compute(
    encoder: Encoder,
    missing: dict,
    database: sqlite3.Connection,
    vectors: dict[str, np.ndarray],
    batch_size: int,
    progress: bool,
) -> None:
    """Embed the missing items and put their vectors into ``vectors`` and the database."""

    def length_and_key(pair: tuple) -> tuple:
        return len(pair[1]) if encoder.kind == "text" else 0, pair[0]

    # texts of like length together waste least; the order is by content, so that a resumed run
    # makes the same batches
    work = sorted(missing.items(), key=length_and_key)
    shown = progress and bool(work)
    with progress_bar(show=shown, total=len(work), desc=encoder.name, unit="item") as bar:
        for start in range(0, len(work), batch_size):
            keys, batch = zip(*work[start : start + batch_size], strict=True)
            computed = np.ascontiguousarray(encoder.embed(list(batch)), dtype=np.float32)
            good = computed.ndim == 2 and len(computed) == len(batch)
            what = f"encoder {encoder.name}: returned {computed.shape} for {len(batch)} items"
            good = good and bool(np.isfinite(computed).all())
            require(good, f"{what}, or values not finite", DataError)
            blobs = [vector.tobytes() for vector in computed]
            rows = [(key, zlib.crc32(blob), blob) for key, blob in zip(keys, blobs, strict=True)]
            with database:
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            vectors.update(zip(keys, computed, strict=True))
            bar.update(len(batch))
