import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from m3l.errors import DataError
from m3l_book.pictures.reading import inside, load_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


def named(path):
    return re.escape(str(path))


def noise(mode="RGB", size=(48, 40)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_header(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("mode", "colour", "name", "expected"),
    [
        ("RGB", RED, "a.png", RED),
        ("P", None, "a.png", RED),
        ("CMYK", (0, 255, 255, 0), "a.tif", RED),
        ("RGBA", (255, 0, 0, 255), "a.png", RED),
        ("RGBA", (255, 0, 0, 0), "a.png", WHITE),
        ("LA", (100, 255), "a.png", (100, 100, 100)),
        ("LA", (0, 0), "a.png", WHITE),
        ("L", 77, "a.png", (77, 77, 77)),
        ("1", 1, "a.png", WHITE),
        ("1", 0, "a.png", (0, 0, 0)),
        ("F", 77.0, "a.tif", (77, 77, 77)),
    ],
)
def test_every_mode_becomes_the_same_rgb(tmp_path, mode, colour, name, expected):
    image = (
        Image.new("RGB", (3, 2), RED).convert("P")
        if colour is None
        else Image.new(mode, (3, 2), colour)
    )
    loaded = load_image(saved(tmp_path, image, name))
    assert loaded.mode == "RGB"
    assert loaded.size == (3, 2)
    assert set(loaded.get_flattened_data()) == {expected}


@pytest.mark.parametrize(("mode", "half"), [("RGBA", (255, 0, 0, 128)), ("LA", (0, 128))])
def test_half_transparency_is_mixed_with_white(tmp_path, mode, half):
    pixel = load_image(saved(tmp_path, Image.new(mode, (1, 1), half), "a.png")).getpixel((0, 0))
    assert abs(pixel[1] - 127) <= 1


def test_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    loaded = load_image(saved(tmp_path, image, "a.png", transparency=0))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [WHITE, BLUE]


def test_palette_with_alpha_becomes_rgb_on_white(tmp_path, monkeypatch):
    image = Image.new("RGBA", (2, 1), (0, 0, 255, 255))
    image.putpixel((0, 0), (0, 0, 255, 0))
    path = saved(tmp_path, image, "a.png")
    palette = Image.new("PA", (2, 1))
    palette.putpalette([*BLUE])
    palette.putpixel((0, 0), (0, 0))
    palette.putpixel((1, 0), (0, 255))
    monkeypatch.setattr(
        "m3l_book.pictures.reading.ImageOps.exif_transpose", lambda _: palette
    )  # no common format stores mode PA
    loaded = load_image(path)
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [WHITE, BLUE]


def sixteen_bit(folder, values):
    return saved(folder, Image.fromarray(np.array([values], dtype=np.uint16)), "deep.png")


def test_sixteen_bit_mid_grey_stays_mid_grey(tmp_path):
    assert [
        abs(load_image(sixteen_bit(tmp_path, [0, 32768, 65535])).getpixel((x, 0))[0] - v) <= 1
        for x, v in enumerate((0, 128, 255))
    ] == [True] * 3


def test_sixteen_bit_near_black_stays_near_black(tmp_path):
    assert load_image(sixteen_bit(tmp_path, [0, 250])).getpixel((1, 0))[0] <= 1


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        assert image.n_frames == 3
    assert load_image(path).getpixel((2, 2)) == RED


def test_one_pixel_is_a_picture(tmp_path):
    assert load_image(saved(tmp_path, Image.new("RGB", (1, 1), GREEN), "a.png")).size == (1, 1)


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what was left is on top
    loaded = load_image(saved(tmp_path, image, "a.png", exif=exif))
    assert loaded.size == (20, 40)
    assert loaded.getpixel((10, 5)) == BLUE
    assert loaded.getpixel((10, 35)) == RED


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
    with pytest.raises(DataError, match=named(tmp_path / "none.png") + ": no such picture"):
        load_image(tmp_path / "none.png")


def test_folder_is_no_picture(tmp_path):
    with pytest.raises(DataError, match=named(tmp_path)):
        load_image(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_truncated_picture_is_named(tmp_path, name, part):
    path = saved(tmp_path, noise(), name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError, match=named(path) + ": not a whole picture"):
        load_image(path)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_damaged_avif_is_named(tmp_path):
    path = saved(tmp_path, noise(), "a.avif")
    data = bytearray(path.read_bytes())
    data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    path.write_bytes(data)
    with pytest.raises(DataError, match=named(path) + ": not a whole picture"):
        load_image(path)


def test_texture_of_unknown_format_is_named(tmp_path):
    path = saved(tmp_path, noise(), "a.dds")
    data = bytearray(path.read_bytes())
    data[80:84] = struct.pack("<I", 128)  # pixel format flags that no decoder knows
    path.write_bytes(data)
    with pytest.raises(DataError, match=named(path) + ": not a whole picture"):
        load_image(path)


@pytest.mark.parametrize(
    "content",
    [
        b"this is no picture\n",
        b"",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_other_file_called_png_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=named(path) + ": not a whole picture"):
        load_image(path)


@pytest.mark.parametrize(
    ("side", "message"),
    [(40_000, "too many pixels"), (9_000, "9000×9000 pixels; at most 64,000,000")],
)
def test_decompression_bomb_is_refused_by_its_header(tmp_path, side, message):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with pytest.raises(DataError, match=named(path) + ".*" + message):
        load_image(path)


def test_text_chunk_bomb_is_named(tmp_path):
    data = io.BytesIO()
    noise().save(data, "png")
    body = b"k\0\0" + zlib.compress(bytes(80_000_000), 1)
    chunk = (
        struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    )
    path = tmp_path / "a.png"
    path.write_bytes(data.getvalue()[:33] + chunk + data.getvalue()[33:])
    with pytest.raises(DataError, match=named(path)):
        load_image(path)


def test_picture_in_the_folder_or_below_it_is_found(tmp_path):
    (tmp_path / "f" / "sub").mkdir(parents=True)
    path = saved(tmp_path / "f" / "sub", noise(), "Bär 1.png")
    assert inside(tmp_path / "f", "sub/Bär 1.png") == path.resolve()
    assert inside(tmp_path / "f", "sub/../sub/Bär 1.png") == path.resolve()


@pytest.mark.parametrize("how", ["up", "absolute", "symlink", "folder symlink", "sibling"])
def test_path_that_leaves_the_folder_is_named(tmp_path, how):
    folder = tmp_path / "f"
    folder.mkdir()
    (tmp_path / "f2").mkdir()
    for place in (tmp_path, tmp_path / "f2"):
        saved(place, noise(), "secret.png")
    os.symlink(tmp_path / "secret.png", folder / "link.png")
    os.symlink(tmp_path / "f2", folder / "link")
    name = {
        "up": "../secret.png",
        "absolute": str(tmp_path / "secret.png"),
        "symlink": "link.png",
        "folder symlink": "link/secret.png",
        "sibling": "../f2/secret.png",
    }[how]
    with pytest.raises(
        DataError, match=f"{re.escape(repr(name))} escapes the folder {named(folder)}"
    ):
        inside(folder, name)


@pytest.mark.parametrize("name", ["none.png", ".", "", "https://example.org/a.png"])
def test_name_of_no_file_in_the_folder_is_an_error(tmp_path, name):
    with pytest.raises(DataError, match=named(tmp_path) + ".*no such picture"):
        inside(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["a\0b.png", "a" * 300 + ".png", "loop.png"], ids=["NUL", "too long", "symlink loop"]
)
def test_name_that_no_file_can_have_is_a_data_error(tmp_path, name):
    os.symlink("loop.png", tmp_path / "loop.png")
    with pytest.raises(DataError, match="picture"):
        inside(tmp_path, name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a whole picture: it is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG; draw it as PNG"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC; convert it"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page, not the picture"),
        (b"%PDF-1.7 ...", "PDF; save its picture"),
    ],
)
def test_a_whole_file_of_another_kind_is_said_to_be_what_it_is(tmp_path, content, what):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=named(path) + ".*" + what):
        load_image(path)
    with pytest.raises(DataError, match="the picture: .*" + what):
        load_image(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_is_scaled_as_it_is_read_and_looks_the_same(tmp_path, kind):
    x, y = np.meshgrid(np.linspace(0, 1, 2400), np.linspace(0, 1, 1600))
    pixels = np.stack([x, y, (np.sin(12 * x) * np.cos(9 * y) + 1) / 2], axis=-1) * 255
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(pixels.astype(np.uint8)).save(path, kind)
    whole, scaled = load_image(path), load_image(path, 224)
    assert whole.size == (2400, 1600)
    assert 224 <= min(scaled.size) < 448
    a, b = (np.asarray(i.resize((96, 64)), dtype=float) for i in (whole, scaled))
    assert np.abs(a - b).mean() < 1.5


def test_a_small_picture_is_read_as_it_is(tmp_path):
    path = saved(tmp_path, noise(size=(300, 280)), "a.png")
    assert np.array_equal(np.asarray(load_image(path, 224)), np.asarray(load_image(path)))
