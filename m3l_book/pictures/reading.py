"""Pictures from files that nobody has vouched for."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from m3l.errors import DataError, require

MAX_PIXELS = 64_000_000


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


def load_image(path: str | Path) -> Image.Image:
    """The picture in a file as 8-bit RGB, upright, transparency on white, the first frame of an
    animation.

    Raises
    ------
    DataError
        Naming the file: it is missing, no picture, truncated, or has more than 64 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                require(
                    width * height <= MAX_PIXELS,
                    f"{path}: {width}×{height} pixels; at most {MAX_PIXELS:,} are read",
                    DataError,
                )
                image.seek(0)
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too many pixels ({error})") from error
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds on a broken file
        raise DataError(f"{path}: not a whole picture ({error})") from error


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
