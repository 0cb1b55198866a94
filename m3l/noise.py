"""Random numbers of inference, which depend on what is inferred and not on where it stands."""

import zlib

import numpy as np


def noise_of_items(items: np.ndarray, seed: int) -> np.random.Generator:
    """A generator of the noise of an array of items.

    The array's checksum keeps row i of two views from sharing its noise, which would align them and
    flatter retrieval.
    """
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(items).data)])
