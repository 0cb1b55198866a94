"""The paper's profile built to its end against a miniature Wikipedia and tiny encoders, served on
the loopback: ``python tests/rehearsal.py FOLDER [--articles N]``.

FOLDER becomes a copy of the project. The addresses of the servers are the only thing in which the
build differs from the real one. The server fails now and then, and some of its files are broken.
"""

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "test_build")]

import building  # noqa: E402
import miniature  # noqa: E402
import tiny_models  # noqa: E402

from m3l_book.data.sources import load_source  # noqa: E402


def world(articles, cache):
    """Pairs of articles, pictures and lists from the generated world, in titles of its words."""
    from PIL import Image

    test = articles // 5
    tuples = load_source(
        "emoji", cache, languages="en,de", train=articles - test, test=test, seed=5
    )
    with tempfile.TemporaryDirectory() as folder:
        names = tuples.write_images(Path(folder))
        files = {}
        for identity, name in names.items():
            file = io.BytesIO()
            with Image.open(Path(folder) / name) as image:
                image.convert("RGB").save(file, "JPEG", quality=85)
            files[identity] = file.getvalue()
    pairs, pictures, lists = {}, [], {"train": [], "test": []}
    for row in tuples.frame.itertuples():
        number = len(pairs) + 1 if row.article_id not in pairs else pairs[row.article_id][0]
        titles = {
            lang: f"{text.split()[0].strip(',.').capitalize()} {number}"
            for lang, text in (("en", row.en_text), ("de", row.de_text))
        }
        pairs[row.article_id] = number, (titles["en"], row.en_text), (titles["de"], row.de_text)
        place = f"{number % 16:x}/{number % 16:x}{number % 7:x}"
        address = (
            f"https://upload.wikimedia.org/wikipedia/commons/{place}/Picture_{row.image_id}.jpg"
        )
        pictures.append(("en", titles["en"], address, files[row.image_id]))
        part = "test" if row.split == "test" else "train"
        lists[part].append((titles["de"].lower(), titles["en"].lower(), address))
    lists["train"] += lists["test"][:9]  # as in the published lists, some stand in both
    lists["train"].append(("gibt es nicht", "there is none", "https://upload.wikimedia.org/x.jpg"))
    return [texts for _, *texts in pairs.values()], pictures, lists["train"], lists["test"]


FAULTS = {
    "20231101.de/train-00000-of-00003.parquet": ["reset", 503],
    "train-titles.csv": [429],
    "data/train-00000-of-00003.parquet": ["reset", 500],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="of the copy; it must not be there")
    parser.add_argument("--articles", type=int, default=400)
    parser.add_argument("--targets", nargs="*", default=[], help="files to make, by default all")
    options = parser.parse_args()
    folder, begin = Path(options.folder).resolve(), time.time()
    random.seed(0)
    if not folder.exists():
        building.copy_of_the_project(folder)
    with tempfile.TemporaryDirectory() as place:
        served, models = Path(place) / "served", Path(place) / "models"
        miniature.write(served, *world(options.articles, ROOT / "data" / "cache"), shards=3)
        miniature.break_some(served)
        for name in tiny_models.PAPER:
            tiny_models.save(name, models / name)
        with miniature.served(served) as server:
            server.hub, server.faults = tiny_models.Hub(models), FAULTS
            addresses = {"M3L_BOOK_MIRROR": server.address, "HF_ENDPOINT": server.address}
            addresses |= {"HF_HOME": f"{place}/hub", "HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "workflow/build.py", "paper", *options.targets]
            code = subprocess.run(command, cwd=folder, env=os.environ | addresses).returncode
        asked = len(server.asked)
        print(f"{asked} requests, at most {server.most} at once, {time.time() - begin:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
