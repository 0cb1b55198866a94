"""`m3l.train.train_step` as compiled loops on one CPU core: the same arithmetic and its gradients.

A small model spends much of a step of autograd on calling hundreds of small operations. Here a step
is a dozen compiled loops, from the same random draws in the same order, so that a run differs from
the plain one by rounding alone. `m3l.train.fit` takes it where it can, and only for the loss and
the model that it was written for: see `m3l.code`.

B tuples in a batch, H hidden units, K topics, V words. ``d_x`` is the gradient of the loss with
respect to ``x``.
"""

from itertools import combinations
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .loops import (
    categorical,
    encode,
    encode_back,
    f32,
    gaussian,
    info_nce,
    reconstruct,
    sample,
    sample_back,
)


class Side(NamedTuple):
    """What is read of one view, log θ and θ (B, K), mean and log σ² (B, 2K), and the gradients."""

    log_theta: np.ndarray
    theta: np.ndarray
    y: np.ndarray
    d_log_theta: np.ndarray
    d_theta: np.ndarray
    d: np.ndarray

    def rows(self, rows: np.ndarray) -> "Side":
        """Return a copy of some rows, with no gradient yet."""
        values = [array[rows] for array in self[:3]]
        return Side(*values, *(np.zeros_like(array) for array in values))

    def add(self, part: "Side", rows: np.ndarray) -> None:
        """Add the gradients of what `rows` gave."""
        for own, gradient in zip(self[3:], part[3:], strict=True):
            own[rows] += gradient


class FusedStep:
    """Makes one step of training after another on the arrays of a model, which change in place.

    The model is on the CPU, in training mode; the other arguments are those of `m3l.train.fit`.
    """

    def __init__(self, model, corpus, objective, optimizer, prior=None):
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.index = {v: view.index for v, view in corpus.views.items()}
        self.present = {v: w.present for v, w in corpus.views.items() if not w.present.all()}
        self.x, self.bow = {}, {}
        for v, view in corpus.views.items():
            x = torch.from_numpy(np.ascontiguousarray(view.embeddings))
            self.x[v] = model.scaling[v](x).numpy()
            if view.is_text:
                self.bow[v] = view.bow.data.astype(f32), view.bow.indices, view.bow.indptr
        self.prior = None if prior is None else np.concatenate(prior, axis=1)  # (N, 2K)
        self.rooms: dict[int, dict[str, SimpleNamespace]] = {}
        self.weights = {}
        for key, network in model.networks.items():
            none = SimpleNamespace(weight=torch.empty(0, 0), bias=torch.empty(0))
            layers = network.layer1, network.layer2 or none, network.posterior
            self.weights[key] = self._learn(*(t for n in layers for t in (n.weight, n.bias)))
        self.betas = {v: self._learn(model.beta[v]) for v in self.bow}
        shared = [model.prior_mean, model.prior_log_variance]
        has_own = objective.kl == "prior" and prior is None
        self.model_prior = self._learn(*(shared if has_own else []))

    def _learn(self, *parameters: Tensor) -> tuple[tuple, tuple]:
        """Return arrays of the parameters, sharing their memory, and of their gradients."""
        for t in parameters:
            t.grad = torch.zeros_like(t)
        arrays = tuple(t.detach().numpy() for t in parameters)
        return arrays, tuple(t.grad.numpy() for t in parameters)

    def __call__(self, tuples: Tensor) -> dict[str, float]:
        """Make a step on a batch, int64 (B,); return the terms of its loss, before the step."""
        terms = self.gradients(tuples)
        self.optimizer.step()
        return terms

    def gradients(self, tuples: Tensor) -> dict[str, float]:
        """Return the terms of the loss of a batch, int64 (B,); leave its gradients in ``grad``."""
        batch, views = tuples.numpy(), list(self.index)
        present = {v: has[batch] for v, has in self.present.items()}
        rows = {v: batch[present[v]] if v in present else batch for v in views}
        room = self._room(len(batch))
        sides = {v: self._encode(v, rows[v], room[v]) for v in views}
        terms: dict[str, list[float]] = {"reconstruction": [], "kl": [], "contrastive": []}
        for v in self.bow:
            terms["reconstruction"].append(self._reconstruct(v, rows[v], room[v], sides[v]))
        if self.objective.kl == "prior":
            terms["kl"].append(self._kl_to_prior(rows, sides))
        self._compare(sides, present, terms)
        read: set[str] = set()
        for v in views:
            side, n, key = sides[v], len(rows[v]), self.model.network_of(v)
            noise = room[v].noise[:n].numpy()
            sample_back(side.d_theta, side.d_log_theta, side.theta, noise, side.y, side.d)
            weights, gradients = self.weights[key]
            encode_back(side.d, weights, _first(room[v].layers, n), gradients, key not in read)
            read.add(key)
        return {name: sum(values) for name, values in terms.items() if values}

    def _room(self, b: int) -> dict[str, SimpleNamespace]:
        """Return the arrays of a batch of b tuples by view, made once; random draws are tensors."""
        if b not in self.rooms:
            model, k, self.rooms[b] = self.model, self.model.topics, {}
            for v, spec in model.views.items():
                widths = spec.embedding_size, *(4 * [model.hidden]), 2 * k
                x, h1, slope1, h2, slope2, y = (np.empty((b, width), f32) for width in widths)
                self.rooms[b][v] = SimpleNamespace(
                    layers=(x, h1, slope1, h2, slope2, np.empty(2 * k, f32), y),
                    dropped=torch.ones(b, model.hidden),
                    noise=torch.empty(b, k),
                    dropped_theta=torch.ones(b, k),
                    side=Side(*(np.empty((b, n * k), f32) for n in (1, 1, 2, 1, 1, 2))),
                    logits=tuple(np.empty((b, spec.vocabulary_size), f32) for _ in range(2)),
                )
        return self.rooms[b]

    def _encode(self, v: str, rows: np.ndarray, room: SimpleNamespace) -> Side:
        n, network = len(rows), self.model.networks[self.model.network_of(v)]
        kept, noise = _drawn(network.dropout, room.dropped[:n]), room.noise[:n]
        layers, (weights, _) = _first(room.layers, n), self.weights[self.model.network_of(v)]
        encode(rows, self.index[v], self.x[v], weights, *kept, _statistics(network.norm), layers)
        side = Side(*_first(room.side, n))._replace(y=layers[-1])
        sample(side.y, noise.normal_().numpy(), side.log_theta, side.theta)
        for array in side[3:]:
            array.fill(0)
        return side

    def _reconstruct(self, v: str, rows: np.ndarray, room: SimpleNamespace, side: Side) -> float:
        decoder, n = self.model.decoders[v], len(rows)
        kept = _drawn(decoder.dropout, room.dropped_theta[:n])
        (beta,), (d_beta,) = self.betas[v]
        before = self.index[v][rows], self.bow[v], side.theta, *kept, beta
        after = _first(room.logits, n), d_beta, side.d_theta
        return reconstruct(*before, _statistics(decoder.norm), *after)

    def _kl_to_prior(self, rows: dict, sides: dict[str, Side]) -> float:
        weight, total = f32(self.objective.kl_weight), 0.0
        parameters, gradients = self.model_prior
        for gradient in gradients:
            gradient.fill(0)
        for v, side in sides.items():
            if self.prior is not None:
                prior = self.prior[rows[v]]
            else:
                prior = np.tile(np.concatenate(parameters), (len(side.y), 1))
            d_prior = np.zeros_like(prior)
            total += gaussian(side.y, prior, weight, side.d, d_prior)
            for gradient, part in zip(gradients, np.split(d_prior.sum(0), 2), strict=False):
                gradient += part
        return total

    def _compare(self, sides: dict[str, Side], present: dict, terms: dict) -> None:
        """Add the terms between each pair of views, over the tuples of the batch that have both."""
        place = {v: np.cumsum(has) - 1 for v, has in present.items()}  # of a tuple, in its view
        for a, z in combinations(sides, 2):
            pair = [sides[a], sides[z]]
            has = [present[v] for v in (a, z) if v in present]
            if has:
                both = np.flatnonzero(np.logical_and.reduce(has))
                rows = [place[v][both] if v in place else both for v in (a, z)]
                pair = [side.rows(r) for side, r in zip(pair, rows, strict=True)]
            if self.objective.kl != "prior":
                terms["kl"].append(self._agreement(*pair))
            if self.objective.contrastive_weight:
                terms["contrastive"].append(self._contrast(*pair))
            if has:
                for v, part, r in zip((a, z), pair, rows, strict=True):
                    sides[v].add(part, r)

    def _agreement(self, earlier: Side, later: Side) -> float:
        objective, total = self.objective, 0.0
        weight = objective.kl_weight * (len(earlier.y) if objective.kl_times_batch else 1)
        orders = [(later, earlier), (earlier, later)][: 2 if objective.kl_order == "both" else 1]
        for p, q in orders:
            if objective.kl == "categorical":
                logs = p.log_theta, p.theta, q.log_theta
                total += categorical(*logs, f32(weight), p.d_log_theta, q.d_log_theta)
            else:
                total += gaussian(p.y, q.y, f32(weight), p.d, q.d)
        return total

    def _contrast(self, earlier: Side, later: Side) -> float:
        objective, b = self.objective, len(earlier.theta)
        if not b:
            return 0.0
        share = 0.5 if objective.directions == "mean" else 1.0
        weight, temperature = f32(objective.contrastive_weight * share), f32(objective.temperature)
        cosine, both = objective.similarity == "cosine", objective.negatives == "both_views"
        pair, none = (earlier, later), np.zeros_like(earlier.theta)
        on_means = objective.contrast_on == "means"
        thetas = [_theta_of_means(side.y, none) if on_means else side.theta for side in pair]
        total, d_theta = info_nce(np.concatenate(thetas), temperature, cosine, both, weight)
        for side, theta, d in zip(pair, thetas, np.split(d_theta, 2), strict=True):
            if on_means:  # a sample without noise
                sample_back(d, none.copy(), theta, none, side.y, side.d)
            else:
                side.d_theta[:] += d
        return total


def _theta_of_means(y: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Return softmax(mean) (B, K) from mean and log σ² (B, 2K), and zeros (B, K)."""
    log_theta, theta = np.empty_like(none), np.empty_like(none)
    sample(y, none, log_theta, theta)
    return theta


def _first(arrays: tuple, n: int) -> tuple:
    """Return the first n rows of matrices; vectors are returned whole."""
    return tuple(array[:n] if array.ndim == 2 else array for array in arrays)


def _drawn(dropout: torch.nn.Module, mask: Tensor) -> tuple:
    """Draw which units stay; return their share, and the mask, which is 0 for the others."""
    if dropout.p > 0:
        mask.bernoulli_(1 - dropout.p)
    return f32(1 - dropout.p), mask.numpy()


def _statistics(norm: torch.nn.Module) -> tuple:
    return norm.running_mean.numpy(), norm.running_var.numpy(), f32(norm.momentum), f32(norm.eps)
