"""From a source's tuples to files with a schema, and from files to a `Corpus`.

``<prepared>/``: ``tuples.parquet`` (schema in `m3l.sources`), ``images/``, ``images.json`` and ``images_sha256.json``, ``bow_<lang>.npz``,
``vocab_<lang>.txt`` and ``card.json``. ``<embeddings>/<encoder>/<view>.npy`` with a ``.json`` beside it.
Rows of a bag of words and of an embedding are the view's items in order of first appearance.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .corpus import Corpus, View, read_sparse
from .corpus_encoders import corpus_encoder, is_corpus_encoder
from .encoders import encode, get_encoder
from .errors import DataError, choose, require
from .files import atomic, digest, digest_file, read_array, read_json, write_array, write_json
from .sources import Tuples
from .text import bag_of_words, keep_vocabulary, learn_vocabulary, stopwords, tokenize


def prepare(
    tuples: Tuples, folder, vocabulary_size: int = 2000, min_words: int = 10, incomplete: str = "drop", leakage: str = "error", stop: Mapping | None = None
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
        What becomes of tuples that then lack a text: all tuples have the same views, as in the paper, or a
        tuple stays with what it has.
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
    require(isinstance(min_words, int) and min_words >= 1, f"min_words={min_words!r}: expected an integer, 1 or more")
    frame = tuples.frame.reset_index(drop=True)
    counts = {"tuples_from_source": len(frame)}
    frame, counts["leaking_training_tuples"] = _without_leaks(frame, tuples, leakage)
    require("train" in set(frame["split"]), f"corpus {tuples.name}: no training tuple", DataError)

    tokens = {lang: {t: tokenize(t) for t in frame[f"{lang}_text"].dropna().unique()} for lang in tuples.languages}
    vocabularies, dropped = {}, {}
    for lang in tuples.languages:
        training = frame[frame["split"] == "train"].drop_duplicates("article_id")[f"{lang}_text"].dropna()
        words = frozenset(w for entry in stop[lang] for w in tokenize(entry)) if stop is not None and lang in stop else stopwords(lang)
        vocabularies[lang] = learn_vocabulary([tokens[lang][t] for t in training], vocabulary_size, words, lang)
        known = frozenset(vocabularies[lang])
        short = frame[f"{lang}_text"].map(lambda t, lang=lang, known=known: isinstance(t, str) and sum(w in known for w in tokens[lang][t]) < min_words)
        dropped[lang] = {split: int(frame.loc[short.astype(bool) & (frame["split"] == split), "article_id"].nunique()) for split in ("train", "test")}
        frame.loc[short.astype(bool), f"{lang}_text"] = None
    counts["documents_dropped_as_too_short"] = dropped
    present = frame[[f"{lang}_text" for lang in tuples.languages] + (["image_id"] if tuples.write_images is not None else [])].notna()
    keep = present.all(axis=1) if incomplete == "drop" else present.any(axis=1)
    counts["tuples_dropped_as_incomplete"] = int((~keep).sum())
    frame = frame[keep].reset_index(drop=True)
    for split in ("train", "test"):
        part = frame[frame["split"] == split]
        require(
            len(part) > 0,
            f"corpus {tuples.name}: no {split} tuple is left; min_words={min_words} and vocabulary_size={vocabulary_size} dropped {dropped}",
            DataError,
        )
        counts[split] = {"tuples": len(part), "articles": int(part["article_id"].nunique()), "pictures": int(part["image_id"].nunique())}

    with atomic(folder, directory=True) as temporary:
        frame.to_parquet(temporary / "tuples.parquet", index=False)
        for lang, vocabulary in vocabularies.items():
            rows = items(frame, lang)[f"{lang}_text"]
            sp.save_npz(temporary / f"bow_{lang}.npz", bag_of_words([tokens[lang][t] for t in rows], vocabulary))
            (temporary / f"vocab_{lang}.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        if tuples.write_images is not None:
            (temporary / "images").mkdir()
            names = tuples.write_images(temporary / "images")
            used = set(frame["image_id"].dropna())
            names = {key: value for key, value in sorted(names.items()) if key in used}
            write_json(temporary / "images.json", names)
            write_json(temporary / "images_sha256.json", {key: digest_file(temporary / "images" / value) for key, value in names.items()})
        hashes = {p.name: digest_file(p) for p in sorted(temporary.iterdir()) if p.is_file() and p.suffix != ".parquet"}
        card = {
            "name": tuples.name,
            "languages": tuples.languages,
            **tuples.card,
            "counts": counts,
            "vocabulary_size": vocabulary_size,
            "min_words": min_words,
            "stopwords": "given by the caller" if stop else "stopwords-iso",
            "hashes": {**hashes, "tuples": digest(*frame[["tuple_id", "article_id", "split"]].astype(str).to_numpy().ravel())},
        }
        write_json(temporary / "card.json", card)
    return card


def _without_leaks(frame, tuples: Tuples, leakage: str):
    leaks = np.zeros(len(frame), dtype=bool)
    for column in [f"{lang}_text" for lang in tuples.languages] + ["image_id"]:
        tests = frame[(frame["split"] == "test") & frame[column].notna()]
        leaking = ((frame["split"] == "train") & frame[column].isin(set(tests[column]))).to_numpy()
        if leaking.any() and leakage == "error":
            a = int(np.flatnonzero(leaking)[0])
            b = tests.index[tests[column] == frame[column][a]][0]
            raise DataError(
                f"corpus {tuples.name}: {column} of training tuple {frame['tuple_id'][a]!r} is that of test tuple {frame['tuple_id'][b]!r}, and {int(leaking.sum())} training tuples do so in all; pass leakage='drop' to leave them out of training"
            )
        leaks |= leaking
    return frame[~leaks].reset_index(drop=True), int(leaks.sum())


def read_tuples(folder):
    """The frame of a prepared corpus, None where a text or title is missing; `DataError` naming the file if it is missing or broken."""
    import pandas as pd

    path = Path(folder) / "tuples.parquet"
    require(path.is_file(), f"{path}: no such file; prepare the corpus first", DataError)
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise DataError(f"{path}: not a whole Parquet file ({error}); delete {folder} and prepare the corpus again") from error
    words = [column for column in frame if column.endswith(("_text", "_title"))]
    return frame.assign(**{column: frame[column].astype(object).where(frame[column].notna(), None) for column in words})


def items(frame, view: str):
    """The rows of ``frame`` that hold each item of a view first: its documents, or pictures if view is ``image``."""
    key = "image_id" if view == "image" else "article_id"
    has = frame["image_id"].notna() if view == "image" else frame[f"{view}_text"].notna()
    return frame[has].drop_duplicates(key)


def vocabulary(folder, language: str) -> list[str]:
    """The vocabulary of a prepared corpus, in the order of its bag of words' columns."""
    path = Path(folder) / f"vocab_{language}.txt"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; prepare the corpus first") from None
    require(
        _entry(Path(folder) / "card.json", "hashes").get(path.name) == digest_file(path),
        f"{path}: not the file that was written with {folder}/card.json; prepare the corpus again",
        DataError,
    )
    return data.decode("utf-8").split("\n")[:-1]


def _entry(path, key: str):
    """The value of ``key`` in a JSON object; `DataError` naming the file if it is not there."""
    value = read_json(path)
    require(isinstance(value, dict) and key in value, f"{path}: no entry {key!r}; delete it and make it again", DataError)
    return value[key]


def views_of(folder) -> list[str]:
    """The views of a prepared corpus: its languages, then ``image`` if there are pictures."""
    return [*_entry(Path(folder) / "card.json", "languages"), *(["image"] if (Path(folder) / "images.json").is_file() else [])]


def training_tokens(folder, language: str) -> list[list[str]]:
    """Each training document's words of the vocabulary, in their order: what coherence is measured on."""
    frame = read_tuples(folder)
    rows = items(frame[frame["split"] == "train"], language)
    return keep_vocabulary((tokenize(text) for text in rows[f"{language}_text"]), vocabulary(folder, language))


def embed_view(
    folder, view: str, encoder: str, out, cache, max_tokens: int = 128, device: str = "auto", batch_size: int = 64, progress: bool = True
) -> np.ndarray:
    """Encode a view of a prepared corpus into ``<out>/<encoder>/<view>.npy`` and ``.json``: float32 (M, D).

    An encoder named ``corpus-<kind>-<language>`` is trained on the view's training documents first (`m3l.corpus_encoders`).
    """
    choose("view", view, views_of(folder))
    frame = read_tuples(folder)
    if is_corpus_encoder(encoder) and view != "image":
        model = corpus_encoder(encoder, view, items(frame[frame["split"] == "train"], view)[f"{view}_text"].tolist(), max_tokens)
    else:
        model = get_encoder(encoder, "image" if view == "image" else "text", max_tokens, device)
    rows = items(frame, view)
    if view == "image":
        names, hashes = read_json(Path(folder) / "images.json"), read_json(Path(folder) / "images_sha256.json")
        content = [Path(folder) / "images" / names[image] for image in rows["image_id"]]
        for image, path in zip(rows["image_id"], content, strict=True):
            require(digest_file(path) == hashes.get(image), f"{path}: not the picture that was prepared; prepare the corpus again", DataError)
    else:
        content = rows[f"{view}_text"].tolist()
    embeddings = encode(model, content, cache, batch_size, progress)
    place = Path(out) / file_name(encoder)
    write_array(place / f"{view}.npy", embeddings)
    write_json(
        place / f"{view}.json",
        {
            "encoder": encoder,
            "space": model.space,
            "identity": model.identity,
            "shape": list(embeddings.shape),
            "sha256": digest(embeddings),
            "items": _content(rows, view, folder),
        },
    )
    return embeddings


def file_name(encoder: str) -> str:
    """The folder name of an encoder, which may be a path or a hub name."""
    return encoder.strip("/").replace("/", "--")


def _item_ids(rows, view: str) -> list[str]:
    return rows["image_id" if view == "image" else "article_id"].astype(str).tolist()


def _content(rows, view: str, folder) -> str:
    """SHA-256 of the ids and the content of a view's items: their texts, or the bytes of their pictures."""
    if view == "image":
        hashes = read_json(Path(folder) / "images_sha256.json")
        content = [hashes[image] for image in rows["image_id"]]
    else:
        content = rows[f"{view}_text"].tolist()
    return digest(*_item_ids(rows, view), *content)


def assemble(folder, embeddings, encoders: Mapping[str, str]) -> Corpus:
    """The corpus of a prepared folder with ``encoders`` (view -> encoder name) from what `embed_view` wrote.

    Raises
    ------
    DataError
        A file is missing or broken, or the embeddings are of other items than the prepared corpus holds.
    """
    frame, name = read_tuples(folder), _entry(Path(folder) / "card.json", "name")
    views = {}
    for view, encoder in encoders.items():
        choose("view", view, views_of(folder))
        rows = items(frame, view)
        ids = _item_ids(rows, view)
        path = Path(embeddings) / file_name(encoder) / f"{view}.npy"
        require(path.is_file(), f"{path}: no such file; encode view {view!r} with {encoder!r} first (chapter 2)", DataError)
        array, meta = read_array(path), path.with_suffix(".json")
        require(
            _entry(meta, "items") == _content(rows, view, folder) and _entry(meta, "sha256") == digest(array),
            f"{path}: not the embeddings of the items in {folder}; encode the view again",
            DataError,
        )
        place = {item: i for i, item in enumerate(ids)}
        if view == "image":
            index = [place.get(image, -1) for image in frame["image_id"]]
        else:
            index = [place[a] if t is not None and t == t else -1 for a, t in zip(frame["article_id"].astype(str), frame[f"{view}_text"], strict=True)]
        bow = None if view == "image" else read_sparse(Path(folder) / f"bow_{view}.npz")
        views[view] = View(view, array, np.array(index, dtype=np.int64), ids, bow, None if view == "image" else vocabulary(folder, view))
    return Corpus(name, views, frame["tuple_id"], frame["article_id"], frame["split"])


def embedding_card(embeddings, view: str, encoder: str) -> dict:
    """What `embed_view` recorded beside an embedding: encoder, space, identity, shape, hashes."""
    return read_json(Path(embeddings) / file_name(encoder) / f"{view}.json")


def known_topics(folder, view: str, split: str) -> np.ndarray | None:
    """The true topic proportions (M, G) of a split's items, where the source knows them, else None."""
    frame = read_tuples(folder)
    if f"{view}_truth" not in frame:
        return None
    return np.stack(items(frame[frame["split"] == split], view)[f"{view}_truth"].to_list())
