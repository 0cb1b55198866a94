"""A miniature Wikipedia, in the formats of the real one, and a server on the loopback that has it,
with faults on demand.

Everything lies below ``<root>/<host>/<path>``, as the addresses of the real files say.
"""

import base64
import bz2
import csv
import gzip
import hashlib
import io
import threading
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from m3l_book.data.sources import wikipedia as source
from m3l_book.wikipedia import albums, joining

COLUMNS = (  # of WIT
    *("language", "page_url", "image_url", "page_title", "section_title"),
    *("hierarchical_section_title", "caption_reference_description"),
    *("caption_attribution_description", "caption_alt_text_description", "mime_type"),
    *("original_height", "original_width", "is_main_image", "attribution_passes_lang_id"),
    *("page_changed_recently", "context_page_description", "context_section_description"),
)


def place(root, address):
    """The file that an address stands for below a root."""
    parts = urlsplit(address)
    return Path(root) / parts.netloc / unquote(parts.path).lstrip("/")


def pair(number, en, de):
    """A pair of articles of the comparable corpora, as XML; ``en`` and ``de`` are (title, text)."""
    parts = []
    for lang, (title, text) in (("de", de), ("en", en)):
        paragraphs = "".join(f"<p>{escape(line)}</p>\n" for line in text.split("\n"))
        parts.append(
            f'<article lang="{lang}" name="{escape(title)}">\n<categories name="Things"/>'
            f"\n<content>\n{paragraphs}</content>\n</article>\n"
        )
    return f'<articlePair id="{number}">\n{"".join(parts)}</articlePair>\n'


def comparable(pairs):
    """A whole file of comparable corpora; a str among the pairs stands in it as it is."""
    parts = [p if isinstance(p, str) else pair(i, *p) for i, p in enumerate(pairs, 1)]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<wikipediaComparable name="de-en">\n<header>\n'
    return head + "</header>\n" + "".join(parts) + "</wikipediaComparable>\n"


def wit(rows):
    """A shard of WIT from rows of (language, page title, picture address)."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for language, title, address in rows:
        cells = dict.fromkeys(COLUMNS, "")
        cells |= {"language": language, "page_title": title, "image_url": address}
        cells |= {"mime_type": "image/jpeg", "is_main_image": "true", "original_width": "800"}
        cells["context_page_description"] = f'A "quoted" description of {title},\non two lines.'
        writer.writerow(cells.values())
    return file.getvalue()


def picture(colour, side=64):
    """The bytes of a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "JPEG")
    return file.getvalue()


def pixel_line(address, data):
    encoded = base64.b64encode(data).decode()
    return f"{address}\t{encoded}\thttps://commons.wikimedia.org/wiki/File:X\n"


def feature_line(address, data):
    """A line of 2,048 numbers: those given, or what follows from what a picture looks like."""
    from PIL import Image

    if isinstance(data, bytes):
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGB").resize((26, 26)), np.float32).ravel() / 255
        data = np.pad(pixels, (0, 2048 - len(pixels)))
    return f"{address}\t{','.join(f'{value:.6g}' for value in data)}\n"


def titles_list(rows):
    """A list of tuples as the authors published theirs, from rows of (de, en, address)."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["de_title", "en_title", "image_url"])
    writer.writerows(rows)
    return file.getvalue()


def write(root, pairs, pictures, train, test, shards=2):
    """Write a miniature Wikipedia.

    ``pairs`` are ((en title, text), (de title, text)), ``pictures`` [(language, title, address,
    bytes)], ``train`` and ``test`` rows of the published lists, (de, en, address).
    """
    files = {source.COMPARABLE: bz2.compress(comparable(pairs).encode())}
    for number in range(source.WIT_SHARDS):
        rows = [entry[:3] for entry in pictures[number :: source.WIT_SHARDS]]
        files[source.WIT.format(number)] = gzip.compress(wit(rows).encode())
    unique = list({address: data for *_, address, data in pictures}.items())
    for kind, line in ((albums.PIXELS, pixel_line), (albums.FEATURES, feature_line)):
        for number in range(shards):
            content = "".join(line(address, data) for address, data in unique[number::shards])
            name = f"part-{number:05d}-04b253b8-c000.csv.gz"
            files[albums.CHALLENGE + kind + name] = gzip.compress(content.encode())
    for name, rows in (("train-titles.csv", train), ("test-titles.csv", test)):
        files[joining.AUTHORS + name] = titles_list(rows).encode()
    files |= {albums.smaller(address): data for address, data in unique}
    for address, content in files.items():
        path = place(root, address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    state_checksums(root)


def break_some(root, left=0.98):
    """Wrong base64, a picture that is none, and a shard of features of which a part is left."""
    pixels = sorted(place(root, albums.CHALLENGE + albums.PIXELS).iterdir())
    lines = gzip.decompress(pixels[0].read_bytes()).decode().splitlines(keepends=True)
    for i, content in enumerate(("***", "YWJj")):
        lines[i] = lines[i].split("\t")[0] + f"\t{content}\t\n"
    pixels[0].write_bytes(gzip.compress("".join(lines).encode()))
    features = sorted(place(root, albums.CHALLENGE + albums.FEATURES).iterdir())[-1]
    packed = gzip.compress(gzip.decompress(features.read_bytes()))
    features.write_bytes(packed[: int(len(packed) * left)])
    state_checksums(root)


def state_checksums(root):
    """Write the list of checksums that a mirror has."""
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(root)}\n" for path in files]
    (Path(root) / "SHA256SUMS").write_text("".join(lines))


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves a folder; ``faults`` maps the end of a path to what goes wrong with it, once for each
    time that it stands in its list: a status, "reset", "html", "short" or "corrupt".
    """

    daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.faults, self.asked, self.hub = Path(root), {}, [], None
        self.now, self.most, self.lock = 0, 0, threading.Lock()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, path):
        for end, several in self.faults.items():
            if path.endswith(end) and several:
                return several.pop(0)
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers)))
            server.now += 1
            server.most = max(server.most, server.now)
            fault = server.fault(unquote(urlsplit(self.path).path))
        try:
            self.answer(fault)
        finally:
            with server.lock:
                server.now -= 1

    def answer(self, fault):
        of_hub = self.server.hub and self.server.hub.answer(self.path)
        if of_hub:
            status, headers, body = of_hub
            return self.send(status, body, headers)
        path = self.server.root / unquote(urlsplit(self.path).path).lstrip("/")
        if isinstance(fault, int):
            return self.send(fault, b"busy", {"Retry-After": "0"} if fault in (429, 503) else {})
        if fault == "html":
            return self.send(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
        if path.is_dir():
            names = sorted(child.name for child in path.iterdir())
            page = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
            return self.send(200, page.encode(), {"Content-Type": "text/html"})
        if not path.is_file():
            return self.send(404, b"no such file")
        data, tag = path.read_bytes(), f'"{sha256(path)[:16]}"'
        if fault == "corrupt":
            data = data[:-20] + bytes(20)
        headers, status, whole = {"ETag": tag, "Accept-Ranges": "bytes"}, 200, len(data)
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", tag) == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= whole:
                return self.send(416, b"", {"Content-Range": f"bytes */{whole}"})
            data, status = data[begin:], 206
            headers["Content-Range"] = f"bytes {begin}-{whole - 1}/{whole}"
        return self.send(status, data, headers, half=fault in ("reset", "short"))

    def send(self, status, data, headers=(), half=False):
        self.send_response(status)
        headers = {"Content-Type": "application/octet-stream"} | dict(headers)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self.wfile.flush()
            self.close_connection = True


@contextmanager
def served(root):
    """A server of a folder, for as long as the block lasts."""
    server = Server(root)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
