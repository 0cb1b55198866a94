"""The model: an inference network per view, a topic–word matrix per language (Section 3, Figure 1).

B tuples in a batch, D dimensions of an embedding, K topics, V words of a vocabulary.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import DataError, choose, require
from .progress import progress_bar

INPUT_SCALING = ("none", "scale", "standardize")


@dataclass(frozen=True)
class ViewSpec:
    """What the model must know of a view.

    Attributes
    ----------
    name : str
    embedding_size : int
        D, of the frozen encoder.
    vocabulary_size : int
        V; 0 for a view without words, which then has no reconstruction term (Section 3.2).
    input_scaling : str
        ``"none"``; ``"scale"``, one factor, so that the geometry stays; ``"standardize"``, per dimension.
    """

    name: str
    embedding_size: int
    vocabulary_size: int = 0
    input_scaling: str = "none"

    def __post_init__(self):
        require(self.embedding_size >= 1, f"embedding_size={self.embedding_size} of view {self.name!r}: expected 1 or more")
        require(self.vocabulary_size >= 0, f"vocabulary_size={self.vocabulary_size} of view {self.name!r}: expected 0 or more")
        choose("input_scaling", self.input_scaling, INPUT_SCALING)


class Posterior(NamedTuple):
    """q(z | x) of one view and a sample from it; every field has shape (B, K).

    ``mean`` and ``log_variance`` (of σ², not σ) parametrise the Gaussian; ``log_theta`` is the logarithm of θ =
    softmax(z), z ~ q, the sampled document–topic distribution.
    """

    mean: Tensor
    log_variance: Tensor
    log_theta: Tensor


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation without learnt scale; a batch of one, which has no variance, uses the running statistics."""

    def __init__(self, features: int):
        super().__init__(features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) < 2:
            return F.batch_norm(x, self.running_mean, self.running_var, training=False, eps=self.eps)
        return F.batch_norm(x, self.running_mean, self.running_var, training=self.training, momentum=self.momentum, eps=self.eps)


class InferenceNetwork(nn.Module):
    """Embedding to the parameters of a Gaussian over topics (Appendix; as in ZeroshotTM, Bianchi et al. 2021b).

    Two softplus layers, dropout, then batch-normalised μ and log σ².
    """

    def __init__(self, embedding_size: int, topics: int, hidden: int = 100, dropout: float = 0.2):
        super().__init__()
        self.layer1 = nn.Linear(embedding_size, hidden)
        self.layer2 = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        # one matrix and one normalisation for μ and log σ² side by side: the same numbers as two, in half the calls
        self.posterior = nn.Linear(hidden, 2 * topics)
        self.norm = BatchNorm(2 * topics)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> mean (B, K), log σ² (B, K)."""
        h = F.softplus(self.layer1(x))  # (B, H)
        h = self.dropout(F.softplus(self.layer2(h)))  # (B, H)
        mean, log_variance = self.norm(self.posterior(h)).chunk(2, dim=1)  # 2 × (B, K)
        return mean, log_variance


class M3L(nn.Module):
    """M3L-Contrast for any views; with a single text view it is ZeroshotTM (Sections 3 and 4.3).

    Parameters
    ----------
    views : sequence of ViewSpec
        At least one. A model of views without words can be trained only towards a teacher's topics (`m3l.train.fit`).
    topics : int
        K.
    hidden : int
        Width of the inference networks' hidden layers.
    dropout : float
        Rate, in the inference networks and on θ before decoding.
    share_text_network : bool
        One inference network for all text views: the hybrid that Section 5.2 leaves as future work.

    Raises
    ------
    ParameterError
        A parameter is out of range, or two views share a name.
    """

    def __init__(self, views: Sequence[ViewSpec], topics: int = 100, hidden: int = 100, dropout: float = 0.2, share_text_network: bool = False):
        super().__init__()
        names = [view.name for view in views]
        require(len(names) > 0, "views: expected at least one")
        for name in names:  # they are keys of modules
            require(
                bool(name) and "." not in name and not hasattr(nn.ModuleDict(), name),
                f"views: {name!r} cannot be the name of a view; choose another without '.'",
            )
        for field, value in (("topics", topics), ("hidden", hidden)):
            require(isinstance(value, int) and not isinstance(value, bool), f"{field}={value!r}: expected an integer")
        require(isinstance(dropout, (int, float)), f"dropout={dropout!r}: expected a number")
        require(
            not share_text_network or not any(v.name == "text" and not v.vocabulary_size for v in views),
            "views: with share_text_network 'text' cannot be the name of a view without words",
        )
        require(len(set(names)) == len(names), f"views: names must differ, got {names}")
        require(topics >= 2, f"topics={topics}: expected 2 or more")
        require(hidden >= 1, f"hidden={hidden}: expected 1 or more")
        require(0 <= dropout < 1, f"dropout={dropout}: expected at least 0 and below 1")
        self.views = {view.name: view for view in views}
        self.topics, self.share_text_network = topics, share_text_network
        self.config = {"topics": topics, "hidden": hidden, "dropout": dropout, "share_text_network": share_text_network}
        texts = [view for view in views if view.vocabulary_size]
        if share_text_network:
            sizes = {view.embedding_size for view in texts}
            require(len(sizes) > 0, "share_text_network: no view has words")
            require(len(sizes) == 1, f"share_text_network: text views must have one embedding size, got {sorted(sizes)}")
        networks = {self.network_of(view.name): view.embedding_size for view in views}
        self.networks = nn.ModuleDict({key: InferenceNetwork(size, topics, hidden, dropout) for key, size in networks.items()})
        self.beta = nn.ParameterDict({view.name: nn.Parameter(nn.init.xavier_uniform_(torch.empty(topics, view.vocabulary_size))) for view in texts})
        self.word_norm = nn.ModuleDict({view.name: BatchNorm(view.vocabulary_size) for view in texts})
        self.dropout = nn.Dropout(dropout)
        self.shift = nn.ParameterDict({v.name: nn.Parameter(torch.zeros(v.embedding_size), requires_grad=False) for v in views})
        self.factor = nn.ParameterDict({v.name: nn.Parameter(torch.ones(v.embedding_size), requires_grad=False) for v in views})
        # Laplace approximation to a symmetric Dirichlet(1) prior (Srivastava & Sutton 2017), then learnt, as CTM does
        self.prior_mean = nn.Parameter(torch.zeros(topics))
        self.prior_log_variance = nn.Parameter(torch.full((topics,), 1.0 - 1.0 / topics).log())

    def network_of(self, name: str) -> str:
        """The key in ``networks`` of the inference network that reads view ``name``."""
        return "text" if self.share_text_network and self.views[name].vocabulary_size else name

    def fit_input_scaling(self, embeddings: Mapping[str, np.ndarray]) -> None:
        """Set each view's input scaling from its training items, (M, D) a view.

        ``scale`` divides by the root mean square deviation over all entries, so that one unit is the typical
        spread; ``standardize`` does so for each dimension; it leaves a dimension
        that is constant in training at zero, for new items too.
        """
        for name, view in self.views.items():
            if view.input_scaling == "none":
                continue
            require(len(embeddings[name]) > 0, f"view {name!r} has no item to take its input scaling from", DataError)
            x = torch.as_tensor(embeddings[name], dtype=torch.float64)
            mean, variance = x.mean(0), x.var(0, correction=0)
            if view.input_scaling == "scale":
                mean, variance = torch.zeros_like(mean), variance.mean().expand_as(variance)
            self.shift[name].data.copy_(mean)
            self.factor[name].data.copy_(torch.where(variance > 1e-12, variance, torch.inf).rsqrt())

    def encode(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, D) of view ``name`` -> mean (B, K), log σ² (B, K)."""
        return self.networks[self.network_of(name)]((x - self.shift[name]) * self.factor[name])

    def decode(self, name: str, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V) of the words of language ``name``: BN(dropout(θ) β), ProdLDA's decoder."""
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
    def posterior(self, embeddings: np.ndarray, view: str, batch_size: int = 1024, progress: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log σ² of q(z | x) for documents or pictures, in evaluation mode: what a student takes as its prior.

        Parameters
        ----------
        embeddings : float32 (M, D)
        view : str
            Whose inference network to use. For zero-shot use, that of the language the model was trained on:
            the input scaling is then that language's too.
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
        size = self.views[view].embedding_size
        require(
            isinstance(embeddings, np.ndarray) and embeddings.ndim == 2 and embeddings.shape[1] == size and embeddings.dtype == np.float32,
            f"view {view!r}: expected float32 embeddings of shape (items, {size}), got {getattr(embeddings, 'dtype', type(embeddings).__name__)} {getattr(embeddings, 'shape', '')}",
            DataError,
        )
        require(bool(np.isfinite(embeddings).all()), f"view {view!r}: the embeddings hold NaN or infinity", DataError)
        device, training = self.prior_mean.device, self.training
        found = np.empty((2, len(embeddings), self.topics), dtype=np.float32)
        self.eval()
        try:
            for start in progress_bar(range(0, len(embeddings), batch_size), progress, desc=f"topics of {view}"):
                batch = torch.from_numpy(np.ascontiguousarray(embeddings[start : start + batch_size])).to(device)
                for out, value in zip(found, self.encode(view, batch), strict=True):
                    out[start : start + batch_size] = value.cpu().numpy()
        finally:
            self.train(training)
        return found[0], found[1]

    @torch.no_grad()
    def infer(self, embeddings: np.ndarray, view: str, samples: int = 20, seed: int = 0, batch_size: int = 1024, progress: bool = False) -> np.ndarray:
        """Document–topic distributions of new documents or pictures: the mean of ``samples`` draws of θ (Appendix).

        Parameters and errors are those of `posterior`, and ``samples``, 1 or more. The result depends on ``seed``
        and not on ``batch_size``.

        Returns
        -------
        float32 (M, K), rows sum to 1.
        """
        require(samples >= 1, f"samples={samples}: expected 1 or more")
        mean, log_variance = (torch.from_numpy(array) for array in self.posterior(embeddings, view, batch_size, progress))
        # numpy's generator is sequential, so the noise of a row is the same in any batch and on any device; the array's
        # checksum keeps row i of two views from sharing its noise, which would align them and flatter retrieval
        noise = np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(embeddings).data)])
        theta = np.empty((len(embeddings), self.topics), dtype=np.float32)
        for start in range(0, len(embeddings), batch_size):
            rows = slice(start, start + batch_size)
            eps = torch.from_numpy(noise.standard_normal((len(theta[rows]), samples, self.topics), dtype=np.float32))
            z = mean[rows, None] + eps * (0.5 * log_variance[rows]).exp()[:, None]  # (B, S, K)
            theta[rows] = z.softmax(dim=2).mean(dim=1).numpy()
        return theta

    @torch.no_grad()
    def topic_words(self, name: str, vocabulary: Sequence[str], n: int = 10) -> list[list[str]]:
        """The ``n`` words of largest weight in β, for each of the K topics, in language ``name``; ties by column."""
        require(name in self.beta, f"view {name!r} has no words; views with words: {', '.join(self.beta)}")
        beta = self.beta[name].cpu().numpy()  # (K, V)
        require(len(vocabulary) == beta.shape[1], f"view {name!r}: {len(vocabulary)} words for {beta.shape[1]} columns of β", DataError)
        return [[vocabulary[v] for v in row] for row in np.argsort(-beta, axis=1, kind="stable")[:, :n]]


def top_topics(theta: np.ndarray, n: int = 3) -> np.ndarray:
    """The ``n`` most probable topics of each document or picture: theta (M, K) -> int (M, n), best first."""
    return np.argsort(-theta, axis=1, kind="stable")[:, :n]
