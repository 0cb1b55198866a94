"""The model: an inference network per view, a topic–word matrix per language (Section 3, Figure 1).

B tuples in a batch, D dimensions of an embedding, K topics, V words of a vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .corpus import Corpus
from .errors import DataError, choose, require
from .networks import BatchNorm, InferenceNetwork, Posterior, ViewSpec
from .noise import normal_of_items
from .progress import progress_bar
from .saving import read_tensors, write_tensors
from .validation import check_embeddings, check_model


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
    vocabularies : mapping of view name to V words, optional
        The words of β's columns; without them `top_words` has nothing to say.

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
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ):
        super().__init__()
        check_model(views, topics, hidden, dropout, share_text_network)
        self.views = {view.name: view for view in views}
        self.topics, self.share_text_network = topics, share_text_network
        self.config = {
            "topics": topics,
            "hidden": hidden,
            "dropout": dropout,
            "share_text_network": share_text_network,
        }
        texts = [view for view in views if view.vocabulary_size]
        sizes = {self.network_of(view.name): view.embedding_size for view in views}
        self.networks = nn.ModuleDict(
            {key: InferenceNetwork(size, topics, hidden, dropout) for key, size in sizes.items()}
        )
        self.beta = nn.ParameterDict(
            {
                view.name: nn.Parameter(
                    nn.init.xavier_uniform_(torch.empty(topics, view.vocabulary_size))
                )
                for view in texts
            }
        )
        self.word_norm = nn.ModuleDict(
            {view.name: BatchNorm(view.vocabulary_size) for view in texts}
        )
        self.dropout = nn.Dropout(dropout)
        self.shift = nn.ParameterDict(
            {
                v.name: nn.Parameter(torch.zeros(v.embedding_size), requires_grad=False)
                for v in views
            }
        )
        self.factor = nn.ParameterDict(
            {v.name: nn.Parameter(torch.ones(v.embedding_size), requires_grad=False) for v in views}
        )
        # Laplace approximation to a symmetric Dirichlet(1) prior (Srivastava & Sutton 2017), then
        # learnt, as CTM does
        self.prior_mean = nn.Parameter(torch.zeros(topics))
        self.prior_log_variance = nn.Parameter(torch.full((topics,), 1.0 - 1.0 / topics).log())
        self.vocabularies = {name: list(words) for name, words in (vocabularies or {}).items()}
        for name, words in self.vocabularies.items():
            columns = self.views[name].vocabulary_size if name in self.views else 0
            message = f"vocabularies: {len(words)} words of view {name!r}, which has {columns}"
            require(len(words) == columns, message)

    def description(self) -> dict:
        """What the model was made from, as JSON has it: ``views`` and ``config``."""
        return {"views": [asdict(view) for view in self.views.values()], "config": self.config}

    def network_of(self, name: str) -> str:
        """The key in ``networks`` of the inference network that reads view ``name``."""
        shared = self.share_text_network and self.views[name].vocabulary_size
        return "text" if shared else name

    def fit_input_scaling(self, embeddings: Mapping[str, np.ndarray]) -> None:
        """Set each view's input scaling from its training items, (M, D) a view.

        ``scale`` divides by the root mean square deviation over all entries, so that one unit is
        the typical spread; ``standardize`` does so for each dimension; it leaves a dimension that
        is constant in training at zero, for new items too.
        """
        for name, view in self.views.items():
            if view.input_scaling == "none":
                continue
            nothing = f"view {name!r} has no item to take its input scaling from"
            require(len(embeddings[name]) > 0, nothing, DataError)
            x = torch.as_tensor(embeddings[name], dtype=torch.float64)
            mean, variance = x.mean(0), x.var(0, correction=0)
            if view.input_scaling == "scale":
                mean, variance = torch.zeros_like(mean), variance.mean().expand_as(variance)
            factor = torch.where(variance > 1e-12, variance, torch.inf).rsqrt()
            self.shift[name].data.copy_(mean)
            self.factor[name].data.copy_(factor)

    def encode(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, D) of view ``name`` -> mean (B, K), log σ² (B, K)."""
        scaled = (x - self.shift[name]) * self.factor[name]
        return self.networks[self.network_of(name)](scaled)

    def decode(self, name: str, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V) of the words of language ``name``.

        BN(dropout(θ) β), ProdLDA's decoder (Srivastava & Sutton 2017).
        """
        return self.word_norm[name](self.dropout(theta) @ self.beta[name])

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Posterior]:
        """Embeddings (B_v, D_v) by view -> a `Posterior` by view, with one sample of θ drawn."""
        posteriors = {}
        for name, embeddings in x.items():
            mean, log_variance = self.encode(name, embeddings)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()  # (B, K)
            posteriors[name] = Posterior(mean, log_variance, F.log_softmax(z, dim=1))
        return posteriors

    @torch.no_grad()
    def posterior(
        self, embeddings: np.ndarray, view: str, batch_size: int = 1024, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log σ² of q(z | x) in evaluation mode: what a student takes as its prior.

        Parameters
        ----------
        embeddings : float32 (M, D)
            Of documents or pictures.
        view : str
            Whose inference network to use. For zero-shot use, that of the language the model was
            trained on: the input scaling is then that language's too.
        batch_size : int
            Changes nothing but memory.

        Returns
        -------
        Two arrays, float32 (M, K).

        Raises
        ------
        ParameterError
            The view is unknown, or ``batch_size`` is below 1.
        DataError
            The embeddings are not finite float32 of the dimension the view was built for.
        """
        choose("view", view, self.views)
        require(batch_size >= 1, f"batch_size={batch_size}: expected 1 or more")
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
        """Document–topic distributions: the mean of ``samples`` draws of θ (Appendix).

        Parameters and errors are those of `posterior`, and ``samples``, 1 or more. The noise of an
        item depends on its embedding, the view and ``seed``, so that a subset, another order and
        another ``batch_size`` agree.

        Returns
        -------
        float32 (M, K), rows sum to 1.
        """
        require(samples >= 1, f"samples={samples}: expected 1 or more")
        posterior = self.posterior(embeddings, view, batch_size, progress)
        mean, log_variance = (torch.from_numpy(array) for array in posterior)
        theta = np.empty((len(embeddings), self.topics), dtype=np.float32)
        for start in range(0, len(embeddings), batch_size):
            rows = slice(start, start + batch_size)
            shape = samples, self.topics
            noise = torch.from_numpy(normal_of_items(embeddings[rows], view, seed, shape))
            sigma = (0.5 * log_variance[rows]).exp()[:, None]
            z = mean[rows, None] + noise * sigma  # (B, S, K)
            theta[rows] = z.softmax(dim=2).mean(dim=1).numpy()
        return theta

    @torch.no_grad()
    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """The ``n`` words of largest weight in β for each of the K topics; ties by column.

        Raises
        ------
        ParameterError
            The view has no words.
        DataError
            The model was made without its vocabulary.
        """
        with_words = ", ".join(self.beta)
        message = f"view {view!r} has no words; views with words: {with_words}"
        require(view in self.beta, message)
        unknown = f"view {view!r}: the model does not know its vocabulary"
        require(view in self.vocabularies, unknown, DataError)
        order = np.argsort(-self.beta[view].cpu().numpy(), axis=1, kind="stable")  # (K, V)
        return [[self.vocabularies[view][column] for column in row] for row in order[:, :n]]

    def save(self, path: str | Path) -> None:
        """Write weights, configuration and vocabularies as one safetensors file, atomically."""
        about = {**self.description(), "vocabularies": self.vocabularies}
        write_tensors(path, self.state_dict(), about)

    @classmethod
    def load(cls, path: str | Path) -> "M3L":
        """The model that `save` wrote, in evaluation mode; `DataError` if the file is broken."""
        about, weights = read_tensors(path, "model", "train it again")
        try:
            specs = [ViewSpec(**view) for view in about["views"]]
            model = cls(specs, **about["config"], vocabularies=about["vocabularies"])
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            message = f"{path}: not a whole model ({error}); train it again"
            raise DataError(message) from error
        return model.eval()


def model_for(
    corpus: Corpus, topics: int, input_scaling: str = "standardize", seed: int = 0, **options
) -> M3L:
    """An untrained `M3L` for the views of ``corpus``.

    Weights are drawn from ``seed``; the input scaling is that of the corpus's items. ``options``
    are those of `M3L`: ``hidden``, ``dropout``, ``share_text_network``.
    """
    specs = [
        ViewSpec(name, view.embeddings.shape[1], len(view.vocabulary or ()), input_scaling)
        for name, view in corpus.views.items()
    ]
    words = {name: corpus.views[name].vocabulary or () for name in corpus.text_views}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = M3L(specs, topics, **options, vocabularies=words)
    model.fit_input_scaling({name: view.embeddings for name, view in corpus.views.items()})
    return model


def top_topics(theta: np.ndarray, n: int = 3) -> np.ndarray:
    """The ``n`` most probable topics of each item: theta (M, K) -> int (M, n), best first.

    >>> top_topics(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
    [[1, 2]]
    """
    return np.argsort(-theta, axis=1, kind="stable")[:, :n]
