"""What training asks of its input, checked before anything is computed."""

import numpy as np

from .corpus import Corpus
from .errors import DataError, require
from .loss import Objective
from .model import M3L

Prior = tuple[np.ndarray, np.ndarray]


def check_training(
    model: M3L, corpus: Corpus, objective: Objective, batch_size: int, prior: Prior | None
) -> None:
    """Check that a model can be trained so.

    Raises
    ------
    ParameterError
        The batch is larger than the corpus, or the objective has no use for what it is given.
    DataError
        Views do not match, no view has words and there is no teacher, or the prior does not fit.
    """
    _check_views(model, corpus)
    _check_size(corpus, objective, batch_size, prior is not None)
    if prior is not None:
        _check_prior(model, len(corpus), objective, prior)


def _check_views(model: M3L, corpus: Corpus) -> None:
    require(
        set(model.views) == set(corpus.views),
        f"the model has views {sorted(model.views)}, corpus {corpus.name} has"
        f" {sorted(corpus.views)}",
        DataError,
    )
    for name, spec in model.views.items():
        view = corpus.views[name]
        size, words = view.embeddings.shape[1], len(view.vocabulary or ())
        require(
            (size, words) == (spec.embedding_size, spec.vocabulary_size),
            f"view {name!r}: the corpus has embeddings of size {size} and {words} words, the model "
            f"expects {spec.embedding_size} and {spec.vocabulary_size}",
            DataError,
        )


def _check_size(corpus: Corpus, objective: Objective, batch_size: int, has_prior: bool) -> None:
    n, where = len(corpus), f"corpus {corpus.name}"
    require(n >= 2, f"{where}: training needs 2 tuples or more, it has {n}", DataError)
    require(
        batch_size <= n,
        f"batch_size={batch_size} is larger than the {n} tuples of {where}; expected {n} or less",
    )
    require(
        objective.kl == "prior" or len(corpus.views) > 1,
        f"objective.kl={objective.kl!r} compares views and there is one; for a single view use the "
        "preset 'zeroshot'",
    )
    require(
        has_prior or len(corpus.text_views) > 0,
        f"{where}: no view has words to learn from; add a text view, or give a teacher's prior",
        DataError,
    )


def _check_prior(model: M3L, n: int, objective: Objective, prior: Prior) -> None:
    require(
        objective.kl == "prior",
        f"objective.kl={objective.kl!r} has no use for a prior; with a teacher use the preset "
        "'zeroshot'",
    )
    shape = (n, model.topics)
    fits = len(prior) == 2 and all(
        isinstance(array, np.ndarray)
        and array.shape == shape
        and array.dtype == np.float32
        and np.isfinite(array).all()
        for array in prior
    )
    require(
        fits,
        f"prior: expected finite float32 of shape {shape}, mean and log-variance, a row a tuple; "
        "the teacher must have the student's number of topics",
        DataError,
    )
