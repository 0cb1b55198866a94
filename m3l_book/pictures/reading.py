"""Pictures from files that nobody has vouched for, found by the names that tables give them."""

import difflib
import io
import os
import re
import shlex
import unicodedata
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from m3l.errors import DataError, require

MAX_PIXELS = 64_000_000

# what files called pictures often are: a sign in lower case -> where it stands, and what to do
OTHERS = {
    b"ftyphei": (4, "HEIC; convert it to JPEG or PNG"),
    b"ftypmif1": (4, "HEIC; convert it to JPEG or PNG"),
    b"<!doctype html": (0, "a web page, not the picture that it shows; download the picture"),
    b"<html": (0, "a web page, not the picture that it shows; download the picture"),
    b"<svg": (0, "SVG; draw it as PNG"),
    b"<?xml": (0, "XML, perhaps SVG; draw it as PNG"),
    b"%!ps": (0, "EPS, which is a program; draw it as PNG"),
    b"%pdf": (0, "PDF; save its picture as PNG or JPEG"),
    b"\x00\x00\x00\x0cjp": (0, "JPEG 2000; convert it to JPEG or PNG"),
}
"""Files that are not taken for pictures."""

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "TIFF", "BMP", "DIB", "WEBP", "AVIF", "PPM", "ICO", "TGA")
FORMATS += ("PCX", "JPEG2000")
"""Formats whose decoders read pixels; none hands a file to a program, as Pillow's of EPS does."""

ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://|^data:", re.IGNORECASE)
SEPARATORS = (";", "|", ",", "\n")


def load_image(source: str | Path | bytes, least: int = 0) -> Image.Image:
    """Read a picture, of a file or its bytes, as 8-bit RGB, upright, transparency on white, one
    frame of an animation.

    A picture of which both sides are at least twice ``least`` pixels is scaled down as it is read,
    to no less than that, which saves memory and time; 0 is for the whole of it.

    Raises
    ------
    DataError
        Naming the file and what it is: it is missing, no picture, truncated, of a format that is
        not read, or of more than 64 million pixels.
    """
    where = "the picture" if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = io.BytesIO(source) if isinstance(source, bytes) else source
            Image.init()  # names the formats that this machine's Pillow was built with
            with Image.open(file, formats=[f for f in FORMATS if f in Image.OPEN]) as image:
                width, height = image.size
                large = f"{where}: {width}×{height} pixels; at most {MAX_PIXELS:,} are read"
                require(width * height <= MAX_PIXELS, large, DataError)
                image.seek(0)
                if least:  # a JPEG is decoded at an eighth, a quarter or half of its size
                    image.draft(image.mode, (least, least))
                image.load()
                upright = _to_rgb(ImageOps.exif_transpose(image))
                factor = min(upright.size) // least if least else 1
                return upright.reduce(factor) if factor > 1 else upright
    except FileNotFoundError:
        raise DataError(f"{where}: no such picture") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: too many pixels ({error})") from error
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds on a broken file
        raise DataError(f"{where}: {_not_a_picture(source, error)}") from error


def _not_a_picture(source: str | Path | bytes, error: Exception) -> str:
    """Say what a file is that cannot be read as a picture, and what to do about it."""
    if isinstance(source, bytes):
        start = source[:512]
    elif Path(source).is_file() and os.access(source, os.R_OK):
        with open(source, "rb") as file:
            start = file.read(512)
    else:
        return f"not a whole picture ({str(error)[:200]})"
    if start == b"":
        return "not a whole picture: it is empty"
    for sign, (place, what) in OTHERS.items():
        if sign in start[place : place + 256].lower():
            return f"not a picture that is read here: {what}"
    return f"not a whole picture ({str(error)[:200]})"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bit: to the full range of 8 bit
        values = np.asarray(image, dtype=np.float64)
        largest = np.nanmax(values, initial=0)  # numbers of 32 bit say nothing of their range
        top = 65535.0 if image.mode.startswith("I;16") or largest > 255 else 255.0
        top = 1.0 if image.mode == "F" and largest <= 1 else top
        image = Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def inside(folder: str | Path, name: str) -> Path:
    """Give the path of a picture in a folder; `DataError` if it leaves it or is not there."""
    try:
        folder, path = Path(folder).resolve(), (Path(folder) / name).resolve()
        exists = path.is_file()
        link = exists and Path(os.path.normpath(folder / name)).is_relative_to(folder)
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise DataError(f"picture {name!r} in {folder}: no name of a file ({error})") from error
    escapes = f"picture {name!r} escapes the folder {folder}"
    if link:
        copied = shlex.quote(f"{folder}-copied")
        cure = f"copy what links lead to: cp -rL {shlex.quote(str(folder))} {copied}"
        escapes += f": it is a link to {path}; {cure}, and name that folder"
    require(path.is_relative_to(folder), escapes, DataError)
    require(exists, f"{path}: no such picture", DataError)
    return path


class PictureFolder:
    """Finds pictures in a folder by the names that tables give them, however they are spelled.

    ``respelled`` are the names that were found under another spelling: in the table -> in the
    folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.respelled: dict[str, str] = {}
        require(self.path.is_dir(), f"{path}: no such folder of pictures", DataError)

    def find(self, name: str) -> Path:
        """Give the file of a picture.

        A name that is not there as it stands is looked for without outer blanks, with ``/`` for
        a backslash, in the other Unicode form, and in capitals or small letters; the file is taken
        if it is the only one.

        An address, a name that leaves the folder, and one that fits no file or several, are a
        `DataError`.
        """
        if ADDRESS.match(name):
            cure = "pictures are not fetched. Download them, and name the files"
            raise DataError(f"no such picture: {_quoted(name)} is an address; {cure}")
        try:
            return inside(self.path, name)
        except DataError as error:
            if "no such picture" not in str(error):
                raise
        likely = self._by_spelling.get(_plain(name), [])
        if len(likely) == 1:
            self.respelled[name] = likely[0]
            return inside(self.path, likely[0])
        if likely:
            files = ", ".join(map(_quoted, likely[:3]))
            raise DataError(f"no such picture: {_quoted(name)}, and several are near it: {files}")
        raise DataError(f"no such picture: {_quoted(name)} in {self.path}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        """Say what the writer of a name that fits no file may have meant."""
        for sign in SEPARATORS:
            parts = [part for part in name.split(sign) if part.strip()]
            if len(parts) > 1 and all(_plain(part) in self._by_spelling for part in parts):
                cure = f"say picture_separator={sign!r} (--picture-separator)"
                return f"; if it is several, {cure}"
        base = _plain(name).rsplit("/", 1)[-1]
        near = self._by_spelling.get(base, []) + [
            files[0] for key, files in self._by_spelling.items() if key.endswith(f"/{base}")
        ]
        if near and _plain(near[0]).endswith(f"/{_plain(name)}"):
            below = _plain(name).count("/") + 1
            folder = shlex.quote(str(Path(self.path, near[0]).parents[below - 1]))
            return f"; there is {_quoted(near[0])}: say --pictures {folder}"
        if not near:  # few enough to compare with each other letter by letter
            some = [files[0] for files in list(self._by_spelling.values())[:2000]]
            near = difflib.get_close_matches(name, some, 1, 0.8)
        return f"; there is {_quoted(near[0])}" if near else ""

    @cached_property
    def _by_spelling(self) -> dict[str, list[str]]:
        """The files below the folder, by what their names have in common with other spellings."""
        files: dict[str, list[str]] = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name).relative_to(self.path).as_posix()
                files.setdefault(_plain(path), []).append(path)
        return files


def _plain(name: str) -> str:
    """Give what spellings of one name share."""
    name = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    return name.removeprefix("./").casefold()


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}…")
