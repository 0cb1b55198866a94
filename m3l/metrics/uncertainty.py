"""How far a mean can be believed: both the test articles and the training seeds are drawn.

A model is trained a few times and measured on many articles, and the question is what would come
out with other seeds and other articles. Both are random effects, and they are crossed: every seed
is measured on every article (Clark 1973, The language-as-fixed-effect fallacy; Baayen, Davidson &
Bates 2008). The design is balanced, so that the components of variance have a closed form (Searle,
Casella & McCulloch 1992, ch. 4). The degrees of freedom of a sum of variances are Satterthwaite's
(1946), several tests are corrected as Holm (1979) does, and two means are called equal by two
one-sided tests (Schuirmann 1987). All is conditional on the one training corpus. Seeds of different
models are taken as independent; a student shares its teacher's, so that its difference from the
teacher looks less certain than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t; all of scipy.stats takes long to import

from ..errors import DataError, require


@dataclass(frozen=True)
class Estimate:
    """A weighted sum of means.

    Attributes
    ----------
    value : float
    error : float
        Its standard error.
    freedom : float
        Degrees of freedom of that error.
    seeds : int
        Of the model that was trained least often.
    of_units, of_seeds, of_both : float
        The parts of the squared error that become smaller with more units alone, with more seeds
        alone, and with either.
    """

    value: float
    error: float
    freedom: float
    seeds: int
    of_units: float
    of_seeds: float
    of_both: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the bounds of the values that a t test at ``1 - level`` does not refuse."""
        require(0 < level < 1, f"level={level}: expected a number between 0 and 1")
        half = -float(stdtrit(self.freedom, (1 - level) / 2)) * self.error
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        """Return the p value of the two-sided t test that the sum is zero."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))

    def p_equal(self, margin: float) -> float:
        """Return the p value of two one-sided t tests that the sum is not within ± ``margin``: at
        0.05 or below its 90 % interval lies inside.
        """
        inside = margin - abs(self.value)
        if self.error == 0:
            return 0.0 if inside > 0 else 1.0
        return float(stdtr(self.freedom, -inside / self.error))


def estimate(
    values: Sequence[np.ndarray],
    weights: Sequence[float],
    units: Sequence | np.ndarray | None = None,
    paired: bool = True,
    constant: float = 0.0,
) -> Estimate:
    """Estimate Σ weight · mean(values) + constant.

    A value of a model is its mean, plus what the seed adds, what the unit adds, and what both add
    together. Of the sum's variance the units' part is seen in the units' means over seeds, and that
    of a model's seeds in the seeds' means over units. The interaction is in both of these, and so
    it is taken off once. A component below zero counts as zero.

    Parameters
    ----------
    values : arrays (S_i, N_i)
        Each seed's value of each measurement: a query, an aligned pair, a topic. One seed adds no
        variance; whether it may stand for others is for the caller to say.
    weights : as many floats
        (1, −1) for a difference.
    units : N labels, optional
        Measurements of one unit, such as the pictures of an article, are one draw; by default each
        is its own.
    paired : bool
        The measurements of all arrays are of the same units, so that easy and hard ones cancel;
        else each measurement of each array is a unit of its own, and ``units`` must be None.
    constant : float

    Raises
    ------
    DataError
        The shapes do not fit, a value is not finite, or there are fewer than two units.
    """
    arrays = [np.asarray(x, dtype=np.float64) for x in values]
    message = f"{len(arrays)} arrays and {len(weights)} weights: expected as many"
    require(len(arrays) == len(weights) > 0, message, DataError)
    shapes = [x.shape for x in arrays]
    message = f"expected arrays (seeds, measurements), got {shapes}"
    require(all(len(s) == 2 and min(s) > 0 for s in shapes), message, DataError)
    require(all(np.isfinite(x).all() for x in arrays), "the values hold NaN or infinity", DataError)
    same = len({s[1] for s in shapes}) == 1 and (units is None or len(units) == shapes[0][1])
    message = f"expected measurements of the same units, got {' and '.join(map(str, shapes))}"
    message += f" and {len(units)} units" if units is not None else ""
    require(same or not paired, message, DataError)
    alone = "units: with paired=False every measurement is a unit of its own"
    require(paired or units is None, alone, DataError)

    parts = [w * _by_unit(x, units) for w, x in zip(weights, arrays, strict=True)]
    means = [part.mean(axis=0) for part in parts]
    # mean squares, each as a share of the sum's variance, with their degrees of freedom
    squares = [_square(m) for m in ([sum(means)] if paired else means)]
    total, of_seeds, of_both = sum(variance for variance, _ in squares), 0.0, 0.0
    for weight, x, part, mean in zip(weights, arrays, parts, means, strict=True):
        seeds = len(x)
        if seeds > 1:
            among = weight**2 * float(x.mean(axis=1).var(ddof=1)) / seeds
            both = sum(_square(p - mean)[0] for p in part) / (seeds * (seeds - 1))
            of_both += both
            if among > both:
                of_seeds += among - both
                squares += [(among, seeds - 1), (both, (seeds - 1) * (part.shape[1] - 1))]
    of_both = min(of_both, total)
    of_units, total = total - of_both, total + of_seeds
    below = sum(variance**2 / freedom for variance, freedom in squares)
    freedom = total**2 / below if below > 0 else float(squares[0][1])
    value = sum(w * float(x.mean()) for w, x in zip(weights, arrays, strict=True)) + constant
    fewest = min(map(len, arrays))
    error = float(np.sqrt(total))
    return Estimate(value, error, freedom, fewest, of_units, of_seeds, of_both)


def _by_unit(x: np.ndarray, units: Sequence | np.ndarray | None) -> np.ndarray:
    """Return how much each unit's measurements raise the mean of each seed of ``x``, (S, N) ->
    (S, units).
    """
    labels = np.arange(x.shape[1]) if units is None else np.unique(units, return_inverse=True)[1]
    above = x - x.mean(axis=1, keepdims=True)
    return np.stack([np.bincount(labels, weights=row) for row in above]) / x.shape[1]


def _square(raised: np.ndarray) -> tuple[float, int]:
    """Return the variance of a sum of ``raised`` (units,) over draws of units, and its degrees of
    freedom.
    """
    drawn = len(raised)
    require(drawn > 1, f"{drawn} unit: an interval needs two or more", DataError)
    return float(drawn / (drawn - 1) * (raised**2).sum()), drawn - 1


def interval_of_mean(
    values: np.ndarray, units: Sequence | np.ndarray | None = None
) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of ``values``, (N,) or (S, N), as `estimate` has it;
    None if they are of one unit alone.

    >>> [round(bound, 2) for bound in interval_of_mean(np.array([0.0, 1.0, 0.0, 1.0]))]
    [-0.42, 1.42]
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    drawn = values.shape[1] if units is None else len(np.unique(units))
    return estimate([values], [1.0], units).interval() if drawn > 1 else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p values of a family of tests as Holm (1979) does: where those at or below a
    level count as significant, the chance of any false one is at most that level.

    >>> [round(p, 2) for p in holm([0.01, 0.04])]
    [0.02, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    message = f"expected p values between 0 and 1, got {list(p_values)}"
    require(p.ndim == 1 and bool(((p >= 0) & (p <= 1)).all()), message, DataError)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected.tolist()
