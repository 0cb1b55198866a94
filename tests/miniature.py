"""A miniature Wikipedia, in the formats of the real one, and a server on the loopback that has it,
with faults on demand.

Everything lies below ``<root>/<host>/<path>``, as the addresses of the real files say.
"""

import bz2
import csv
import hashlib
import io
import json
import threading
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from m3l_book.data.sources import wikipedia as source
from m3l_book.wikipedia import albums, hub, joining

HUB = "https://huggingface.co"


def place(root, address):
    """The file that an address stands for below a root."""
    parts = urlsplit(address)
    return Path(root) / parts.netloc / unquote(parts.path).lstrip("/")


def pair(number, en, de):
    """A pair of articles of the comparable corpora, as XML; ``en`` and ``de`` are (title, text).

    As in the real file, the first line stands in the content without a tag, and a table and the
    text behind it follow.
    """
    parts = []
    for lang, (title, text) in (("de", de), ("en", en)):
        first, *others = text.split("\n")
        paragraphs = "".join(f"<p>{escape(line)}</p>\n" for line in others)
        parts.append(
            f'<article lang="{lang}" name="{escape(title)}">\n<categories name="Things|Objects"/>'
            f"\n<content>\n{escape(first)}<table>\n<cell>1</cell></table>{paragraphs}</content>"
            "\n</article>\n"
        )
    return f'<articlePair id="{number}">\n{"".join(parts)}</articlePair>\n'


def comparable(pairs):
    """A whole file of comparable corpora; a str among the pairs stands in it as it is."""
    parts = [p if isinstance(p, str) else pair(i, *p) for i, p in enumerate(pairs, 1)]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<wikipediaComparable name="de-en">\n<header>\n'
    for lang, day in (("de", "20140813"), ("en", "20140707")):
        head += f'<wikipediaSource language="{lang}" name="{lang}wiki-{day}-corpus.xml"/>\n'
    return head + "</header>\n" + "".join(parts) + "</wikipediaComparable>\n"


def parquet(table, group=10):
    """The bytes of a table in Parquet."""
    from pyarrow import BufferOutputStream
    from pyarrow.parquet import write_table

    sink = BufferOutputStream()
    write_table(table, sink, row_group_size=group)
    return sink.getvalue().to_pybytes()


def wikipedia_table(language, rows):
    """A file of ``wikimedia/wikipedia`` from rows of (title, text)."""
    return parquet(wikipedia_rows(language, rows))


def wikipedia_rows(language, rows):
    """Rows of ``wikimedia/wikipedia`` from rows of (title, text)."""
    import pyarrow as pa

    titles = [title for title, _ in rows]
    page = f"https://{language}.wikipedia.org/wiki/"
    return pa.table(
        {
            "id": [str(i) for i in range(len(rows))],
            "url": [page + title.replace(" ", "_") for title in titles],
            "title": titles,
            "text": [text for _, text in rows],
        }
    )


def wit_table(pictures):
    """A file of ``wikimedia/wit_base``, from what `wit_rows` takes."""
    return parquet(wit_rows(pictures))


def wit_rows(pictures):
    """Rows of ``wikimedia/wit_base`` from (address, bytes or None, features or None, pages), of
    which pages are (language, title).
    """
    import pyarrow as pa

    of_pages = ("language", "page_url", "page_title", "section_title", "context_page_description")
    features = []
    for _, _, _, pages in pictures:
        columns = {name: ["" for _ in pages] for name in of_pages}
        columns["language"] = [language for language, _ in pages]
        columns["page_title"] = [title for _, title in pages]
        features.append(columns)
    texts = pa.list_(pa.string())
    table = {
        "image": pa.array(
            [None if data is None else {"bytes": data, "path": None} for _, data, _, _ in pictures],
            pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        ),
        "image_url": [address for address, *_ in pictures],
        "embedding": pa.array(
            [None if v is None else np.asarray(v, np.float64) for _, _, v, _ in pictures],
            pa.list_(pa.float64()),
        ),
        "metadata_url": ["http://commons.wikimedia.org/wiki/File:X" for _ in pictures],
        "original_height": pa.array([600 for _ in pictures], pa.int32()),
        "original_width": pa.array([800 for _ in pictures], pa.int32()),
        "mime_type": ["image/jpeg" for _ in pictures],
        "caption_attribution_description": ["A picture." for _ in pictures],
        "wit_features": pa.array(features, pa.struct(dict.fromkeys(of_pages, texts))),
    }
    return pa.table(table)


def picture(colour, side=64):
    """The bytes of a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "JPEG")
    return file.getvalue()


def features_of(data):
    """2,048 numbers that follow from what a picture looks like, as those of ResNet-50 do."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB").resize((26, 26)), np.float32).ravel() / 255
    return np.pad(pixels, (0, 2048 - len(pixels)))


def titles_list(rows):
    """A list of tuples as the authors published theirs, from rows of (de, en, address)."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["de_title", "en_title", "image_url"])
    writer.writerows(rows)
    return file.getvalue()


def dataset(name, folder, tables):
    """Files of a dataset of the hub, by address, with what the hub lists of its folder."""
    revision = hub.REVISIONS[name]
    files, listing = {}, []
    for number, content in enumerate(tables):
        path = f"{folder}/train-{number:05d}-of-{len(tables):05d}.parquet"
        files[f"{HUB}/datasets/{name}/resolve/{revision}/{path}"] = content
        about = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
        about |= {"pointerSize": 134}
        listing.append({"type": "file", "oid": "0" * 40, "size": len(content), "path": path})
        listing[-1]["lfs"] = about
    address = f"{HUB}/api/datasets/{name}/tree/{revision}/{folder}"
    return files | {address: json.dumps(listing).encode()}


def write(root, pairs, pictures, train, test, shards=2):
    """Write a miniature Wikipedia.

    ``pairs`` are ((en title, text), (de title, text)), ``pictures`` [(language, title, address,
    bytes)], ``train`` and ``test`` rows of the published lists, (de, en, address).
    """
    files = {source.COMPARABLE[1]: bz2.compress(comparable(pairs).encode())}
    for place_in_pair, language in enumerate(("en", "de")):
        rows = [both[place_in_pair] for both in pairs]
        tables = [wikipedia_table(language, rows[i::shards]) for i in range(shards)]
        files |= dataset("wikimedia/wikipedia", f"{joining.DUMP}.{language}", tables)
    pages = {}
    for language, title, address, data in pictures:
        pages.setdefault((address, data), []).append((language, title))
    rows = [(address, data, features_of(data), of) for (address, data), of in pages.items()]
    tables = [wit_table(rows[i::shards]) for i in range(shards)]
    files |= dataset("wikimedia/wit_base", "data", tables)
    for name, listed in (("train-titles.csv", train), ("test-titles.csv", test)):
        files[joining.AUTHORS + name] = titles_list(listed).encode()
    files |= {albums.smaller(address): data for address, data in pages}
    for address, content in files.items():
        path = place(root, address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    state_checksums(root)


def break_some(root):
    """In the first file of pictures: one without bytes, one that is no picture, and one without
    features.
    """
    import pyarrow.parquet as pq

    folder = place(root, f"{HUB}/datasets/wikimedia/wit_base/resolve")
    path = sorted(folder.rglob("*.parquet"))[0]
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["image"], rows[1]["image"]["bytes"], rows[2]["embedding"] = None, b"abc", None
    content = parquet(table.from_pylist(rows, schema=table.schema))
    path.write_bytes(content)
    listing = place(root, f"{HUB}/api/datasets/wikimedia/wit_base/tree/{folder_name(folder)}/data")
    entries = json.loads(listing.read_bytes())
    entries[0]["lfs"]["oid"] = hashlib.sha256(content).hexdigest()
    listing.write_text(json.dumps(entries))
    state_checksums(root)


def folder_name(folder):
    """The revision of a dataset that lies in a folder."""
    (revision,) = (path.name for path in folder.iterdir())
    return revision


def state_checksums(root):
    """Write the list of checksums that a mirror has."""
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(root)}\n" for path in files]
    (Path(root) / "SHA256SUMS").write_text("".join(lines))


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves a folder; ``faults`` maps the end of a path to what goes wrong with it, once for each
    time that it stands in its list: a status, "reset", "html", "short" or "corrupt". ``packed`` are
    names of files that it packs for the way, and how.
    """

    daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.faults, self.asked, self.hub = Path(root), {}, [], None
        self.packed = {}
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
    disable_nagle_algorithm = True  # an answer of several writes would wait 40 ms

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers)))
            self.under_way = 1
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            if "/datasets/" in self.path and "/resolve/" in self.path and self.path[:5] != "/cdn/":
                self.send(302, b"", {"Location": f"/cdn{self.path}"})  # as the hub does
            else:
                self.path = self.path.removeprefix("/cdn")
                self.answer(server.fault(unquote(urlsplit(self.path).path)))
        finally:
            self.answered()

    def answered(self):
        with self.server.lock:
            self.server.now -= self.under_way
            self.under_way = 0

    def answer(self, fault):
        of_hub = self.server.hub and self.server.hub.answer(self.path)
        if of_hub:
            status, headers, body = of_hub
            return self.send(status, body, headers)
        path = self.server.root / unquote(urlsplit(self.path).path).lstrip("/")
        if not path.exists():  # a mirror of the hub has what the hub has, and not below its name
            path = place(self.server.root, f"{HUB}{self.path}")
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
        headers = {"ETag": tag, "Accept-Ranges": "bytes"}
        if path.name in self.server.packed:
            data = self.server.packed[path.name](data)
            headers["Content-Encoding"] = "gzip"
        status, whole = 200, len(data)
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
        body = b"" if self.command == "HEAD" else data[: len(data) // 2] if half else data
        if not body:
            self.answered()
        self.end_headers()
        if body:
            self.wfile.write(body[:-1])
            self.answered()  # before the last byte: who has read it may ask again at once
            self.wfile.write(body[-1:])
        if half:
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
