"""Pictures by name, what nearly stands in two parts, and parts of a corpus."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m3l.errors import DataError, ParameterError
from m3l_book.data.duplicates import near_duplicates, near_pictures, near_texts
from m3l_book.data.schema import validation_part
from m3l_book.pictures import maps
from m3l_book.pictures.named import (
    NamedPicture,
    draw_picture,
    illustrate,
    named_pictures,
    plain_name,
    read_denied,
)

# names


def test_titles_are_compared_without_case_accents_and_punctuation():
    assert plain_name("Curaçao (Île)") == plain_name("curacao ile") == "curacao ile"
    assert plain_name("Straße") == "strasse"
    assert plain_name("!?") == ""


@pytest.fixture(scope="module")
def everything():
    return named_pictures()


def test_every_collection_names_pictures(everything):
    keys = {name: {p.collection: p.key for p in everything[name]} for name in ("cat", "france")}
    assert keys["france"] == {
        "twemoji": "1f1eb-1f1f7",
        "openmoji": "1F1EB-1F1F7",
        "relief": "FR",
        "satellite": "FR",
    }
    assert keys["cat"].keys() == {"twemoji", "openmoji", "material", "fontawesome"}
    assert "" not in everything


def test_names_of_files_are_unique(everything):
    every = {picture for own in everything.values() for picture in own}
    assert len({picture.picture_id for picture in every}) == len(every)


def test_unknown_collection_lists_the_valid_ones():
    with pytest.raises(ParameterError, match=r"pictures='photos' is unknown; valid: .*twemoji"):
        named_pictures(["photos"])


# which picture illustrates what


def drawing(tmp_path, name, content):
    path = tmp_path / f"{name}.svg"
    path.write_text(content)
    return NamedPicture("material", name, path)


def test_denied_shared_and_doubled_pictures_are_left_out(tmp_path):
    cat, dog = drawing(tmp_path, "cat", "<cat/>"), drawing(tmp_path, "dog", "<dog/>")
    home, house = drawing(tmp_path, "home", "<h/>"), drawing(tmp_path, "house", "<h/>")
    pictures = {"cat": [cat], "dog": [dog], "home": [home], "house": [house], "c": [cat]}
    titles = ["Cat", "Dog", "Home", "House", "C", "C++", "Bird"]
    chosen, counts = illustrate(titles, pictures, {("dog", "material", ""): "it barks"})
    assert chosen == {"Cat": [cat]}
    assert counts == {"titles": 1, "pictures": 1, "denied": 1, "of_two_titles": 2}


def test_one_picture_of_several_can_be_denied(tmp_path):
    bird, flag = drawing(tmp_path, "1F983", "<bird/>"), drawing(tmp_path, "1f1f9", "<flag/>")
    denied = {("turkey", "material", "1f983"): "a bird"}
    chosen, _ = illustrate(["Turkey"], {"turkey": [bird, flag]}, denied)
    assert chosen == {"Turkey": [flag]}


def test_the_list_of_denied_pictures_is_read_and_checked(tmp_path):
    path = tmp_path / "denied.csv"
    path.write_text("name,collection,key,reason\nTurkey,emoji,1F983,a bird\n", encoding="utf-8")
    assert read_denied(path) == {
        ("turkey", "twemoji", "1f983"): "a bird",
        ("turkey", "openmoji", "1f983"): "a bird",
    }
    path.write_text("name,collection,key,reason\nTurkey,photos,,a bird\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"denied\.csv: line 2: collection 'photos' is unknown"):
        read_denied(path)
    path.write_text("name,collection\nTurkey,emoji\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: no column 'key'"):
        read_denied(path)


def test_the_lists_of_the_book_name_pictures_that_there_are(everything):
    named: dict[tuple[str, str], bool] = {}  # by title and reason: does it deny any picture?
    for (name, collection, key), reason in read_denied("data/vital/denied.csv").items():
        own = [p for p in everything.get(name, []) if p.collection == collection]
        some = any(key in ("", p.key.casefold()) for p in own)
        named[name, reason] = named.get((name, reason), False) or some
    assert [entry for entry, some in named.items() if not some] == []
    known = {picture.picture_id for own in everything.values() for picture in own}
    read = pd.read_csv("data/vital/read.csv")
    assert len(read) == 200 and set(read["right"]) == {"yes", "no"}
    assert set(read["picture"]) <= known


# drawings and maps


def test_a_drawing_is_square_and_whole(tmp_path):
    wide = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">'
        '<rect width="20" height="10"/></svg>'
    )
    picture = draw_picture(drawing(tmp_path, "wide", wide), 100)
    assert picture.size == (100, 100)
    black = np.asarray(picture.convert("L")) < 128
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert len(columns) == pytest.approx(88, abs=1)
    assert len(rows) == pytest.approx(44, abs=1)
    assert rows[0] + rows[-1] == pytest.approx(99, abs=1), "in the middle"


def test_a_country_is_where_its_towns_are():
    known = {name.casefold(): place for name, place in maps.places()}
    france, fiji, africa = known["france"], known["fiji"], known["africa"]
    assert (france.latitude, france.longitude) == pytest.approx((46.7, 2.2), abs=1.0)
    assert 8 < france.side < 14
    assert abs(fiji.longitude) > 175, "across the date line"
    assert fiji.side < 10
    assert africa.side > 60
    assert "monaco" not in known, "too small to be seen"


@pytest.mark.parametrize("collection", maps.FILES)
def test_a_piece_of_a_map_shows_the_place(collection):
    sea = maps.Place("sea", 0.0, -150.0, 5.0)
    picture = np.asarray(maps.cut(collection, sea, 40), dtype=float)
    assert picture.shape == (40, 40, 3)
    assert (picture[..., 2] > picture[..., 0]).all(), "water is blue"
    crossing = np.asarray(maps.cut(collection, maps.Place("sea", 0.0, 180.0, 10.0), 40))
    assert (crossing.sum(axis=2) < 3 * 255).all(), "no white at the date line"


# what nearly stands in two parts


def test_texts_that_share_half_their_shingles_are_found():
    base = [
        "the",
        "river",
        "rises",
        "in",
        "the",
        "hills",
        "and",
        "flows",
        "past",
        "three",
        "towns",
        "to",
        "the",
        "northern",
        "sea",
    ]
    changed = " ".join([*base[:-1], "ocean"])
    other = "a fishing village on the coast with one church and no road to speak of at all"
    found = near_texts([" ".join(base), other], [other.upper(), changed, "short text"])
    assert [(i, j) for i, j, _ in found] == [(1, 0), (0, 1)]
    assert found[0][2] == 1.0
    assert 0.5 <= found[1][2] < 1.0
    assert near_texts([], ["a b c d"]) == []


def test_pictures_that_hardly_differ_are_found(tmp_path):
    paths = []
    for name, colour in {"red": (200, 0, 0), "nearly": (203, 2, 0), "blue": (0, 0, 200)}.items():
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", (30, 30), colour).save(paths[-1])
    assert [(i, j) for i, j, _ in near_pictures(paths[:1], paths[1:])] == [(0, 0)]
    assert near_pictures(paths, []) == []


def test_near_duplicates_are_between_parts_and_articles(tmp_path):
    text = "one two three four five six seven eight nine ten"
    rows = [
        ("a", "train", text),
        ("b", "train", "nothing of the kind is said here by anybody at all"),
        ("c", "test", text + " eleven"),
        ("d", "validation", text),
    ]
    frame = pd.DataFrame(rows, columns=["article_id", "split", "en_text"])
    pairs = near_duplicates(frame.assign(image_id=None), ["en"], {})
    assert {(p["train"], p["other"], p["split"], p["view"]) for p in pairs} == {
        ("a", "c", "test", "en"),
        ("a", "d", "validation", "en"),
    }


# parts


def parts(share, **options):
    frame = pd.DataFrame(
        {
            "article_id": [f"a{i // 2}" for i in range(200)],
            "image_id": ["p" if i < 40 else None for i in range(200)],
            "split": ["test" if i >= 180 else "train" for i in range(200)],
        }
    )
    validation_part(frame, share, 0, **options)
    return frame


def test_validation_takes_a_share_of_the_training_articles_with_and_without_pictures():
    frame = parts(0.1)
    assert (frame.groupby("article_id")["split"].nunique() == 1).all()
    articles = frame.drop_duplicates("article_id")
    chosen = articles[articles["split"] == "validation"]
    assert chosen["image_id"].notna().sum() == 2
    assert chosen["image_id"].isna().sum() == 7
    assert (articles["split"] == "test").sum() == 10
    other = parts(0.1, illustrated=0.5).drop_duplicates("article_id")
    assert (other[other["split"] == "validation"]["image_id"].notna()).sum() == 10
    assert (parts(0.0)["split"] != "validation").all()


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share):
    with pytest.raises(ParameterError, match=f"validation={share}: expected 0"):
        parts(share)
