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

from .encoder import Encoder

PATIENCE = 86_400  # seconds for another process to end its writing, which takes moments


def encode(
    encoder: Encoder,
    items: Sequence,
    cache: str | Path,
    batch_size: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """Embeddings of texts, or of pictures by path: float32 (M, D), computed once for each content.

    Every batch is committed to ``cache`` as it is done, so that a run killed at any moment loses
    one batch; the key is the encoder's identity and the item's content, so that nothing stale is
    served; a row that fails its checksum is computed again.

    Parameters
    ----------
    encoder : Encoder
    items : M str (texts) or paths (pictures)
    cache : path
        Folder of the cache: one SQLite file an encoder.

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
            # texts of like length together waste least; the order is by content, so a resumed run
            # makes the same batches
            work = sorted(
                missing.items(),
                key=lambda pair: (len(pair[1]) if encoder.kind == "text" else 0, pair[0]),
            )
            with progress_bar(
                show=progress and bool(work), total=len(work), desc=encoder.name, unit="item"
            ) as bar:
                for start in range(0, len(work), batch_size):
                    batch = dict(work[start : start + batch_size])
                    computed = dict(zip(batch, _embed(encoder, list(batch.values())), strict=True))
                    _store(database, computed)
                    vectors.update(computed)
                    bar.update(len(batch))
    except sqlite3.OperationalError as error:
        raise OSError(
            f"{path}: the cache cannot be read or written ({error}); what was computed before is"
            " kept"
        ) from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: not a whole cache ({error}); delete it and run again") from error
    return np.stack([vectors[key] for key in keys]) if keys else np.empty((0, 0), np.float32)


def _contents(encoder: Encoder, items: Sequence) -> list[str]:
    """What an item's key is made of: the text itself, or the checksum of the picture's file."""
    if encoder.kind != "text":
        return [_file_digest(item) for item in items]
    for row, item in enumerate(items):
        if not isinstance(item, str) or item.strip() == "":
            raise DataError(f"encoder {encoder.name}: text of row {row} is empty")
    return list(items)


def _embed(encoder: Encoder, items: list) -> np.ndarray:
    vectors = np.ascontiguousarray(encoder.embed(items), dtype=np.float32)
    require(
        vectors.ndim == 2 and len(vectors) == len(items) and bool(np.isfinite(vectors).all()),
        f"encoder {encoder.name}: returned {vectors.shape} for {len(items)} items,"
        " or values not finite",
        DataError,
    )
    return vectors


def _store(database: sqlite3.Connection, vectors: dict[str, np.ndarray]) -> None:
    rows = [(key, zlib.crc32(v.tobytes()), v.tobytes()) for key, v in vectors.items()]
    with database:
        database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


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
    database.execute(
        "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, checksum INTEGER NOT"
        " NULL, vector BLOB NOT NULL)"
    )


def _file_digest(path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _lookup(database: sqlite3.Connection, keys: set[str], path) -> dict[str, np.ndarray]:
    vectors, broken = {}, 0
    ordered = sorted(keys)
    for start in range(0, len(ordered), 500):
        chunk = ordered[start : start + 500]
        marks = ",".join("?" * len(chunk))
        for key, checksum, blob in database.execute(
            f"SELECT key, checksum, vector FROM vectors WHERE key IN ({marks})", chunk
        ):
            if zlib.crc32(blob) == checksum and len(blob) % 4 == 0:
                vectors[key] = np.frombuffer(blob, dtype=np.float32)
            else:
                broken += 1
    if broken:
        warnings.warn(
            f"{path}: {broken} rows fail their checksum and are computed again", stacklevel=3
        )
    return vectors
