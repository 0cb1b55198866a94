"""From a source's tuples to a prepared corpus: files with a schema."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from m3l.errors import DataError, check_options, choose, require
from m3l.files import atomic, digest, digest_file, read_json, write_json
from m3l.text import bag_of_words, learn_vocabulary, stopwords, tokenize

from .duplicates import near_duplicates
from .prepared import items
from .schema import Tuples
from .splits import SPLITS

LEAST_VIEWS = {"drop": 10**6, "pairs": 2, "keep": 1}
"""How many of a corpus's views a tuple needs to stay, by what becomes of incomplete ones."""


def prepare(
    tuples: Tuples,
    folder: str | Path,
    vocabulary_size: int = 2000,
    min_words: int = 10,
    incomplete: str = "drop",
    leakage: str = "error",
    stop: Mapping | None = None,
) -> dict:
    """Write the prepared corpus into ``folder``, atomically.

    Parameters
    ----------
    tuples : Tuples
    folder : path
    vocabulary_size : int
        Words a language: 2,000 in the paper, learnt on the training split alone.
    min_words : int
        A document with fewer words of the vocabulary is dropped from its tuples.
    incomplete : {"drop", "pairs", "keep"}
        What becomes of tuples that then lack a view: they are dropped, so that all tuples have the
        same views, as in the paper; or they stay if they have two views, a pair; or they stay with
        what they have.
    leakage : {"error", "drop"}
        What to do with tuples one of whose items stands, letter for letter, in a later part too:
        of training in the validation or test part, of the validation part in the test part.
    stop : mapping of language to words, optional
        Instead of `m3l.text.stopwords`.

    Returns
    -------
    The data card: source, licence, counts of what was kept and dropped, hashes.
    """

    choose("incomplete", incomplete, LEAST_VIEWS)
    choose("leakage", leakage, ("error", "drop"))
    require(
        isinstance(min_words, int) and min_words >= 1,
        f"min_words={min_words!r}: expected an integer, 1 or more",
    )
    frame = tuples.frame.reset_index(drop=True)
    counts = {"tuples_from_source": len(frame)}
    frame, counts["leaking_tuples"] = _without_leaks(frame, tuples, leakage)
    require("train" in set(frame["split"]), f"corpus {tuples.name}: no training tuple", DataError)

    texts = _tokens(frame, tuples.languages)
    vocabularies = {
        lang: _vocabulary(frame, lang, texts[lang], vocabulary_size, stop)
        for lang in tuples.languages
    }
    frame, vocabularies = _without_short(
        frame, tuples, texts, vocabularies, min_words, incomplete, counts
    )
    for split in SPLITS:
        part = frame[frame["split"] == split]
        require(
            len(part) > 0 or split == "validation",
            f"corpus {tuples.name}: no {split} tuple is left; min_words={min_words} and"
            f" vocabulary_size={vocabulary_size} dropped"
            f" {counts['documents_dropped_as_too_short']}",
            DataError,
        )
        counts[split] = _counts(part)
    card = {
        "name": tuples.name,
        "languages": tuples.languages,
        **tuples.card,
        "counts": counts,
        "vocabulary_size": vocabulary_size,
        "min_words": min_words,
        "stopwords": "given by the caller" if stop else "stopwords-iso",
    }
    with atomic(folder, directory=True) as temporary:
        frame.to_parquet(temporary / "tuples.parquet", index=False)
        for lang, vocabulary in vocabularies.items():
            _write_words(temporary, lang, frame, texts[lang], vocabulary)
        if tuples.write_images is not None:
            _write_pictures(temporary, frame, tuples.write_images)
        pictures = _picture_files(temporary)
        card["near_duplicates"] = near_duplicates(frame, tuples.languages, pictures)
        card["hashes"] = _hashes(temporary, frame)
        write_json(temporary / "card.json", card)
    return card


def check_preparation(corpus: str, options: Mapping) -> dict:
    """The options of `prepare` for a corpus, checked; `ParameterError` naming the corpus."""
    return check_options(f"preparation of {corpus!r}", prepare, dict(options))


def stopwords_used(language: str, options: Mapping) -> frozenset[str]:
    """The stopwords that `prepare` leaves out with these ``options``, as tokens."""
    given = options.get("stop") or {}
    if language in given:
        return frozenset(word for entry in given[language] for word in tokenize(entry))
    return stopwords(language)


def _counts(part) -> dict[str, int]:
    """What a part holds; ``illustrated`` are its articles that have a picture."""
    return {
        "tuples": len(part),
        "articles": int(part["article_id"].nunique()),
        "illustrated": int(part.loc[part["image_id"].notna(), "article_id"].nunique()),
        "pictures": int(part["image_id"].nunique()),
    }


def _without_leaks(frame, tuples: Tuples, leakage: str):
    leaks = np.zeros(len(frame), dtype=bool)
    split = frame["split"]
    for column in [f"{lang}_text" for lang in tuples.languages] + ["image_id"]:
        for early, later in (("train", SPLITS[1:]), ("validation", SPLITS[2:])):
            others = frame[split.isin(later) & frame[column].notna()]
            leaking = ((split == early) & frame[column].isin(set(others[column]))).to_numpy()
            if leaking.any() and leakage == "error":
                a = int(np.flatnonzero(leaking)[0])
                b = others.index[others[column] == frame[column][a]][0]
                raise DataError(
                    f"corpus {tuples.name}: {column} of {_named(early)} tuple"
                    f" {frame['tuple_id'][a]!r} is that of {split[b]} tuple"
                    f" {frame['tuple_id'][b]!r}, and {int(leaking.sum())} {_named(early)} tuples do"
                    " so in all; pass leakage='drop' to leave them out"
                )
            leaks |= leaking
    return frame[~leaks].reset_index(drop=True), int(leaks.sum())


def _named(split: str) -> str:
    return "training" if split == "train" else split


def _tokens(frame, languages) -> dict[str, dict[str, list[str]]]:
    return {
        lang: {text: tokenize(text) for text in frame[f"{lang}_text"].dropna().unique()}
        for lang in languages
    }


def _vocabulary(frame, lang: str, tokens: Mapping, size: int, stop: Mapping | None) -> list[str]:
    training = frame[frame["split"] == "train"].drop_duplicates("article_id")
    texts = training[f"{lang}_text"].dropna()
    left_out = stopwords_used(lang, {"stop": stop})
    return learn_vocabulary([tokens[text] for text in texts], size, left_out, lang)


def _without_short(
    frame,
    tuples: Tuples,
    texts: Mapping,
    vocabularies: dict[str, list[str]],
    min_words: int,
    incomplete: str,
    counts: dict,
):
    """The frame without short documents and what lacks a view for it, and the words that still
    stand in a training document; ``counts`` gets what was dropped.
    """
    dropped = {lang: dict.fromkeys(SPLITS, 0) for lang in vocabularies}
    counts["documents_dropped_as_too_short"] = dropped
    counts["tuples_dropped_as_incomplete"] = 0
    known: dict[str, list[str]] = {}
    while known != vocabularies:  # what is dropped may take the last document of a word with it
        known = vocabularies
        for lang, vocabulary in known.items():
            short = _drop_short(frame, lang, texts[lang], vocabulary, min_words)
            dropped[lang] = {split: n + short[split] for split, n in dropped[lang].items()}
        frame, without_view = _complete(frame, tuples, incomplete)
        counts["tuples_dropped_as_incomplete"] += without_view
        vocabularies = {
            lang: _words_that_stand(frame, lang, texts[lang], words)
            for lang, words in known.items()
        }
    return frame, vocabularies


def _words_that_stand(frame, lang: str, tokens: Mapping, vocabulary: list[str]) -> list[str]:
    """The words of a vocabulary that a training document has."""
    texts = frame.loc[frame["split"] == "train", f"{lang}_text"].dropna().unique()
    standing = {word for text in texts for word in tokens[text]}
    return [word for word in vocabulary if word in standing]


def _drop_short(frame, lang: str, tokens: Mapping, vocabulary, min_words: int) -> dict[str, int]:
    """Blank, in ``frame``, texts with too few known words; the number of articles, by split."""
    known = frozenset(vocabulary)

    def is_short(text) -> bool:
        return isinstance(text, str) and sum(w in known for w in tokens[text]) < min_words

    short = frame[f"{lang}_text"].map(is_short).astype(bool)
    dropped = {
        split: int(frame.loc[short & (frame["split"] == split), "article_id"].nunique())
        for split in SPLITS
    }
    frame.loc[short, f"{lang}_text"] = None
    return dropped


def _complete(frame, tuples: Tuples, incomplete: str):
    columns = [f"{lang}_text" for lang in tuples.languages]
    columns += ["image_id"] if tuples.write_images is not None else []
    views = frame[columns].notna().sum(axis=1)
    keep = views >= min(LEAST_VIEWS[incomplete], len(columns))
    return frame[keep].reset_index(drop=True), int((~keep).sum())


def _write_words(folder, lang: str, frame, tokens: Mapping, vocabulary) -> None:
    texts = items(frame, lang)[f"{lang}_text"]
    sp.save_npz(folder / f"bow_{lang}.npz", bag_of_words([tokens[t] for t in texts], vocabulary))
    (folder / f"vocab_{lang}.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")


def _write_pictures(folder, frame, write_images) -> None:
    (folder / "images").mkdir()
    used = set(frame["image_id"].dropna())
    written = sorted(write_images(folder / "images").items())
    names = {key: name for key, name in written if key in used}
    write_json(folder / "images.json", names)
    write_json(
        folder / "images_sha256.json",
        {key: digest_file(folder / "images" / name) for key, name in names.items()},
    )


def _picture_files(folder: Path) -> dict[str, Path]:
    """The file of each picture that was written into ``folder``."""
    if not (folder / "images.json").is_file():
        return {}
    return {
        key: folder / "images" / name for key, name in read_json(folder / "images.json").items()
    }


def _hashes(folder, frame) -> dict[str, str]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix != ".parquet"]
    rows = frame[["tuple_id", "article_id", "split"]].astype(str).to_numpy().ravel()
    return {**{p.name: digest_file(p) for p in files}, "tuples": digest(*rows)}
