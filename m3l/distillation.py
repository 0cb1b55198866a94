"""ZeroshotTM-KD: a student learns the topics of a frozen teacher (Section 4.3)."""

from collections.abc import Sequence

import numpy as np

from .corpus import Corpus
from .errors import DataError, choose, require
from .model import M3L


def teacher_prior(
    teacher: M3L, corpus: Corpus, view: str, floor: float = -2.0
) -> tuple[np.ndarray, np.ndarray]:
    """The prior of a student: the frozen teacher's posterior of each tuple's item of ``view``.

    Batch normalisation gives log σ² unit spread a topic, so a topic that few documents have gets σ²
    of nearly zero for them: a student's KL to such a prior is so large that nothing else is learnt.

    Parameters
    ----------
    teacher : M3L
    corpus : Corpus
        The student's training part.
    view : str
        What the teacher reads.
    floor : float
        The least log σ² of the prior; the paper mentions none, which is ``-inf``.

    Returns
    -------
    Mean and log σ², float32 (N, K) each.

    Raises
    ------
    DataError
        A tuple lacks the view.
    """
    choose("view", view, corpus.views)
    items = corpus.views[view]
    lacking = np.flatnonzero(~items.present)
    require(
        len(lacking) == 0,
        f"corpus {corpus.name}: {len(lacking)} tuples lack view {view!r}, which the teacher reads, "
        f"the first at row {lacking[:1]}",
        DataError,
    )
    number = isinstance(floor, (int, float)) and floor == floor
    require(number, f"floor={floor!r}: expected a number")
    mean, log_variance = teacher.posterior(items.embeddings, view)
    return mean[items.index], np.maximum(log_variance, np.float32(floor))[items.index]


def taught_part(
    teacher: M3L, corpus: Corpus, view: str, views: Sequence[str], floor: float = -2.0
) -> tuple[Corpus, tuple[np.ndarray, np.ndarray]]:
    """What a student learns from: the tuples that its teacher can read, and their priors.

    Parameters
    ----------
    teacher, corpus, view, floor
        As in `teacher_prior`; tuples that lack ``view`` or one of ``views`` are left out.
    views : list of str
        What the student reads.

    Returns
    -------
    The corpus with ``views`` alone, N tuples, and mean and log σ², float32 (N, K) each.
    """
    both = corpus.having([view, *views])
    prior = teacher_prior(teacher, both, view, floor)
    part = both.select(views)
    rows = np.isin(both.tuple_ids, part.tuple_ids)
    return part, (prior[0][rows], prior[1][rows])
