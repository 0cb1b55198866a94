"""How far a mean can be believed: bootstrap intervals."""

from collections.abc import Sequence

import numpy as np

from ..errors import DataError, require


def bootstrap(
    values: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` (N,), resampled over the N units."""
    values = np.asarray(values, dtype=np.float64)
    require(
        values.ndim == 1 and len(values) > 0,
        f"expected values of shape (N,), got {values.shape}",
        DataError,
    )
    return bootstrap_combination([values[None]], [1.0], level=level, draws=draws, seed=seed)


def bootstrap_combination(
    values: Sequence[np.ndarray],
    weights: Sequence[float],
    paired: bool = True,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of Σ weight · mean(values), where both the training seeds and
    the units vary.

    Parameters
    ----------
    values : arrays (S_i, N_i)
        Each seed's value of each unit: a query, an aligned pair, a topic.
    weights : as many floats
        (1, −1) for a difference.
    paired : bool
        The units of all arrays are the same and are resampled together, so that easy and hard ones
        cancel; else each on its own.
    """
    values = [np.asarray(x, dtype=np.float64) for x in values]
    require(draws >= 1, f"draws={draws}: expected 1 or more")
    require(
        len(values) == len(weights) > 0,
        f"{len(values)} arrays and {len(weights)} weights: expected as many",
        DataError,
    )
    shapes = [np.shape(x) for x in values]
    require(
        all(len(s) == 2 and min(s) > 0 for s in shapes),
        f"expected arrays (seeds, units), got {shapes}",
        DataError,
    )
    require(all(np.isfinite(x).all() for x in values), "the values hold NaN or infinity", DataError)
    require(
        not paired or len({s[1] for s in shapes}) == 1,
        f"expected (seeds, queries) of the same queries, got {' and '.join(map(str, shapes))}",
        DataError,
    )
    rng = np.random.default_rng(seed)
    total, times = np.zeros(draws), None
    for x, weight in zip(values, weights, strict=True):
        n = x.shape[1]
        if times is None or not paired:
            taken = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
            times = (
                np.bincount(taken.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
            )  # how often a draw takes each unit
        by_seed = times @ x.T / n  # (draws, S)
        total += weight * np.take_along_axis(
            by_seed, rng.integers(len(x), size=by_seed.shape), axis=1
        ).mean(axis=1)
    low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
