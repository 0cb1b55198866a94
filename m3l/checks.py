"""What training asks of its input, and of its numbers on the way."""

import numpy as np

from .corpus import Corpus
from .errors import DataError, TrainingDiverged, require
from .loss import Objective
from .model import M3L

Prior = tuple[np.ndarray, np.ndarray]
"""Mean and log σ² of a prior for each tuple, float32 (N, K) each."""


def check_training(
    model: M3L, corpus: Corpus, objective: Objective, batch_size: int, prior: Prior | None
) -> None:
    """Raise `ParameterError` or `DataError`, as `fit` says, if a model cannot be trained so."""
    n, where = len(corpus), f"corpus {corpus.name}"
    views = sorted(model.views), sorted(corpus.views)
    unlike = f"the model has views {views[0]}, {where} has {views[1]}"
    require(views[0] == views[1], unlike, DataError)
    for name, spec in model.views.items():
        view = corpus.views[name]
        has = view.embeddings.shape[1], len(view.vocabulary or ())
        expected = spec.embedding_size, spec.vocabulary_size
        found = f"view {name!r}: the corpus has embeddings of size {has[0]} and {has[1]} words"
        need = f"the model expects {expected[0]} and {expected[1]}"
        require(has == expected, f"{found}, {need}", DataError)
        known = model.vocabularies.get(name, view.vocabulary)
        other = f"view {name!r}: the corpus has other words than the model"
        require(known == view.vocabulary, other, DataError)
    require(n >= 2, f"{where}: training needs 2 tuples or more, it has {n}", DataError)
    large = f"batch_size={batch_size} is larger than the {n} tuples of {where}"
    require(batch_size <= n, f"{large}; expected {n} or less")
    most = np.sum([view.present for view in corpus.views.values()], axis=0).max()
    compares = f"objective.kl={objective.kl!r} compares views and no tuple has two"
    cure = "for a single view use the preset 'zeroshot'"
    require(objective.kl == "prior" or most > 1, f"{compares}; {cure}")
    if prior is None:
        nothing = f"{where}: no view has words to learn from"
        cure = "add a text view, or give a teacher's prior"
        require(len(corpus.text_views) > 0, f"{nothing}; {cure}", DataError)
        return
    useless = f"objective.kl={objective.kl!r} has no use for a prior"
    require(objective.kl == "prior", f"{useless}; with a teacher use the preset 'zeroshot'")
    shape = n, model.topics
    parts = [np.asarray(part) for part in prior]
    fits = len(parts) == 2 and all(p.shape == shape and p.dtype == np.float32 for p in parts)
    expected = f"prior: expected finite float32 of shape {shape}, mean and log-variance"
    cure = "the teacher must have the student's number of topics"
    finite = fits and all(np.isfinite(part).all() for part in parts)
    require(finite, f"{expected}, a row per tuple; {cure}", DataError)


def check_finite(values: dict[str, float], epoch: int, objective: Objective) -> None:
    """Raise `TrainingDiverged` naming the values that are not finite."""
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"epoch {epoch}: {' and '.join(bad)} not finite; the last checkpoint, if any, is"
            f" intact. Try a smaller learning_rate (now {objective.learning_rate}) or a larger"
            f" temperature (now {objective.temperature}), or check the scale of the embeddings."
        )


def sums_of_weights(model: M3L) -> dict[str, float]:
    """Return a number per tensor of the model that is finite if all its entries are."""
    weights = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return {name: float(value.abs().sum()) for name, value in weights.items()}
