"""From a source's tuples to a prepared corpus: files with a schema."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from m3l.errors import DataError, check_options, choose, require
from m3l.files import atomic, digest, digest_file, write_json
from m3l.text import bag_of_words, learn_vocabulary, stopwords, tokenize

from .prepared import items
from .schema import Tuples


def prepare(
    tuples: Tuples,
    folder,
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
    incomplete : {"drop", "keep"}
        What becomes of tuples that then lack a text: all tuples have the same views, as in the
        paper, or a tuple stays with what it has.
    leakage : {"error", "drop"}
        What to do with training tuples whose text stands, letter for letter, in the test split.
    stop : mapping of language to words, optional
        Instead of `m3l.text.stopwords`.

    Returns
    -------
    The data card: source, licence, counts of what was kept and dropped, hashes.
    """

    choose("incomplete", incomplete, ("drop", "keep"))
    choose("leakage", leakage, ("error", "drop"))
    require(
        isinstance(min_words, int) and min_words >= 1,
        f"min_words={min_words!r}: expected an integer, 1 or more",
    )
    frame = tuples.frame.reset_index(drop=True)
    counts = {"tuples_from_source": len(frame)}
    frame, counts["leaking_training_tuples"] = _without_leaks(frame, tuples, leakage)
    require("train" in set(frame["split"]), f"corpus {tuples.name}: no training tuple", DataError)

    tokens = {
        lang: {t: tokenize(t) for t in frame[f"{lang}_text"].dropna().unique()}
        for lang in tuples.languages
    }
    vocabularies, dropped = {}, {}
    for lang in tuples.languages:
        training = (
            frame[frame["split"] == "train"].drop_duplicates("article_id")[f"{lang}_text"].dropna()
        )
        words = (
            frozenset(w for entry in stop[lang] for w in tokenize(entry))
            if stop is not None and lang in stop
            else stopwords(lang)
        )
        vocabularies[lang] = learn_vocabulary(
            [tokens[lang][t] for t in training], vocabulary_size, words, lang
        )
        known = frozenset(vocabularies[lang])
        short = frame[f"{lang}_text"].map(
            lambda t, lang=lang, known=known: (
                isinstance(t, str) and sum(w in known for w in tokens[lang][t]) < min_words
            )
        )
        dropped[lang] = {
            split: int(
                frame.loc[short.astype(bool) & (frame["split"] == split), "article_id"].nunique()
            )
            for split in ("train", "test")
        }
        frame.loc[short.astype(bool), f"{lang}_text"] = None
    counts["documents_dropped_as_too_short"] = dropped
    present = frame[
        [f"{lang}_text" for lang in tuples.languages]
        + (["image_id"] if tuples.write_images is not None else [])
    ].notna()
    keep = present.all(axis=1) if incomplete == "drop" else present.any(axis=1)
    counts["tuples_dropped_as_incomplete"] = int((~keep).sum())
    frame = frame[keep].reset_index(drop=True)
    for split in ("train", "test"):
        part = frame[frame["split"] == split]
        require(
            len(part) > 0,
            f"corpus {tuples.name}: no {split} tuple is left; min_words={min_words} and"
            f" vocabulary_size={vocabulary_size} dropped {dropped}",
            DataError,
        )
        counts[split] = {
            "tuples": len(part),
            "articles": int(part["article_id"].nunique()),
            "pictures": int(part["image_id"].nunique()),
        }

    with atomic(folder, directory=True) as temporary:
        frame.to_parquet(temporary / "tuples.parquet", index=False)
        for lang, vocabulary in vocabularies.items():
            rows = items(frame, lang)[f"{lang}_text"]
            sp.save_npz(
                temporary / f"bow_{lang}.npz",
                bag_of_words([tokens[lang][t] for t in rows], vocabulary),
            )
            (temporary / f"vocab_{lang}.txt").write_text(
                "\n".join(vocabulary) + "\n", encoding="utf-8"
            )
        if tuples.write_images is not None:
            (temporary / "images").mkdir()
            names = tuples.write_images(temporary / "images")
            used = set(frame["image_id"].dropna())
            names = {key: value for key, value in sorted(names.items()) if key in used}
            write_json(temporary / "images.json", names)
            write_json(
                temporary / "images_sha256.json",
                {key: digest_file(temporary / "images" / value) for key, value in names.items()},
            )
        hashes = {
            p.name: digest_file(p)
            for p in sorted(temporary.iterdir())
            if p.is_file() and p.suffix != ".parquet"
        }
        card = {
            "name": tuples.name,
            "languages": tuples.languages,
            **tuples.card,
            "counts": counts,
            "vocabulary_size": vocabulary_size,
            "min_words": min_words,
            "stopwords": "given by the caller" if stop else "stopwords-iso",
            "hashes": {
                **hashes,
                "tuples": digest(
                    *frame[["tuple_id", "article_id", "split"]].astype(str).to_numpy().ravel()
                ),
            },
        }
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


def _without_leaks(frame, tuples: Tuples, leakage: str):
    leaks = np.zeros(len(frame), dtype=bool)
    for column in [f"{lang}_text" for lang in tuples.languages] + ["image_id"]:
        tests = frame[(frame["split"] == "test") & frame[column].notna()]
        leaking = ((frame["split"] == "train") & frame[column].isin(set(tests[column]))).to_numpy()
        if leaking.any() and leakage == "error":
            a = int(np.flatnonzero(leaking)[0])
            b = tests.index[tests[column] == frame[column][a]][0]
            raise DataError(
                f"corpus {tuples.name}: {column} of training tuple {frame['tuple_id'][a]!r} is that"
                f" of test tuple {frame['tuple_id'][b]!r}, and {int(leaking.sum())} training tuples"
                " do so in all; pass leakage='drop' to leave them out of training"
            )
        leaks |= leaking
    return frame[~leaks].reset_index(drop=True), int(leaks.sum())
