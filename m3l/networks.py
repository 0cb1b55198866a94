"""The parts of the model: what it must know of a view, and an embedding's way to a Gaussian over
topics.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
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

    A batch of one, which has no variance, uses the running statistics. Rows that are not
    ``present`` are normalised too, and count in no statistic.
    """

    def __init__(self, features: int):
        super().__init__(features, affine=False)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """(B, N), and bool (B,) if some rows are missing -> (B, N)."""
        if present is not None and self.training:
            return self._of_some(x, present[:, None].to(x.dtype))
        alone = self.training and len(x) < 2
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            training=self.training and not alone,
            momentum=self.momentum,
            eps=self.eps,
        )

    def _of_some(self, x: Tensor, weight: Tensor) -> Tensor:
        """The same over rows of weight 1, whose number nobody waits for: weight (B, 1)."""
        n = weight.sum()
        mean = (weight * x).sum(0) / n.clamp(min=1.0)
        variance = (weight * (x - mean).square()).sum(0) / n.clamp(min=1.0)
        enough = n >= 2
        with torch.no_grad():
            step = self.momentum * enough
            self.running_mean.lerp_(mean.detach(), step)
            self.running_var.lerp_(variance.detach() * n / (n - 1).clamp(min=1.0), step)
        mean = torch.where(enough, mean, self.running_mean.clone())
        variance = torch.where(enough, variance, self.running_var.clone())
        return (x - mean) * (variance + self.eps).rsqrt()


class InferenceNetwork(nn.Module):
    """Embedding to the parameters of a Gaussian over topics (Appendix; Bianchi et al. 2021b).

    Two softplus layers, where the appendix says one, dropout, then batch-normalised μ and log σ².
    """

    def __init__(self, embedding_size: int, topics: int, hidden: int = 100, dropout: float = 0.2):
        super().__init__()
        self.layer1 = nn.Linear(embedding_size, hidden)
        self.layer2 = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        # one matrix and one normalisation for μ and log σ² side by side: the same numbers as two,
        # in half the calls
        self.posterior = nn.Linear(hidden, 2 * topics)
        self.norm = BatchNorm(2 * topics)

    def forward(self, x: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, D), and bool (B,) if some rows are missing -> mean (B, K), log σ² (B, K)."""
        h = F.softplus(self.layer1(x))  # (B, H)
        h = self.dropout(F.softplus(self.layer2(h)))  # (B, H)
        mean, log_variance = self.norm(self.posterior(h), present).chunk(2, dim=1)  # 2 × (B, K)
        return mean, log_variance
