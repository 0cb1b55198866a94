"""How the spaces of two views lie to each other."""

import numpy as np

from ..errors import DataError, require
from .divergence import cosine_matrix, unit_rows


def modality_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Distance between the centres of two views' unit vectors, (N, D) and (M, D).

    0 where they are mixed, at most 2 (Liang et al. 2022).

    >>> modality_gap(np.array([[2.0, 0.0]]), np.array([[-3.0, 0.0]]))
    2.0
    """
    require(
        a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1],
        f"expected two arrays of one dimension, got {a.shape} and {b.shape}",
        DataError,
    )
    return float(np.linalg.norm(unit_rows(a).mean(axis=0) - unit_rows(b).mean(axis=0)))


def neighbour_overlap(a: np.ndarray, b: np.ndarray, k: int = 10) -> float:
    """Share of the ``k`` nearest neighbours that paired items have in common in two spaces.

    By cosine; a (N, D), b (N, D'). It is k / (N − 1) on average for unrelated vectors, 1 for the
    same geometry; the spaces need not be comparable (Huh et al. 2024).
    """
    require(
        len(a) == len(b) > k >= 1,
        f"{len(a)} and {len(b)} paired items, k={k}: expected as many, and more than k",
        DataError,
    )
    sets = []
    for x in (a, b):
        similarity = -np.concatenate([block for _, block in cosine_matrix(x, x)])
        np.fill_diagonal(similarity, -np.inf)
        nearest = np.zeros(similarity.shape, dtype=bool)
        np.put_along_axis(nearest, np.argpartition(-similarity, k, axis=1)[:, :k], True, axis=1)
        sets.append(nearest)
    return float((sets[0] & sets[1]).sum(axis=1).mean() / k)
