"""The loss, term by term, to be read beside Eq. 1.

B tuples in a batch, K topics, V words. Every function is pure; logarithms are natural.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import choose, require
from .model import M3L, Posterior


def reconstruction(logits: Tensor, bow: Tensor) -> Tensor:
    """First term of Eq. 1, negated: −wᵀ log softmax(logits).

    logits (B, V) = BN(β θ), bow (B, V) word counts -> (B,), nats.

    >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
    >>> reconstruction(logits, torch.tensor([[2.0, 0.0, 0.0]])).item()  # 2 ln((e² + 2) / e²)
    0.479...
    """
    return F.cross_entropy(logits, bow, reduction="none")


def gaussian_kl(
    mean_p: Tensor, log_variance_p: Tensor, mean_q: Tensor, log_variance_q: Tensor
) -> Tensor:
    """KL(p ‖ q) between diagonal Gaussians.

    Each (B, K), or (K,) for a distribution shared by the batch; log_variance is log σ². -> (B,),
    nats.
    """
    ratio = (log_variance_p - log_variance_q).exp()
    distance = (mean_p - mean_q).square() * (-log_variance_q).exp()
    return 0.5 * (ratio + distance - 1.0 - log_variance_p + log_variance_q).sum(dim=-1)


def categorical_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) between distributions over topics, one reading of Eq. 1's second term.

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
    """Third term of Eq. 1 for one pair of views: −log of the positive's share, in both directions.

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
    return logits.logsumexp(dim=2) - ab.diagonal()


@dataclass(frozen=True)
class Objective:
    """Every choice of loss and optimiser on which paper and released code differ; see `PRESETS`.

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
    similarity: str = "cosine"
    negatives: str = "both_views"
    directions: str = "mean"
    contrastive_weight: float = 50.0
    temperature: float = 0.07
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.99, 0.99)

    def __post_init__(self):
        choose("kl", self.kl, ("categorical", "gaussian", "prior"))
        choose("kl_order", self.kl_order, ("both", "later_earlier"))
        choose("similarity", self.similarity, ("dot", "cosine"))
        choose("negatives", self.negatives, ("cross_view", "both_views"))
        choose("directions", self.directions, ("sum", "mean"))
        for name in ("kl_weight", "contrastive_weight", "temperature", "learning_rate"):
            require(
                isinstance(getattr(self, name), Real),
                f"{name}={getattr(self, name)!r}: expected a number",
            )
        for name in ("kl_weight", "contrastive_weight"):
            require(
                0 <= getattr(self, name) < float("inf"),
                f"{name}={getattr(self, name)}: expected a finite number, 0 or more",
            )
        for name in ("temperature", "learning_rate"):
            require(
                0 < getattr(self, name) < float("inf"),
                f"{name}={getattr(self, name)}: expected a finite number above 0",
            )
        require(
            isinstance(self.betas, (tuple, list))
            and len(self.betas) == 2
            and all(isinstance(b, Real) and 0 <= b < 1 for b in self.betas),
            f"betas={self.betas}: expected two numbers, at least 0 and below 1",
        )
        object.__setattr__(self, "betas", tuple(self.betas))

    @classmethod
    def preset(cls, name: str, **changes) -> "Objective":
        """The preset ``name`` with ``changes`` to its fields; an unknown name or field is a
        `ParameterError`.
        """
        choose("objective", name, PRESETS)
        for field in changes:
            choose("objective field", field, [f.name for f in fields(cls)])
        return replace(PRESETS[name], **changes)

    def __call__(
        self,
        model: M3L,
        x: Mapping[str, Tensor],
        bow: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        prior: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The terms of the loss, weighted and summed over a batch; their sum is what is minimised.

        Parameters
        ----------
        model : M3L
        x : view -> (B_v, D_v)
            Embeddings of the tuples that have the view, in batch order.
        bow : view -> (B_v, V_v)
            Word counts, for text views.
        present : view -> bool (B,)
            Which tuples have the view; a view that all have may be left out. A term counts a tuple
            only where its views are there.
        prior : two tensors (B, K), optional
            Mean and log σ² of a teacher's posterior for each tuple, in place of the model's own
            prior.

        Returns
        -------
        ``{"reconstruction": scalar, "kl": scalar, "contrastive": scalar}``, those that apply.
        """
        posteriors = model(x)
        terms = {}
        if bow:
            terms["reconstruction"] = sum(
                reconstruction(model.decode(v, posteriors[v].log_theta.exp()), bow[v]).sum()
                for v in bow
            )
        if self.kl == "prior":
            rows = {
                v: (
                    tuple(t[present[v]] if v in present else t for t in prior)
                    if prior is not None
                    else (model.prior_mean, model.prior_log_variance)
                )
                for v in x
            }
            terms["kl"] = self.kl_weight * sum(
                gaussian_kl(q.mean, q.log_variance, *rows[v]).sum() for v, q in posteriors.items()
            )
        kl, nce = [], []
        for earlier, later in combinations(posteriors, 2):
            a, b = _both(
                posteriors[earlier], posteriors[later], present.get(earlier), present.get(later)
            )
            if self.kl != "prior":
                times = len(a.mean) if self.kl_times_batch else 1
                kl.append(self.pairwise_kl(a, b).sum() * times)
            if self.contrastive_weight:
                nce.append(self.contrastive(a, b).sum())
        if kl:
            terms["kl"] = self.kl_weight * sum(kl)
        if nce:
            terms["contrastive"] = self.contrastive_weight * sum(nce)
        return terms

    def contrastive(self, a: Posterior, b: Posterior) -> Tensor:
        """InfoNCE of two views' samples, (B, K) each -> (B,), both directions together."""
        thetas = a.log_theta.exp(), b.log_theta.exp()
        both = info_nce(*thetas, self.temperature, self.similarity, self.negatives)
        return both.sum(0) * (0.5 if self.directions == "mean" else 1.0)

    def pairwise_kl(self, earlier: Posterior, later: Posterior) -> Tensor:
        """The divergence of two views' posteriors or samples, (B, K) each -> (B,)."""

        def divergence(p: Posterior, q: Posterior) -> Tensor:
            if self.kl == "categorical":
                return categorical_kl(p.log_theta, q.log_theta)
            return gaussian_kl(p.mean, p.log_variance, q.mean, q.log_variance)

        rows = divergence(later, earlier)
        return rows + divergence(earlier, later) if self.kl_order == "both" else rows


def _both(
    a: Posterior, b: Posterior, has_a: Tensor | None, has_b: Tensor | None
) -> tuple[Posterior, Posterior]:
    """The rows of two views' posteriors that belong to tuples which have both."""
    if has_b is not None:
        rows = has_b if has_a is None else has_b[has_a]
        a_kept = Posterior(*(t[rows] for t in a))
    else:
        a_kept = a
    if has_a is not None:
        rows = has_a if has_b is None else has_a[has_b]
        b = Posterior(*(t[rows] for t in b))
    return a_kept, b


PRESETS = {
    # Eq. 1, its signs put right and its denominator read by Section 3.1's counts; Adam's betas are
    # not said, so the usual ones
    "paper": Objective(
        kl_order="both",
        similarity="dot",
        negatives="cross_view",
        directions="sum",
        betas=(0.9, 0.999),
    ),
    # the released code of the week of the conference (afb8261)
    "released": Objective(kl_times_batch=True),
    # what the released code means to do at its last commit: each view's KL to the prior
    "released_head": Objective(kl="prior", contrastive_weight=100.0),
    # the released code without the second multiplication by the batch size: what this book trains
    # with
    "book": Objective(),
    # one view, ELBO alone: ZeroshotTM (Bianchi et al. 2021b)
    "zeroshot": Objective(kl="prior", contrastive_weight=0.0),
}
