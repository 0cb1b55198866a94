"""Random numbers of inference: they depend on the item, and on nothing that stands beside it.

Two views' items differ in content or in the name of their view, so they share no noise: shared
noise would align them, and flatter retrieval.
"""

from hashlib import blake2b

import numpy as np


def item_keys(contents: list[bytes], view: str, seed: int) -> np.ndarray:
    """A key of each item, uint64 (M, 2), from its content, its view and ``seed``."""
    salt = f"{seed} {view} ".encode()
    digests = b"".join(blake2b(salt + content, digest_size=16).digest() for content in contents)
    return np.frombuffer(digests, dtype="<u8").reshape(len(contents), 2)


def normal_of_items(items: np.ndarray, view: str, seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Standard normal numbers of each item: items (M, D), a shape (S, K) -> float32 (M, S, K)."""
    keys = item_keys([row.tobytes() for row in np.ascontiguousarray(items)], view, seed)
    numbers = np.empty((len(items), *shape), dtype=np.float32)
    for key, own in zip(keys, numbers, strict=True):
        # a counter-based generator needs no seeding beyond its key (Salmon et al. 2011)
        np.random.Generator(np.random.Philox(key=key)).standard_normal(out=own, dtype=np.float32)
    return numbers
