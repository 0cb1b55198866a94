"""What a trained model is asked for: topics of new items, words of topics, a file.

D dimensions of an embedding, K topics, M items, S samples, V words.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .corpus import Corpus
from .errors import DataError, check_integer, choose, require
from .networks import ViewSpec
from .noise import normal_of_items
from .progress import progress_bar
from .saving import read_tensors, write_tensors
from .view import check_embeddings


def mean_of_samples(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return the mean over samples of θ = softmax(z) (Appendix).

    mean, log_variance (B, K), standard normal noise (B, S, K) -> (B, K).
    """
    z = mean[:, None] + noise * (0.5 * log_variance).exp()[:, None]  # (B, S, K)
    return z.softmax(dim=2).mean(dim=1)


class TrainedModel(nn.Module):
    """The part of `m3l.M3L` that uses it once it is trained.

    Attributes
    ----------
    vocabularies : dict of view name to V words
        The words of β's columns, set by `m3l.model_for`; without them `top_words` has nothing to
        say.
    """

    vocabularies: dict[str, list[str]]

    @property
    def beta(self) -> dict[str, Tensor]:
        """The topic–word matrices (K, V) by language."""
        return {name: decoder.beta for name, decoder in self.decoders.items()}

    @torch.no_grad()
    def posterior(
        self, embeddings: np.ndarray, view: str, batch_size: int = 1024, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log σ² of q(z | x), float32 (M, K) each, in evaluation mode.

        Parameters
        ----------
        embeddings : float32 (M, D)
            Of documents or pictures.
        view : str
            Whose inference network reads them. For zero-shot use it is the language that the model
            was trained on: the input scaling is then that language's too.
        batch_size : int
            It changes memory, and the result by rounding alone.

        Raises
        ------
        ParameterError
            The view is unknown, or ``batch_size`` is below 1.
        DataError
            The embeddings are not finite float32 of the dimension that the view was built for.
        """
        choose("view", view, self.views)
        check_integer("batch_size", batch_size, 1)
        check_embeddings(embeddings, view, self.views[view].embedding_size)
        device, training = next(self.parameters()).device, self.training
        results = np.empty((2, len(embeddings), self.topics), dtype=np.float32)
        starts = range(0, len(embeddings), batch_size)
        self.eval()
        try:
            for start in progress_bar(starts, progress, desc=f"topics of {view}"):
                rows = slice(start, start + batch_size)
                batch = torch.from_numpy(np.ascontiguousarray(embeddings[rows])).to(device)
                for result, value in zip(results, self.encode(view, batch), strict=True):
                    result[rows] = value.cpu().numpy()
        finally:
            self.train(training)
        return results[0], results[1]

    @torch.no_grad()
    def infer(
        self,
        embeddings: np.ndarray,
        view: str,
        samples: int = 20,
        seed: int = 0,
        batch_size: int = 1024,
        progress: bool = False,
    ) -> np.ndarray:
        """Return document–topic distributions, float32 (M, K): the mean of ``samples`` draws of θ
        (Appendix).

        Parameters and errors are those of `posterior`. The noise of an item depends on its
        embedding, the view and ``seed``, so that a subset, another order and another ``batch_size``
        agree.
        """
        check_integer("samples", samples, 1)
        posterior = self.posterior(embeddings, view, batch_size, progress)
        mean, log_variance = (torch.from_numpy(array) for array in posterior)
        theta = np.empty((len(embeddings), self.topics), dtype=np.float32)
        for start in range(0, len(embeddings), batch_size):
            rows = slice(start, start + batch_size)
            noise = normal_of_items(embeddings[rows], view, seed, (samples, self.topics))
            parts = mean[rows], log_variance[rows], torch.from_numpy(noise)
            theta[rows] = mean_of_samples(*parts).numpy()
        return theta

    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """Return the ``n`` words of largest weight in β for each topic; ties go by column.

        Raises
        ------
        ParameterError
            The view has no words.
        DataError
            The model was made without its vocabulary.
        """
        languages = ", ".join(self.decoders)
        message = f"view {view!r} has no words; views with words: {languages}"
        require(view in self.decoders, message)
        beta = self.beta[view].detach().cpu().numpy()
        return heaviest_words(beta, self.vocabularies, view, n)

    def description(self) -> dict:
        """Return what the model was made from, as JSON has it: ``views`` and ``config``."""
        names = "topics", "hidden", "dropout", "share_text_network", "layers"
        config = {name: getattr(self, name) for name in names}
        return {"views": [asdict(view) for view in self.views.values()], "config": config}

    def save(self, path: str | Path) -> None:
        """Write weights, configuration and vocabularies as one safetensors file, atomically."""
        about = {**self.description(), "vocabularies": self.vocabularies}
        write_tensors(path, self.state_dict(), about)

    @classmethod
    def load(cls, path: str | Path) -> "TrainedModel":
        """Return the model that `save` wrote, in evaluation mode; `DataError` if it is broken."""
        about, weights = read_tensors(path, "model", "train it again")
        try:
            model = cls([ViewSpec(**view) for view in about["views"]], **about["config"])
            model.vocabularies = about["vocabularies"]
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            message = f"{path}: not a whole model ({error}); train it again"
            raise DataError(message) from error
        for name, words in model.vocabularies.items():
            columns = model.beta[name].shape[1] if name in model.decoders else 0
            unlike = f"{path}: {len(words)} words of view {name!r}, whose topics have {columns}"
            require(len(words) == columns, f"{unlike}; train it again", DataError)
        return model.eval()


def heaviest_words(
    weights: np.ndarray, vocabularies: Mapping[str, list[str]], view: str, n: int
) -> list[list[str]]:
    """Return the ``n`` words of largest weight of each topic, weights (K, V); ties go by column.

    `DataError` if the vocabulary of the view is not known.
    """
    unknown = f"view {view!r}: the model does not know its vocabulary"
    require(view in vocabularies, unknown, DataError)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :n]
    return [[vocabularies[view][column] for column in row] for row in order]


def top_documents(theta: np.ndarray, n: int = 5) -> np.ndarray:
    """The ``n`` items of largest weight in each topic: theta (M, K) -> int (K, n), best first.

    With fewer than ``n`` items all are there. Ties go by row.

    >>> top_documents(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), 2).tolist()
    [[0, 2], [1, 2]]
    """
    require(n >= 1, f"n={n}: expected 1 or more")
    return np.argsort(-theta.T, axis=1, kind="stable")[:, :n]


@torch.no_grad()
def word_distributions(model: TrainedModel, view: str) -> np.ndarray:
    """Return each topic's distribution over the words of a language, float32 (K, V); rows sum to 1.

    What the decoder gives for a document that has this topic alone (ProdLDA; Srivastava & Sutton
    2017): unlike the raw β of `M3L.top_words`, it knows how frequent words are.
    """
    choose("view", view, model.beta)
    training = model.training
    model.eval()
    try:
        logits = model.decode(view, torch.eye(model.topics, device=model.prior_mean.device))
        return logits.softmax(dim=1).cpu().numpy()
    finally:
        model.train(training)


def ldavis_arrays(model: TrainedModel, corpus: Corpus, view: str, seed: int = 0) -> dict:
    """Return what ``pyLDAvis.prepare(**arrays)`` takes, for the documents of one language.

    Parameters
    ----------
    model : TrainedModel
    corpus : Corpus
        It has the view, with the model's vocabulary.
    view : str
        A language.
    seed : int
        Of `M3L.infer`.

    Returns
    -------
    ``topic_term_dists`` (K, V), ``doc_topic_dists`` (M, K), ``doc_lengths`` (M,), ``vocab`` (V) and
    ``term_frequency`` (V,).

    Raises
    ------
    DataError
        The corpus has another vocabulary than the model.
    """
    choose("view", view, corpus.text_views)
    items = corpus.views[view]
    same = items.vocabulary == model.vocabularies.get(view)
    require(same, f"view {view!r}: the corpus has another vocabulary than the model", DataError)
    theta = model.infer(items.embeddings, view, seed=seed).astype(np.float64)
    terms = word_distributions(model, view).astype(np.float64)
    return {
        "topic_term_dists": terms / terms.sum(axis=1, keepdims=True),
        "doc_topic_dists": theta / theta.sum(axis=1, keepdims=True),
        "doc_lengths": np.asarray(items.bow.sum(axis=1)).ravel(),
        "vocab": list(items.vocabulary),
        "term_frequency": np.asarray(items.bow.sum(axis=0)).ravel(),
    }


def top_topics(theta: np.ndarray, n: int = 3) -> np.ndarray:
    """The ``n`` most probable topics of each item: theta (M, K) -> int (M, n), best first.

    >>> top_topics(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
    [[1, 2]]
    """
    return np.argsort(-theta, axis=1, kind="stable")[:, :n]
