"""Variants of the model and of its loss that later work proposes.

Each is a choice of its own, so that they combine; training takes the plain step for them. B tuples
in a batch, D dimensions of an embedding, K topics, P pairs of words, V words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import model as usual
from .corpus import Corpus
from .errors import check_number, require
from .loss import Batch, Objective, info_nce, kl_to_prior, loss_terms, reconstruction
from .model import M3L
from .networks import Decoder, Posterior
from .trained import heaviest_words, word_distributions

PARTS = ("base_rate", "features", "projections")  # of `VariantModel`, each a choice
PROJECTED = 384  # dimensions of the space that topics are compared in, as XTRA's code has it


class WithBaseRate(Decoder):
    """A decoder that learns how frequent each word is, whatever the topics.

    Batch normalisation without a bias gives every word the same mean logit; β must then say how
    frequent a word is, too.
    """

    def __init__(self, topics: int, vocabulary_size: int, dropout: float = 0.2):
        super().__init__(topics, vocabulary_size, dropout)
        self.base_rate = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V)."""
        return super().forward(theta) + self.base_rate


class VariantModel(M3L):
    """`M3L` with parts of other models; without any of them it is `M3L`.

    Parameters
    ----------
    views, options
        Those of `M3L`.
    base_rate : bool
        Whether decoders are `WithBaseRate`. Topics' words are then ranked by their decoded
        probability and not by β.
    features : bool
        Whether θ of a view without words is decoded to its features, by one matrix (Multimodal-
        Contrast, González-Pizarro and Carenini 2024).
    projections : bool
        Whether a matrix per language maps its topics' words to one space of `PROJECTED` dimensions
        (XTRA, Nguyen et al. 2025).

    Raises
    ------
    ParameterError
        A parameter is out of range.
    """

    def __init__(
        self,
        views: Sequence,
        topics: int = 100,
        base_rate: bool = False,
        features: bool = False,
        projections: bool = False,
        **options,
    ):
        self.base_rate, self.features, self.projections = base_rate, features, projections
        super().__init__(views, topics, **options)
        wordless = [view for view in views if not view.vocabulary_size] if features else []
        self.feature_decoders = nn.ModuleDict(
            {view.name: nn.Linear(topics, view.embedding_size) for view in wordless}
        )
        worded = [view for view in views if view.vocabulary_size] if projections else []
        self.projected = nn.ModuleDict(
            {
                view.name: nn.Sequential(
                    nn.Linear(view.vocabulary_size, PROJECTED), nn.Dropout(self.dropout)
                )
                for view in worded
            }
        )

    def make_decoders(self) -> None:
        """Make a decoder per language."""
        super().make_decoders()
        if self.base_rate:
            for name in self.decoders:
                size = self.views[name].vocabulary_size
                self.decoders[name] = WithBaseRate(self.topics, size, self.dropout)

    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """Return the ``n`` words of each topic, as `M3L.top_words` does; by decoded probability
        with a base rate.
        """
        if not self.base_rate or view not in self.decoders:
            return super().top_words(view, n)
        return heaviest_words(word_distributions(self, view), self.vocabularies, view, n)

    def description(self) -> dict:
        """Return what the model was made from, as JSON has it."""
        about = super().description()
        own = {name: getattr(self, name) for name in PARTS}
        return {**about, "config": about["config"] | own}


def model_for(corpus: Corpus, topics: int, seed: int = 0, **options) -> M3L:
    """Return an untrained model for the views of ``corpus``: `VariantModel` if ``options`` name one
    of its parts, otherwise `M3L`; options are those of `m3l.model_for`, too.

    Base rates begin as the logarithm of how often a word is counted.
    """
    if not {*PARTS} & set(options):
        return usual.model_for(corpus, topics, seed=seed, **options)
    model = usual.model_for(corpus, topics, seed=seed, kind=VariantModel, **options)
    for name, decoder in model.decoders.items() if model.base_rate else ():
        counts = np.asarray(corpus.views[name].bow.sum(axis=0), dtype=np.float32).ravel()
        rate = torch.from_numpy(np.log((counts + 1) / (counts + 1).mean()))
        decoder.base_rate.data.copy_(rate)
    return model


@dataclass(frozen=True)
class Variant(Objective):
    """An `Objective` with choices of later work.

    Attributes
    ----------
    joint_weight : float
        Of one more ELBO a tuple, by a posterior of all its views: the product of theirs and the
        prior (product of experts; Hinton 2002, Wu and Goodman 2018).
    features_weight : float
        Of 1 − cosine between a picture's features and those decoded from its θ (González-Pizarro
        and Carenini 2024).
    words_weight : float
        Of InfoNCE between the columns of β of words that a dictionary pairs (InfoCTM, Wu et al.
        2023, without its linking of further words).
    words_temperature : float
    dictionary : sequence of (int, int)
        Pairs of columns of the first two languages' β.
    topics_weight : float
        Of InfoNCE at temperature 1 between the rows of β of two languages, projected (XTRA's topic
        alignment, Nguyen et al. 2025; its other part clusters documents for want of pairs, which
        M3L has).

    Raises
    ------
    ParameterError
        A value is out of range or unknown.
    """

    joint_weight: float = 0.0
    features_weight: float = 0.0
    words_weight: float = 0.0
    words_temperature: float = 0.2
    dictionary: tuple[tuple[int, int], ...] = ()
    topics_weight: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("joint_weight", "features_weight", "words_weight", "topics_weight"):
            check_number(name, getattr(self, name))
        check_number("words_temperature", self.words_temperature, above_zero=True)

    def __call__(self, model: M3L, batch: Batch) -> dict[str, Tensor]:
        """Return `m3l.loss.loss_terms` and the further terms, weighted and summed over a batch."""
        posteriors = model(batch.x)
        terms = loss_terms(self, Given(model, posteriors), batch)
        if self.joint_weight:
            terms["joint"] = self.joint_weight * joint_elbo(model, posteriors, batch)
        if self.features_weight:
            terms["features"] = self.features_weight * feature_loss(model, posteriors, batch)
        size = max(map(len, [*batch.x.values(), *batch.present.values()]))  # B
        if self.words_weight:
            terms["words"] = self.words_weight * size * word_contrast(self, model)
        if self.topics_weight:
            terms["topics"] = self.topics_weight * size * topic_contrast(model)
        return terms


class Given:
    """A model whose posteriors of a batch are there already, as `m3l.loss.loss_terms` asks."""

    def __init__(self, model: M3L, posteriors: Mapping[str, Posterior]):
        self.decode, self.posteriors = model.decode, posteriors
        self.prior_mean, self.prior_log_variance = model.prior_mean, model.prior_log_variance

    def __call__(self, x: Mapping[str, Tensor]) -> Mapping[str, Posterior]:
        """Return the posteriors."""
        return self.posteriors


def product_of_experts(
    model: M3L, posteriors: Mapping[str, Posterior], batch: Batch
) -> tuple[Tensor, Tensor]:
    """Return mean and log σ² (B, K) of the normalised product of the prior and of the posteriors of
    the views that each tuple has: precisions add, and means count by their precision.
    """
    first = next(iter(posteriors))
    size = len(batch.present.get(first, posteriors[first].mean))
    precision = (-model.prior_log_variance).exp().expand(size, -1)  # (B, K)
    weighted = precision * model.prior_mean
    for view, q in posteriors.items():
        rows = batch.present.get(view, torch.ones(size, dtype=torch.bool, device=q.mean.device))
        own = torch.zeros_like(precision).masked_scatter(rows[:, None], (-q.log_variance).exp())
        mean = torch.zeros_like(precision).masked_scatter(rows[:, None], q.mean)
        precision, weighted = precision + own, weighted + own * mean
    return weighted / precision, -precision.log()


def joint_elbo(model: M3L, posteriors: Mapping[str, Posterior], batch: Batch) -> Tensor:
    """Return the negative ELBO of the joint posterior, a scalar in nats, summed over a batch."""
    mean, log_variance = product_of_experts(model, posteriors, batch)
    z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    joint = Posterior(mean, log_variance, z.log_softmax(dim=1))
    total = kl_to_prior(joint, (model.prior_mean, model.prior_log_variance), None).sum()
    for view, counts in batch.bow.items():
        theta = joint.log_theta.exp()
        theta = theta[batch.present[view]] if view in batch.present else theta
        total = total + reconstruction(model.decode(view, theta), counts).sum()
    return total


def feature_loss(model: M3L, posteriors: Mapping[str, Posterior], batch: Batch) -> Tensor:
    """Return the sum over a batch of 1 − cosine between features, scaled, and those decoded."""
    needs = "features_weight: the model decodes no features; make it with features=True"
    require(len(getattr(model, "feature_decoders", ())) > 0, needs)
    lost = torch.zeros((), device=model.prior_mean.device)
    for view, decoder in model.feature_decoders.items():
        decoded = decoder(posteriors[view].log_theta.exp())
        lost = lost + (1 - F.cosine_similarity(decoded, model.scaling[view](batch.x[view]))).sum()
    return lost


def word_contrast(objective: Variant, model: M3L) -> Tensor:
    """Return the mean InfoNCE between the columns of β (P, K) of paired words, in nats."""
    require(len(objective.dictionary) > 0, "words_weight: the dictionary has no pair of words")
    require(len(model.beta) > 1, "words_weight: the model has fewer than two languages")
    columns = torch.tensor(objective.dictionary, device=model.prior_mean.device)  # (P, 2)
    first, second = (beta.T for beta in list(model.beta.values())[:2])  # (V, K)
    a, b = first[columns[:, 0]], second[columns[:, 1]]
    return info_nce(a, b, objective.words_temperature).mean()


def topic_contrast(model: M3L) -> Tensor:
    """Return the mean InfoNCE between the projected topics (K, `PROJECTED`) of two languages, in
    nats, summed over pairs of languages.
    """
    needs = "topics_weight: the model projects no topics; make it with projections=True"
    require(len(getattr(model, "projected", ())) > 0, needs)
    require(len(model.beta) > 1, "topics_weight: the model has fewer than two languages")
    topics = {name: model.projected[name](beta) for name, beta in model.beta.items()}
    return sum(info_nce(topics[a], topics[b], 1.0).mean() for a, b in combinations(topics, 2))


def objective_for(name: str, **changes) -> Objective:
    """Return a preset with changes: a `Variant` if a change is of its fields, or an `Objective`."""
    own = {field.name for field in fields(Variant)} - {field.name for field in fields(Objective)}
    return (Variant if own & set(changes) else Objective).preset(name, **changes)
