"""Distances between items: of their topics, and of their raw embeddings."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import torch
from scipy.special import xlogy

from ..errors import DataError, require


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows that sum to 1: p, q (..., K) -> (...,).

    In nats, at most ln 2.

    >>> round(float(jensen_shannon([1.0, 0.0], [0.0, 1.0])), 3)
    0.693
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = 0.5 * (p + q)
    return np.maximum((0.5 * (xlogy(p, p) + xlogy(q, q)) - xlogy(m, m)).sum(axis=-1), 0.0)


def jensen_shannon_matrix(
    p: np.ndarray, q: np.ndarray, chunk_bytes: int = 1 << 20
) -> Iterator[tuple[int, np.ndarray]]:
    """Jensen–Shannon divergence of every row of p (N, K) to every row of q (M, K), in chunks.

    Yields
    ------
    (start, float64 (n, M)): the rows of p from ``start`` on.
    """
    p, q = (np.ascontiguousarray(x, dtype=np.float64) for x in (p, q))
    require(
        p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1],
        f"expected two arrays with as many topics, got {p.shape} and {q.shape}",
        DataError,
    )
    blocks = _compiled if find_spec("numba") else _by_torch
    yield from blocks(p, q, chunk_bytes)


def _compiled(p: np.ndarray, q: np.ndarray, chunk_bytes: int) -> Iterator[tuple[int, np.ndarray]]:
    """The blocks from compiled loops, each by as many threads as torch has."""
    from ..kernels.divergence import divergences, negative_entropies

    p_entropy, q_entropy = np.empty(len(p)), np.empty(len(q))
    negative_entropies(p, p_entropy)
    negative_entropies(q, q_entropy)
    step, threads = max(1, chunk_bytes // (8 * len(q) + 1)), torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(p), step):
            end = min(start + step, len(p))
            block = np.empty((end - start, len(q)))
            cuts = np.linspace(start, end, threads + 1).astype(int)

            def part(a, b, block=block, start=start):
                divergences(p[a:b], q, p_entropy[a:b], q_entropy, block[a - start : b - start])

            list(pool.map(part, cuts[:-1], cuts[1:]))
            yield start, block


def _by_torch(p: np.ndarray, q: np.ndarray, chunk_bytes: int) -> Iterator[tuple[int, np.ndarray]]:
    """The blocks where numba is not installed; torch's logarithm is several times numpy's speed."""
    p, q = torch.from_numpy(p), torch.from_numpy(q)
    p_entropy, q_entropy = torch.xlogy(p, p).sum(1), torch.xlogy(q, q).sum(1)  # negated
    step = max(1, chunk_bytes // (8 * q.numel() + 1))
    for start in range(0, len(p), step):
        m = p[start : start + step, None] + q[None]  # (n, M, K), twice the mean
        m *= 0.5
        cross = torch.where(m > 0, m, 1.0).log_().mul_(m).sum(2)
        distance = 0.5 * (p_entropy[start : start + step, None] + q_entropy[None]) - cross
        yield start, distance.clamp_(min=0.0).numpy()


def cosine_matrix(p: np.ndarray, q: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Cosine distance of every row of p (N, D) to every row of q (M, D), in chunks.

    Yields as `jensen_shannon_matrix` does.
    """
    require(
        p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1],
        f"expected two arrays of one dimension, got {p.shape} and {q.shape}",
        DataError,
    )

    p, q = unit_rows(p), unit_rows(q)
    for start in range(0, len(p), 1024):
        # equal vectors stay tied whatever BLAS rounds
        yield start, np.round(1.0 - p[start : start + 1024] @ q.T, 12)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """The rows of x (N, D) divided by their length, in double precision; a row of zeros stays."""
    x = np.asarray(x, dtype=np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
