"""Files of others, fetched once: one connection, patient, resumable, checked.

Two environment variables: ``M3L_BOOK_MIRROR``, an address under which copies of all hosts lie, as
``<mirror>/<host>/<path>``, with ``<mirror>/SHA256SUMS`` for their checksums, as mirrors of Linux
distributions have; and ``M3L_BOOK_USER_AGENT``, how the program introduces itself, which Wikimedia
asks to be a name and a way to be reached (its User-Agent policy).
"""

import email.utils
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import requests

from m3l.errors import DataError, require
from m3l.files import digest_file, read_json, write_json
from m3l.progress import progress_bar

MIRROR, AGENT = "M3L_BOOK_MIRROR", "M3L_BOOK_USER_AGENT"
BLOCK = 1 << 16
SILENCE = 60, 600  # seconds without a connection, or without a byte, after which it is asked again
ATTEMPTS = 7
LONGEST_WAIT = 120.0
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""What servers answer to a request that may be made again later."""


class NotThere(DataError):
    """The server has no such file, or something else in its place."""


class Unreachable(DataError):
    """The server did not answer, or not with the whole file, however often it was asked."""


def mirrored(url: str) -> str:
    """The address that is asked for a file: its own, or the mirror's."""
    mirror = os.environ.get(MIRROR, "")
    parts = urlsplit(url)
    require(
        parts.scheme in ("http", "https") and parts.netloc, f"{url!r}: not an address of a file"
    )
    if not mirror:
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}{query}"


@lru_cache(maxsize=4)
def _sums_of(mirror: str) -> dict[str, str]:
    """The checksums that a mirror states, by ``<host>/<path>``; none if it states none."""
    try:
        response = _session().get(f"{mirror.rstrip('/')}/SHA256SUMS", timeout=SILENCE)
    except requests.RequestException as error:
        raise Unreachable(f"{mirror}: {_short(error)}") from error
    found = re.findall(r"^([0-9a-f]{64}) [ *](?:\./)?(.+)$", response.text, re.M)
    return {name: checksum for checksum, name in found} if response.status_code == 200 else {}


def expected_checksum(url: str, known: str) -> str:
    """What a file's checksum must be: as its mirror states it, or else as it is known, or ""."""
    mirror, parts = os.environ.get(MIRROR, ""), urlsplit(url)
    stated = _sums_of(mirror) if mirror else {}
    return stated.get(f"{parts.netloc}{parts.path}", known)


@lru_cache(maxsize=1)
def _session() -> requests.Session:
    """One connection, kept open, for all files of a process."""
    from importlib.metadata import version

    session = requests.Session()
    session.headers["User-Agent"] = os.environ.get(AGENT) or f"m3l-book/{version('m3l')}"
    return session


def fetch(url: str, folder: str | Path, name: str = "", sha256: str = "") -> Path:
    """A file, fetched into a folder unless it is there.

    What has come stays in ``<name>.part`` when a download is interrupted, and the next one goes on
    from there if the server still has the same file. The checksum of a file whose checksum is not
    known is kept beside it, ``<name>.sha256.json``, so that later damage is found.

    Parameters
    ----------
    url : str
    folder : path
    name : str
        Of the file in the folder; by default the last part of the address.
    sha256 : str
        What the file's checksum must be, if that is known.

    Raises
    ------
    NotThere
        The server has no such file, or a web page in its place.
    Unreachable
        The connection fails or breaks off each time.
    DataError
        The checksum is another.
    OSError
        The disk is full, or the folder cannot be written.
    """
    import pooch

    folder, sha256 = Path(folder), expected_checksum(url, sha256)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or urlsplit(url).path.rsplit("/", 1)[-1])
    note = path.with_name(f"{path.name}.sha256.json")
    known = sha256 or (read_json(note)["sha256"] if path.is_file() and note.is_file() else "")
    if path.is_file() and known:
        same = digest_file(path) == known
        cure = f"{path}: not the file that was fetched (its checksum is another); delete it"
        require(same, f"{cure} to fetch it again", DataError)
        return path
    part = path.with_name(f"{path.name}.part")

    def download(url: str, output_file: str, pooch: object) -> None:
        patiently(url, lambda: _more(url, part))
        os.replace(part, output_file)
        _note_of(part).unlink(missing_ok=True)

    pooch.get_logger().setLevel("WARNING")
    with _alone(folder):
        try:
            pooch.retrieve(
                url, f"sha256:{sha256}" if sha256 else None, path.name, folder, downloader=download
            )
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            wrong = f"{url}: not the file that is expected; its checksum is not {sha256}"
            raise DataError(wrong) from error
    write_json(note, {"sha256": sha256 or digest_file(path), "address": url})
    return path


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder: of several processes one fetches, so that servers see one connection."""
    with open(folder / ".fetching", "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def get(url: str, most: int = 64 << 20) -> bytes:
    """A small file's bytes; errors as of `fetch`, and `NotThere` if it is larger than ``most``."""
    return patiently(url, lambda: _whole(url, most))


def patiently(url: str, ask: Callable[[], object]) -> object:
    """What ``ask`` gives, asked again, with longer and longer waits, while a server is busy or a
    connection breaks; `Unreachable` in the end.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except (_Later, requests.RequestException) as error:
            if attempt == ATTEMPTS:
                raise Unreachable(f"{url}: {_short(error)}, {ATTEMPTS} times") from error
            time.sleep(
                min(LONGEST_WAIT, getattr(error, "seconds", None) or first_wait() * 2**attempt)
            )
    raise AssertionError


def first_wait() -> float:
    """Half the seconds before the first repetition; each further one waits twice as long."""
    return 0.5


class _Later(Exception):
    """The server asks for patience, or sent a part of the file."""

    def __init__(self, what: str, seconds: float | None = None):
        super().__init__(what)
        self.seconds = seconds


def _short(error: Exception) -> str:
    """An error of the network in a line."""
    return f"{type(error).__name__.lstrip('_')}: {str(error)[:200]}"


def _checked(url: str, response: requests.Response) -> requests.Response:
    """A response that brings a file; what else it is, as an error."""
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status in AGAIN:
        raise _Later(f"the server answers {status}", _seconds(response.headers.get("Retry-After")))
    require(status < 400, f"{url}: the server answers {status} {response.reason}", NotThere)
    page = kind.startswith("text/html") and not url.endswith(("/", ".html", ".htm"))
    require(not page, f"{url}: the server has a web page in place of the file", NotThere)
    return response


def _seconds(after: str | None) -> float | None:
    """How long a server asks to wait: its number of seconds, or until its date."""
    if after is None:
        return None
    if after.strip().isdigit():
        return float(after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _whole(url: str, most: int) -> bytes:
    with _session().get(mirrored(url), stream=True, timeout=SILENCE) as response:
        _checked(url, response)
        data = bytearray()
        for block in response.iter_content(BLOCK):
            data += block
            require(len(data) <= most, f"{url}: larger than {most:,} bytes", NotThere)
        expected = _length(response)
        if expected is not None and len(data) != expected:
            raise _Later(f"{len(data):,} of {expected:,} bytes came")
        return bytes(data)


def _length(response: requests.Response) -> int | None:
    """How many bytes a response has, if it says so and they are as they are sent."""
    coded = response.headers.get("Content-Encoding", "identity") != "identity"
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not coded else None


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _more(url: str, part: Path) -> None:
    """Fetch what is not yet in ``part``; `_Later` if it is not all of it."""
    there = part.stat().st_size if part.is_file() else 0
    note = read_json(_note_of(part)) if _note_of(part).is_file() else {}
    headers = {"Accept-Encoding": "identity"}
    if there and note.get("address") == url and note.get("tag"):
        headers |= {"Range": f"bytes={there}-", "If-Range": note["tag"]}
    with _session().get(mirrored(url), headers=headers, stream=True, timeout=SILENCE) as response:
        if response.status_code == 416:  # nothing is left, or the file is another
            part.unlink()
            raise _Later("the server has fewer bytes than came before")
        _checked(url, response)
        there = there if response.status_code == 206 else 0
        left = _length(response)
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified", "")
        write_json(_note_of(part), {"address": url, "tag": "" if tag.startswith("W/") else tag})
        total = None if left is None else there + left
        bar = progress_bar(
            total=total, initial=there, desc=part.stem, unit="B", unit_scale=True, delay=2
        )
        with bar, open(part, "ab" if there else "wb") as file:
            for block in response.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
    came = part.stat().st_size
    if total is not None and came != total:
        raise _Later(f"{came:,} of {total:,} bytes came")
