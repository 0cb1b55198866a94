"""The paper's corpus (Section 4.1): articles of Wikipedia in two languages, and pictures of their
pages from WIT.
"""

from collections import Counter
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file

from ...wikipedia import albums, hub, joining
from ...wikipedia.fetching import check_contact, fetch, fetch_first
from ..schema import Tuples, validation_part

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARABLE = (
    "https://www.dropbox.com/s/0unb4xtnrfcf2zt/wikicomp-2014_deen.xml.bz2?dl=1",
    "https://www.dropbox.com/scl/fi/808m6tuztu6w8f1e5704r/wikicomp-2014_deen.xml.bz2"
    "?rlkey=pyh6nd8ydsdcih1yg91y62wbb&dl=1",
)
TEXTS = {
    "2023": "wikimedia/wikipedia, the dump of November 2023",
    "2014": "Wikipedia Comparable Corpora (linguatools, 2014)",
}
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
    texts: str = "2023",
    pixels: str = "published",
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
        The codes of English and German, in either order.
    split : {"authors", "random"}
        The tuples that the authors published, of which some test articles stand in training too
        (the preparation's ``leakage`` says what becomes of them); or as many drawn at random, by
        the paper's recipe, from all that there are.
    texts : {"2023", "2014"}
        Where the articles are taken from: ``wikimedia/wikipedia``, a dump of November 2023, cleaned
        by a later version of the function that the authors' program has, which reads dumps of
        February 2023; or the comparable corpora of 2014, which have other words, and lack articles
        that were written or renamed since. The published lists name events of 2018 and later.
    pixels : {"published", "addresses"}
        Pictures as the challenge published them, 300 pixels wide, or each fetched by its own
        address. The features of ResNet-50 come from the challenge's files in either case: some
        hundred gigabytes, which pass through.
    train, test : int
        Pairs of articles to draw; those that are lost later are not replaced. Of the authors'
        lists, all are taken.
    validation : float
        Share of the training articles to make choices on.
    least_text : int
        Letters that a text needs. The authors ask for more than 200 of the text with its markup,
        which 1 comes nearest to here, where the markup is gone.
    folder : path
        Where files are fetched to, and stay.

    Raises
    ------
    ParameterError
        An option is out of range, or pictures are asked for by address and nobody is named who
        asks.
    DataError
        A file cannot be had, or nothing of the list is found.
    """
    listed, found, sources = find(
        languages, split, texts, pixels, train, test, least_text, folder, seed
    )
    chosen = _languages(languages)
    counts: Counter = Counter()
    rows = listed.rows.to_dict("records")
    asked = {
        row["picture"]: row["address"]
        for row in rows
        if _keys(row, chosen) in found.articles and not joining.is_drawing(row["address"])
    }
    nothing = f"no tuple of the lists has both texts: {dict(Counter(found.missing.values()))}"
    require(bool(asked), nothing, DataError)
    if pixels == "published":
        files, features = albums.published(asked, folder, counts)
    else:
        files = albums.pictures_by_address(asked, folder, counts)
        features = albums.published(files, folder, counts, pixels=False)[1]
    frame, reasons = _joined(rows, found, files.keys() & features.keys(), chosen)
    validation_part(frame, validation, seed)
    options = {"split": split, "texts": texts, "pixels": pixels, "train": train, "test": test}
    options |= {"validation": validation, "least_text": least_text, "seed": seed}
    notes = listed.notes | +(counts + found.counts)
    card = {
        "source": f"{TEXTS[str(texts)]}; WIT (Srinivasan et al. 2021);"
        " Wikipedia image-caption challenge (Wikimedia, 2021)"
        + ("; the authors' published lists of tuples" if split == "authors" else ""),
        "licence": "texts: Wikipedia, CC BY-SA; pictures: each its own, at Wikimedia Commons",
        "sha256": sources,
        "revisions": hub.REVISIONS,
        "options": options,
        "join": reasons,
        "notes": [f"{what}: {n:,}" for what, n in notes.items()],
        "biases": BIASES,
    }
    ids = {key: digest(key)[:24] for key in {*files, *features}}
    frame["image_id"] = frame["image_id"].map(ids)
    used = set(frame["image_id"])

    def write(target: Path) -> dict[str, str]:
        written = {}
        for key, path in files.items():
            if ids[key] in used:
                written[ids[key]] = f"{ids[key]}{path.suffix}"
                copyfile(path, target / written[ids[key]])
        return written

    keys = sorted(features)
    given = {"resnet-50": ([ids[key] for key in keys], np.stack([features[key] for key in keys]))}
    return Tuples("wikipedia", frame, list(chosen), write, card, given)


def find(
    languages: str = "en,de",
    split: str = "authors",
    texts: str = "2023",
    pixels: str = "published",
    train: int = 20000,
    test: int = 1000,
    least_text: int = 200,
    folder: str = "data/downloads/wikipedia",
    seed: int = 0,
) -> tuple[joining.Listed, joining.Found, dict[str, str]]:
    """List the tuples to look for, and find their articles; parameters and errors as of `load`.
    Also gives the SHA-256 checksums of what was fetched and is pinned by no revision.
    """
    choose("split", split, ("authors", "random"))
    choose("texts", str(texts), TEXTS)
    choose("pixels", pixels, ("published", "addresses"))
    for name, value in (("train", train), ("test", test), ("least_text", least_text)):
        require(value >= 1, f"{name}={value}: expected 1 or more")
    if pixels == "addresses":
        check_contact("https://upload.wikimedia.org/")
    languages = _languages(languages)
    corpora, counts = None, Counter()
    if str(texts) == "2014" or split == "random":
        corpora = fetch_first(COMPARABLE, folder, "wikicomp-2014_deen.xml.bz2")
    if split == "authors":
        names = {"train": "train-titles.csv", "test": "test-titles.csv"}
        files = {
            part: fetch(f"{joining.AUTHORS}{name}", folder, name, joining.CHECKSUMS[name])
            for part, name in names.items()
        }
        listed = joining.read_lists(files, languages)
    else:
        pictures = albums.page_pictures(languages, folder)
        there = joining.illustrated_pairs(corpora, pictures, languages, counts)
        listed = joining.drawn(there, languages, train, test, seed)
    wanted = {_keys(row, languages) for row in listed.rows.to_dict("records")}
    if str(texts) == "2014":
        found = joining.find_pairs(corpora, wanted, languages, least_text)
    else:
        found = joining.find_articles(wanted, languages, folder, least_text)
    found.counts += counts
    return listed, found, {corpora.name: digest_file(corpora)} if corpora else {}


def _languages(given: str) -> tuple[str, str]:
    """Read two codes; lists and pairs are published of English and German alone."""
    codes = tuple(code.strip() for code in given.split(","))
    both = f"languages={given!r}: expected en,de or de,en, of which lists and pairs are published"
    require(len(codes) == 2 and {*codes} == {"en", "de"}, both)
    return codes


def _keys(row: dict, languages: tuple[str, str]) -> tuple[str, ...]:
    return tuple(row[language] for language in languages)


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
        keys = _keys(row, languages)
        reason = found.missing.get(keys, "")
        if not reason and row["picture"] not in pictures:
            drawing = joining.is_drawing(row["address"])
            reason = "the picture is a drawing, without pixels" if drawing else NO_PICTURE
        counted[reason or "found"] += 1
        if not reason:
            about = {"tuple_id": f"{row['article']} | {row['picture']}"}
            about |= {"article_id": row["article"]}
            about |= {"split": row["split"], "image_id": row["picture"]}
            for language in languages:
                article = found.articles[keys][language]
                about |= {f"{language}_title": article.title, f"{language}_text": article.text}
            tuples.append(about)
    counts = {part: dict(counted) for part, counted in reasons.items()}
    require(bool(tuples), f"no tuple of the lists has all its views: {counts}", DataError)
    return pd.DataFrame(tuples), counts
