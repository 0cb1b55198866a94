"""From a source's tuples to a prepared corpus: files with a schema."""

import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from m3l.errors import DataError, check_options, choose, require
from m3l.files import atomic, digest, digest_file, write_array, write_json
from m3l.text import bag_of_words, learn_vocabulary
from m3l.words import INVISIBLE

from . import duplicates
from .prepared import items
from .schema import PICTURES, Tuples
from .splits import SPLITS
from .wording import check_words, odd_words, stopwords_used, tokens_of

PAPER_VOCABULARY = 2000
"""Words a language (Appendix, "Data preprocessing")."""

LEAKING = (
    "{:,} tuples have an item that stands in a later part too: scores of the test part are too good"
)

LEAST_VIEWS = {"drop": 10**6, "pairs": 2, "keep": 1}
"""How many of a corpus's views a tuple needs to stay, by what becomes of incomplete ones."""


def prepare(
    tuples: Tuples,
    folder: str | Path,
    vocabulary_size: int | None = None,
    min_words: int = 10,
    incomplete: str = "drop",
    leakage: str = "error",
    near_duplicates: str = "report",
    stopwords: Mapping | None = None,
    segmented: Sequence[str] = (),
) -> dict:
    """Write the prepared corpus into ``folder``, atomically.

    Parameters
    ----------
    tuples : Tuples
    folder : path
    vocabulary_size : int
        Words a language, learnt on the training split alone; by default 2,000, as in the paper, or
        all that a small corpus has.
    min_words : int
        A document with fewer words of the vocabulary is dropped from its tuples.
    incomplete : {"drop", "pairs", "keep"}
        What becomes of tuples that then lack a view: they are dropped, so that all tuples have the
        same views, as in the paper; or they stay if they have two views, a pair; or they stay with
        what they have.
    leakage : {"error", "drop", "keep"}
        What to do with tuples one of whose items stands in a later part too: of training in the
        validation or test part, of the validation part in the test part. Texts are compared letter
        for letter, blanks and ways to write a letter aside; pictures by their files' content.
        ``"keep"`` is for a split that was published so: they stay, counted, and the card warns.
    near_duplicates : {"report", "drop"}
        What to do with training tuples one of whose items nearly stands in a later part
        (`m3l_book.data.duplicates`).
    stopwords : mapping of language to words, or to a file with a word a line, optional
        Instead of `m3l.words.stopwords`.
    segmented : languages
        Those of a script without blanks between words in whose texts blanks were put there.

    Returns
    -------
    The data card: source, licence, counts of what was kept and dropped, hashes.
    """

    choose("incomplete", incomplete, LEAST_VIEWS)
    choose("leakage", leakage, ("error", "drop", "keep"))
    choose("near_duplicates", near_duplicates, ("report", "drop"))
    for option, value in (("min_words", min_words), ("vocabulary_size", vocabulary_size)):
        whole = isinstance(value, int) and value >= 1
        fits = whole or (value is None and option == "vocabulary_size")
        require(fits, f"{option}={value!r}: expected an integer, 1 or more")
    frame = tuples.frame.reset_index(drop=True)
    counts = {"tuples_from_source": len(frame)}
    with atomic(folder, directory=True) as temporary:
        pictures = _write_pictures(temporary, tuples)
        frame, counts["leaking_tuples"] = _without_leaks(frame, tuples, leakage, pictures)
        same = _apart(frame, pictures) if leakage == "keep" else {}
        if near_duplicates == "drop":
            frame, counts["near_tuples"] = _without_near(frame, tuples.languages, pictures)
        require(
            "train" in set(frame["split"]), f"corpus {tuples.name}: no training tuple", DataError
        )
        texts = _tokens(frame, tuples.languages, segmented)
        vocabularies = {
            lang: _vocabulary(frame, lang, texts[lang], vocabulary_size, stopwords)
            for lang in tuples.languages
        }
        frame, vocabularies = _without_short(
            frame, tuples, texts, vocabularies, min_words, incomplete, counts
        )
        asked = vocabulary_size or PAPER_VOCABULARY
        for split in SPLITS:
            part = frame[frame["split"] == split]
            require(
                len(part) > 0 or split == "validation",
                f"corpus {tuples.name}: no {split} tuple is left; min_words={min_words} and"
                f" vocabulary_size={asked} dropped"
                f" {counts['documents_dropped_as_too_short']}",
                DataError,
            )
            counts[split] = _counts(part)
        card = {
            "name": tuples.name,
            "languages": tuples.languages,
            **tuples.card,
            "counts": counts,
            "vocabulary_size": asked,
            "min_words": min_words,
            "segmented": list(segmented),
            **_words_told(vocabularies, stopwords, tuples.card),
        }
        if leakage == "keep" and counts["leaking_tuples"]:
            card["warnings"].append(LEAKING.format(counts["leaking_tuples"]))
        frame.to_parquet(temporary / "tuples.parquet", index=False)
        for lang, vocabulary in vocabularies.items():
            _write_words(temporary, lang, frame, texts[lang], vocabulary)
        used = _keep_pictures(temporary, frame, pictures)
        _keep_given(temporary, frame, tuples, same)
        card["near_duplicates"] = duplicates.near_duplicates(frame, tuples.languages, used)
        card["hashes"] = _hashes(temporary, frame)
        write_json(temporary / "card.json", card)
    return card


def _words_told(vocabularies: Mapping, given: Mapping | None, card: Mapping) -> dict:
    """What a card says of the words: how many, whose stopwords, what looks odd."""
    own = [language for language in vocabularies if language in (given or {})]
    told = "given by the caller"
    if len(own) < len(vocabularies):
        told = f"stopwords-iso, and of {', '.join(own)} by the caller" if own else "stopwords-iso"
    odd = [line for language, words in vocabularies.items() for line in odd_words(words, language)]
    return {
        "vocabularies": {language: len(words) for language, words in vocabularies.items()},
        "stopwords": told,
        "warnings": [*card.get("warnings", []), *odd],
    }


def check_preparation(corpus: str, options: Mapping) -> dict:
    """The options of `prepare` for a corpus, checked; `ParameterError` naming the corpus."""
    return check_options(f"preparation of {corpus!r}", prepare, dict(options))


def _counts(part) -> dict[str, int]:
    """What a part holds; ``illustrated`` are its articles that have a picture."""
    return {
        "tuples": len(part),
        "articles": int(part["article_id"].nunique()),
        "illustrated": int(part.loc[part["image_id"].notna(), "article_id"].nunique()),
        "pictures": int(part["image_id"].nunique()),
    }


def _without_leaks(frame, tuples: Tuples, leakage: str, pictures: Mapping[str, Path]):
    leaks = np.zeros(len(frame), dtype=bool)
    split = frame["split"]
    content = {image: digest_file(path) for image, path in pictures.items()}
    for column in [f"{lang}_text" for lang in tuples.languages] + ["image_id"]:
        keys = frame[column].map(content.get if column == "image_id" else _spelled, "ignore")
        for early, later in (("train", SPLITS[1:]), ("validation", SPLITS[2:])):
            others = keys[split.isin(later) & keys.notna()]
            leaking = ((split == early) & keys.isin(set(others))).to_numpy()
            if leaking.any() and leakage == "error":
                a = int(np.flatnonzero(leaking)[0])
                b = others.index[others == keys[a]][0]
                other = "" if frame[column][a] == frame[column][b] else " in another spelling"
                if column == "image_id" and other:
                    other = f" under another name ({frame[column][a]!r}, {frame[column][b]!r})"
                raise DataError(
                    f"corpus {tuples.name}: {column} of {_named(early)} tuple"
                    f" {frame['tuple_id'][a]!r} is that of {split[b]} tuple"
                    f" {frame['tuple_id'][b]!r}{other}, and {int(leaking.sum())} {_named(early)}"
                    " tuples do so in all; pass leakage='drop' to leave them out"
                )
            leaks |= leaking
    kept = frame if leakage == "keep" else frame[~leaks].reset_index(drop=True)
    return kept, int(leaks.sum())


def _spelled(text: str) -> str:
    """What texts share that differ in blanks and in ways to write a letter alone."""
    return " ".join(unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).split())


def _without_near(frame, languages: Sequence[str], pictures: Mapping[str, Path]):
    """The frame without training tuples one of whose items nearly stands in a later part."""
    near = np.zeros(len(frame), dtype=bool)
    for pair in duplicates.near_duplicates(frame, languages, pictures):
        column = "image_id" if pair["view"] == PICTURES else "article_id"
        near |= ((frame["split"] == "train") & (frame[column] == pair["item"])).to_numpy()
    return frame[~near].reset_index(drop=True), int(near.sum())


def _named(split: str) -> str:
    return "training" if split == "train" else split


def _tokens(frame, languages, segmented) -> dict[str, dict[str, list[str]]]:
    found = {}
    for lang in languages:
        texts = frame[f"{lang}_text"].dropna().unique()
        found[lang] = dict(zip(texts, tokens_of(texts, lang, segmented), strict=True))
    return found


def _vocabulary(frame, lang: str, tokens: Mapping, size: int | None, stop: Mapping | None):
    training = frame[frame["split"] == "train"].drop_duplicates("article_id")
    documents = [tokens[text] for text in training[f"{lang}_text"].dropna()]
    check_words(documents, lang)
    left_out = stopwords_used(lang, stop)
    there = {word for words in documents for word in words} - left_out
    most = size or max(1, min(PAPER_VOCABULARY, len(there)))
    return learn_vocabulary(documents, most, left_out, lang)


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


def _write_pictures(folder: Path, tuples: Tuples) -> dict[str, Path]:
    """The file of each picture of a source, written into ``folder``."""
    if tuples.write_images is None:
        return {}
    (folder / "images").mkdir()
    written = sorted(tuples.write_images(folder / "images").items())
    return {key: folder / "images" / name for key, name in written}


def _keep_pictures(folder: Path, frame, pictures: Mapping[str, Path]) -> dict[str, Path]:
    """The pictures that tuples still have, listed in files; the others' files go."""
    used = set(frame["image_id"].dropna())
    for key, path in pictures.items():
        if key not in used:
            path.unlink()
    kept = {key: path for key, path in pictures.items() if key in used}
    if pictures:
        write_json(folder / "images.json", {key: path.name for key, path in kept.items()})
        hashes = {key: digest_file(path) for key, path in kept.items()}
        write_json(folder / "images_sha256.json", hashes)
    return kept


def _apart(frame, pictures: dict[str, Path]) -> dict[str, str]:
    """Make a picture that stands in several parts an item of its own in each, in place: in a corpus
    no item does. The new ids, and what they were.
    """
    parts = frame.dropna(subset=["image_id"]).groupby("image_id")["split"].unique()
    same = {}
    for image, splits in parts[parts.map(len) > 1].items():
        for split in [s for s in SPLITS if s in splits][1:]:
            own, path = f"{image}-{split}", pictures[image]
            pictures[own] = path.with_name(f"{path.stem}-{split}{path.suffix}")
            shutil.copyfile(path, pictures[own])
            frame.loc[(frame["image_id"] == image) & (frame["split"] == split), "image_id"] = own
            same[own] = image
    return same


def _keep_given(folder: Path, frame, tuples: Tuples, same: Mapping[str, str]) -> None:
    """The features that come with a source, a row for each picture of the frame, in its order;
    ``same`` are the ids that pictures had there, by those that they have now.
    """
    now = items(frame, PICTURES)["image_id"].tolist()
    pictures = [same.get(identity, identity) for identity in now]
    for name, (ids, vectors) in tuples.given.items():
        place = {identity: row for row, identity in enumerate(ids)}
        lacking = [identity for identity in pictures if identity not in place]
        what = f"corpus {tuples.name}: {len(lacking)} pictures have no features {name!r}"
        require(not lacking, what, DataError)
        rows = np.asarray(vectors)[[place[identity] for identity in pictures]]
        write_array(folder / f"given_{name}.npy", rows.astype(np.float32))


def _hashes(folder, frame) -> dict[str, str]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix != ".parquet"]
    rows = frame[["tuple_id", "article_id", "split"]].astype(str).to_numpy().ravel()
    return {**{p.name: digest_file(p) for p in files}, "tuples": digest(*rows)}
