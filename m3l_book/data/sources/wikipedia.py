"""The paper's corpus (Section 4.1): articles of Wikipedia Comparable Corpora in two languages, and
pictures of their pages from WIT.
"""

from collections import Counter
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file

from ...wikipedia import albums, joining
from ...wikipedia.fetching import fetch
from ..schema import Tuples, validation_part

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARABLE = "https://www.dropbox.com/s/0unb4xtnrfcf2zt/wikicomp-2014_deen.xml.bz2?dl=1"
WIT = "https://storage.googleapis.com/gresearch/wit/wit_v1.train.all-{:05d}-of-00010.tsv.gz"
WIT_SHARDS = 10
NO_PICTURE = "the picture, or its ResNet-50 features, cannot be had"
BIASES = (
    "What two Wikipedias both have an article on, and illustrate: places, people, species and"
    " machines, as their writers see them. Pictures in which a face fills more than a tenth are not"
    " published by the challenge; others show living people, who were not asked. The paper names a"
    " risk itself: that images of people and objects are associated with stereotypes."
)


def load(
    languages: str = "en,de",
    split: str = "authors",
    pixels: str = "challenge",
    train: int = 20000,
    test: int = 1000,
    validation: float = 0.1,
    least_text: int = 200,
    folder: str = "data/downloads/wikipedia",
    seed: int = 0,
) -> Tuples:
    """Fetch and join the corpus.

    Parameters
    ----------
    languages : str
        Two codes, as the comparable corpora have them.
    split : {"authors", "random"}
        The tuples that the authors published, of which some test articles stand in training too
        (the preparation's ``leakage`` says what becomes of them); or as many drawn at random, by
        the paper's recipe, from all that there are.
    pixels : {"challenge", "addresses"}
        Pictures from the files of the image–caption challenge, 300 pixels wide:
        some hundred gigabytes, which pass through; or each fetched by its own address.
    train, test : int
        Pairs of articles to draw; of the authors' lists, all are taken.
    validation : float
        Share of the training articles to make choices on.
    least_text : int
        Letters that a text needs; the authors' program asks for 200.
    folder : path
        Where files are fetched to, and stay.

    Raises
    ------
    ParameterError
        An option is out of range.
    DataError
        A file cannot be had, or nothing of the list is found.
    """
    choose("split", split, ("authors", "random"))
    choose("pixels", pixels, ("challenge", "addresses"))
    chosen = tuple(language.strip() for language in languages.split(","))
    both = f"languages={languages!r}: expected two different codes"
    require(len(chosen) == 2 and len(set(chosen)) == 2 and all(chosen), both)
    for name, value in (("train", train), ("test", test), ("least_text", least_text)):
        require(value >= 1, f"{name}={value}: expected 1 or more")
    counts: Counter = Counter()
    corpora = fetch(COMPARABLE, folder, "wikicomp-2014_deen.xml.bz2")
    listed = _listed(split, corpora, chosen, (train, test, seed), folder, counts)
    rows = [
        row | {"keys": tuple(row[language] for language in chosen)}
        for row in listed.rows.to_dict("records")
    ]
    found = joining.find_articles(corpora, {row["keys"] for row in rows}, chosen, least_text)
    asked = {
        row["picture"]: row["address"]
        for row in rows
        if row["keys"] in found.articles and not joining.is_drawing(row["address"])
    }
    if pixels == "challenge":
        files = albums.pictures_of_challenge(asked, folder, counts)
    else:
        files = albums.pictures_by_address(asked, folder, counts)
    keys, features = albums.features_of_challenge(files, folder, counts)
    frame, reasons = _joined(rows, found, files.keys() & set(keys), chosen)
    validation_part(frame, validation, seed)
    options = {"split": split, "pixels": pixels, "train": train, "test": test}
    options |= {"validation": validation, "least_text": least_text, "seed": seed}
    notes = listed.notes | +(counts + found.counts)
    card = {
        "source": "Wikipedia Comparable Corpora (linguatools, 2014); WIT (Srinivasan et al. 2021);"
        " Wikipedia image-caption challenge (Wikimedia, 2021)"
        + ("; the authors' published lists of tuples" if split == "authors" else ""),
        "licence": "texts: Wikipedia, CC BY-SA; pictures: each its own, at Wikimedia Commons",
        "sha256": {corpora.name: digest_file(corpora)},
        "options": options,
        "join": reasons,
        "notes": [f"{what}: {n:,}" for what, n in notes.items()],
        "biases": BIASES,
    }
    ids = {key: digest(key)[:24] for key in files}
    frame["image_id"] = frame["image_id"].map(ids)
    used = set(frame["image_id"])

    def write(target: Path) -> dict[str, str]:
        written = {}
        for key, path in files.items():
            if ids[key] in used:
                written[ids[key]] = f"{ids[key]}{path.suffix}"
                copyfile(path, target / written[ids[key]])
        return written

    given = {"resnet-50": ([ids[key] for key in keys], features)}
    return Tuples("wikipedia", frame, list(chosen), write, card, given)


def _listed(
    split: str,
    corpora: Path,
    languages: tuple[str, str],
    sizes: tuple[int, int, int],
    folder: str,
    counts: Counter,
) -> joining.Listed:
    """List the tuples to look for."""
    if split == "authors":
        names = {"train": "train-titles.csv", "test": "test-titles.csv"}
        files = {
            part: fetch(f"{joining.AUTHORS}{name}", folder, name, joining.CHECKSUMS[name])
            for part, name in names.items()
        }
        return joining.read_lists(files, languages)
    shards = [fetch(WIT.format(number), folder) for number in range(WIT_SHARDS)]
    there = joining.illustrated_pairs(corpora, shards, languages, counts)
    return joining.drawn(there, languages, *sizes)


def _joined(
    rows: list[dict], found: joining.Found, pictures: set[str], languages: tuple[str, str]
) -> tuple["DataFrame", dict[str, dict[str, int]]]:
    """Join the tuples that have all their views, in the schema; for each list, count the rows that
    were asked for and found, and the others by their reason.
    """
    import pandas as pd

    tuples, reasons = [], {part: Counter() for part in ("train", "test")}
    for row in rows:
        counted = reasons[row["split"]]
        counted["rows"] += 1
        reason = found.missing.get(row["keys"], "")
        if not reason and row["picture"] not in pictures:
            drawing = joining.is_drawing(row["address"])
            reason = "the picture is a drawing, without pixels" if drawing else NO_PICTURE
        counted[reason or "found"] += 1
        if not reason:
            about = {"tuple_id": f"{row['article']} | {row['picture']}"}
            about |= {"article_id": row["article"]}
            about |= {"split": row["split"], "image_id": row["picture"]}
            for language in languages:
                article = found.articles[row["keys"]][language]
                about |= {f"{language}_title": article.title, f"{language}_text": article.text}
            tuples.append(about)
    counts = {part: dict(counted) for part, counted in reasons.items()}
    require(bool(tuples), f"no tuple of the lists has all its views: {counts}", DataError)
    return pd.DataFrame(tuples), counts
