"""The paper's corpus (Section 4.1): articles of Wikipedia Comparable Corpora in two languages, and
pictures of their pages from WIT.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

from m3l.errors import DataError, choose, require
from m3l.files import digest, digest_file

from ...wikipedia import albums, joining, lists
from ...wikipedia.comparable import Article
from ...wikipedia.fetching import fetch
from ..schema import Tuples
from ..splits import validation_part

COMPARABLE = "https://www.dropbox.com/s/0unb4xtnrfcf2zt/wikicomp-2014_deen.xml.bz2?dl=1"
WIT = "https://storage.googleapis.com/gresearch/wit/wit_v1.train.all-{:05d}-of-00010.tsv.gz"
WIT_SHARDS = 10
RESNET = "resnet-50"
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
    redirects: str = "",
    width: int = 330,
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
    redirects : path
        Of a table of two columns, a title and the one it leads to, where the lists' titles are
        older than the articles'; see `m3l_book.wikipedia.joining.read_redirects`.
    width : int
        Of pictures that are fetched by address, in pixels.
    folder : path
        Where files are fetched to, and stay.
    seed : int

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
    lead = joining.read_redirects(redirects, counts) if redirects else {}
    listed = _listed(split, corpora, chosen, (train, test, seed), lead, folder, counts)
    rows = listed.rows.to_dict("records")
    found = joining.find_articles(
        corpora, {_pair(r, chosen) for r in rows}, chosen, least_text, lead
    )
    asked = {
        row["picture"]: row["address"]
        for row in rows
        if _pair(row, chosen) in found.articles and not lists.is_drawing(row["address"])
    }
    if pixels == "challenge":
        files = albums.pictures_of_challenge(asked, folder, counts)
    else:
        files = albums.pictures_by_address(asked, folder, counts, width)
    keys, features = albums.features_of_challenge(files, folder, counts)
    frame, reasons = _joined(rows, found, files.keys() & set(keys), chosen)
    validation_part(frame, validation, seed)
    options = {"split": split, "pixels": pixels, "train": train, "test": test}
    options |= {"validation": validation, "least_text": least_text, "seed": seed}
    card = {
        "source": "Wikipedia Comparable Corpora (linguatools, 2014); WIT (Srinivasan et al. 2021);"
        " Wikipedia image-caption challenge (Wikimedia, 2021)"
        + ("; the authors' published lists of tuples" if split == "authors" else ""),
        "licence": "texts: Wikipedia, CC BY-SA; pictures: each its own, at Wikimedia Commons",
        "sha256": {corpora.name: digest_file(corpora)},
        "options": options,
        "join": reasons,
        "notes": [
            f"{what}: {n:,}" for what, n in (listed.notes | +(counts + found.counts)).items()
        ],
        "biases": BIASES,
    }
    names = {key: f"{digest(key)[:24]}{path.suffix}" for key, path in files.items()}
    ids = {key: name.partition(".")[0] for key, name in names.items()}
    frame["image_id"] = frame["image_id"].map(ids)
    used = set(frame["image_id"])

    def write(target: Path) -> dict[str, str]:
        for key, path in files.items():
            if ids[key] in used:
                copyfile(path, target / names[key])
        return {ids[key]: names[key] for key in files if ids[key] in used}

    given = {RESNET: ([ids[key] for key in keys], features)}
    return Tuples("wikipedia", frame, list(chosen), write, card, given)


def _listed(
    split: str,
    corpora: Path,
    languages: tuple[str, str],
    sizes: tuple[int, int, int],
    lead: Mapping[str, str],
    folder: str,
    counts: Counter,
) -> lists.Listed:
    """The tuples to look for."""
    if split == "authors":
        files = {
            part: fetch(f"{lists.AUTHORS}{name}", folder, name, lists.CHECKSUMS[name])
            for part, name in (("train", "train-titles.csv"), ("test", "test-titles.csv"))
        }
        return lists.read_lists(files, languages)
    shards = [fetch(WIT.format(number), folder) for number in range(WIT_SHARDS)]
    there = joining.illustrated_pairs(corpora, shards, languages, counts, lead)
    return lists.drawn(there, languages, *sizes)


def _pair(row: Mapping[str, str], languages: tuple[str, str]) -> tuple[str, ...]:
    """The keys of a row's titles."""
    return tuple(row[language] for language in languages)


def _joined(rows: list[dict], found: joining.Found, pictures: set[str], languages: tuple[str, str]):
    """The tuples that have all their views, in the schema, and for each list how many rows were
    asked for and found, and why the others were not.
    """
    import pandas as pd

    tuples, reasons = [], {part: Counter() for part in ("train", "test")}
    for row in rows:
        keys, told = _pair(row, languages), reasons[row["split"]]
        told["rows"] += 1
        reason = found.missing.get(keys, "")
        if not reason and row["picture"] not in pictures:
            drawing = lists.is_drawing(row["address"])
            reason = "the picture is a drawing, without pixels" if drawing else NO_PICTURE
        if reason:
            told[reason] += 1
            continue
        told["found"] += 1
        articles: dict[str, Article] = found.articles[keys]
        about = {"tuple_id": f"{row['article']} | {row['picture']}", "article_id": row["article"]}
        about |= {"split": row["split"], "image_id": row["picture"]}
        for language in languages:
            about[f"{language}_title"] = articles[language].title
            about[f"{language}_text"] = articles[language].text
        tuples.append(about)
    told = {part: dict(counted) for part, counted in reasons.items()}
    nothing = f"no tuple of the lists has all its views: {told}"
    require(bool(tuples), nothing, DataError)
    return pd.DataFrame(tuples), told
