"""Pictures: read from any file, found by name, drawn, and compared across parts of a corpus."""

import io
import os
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image, features

from m3l.errors import DataError, ParameterError
from m3l_book.data import duplicates
from m3l_book.data.duplicates import near_duplicates, near_pictures, near_texts
from m3l_book.data.schema import validation_part
from m3l_book.pictures import maps, reading
from m3l_book.pictures.named import (
    NamedPicture,
    draw_picture,
    illustrate,
    named_pictures,
    plain_name,
    read_denied,
)
from m3l_book.pictures.reading import inside, load_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


def refuses(path, message="not a whole picture"):
    with pytest.raises(DataError, match=re.escape(str(path)) + ".*" + message):
        load_image(path)


def noise(size=(48, 40)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png_chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


# files


@pytest.mark.parametrize(
    ("mode", "colour", "name", "expected"),
    [
        ("RGB", RED, "a.png", RED),
        ("P", None, "a.png", RED),
        ("CMYK", (0, 255, 255, 0), "a.tif", RED),
        ("RGBA", (255, 0, 0, 255), "a.png", RED),
        ("RGBA", (255, 0, 0, 0), "a.png", WHITE),
        ("RGBA", (255, 0, 0, 128), "a.png", (255, 127, 127)),
        ("LA", (100, 255), "a.png", (100, 100, 100)),
        ("LA", (0, 0), "a.png", WHITE),
        ("LA", (0, 128), "a.png", (127, 127, 127)),
        ("L", 77, "a.png", (77, 77, 77)),
        ("1", 1, "a.png", WHITE),
        ("1", 0, "a.png", (0, 0, 0)),
        ("F", 77.0, "a.tif", (77, 77, 77)),
        ("I;16", 32768, "a.png", (127, 127, 127)),
        ("I;16", 250, "a.png", (0, 0, 0)),
    ],
)
def test_every_mode_becomes_the_same_rgb(tmp_path, mode, colour, name, expected):
    image = Image.new("RGB", (3, 2), RED).convert("P")
    if mode == "I;16":
        image = Image.fromarray(np.full((2, 3), colour, dtype=np.uint16))
    elif colour is not None:
        image = Image.new(mode, (3, 2), colour)
    loaded = load_image(saved(tmp_path, image, name))
    assert loaded.mode == "RGB" and loaded.size == (3, 2)
    assert set(loaded.get_flattened_data()) == {expected}


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_transparent_palette_colour_becomes_white(tmp_path, mode, monkeypatch):
    image = Image.new(mode, (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((0, 0), 0 if mode == "P" else (0, 0))
    image.putpixel((1, 0), 1 if mode == "P" else (1, 255))
    if mode == "P":
        path = saved(tmp_path, image, "a.png", transparency=0)
    else:  # no common format stores it
        path = saved(tmp_path, noise(), "a.png")
        monkeypatch.setattr(reading.ImageOps, "exif_transpose", lambda _: image)
    assert [load_image(path).getpixel((x, 0)) for x in (0, 1)] == [WHITE, BLUE]


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        assert image.n_frames == 3
    assert load_image(path).getpixel((2, 2)) == RED


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what was left is on top
    loaded = load_image(saved(tmp_path, image, "a.png", exif=exif))
    assert loaded.size == (20, 40)
    assert loaded.getpixel((10, 5)) == BLUE and loaded.getpixel((10, 35)) == RED


@pytest.mark.parametrize("value", [0, 26, 84])
def test_broken_exif_is_an_error_naming_the_file_or_no_error(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x"
    block = bytearray(exif.tobytes())
    block[17] = value  # the tag of a text becomes one that must be a number
    path = saved(tmp_path, noise(), "a.jpg", exif=bytes(block))
    try:
        assert load_image(path).mode == "RGB"
    except DataError as error:
        assert str(path) in str(error)


def test_missing_file_is_named(tmp_path):
    refuses(tmp_path / "none.png", ": no such picture")
    refuses(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_truncated_picture_is_named(tmp_path, name, part):
    path = saved(tmp_path, noise(), name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    refuses(path)


@pytest.mark.parametrize("name", ["a.avif", "a.dds"])
def test_damaged_picture_of_a_rare_format_is_named(tmp_path, name):
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    path = saved(tmp_path, noise(), name)
    data = bytearray(path.read_bytes())
    if name == "a.avif":
        data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    else:
        data[80:84] = struct.pack("<I", 128)  # flags of a pixel format that no decoder knows
    path.write_bytes(data)
    refuses(path)


@pytest.mark.parametrize(
    ("side", "message"),
    [(40_000, "too many pixels"), (9_000, "9000×9000 pixels; at most 64,000,000")],
)
def test_decompression_bomb_is_refused_by_its_header(tmp_path, side, message):
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks))
    refuses(path, message)


def test_text_chunk_bomb_is_named(tmp_path):
    data, path = io.BytesIO(), tmp_path / "a.png"
    noise().save(data, "png")
    bomb = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000), 1))
    path.write_bytes(data.getvalue()[:33] + bomb + data.getvalue()[33:])
    refuses(path, "")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a whole picture: it is empty"),
        (b"this is no picture\n", "not a whole picture"),
        (b"\x89PNG\r\n\x1a\n", "not a whole picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG; draw it as PNG"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC; convert it"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page, not the picture"),
        (b"%PDF-1.7 ...", "PDF; save its picture"),
    ],
)
def test_a_whole_file_of_another_kind_is_said_to_be_what_it_is(tmp_path, content, what):
    (tmp_path / "a.jpg").write_bytes(content)
    refuses(tmp_path / "a.jpg", what)
    with pytest.raises(DataError, match="the picture: .*" + what):
        load_image(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_is_scaled_as_it_is_read_and_looks_the_same(tmp_path, kind):
    x, y = np.meshgrid(np.linspace(0, 1, 2400), np.linspace(0, 1, 1600))
    pixels = np.stack([x, y, (np.sin(12 * x) * np.cos(9 * y) + 1) / 2], axis=-1) * 255
    path = saved(tmp_path, Image.fromarray(pixels.astype(np.uint8)), f"a.{kind.lower()}")
    whole, scaled = load_image(path), load_image(path, 224)
    assert whole.size == (2400, 1600) and 224 <= min(scaled.size) < 448
    a, b = (np.asarray(i.resize((96, 64)), dtype=float) for i in (whole, scaled))
    assert np.abs(a - b).mean() < 1.5
    small = saved(tmp_path, noise(size=(300, 280)), "small.png")
    assert np.array_equal(np.asarray(load_image(small, 224)), np.asarray(load_image(small)))


# folders


def test_picture_in_the_folder_or_below_it_is_found(tmp_path):
    (tmp_path / "f" / "sub").mkdir(parents=True)
    path = saved(tmp_path / "f" / "sub", noise(), "Bär 1.png")
    assert inside(tmp_path / "f", "sub/../sub/Bär 1.png") == path.resolve()


@pytest.mark.parametrize("name", ["../secret.png", "/", "link.png", "link/secret.png"])
def test_path_that_leaves_the_folder_is_named(tmp_path, name):
    folder, beside = tmp_path / "f", tmp_path / "f2"
    for place in (folder, beside):
        place.mkdir()
    for place in (tmp_path, beside):
        saved(place, noise(), "secret.png")
    os.symlink(tmp_path / "secret.png", folder / "link.png")
    os.symlink(beside, folder / "link")
    name = str(beside / "secret.png") if name == "/" else name
    with pytest.raises(DataError, match=re.escape(f"'{name}' escapes the folder {folder}")):
        inside(folder, name)


@pytest.mark.parametrize("name", [".", "", "none.png", "https://example.org/a.png"])
def test_name_of_no_file_in_the_folder_is_an_error(tmp_path, name):
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path))}.*: no such picture$"):
        inside(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["a\0b.png", "a" * 300 + ".png", "loop.png"], ids=["NUL", "too long", "symlink loop"]
)
def test_name_that_no_file_can_have_is_an_error(tmp_path, name):
    os.symlink("loop.png", tmp_path / "loop.png")
    with pytest.raises(DataError, match=r"no such picture|no name of a file"):
        inside(tmp_path, name)


# pictures by name


@pytest.fixture(scope="module")
def everything():
    return named_pictures()


def test_titles_are_compared_without_case_accents_and_punctuation():
    assert plain_name("Curaçao (Île)") == plain_name("curacao ile") == "curacao ile"
    assert plain_name("Straße") == "strasse" and plain_name("!?") == ""


def test_every_collection_names_pictures(everything):
    keys = {name: {p.collection: p.key for p in everything[name]} for name in ("cat", "france")}
    emoji = {"twemoji": "1f1eb-1f1f7", "openmoji": "1F1EB-1F1F7"}
    assert keys["france"] == emoji | {"relief": "FR", "satellite": "FR"}
    assert keys["cat"].keys() == {"twemoji", "openmoji", "material", "fontawesome"}
    assert "" not in everything
    every = {picture for several in everything.values() for picture in several}
    assert len({picture.picture_id for picture in every}) == len(every)
    with pytest.raises(ParameterError, match=r"pictures='photos' is unknown; valid: .*twemoji"):
        named_pictures(["photos"])


def drawing(tmp_path, name, content):
    path = tmp_path / f"{name}.svg"
    path.write_text(content)
    return NamedPicture("material", name, path)


def test_denied_shared_and_doubled_pictures_are_left_out(tmp_path):
    cat, dog = drawing(tmp_path, "cat", "<cat/>"), drawing(tmp_path, "dog", "<dog/>")
    home, house = drawing(tmp_path, "home", "<h/>"), drawing(tmp_path, "house", "<h/>")
    bird, flag = drawing(tmp_path, "1F983", "<bird/>"), drawing(tmp_path, "1f1f9", "<flag/>")
    pictures = {"cat": [cat], "dog": [dog], "home": [home], "house": [house], "c": [cat]}
    pictures["turkey"] = [bird, flag]
    titles = ["Cat", "Dog", "Home", "House", "C", "C++", "Bird", "Turkey"]
    denied = {("dog", "material", ""): "it barks", ("turkey", "material", "1f983"): "a bird"}
    chosen, counts = illustrate(titles, pictures, denied)
    assert chosen == {"Cat": [cat], "Turkey": [flag]}
    assert counts == {"titles": 2, "pictures": 2, "denied": 2, "of_two_titles": 2}


def test_the_list_of_denied_pictures_is_read_and_checked(tmp_path):
    path, both = tmp_path / "denied.csv", ("twemoji", "openmoji")
    path.write_text("name,collection,key,reason\nTurkey,emoji,1F983,a bird\n", encoding="utf-8")
    assert read_denied(path) == {("turkey", name, "1f983"): "a bird" for name in both}
    path.write_text("name,collection,key,reason\nTurkey,photos,,a bird\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"denied\.csv: line 2: collection 'photos' is unknown"):
        read_denied(path)
    path.write_text("name,collection\nTurkey,emoji\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: no column 'key'"):
        read_denied(path)


def test_the_lists_of_the_book_name_pictures_that_there_are(everything):
    named: dict[tuple[str, str], bool] = {}  # by title and reason: does it deny any picture?
    for (name, collection, key), reason in read_denied("data/vital/denied.csv").items():
        pictures = [p for p in everything.get(name, []) if p.collection == collection]
        some = any(key in ("", p.key.casefold()) for p in pictures)
        named[name, reason] = named.get((name, reason), False) or some
    assert [entry for entry, some in named.items() if not some] == []
    known = {picture.picture_id for several in everything.values() for picture in several}
    read = pd.read_csv("data/vital/read.csv")
    assert len(read) == 200 and set(read["right"]) == {"yes", "no"}
    assert set(read["picture"]) <= known


def test_a_drawing_is_square_and_whole(tmp_path):
    wide = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">'
    wide += '<rect width="20" height="10"/></svg>'
    picture = draw_picture(drawing(tmp_path, "wide", wide), 100)
    assert picture.size == (100, 100)
    black = np.asarray(picture.convert("L")) < 128
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert (len(columns), len(rows)) == pytest.approx((88, 44), abs=1)
    assert rows[0] + rows[-1] == pytest.approx(99, abs=1), "in the middle"


def test_a_country_is_where_its_towns_are():
    known = {name.casefold(): place for name, place in maps.places()}
    france, fiji = known["france"], known["fiji"]
    assert (france.latitude, france.longitude) == pytest.approx((46.7, 2.2), abs=1.0)
    assert 8 < france.side < 14 and known["africa"].side > 60
    assert abs(fiji.longitude) > 175 and fiji.side < 10, "across the date line"
    assert "monaco" not in known, "too small to be seen"


@pytest.mark.parametrize("collection", maps.FILES)
def test_a_piece_of_a_map_shows_the_place(collection):
    sea = maps.Place("sea", 0.0, -150.0, 5.0)
    picture = np.asarray(maps.cut(collection, sea, 40), dtype=float)
    assert picture.shape == (40, 40, 3)
    assert (picture[..., 2] > picture[..., 0]).all(), "water is blue"
    crossing = np.asarray(maps.cut(collection, maps.Place("sea", 0.0, 180.0, 10.0), 40))
    assert (crossing.sum(axis=2) < 3 * 255).all(), "no white at the date line"


# parts of a corpus, and what nearly stands in two of them


def test_texts_that_share_half_their_shingles_are_found():
    base = "the river rises in the hills and flows past three towns to the northern "
    other = "a fishing village on the coast with one church and no road to speak of at all"
    found = near_texts([base + "sea", other], [other.upper(), base + "ocean", "short text"])
    assert [(i, j) for i, j, _ in found] == [(1, 0), (0, 1)]
    assert found[0][2] == 1.0 > found[1][2] >= 0.5
    assert near_texts([], ["a b c d"]) == []


def test_pictures_that_hardly_differ_are_found(tmp_path):
    colours = {"red": (200, 0, 0), "nearly": (203, 2, 0), "blue": (0, 0, 200)}
    paths = [saved(tmp_path, Image.new("RGB", (30, 30), c), f"{n}.png") for n, c in colours.items()]
    assert [(i, j) for i, j, _ in near_pictures(paths[:1], paths[1:])] == [(0, 0)]
    assert near_pictures(paths, []) == []


def test_near_duplicates_are_between_parts_and_articles():
    text = "one two three four five six seven eight nine ten"
    rows = [
        ("a", "train", text),
        ("b", "train", "nothing of the kind is said here by anybody at all"),
        ("c", "test", text + " eleven"),
        ("d", "validation", text),
        ("a", "test", text),
    ]
    frame = pd.DataFrame(rows, columns=["article_id", "split", "en_text"])
    pairs = near_duplicates(frame.assign(image_id=None), ["en"], {})
    assert [(p["train"], p["other"], p["split"], p["view"]) for p in pairs] == [
        ("a", "c", "test", "en"),
        ("a", "d", "validation", "en"),
    ]


def test_validation_takes_a_share_of_the_training_articles_with_and_without_pictures():
    def parts(share, **options):
        articles = pd.DataFrame({"article_id": [f"a{i}" for i in range(100)]})
        articles["image_id"] = ["p" if i < 20 else None for i in range(100)]
        articles["split"] = ["test" if i >= 90 else "train" for i in range(100)]
        frame = pd.concat([articles, articles])
        validation_part(frame, share, 0, **options)
        assert (frame.groupby("article_id")["split"].nunique() == 1).all()
        chosen = frame[frame["split"] == "validation"].drop_duplicates("article_id")
        return chosen["image_id"].notna().sum(), chosen["image_id"].isna().sum()

    assert parts(0.1) == (2, 7)
    assert parts(0.1, illustrated=0.5) == (10, 7)
    assert parts(0.0) == (0, 0)
    for share in (-0.1, 1.0):
        with pytest.raises(ParameterError, match=f"validation={share}: expected 0"):
            parts(share)


def test_texts_of_scripts_without_blanks_are_compared_by_their_letters():
    chinese = "北京是中华人民共和国的首都，位于华北平原北部，是全国的政治中心和文化中心。"
    other = "上海是中华人民共和国的一座城市，位于长江入海口，是重要的经济中心。"
    assert [pair[:2] for pair in near_texts([other, chinese], [chinese[:-4] + "等。"])] == [(1, 0)]


def test_comparing_takes_the_memory_of_few_texts_at_once(monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS", 50, raising=False)
    a = [f"this is one of the many {i} {i}" for i in range(1200)]
    tracemalloc.start()
    near_texts(a, [f"{text} x y z u v w" for text in a])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6


@pytest.mark.parametrize("largest", [1.0, 200.0, 60000.0])
def test_a_picture_of_floats_keeps_its_shades(tmp_path, largest):
    shades = np.linspace(0, largest, 64, dtype=np.float32).reshape(8, 8)
    pixels = np.asarray(load_image(saved(tmp_path, Image.fromarray(shades), "a.tif")))
    assert len(np.unique(pixels)) == 64 and pixels.max() > 190


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = saved(tmp_path, noise(), "a.png")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(DataError, match=r"a\.png: not a whole picture .*Permission denied"):
        load_image(path)
