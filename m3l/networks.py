"""The parts of the model: what it must know of a view, and an embedding's way to a Gaussian over
topics.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from .errors import choose, require

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
        ``"none"``; ``"scale"``, one factor, so that the geometry stays; ``"standardize"``, per
        dimension.
    """

    name: str
    embedding_size: int
    vocabulary_size: int = 0
    input_scaling: str = "none"

    def __post_init__(self):
        sizes = {
            "embedding_size": (self.embedding_size, 1),
            "vocabulary_size": (self.vocabulary_size, 0),
        }
        for field, (size, least) in sizes.items():
            message = f"{field}={size} of view {self.name!r}: expected {least} or more"
            require(size >= least, message)
        choose("input_scaling", self.input_scaling, INPUT_SCALING)


class Posterior(NamedTuple):
    """q(z | x) of one view and a sample from it; every field has shape (B, K).

    ``mean`` and ``log_variance`` (of σ², not σ) parametrise the Gaussian; ``log_theta`` is the
    logarithm of θ = softmax(z), z ~ q, the sampled document–topic distribution.
    """

    mean: Tensor
    log_variance: Tensor
    log_theta: Tensor


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation without learnt scale.

    A batch of one, which has no variance, uses the running statistics.
    """

    def __init__(self, features: int):
        super().__init__(features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N) -> (B, N)."""
        training = self.training and len(x) > 1
        kept = self.running_mean, self.running_var
        return F.batch_norm(x, *kept, None, None, training, self.momentum, self.eps)


class InferenceNetwork(nn.Module):
    """Embedding to the parameters of a Gaussian over topics (Appendix; Bianchi et al. 2021b).

    Two softplus layers, where the appendix says one, dropout, then batch-normalised μ and log σ².
    """

    def __init__(self, embedding_size: int, topics: int, hidden: int = 100, dropout: float = 0.2):
        super().__init__()
        self.layer1 = nn.Linear(embedding_size, hidden)
        self.layer2 = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        # μ and log σ² side by side: the numbers of two matrices in half the calls
        self.posterior = nn.Linear(hidden, 2 * topics)
        self.norm = BatchNorm(2 * topics)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> mean (B, K), log σ² (B, K)."""
        h = F.softplus(self.layer1(x))  # (B, H)
        h = self.dropout(F.softplus(self.layer2(h)))  # (B, H)
        mean, log_variance = self.norm(self.posterior(h)).chunk(2, dim=1)  # 2 × (B, K)
        return mean, log_variance
