"""Distances between items: of their topics, and of their raw embeddings."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import xlogy

from ..errors import DataError, require


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence of rows that sum to 1: p, q (..., K) -> (...,).

    In nats, at most ln 2.
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = 0.5 * (p + q)
    return np.maximum((0.5 * (xlogy(p, p) + xlogy(q, q)) - xlogy(m, m)).sum(axis=-1), 0.0)


def jensen_shannon_matrix(
    p: np.ndarray, q: np.ndarray, chunk_bytes: int = 4 << 20
) -> Iterator[tuple[int, np.ndarray]]:
    """Jensen–Shannon divergence of every row of p (N, K) to every row of q (M, K), in chunks.

    Yields
    ------
    (start, float64 (n, M)): the rows of p from ``start`` on.
    """
    # torch: its logarithm is several times numpy's speed
    p, q = (torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)) for x in (p, q))
    require(
        p.ndim == q.ndim == 2 and p.shape[1] == q.shape[1],
        f"expected two arrays with as many topics, got {tuple(p.shape)} and {tuple(q.shape)}",
        DataError,
    )
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
