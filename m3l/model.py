"""The model: an inference network per view, a topic–word matrix per language (Section 3, Figure 1).

B tuples in a batch, D dimensions of an embedding, K topics, M items, S samples, V words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .corpus import Corpus
from .errors import DataError, check_integer, choose, require
from .networks import (
    Decoder,
    InferenceNetwork,
    InputScaling,
    Posterior,
    ViewSpec,
    check_model,
)
from .noise import normal_of_items
from .progress import progress_bar
from .saving import read_tensors, write_tensors
from .view import check_embeddings


class M3L(nn.Module):
    """M3L-Contrast for any views; with a single text view it is ZeroshotTM (Sections 3 and 4.3).

    Parameters
    ----------
    views : sequence of ViewSpec
        At least one. A model of views without words can be trained only towards a teacher's topics
        (`m3l.distillation`).
    topics : int
        K.
    hidden : int
        Width of the inference networks' hidden layers.
    dropout : float
        Rate, in the inference networks and on θ before decoding.
    share_text_network : bool
        One inference network for all text views: the hybrid that Section 5.2 leaves as future work.

    Attributes
    ----------
    vocabularies : dict of view name to V words
        The words of β's columns, set by `model_for`; without them `top_words` has nothing to say.

    Raises
    ------
    ParameterError
        A parameter is out of range, or two views share a name.
    """

    def __init__(
        self,
        views: Sequence[ViewSpec],
        topics: int = 100,
        hidden: int = 100,
        dropout: float = 0.2,
        share_text_network: bool = False,
    ):
        super().__init__()
        check_model(views, topics, hidden, dropout, share_text_network)
        self.views = {view.name: view for view in views}
        self.topics, self.hidden, self.dropout = topics, hidden, dropout
        self.share_text_network = share_text_network
        self.vocabularies: dict[str, list[str]] = {}
        self.scaling, self.networks = nn.ModuleDict(), nn.ModuleDict()
        for name, view in self.views.items():
            key, size = self.network_of(name), view.embedding_size
            self.scaling[name] = InputScaling(size)
            if key not in self.networks:
                self.networks[key] = InferenceNetwork(size, topics, hidden, dropout)
        sizes = {v.name: v.vocabulary_size for v in views if v.vocabulary_size}
        self.decoders = nn.ModuleDict(
            {name: Decoder(topics, size, dropout) for name, size in sizes.items()}
        )
        # Laplace's approximation to a symmetric Dirichlet(1), then learnt, as CTM does
        self.prior_mean = nn.Parameter(torch.zeros(topics))
        self.prior_log_variance = nn.Parameter(torch.full((topics,), 1 - 1 / topics).log())

    def network_of(self, name: str) -> str:
        """Return the key in ``networks`` of the inference network that reads view ``name``."""
        shared = self.share_text_network and self.views[name].vocabulary_size
        return "text" if shared else name

    def encode(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, D) of view ``name`` -> mean (B, K), log σ² (B, K)."""
        return self.networks[self.network_of(name)](self.scaling[name](x))

    def decode(self, name: str, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V) of the words of language ``name``."""
        return self.decoders[name](theta)

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Posterior]:
        """Embeddings (B_v, D_v) by view -> a `Posterior` by view, with one sample of θ drawn."""
        posteriors = {}
        for name, embeddings in x.items():
            mean, log_variance = self.encode(name, embeddings)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()  # (B, K)
            posteriors[name] = Posterior(mean, log_variance, F.log_softmax(z, dim=1))
        return posteriors

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
            It changes nothing but memory.

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
        device, training = self.prior_mean.device, self.training
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
            sigma = (0.5 * log_variance[rows]).exp()[:, None]
            z = mean[rows, None] + torch.from_numpy(noise) * sigma  # (B, S, K)
            theta[rows] = z.softmax(dim=2).mean(dim=1).numpy()
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
        unknown = f"view {view!r}: the model does not know its vocabulary"
        require(view in self.vocabularies, unknown, DataError)
        beta = self.beta[view].detach().cpu().numpy()
        order = np.argsort(-beta, axis=1, kind="stable")  # (K, V)
        return [[self.vocabularies[view][column] for column in row] for row in order[:, :n]]

    def description(self) -> dict:
        """Return what the model was made from, as JSON has it: ``views`` and ``config``."""
        names = "topics", "hidden", "dropout", "share_text_network"
        config = {name: getattr(self, name) for name in names}
        return {"views": [asdict(view) for view in self.views.values()], "config": config}

    def save(self, path: str | Path) -> None:
        """Write weights, configuration and vocabularies as one safetensors file, atomically."""
        about = {**self.description(), "vocabularies": self.vocabularies}
        write_tensors(path, self.state_dict(), about)

    @classmethod
    def load(cls, path: str | Path) -> "M3L":
        """Return the model that `save` wrote, in evaluation mode; `DataError` if it is broken."""
        about, weights = read_tensors(path, "model", "train it again")
        try:
            model = cls([ViewSpec(**view) for view in about["views"]], **about["config"])
            model.vocabularies = about["vocabularies"]
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            message = f"{path}: not a whole model ({error}); train it again"
            raise DataError(message) from error
        return model.eval()


def model_for(
    corpus: Corpus, topics: int, input_scaling: str = "standardize", seed: int = 0, **options
) -> M3L:
    """Return an untrained `M3L` for the views of ``corpus``.

    Weights are drawn from ``seed``; the input scaling is that of the corpus's items. ``options``
    are those of `M3L`: ``hidden``, ``dropout``, ``share_text_network``.
    """
    specs = [
        ViewSpec(name, view.embeddings.shape[1], len(view.vocabulary or ()), input_scaling)
        for name, view in corpus.views.items()
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = M3L(specs, topics, **options)
    for name, view in corpus.views.items():
        if input_scaling != "none":
            nothing = f"view {name!r} has no item to take its input scaling from"
            require(len(view) > 0, nothing, DataError)
            x = torch.tensor(view.embeddings, dtype=torch.float64)
            model.scaling[name].fit(x, input_scaling)
        if view.is_text:
            model.vocabularies[name] = list(view.vocabulary)
    return model


def top_topics(theta: np.ndarray, n: int = 3) -> np.ndarray:
    """The ``n`` most probable topics of each item: theta (M, K) -> int (M, n), best first.

    >>> top_topics(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
    [[1, 2]]
    """
    return np.argsort(-theta, axis=1, kind="stable")[:, :n]
