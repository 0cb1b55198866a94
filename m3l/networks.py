"""The parts of the model: from an embedding to a Gaussian over topics, and from topics to words.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics, V words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import check_integer, check_number, choose, require

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
        ``"none"``; ``"scale"``, one factor, so that the geometry stays; ``"standardize"``, a shift
        and a factor per dimension.
    """

    name: str
    embedding_size: int
    vocabulary_size: int = 0
    input_scaling: str = "none"

    def __post_init__(self):
        check_integer(f"view {self.name!r}: embedding_size", self.embedding_size, 1)
        check_integer(f"view {self.name!r}: vocabulary_size", self.vocabulary_size, 0)
        choose("input_scaling", self.input_scaling, INPUT_SCALING)


class Posterior(NamedTuple):
    """q(z | x) of one view and a sample from it; every field has shape (B, K).

    ``mean`` and ``log_variance`` (of σ², not σ) describe the Gaussian; ``log_theta`` is the
    logarithm of θ = softmax(z), z ~ q, the sampled document–topic distribution.
    """

    mean: Tensor
    log_variance: Tensor
    log_theta: Tensor


class InputScaling(nn.Module):
    """Shifts and scales a view's embeddings; both are taken from its training items, not learnt."""

    def __init__(self, embedding_size: int):
        super().__init__()
        self.register_buffer("shift", torch.zeros(embedding_size))
        self.register_buffer("factor", torch.ones(embedding_size))

    def fit(self, x: Tensor, scaling: str) -> None:
        """Take shift and factor from the training items x (M, D).

        ``scale`` divides by the root mean square deviation of all entries from their dimension's
        mean, so that one unit is the typical spread. ``standardize`` does so for each dimension; a
        dimension that is constant in training then is zero, for new items too.
        """
        mean, variance = x.double().mean(0), x.double().var(0, correction=0)
        if scaling == "scale":
            mean, variance = torch.zeros_like(mean), variance.mean().expand_as(variance)
        self.shift.copy_(mean)
        self.factor.copy_(torch.where(variance > 1e-12, variance, torch.inf).rsqrt())

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return (x - self.shift) * self.factor


class BatchNorm(nn.BatchNorm1d):
    """Normalises over the batch, without a learnt scale.

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
    """Maps an embedding to a Gaussian over topics (Appendix; Bianchi et al. 2021b).

    It has two softplus layers, as the released code, or one, as the appendix can be read; dropout;
    then batch-normalised μ and log σ².
    """

    def __init__(self, embedding_size: int, topics: int, hidden=100, dropout=0.2, layers=2):
        super().__init__()
        self.layer1 = nn.Linear(embedding_size, hidden)
        self.layer2 = nn.Linear(hidden, hidden) if layers == 2 else None
        self.dropout = nn.Dropout(dropout)
        # μ and log σ² side by side: the numbers of two matrices in half the calls
        self.posterior = nn.Linear(hidden, 2 * topics)
        self.norm = BatchNorm(2 * topics)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> mean (B, K), log σ² (B, K)."""
        h = F.softplus(self.layer1(x))  # (B, H)
        h = F.softplus(self.layer2(h)) if self.layer2 else h
        mean, log_variance = self.norm(self.posterior(self.dropout(h))).chunk(2, dim=1)
        return mean, log_variance


class Decoder(nn.Module):
    """Maps θ to the words of one language: BN(dropout(θ) β), as ProdLDA (Srivastava & Sutton
    2017).
    """

    def __init__(self, topics: int, vocabulary_size: int, dropout: float = 0.2):
        super().__init__()
        beta = torch.empty(topics, vocabulary_size)
        self.beta = nn.Parameter(nn.init.xavier_uniform_(beta))
        self.dropout = nn.Dropout(dropout)
        self.norm = BatchNorm(vocabulary_size)

    def forward(self, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V)."""
        return self.norm(self.dropout(theta) @ self.beta)


def check_model(
    views: Sequence[ViewSpec],
    topics: int,
    hidden: int,
    dropout: float,
    share_text_network: bool,
    layers: int = 2,
) -> None:
    """Raise `ParameterError` naming what a model cannot be made from."""
    check_integer("topics", topics, 2)
    check_integer("hidden", hidden, 1)
    check_number("dropout", dropout, below=1)
    choose("layers", layers, (1, 2))
    names = [view.name for view in views]
    require(len(names) > 0, "views: expected at least one")
    require(len(set(names)) == len(names), f"views: names must differ, got {names}")
    for name in names:  # they are keys of modules
        usable = bool(name) and "." not in name and not hasattr(nn.ModuleDict(), name)
        advice = "choose another without '.'"
        require(usable, f"views: {name!r} cannot be the name of a view; {advice}")
    if share_text_network:
        sizes = sorted({view.embedding_size for view in views if view.vocabulary_size})
        one = f"share_text_network: text views must have one embedding size, got {sizes}"
        require(len(sizes) == 1, one)
        wordless = [view.name for view in views if not view.vocabulary_size]
        reserved = "views: with share_text_network a view without words cannot be called 'text'"
        require("text" not in wordless, reserved)
