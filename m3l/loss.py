"""The loss, term by term, to be read beside Eq. 1.

B tuples in a batch, K topics, V words. Every function is pure; logarithms are natural.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import check_number, choose, require
from .model import M3L
from .networks import Posterior


class Batch(NamedTuple):
    """B tuples as the loss reads them.

    Attributes
    ----------
    x : view -> (B_v, D_v)
        Embeddings of the tuples that have the view, in batch order.
    bow : view -> (B_v, V_v)
        Word counts, for text views.
    present : view -> bool (B,)
        Which tuples have the view; a view that all have may be left out.
    prior : two tensors (B, K), optional
        Mean and log σ² of a teacher's posterior for each tuple, in place of the model's own prior.
    """

    x: Mapping[str, Tensor]
    bow: Mapping[str, Tensor]
    present: Mapping[str, Tensor] = {}
    prior: tuple[Tensor, Tensor] | None = None


def reconstruction(logits: Tensor, bow: Tensor) -> Tensor:
    """Return the first term of Eq. 1, negated: −wᵀ log softmax(logits).

    logits (B, V) = BN(θ β), bow (B, V) word counts -> (B,), nats.

    >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
    >>> reconstruction(logits, torch.tensor([[2.0, 0.0, 0.0]])).item()  # 2 ln((e² + 2) / e²)
    0.479...
    """
    return F.cross_entropy(logits, bow, reduction="none")


def gaussian_kl(
    mean_p: Tensor, log_variance_p: Tensor, mean_q: Tensor, log_variance_q: Tensor
) -> Tensor:
    """Return KL(p ‖ q) between diagonal Gaussians.

    Each (B, K), or (K,) for a distribution shared by the batch; log_variance is log σ². -> (B,),
    nats.
    """
    ratio = (log_variance_p - log_variance_q).exp()
    distance = (mean_p - mean_q).square() * (-log_variance_q).exp()
    return 0.5 * (ratio + distance - 1.0 - log_variance_p + log_variance_q).sum(dim=-1)


def categorical_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p ‖ q) between distributions over topics, one reading of Eq. 1's second term.

    log_p, log_q (B, K) -> (B,), nats.

    >>> p, q = torch.tensor([[0.8, 0.1, 0.1]]).log(), torch.tensor([[0.1, 0.8, 0.1]]).log()
    >>> categorical_kl(p, q).item()  # 0.7 ln 8
    1.455...
    """
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def info_nce(
    a: Tensor,
    b: Tensor,
    temperature: float,
    similarity: str = "cosine",
    negatives: str = "cross_view",
) -> Tensor:
    """Return the third term of Eq. 1 for one pair of views: −log of the positive's share.

    Parameters
    ----------
    a, b : (B, K)
        θ of two views; row i of one is the positive of row i of the other.
    similarity : {"dot", "cosine"}
    negatives : {"cross_view", "both_views"}
        ``cross_view``: the other B−1 tuples in the other view, N² − N negatives in all (Section
        3.1). ``both_views``: those and the other B−1 tuples in the anchor's own view, 2N − 2 an
        anchor (released code).

    Returns
    -------
    (2, B), nats: row 0 with ``a`` as anchors, row 1 with ``b``.

    >>> same = torch.full((4, 3), 1 / 3)
    >>> info_nce(same, same, 0.07, negatives="cross_view")[0, 0].item()  # ln 4: a guess
    1.386...
    """
    if similarity == "cosine":
        a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    ab = a @ b.T / temperature  # (B, B), positives on the diagonal
    logits = torch.stack([ab, ab.T])  # (2, B, B)
    if negatives == "both_views":
        itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
        own = torch.stack([a @ a.T, b @ b.T]) / temperature
        own = own.masked_fill(itself, -torch.inf)
        logits = torch.cat([logits, own], dim=2)  # (2, B, 2B)
    return -logits.log_softmax(dim=2).diagonal(dim1=1, dim2=2)


def rows_with(q: Posterior, present: Tensor | None, other: Tensor | None) -> Posterior:
    """Return the rows (B', K) of a view's posterior whose tuples have another view too.

    ``present`` and ``other`` (B,) say which tuples have the view and the other; None means all.
    """
    if other is None:
        return q
    rows = other if present is None else other[present]
    return Posterior(*(field[rows] for field in q))


def pairs(
    posteriors: Mapping[str, Posterior], present: Mapping[str, Tensor]
) -> Iterator[tuple[Posterior, Posterior]]:
    """Yield the posteriors of each pair of views, (N, K) each, on the N tuples that have both."""
    for a, b in combinations(posteriors, 2):
        has_a, has_b = present.get(a), present.get(b)
        earlier = rows_with(posteriors[a], has_a, has_b)
        yield earlier, rows_with(posteriors[b], has_b, has_a)


def agreement(objective: "Objective", earlier: Posterior, later: Posterior) -> Tensor:
    """Return the divergence of two views' samples or posteriors, (B, K) each -> (B,), nats."""

    def divergence(p, q):
        if objective.kl == "categorical":
            return categorical_kl(p.log_theta, q.log_theta)
        return gaussian_kl(p.mean, p.log_variance, q.mean, q.log_variance)

    rows = divergence(later, earlier)
    if objective.kl_order == "both":
        rows = rows + divergence(earlier, later)
    return rows * len(rows) if objective.kl_times_batch else rows


def contrast(objective: "Objective", earlier: Posterior, later: Posterior) -> Tensor:
    """Return InfoNCE of two views' θ, (B, K) each -> (B,), both directions together."""
    on_means = objective.contrast_on == "means"
    logs = [q.mean.log_softmax(1) if on_means else q.log_theta for q in (earlier, later)]
    a, b = (log_theta.exp() for log_theta in logs)
    similarity, negatives = objective.similarity, objective.negatives
    both = info_nce(a, b, objective.temperature, similarity, negatives)  # (2, B)
    return both.mean(0) if objective.directions == "mean" else both.sum(0)


def kl_to_prior(q: Posterior, prior: tuple[Tensor, Tensor], present: Tensor | None) -> Tensor:
    """Return KL(q ‖ prior), (B,), nats; the prior is (K,) for all or a row (B, K) per tuple."""
    own_rows = present is not None and prior[0].dim() == 2
    mean, log_variance = (part[present] if own_rows else part for part in prior)
    return gaussian_kl(q.mean, q.log_variance, mean, log_variance)


def loss_terms(objective: "Objective", model: M3L, batch: Batch) -> dict[str, Tensor]:
    """Return the terms of the loss, weighted and summed over a batch; their sum is minimised.

    They are ``reconstruction``, ``kl`` and ``contrastive``, scalars in nats, those that apply. A
    term counts a tuple only where the views that it needs are there: of embeddings (B_v, D_v) and
    counts (B_v, V_v), each view has its own rows.
    """
    posteriors, words, kl, nce = model(batch.x), [], [], []
    for view, counts in batch.bow.items():
        logits = model.decode(view, posteriors[view].log_theta.exp())
        words.append(reconstruction(logits, counts).sum())
    if objective.kl == "prior":
        prior = batch.prior or (model.prior_mean, model.prior_log_variance)
        for view, q in posteriors.items():
            kl.append(kl_to_prior(q, prior, batch.present.get(view)).sum())
    for earlier, later in pairs(posteriors, batch.present):
        if objective.kl != "prior":
            kl.append(agreement(objective, earlier, later).sum())
        if objective.contrastive_weight:
            nce.append(contrast(objective, earlier, later).sum())
    terms = {"reconstruction": words, "kl": kl, "contrastive": nce}
    weight = {"kl": objective.kl_weight, "contrastive": objective.contrastive_weight}
    return {name: weight.get(name, 1) * sum(t) for name, t in terms.items() if t}


@dataclass(frozen=True)
class Objective:
    """Every choice of loss and optimiser on which paper and released code differ; see `PRESETS`.

    Called with a model and a batch, it gives `loss_terms`.

    Attributes
    ----------
    kl : {"categorical", "gaussian", "prior"}
        Between the sampled θ of each pair of views; between their posteriors; of each posterior to
        the prior, which is the model's or, for a student (Section 4.3, ZeroshotTM-KD), its
        teacher's posterior of the same tuple.
    kl_weight : float
    kl_order : {"both", "later_earlier"}
        Both orders of a pair, as Σ over a ≠ b prints; or KL(later view ‖ earlier view) alone.
    kl_times_batch : bool
        The pairwise KL again times B: what adding a sum over the batch to each of its rows does.
    contrast_on : {"samples", "means"}
        InfoNCE of sampled θ, as in Eq. 1, or of softmax(μ), which has no noise.
    similarity : {"dot", "cosine"}
    negatives : {"cross_view", "both_views"}
    directions : {"sum", "mean"}
        How InfoNCE's two directions combine.
    contrastive_weight : float
        s; 0 leaves InfoNCE out.
    temperature : float
        τ.
    learning_rate : float
    betas : (float, float)
        Adam's.

    Raises
    ------
    ParameterError
        A value is out of range or unknown.
    """

    kl: str = "categorical"
    kl_weight: float = 1.0
    kl_order: str = "later_earlier"
    kl_times_batch: bool = False
    contrast_on: str = "samples"
    similarity: str = "cosine"
    negatives: str = "both_views"
    directions: str = "mean"
    contrastive_weight: float = 50.0
    temperature: float = 0.07
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.99, 0.99)

    __call__ = loss_terms

    def __post_init__(self):
        choose("kl", self.kl, ("categorical", "gaussian", "prior"))
        choose("kl_order", self.kl_order, ("both", "later_earlier"))
        choose("contrast_on", self.contrast_on, ("samples", "means"))
        choose("similarity", self.similarity, ("dot", "cosine"))
        choose("negatives", self.negatives, ("cross_view", "both_views"))
        choose("directions", self.directions, ("sum", "mean"))
        check_number("kl_weight", self.kl_weight)
        check_number("contrastive_weight", self.contrastive_weight)
        check_number("temperature", self.temperature, above_zero=True)
        check_number("learning_rate", self.learning_rate, above_zero=True)
        two = isinstance(self.betas, (tuple, list)) and len(self.betas) == 2
        require(two, f"betas={self.betas!r}: expected two numbers, 0 or more and below 1")
        for beta in self.betas:
            check_number("betas", beta, below=1)
        object.__setattr__(self, "betas", tuple(self.betas))

    @classmethod
    def preset(cls, name: str, **changes) -> "Objective":
        """Return the preset ``name`` with ``changes`` to its fields.

        Raises
        ------
        ParameterError
            The name or a field is unknown.
        """
        choose("objective", name, PRESETS)
        for field in changes:
            choose("objective field", field, [f.name for f in fields(cls)])
        return cls(**{**asdict(PRESETS[name]), **changes})


PRESETS = {
    # Eq. 1, its signs put right, its denominator as Section 3.1 counts, and Adam's usual betas
    "paper": Objective(
        kl_order="both",
        similarity="dot",
        negatives="cross_view",
        directions="sum",
        betas=(0.9, 0.999),
    ),
    # the released code of the week of the conference (afb8261, 10 October 2022)
    "released": Objective(kl_times_batch=True),
    # three days later (07b4742), with the only released model of texts alone
    "released_gaussian": Objective(kl="gaussian", kl_weight=0.01),
    # what the released code means to do from d21f1c8 (14 November 2022) on: each view's KL to the
    # prior, by a method that its class lacks
    "released_head": Objective(kl="prior", contrastive_weight=100.0),
    # released without the second multiplication by the batch size: what this book trains with
    "book": Objective(),
    # what did best on validation data, with one hidden layer and one network for all languages
    "recommended": Objective(contrast_on="means"),
    # one view, ELBO alone: ZeroshotTM (Bianchi et al. 2021b)
    "zeroshot": Objective(kl="prior", contrastive_weight=0.0),
}
