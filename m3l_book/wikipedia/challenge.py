"""Files of the Wikipedia image–caption challenge (Wikimedia, 2021): what pictures look like, in 300
pixels, and their ResNet-50 features; a line a picture, its address first, tab-separated.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .streams import lines

FEATURES = 2048
BROKEN_PIXELS = "pictures of the challenge that are not base64"
BROKEN_FEATURES = f"pictures of the challenge without {FEATURES:,} numbers"


def pixels(
    path: str | Path, counts: Counter, wanted: Callable[[str], str | None]
) -> Iterator[tuple[str, bytes]]:
    """The pictures of a file that are wanted: what ``wanted`` makes of their address, and the bytes
    of their file.
    """
    for key, rest in _wanted(path, counts, wanted):
        try:
            data = base64.b64decode(rest.split(b"\t")[0].strip(), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if data:
            yield key, data
        else:
            counts[BROKEN_PIXELS] += 1


def features(
    path: str | Path, counts: Counter, wanted: Callable[[str], str | None]
) -> Iterator[tuple[str, np.ndarray]]:
    """The features, float32 (2048,), of the pictures of a file that are wanted."""
    for key, rest in _wanted(path, counts, wanted):
        numbers = rest.strip().strip(b'"').split(b",")
        try:
            vector = np.array(numbers, dtype=np.float64).astype(np.float32)
        except ValueError:
            vector = np.empty(0, np.float32)
        if vector.shape == (FEATURES,) and np.isfinite(vector).all():
            yield key, vector
        else:
            counts[BROKEN_FEATURES] += 1


def _wanted(
    path: str | Path, counts: Counter, wanted: Callable[[str], str | None]
) -> Iterator[tuple[str, bytes]]:
    """The lines of wanted pictures, without their address: of the others nothing is decoded."""
    for line in lines(path, counts):
        address, tab, rest = line.partition(b"\t")
        key = wanted(address.decode("utf-8", "replace")) if tab else None
        if key is not None:
            yield key, rest
