"""The model as scikit-learn has models: parameters in the constructor, `fit` and `transform`."""

from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .corpus import Corpus
from .errors import ParameterError, choose, require
from .loss import Objective
from .model import M3L, model_for
from .train import TrainConfig, fit
from .trained import top_documents


class M3LTopicModel(TransformerMixin, BaseEstimator):
    """M3L-Contrast for a `Corpus`; with one text view and objective ``"zeroshot"``, ZeroshotTM.

    Parameters
    ----------
    n_topics : int
        K.
    objective : str
        A preset of `m3l.Objective`.
    epochs, batch_size : int
    input_scaling : {"none", "scale", "standardize"}
    share_text_network : bool
        One inference network for all languages.
    layers : {1, 2}
        Hidden layers of an inference network.
    samples : int
        Posterior samples averaged by `transform`.
    random_state : int
    device : str
        ``"auto"`` (a GPU, where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    progress : bool
        Show a progress bar.

    Attributes
    ----------
    model_ : M3L
    history_ : list of dict
        The loss terms of each epoch.
    """

    def __init__(
        self,
        n_topics: int = 100,
        objective: str = "book",
        epochs: int = 100,
        batch_size: int = 32,
        input_scaling: str = "standardize",
        share_text_network: bool = False,
        layers: int = 2,
        samples: int = 20,
        random_state: int = 0,
        device: str = "auto",
        progress: bool = False,
    ):
        self.n_topics = n_topics
        self.objective = objective
        self.epochs = epochs
        self.batch_size = batch_size
        self.input_scaling = input_scaling
        self.share_text_network = share_text_network
        self.layers = layers
        self.samples = samples
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(self, corpus: Corpus, y: None = None) -> "M3LTopicModel":
        """Train on a corpus (the training part alone); the estimator itself.

        Raises
        ------
        ParameterError
            ``corpus`` is no `Corpus`, or a parameter is out of range.
        """
        _require_corpus(corpus)
        config = TrainConfig(self.epochs, self.batch_size, self.random_state, self.device)
        self.model_ = model_for(
            corpus,
            self.n_topics,
            self.input_scaling,
            self.random_state,
            share_text_network=self.share_text_network,
            layers=self.layers,
        )
        objective = Objective.preset(self.objective)
        self.history_ = fit(self.model_, corpus, objective, config, progress=self.progress)
        return self

    def transform(self, corpus: Corpus, view: str = "") -> np.ndarray:
        """The topics of each tuple: float32 (N, K), rows sum to 1.

        The mean over the model's views that the tuple has; with ``view``, the topics of that view's
        item alone. NaN where a tuple has none of them.
        """
        check_is_fitted(self, "model_")
        _require_corpus(corpus)
        known = [name for name in corpus.views if name in self.model_.views]
        if not known:
            raise ParameterError(f"corpus {corpus.name} has none of the views of the model")
        if view:
            choose("view", view, known)
        total = np.zeros((len(corpus), self.model_.topics), dtype=np.float32)
        counts = np.zeros((len(corpus), 1), dtype=np.float32)
        for name in [view] if view else known:
            items = corpus.views[name]
            theta = self.infer(items.embeddings, name)
            total[items.present] += theta[items.index[items.present]]
            counts[items.present] += 1
        return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)

    def infer(self, embeddings: np.ndarray, view: str) -> np.ndarray:
        """Topics of new documents or pictures: float32 (M, D) -> float32 (M, K)."""
        check_is_fitted(self, "model_")
        return self.model_.infer(embeddings, view, self.samples, self.random_state)

    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """The ``n`` heaviest words of each topic in a language."""
        check_is_fitted(self, "model_")
        return self.model_.top_words(view, n)

    def top_documents(self, corpus: Corpus, view: str, n: int = 5) -> list[list[str]]:
        """The ids of the ``n`` most typical items of each topic in a view."""
        _require_corpus(corpus)
        choose("view", view, corpus.views)
        items = corpus.views[view]
        ids = np.asarray(items.item_ids, dtype=str)
        return ids[top_documents(self.infer(items.embeddings, view), n)].tolist()

    def save(self, path: str | Path) -> None:
        """Write the trained model as safetensors; `M3L.load` reads it back."""
        check_is_fitted(self, "model_")
        self.model_.save(path)

    @classmethod
    def load(cls, path: str | Path, **parameters) -> "M3LTopicModel":
        """An estimator around the model that `save` wrote; ``parameters`` are the constructor's."""
        model = M3L.load(path)
        made = {name: getattr(model, name) for name in ("layers", "share_text_network")}
        made["input_scaling"] = next(iter(model.views.values())).input_scaling
        estimator = cls(**{"n_topics": model.topics, **made, **parameters})
        estimator.model_ = model
        return estimator


def _require_corpus(corpus: object) -> None:
    kind = type(corpus).__name__
    expected = "expected a m3l.Corpus, as Corpus.from_texts makes one"
    require(isinstance(corpus, Corpus), f"corpus is of type {kind}; {expected}")
