"""Pictures from files that nobody has vouched for."""

import io
import warnings
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
    b"%pdf": (0, "PDF; save its picture as PNG or JPEG"),
    b"\x00\x00\x00\x0cjp": (0, "JPEG 2000; convert it to JPEG or PNG"),
}
"""Files that Pillow does not take for pictures."""


def inside(folder: str | Path, name: str) -> Path:
    """The path of picture ``name`` in ``folder``; `DataError` if it leaves the folder or is not
    there.
    """
    try:
        folder, path = Path(folder).resolve(), (Path(folder) / name).resolve()
        exists = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise DataError(f"picture {name!r} in {folder}: no name of a file ({error})") from error
    require(path.is_relative_to(folder), f"picture {name!r} escapes the folder {folder}", DataError)
    require(exists, f"{path}: no such picture", DataError)
    return path


def load_image(source: str | Path | bytes, least: int = 0) -> Image.Image:
    """A picture as 8-bit RGB, upright, transparency on white, the first frame of an animation.

    Parameters
    ----------
    source : path, or bytes of a file
    least : int
        A picture of which both sides are at least twice this many pixels is scaled down as it is
        read, to no less than that; 0 for the whole of it. Memory and time are saved with it.

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
            with Image.open(file) as image:
                width, height = image.size
                require(
                    width * height <= MAX_PIXELS,
                    f"{where}: {width}×{height} pixels; at most {MAX_PIXELS:,} are read",
                    DataError,
                )
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
    """What a file is that cannot be read as a picture, and what to do about it."""
    start = source[:512] if isinstance(source, bytes) else _start(source)
    if start == b"":
        return "not a whole picture: it is empty"
    for sign, (place, what) in OTHERS.items():
        if start and sign in start[place : place + 256].lower():
            return f"not a picture that is read here: {what}"
    return f"not a whole picture ({str(error)[:200]})"


def _start(path: str | Path) -> bytes | None:
    """The first bytes of a file; None of what is no file."""
    if not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        return file.read(512)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bit: to the full range of 8 bit
        values = np.asarray(image, dtype=np.float64)
        top = (
            65535.0
            if image.mode.startswith("I;16") or (image.mode == "I" and values.max(initial=0) > 255)
            else 255.0
        )
        image = Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
