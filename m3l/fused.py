"""`m3l.train.train_step` as compiled loops on one CPU core: the same arithmetic and its gradients.

A small model spends much of a step of autograd on calling hundreds of small operations. Here a step
is a dozen compiled loops, from the same random draws in the same order, so that a run differs from
the plain one by rounding alone. `m3l.train.fit` takes it where it can, and only for the loss and
the model that it was written for: see `m3l.code`.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics, V words. ``d_x`` is the
gradient of the loss with respect to ``x``.
"""

from itertools import combinations
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from .compiling import compiled

f32 = np.float32
LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
E2, E3, E4 = f32(5.0000001201e-1), f32(1.6666665459e-1), f32(4.1665795894e-2)
E5, E6, E7 = f32(8.3334519073e-3), f32(1.3981999507e-3), f32(1.9875691500e-4)
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
A3, A5, A7, A9, A11, A13 = (f32(1 / n) for n in (3, 5, 7, 9, 11, 13))

# reassociated sums vectorise; NaN and infinity keep their meaning, since `fit` looks for them
loops = compiled(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@intrinsic
def _float_of_bits(typing_context, bits):
    def bitcast(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), bitcast


@loops
def exp(x):
    """exp of a float32 to 4e-7, without a call, so that loops use vector instructions (Cephes)."""
    clipped = min(max(x, f32(-87.0)), f32(88.0))
    k = np.floor(clipped * LOG2E + f32(0.5))
    r = clipped - k * LN2_HIGH - k * LN2_LOW
    p = ((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2
    power = _float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
    return (p * r * r + r + f32(1)) * power if x == x else x


@loops
def affine(x, weight, bias, out):
    np.dot(x, weight.T, out)
    for i in range(len(out)):
        out[i] += bias


@loops
def softplus(x, slope):
    """x (B, H) becomes its softplus, ``slope`` its derivative."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            e = exp(-abs(x[i, j]))
            s = e / (TWO + e)  # log(1 + e) = 2 artanh(e / (2 + e))
            q = s * s
            log1p = ONE + q * (A3 + q * (A5 + q * (A7 + q * (A9 + q * (A11 + q * A13)))))
            slope[i, j] = (ONE if x[i, j] >= ZERO else e) / (ONE + e)
            x[i, j] = max(x[i, j], ZERO) + TWO * s * log1p


@loops
def normalise(x, inverse, running_mean, running_variance, momentum, eps):
    """x (B, N) becomes its batch normalisation, ``inverse`` (N,) is 1 / σ: `networks.BatchNorm`."""
    b, n = x.shape
    if b < 2:
        inverse[:] = ONE / np.sqrt(running_variance + eps)
        x[0] = (x[0] - running_mean) * inverse
        return
    mean, variance, share = np.zeros(n, f32), np.zeros(n, f32), ONE / f32(b)
    for i in range(b):
        mean += x[i]
    mean *= share
    for i in range(b):
        for j in range(n):
            x[i, j] -= mean[j]
            variance[j] += x[i, j] * x[i, j]
    running_mean += momentum * (mean - running_mean)
    running_variance += momentum * (variance / f32(b - 1) - running_variance)
    inverse[:] = ONE / np.sqrt(variance * share + eps)
    for i in range(b):
        x[i] *= inverse


@loops
def normalise_back(d, y, inverse):
    """The gradient d of the normalised y (B, N) becomes that of what was normalised."""
    b, n = d.shape
    mean, along, share = np.zeros(n, f32), np.zeros(n, f32), ONE / f32(b)
    if b > 1:
        for i in range(b):
            for j in range(n):
                mean[j] += d[i, j]
                along[j] += d[i, j] * y[i, j]
    mean *= share
    along *= share
    for i in range(b):
        for j in range(n):
            d[i, j] = (d[i, j] - mean[j] - y[i, j] * along[j]) * inverse[j]


@loops
def encode(rows, index, embeddings, weights, keep, dropped, statistics, room):
    """`InferenceNetwork.forward` into ``room``; ``dropped`` (B, H) is 0 where a unit is out."""
    w1, b1, w2, b2, w3, b3 = weights
    x, h1, slope1, h2, slope2, inverse, y = room
    for i in range(len(rows)):
        x[i] = embeddings[index[rows[i]]]
    affine(x, w1, b1, h1)
    softplus(h1, slope1)
    if len(w2) > 0:
        affine(h1, w2, b2, h2)
        softplus(h2, slope2)
    else:  # one hidden layer
        h2[:] = h1
        slope2[:] = slope1
    scale = ONE / keep
    for i in range(h2.shape[0]):
        for j in range(h2.shape[1]):
            h2[i, j] *= dropped[i, j] * scale
            slope2[i, j] *= dropped[i, j] * scale
    affine(h2, w3, b3, y)
    normalise(y, inverse, *statistics)


@loops
def add_outer(d, x, d_weight, d_bias, first):
    """Set, or if not ``first`` add, a layer's gradients from d (B, out) and its input x (B, in)."""
    if first:
        np.dot(d.T, x, d_weight)
        d_bias[:] = ZERO
    else:
        d_weight += np.dot(d.T, x)
    for i in range(len(d)):
        d_bias += d[i]


@loops
def encode_back(d, weights, room, gradients, first):
    """The gradients of a network's weights from d (B, 2K), with respect to mean and log σ²."""
    d_w1, d_b1, d_w2, d_b2, d_w3, d_b3 = gradients
    x, h1, slope1, h2, slope2, inverse, y = room
    normalise_back(d, y, inverse)
    add_outer(d, h2, d_w3, d_b3, first)
    # Batch normalisation takes this bias out again; Adam would make whole steps, in one direction,
    # of what rounding leaves.
    if len(d) > 1:
        d_b3[:] = ZERO
    d1 = np.dot(d, weights[4])
    d1 *= slope2
    if len(d_w2) > 0:
        add_outer(d1, h1, d_w2, d_b2, first)
        d1 = np.dot(d1, weights[2])
        d1 *= slope1
    add_outer(d1, x, d_w1, d_b1, first)


@loops
def sample(y, noise, log_theta, theta):
    """z = mean + σ noise; log θ = log softmax(z)."""
    k = theta.shape[1]
    for i in range(theta.shape[0]):
        top = f32(-np.inf)
        for j in range(k):
            log_theta[i, j] = y[i, j] + noise[i, j] * exp(HALF * y[i, k + j])
        for j in range(k):
            top = max(top, log_theta[i, j])
        total = ZERO
        for j in range(k):
            log_theta[i, j] -= top
            theta[i, j] = exp(log_theta[i, j])
            total += theta[i, j]
        inverse, log_total = ONE / total, np.log(total)
        for j in range(k):
            log_theta[i, j] -= log_total
            theta[i, j] *= inverse


@loops
def sample_back(d_theta, d_log_theta, theta, noise, y, d):
    """Adds to d (B, 2K) what flows to mean and log σ² through the sample."""
    k = theta.shape[1]
    for i in range(theta.shape[0]):
        total = ZERO
        for j in range(k):
            d_log_theta[i, j] += d_theta[i, j] * theta[i, j]
            total += d_log_theta[i, j]
        for j in range(k):
            d_z = d_log_theta[i, j] - theta[i, j] * total
            d[i, j] += d_z
            d[i, k + j] += d_z * noise[i, j] * HALF * exp(HALF * y[i, k + j])


@loops
def reconstruct(documents, bow, theta, keep, dropped, beta, statistics, room, d_beta, d_theta):
    """Reconstruction of one language, summed; sets the gradient of β, adds that of θ."""
    counts, words, starts = bow
    logits, d = room
    b, v = logits.shape
    kept = theta * dropped * (ONE / keep)
    np.dot(kept, beta, logits)
    inverse = np.empty(v, f32)
    normalise(logits, inverse, *statistics)
    loss = 0.0
    for i in range(b):
        document = documents[i]
        top, total, length = f32(-np.inf), ZERO, ZERO
        for j in range(v):
            top = max(top, logits[i, j])
        for j in range(v):
            d[i, j] = exp(logits[i, j] - top)
            total += d[i, j]
        for t in range(starts[document], starts[document + 1]):
            length += counts[t]
        log_total, scale = top + np.log(total), length / total
        for j in range(v):
            d[i, j] *= scale
        for t in range(starts[document], starts[document + 1]):
            d[i, words[t]] -= counts[t]
            loss -= counts[t] * (logits[i, words[t]] - log_total)
    normalise_back(d, logits, inverse)
    np.dot(kept.T, d, d_beta)
    back = np.dot(d, beta.T)
    for i in range(b):
        for j in range(theta.shape[1]):
            d_theta[i, j] += back[i, j] * dropped[i, j] / keep
    return loss


@loops
def categorical(log_p, p, log_q, weight, d_p, d_q):
    """Weighted `loss.categorical_kl` of p from q, summed; adds the gradients of both logarithms."""
    total = 0.0
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            gap = log_p[i, j] - log_q[i, j]
            total += p[i, j] * gap
            d_p[i, j] += weight * p[i, j] * (gap + ONE)
            d_q[i, j] -= weight * p[i, j]
    return weight * total


@loops
def gaussian(p, q, weight, d_p, d_q):
    """Weighted `loss.gaussian_kl` of p from q, (B, 2K) each, summed; adds the gradients of both."""
    total, k = 0.0, p.shape[1] // 2
    for i in range(p.shape[0]):
        for j in range(k):
            precision = exp(-q[i, k + j])
            ratio, gap = exp(p[i, k + j] - q[i, k + j]), p[i, j] - q[i, j]
            distance = gap * gap * precision
            total += HALF * (ratio + distance - ONE - p[i, k + j] + q[i, k + j])
            d_p[i, j] += weight * gap * precision
            d_q[i, j] -= weight * gap * precision
            d_p[i, k + j] += weight * HALF * (ratio - ONE)
            d_q[i, k + j] += weight * HALF * (ONE - ratio - distance)
    return weight * total


@loops
def info_nce(theta, temperature, cosine, both_views, weight):
    """Weighted `loss.info_nce` of two views stacked in θ (2B, K), summed, and the gradient of θ."""
    n, b, loss = len(theta), len(theta) // 2, 0.0
    unit, norm = theta.copy(), np.ones(n, f32)
    if cosine:
        for i in range(n):
            norm[i] = max(np.sqrt(np.sum(theta[i] * theta[i])), f32(1e-12))
            unit[i] = theta[i] / norm[i]
    d = np.dot(unit, unit.T) / temperature  # similarities; then their gradient
    for i in range(n):
        partner = i + b if i < b else i - b
        positive, top, mass = d[i, partner], f32(-1e30), ZERO
        for j in range(n):  # an anchor is not its own negative; of its own view, others may be
            same_view = (i < b) == (j < b)
            if i == j or (same_view and not both_views):
                d[i, j] = f32(-1e30)
            top = max(top, d[i, j])
        for j in range(n):
            d[i, j] = exp(d[i, j] - top)
            mass += d[i, j]
        loss += top + np.log(mass) - positive
        for j in range(n):
            d[i, j] *= weight / mass
        d[i, partner] -= weight
    d_unit = np.dot(d + d.T, unit)
    for i in range(n):
        along = np.sum(d_unit[i] * unit[i]) if cosine else ZERO
        for j in range(theta.shape[1]):
            d_unit[i, j] = (d_unit[i, j] - unit[i, j] * along) / (norm[i] * temperature)
    return weight * loss, d_unit


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
