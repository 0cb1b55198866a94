"""Photographs in the place of pictograms, for articles that no model trained on. ``make
photographs``

Debian's package ``tuxpaint-stamps-default`` has photographs of things, cut out, each with a short
description. Those whose description or file is called as an article of `vital` outside the training
part are placed by recorded runs of ``runs/full``, which have seen pictograms, flags and maps alone;
so is one pictogram of the same article, and its texts. The reciprocal rank of each article's
picture among those of its kind goes into ``data/results/photographs.json``, which a chapter
shows. No picture is kept.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from m3l.errors import DataError, require
from m3l.files import write_json
from m3l.metrics.ranking import retrieval
from m3l_book.data.prepared import read_tuples
from m3l_book.own.learnt import Learnt
from m3l_book.pictures.named import plain_name

PACKAGE = "tuxpaint-stamps-default"
ARTICLE = re.compile(r"^(a|an|the|some) ")
DRAWN = {"cartoon", "symbols"}  # folders of the package whose pictures are no photographs
RUNS = {
    "M3L-Contrast": {"en": "vital-m3l", "fr": "vital-m3l"},
    "ZeroshotTM": {"en": "vital-zeroshot-en", "fr": "vital-zeroshot-fr"},
    "ZeroshotTM-KD": {"en": "vital-kd-en-image", "fr": "vital-kd-fr-image"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stamps", default="", help="the unpacked package; by default fetched")
    parser.add_argument("--data", default="data/full")
    parser.add_argument("--runs", default="runs/full")
    parser.add_argument("--out", default="data/results/photographs.json")
    options = parser.parse_args()
    prepared = Path(options.data) / "prepared" / "vital"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(options.stamps or fetched(Path(place)))
        articles = chosen(read_tuples(prepared), photographs(folder), prepared / "images")
        require(len(articles) > 1, f"{folder}: no photograph of two articles or more", DataError)
        ranks = {
            f"{model}, {language}": measured(Path(options.runs), name, articles, language)
            for model, names in RUNS.items()
            for language, name in names.items()
        }
    about = {"package": PACKAGE, "licence": "GPL-2, as the package's copyright file says"}
    titles = [article["title"] for article in articles]
    write_json(options.out, {**about, "articles": titles, "reciprocal_rank": ranks})


def fetched(place: Path) -> Path:
    """Fetch Debian's package into ``place`` and unpack it there; nothing is installed."""
    subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=place, check=True)
    subprocess.run(["dpkg-deb", "-x", next(place.glob("*.deb")), place], check=True)
    return place


def photographs(folder: Path) -> dict[str, Path]:
    """Find the package's photographs by the plain names of what they show."""
    by_name: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.png")):
        if DRAWN & set(path.relative_to(folder).parts) or path.with_suffix(".svg").exists():
            continue
        about = path.with_suffix(".txt")
        lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
        described = ARTICLE.sub("", plain_name(lines[0] if lines else ""))
        for name in filter(None, (described, plain_name(path.stem))):
            by_name.setdefault(name, path)
    return by_name


def chosen(tuples, photographs_of: dict[str, Path], images: Path) -> list[dict]:
    """Choose the articles outside the training part that have both texts, a pictogram and a
    photograph, with one of each.
    """
    rows = tuples[tuples["split"] != "train"].dropna(subset=["en_text", "fr_text", "image_id"])
    rows = rows.sort_values("image_id").drop_duplicates("article_id")
    return [
        {
            "title": row.en_title,
            "en": row.en_text,
            "fr": row.fr_text,
            "pictogram": images / f"{row.image_id}.png",
            "photograph": photographs_of[plain_name(row.en_title)],
        }
        for row in rows.sort_values("article_id").itertuples()
        if plain_name(row.en_title) in photographs_of
    ]


def measured(
    runs: Path, name: str, articles: list[dict], language: str
) -> dict[str, list[list[float]]]:
    """Rank each article's picture among those of its kind, by every seed of a run: kind -> a list
    of seeds with the reciprocal rank of each article.
    """
    folders = [metrics.parent for metrics in runs.glob(f"{name}-s[0-9]*/metrics.json")]
    folders.sort(key=lambda folder: int(folder.name.rpartition("-s")[2]))
    ranks: dict[str, list] = {"pictogram": [], "photograph": []}
    for folder in tqdm(folders, desc=f"{name}, {language}"):
        run = Learnt.load(folder)
        queries = run.place([article[language] for article in articles], language)
        for kind, of_seeds in ranks.items():
            pictures = run.place([article[kind] for article in articles], "image")
            found = retrieval(queries, pictures)["reciprocal_rank"]
            of_seeds.append(np.round(found, 6).tolist())
    return ranks


if __name__ == "__main__":
    main()
