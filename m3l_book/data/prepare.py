"""From a source's tuples to a prepared corpus: files with a schema."""

import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from pandas import DataFrame

from m3l import text as words
from m3l.errors import DataError, check_integer, check_options, choose, require
from m3l.files import atomic, digest, digest_file, write_array, write_json
from m3l.text import bag_of_words, learn_vocabulary

from .duplicates import near_duplicates as find_near_duplicates
from .prepared import items, tokens_of
from .schema import PICTURES, SPLITS, Tuples

PAPER_VOCABULARY = 2000
"""Words a language (Appendix, "Data preprocessing")."""

LEAST_VIEWS = {"drop": 10**6, "pairs": 2, "keep": 1}
"""How many of a corpus's views a tuple needs to stay, by what becomes of incomplete ones."""

ONCE, LONG = 0.8, 7.0
"""Words of which this share occurs once, and which have this many letters on average, are not words
but clauses: a word of a text in English has 5 letters, one of Finnish 8, and half occur once.
"""

LEFTOVERS = {"amp", "nbsp", "quot", "lt", "gt", "apos", "hellip"}
LEFTOVERS |= {"href", "https", "http", "www", "html"}
"""What is left of HTML when a text is cut into words."""


def prepare(
    tuples: Tuples,
    folder: str | Path,
    vocabulary_size: int | None = None,
    min_words: int = 10,
    max_words: int | None = None,
    incomplete: str = "drop",
    leakage: str = "error",
    near_duplicates: str = "report",
    stopwords: Mapping | None = None,
    segmented: Sequence[str] = (),
) -> dict:
    """Write the prepared corpus into ``folder``, atomically.

    Parameters
    ----------
    vocabulary_size : int
        Words a language, learnt on the training split alone; by default 2,000, as in the paper, or
        all that a small corpus has.
    min_words : int
        A document with fewer words of the vocabulary is dropped from its tuples.
    max_words : int
        Words from the beginning of each document that are counted; the released preprocessing
        counts 200. By default all are. What an encoder reads is bounded by its ``max_tokens``.
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
        Instead of `m3l.text.stopwords`.
    segmented : languages
        Those of a script without blanks between words in whose texts blanks were put there.

    Returns
    -------
    The data card: source, licence, counts of what was kept and dropped, hashes.
    """
    choose("incomplete", incomplete, LEAST_VIEWS)
    choose("leakage", leakage, ("error", "drop", "keep"))
    choose("near_duplicates", near_duplicates, ("report", "drop"))
    check_integer("min_words", min_words, 1)
    for option, value in (("max_words", max_words), ("vocabulary_size", vocabulary_size)):
        if value is not None:
            check_integer(option, value, 1)
    frame, languages = tuples.frame.reset_index(drop=True), tuples.languages
    counts = {"tuples_from_source": len(frame)}
    with atomic(folder, directory=True) as temporary:
        pictures = _write_pictures(temporary, tuples)
        leaks = _leaks(frame, tuples, leakage, pictures)
        counts["leaking_tuples"] = int(leaks.sum())
        frame = frame if leakage == "keep" else frame[~leaks].reset_index(drop=True)
        renamed = _separate(frame, pictures) if leakage == "keep" else {}
        if near_duplicates == "drop":
            near = _near(frame, languages, pictures)
            counts["near_tuples"] = int(near.sum())
            frame = frame[~near].reset_index(drop=True)
        trained = "train" in set(frame["split"])
        require(trained, f"corpus {tuples.name}: no training tuple", DataError)
        how = {"segmented": list(segmented), "max_words": max_words}
        tokens = {language: _tokens(frame, language, how) for language in languages}
        stop = {one: stopwords_used(one, stopwords, one in segmented) for one in languages}
        vocabularies = {
            language: _vocabulary(frame, language, tokens[language], vocabulary_size, left_out)
            for language, left_out in stop.items()
        }
        frame, vocabularies = _without_short(
            frame, tuples, tokens, vocabularies, min_words, incomplete, counts
        )
        asked = vocabulary_size or PAPER_VOCABULARY
        _count_parts(frame, tuples.name, counts, f"{min_words=} and vocabulary_size={asked}")
        frame.to_parquet(temporary / "tuples.parquet", index=False)
        for language, vocabulary in vocabularies.items():
            _write_words(temporary, language, frame, tokens[language], vocabulary)
        used = _list_pictures(temporary, frame, pictures)
        _write_given(temporary, frame, tuples, renamed)
        card = {
            "name": tuples.name,
            "languages": languages,
            **tuples.card,
            "counts": counts,
            "vocabulary_size": asked,
            "min_words": min_words,
            **how,
            **_about_words(vocabularies, stopwords or {}, tuples.card),
        }
        if leakage == "keep" and leaks.any():
            leaking = f"{counts['leaking_tuples']:,} tuples have an item that stands in a later"
            card["warnings"].append(f"{leaking} part too: scores of the test part are too good")
        card["near_duplicates"] = find_near_duplicates(frame, languages, used)
        card["hashes"] = _hashes(temporary, frame)
        write_json(temporary / "card.json", card)
    return card


def check_preparation(corpus: str, options: Mapping) -> dict:
    """Check the options of `prepare` for a corpus; `ParameterError` naming the corpus."""
    return check_options(f"preparation of {corpus!r}", prepare, dict(options))


# what leaks


def _leaks(
    frame: DataFrame, tuples: Tuples, leakage: str, pictures: Mapping[str, Path]
) -> np.ndarray:
    """Find the tuples one of whose items stands in a later part too."""
    leaks, split = np.zeros(len(frame), dtype=bool), frame["split"]
    content = {image: digest_file(path) for image, path in pictures.items()}
    for column in [f"{language}_text" for language in tuples.languages] + ["image_id"]:
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
                part = "training" if early == "train" else early
                raise DataError(
                    f"corpus {tuples.name}: {column} of {part} tuple {frame['tuple_id'][a]!r}"
                    f" is that of {split[b]} tuple {frame['tuple_id'][b]!r}{other},"
                    f" and {int(leaking.sum())} {part} tuples do so in all;"
                    " pass leakage='drop' to leave them out"
                )
            leaks |= leaking
    return leaks


def leaking_texts(frame: DataFrame, languages: Sequence[str]) -> np.ndarray:
    """Find the tuples of training one of whose texts stands in a later part, too: bool (N,), as
    ``leakage="drop"`` leaves them out.
    """
    texts = Tuples("", frame, list(languages))
    return _leaks(frame.assign(image_id=None), texts, "drop", {})


def _spelled(text: str) -> str | None:
    """Give what texts share that differ in blanks and in ways to write a letter alone, if any."""
    return " ".join(unicodedata.normalize("NFKC", words.INVISIBLE.sub("", text)).split()) or None


def _near(frame: DataFrame, languages: Sequence[str], pictures: Mapping[str, Path]) -> np.ndarray:
    """Find the training tuples one of whose items nearly stands in a later part."""
    near = np.zeros(len(frame), dtype=bool)
    for pair in find_near_duplicates(frame, languages, pictures):
        column = "image_id" if pair["view"] == PICTURES else "article_id"
        near |= ((frame["split"] == "train") & (frame[column] == pair["item"])).to_numpy()
    return near


def _separate(frame: DataFrame, pictures: dict[str, Path]) -> dict[str, str]:
    """Make an article or picture of several parts an item of its own in each, in place: in a corpus
    no item stands in two. The new ids of pictures, and what they were.
    """
    several = frame.groupby("article_id")["split"].transform("nunique") > 1
    frame.loc[several, "article_id"] += "-" + frame.loc[several, "split"]
    parts = frame.dropna(subset=["image_id"]).groupby("image_id")["split"].unique()
    renamed = {}
    for image, splits in parts[parts.map(len) > 1].items():
        for split in [s for s in SPLITS if s in splits][1:]:
            new, path = f"{image}-{split}", pictures[image]
            pictures[new] = path.with_name(f"{path.stem}-{split}{path.suffix}")
            shutil.copyfile(path, pictures[new])
            frame.loc[(frame["image_id"] == image) & (frame["split"] == split), "image_id"] = new
            renamed[new] = image
    return renamed


# words


def _tokens(frame: DataFrame, language: str, how: Mapping) -> dict[str, list[str]]:
    """Cut each text of a language into words."""
    texts = frame[f"{language}_text"].dropna().unique()
    return dict(zip(texts, tokens_of(texts, language, **how), strict=True))


def stopwords_used(language: str, given: Mapping | None, blanks: bool = False) -> frozenset[str]:
    """Give the stopwords that are left out, as tokens: those given for the language, words or a
    file with one a line, or else its list; not cut if the texts have ``blanks`` between words.

    Raises
    ------
    DataError
        There is no list for the language, or the file cannot be read.
    """
    entries = (given or {}).get(language)
    if entries is None:
        return words.stopwords(language, blanks)
    if isinstance(entries, str):
        try:
            entries = Path(entries).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"stopwords of {language!r}: {given[language]}: {error}") from error
    return frozenset(w for entry in entries for w in words.tokenize(str(entry), language, blanks))


def _vocabulary(
    frame: DataFrame, language: str, tokens: Mapping, size: int | None, left_out: frozenset[str]
) -> list[str]:
    """Learn the vocabulary of a language on its training documents."""
    training = frame[frame["split"] == "train"].drop_duplicates("article_id")
    documents = [tokens[text] for text in training[f"{language}_text"].dropna()]
    _check_words(documents, language)
    there = {word for document in documents for word in document} - left_out
    most = size or max(1, min(PAPER_VOCABULARY, len(there)))
    return learn_vocabulary(documents, most, left_out, language)


def _check_words(documents: Iterable[Sequence[str]], language: str) -> None:
    """See that words, and not clauses, were found; `DataError` saying what was found."""
    counts = Counter(word for document in documents for word in document)
    if len(counts) < 100:
        return
    once = sum(n == 1 for n in counts.values()) / len(counts)
    letters = sum(map(len, counts)) / len(counts)
    found = f"{once:.0%} of its words occur once, and they have {letters:.0f} letters on average"
    cure = "clauses, and no words. Put blanks between the words"
    require(once < ONCE or letters < LONG, f"language {language!r}: {found}: {cure}", DataError)


def _without_short(
    frame: DataFrame,
    tuples: Tuples,
    tokens: Mapping,
    vocabularies: dict[str, list[str]],
    min_words: int,
    incomplete: str,
    counts: dict,
) -> tuple[DataFrame, dict[str, list[str]]]:
    """Drop short documents and what lacks a view for it, and words that then stand in no training
    document; ``counts`` gets what was dropped.
    """
    dropped = {language: dict.fromkeys(SPLITS, 0) for language in vocabularies}
    counts["documents_dropped_as_too_short"] = dropped
    counts["tuples_dropped_as_incomplete"] = 0
    columns = [f"{language}_text" for language in tuples.languages]
    columns += ["image_id"] if tuples.write_images is not None else []
    known: dict[str, list[str]] = {}
    while known != vocabularies:  # what is dropped may take the last document of a word with it
        known, vocabularies = vocabularies, {}
        for language, vocabulary in known.items():
            column, of_text = f"{language}_text", tokens[language]
            in_vocabulary = frozenset(vocabulary)
            n = [sum(word in in_vocabulary for word in of_text.get(t, ())) for t in frame[column]]
            short = frame[column].notna() & (np.array(n) < min_words)
            articles = frame[short].groupby("split")["article_id"].nunique()
            for split, number in articles.items():
                dropped[language][split] += int(number)
            frame.loc[short, column] = None
        keep = frame[columns].notna().sum(axis=1) >= min(LEAST_VIEWS[incomplete], len(columns))
        counts["tuples_dropped_as_incomplete"] += int((~keep).sum())
        frame = frame[keep].reset_index(drop=True)
        for language, vocabulary in known.items():
            texts = frame.loc[frame["split"] == "train", f"{language}_text"].dropna().unique()
            standing = {word for text in texts for word in tokens[language][text]}
            vocabularies[language] = [word for word in vocabulary if word in standing]
    for language, vocabulary in vocabularies.items():  # a topic's words are compared in pairs
        left = f"{language} is left with {'one' if vocabulary else 'no'} word to count"
        few = f"corpus {tuples.name}: {left}; expected two or more"
        require(len(vocabulary) >= 2 or frame.empty, few, DataError)
    return frame, vocabularies


def _about_words(vocabularies: Mapping, given: Mapping, card: Mapping) -> dict:
    """Say for a card of the words: how many, whose stopwords, what looks odd."""
    theirs = [language for language in vocabularies if language in given]
    whose = "given by the caller"
    if len(theirs) < len(vocabularies):
        whose = "stopwords-iso"
        whose += f", and of {', '.join(theirs)} by the caller" if theirs else ""
    warnings = list(card.get("warnings", []))
    for language, vocabulary in vocabularies.items():
        left = sorted(LEFTOVERS & set(vocabulary[:200]))
        if len(left) >= 2:
            among = f"{language}: among the commonest words are {', '.join(left)}"
            cure = "if they come from HTML, markup: strip takes it out of the texts"
            warnings.append(f"{among}; {cure}")
    sizes = {language: len(vocabulary) for language, vocabulary in vocabularies.items()}
    return {"vocabularies": sizes, "stopwords": whose, "warnings": warnings}


# counts and files


def _count_parts(frame: DataFrame, name: str, counts: dict, asked: str) -> None:
    """Count what each part holds; ``illustrated`` are its articles that have a picture."""
    for split in SPLITS:
        part = frame[frame["split"] == split]
        nothing = f"corpus {name}: no {split} tuple is left; {asked} dropped"
        short = counts["documents_dropped_as_too_short"]
        require(len(part) > 0 or split == "validation", f"{nothing} {short}", DataError)
        counts[split] = {
            "tuples": len(part),
            "articles": int(part["article_id"].nunique()),
            "illustrated": int(part.loc[part["image_id"].notna(), "article_id"].nunique()),
            "pictures": int(part["image_id"].nunique()),
        }


def _write_words(
    folder: Path, language: str, frame: DataFrame, tokens: Mapping, vocabulary: list[str]
) -> None:
    documents = [tokens[text] for text in items(frame, language)[f"{language}_text"]]
    sp.save_npz(folder / f"bow_{language}.npz", bag_of_words(documents, vocabulary))
    text = "\n".join(vocabulary) + "\n"
    (folder / f"vocab_{language}.txt").write_text(text, encoding="utf-8")


def _write_pictures(folder: Path, tuples: Tuples) -> dict[str, Path]:
    """Write the file of each picture of a source into ``folder``."""
    if tuples.write_images is None:
        return {}
    (folder / "images").mkdir()
    written = sorted(tuples.write_images(folder / "images").items())
    return {key: folder / "images" / name for key, name in written}


def _list_pictures(folder: Path, frame: DataFrame, pictures: Mapping[str, Path]) -> dict[str, Path]:
    """List the pictures that tuples still have in files; the others' files go."""
    named = set(frame["image_id"].dropna())
    used = {key: path for key, path in pictures.items() if key in named}
    for key in pictures.keys() - used.keys():
        pictures[key].unlink()
    if used:
        write_json(folder / "images.json", {key: path.name for key, path in used.items()})
        hashes = {key: digest_file(path) for key, path in used.items()}
        write_json(folder / "images_sha256.json", hashes)
    return used


def _write_given(
    folder: Path, frame: DataFrame, tuples: Tuples, renamed: Mapping[str, str]
) -> None:
    """Write the features that come with a source, a row for each picture of the frame, in its
    order; ``renamed`` are the ids that pictures had there, by those that they have now.
    """
    now = items(frame, PICTURES)["image_id"].tolist()
    pictures = [renamed.get(identity, identity) for identity in now]
    for name, (ids, vectors) in tuples.given.items():
        place = {identity: row for row, identity in enumerate(ids)}
        lacking = [identity for identity in pictures if identity not in place]
        what = f"corpus {tuples.name}: {len(lacking)} pictures have no features {name!r}"
        require(not lacking, what, DataError)
        rows = np.asarray(vectors)[[place[identity] for identity in pictures]]
        write_array(folder / f"given_{name}.npy", rows.astype(np.float32))


def _hashes(folder: Path, frame: DataFrame) -> dict[str, str]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix != ".parquet"]
    rows = frame[["tuple_id", "article_id", "split"]].astype(str).to_numpy().ravel()
    return {**{p.name: digest_file(p) for p in files}, "tuples": digest(*rows)}
