"""Files written whole or not at all, and read only when whole."""

import contextlib
import csv
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .errors import DataError

# in the name of whatever `atomic` has not finished yet
TEMPORARY = ".m3l-tmp."


@contextlib.contextmanager
def atomic(path: str | Path, directory: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error.

    It is on the disk before it does. On an error (a full disk, an interrupt) the temporary is
    removed and what stood at ``path`` stays. A temporary left by a killed process has a leading dot
    and `TEMPORARY` in its name, and is never read.

    Raises
    ------
    OSError
        From the file system, with ``path`` named.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, directory)
    try:
        yield temporary
        _sync(temporary)
        if directory and path.is_dir():
            _replace_folder(temporary, path)
        else:
            if not directory:
                temporary.chmod(0o644)  # mkstemp and safetensors leave it to its owner alone
            os.replace(temporary, path)
        _sync_one(path.parent)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(temporary)):
            reason = f"{error.strerror or error} while writing; nothing was changed at"
            raise OSError(error.errno, reason, str(path)) from error
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


def _temporary(path: Path, directory: bool) -> Path:
    """An empty file or folder beside ``path``."""
    prefix = f".{path.name}{TEMPORARY}"
    if directory:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        folder.chmod(0o755)
        return folder
    handle, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    os.close(handle)
    return Path(name)


def _replace_folder(new: Path, path: Path) -> None:
    """Put a folder in the place of another, which is set aside until it is there."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}{TEMPORARY}", dir=path.parent))
    try:
        os.replace(path, aside / "old")
        os.replace(new, path)
    finally:
        if (aside / "old").exists() and not path.exists():
            (aside / "old").rename(path)
        shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Bring a file, or a folder with all that is in it, to the disk."""
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as indented UTF-8 JSON, keys in their order, atomically.

    NaN is refused (`ValueError`).
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> object:
    """The value in the JSON file ``path``; `DataError` naming it if it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a JSON file ({error})") from error


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Write one array as .npy, atomically and without pickle."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: str | Path) -> np.ndarray:
    """The array in the .npy file ``path``; `DataError` naming it if it is missing, truncated or
    pickled.
    """
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path}: not a whole .npy array ({error}); delete it and run again"
        ) from error


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays in the .npz file ``path`` by name; `DataError` naming it if it is missing,
    truncated or pickled.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: not a whole .npz file ({error}); delete it and run again"
        ) from error


def read_sparse(path: str | Path) -> sp.csr_matrix:
    """The sparse matrix in the .npz file ``path``; `DataError` naming it if it is missing or
    broken.
    """
    try:
        return sp.csr_matrix(sp.load_npz(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # zipfile, zlib and numpy raise errors of their own
        raise DataError(
            f"{path}: not a whole sparse matrix ({error}); delete it and run again"
        ) from error


def write_csv(path: str | Path, rows: list[dict]) -> None:
    """Write ``rows`` (dictionaries) as CSV, atomically; a cell is empty where a row lacks a key."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, fieldnames=list(dict.fromkeys(k for row in rows for k in row))
        )
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict]:
    """The rows of a CSV file of numbers, as dictionaries of floats without the empty cells.

    Raises
    ------
    DataError
        Naming the file, which is not there or no table of numbers.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return [{k: float(v) for k, v in row.items() if v != ""} for row in rows]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a CSV file of numbers ({error})") from error


def digest(*parts) -> str:
    """SHA-256 (hexadecimal) of strings, bytes and arrays; each part's type, length, dtype and shape
    count.
    """
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            data = np.ascontiguousarray(part)
            head = f"array {data.dtype.str} {data.shape};".encode()
        elif isinstance(part, bytes):
            data = part
            head = f"bytes {len(data)};".encode()
        else:
            data = str(part).encode("utf-8", "surrogatepass")
            head = f"str {len(data)};".encode()
        sha.update(head)
        sha.update(data)
    return sha.hexdigest()


def digest_file(path: str | Path) -> str:
    """SHA-256 (hexadecimal) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
