"""What grows with the data: ``python benchmarks/scale.py [OUT.json] [--gigabytes 1.1]``.

Each parser of the paper's files on a generated one, in a process of its own, with its speed and the
memory it took; distances between as many items as the paper tests and as a large corpus has; how
fast encoders read.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from m3l.files import read_json, write_json  # noqa: E402

PARTS = ["parsers", "distances", "encoders"]

TEXT = (
    "The river rises in the hills, passes under an old stone bridge & enters the lake near the"
    " town, where boats have been built since the twelfth century. "
)


def generate(kind: str, path: str, size: int) -> None:
    """A file of one of the paper's formats, of at least ``size`` bytes."""
    import miniature
    from pyarrow.parquet import ParquetWriter

    rng, number = np.random.default_rng(0), 0
    with open(path, "wb") as file:
        if kind == "comparable":
            head, tail = miniature.comparable([]).split("</header>\n")
            file.write(f"{head}</header>\n".encode())
            while file.tell() < size:
                number += 1
                long = "\n".join([TEXT * 4] * int(rng.integers(2, 12)))
                both = (f"Title {number}", long), (f"Titel {number}", long)
                file.write(miniature.pair(number, *both).encode())
            file.write(tail.encode())
            return
        rows_of = _articles if kind == "articles" else _pictures
        # as published, 1,000 articles or 100 pictures are read at once
        group = 1000 if kind == "articles" else 100
        first = rows_of(rng, 0, group)
        # its one text compresses to nothing, and real ones do not
        with ParquetWriter(file, first.schema, compression="none") as writer:
            while file.tell() < size:
                writer.write_table(rows_of(rng, number, group))
                number += group


def _articles(rng: np.random.Generator, begin: int, count: int):
    import miniature

    texts = [TEXT * int(rng.integers(8, 48)) for _ in range(count)]
    return miniature.wikipedia_rows("en", [(f"Title {begin + i}", t) for i, t in enumerate(texts)])


def _pictures(rng: np.random.Generator, begin: int, count: int):
    """Of 20 kB each, with their features."""
    import miniature

    vectors = rng.random((count, 2048))
    rows = [
        (f"https://{PLACE}{begin + i}.jpg", rng.bytes(20_000), v, [("en", f"Title {begin + i}")])
        for i, v in enumerate(vectors)
    ]
    return miniature.wit_rows(rows)


PLACE = "upload.wikimedia.org/wikipedia/commons/a/ab/"


def parse(kind: str, path: str) -> dict:
    """Read a file as the corpus is read, wanting one entry in fifty; what it took."""
    from m3l_book.wikipedia import formats

    counts: Counter = Counter()
    before = _most_memory()
    begun = time.perf_counter()

    def some(title):
        return title.endswith(("00", "50"))

    if kind == "comparable":
        found = sum(1 for _ in formats.pairs(path, counts, lambda names: some(names["en"])))
    elif kind == "articles":
        found = sum(1 for _ in formats.articles(path, some))
    elif kind == "pages":
        found = sum(1 for _ in formats.page_pictures(path, ("en", "de")))
    else:
        wanted = {f"{PLACE}{number}.jpg" for number in range(0, 10**6, 50)}
        found = sum(1 for _ in formats.published(path, wanted))
    seconds, size = time.perf_counter() - begun, Path(path).stat().st_size
    peak = _most_memory()
    broken = {what: n for what, n in (+counts).items() if what != formats.TABLES}
    about = {"megabytes": round(size / 1e6), "found": found, "broken": broken}
    about |= {"seconds": round(seconds, 2), "mb_per_second": round(size / 1e6 / seconds, 1)}
    return about | {"peak_mb": round(peak), "peak_above_start_mb": round(peak - before)}


def _most_memory() -> float:
    """MiB that this process had at most, since it began."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1]) / 1024


def parsers(size: int) -> list[dict]:
    """Each parser on a file of ``size`` bytes, in a process of its own."""
    rows = []
    names = {"comparable": "comparable corpora, XML", "articles": "wikimedia/wikipedia, Parquet"}
    names |= {"pages": "wikimedia/wit_base, pages", "pictures": "wikimedia/wit_base, pictures"}
    for kind, name in names.items():
        with tempfile.NamedTemporaryFile() as file:
            generate(kind, file.name, size)
            command = [sys.executable, __file__, "--parse", kind, file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append({"what": name} | json.loads(done.stdout))
    return rows


def distances(items: int, topics: int = 100) -> list[dict]:
    """Jensen–Shannon divergence of the paper's test part and of ``items`` by ``items``: seconds of
    one core.
    """
    from scipy.spatial.distance import cdist

    from m3l.metrics import jensen_shannon_matrix, nearest_both_ways

    def seconds(work: Callable) -> float:
        begun = time.process_time()
        work()
        return round(time.process_time() - begun, 2)

    rng = np.random.default_rng(0)
    a, b = (rng.dirichlet(np.full(topics, 0.1), n) for n in (1000, 3278))
    c, d = (rng.dirichlet(np.full(topics, 0.1), items) for _ in range(2))
    theirs = round(5 * seconds(lambda: cdist(a[:200], b, "jensenshannon")), 2)
    ours = seconds(lambda: [block.shape for _, block in jensen_shannon_matrix(a, b)])
    whole = seconds(lambda: [block.shape for _, block in jensen_shannon_matrix(c, d)])
    nearest = seconds(lambda: nearest_both_ways(jensen_shannon_matrix(c, d, 16 << 20), 5))
    return [
        {"what": "1,000 × 3,278", "seconds": ours, "scipy": theirs},
        {"what": f"{items:,} × {items:,}", "seconds": whole},
        {"what": f"five nearest of {items:,} in {items:,}, both ways", "seconds": nearest},
    ]


def encoders(documents: int = 400) -> list[dict]:
    """Items a second of encoders of known size, on texts of more than 128 tokens and pictures."""
    from PIL import Image

    from m3l_book.encoders.registry import get_encoder

    rng, rows = np.random.default_rng(0), []
    words = TEXT.split()
    texts = [" ".join(rng.choice(words, 200)) for _ in range(documents)]
    for name, parameters in (("minilm-en", 10.6e6), ("use-multilingual", 0.0)):
        encoder = get_encoder(name)
        encoder.embed(texts[:32])
        begun = time.perf_counter()
        encoder.embed(texts)
        rate = round(documents / (time.perf_counter() - begun), 1)
        rows.append({"what": name, "kind": "text", "items_per_second": rate})
        rows[-1] |= {"parameters_a_token": parameters} if parameters else {}
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i in range(64):
            paths.append(f"{folder}/{i}.jpg")
            Image.fromarray(rng.integers(0, 255, (225, 300, 3), dtype=np.uint8)).save(paths[-1])
        encoder = get_encoder("efficientnet-lite0", "image")
        encoder.embed(paths[:8])
        begun = time.perf_counter()
        encoder.embed(paths)
        rate = round(64 / (time.perf_counter() - begun), 1)
    return [*rows, {"what": "efficientnet-lite0", "kind": "image", "items_per_second": rate}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", help="file to write, as data/results/scale.json")
    parser.add_argument("--gigabytes", type=float, default=1.1)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--parse", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parse:
        print(json.dumps(parse(*options.parse)))
        return
    from m3l_book.records.run import processor

    parts = options.parts
    whole = len(parts) == len(PARTS) or not options.out or not Path(options.out).is_file()
    found = {} if whole else read_json(options.out)
    found |= {"machine": processor(), "measured": datetime.date.today().isoformat()}
    if "parsers" in parts:
        found["parsers"] = parsers(int(options.gigabytes * 1e9))
    for row in found.get("parsers", []):
        about = f"{row['megabytes']:>6,} MB{row['mb_per_second']:>8} MB/s{row['peak_mb']:>6} MB"
        print(f"{row['what']:<34}{about}", flush=True)
    if "distances" in parts:
        found["distances"] = distances(options.items)
    for row in found.get("distances", []):
        print(f"{row['what']:<44}{row['seconds']:>8} s", row, flush=True)
    if "encoders" in parts:
        found["encoders"] = encoders()
    for row in found.get("encoders", []):
        print(f"{row['what']:<34}{row['items_per_second']:>8} items/s", flush=True)
    if options.out:
        write_json(options.out, found)


if __name__ == "__main__":
    main()
