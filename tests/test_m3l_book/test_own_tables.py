"""Tables as people have them: each is read, or refused with the cure."""

import io
import re
import unicodedata
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from m3l.errors import DataError
from m3l_book.data.prepare import prepare, stopwords_used
from m3l_book.data.prepared import read_tuples, views_of, vocabulary
from m3l_book.data.sources.table import load
from m3l_book.data.tables import fingerprint, read_table, several
from m3l_book.pictures.reading import PictureFolder

from .test_data import WORDS, pictures, rows, written

TEXTS = [row["en_text"] for row in rows()]


def refused(folder, message, name="table.csv", **options):
    with pytest.raises(DataError, match=message) as error:
        load(str(folder / name), **options)
    assert str(folder / name) in str(error.value)
    assert all(len(line) < 400 for line in str(error.value).splitlines())
    return str(error.value)


def lines(folder, *texts, name="table.csv", encoding="utf-8"):
    (folder / name).write_bytes("\r\n".join(texts).encode(encoding))
    return str(folder / name)


# files

RIVERS = ["river, wide", "castle; old", "bridge"]


def divided(sign, *table):
    """Lines of cells between signs, in quotes where a cell holds the sign."""
    quoted = ([f'"{c}"' if sign in c else c for c in cells] for cells in table)
    return [sign.join(cells) for cells in quoted]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "sign", "head"),
    [
        pytest.param("t.csv", ",", ["en_text,de_text"], id="commas"),
        pytest.param("t.csv", ";", ["en_text;de_text"], id="semicolons"),
        pytest.param("t.tsv", "\t", ["en_text\tde_text"], id="tabs in tsv"),
        pytest.param("t.txt", "\t", ["en_text\tde_text"], id="tabs"),
        pytest.param("t.txt", "|", ["en_text|de_text"], id="bars"),
        pytest.param("t.csv", ";", ["sep=;", "en_text;de_text"], id="delimiter named by Excel"),
        pytest.param("t.csv", ",", [" en_text , de_text"], id="blanks in the header"),
    ],
)
def test_a_text_file_is_read_whatever_divides_its_cells(tmp_path, name, sign, head, encoding):
    table = [*head, *divided(sign, *([text, "fluss"] for text in RIVERS))]
    tuples = load(lines(tmp_path, *table, name=name, encoding=encoding))
    assert tuples.frame["en_text"].tolist() == RIVERS
    assert set(tuples.frame["de_text"]) == {"fluss"}
    noted = {f"cells are divided by {sign!r}": sign != ",", "read as utf-16": encoding == "utf-16"}
    for note, said in noted.items():
        assert (note in tuples.card["notes"]) == said


def test_other_encoding_is_guessed_in_the_message_and_read_when_said(tmp_path):
    table = ["en_text,de_text", *["the bridge,die schöne Brücke über den Fluß"] * 9]
    path = lines(tmp_path, *table, encoding="cp1252")
    message = refused(tmp_path, "not UTF-8 near line 2.*save it as UTF-8, or say encoding=")
    assert "cp125" in message or "latin" in message
    assert load(path, encoding="cp1252").frame["de_text"][0] == "die schöne Brücke über den Fluß"
    refused(tmp_path, "encoding 'klingon' is not known", encoding="klingon")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_doubled_header_is_named_with_its_places(tmp_path, kind):
    lines(tmp_path, "en_text,de_text,en_text", "draft,fluss,river")
    columns = [pa.array(["draft"]), pa.array(["fluss"]), pa.array(["river"])]
    twice = pa.Table.from_arrays(columns, names=["en_text", "de_text", "en_text"])
    pq.write_table(twice, tmp_path / "table.parquet")
    refused(tmp_path, r"column 'en_text' stands twice \(1 and 3\); rename one", f"table.{kind}")


def test_quote_that_is_never_closed_is_named_with_its_line(tmp_path):
    lines(tmp_path, "en_text,de_text", "river,fluss", 'castle,"schloss', *["bridge,brücke"] * 40)
    refused(tmp_path, "not a whole csv file .near line 3: a quote that opens there is never closed")


def test_rows_of_other_lengths_are_all_named_with_their_lines(tmp_path):
    bad = [f"river, wide {i},fluss" for i in range(12)]
    path = lines(tmp_path, "en_text,de_text", '"castle\nold",schloss', "", *bad, "bridge")
    message = refused(tmp_path, r"13 problems:\s+row 4 \(line 5\): 3 cells, and the header has 2")
    assert "row 13 (line 14): 3 cells" in message and "row 14" not in message
    assert "and 3 more" in message and "put quotes around" in message
    lines(tmp_path, "en_text,de_text", "river,fluss,,")  # empty cells at the end are none
    assert load(path).frame["de_text"].tolist() == ["fluss"]


def test_workbook_is_read_as_it_is_shown(tmp_path):
    table = pd.DataFrame(rows()).assign(id=range(12), year=2024.0)
    table.to_excel(tmp_path / "my table.xlsx", index=False)
    frame = load(str(tmp_path / "my table.xlsx"), id_column="id", split_column="split").frame
    assert frame["en_text"].tolist() == TEXTS
    assert frame["tuple_id"].tolist() == [str(i) for i in range(12)]
    (tmp_path / "table.xlsx").write_bytes(b"PK\x03\x04 and no more")
    refused(tmp_path, "not a whole xlsx file", "table.xlsx")
    table.to_excel(tmp_path / "table.xlsx", index=False, startrow=1)
    refused(tmp_path, "the first row names no column", "table.xlsx")
    pd.DataFrame().to_excel(tmp_path / "table.xlsx", index=False)
    refused(tmp_path, "its first sheet is empty", "table.xlsx")


# cells


def parquet(folder, **columns):
    pq.write_table(pa.table(columns), folder / "table.parquet")
    return str(folder / "table.parquet")


def test_bytes_lists_and_numbers_are_read_as_people_write_them(tmp_path):
    path = parquet(
        tmp_path,
        id=[float(i) for i in range(12)],
        en_text=[text.split() for text in TEXTS],
        de_text=[text.encode() for text in TEXTS],
    )
    tuples = load(path, id_column="id")
    assert tuples.frame["en_text"].tolist() == tuples.frame["de_text"].tolist() == TEXTS
    assert tuples.frame["tuple_id"].tolist() == [str(i) for i in range(12)]
    for note in ("cells of bytes, decoded as UTF-8: 12", "cells of lists, joined by blanks: 12"):
        assert note in tuples.card["notes"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["brücke".encode("latin-1")] * 12, "12 problems:\n  row 2, column 'de_text': bytes that"),
        ([{"text": text} for text in TEXTS], "column 'de_text': a record of text, expected a tex"),
    ],
    ids=["bytes", "records"],
)
def test_cells_that_are_no_texts_are_refused(tmp_path, cells, message):
    parquet(tmp_path, en_text=TEXTS, de_text=cells)
    refused(tmp_path, message, "table.parquet")


def test_words_for_nothing_are_nothing_when_said_and_counted_otherwise(tmp_path):
    table = rows(kind="water")
    table[2]["en_text"], table[3]["de_text"] = "NULL", "\\N"
    path, options = str(written(tmp_path, table)), {"id_column": "id", "split_column": "split"}
    tuples = load(path, category_column="kind", **options)
    assert "en texts that are only 'NULL': 1" in tuples.card["notes"]
    assert set(tuples.frame["category"]) == {"water"}
    options["missing"] = ["NULL", "\\N"]
    tuples = load(path, allow_missing=True, **options)
    assert tuples.frame["en_text"].isna().sum() == tuples.frame["de_text"].isna().sum() == 1
    assert "cells that say that there is nothing: 2" in tuples.card["notes"]
    with pytest.raises(DataError, match="row 4, column 'en_text' is empty"):
        load(path, **options)


HTML = '<p class="lead">The river &amp; the <b>castle</b>&nbsp;&hellip;</p>\\n<!-- x --> 1 < 2'


def test_markup_is_kept_and_counted_or_taken_out(tmp_path):
    table = rows()
    table[0]["en_text"] = HTML
    path = str(written(tmp_path, table))
    kept, stripped = load(path), load(path, markup="strip")
    assert kept.frame["en_text"][0] == HTML
    assert " ".join(stripped.frame["en_text"][0].split()) == "The river & the castle … 1 < 2"
    for tuples in (kept, stripped):
        assert "en texts that hold HTML: 1" in tuples.card["notes"]


def test_words_of_markup_are_warned_of_on_the_card(tmp_path):
    table = [row | {"en_text": f"{row['en_text']} &amp; &quot; &nbsp;"} for row in rows()]
    (warning,) = prepared(tmp_path, table, vocabulary_size=None)["warnings"]
    assert warning.startswith("en: among the commonest words are amp, nbsp, quot; ")
    assert "markup: strip" in warning


# pictures


def illustrated(folder, names, files, **options):
    pictures(folder / "p", files)
    table = [row | {"image": names[i % len(names)]} for i, row in enumerate(rows())]
    given = {"image_column": "image", "image_folder": str(folder / "p"), "id_column": "id"}
    return load(str(written(folder, table)), **given | options)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Bru\u0308cke.png", "Br\u00fccke.png"),
        ("Br\u00fccke.png", "Bru\u0308cke.png"),
        ("lied.png", "LIED.PNG"),
        ("apfel.png ", "apfel.png"),
        (".\\apfel.png", "apfel.png"),
        ("zug\\wagen.png", "zug/wagen.png"),
    ],
)
def test_picture_is_found_under_another_spelling_which_is_counted(tmp_path, name, file):
    (tmp_path / "p" / "zug").mkdir(parents=True)
    tuples = illustrated(tmp_path, [name], [file])
    (tmp_path / "out").mkdir()
    assert list(tuples.write_images(tmp_path / "out")) == [name]
    counted = any("under another spelling: 1, such as" in note for note in tuples.card["notes"])
    assert counted or "\\" in name


@pytest.mark.parametrize(
    ("name", "files", "cure"),
    [
        pytest.param(
            *("https://example.org/a.png", []),
            "no such picture.*an address; pictures are not fetched",
            id="an address",
        ),
        ("data:image/png;base64,iVBOR", [], "no such picture.*an address; pictures are not fet"),
        ("aa.png; bb.png", ["aa.png", "bb.png"], "no such picture.*say picture_separator=';'"),
        ("aa.pgn", ["aa.png"], "no such picture.*there is 'aa.png'"),
        ("elsewhere/aa.png", ["aa.png"], "no such picture.*there is 'aa.png'"),
        ("NULL", [], r"no such picture.*if 'NULL' means nothing, say missing: \['NULL'\]"),
        pytest.param(
            *("a.png", ["A.PNG", "a.PNG"]),
            r"several are near it: '[aA]\.PNG', '[aA]\.PNG'",
            id="several files",
        ),
    ],
)
def test_name_that_fits_no_file_or_several_comes_with_the_cure(tmp_path, name, files, cure):
    with pytest.raises(DataError, match="row 2, column 'image'.*" + cure):
        illustrated(tmp_path, [name], files)


def test_all_bad_pictures_are_named_at_once_or_left_out_and_counted(tmp_path):
    names = [f"{i}.png" for i in range(12)]
    illustrated(tmp_path, names, names)
    for i, content in enumerate([b"", b"<html>", b"\x89PNG\r\n\x1a\n"]):
        (tmp_path / "p" / f"{i}.png").write_bytes(content)
    options = {"image_column": "image", "image_folder": str(tmp_path / "p")}
    message = refused(tmp_path, "3 problems:\n  row 2, column 'image': .*it is empty", **options)
    assert "a web page" in message and "row 4, column 'image': " in message
    options |= {"bad_pictures": "missing", "allow_missing": True}
    tuples = load(str(tmp_path / "table.csv"), **options)
    assert tuples.frame["image_id"].isna().tolist() == [True] * 3 + [False] * 9
    assert "pictures left out as unreadable: 3" in tuples.card["notes"]


def test_missing_folder_of_pictures_is_said_once(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder of pictures"):
        illustrated(tmp_path, ["a.png"], [], image_folder=str(tmp_path / "nowhere"))


def png(shade):
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (shade, 10, 200)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("wrapped", [True, False], ids=["record", "bytes"])
def test_pictures_in_the_cells_of_a_parquet_file(tmp_path, wrapped):
    cells = [png(20 * i) for i in range(12)]
    column = [{"bytes": data, "path": None} for data in cells] if wrapped else cells
    path = parquet(tmp_path, en_text=TEXTS, de_text=TEXTS[::-1], image=column)
    tuples = load(path, image_column="image")
    (tmp_path / "out").mkdir()
    files = tuples.write_images(tmp_path / "out")
    for i, image in enumerate(tuples.frame["image_id"]):
        assert (tmp_path / "out" / files[image]).read_bytes() == cells[i]
    parquet(tmp_path, en_text=TEXTS, de_text=TEXTS, image=[b"x" * 100_000] * 12)
    refused(tmp_path, "12 problems", "table.parquet", image_column="image")


def test_several_pictures_of_a_row_are_several_tuples_of_its_article(tmp_path):
    names, files = ["a.png | b.png", *["a.png"] * 11], ["a.png", "b.png"]
    frame = illustrated(tmp_path, names, files, picture_separator="|").frame
    assert frame["tuple_id"].tolist()[:3] == ["r0", "r0#2", "r1"]
    assert frame["article_id"].tolist()[:3] == ["r0", "r0", "r1"]
    assert len(frame) == 13


# what stands in two parts


def prepared(folder, table, options=None, **more):
    tuples = load(
        str(written(folder, table)), id_column="id", split_column="split", **(options or {})
    )
    more = {"vocabulary_size": 8, "min_words": 2, **more}
    return prepare(tuples, folder / "out", **more)


def test_copy_of_a_picture_under_another_name_is_a_leak(tmp_path):
    names = [f"{i}.png" for i in range(12)]
    pictures(tmp_path, names)
    (tmp_path / "0.png").write_bytes((tmp_path / "11.png").read_bytes())
    table = [row | {"image": names[i]} for i, row in enumerate(rows())]
    said = (
        r"image_id of training tuple 'r0' is that of test tuple 'r11' under another name "
        r"\('0\.png', '11\.png'\)"
    )
    with pytest.raises(DataError, match=said):
        prepared(tmp_path, table, {"image_column": "image"})
    card = prepared(tmp_path, table, {"image_column": "image"}, leakage="drop")
    assert card["counts"]["leaking_tuples"] == 1
    assert "r0" not in set(read_tuples(tmp_path / "out")["tuple_id"])
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == sorted(
        f"{i:06d}.png" for i in range(1, 12)
    )


@pytest.mark.parametrize("change", ["  {} ", "{}\n", "NFD", "\ufeff{}"])
def test_text_in_another_spelling_is_a_leak(tmp_path, change):
    table = rows()
    text = table[11]["de_text"] + " brücke"
    table[11]["de_text"] = text
    table[3]["de_text"] = (
        unicodedata.normalize("NFD", text) if change == "NFD" else change.format(text)
    )
    with pytest.raises(DataError, match=r"de_text of training tuple 'r3'.*in another spelling"):
        prepared(tmp_path, table)


def test_near_copies_are_reported_or_dropped(tmp_path):
    rng = np.random.default_rng(1)
    table = rows()
    long = " ".join(rng.choice(WORDS["de"], 60))
    table[11]["de_text"], table[3]["de_text"] = long, f"{long} garten"
    (pair,) = prepared(tmp_path, table)["near_duplicates"]
    assert (pair["train"], pair["other"], pair["view"]) == ("r3", "r11", "de")
    card = prepared(tmp_path, table, near_duplicates="drop")
    assert card["near_duplicates"] == []
    assert card["counts"]["near_tuples"] == 1


# words


def test_default_vocabulary_shrinks_to_the_corpus_and_the_card_says_so(tmp_path):
    card = prepared(tmp_path, rows(), vocabulary_size=None)
    assert card["vocabularies"] == {"en": 8, "de": 8}
    assert card["vocabulary_size"] == 2000


def test_a_language_of_one_word_has_no_pair_to_compare(tmp_path):
    with pytest.raises(DataError, match=r"corpus .*: (en|de) is left with one word to count"):
        prepared(tmp_path, rows(40), vocabulary_size=1, min_words=1)


def test_clauses_are_refused_and_not_taken_for_words(tmp_path):
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnop")
    table = [
        row | {"de_text": " ".join("".join(rng.choice(letters, 14)) for _ in range(9))}
        for row in rows(40)
    ]
    with pytest.raises(DataError, match=r"language 'de': 100% of its words occur once.*14 letters"):
        prepared(tmp_path, table)


def test_stopwords_may_stand_in_a_file(tmp_path):
    (tmp_path / "mine.txt").write_text("River\nforest\n", encoding="utf-8")
    given = {"en": str(tmp_path / "mine.txt")}
    card = prepared(tmp_path, rows(), vocabulary_size=None, stopwords=given)
    assert sorted(vocabulary(tmp_path / "out", "en")) == sorted(
        set(WORDS["en"]) - {"river", "forest"}
    )
    assert card["stopwords"] == "stopwords-iso, and of en by the caller"
    with pytest.raises(DataError, match=r"stopwords of 'en': .*nowhere\.txt"):
        prepared(tmp_path, rows(), stopwords={"en": str(tmp_path / "nowhere.txt")})


def test_chinese_words_are_words(tmp_path):
    words = ["河流", "湖泊", "桥梁", "小船", "雨水", "波浪", "港口", "岛屿", "溪流", "面包"]
    rng = np.random.default_rng(0)
    table = [row | {"zh-TW_text": "的".join(rng.choice(words, 12)) + "。"} for row in rows(40)]
    tuples = load(str(written(tmp_path, table)), languages="en,zh-TW")
    prepare(tuples, tmp_path / "out", min_words=3, leakage="drop")
    assert set(vocabulary(tmp_path / "out", "zh-TW")) <= set(words) | set("河湖桥船")
    assert len(vocabulary(tmp_path / "out", "zh-TW")) >= 8


def test_one_problem_is_said_alone_and_many_are_counted():
    assert several(["a"]) == "a"
    assert several(list("ab")) == "2 problems:\n  a\n  b"
    assert re.fullmatch(r"1,200 problems:(\n  x){10}\n  and 1,190 more", several(["x"] * 1200))


def test_a_fingerprint_sees_pictures_and_passes_over_what_builds_write(tmp_path):
    for name in ("p/a.png", "data/mine/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    written = [tmp_path / "data" / "mine"]
    before = fingerprint(tmp_path, written)
    (tmp_path / "data/mine/c.png").write_bytes(b"y")
    assert fingerprint(tmp_path, written) == before
    beside = fingerprint(tmp_path, written, pictures=True)
    for name in ("thesis.docx", ".~lock.my.csv#", "~$my.xlsx", "other.csv"):
        (tmp_path / name).write_bytes(b"x")
    assert fingerprint(tmp_path, written, pictures=True) == beside
    assert fingerprint(tmp_path, written) != before
    before = fingerprint(tmp_path, written)
    (tmp_path / "p/a.png").write_bytes(b"longer")
    assert fingerprint(tmp_path, written) != before
    assert fingerprint(tmp_path, written, pictures=True) != beside


# as others met them


def test_long_integers_stay_what_they_are_and_rounded_numbers_are_no_ids(tmp_path):
    texts = {"en_text": TEXTS, "de_text": [row["de_text"] for row in rows()]}
    ids = [1554130000000000000 + i for i in range(12)]
    path = parquet(tmp_path, id=ids, **texts)
    assert load(path, id_column="id").frame["tuple_id"].tolist() == list(map(str, ids))
    threads = [i // 2 for i in ids]
    path = parquet(tmp_path, thread=threads, **texts)
    message = "share article '777065000000000000' and differ in en_text"
    refused(tmp_path, message, "table.parquet", article_column="thread")
    for wrong in (float(2**53), 0.5):
        parquet(tmp_path, id=[*map(float, range(11)), wrong], **texts)
        refused(tmp_path, "may be rounded and is no exact id", "table.parquet", id_column="id")
    whole = parquet(tmp_path, id=[*map(float, range(12))], **texts)
    assert load(whole, id_column="id").frame["tuple_id"][3] == "3"


def workbook(folder, change):
    """A workbook of twelve rows whose sheet is changed as XML."""
    path = folder / "table.xlsx"
    pd.DataFrame(rows()).to_excel(path, index=False)
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = change(parts[sheet].decode("utf-8")).encode("utf-8")
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    return str(path)


@pytest.mark.parametrize("size", ["A1:D5", "A1", "A1:XFD1048576"])
def test_a_workbook_is_read_whole_whatever_it_says_of_its_size(tmp_path, size):
    path = workbook(
        tmp_path, lambda xml: re.sub(r'<dimension ref="[^"]*"', f'<dimension ref="{size}"', xml)
    )
    assert len(load(path, id_column="id", split_column="split").frame) == 12


def test_a_formula_without_a_stored_value_is_named(tmp_path):
    def bare(xml):
        cell = re.search(r'<c r="C3"[^>]*>.*?</c>', xml)[0]
        return xml.replace(cell, '<c r="C3"><f>UPPER(C4)</f></c>')

    workbook(tmp_path, bare)
    message = r"row 3, column 3: the formula '=UPPER\(C4\)' has no value stored; open the workbook"
    refused(tmp_path, message, "table.xlsx")


def test_the_delimiter_is_the_one_that_makes_columns_of_text(tmp_path):
    path = lines(tmp_path, "en_text;de_text;a, b, c, and d", *[f"{t};{t} x;1" for t in TEXTS])
    assert load(path).frame["en_text"].tolist() == TEXTS


def test_columns_may_go_by_other_names(tmp_path):
    path = lines(tmp_path, "English,Deutsch,Title", *[f"{t},{t} x,T" for t in TEXTS])
    named = {"en_text": "English", "de_text": "Deutsch", "en_title": "Title"}
    frame = load(path, columns=named).frame
    assert frame["de_text"].tolist() == [f"{t} x" for t in TEXTS] and frame["en_title"][0] == "T"
    refused(tmp_path, "no column 'Englisch'; it has: English", columns={"en_text": "Englisch"})
    taken = {"English": "Deutsch"}
    refused(tmp_path, "column 'Deutsch' cannot be 'English', which is another", columns=taken)


def test_an_article_stays_in_its_part_when_others_are_added(tmp_path):
    table = [{k: v for k, v in row.items() if k != "split"} for row in rows(400)]
    few = load(str(written(tmp_path, table[:300])), id_column="id").frame
    more = load(str(written(tmp_path, table[::-1])), id_column="id").frame
    parts = more.set_index("tuple_id")["split"]
    assert (parts[few["tuple_id"]].to_numpy() == few["split"].to_numpy()).all()
    share = more["split"].value_counts(normalize=True)
    assert 0.06 < share["test"] < 0.15 and 0.05 < share["validation"] < 0.14
    other = load(str(tmp_path / "table.csv"), id_column="id", seed=1).frame
    assert (other["split"] != more["split"]).any()
    for n in (1, 2, 5):
        small = load(str(written(tmp_path, table[:n])), id_column="id").frame
        assert "test" in set(small["split"]) and (n == 1 or "train" in set(small["split"]))


def test_what_was_escaped_twice_is_undone_with_markup_stripped(tmp_path):
    texts = [f"{t} &amp;amp; cheese\\nmore" for t in TEXTS]
    path = lines(tmp_path, "en_text,de_text", *[f"{t},{t} x" for t in texts])
    assert load(path).frame["en_text"][0].endswith("&amp;amp; cheese\\nmore")
    assert load(path, markup="strip").frame["en_text"][0].endswith("& cheese more")
    plain = lines(tmp_path, "en_text,de_text", *[f"{t}\\nmore,{t} x" for t in TEXTS])
    assert load(plain, markup="strip").frame["en_text"][0] == f"{TEXTS[0]} more"


def test_quotes_behind_backslashes_come_with_the_cure(tmp_path):
    lines(tmp_path, "en_text,de_text", '"a \\"big\\" river","ein, Fluss"')
    refused(tmp_path, 'a quote within a cell is written twice, "", and not as ')


def test_a_cell_may_list_its_pictures_as_json(tmp_path):
    pictures(tmp_path, ["a.png", "b.png"])
    table = [row | {"image": '["a.png", "b.png"]'} for row in rows()]
    frame = load(str(written(tmp_path, table)), id_column="id", image_column="image").frame
    assert frame["image_id"].tolist() == ["a.png", "b.png"] * 12


def test_a_program_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    table = [row | {"image": "a.png"} for row in rows()]
    written(tmp_path, table)
    refused(tmp_path, "EPS, which is a program; draw it as PNG", image_column="image")


def test_a_link_that_leads_out_of_the_folder_comes_with_the_cure(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "my pictures").mkdir()
    pictures(tmp_path / "store", ["x.png"])
    (tmp_path / "my pictures" / "a.png").symlink_to(tmp_path / "store" / "x.png")
    written(tmp_path, [row | {"image": "a.png"} for row in rows()])
    folder = str(tmp_path / "my pictures")
    message = f"cp -rL '{re.escape(folder)}' '{re.escape(folder)}-copied'"
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "table.csv"), image_column="image", image_folder=folder)


def test_broken_pictures_in_cells_may_be_missing(tmp_path):
    good = io.BytesIO()
    Image.new("RGB", (8, 8)).save(good, "PNG")
    cells = [good.getvalue(), b"no picture", *[good.getvalue()] * 10]
    texts = {"en_text": TEXTS, "de_text": [row["de_text"] for row in rows()]}
    path = parquet(tmp_path, image=cells, **texts)
    frame = load(path, image_column="image", bad_pictures="missing").frame
    assert frame["image_id"].isna().tolist() == [i == 1 for i in range(12)]
    table = [row | {"image": "x.jpg;y.jpg"} for row in rows()]
    path = str(written(tmp_path, table))
    how = {"image_column": "image", "picture_separator": ";", "bad_pictures": "missing"}
    assert load(path, **how).frame["image_id"].isna().all()


def test_a_mark_of_order_is_no_letter_of_the_first_column(tmp_path):
    path = lines(tmp_path, "en_text,de_text", *[f"{t},{t} x" for t in TEXTS], encoding="utf-8-sig")
    assert load(path, encoding="utf-8").frame["en_text"].tolist() == TEXTS


def test_a_row_without_an_article_is_one_of_its_own(tmp_path):
    texts = zip(TEXTS[:4], ["3", "3", "", "x"], strict=True)
    cells = [f"{TEXTS[0] if a == '3' else t},{TEXTS[1]},{a}" for t, a in texts]
    path = lines(tmp_path, "en_text,de_text,article", *cells)
    frame = load(path, article_column="article").frame
    assert frame["article_id"].tolist() == ["3", "3", "row 4", "x"]


def test_a_text_of_markup_alone_is_none_and_no_copy_of_another(tmp_path):
    table = rows()
    for row in (0, 3, 11):
        table[row]["en_text"] = "<p></p>"
    path = str(written(tmp_path, table))
    frame = load(path, markup="strip", allow_missing=True).frame
    assert frame.index[frame["en_text"].isna()].tolist() == [0, 3, 11]
    refused(tmp_path, "row 2, column 'en_text' is empty", "table.csv", markup="strip")
    for row in (0, 3, 11):
        table[row]["en_text"] = "\u200b"
    counts = prepared(tmp_path, table, incomplete="keep", leakage="drop")["counts"]
    assert counts["leaking_tuples"] == 0


def test_whole_numbers_of_sixteen_digits_stay_what_they_are(tmp_path):
    ids = [1.7e15 + i for i in range(12)]
    path = parquet(tmp_path, id=ids, en_text=TEXTS, de_text=TEXTS)
    frame = load(path, id_column="id", article_column="id").frame
    assert frame["tuple_id"].tolist() == frame["article_id"].tolist() == [f"{i:.0f}" for i in ids]


def test_a_row_without_an_article_is_not_put_into_one_that_is_called_as_it_is(tmp_path):
    cells = ["1,2,river,fluss", "2,,river,fluss", "3,,bridge,turm"]
    lines(tmp_path, "id,article,en_text,de_text", *cells, name="t.csv")
    said = "row 3, column 'article': '2' is an article's name and the id of a row without one"
    refused(tmp_path, said, "t.csv", id_column="id", article_column="article")


def test_an_id_of_a_second_picture_is_no_other_rows(tmp_path):
    pictures(tmp_path, ["a.png", "b.png"])
    lines(tmp_path, "id,en_text,image", "r,river,a.png|b.png", "r#2,bridge,a.png", name="t.csv")
    options = {"languages": "en", "image_column": "image", "picture_separator": "|"}
    refused(tmp_path, "row 3, column 'id': id 'r#2' stands", "t.csv", id_column="id", **options)


def test_text_that_is_not_of_the_encoding_said_is_refused_by_a_mark_too(tmp_path):
    lines(tmp_path, "en_text,de_text", "a,b", name="t.csv", encoding="utf-16-le")
    refused(tmp_path, "not utf-16 near line 1", "t.csv", encoding="utf-16")


@pytest.mark.parametrize("words", [2, 1])
def test_a_language_that_is_left_without_words_is_named(tmp_path, words):
    table = [
        row | {"fr_text": " ".join(f"mot{'abcdefghijkl'[i]}" for _ in range(words))}
        for i, row in enumerate(rows())
    ]
    options = {"languages": "en,de,fr"}
    with pytest.raises(DataError, match="fr is left with no word to count; expected two or more"):
        more = {"vocabulary_size": None, "min_words": 3, "incomplete": "keep"}
        prepared(tmp_path, table, options, stopwords={"fr": []}, **more)


def test_stopwords_of_texts_with_blanks_are_not_cut():
    assert "不尽然" in stopwords_used("zh", None, True)
    assert stopwords_used("zh", {"zh": ["香港大學"]}, True) == {"香港大學"}


def test_an_article_that_was_published_in_two_parts_is_one_of_each(tmp_path):
    table = [row | {"article": row["id"]} for row in rows()]
    twin = {k: table[11][k] for k in ("en_text", "de_text", "article")}
    table[0] |= twin
    assert (table[0]["split"], table[11]["split"]) == ("train", "test")
    prepared(tmp_path, table, {"article_column": "article"}, leakage="keep")
    frame = read_tuples(tmp_path / "out")
    assert (frame.groupby("article_id")["split"].nunique() == 1).all()


def test_a_corpus_that_is_left_without_pictures_has_no_view_of_them(tmp_path):
    pictures(tmp_path, ["a.png"])
    table = [row | {"image": "" if i else "a.png"} for i, row in enumerate(rows())]
    table[0] |= {"en_text": "", "de_text": "kurz"}
    options = {"image_column": "image", "allow_missing": True}
    prepared(tmp_path, table, options, incomplete="pairs")
    assert views_of(tmp_path / "out") == ["en", "de"]


def test_a_carriage_return_in_a_workbook_is_one(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["en_text", "de_text"])
    book.active.append(["one_x000D_\ntwo", "b"])
    book.save(tmp_path / "t.xlsx")
    ((_, row),) = read_table(tmp_path / "t.xlsx").rows()
    assert row["en_text"] == "one\r\ntwo"


@pytest.mark.parametrize("name", ["a.png", "./a.png", " a.png"])
def test_the_folder_that_has_the_picture_is_named_whole(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=f"say --pictures {re.escape(str(tmp_path))}/sub$"):
        PictureFolder(tmp_path).find(name)
