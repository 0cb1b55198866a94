"""Files of others, fetched once: one connection, patient, resumable, checked.

Two environment variables: ``M3L_BOOK_MIRROR``, an address under which copies of all hosts lie, as
``<mirror>/<host>/<path>``, with ``<mirror>/SHA256SUMS`` for their checksums, as mirrors of Linux
distributions have; and ``M3L_BOOK_USER_AGENT``, how the program introduces itself, which Wikimedia
asks to be a name and a way to be reached (its User-Agent policy). Of Wikimedia's servers no more
than 25 Mbit a second are read (its robot policy).
"""

import gzip
import logging
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from m3l.errors import DataError, ParameterError, require
from m3l.files import digest_file, read_json, write_json
from m3l.progress import progress_bar

MIRROR, AGENT = "M3L_BOOK_MIRROR", "M3L_BOOK_USER_AGENT"
BLOCK = 1 << 16
SILENCE = 60, 600  # seconds without a connection, or without a byte, after which it is asked again
ATTEMPTS = 7
WAIT = 1.0  # seconds before a repetition; each further one waits twice as long
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""What servers answer to a request that may be made again later."""

GONE = (404, 410)
"""What servers answer where there is no such file."""

WIKIMEDIA = re.compile(r"(^|\.)(wikimedia|wikipedia)\.org$")
CONTACT = re.compile(r"[^\s@]+@[^\s@]+\.\w|https?://\S+\.\w")
SPEED = 25e6 / 8  # bytes a second


class NotThere(DataError):
    """Says that the server has no such file, or one that is larger than was asked for."""


class Refused(DataError):
    """Says that the server does not give the file: its ``status``, or 200 for a page instead."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Unreachable(DataError):
    """Says that the server did not send the whole file, however often it was asked."""


def mirrored(url: str) -> str:
    """Give the address that is asked for a file: its own, or the mirror's."""
    mirror, parts = os.environ.get(MIRROR, "").rstrip("/"), urlsplit(url)
    is_file = parts.scheme in ("http", "https") and bool(parts.netloc)
    require(is_file, f"{url!r}: not an address of a file")
    if not mirror or url.startswith(f"{mirror}/"):
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror}/{parts.netloc}{parts.path}{query}"


def check_contact(url: str) -> None:
    """See that who asks Wikimedia's servers for a file can be reached; other servers do not mind.

    Raises
    ------
    ParameterError
        The variable ``M3L_BOOK_USER_AGENT`` names no address of mail and no page.
    """
    agent = os.environ.get(AGENT, "")
    if not _of_wikimedia(url) or CONTACT.search(agent):
        return
    wanted = f'set it to a name and a way to reach you, as in {AGENT}="my-course/1.0 (me@my.org)"'
    raise ParameterError(
        f"{AGENT}={agent!r}: Wikimedia's servers refuse who cannot be asked; {wanted}"
    )


def _of_wikimedia(url: str) -> bool:
    """Tell whether a file is asked for at Wikimedia's servers, and not at a mirror's."""
    return bool(WIKIMEDIA.search(urlsplit(mirrored(url)).hostname or ""))


@lru_cache(maxsize=1)
def _session() -> requests.Session:
    """Open the one connection of a process, which waits while a server is busy or away."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would report each repetition
    session = requests.Session()
    agent = os.environ.get(AGENT) or f"m3l-book/{version('m3l')}"
    plain = agent.isascii() and agent.isprintable()
    require(plain, f"{AGENT}={agent!r}: expected letters, digits and signs of ASCII on one line")
    session.headers["User-Agent"] = agent
    patient = Retry(ATTEMPTS - 1, status_forcelist=BUSY, backoff_factor=WAIT, retry_after_max=600)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=patient))
    return session


def _ask(url: str, headers: dict | None = None) -> requests.Response:
    """Ask for a file; the response's content is not read yet."""
    check_contact(url)
    address = mirrored(url)
    try:
        response = _session().get(address, headers=headers, stream=True, timeout=SILENCE)
    except requests.RequestException as error:
        raise Unreachable(_failed(url, error)) from error
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status >= 400 and not (status == 416 and headers is not None):
        answer = f"{url}: the server answers {status} {response.reason}"
        require(status not in GONE, answer, NotThere)
        start = next(response.iter_content(1000), b"").decode("utf-8", "replace")
        words = " ".join(re.sub("<[^>]*>", " ", start).split())[:300]
        raise Refused(f"{answer}: {words}" if words else answer, status)
    if kind.startswith("text/html") and not url.endswith(("/", ".html", ".htm")):
        raise Refused(f"{url}: the server has a web page in place of the file", status)
    return response


def _slowly(url: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give blocks as they come; those of Wikimedia's servers no faster than `SPEED`."""
    slow, begun, came = _of_wikimedia(url), time.monotonic(), 0
    for block in blocks:
        yield block
        came += len(block)
        if slow:
            time.sleep(max(0.0, came / SPEED - (time.monotonic() - begun)))


def _failed(url: str, error: Exception) -> str:
    reason = getattr(error.args[0], "reason", error) if error.args else error
    what = f"{type(error).__name__}: {str(reason)[:200]}, {ATTEMPTS} times"
    return f"{url}: {what}; the next command goes on from what has come"


def _until_whole(url: str, read: Callable[[], object]) -> object:
    """Call ``read`` again while the connection breaks off; `Unreachable` in the end."""
    for attempt in range(ATTEMPTS):
        try:
            return read()
        except (requests.RequestException, HTTPError) as error:
            if attempt == ATTEMPTS - 1:
                raise Unreachable(_failed(url, error)) from error
            time.sleep(WAIT * 2**attempt)
    raise AssertionError


def get(url: str, most: int = 64 << 20) -> bytes:
    """Read a small file; errors as of `fetch`, and `NotThere` if it is larger than ``most``."""

    def read() -> bytes:
        with _ask(url) as response:
            data = bytearray()
            for block in _slowly(url, response.iter_content(BLOCK)):
                data += block
                require(len(data) <= most, f"{url}: larger than {most:,} bytes", NotThere)
            return bytes(data)

    return _until_whole(url, read)


@lru_cache(maxsize=4)
def _checksums(mirror: str) -> dict[str, str]:
    """Read the checksums that a mirror states, by ``<host>/<path>``; none if it states none."""
    try:
        text = get(f"{mirror.rstrip('/')}/SHA256SUMS").decode("utf-8", "replace")
    except NotThere:
        return {}
    found = re.findall(r"^([0-9a-f]{64}) [ *](?:\./)?(.+)$", text, re.M)
    return {name: checksum for checksum, name in found}


def fetch_first(urls: Iterable[str], folder: str | Path, name: str) -> Path:
    """Fetch a file, as `fetch` does, from the first of several addresses that has it."""
    lacking = []
    for url in urls:
        try:
            return fetch(url, folder, name)
        except (NotThere, Refused, Unreachable) as error:
            lacking.append(str(error))
    raise Unreachable(f"{name} comes from none of its addresses: {'; '.join(lacking)}")


def fetch(url: str, folder: str | Path, name: str = "", sha256: str = "") -> Path:
    """Fetch a file into a folder unless it is there.

    What has come stays in ``<name>.part`` when a download is interrupted, and the next one goes on
    from there if the server still has the same file. The file's checksum is written beside it,
    ``<name>.sha256.json``, so that later damage is found. Of several processes one fetches, so that
    servers see one connection. What a server packed for the way is unpacked when it is whole.

    ``name`` is that of the file in the folder, by default the last part of the address; ``sha256``
    what its checksum must be, if that is known; a mirror may state another.

    Raises
    ------
    NotThere
        The server has no such file.
    Refused
        The server does not give it, or has a web page in its place; what it says is quoted.
    ParameterError
        It is Wikimedia's, and nobody is named who asks (`check_contact`).
    Unreachable
        The connection fails or breaks off each time.
    DataError
        The checksum is another.
    OSError
        The disk is full, or the folder cannot be written.
    """
    mirror, parts, folder = os.environ.get(MIRROR, ""), urlsplit(url), Path(folder)
    stated = _checksums(mirror) if mirror else {}
    expected = stated.get(f"{parts.netloc}{parts.path}", sha256)
    path = folder / (name or parts.path.rsplit("/", 1)[-1])
    note, part = (path.with_name(path.name + end) for end in (".sha256.json", ".part"))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".fetching"):
        if path.is_file():
            known, there = read_json(note)["sha256"] if note.is_file() else "", digest_file(path)
            wrong = f"{path}: not the file that was fetched (its checksum is another)"
            same = (expected or known) in ("", there)
            require(same, f"{wrong}; delete it to fetch it again", DataError)
            if not known:
                write_json(note, {"sha256": there, "address": url})
            return path
        _until_whole(url, lambda: _more(url, part))
        _unpack(url, part)
        came = digest_file(part)
        if expected not in ("", came):
            part.unlink()
            wrong = f"its checksum is not {expected}"
            raise DataError(f"{url}: not the file that is expected; {wrong}")
        write_json(note, {"sha256": came, "address": url})
        os.replace(part, path)
        _note_of(part).unlink()
    return path


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _unpack(url: str, part: Path) -> None:
    """Unpack a whole ``part`` that its server packed for the way."""
    packed = read_json(_note_of(part))["encoding"]
    if packed in ("", "identity") or urlsplit(url).path.endswith(".gz"):
        return
    if packed not in ("gzip", "x-gzip"):
        part.unlink()
        raise Unreachable(f"{url}: the server packs it for the way by {packed!r}, unasked")
    data = part.read_bytes()
    try:
        part.write_bytes(gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as error:
        part.unlink()
        broken = f"{url}: what came is not what its server says, packed by gzip ({error})"
        raise Unreachable(f"{broken}; the next command fetches it anew") from error


def _more(url: str, part: Path) -> None:
    """Fetch what is not yet in ``part``, as the server sends it."""
    there = part.stat().st_size if part.is_file() else 0
    note = read_json(_note_of(part)) if _note_of(part).is_file() else {}
    headers = {"Accept-Encoding": "identity"}
    if there and note.get("address") == url and note.get("tag"):
        headers |= {"Range": f"bytes={there}-", "If-Range": note["tag"]}
    with _ask(url, headers) as response:
        if response.status_code == 416:  # nothing is left, or the file is another
            part.unlink(missing_ok=True)
            raise requests.RequestException("the server has fewer bytes than came before")
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        if response.status_code == 206 and not begins:
            part.unlink(missing_ok=True)
            raise requests.RequestException("the server sends another part than was asked for")
        there = there if response.status_code == 206 else 0
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified", "")
        about = {"address": url, "tag": "" if tag.startswith("W/") else tag}
        if there and about["tag"] != note["tag"]:
            part.unlink()
            raise requests.RequestException("the server has another file than before")
        about["encoding"] = response.headers.get("Content-Encoding", "").lower()
        write_json(_note_of(part), about)
        length = response.headers.get("Content-Length", "")
        options = {"total": there + int(length) if length.isdigit() else None, "initial": there}
        options |= {"desc": part.stem, "unit": "B", "unit_scale": True, "delay": 2}
        # as sent: a range counts the bytes that are sent, packed or not
        sent = response.raw.stream(BLOCK, decode_content=False)
        with progress_bar(**options) as bar, open(part, "ab" if there else "wb") as file:
            for block in _slowly(url, sent):
                file.write(block)
                bar.update(len(block))
