"""A table read, or refused with the cure; prepared, encoded and assembled."""

import csv
import errno
import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import load_npz

from m3l.errors import DataError, ParameterError
from m3l_book.data.embed import embed_view
from m3l_book.data.prepare import prepare
from m3l_book.data.prepared import (
    assemble,
    read_tuples,
    running_article,
    training_tokens,
    vocabulary,
)
from m3l_book.data.sources import load_source
from m3l_book.data.sources.table import load
from m3l_book.encoders.spaces import Encoder

WORDS = {
    "en": ["river", "mountain", "castle", "bridge", "forest", "winter", "summer", "garden"],
    "de": ["fluss", "berg", "schloss", "brücke", "wald", "winter", "sommer", "garten"],
}


def rows(n=12, **more):
    """n rows with two texts of six words, the last two for testing."""
    rng = np.random.default_rng(0)
    out = []
    for i in range(n):
        row = {"id": f"r{i}", "split": "test" if i >= n - 2 else "train"}
        for language, words in WORDS.items():
            row[f"{language}_text"] = " ".join(rng.permutation(words)[:6])
        out.append({**row, **more})
    return out


def changed(**cells):
    """The rows with other cells: a column -> {row: value}."""
    table = rows()
    for column, values in cells.items():
        for i, value in values.items():
            table[i][column] = value
    return table


def written(folder, table, name="table.csv"):
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return folder / name


def pictures(folder, names, side=8):
    folder.mkdir(exist_ok=True, parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (side, side), (i * 20 % 256, 100, 50)).save(folder / name)


def loaded(folder, table, **options):
    options = {"id_column": "id", "split_column": "split"} | options
    return load(str(written(folder, table)), **options)


def prepared(folder, table, options=None, **more):
    more = {"vocabulary_size": 8, "min_words": 2} | more
    card = prepare(loaded(folder, table, **(options or {})), folder / "out", **more)
    return card, read_tuples(folder / "out")


def refuses(path, message, **options):
    with pytest.raises(DataError, match="^" + re.escape(str(path)) + ".*" + message):
        load(str(path), **options)


# reading a table


def test_csv_and_parquet_give_the_same_tuples(tmp_path):
    path, frame = written(tmp_path, rows()), pd.DataFrame(rows())
    frame.to_parquet(tmp_path / "table.parquet")
    options = {"id_column": "id", "split_column": "split"}
    a, b = load(str(path), **options), load(str(tmp_path / "table.parquet"), **options)
    assert a.frame.to_dict("records") == b.frame.to_dict("records")
    assert a.frame["en_text"].tolist() == frame["en_text"].tolist()
    assert a.frame["split"].tolist() == ["train"] * 10 + ["test"] * 2
    assert a.languages == ["en", "de"] and a.write_images is None


def test_csv_in_the_format_of_the_released_data(tmp_path):
    table = [
        {
            "de_title": f"Stadt {i}",
            "en_title": f"Town {i}",
            "de_text": f'Stadt {i} liegt am Fluß.\n\nSie heißt auch "Perle, im Süden".\n',
            "en_text": f'Town {i} is on a river.\r\nIt is called "the pearl, of the south".',
            "image_url": f"https://example.org/{i}.jpg, https://example.org/{i}b.jpg",
        }
        for i in range(10)
    ]
    frame = load(str(written(tmp_path, table)), languages="de,en").frame
    for column in ("de_title", "en_title", "de_text", "en_text"):
        assert frame[column].tolist() == [row[column] for row in table]
    assert frame["tuple_id"].tolist() == [str(i) for i in range(2, 12)], "rows of the file"
    assert frame["image_id"].isna().all()
    assert sorted(set(frame["split"])) == ["test", "train", "validation"]


@pytest.mark.parametrize("name", ["my table ä.csv", "дом 家.parquet"])
def test_path_with_spaces_and_other_scripts(tmp_path, name):
    folder = tmp_path / "Zwei Wörter"
    pictures(folder / "bilder ö", ["bär 1.png"])
    table = rows(picture="bär 1.png")
    if name.endswith(".csv"):
        written(folder, table, name)
    else:
        pd.DataFrame(table).to_parquet(folder / name)
    options = {"image_column": "picture", "image_folder": str(folder / "bilder ö")}
    tuples = load(str(folder / name), languages="en", **options)
    names = tuples.write_images(tmp_path)
    assert list(names) == ["bär 1.png"] and (tmp_path / names["bär 1.png"]).is_file()


def test_missing_file_is_named(tmp_path):
    refuses(tmp_path / "none.csv", "no such file")


def test_folder_is_no_table(tmp_path):
    refuses(tmp_path, "no such file")


def test_other_suffix_is_named(tmp_path):
    for name, cure in (("table.json", ""), ("table.xls", "save the workbook as .xlsx")):
        (tmp_path / name).write_bytes(b"x")
        expected = r"expected a file that ends in \.csv, \.tsv, \.txt, \.xlsx or \.parquet"
        refuses(tmp_path / name, expected + ".*" + cure)


@pytest.mark.parametrize("option", ["id_column", "article_column", "split_column", "image_column"])
def test_missing_column_of_an_option_is_named(tmp_path, option):
    path = written(tmp_path, rows())
    refuses(path, "no column 'nowhere'; it has: id, split, en_text, de_text", **{option: "nowhere"})
    refuses(path, "no column 'fr_text'", languages="en,fr")


@pytest.mark.parametrize("languages", ["en", "en,en"])
def test_one_text_column_without_pictures_makes_no_tuple(tmp_path, languages):
    with pytest.raises(ParameterError, match=r"one view makes no tuple|languages="):
        load(str(written(tmp_path, rows())), languages=languages)


def test_header_without_rows_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("en_text,de_text\n", encoding="utf-8")
    refuses(tmp_path / "t.csv", "no row below the header")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_empty_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    refuses(tmp_path / name, "not a whole (csv|parquet) file")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("river, wide,fluss\ncastle, old,schloss\n", r"2 problems:\s+row 2 .*\s+row 3 "),
        ("river, wide,fluss\ncastle,schloss\n", r"row 2 \(line 2\): 3 cells"),
        ("castle,schloss\nriver, wide,fluss\n", r"row 3 \(line 3\): 3 cells"),
    ],
    ids=["every row", "first row", "second row"],
)
def test_row_with_more_cells_than_the_header_is_refused_and_not_shifted(tmp_path, body, message):
    (tmp_path / "t.csv").write_text("en_text,de_text\n" + body, encoding="utf-8")
    refuses(tmp_path / "t.csv", message)


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_parquet_is_named(tmp_path, part):
    path = tmp_path / "t.parquet"
    pd.DataFrame(rows()).to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    refuses(path, "not a whole parquet file")


def test_csv_called_parquet_is_named(tmp_path):
    refuses(written(tmp_path, rows(), "t.parquet"), "not a whole parquet file")


@pytest.mark.parametrize(("row", "line"), [(1, 2), (3, 4), (500, 501)])
def test_bytes_that_are_not_utf8_name_file_and_line(tmp_path, row, line):
    lines = ["en_text,de_text", *["the river and the castle,der fluss und das schloss"] * 600]
    data = [text.encode() for text in lines]
    data[row] = "the bridge,die brücke".encode("latin-1")
    (tmp_path / "t.csv").write_bytes(b"\n".join(data))
    refuses(tmp_path / "t.csv", rf"not UTF-8 near line {line} ")


def test_duplicate_id_names_both_rows(tmp_path):
    message = r"table\.csv: row 6, column 'id': id 'r1' stands in row 3 already"
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, changed(id={4: "r1"}))
    with pytest.raises(DataError, match=r"table\.csv: row 6, column 'id' is empty"):
        loaded(tmp_path, changed(id={4: " "}))


@pytest.mark.parametrize("text", ["", "  \n\t", "\u00a0"])
def test_empty_text_names_row_and_column(tmp_path, text):
    message = r"table\.csv: row 4, column 'de_text' is empty; fill it, or set allow_missing"
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, changed(de_text={2: text}))


@pytest.mark.parametrize("dtype", ["object", "str", "string", "string[pyarrow]"])
def test_null_in_parquet_names_row_and_column(tmp_path, dtype):
    frame = pd.DataFrame(rows()).astype(dtype)
    frame.loc[2, "de_text"] = None
    frame.to_parquet(tmp_path / "t.parquet")
    refuses(tmp_path / "t.parquet", "row 4, column 'de_text' is empty")


def test_words_that_pandas_takes_for_nothing_are_texts(tmp_path):
    table = changed(en_text={2: "NA", 3: "null"})
    assert loaded(tmp_path, table).frame["en_text"].tolist()[2:4] == ["NA", "null"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", "no such picture"),
        ("../outside.png", "escapes the folder"),
        ("/etc/hostname", "escapes the folder"),
        ("text.png", "not a whole picture"),
        ("https://example.org/" + "a" * 300, "no such picture"),
        ("", "is empty"),
    ],
)
def test_bad_picture_names_row_and_column(tmp_path, name, message):
    folder = tmp_path / "f"
    pictures(folder, ["a.png"])
    pictures(tmp_path, ["outside.png"])
    (folder / "text.png").write_text("no picture")
    table = rows(image="a.png")
    table[6]["image"] = name
    with pytest.raises(DataError, match=r"table\.csv: row 8, column 'image'.*" + message):
        loaded(tmp_path, table, image_column="image", image_folder=str(folder))


def test_rows_of_one_article_with_different_text_are_named(tmp_path):
    message = r"table\.csv: 22 problems:\s+rows 2 and 3 share article 'a' and differ in en_text"
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, rows(article="a"), article_column="article", split_column="")


@pytest.mark.parametrize("value", ["dev", "", "Train"])
def test_bad_split_names_row_column_and_valid_values(tmp_path, value):
    with pytest.raises(DataError, match=r"table\.csv: row 7, column 'split': .*valid: test, train"):
        loaded(tmp_path, changed(split={5: value}))


def test_random_split_takes_whole_articles_and_the_fraction_asked_for(tmp_path):
    table = [row | {"article": row["id"], "id": row["id"] + n} for row in rows(400) for n in "ab"]
    options = {"split_column": "", "article_column": "article", "test_fraction": 0.25}
    frames = [loaded(tmp_path, table, **options, seed=seed).frame for seed in (0, 0, 1)]
    assert (frames[0].groupby("article_id")["split"].nunique() == 1).all()
    sizes = frames[0].drop_duplicates("article_id")["split"].value_counts()
    assert sizes.sum() == 400 and abs(sizes["test"] - 100) < 26  # three standard deviations
    assert abs(sizes["validation"] - 30) < 17
    assert frames[0]["split"].tolist() == frames[1]["split"].tolist() != frames[2]["split"].tolist()


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("table", {"lang": "en"}, "'table': parameter='lang' is unknown; valid: allow_missing, "),
        ("table", {"languages": ["en"]}, "options of corpus 'table': languages=.*expected str"),
        ("table", {"test_fraction": "abc"}, "'table': test_fraction='abc'.*expected float"),
        ("table", {"test_fraction": 0.0}, "test_fraction=0.0: expected above 0"),
        ("table", {"test_fraction": float("nan")}, "test_fraction=nan"),
        ("table", {"markup": "no"}, "markup='no' is unknown; valid: keep, strip"),
        ("emoji", {"topics": 5}, "'emoji': parameter='topics' is unknown; valid: .*true_topics"),
        ("news", {}, "corpus='news' is unknown; valid: emoji, table, vital, wikipedia"),
    ],
)
def test_wrong_option_is_named_with_the_valid_ones(name, options, message):
    with pytest.raises(ParameterError, match=message):
        load_source(name, **options)


# preparing it


def test_card_counts_what_is_kept_and_what_is_dropped(tmp_path):
    pictures(tmp_path, ["a.png", "b.png", "c.png"])
    table = [dict(row, article=row["id"], image="a.png") for row in rows()]
    table[0]["de_text"] = "fluss und unbekanntes"
    table[11]["en_text"] = "nothing of that kind"
    table[10]["image"] = table[11]["image"] = "c.png"
    table.append(dict(table[0], id="again", image="b.png"))
    options = {"article_column": "article", "image_column": "image"}
    card, frame = prepared(tmp_path, table, options)
    counts = card["counts"]
    assert counts["tuples_from_source"] == 13 and counts["leaking_tuples"] == 0
    assert counts["documents_dropped_as_too_short"] == {
        "en": {"train": 0, "validation": 0, "test": 1},
        "de": {"train": 1, "validation": 0, "test": 0},
    }
    assert counts["tuples_dropped_as_incomplete"] == 3
    assert counts["train"] == {"tuples": 9, "articles": 9, "illustrated": 9, "pictures": 1}
    assert counts["test"] == {"tuples": 1, "articles": 1, "illustrated": 1, "pictures": 1}
    assert frame["tuple_id"].tolist() == [f"r{i}" for i in range(1, 11)]
    assert json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8")) == card
    assert card["licence"] == "not stated"


def test_vocabulary_is_learnt_on_training_documents_alone_each_article_once(tmp_path):
    pictures(tmp_path, [f"{i}.png" for i in range(60)])
    table = [dict(row, article=row["id"], image=f"{i}.png") for i, row in enumerate(rows())]
    table[0]["en_text"] = "submarine forest"
    table += [dict(table[0], id=f"again{i}", image=f"{i}.png") for i in range(12, 60)]
    table[10]["en_text"] += " airship airship airship airship"
    options = {"article_column": "article", "image_column": "image"}
    prepared(tmp_path, table, options, vocabulary_size=6)
    assert not {"submarine", "airship"} & set(vocabulary(tmp_path / "out", "en"))


def test_a_word_whose_last_document_is_dropped_leaves_the_vocabulary(tmp_path):
    table = changed(en_text={0: "solitary", 11: "solitary river"})
    _, frame = prepared(tmp_path, table, vocabulary_size=None)
    assert sorted(vocabulary(tmp_path / "out", "en")) == sorted(WORDS["en"])
    assert frame["tuple_id"].tolist() == [f"r{i}" for i in range(1, 11)], "r11 is short without it"


def test_stopwords_of_the_caller_replace_the_list(tmp_path):
    stopwords = {"en": ["River"], "de": ["brücke"]}
    card, _ = prepared(tmp_path, rows(), vocabulary_size=7, stopwords=stopwords)
    assert sorted(vocabulary(tmp_path / "out", "en")) == sorted(set(WORDS["en"]) - {"river"})
    assert "brücke" not in vocabulary(tmp_path / "out", "de")
    assert card["stopwords"] == "given by the caller"


def test_training_tokens_are_those_of_the_training_documents_in_order(tmp_path):
    prepared(tmp_path, rows())
    texts = [row["en_text"].split() for row in rows()[:10]]
    assert training_tokens(tmp_path / "out", "en") == texts


@pytest.mark.parametrize("part", ["training", "validation"])
def test_identical_text_in_training_and_test_is_an_error_naming_both_tuples(tmp_path, part):
    splits = {} if part == "training" else {3: "validation"}
    table = changed(de_text={3: rows()[11]["de_text"]}, split=splits)
    message = rf"de_text of {part} tuple 'r3' is that of test tuple 'r11'.*leakage='drop'"
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, table)
    assert not (tmp_path / "out").exists()
    card, frame = prepared(tmp_path, table, leakage="drop")
    assert card["counts"]["leaking_tuples"] == 1
    assert set(frame["tuple_id"]) == {f"r{i}" for i in range(12)} - {"r3"}


def test_picture_in_training_and_test_is_a_leak(tmp_path):
    pictures(tmp_path, ["a.png"])
    message = r"image_id of training tuple 'r0' is that of test tuple 'r10'"
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, rows(image="a.png"), {"image_column": "image"})


def test_incomplete_tuples_are_dropped_or_kept(tmp_path):
    pictures(tmp_path, ["a.png", "b.png"])
    table = [dict(row, image="b.png" if row["split"] == "test" else "a.png") for row in rows()]
    table[0]["de_text"], table[1]["image"] = " ", ""
    options = {"allow_missing": True, "image_column": "image"}
    card, frame = prepared(tmp_path, table, options)
    assert frame["tuple_id"].tolist() == [f"r{i}" for i in range(2, 12)]
    assert card["counts"]["tuples_dropped_as_incomplete"] == 2
    card, frame = prepared(tmp_path, table, options, incomplete="keep")
    assert card["counts"]["tuples_dropped_as_incomplete"] == 0
    assert frame["de_text"].isna().tolist() == [i == 0 for i in range(12)]
    assert frame["image_id"].isna().tolist() == [i == 1 for i in range(12)]
    assert frame["de_text"][0] is None, "missing is None, which a page can tell from a text"


def test_the_running_article_has_every_view_and_the_longest_shorter_text(tmp_path):
    """Of a pair the shorter text counts, so that neither is short."""
    long, short = " ".join(WORDS["en"]), " ".join(WORDS["en"][:6])
    german = " ".join(WORDS["de"])
    table = changed(
        split=dict.fromkeys(range(6, 12), "test"),
        en_text={7: long, 8: long, 9: short, 10: long},
        de_text={7: None, 8: german, 9: german, 10: german},
    )
    prepared(tmp_path, table, {"allow_missing": True}, incomplete="keep")
    assert running_article(tmp_path / "out") == "r10", "of equals the first by its id, as text"
    table[10]["en_text"] = short
    prepared(tmp_path, table, {"allow_missing": True}, incomplete="keep")
    assert running_article(tmp_path / "out") == "r8"


def test_the_first_words_alone_are_counted(tmp_path):
    """The vocabulary, the bags of words and the words of coherence are of the same words."""
    late = {"en_text": " steamboat", "de_text": " dampfer"}
    table = [{key: value + late.get(key, "") for key, value in row.items()} for row in rows()]
    card, frame = prepared(tmp_path, table, vocabulary_size=None)
    assert "steamboat" in vocabulary(tmp_path / "out", "en") and card["max_words"] is None
    assert max(map(len, training_tokens(tmp_path / "out", "en"))) == 7
    card, frame = prepared(tmp_path, table, max_words=4, vocabulary_size=None)
    assert "steamboat" not in vocabulary(tmp_path / "out", "en") and card["max_words"] == 4
    assert load_npz(tmp_path / "out" / "bow_en.npz").sum(axis=1).max() == 4
    assert set(map(len, training_tokens(tmp_path / "out", "en"))) == {4}
    assert frame["en_text"].str.endswith("steamboat").all(), "the text itself is whole"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("incomplete", "maybe"),
        ("leakage", "ignore"),
        ("min_words", 0),
        ("max_words", 0),
        ("vocabulary_size", 0),
    ],
)
def test_bad_parameter_is_named(tmp_path, option, value):
    with pytest.raises(ParameterError, match=f"{option}={value!r}"):
        prepared(tmp_path, rows(), **{option: value})


def test_documents_all_too_short_name_the_parameters(tmp_path):
    message = r"no train tuple is left; min_words=50 and vocabulary_size=8 dropped .*'train': 10"
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, rows(), min_words=50)
    with pytest.raises(DataError, match=r"language 'en': vocabulary_size=2000.* 8 distinct words"):
        prepared(tmp_path, rows(), vocabulary_size=2000)


@pytest.mark.parametrize("split", ["train", "test"])
def test_split_without_tuples_is_named(tmp_path, split):
    table = [dict(row, split="test" if split == "train" else "train") for row in rows()]
    with pytest.raises(DataError, match=f"no (training|{split}) tuple"):
        prepared(tmp_path, table)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr("scipy.sparse.save_npz", full_disk)
    tuples, place = loaded(tmp_path, rows()), tmp_path / "place"
    with pytest.raises(OSError, match="No space left on device.*" + re.escape(str(place / "out"))):
        prepare(tuples, place / "out", 8, 2)
    assert list(place.iterdir()) == []


def contents(folder):
    """The bytes of each file of a folder but Parquet's, which has a time in it."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_full_disk_leaves_an_earlier_corpus_as_it_was(tmp_path, monkeypatch):
    pictures(tmp_path, ["a.png", "b.png"])
    table = [dict(row, image="ab"[row["split"] == "test"] + ".png") for row in rows()]
    tuples, place = loaded(tmp_path, table, image_column="image"), tmp_path / "place"
    prepare(tuples, place / "out", 8, 2)
    before = contents(place / "out")
    assert len(before) == 9
    with monkeypatch.context() as patch:
        patch.setattr("scipy.sparse.save_npz", full_disk)
        with pytest.raises(OSError, match="No space left"):
            prepare(tuples, place / "out", 5, 2)
    assert contents(place / "out") == before
    prepare(tuples, place / "out", 5, 2)
    assert len(vocabulary(place / "out", "en")) == 5
    prepare(tuples, place / "out", 8, 2)
    assert contents(place / "out") == before, "the same bytes each time"
    assert [path.name for path in place.iterdir()] == ["out"]


# embedding and assembling it


def length_encoder(name, kind="text", *_):
    """A vector that says how long a text, or how large a picture file, is."""
    size = len if kind == "text" else os.path.getsize

    def embed(items):
        return np.array([[size(item), 1.0] for item in items], dtype=np.float32)

    return Encoder(name, kind, name, f"{name} 1", embed)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A prepared and embedded corpus: r0 lacks German, r1 a picture, a test article has two
    pictures.
    """
    monkeypatch.setattr("m3l_book.data.embed.get_encoder", length_encoder)
    names = [f"{i}.png" for i in range(12)]
    pictures(tmp_path, [*names, "more.png"])
    table = [dict(row, article=row["id"], image=names[i]) for i, row in enumerate(rows())]
    table[0]["de_text"] = table[1]["image"] = ""
    table.append(dict(table[11], id="more", image="more.png"))
    options = {"allow_missing": True, "article_column": "article", "image_column": "image"}
    prepared(tmp_path, table, options, incomplete="keep")
    for view in ("en", "de", "image"):
        folders = tmp_path / "embeddings", tmp_path / "cache"
        embed_view(tmp_path / "out", view, "fake", *folders, progress=False)
    return tmp_path


def assembled(folder, **views):
    views = views or {"en": "fake", "de": "fake", "image": "fake"}
    return assemble(folder / "out", folder / "embeddings", views)


def test_items_are_shared_by_an_article_and_missing_ones_have_index_minus_one(small):
    corpus, frame = assembled(small), read_tuples(small / "out")
    index = {name: view.index.tolist() for name, view in corpus.views.items()}
    assert index["en"] == [*range(12), 11]
    assert index["de"] == [-1, *range(11), 10]
    assert index["image"] == [0, -1, *range(1, 12)]
    assert corpus.article_ids[-1] == corpus.article_ids[-2] == "r11"
    for view in ("en", "de"):
        part = corpus.views[view]
        for i, text in enumerate(frame[f"{view}_text"]):
            if part.index[i] >= 0:
                assert part.embeddings[part.index[i], 0] == len(text)
                counts = part.bow[part.index[i]].toarray().ravel()
                assert {part.vocabulary[j] for j in counts.nonzero()[0]} == set(text.split())
    assert list(assembled(small, image="fake", en="fake").views) == ["image", "en"]


@pytest.mark.parametrize("call", ["assemble", "embed"])
def test_view_the_corpus_lacks_is_named_with_those_it_has(small, call):
    with pytest.raises(ParameterError, match="view='fr' is unknown; valid: de, en, image"):
        if call == "assemble":
            assembled(small, fr="fake")
        else:
            embed_view(small / "out", "fr", "fake", small / "embeddings", small / "cache")


def test_embeddings_of_an_older_text_of_the_same_articles_are_refused(small):
    message = r"fake/en\.npy: not the embeddings of the items in .*out; encode the view again"
    backwards = " ".join(reversed(rows()[2]["en_text"].split())) + " garden"
    for table in (changed(en_text={2: backwards}), changed(id={i: f"x{i}" for i in range(12)})):
        prepared(small, table)
        with pytest.raises(DataError, match=message):
            assembled(small, en="fake")
    with pytest.raises(DataError, match=r"other/en\.npy: no such file"):
        assembled(small, en="other")


FILES = ["embeddings/fake/en.npy", "embeddings/fake/en.json"]
FILES += ["out/tuples.parquet", "out/bow_en.npz", "out/vocab_en.txt", "out/card.json"]


@pytest.mark.parametrize("name", FILES)
def test_damaged_file_is_a_data_error_naming_it(small, name):
    path = small / name
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], b'{"a": "json"}\n', None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
            path.touch()
        with pytest.raises(DataError, match=re.escape(path.name) + "|view 'en'"):
            assembled(small, en="fake", de="fake")
        path.write_bytes(data)


@pytest.mark.parametrize("name", FILES[:1] + FILES[2:5])
def test_changed_byte_is_an_error_or_changes_nothing(small, name):
    path, whole = small / name, assembled(small, en="fake").fingerprint()
    data = path.read_bytes()
    for place in np.linspace(0, len(data) - 1, 9).astype(int):
        path.write_bytes(data[:place] + bytes([data[place] ^ 3]) + data[place + 1 :])
        try:
            assert assembled(small, en="fake").fingerprint() == whole, f"byte {place} of {name}"
        except DataError as error:
            assert re.search(re.escape(path.name) + "|view 'en'|tuple", str(error)), error


def test_pickle_in_place_of_an_array_is_not_run(small):
    path = small / "embeddings" / "fake" / "en.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"en\.npy: not a whole \.npy array"):
        assembled(small, en="fake")
