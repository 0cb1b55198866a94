"""The training step as fused loops on one CPU core: what `model` and `loss` say, with their gradients, and Adam.

A small model spends much of a step of autograd on calling hundreds of small operations. Here a step is a dozen compiled
loops: the same arithmetic in single precision, from the same random draws in the same order, so that a run differs from the
plain loop's by rounding alone. (One gradient is better than rounded: that of the bias before batch normalisation is set to
the zero that it is.) `m3l.train.fit` takes it where it can: on a CPU, where every tuple has every view.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics, V words, n views. ``d_x`` is the gradient of the
loss with respect to ``x``.
"""

from itertools import combinations

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .corpus import Corpus
from .loss import Objective
from .model import M3L

f32 = np.float32
# reassociated sums vectorise; NaN and infinity keep their meaning, since `fit` looks for them
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})

LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
E2, E3, E4, E5, E6, E7 = f32(5.0000001201e-1), f32(1.6666665459e-1), f32(4.1665795894e-2), f32(8.3334519073e-3), f32(1.3981999507e-3), f32(1.9875691500e-4)
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
A3, A5, A7, A9, A11, A13 = (f32(1 / n) for n in (3, 5, 7, 9, 11, 13))


@intrinsic
def _float_of_bits(typing_context, bits):
    return types.float32(types.int32), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], ir.FloatType())


@compiled
def _exp(x):
    """exp of a float32 to 4e-7 of it, without a call, so that loops over it become vector instructions (Cephes, expf)."""
    clipped = min(max(x, f32(-87.0)), f32(88.0))
    k = np.floor(clipped * LOG2E + HALF)
    r = clipped - k * LN2_HIGH - k * LN2_LOW
    p = ((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2
    value = (p * r * r + r + ONE) * _float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
    return value if x == x else x


@compiled
def _affine(x, weight, bias, out):
    np.dot(x, weight.T, out)
    for i in range(len(out)):
        for j in range(len(bias)):
            out[i, j] += bias[j]


@compiled
def _softplus(x, slope):
    """x (B, H) becomes its softplus, ``slope`` its derivative."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            e = _exp(-abs(x[i, j]))
            s = e / (TWO + e)  # log(1 + e) = 2 artanh(e / (2 + e))
            q = s * s
            log1p = TWO * s * (ONE + q * (A3 + q * (A5 + q * (A7 + q * (A9 + q * (A11 + q * A13))))))
            slope[i, j] = (ONE if x[i, j] >= ZERO else e) / (ONE + e)
            x[i, j] = max(x[i, j], ZERO) + log1p


@compiled
def _normalise(x, inverse, running_mean, running_variance, momentum, eps):
    """x (B, N) becomes its batch normalisation, ``inverse`` (N,) is 1 / σ; a batch of one takes the running statistics."""
    b, n = x.shape
    if b < 2:
        for j in range(n):
            inverse[j] = ONE / np.sqrt(running_variance[j] + eps)
            x[0, j] = (x[0, j] - running_mean[j]) * inverse[j]
        return
    mean, variance, share = np.zeros(n, f32), np.zeros(n, f32), ONE / f32(b)
    for i in range(b):
        for j in range(n):
            mean[j] += x[i, j]
    for j in range(n):
        mean[j] *= share
    for i in range(b):
        for j in range(n):
            x[i, j] -= mean[j]
            variance[j] += x[i, j] * x[i, j]
    for j in range(n):
        running_mean[j] += momentum * (mean[j] - running_mean[j])
        running_variance[j] += momentum * (variance[j] / f32(b - 1) - running_variance[j])
        inverse[j] = ONE / np.sqrt(variance[j] * share + eps)
    for i in range(b):
        for j in range(n):
            x[i, j] *= inverse[j]


@compiled
def _normalise_back(d, y, inverse):
    """The gradient ``d`` with respect to the normalised y (B, N) becomes that with respect to what was normalised."""
    b, n = d.shape
    mean, along, share = np.zeros(n, f32), np.zeros(n, f32), ONE / f32(b)
    if b > 1:
        for i in range(b):
            for j in range(n):
                mean[j] += d[i, j]
                along[j] += d[i, j] * y[i, j]
    for j in range(n):
        mean[j] *= share
        along[j] *= share
    for i in range(b):
        for j in range(n):
            d[i, j] = (d[i, j] - mean[j] - y[i, j] * along[j]) * inverse[j]


@compiled
def _encode(
    rows, index, embeddings, w1, b1, w2, b2, w3, b3, keep, dropped, running_mean, running_variance, momentum, eps, x, h1, slope1, h2, slope2, y, inverse
):
    """`InferenceNetwork.forward`: y (B, 2K) is mean and log σ² side by side; ``dropped`` (B, H) is 0 where a unit is left out."""
    for i in range(len(rows)):
        x[i] = embeddings[index[rows[i]]]
    _affine(x, w1, b1, h1)
    _softplus(h1, slope1)
    _affine(h1, w2, b2, h2)
    _softplus(h2, slope2)
    scale = ONE / keep
    for i in range(h2.shape[0]):
        for j in range(h2.shape[1]):
            h2[i, j] *= dropped[i, j] * scale
            slope2[i, j] *= dropped[i, j] * scale
    _affine(h2, w3, b3, y)
    _normalise(y, inverse, running_mean, running_variance, momentum, eps)


@compiled
def _add_outer(d, x, d_weight, d_bias, first):
    """The gradients of a layer's weight and bias from d (B, out) and its input x (B, in), set or, if not ``first``, added."""
    if first:
        np.dot(d.T, x, d_weight)
        d_bias[:] = ZERO
    else:
        d_weight += np.dot(d.T, x)
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            d_bias[j] += d[i, j]


@compiled
def _encode_back(d, x, h1, slope1, h2, slope2, y, inverse, w2, w3, d_w1, d_b1, d_w2, d_b2, d_w3, d_b3, first):
    """Gradients of the network's weights from d (B, 2K), with respect to mean and log σ²."""
    _normalise_back(d, y, inverse)
    _add_outer(d, h2, d_w3, d_b3, first)
    if len(d) > 1:  # batch normalisation takes this bias out again; Adam would make whole steps, in one direction, of what rounding leaves
        d_b3[:] = ZERO
    d2 = np.dot(d, w3)
    d2 *= slope2
    _add_outer(d2, h1, d_w2, d_b2, first)
    d1 = np.dot(d2, w2)
    d1 *= slope1
    _add_outer(d1, x, d_w1, d_b1, first)


@compiled
def _sample(y, noise, log_theta, theta):
    """z = mean + σ noise; log θ = log softmax(z)."""
    k = theta.shape[1]
    for i in range(theta.shape[0]):
        top = f32(-np.inf)
        for j in range(k):
            log_theta[i, j] = y[i, j] + noise[i, j] * _exp(HALF * y[i, k + j])
        for j in range(k):
            top = max(top, log_theta[i, j])
        total = ZERO
        for j in range(k):
            log_theta[i, j] -= top
            theta[i, j] = _exp(log_theta[i, j])
            total += theta[i, j]
        inverse, log_total = ONE / total, np.log(total)
        for j in range(k):
            log_theta[i, j] -= log_total
            theta[i, j] *= inverse


@compiled
def _sample_back(d_theta, d_log_theta, theta, noise, y, d):
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
            d[i, k + j] += d_z * noise[i, j] * HALF * _exp(HALF * y[i, k + j])


@compiled
def _reconstruct(rows, index, counts, words, starts, theta, dropped, keep, beta, running_mean, running_variance, momentum, eps, logits, d, d_beta, d_theta):
    """The reconstruction term of one language, summed over the batch (nats); sets the gradient of β, adds that of θ."""
    b, v = logits.shape
    kept = theta * dropped * (ONE / keep)
    np.dot(kept, beta, logits)
    inverse = np.empty(v, f32)
    _normalise(logits, inverse, running_mean, running_variance, momentum, eps)
    loss = 0.0
    for i in range(b):
        document = index[rows[i]]
        top, total, length = f32(-np.inf), ZERO, ZERO
        for j in range(v):
            top = max(top, logits[i, j])
        for j in range(v):
            d[i, j] = _exp(logits[i, j] - top)
            total += d[i, j]
        for t in range(starts[document], starts[document + 1]):
            length += counts[t]
        log_total, scale = top + np.log(total), length / total
        for j in range(v):
            d[i, j] *= scale
        for t in range(starts[document], starts[document + 1]):
            d[i, words[t]] -= counts[t]
            loss -= counts[t] * (logits[i, words[t]] - log_total)
    _normalise_back(d, logits, inverse)
    np.dot(kept.T, d, d_beta)
    back = np.dot(d, beta.T)
    for i in range(b):
        for j in range(theta.shape[1]):
            d_theta[i, j] += back[i, j] * dropped[i, j] / keep
    return loss


@compiled
def _categorical(log_p, p, log_q, weight, d_p, d_q):
    """Weighted `loss.categorical_kl` of p from q, summed; adds the gradients with respect to log p and log q."""
    total = 0.0
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            gap = log_p[i, j] - log_q[i, j]
            total += p[i, j] * gap
            d_p[i, j] += weight * p[i, j] * (gap + ONE)
            d_q[i, j] -= weight * p[i, j]
    return weight * total


@compiled
def _gaussian(p, q, weight, d_p, d_q):
    """Weighted `loss.gaussian_kl` of p from q, (B, 2K) each, summed; adds the gradients with respect to both."""
    total, k = 0.0, p.shape[1] // 2
    for i in range(p.shape[0]):
        for j in range(k):
            precision = _exp(-q[i, k + j])
            ratio, gap = _exp(p[i, k + j] - q[i, k + j]), p[i, j] - q[i, j]
            distance = gap * gap * precision
            total += HALF * (ratio + distance - ONE - p[i, k + j] + q[i, k + j])
            d_p[i, j] += weight * gap * precision
            d_q[i, j] -= weight * gap * precision
            d_p[i, k + j] += weight * HALF * (ratio - ONE)
            d_q[i, k + j] += weight * HALF * (ONE - ratio - distance)
    return weight * total


@compiled
def _anchor(similarity, across, own, b, positive, both_views, weight, d):
    """InfoNCE of one anchor: its positive among the b items that begin at ``across`` (and ``own``); adds the gradient to ``d``."""
    top, mass, stride = f32(-1e30), ZERO, own - across
    end = own + stride if both_views else own  # range(across, end, stride): across, and own if it counts
    for start in range(across, end, stride):
        for j in range(start, start + b):
            top = max(top, similarity[j])
    for start in range(across, end, stride):
        for j in range(start, start + b):
            mass += _exp(similarity[j] - top)
    scale = weight / mass
    for start in range(across, end, stride):
        for j in range(start, start + b):
            d[j] += scale * _exp(similarity[j] - top)
    d[across + positive] -= weight
    return top + np.log(mass) - similarity[across + positive]


@compiled
def _info_nce(theta, n, temperature, cosine, both_views, weight, d_theta):
    """Weighted `loss.info_nce` of all pairs of the n views in θ (n B, K), summed; adds the gradient of θ."""
    total, b = 0.0, len(theta) // n
    unit, norm = theta.copy(), np.ones(len(theta), f32)
    if cosine:
        for i in range(len(theta)):
            norm[i] = max(np.sqrt(np.sum(theta[i] * theta[i])), f32(1e-12))
            unit[i] = theta[i] / norm[i]
    similarity = np.dot(unit, unit.T)
    for i in range(len(theta)):
        for j in range(len(theta)):
            similarity[i, j] /= temperature
        similarity[i, i] = f32(-1e30)  # an anchor is not its own negative
    d = np.zeros_like(similarity)
    for i in range(len(theta)):
        own = (i // b) * b  # where the rows of the anchor's view begin
        for across in range(0, len(theta), b):
            if across != own:
                total += _anchor(similarity[i], across, own, b, i - own, both_views, weight, d[i])
    d_unit = np.dot(d + d.T, unit)
    for i in range(len(theta)):
        along = np.sum(d_unit[i] * unit[i]) if cosine else ZERO
        for j in range(theta.shape[1]):
            d_theta[i, j] += (d_unit[i, j] - unit[i, j] * along) / (norm[i] * temperature)
    return weight * total


@compiled
def _adam(parameter, gradient, first, second, rate, share1, share2, root2, eps):
    """Adam (Kingma & Ba 2015): ``share`` is 1 - β, ``rate`` holds the first moment's correction, ``root2`` the root of the second's."""
    for i in range(len(parameter)):
        first[i] += share1 * (gradient[i] - first[i])
        second[i] += share2 * (gradient[i] * gradient[i] - second[i])
        parameter[i] -= rate * first[i] / (np.sqrt(second[i]) / root2 + eps)


def _statistics(norm):
    return norm.running_mean.numpy(), norm.running_var.numpy(), f32(norm.momentum), f32(norm.eps)


class _Room:
    """The arrays of a batch of b tuples; those that hold random draws are seen by torch too."""

    def __init__(self, model: M3L, views: list[str], b: int):
        k, n = model.topics, len(views)
        hidden, sizes = model.config["hidden"], {v: model.views[v].embedding_size for v in views}
        self.dropped = {v: torch.ones(b, hidden) for v in views}
        self.noise = {v: torch.empty(b, k) for v in views}
        self.dropped_theta = {v: torch.ones(b, k) for v in model.beta}
        self.y = {v: np.empty((b, 2 * k), f32) for v in views}
        # x, h1, slope1, h2, slope2, y, inverse
        self.of_view = {v: (np.empty((b, sizes[v]), f32), *(np.empty((b, hidden), f32) for _ in range(4)), self.y[v], np.empty(2 * k, f32)) for v in views}
        self.theta, self.log_theta = np.empty((n, b, k), f32), np.empty((n, b, k), f32)
        self.d, self.d_theta, self.d_log_theta = np.empty((n, b, 2 * k), f32), np.empty((n, b, k), f32), np.empty((n, b, k), f32)
        self.prior, self.d_prior = np.empty((b, 2 * k), f32), np.empty((b, 2 * k), f32)
        self.logits, self.d_logits = ({v: np.empty((b, model.views[v].vocabulary_size), f32) for v in model.beta} for _ in range(2))


class FusedStep:
    """One step of training after another, on the arrays of ``model`` and of ``optimizer``, which change in place.

    Parameters
    ----------
    model : M3L
        On the CPU, in training mode.
    corpus : Corpus
        Every tuple has every view.
    objective : Objective
    optimizer : torch.optim.Adam
        Over the model's parameters; it may hold the state of steps already taken.
    prior : two arrays (N, K), optional
        As in `m3l.train.fit`.
    """

    def __init__(self, model: M3L, corpus: Corpus, objective: Objective, optimizer: torch.optim.Adam, prior: tuple[np.ndarray, np.ndarray] | None = None):
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.views = list(corpus.views)
        self.x = {v: ((torch.from_numpy(view.embeddings) - model.shift[v]) * model.factor[v]).detach().numpy() for v, view in corpus.views.items()}
        self.index = {v: view.index for v, view in corpus.views.items()}
        self.bows = {v: (view.bow.data.astype(f32), view.bow.indices, view.bow.indptr) for v, view in corpus.views.items() if view.bow is not None}
        self.prior = None if prior is None else np.concatenate(prior, axis=1)  # (N, 2K)
        self.rooms: dict[int, _Room] = {}
        layers = {key: [t for layer in (n.layer1, n.layer2, n.posterior) for t in (layer.weight, layer.bias)] for key, n in model.networks.items()}
        learns_prior = objective.kl == "prior" and prior is None
        learnt = [t for tensors in layers.values() for t in tensors] + [model.beta[v] for v in self.bows]
        learnt += [model.prior_mean, model.prior_log_variance] if learns_prior else []
        self.gradient = {t: np.zeros(t.shape, f32) for t in learnt}
        self.layers = {key: ([t.detach().numpy() for t in tensors], [self.gradient[t] for t in tensors]) for key, tensors in layers.items()}
        self.model_prior = (model.prior_mean.detach().numpy(), model.prior_log_variance.detach().numpy()) if learns_prior else ()
        self.d_model_prior = (self.gradient[model.prior_mean], self.gradient[model.prior_log_variance]) if learns_prior else ()
        self.key = {v: model.network_of(v) for v in self.views}
        networks = {v: model.networks[key] for v, key in self.key.items()}
        self.encoders = {v: (1 - n.dropout.p, self.layers[self.key[v]][0], _statistics(n.norm)) for v, n in networks.items()}
        self.decoders = {
            v: (1 - model.dropout.p, model.beta[v].detach().numpy(), self.gradient[model.beta[v]], _statistics(model.word_norm[v])) for v in self.bows
        }
        self.count = next((state["step"] for state in optimizer.state.values()), torch.tensor(0.0))
        self.updates = []
        for t in learnt:
            state = optimizer.state[t] or {"exp_avg": torch.zeros_like(t), "exp_avg_sq": torch.zeros_like(t)}
            optimizer.state[t] = {**state, "step": self.count}
            self.updates.append([a.reshape(-1) for a in (t.detach().numpy(), self.gradient[t], state["exp_avg"].numpy(), state["exp_avg_sq"].numpy())])

    def gradients(self, tuples: torch.Tensor) -> dict[str, float]:
        """The terms of the loss of a batch, int64 (B,), as `Objective` gives them; their gradients are left in ``gradient``."""
        objective, rows, b = self.objective, tuples.numpy(), len(tuples)
        if b not in self.rooms:
            self.rooms[b] = _Room(self.model, self.views, b)
        room = self.rooms[b]
        for i, v in enumerate(self.views):
            self._encode(v, rows, room)
            _sample(room.y[v], room.noise[v].normal_().numpy(), room.log_theta[i], room.theta[i])
        for array in (room.d, room.d_theta, room.d_log_theta):
            array.fill(0)
        terms = {}
        if self.bows:
            terms["reconstruction"] = sum(self._reconstruct(v, rows, room) for v in self.bows)
        pairs = list(combinations(range(len(self.views)), 2))
        if objective.kl == "prior":
            terms["kl"] = self._kl_to_prior(rows, room)
        elif pairs:
            weight = f32(objective.kl_weight * (b if objective.kl_times_batch else 1))
            ordered = [(later, earlier) for earlier, later in pairs] + (pairs if objective.kl_order == "both" else [])
            terms["kl"] = sum(self._kl(*pair, weight, room) for pair in ordered)
        if pairs and objective.contrastive_weight:
            weight = f32(objective.contrastive_weight * (0.5 if objective.directions == "mean" else 1.0))
            cosine, both = objective.similarity == "cosine", objective.negatives == "both_views"
            theta, d_theta = (a.reshape(-1, self.model.topics) for a in (room.theta, room.d_theta))
            terms["contrastive"] = _info_nce(theta, len(self.views), f32(objective.temperature), cosine, both, weight, d_theta)
        seen = set()
        for i, v in enumerate(self.views):
            _sample_back(room.d_theta[i], room.d_log_theta[i], room.theta[i], room.noise[v].numpy(), room.y[v], room.d[i])
            key = self.key[v]
            (_, _, w2, _, w3, _), gradients = self.layers[key]
            _encode_back(room.d[i], *room.of_view[v], w2, w3, *gradients, key not in seen)
            seen.add(key)
        return terms

    def __call__(self, tuples: torch.Tensor) -> dict[str, float]:
        """A step on a batch, int64 (B,): the terms of its loss, before the step."""
        terms = self.gradients(tuples)
        self.count += 1
        group, count = self.optimizer.param_groups[0], int(self.count)
        (beta1, beta2), eps = group["betas"], f32(group["eps"])
        rate, root2 = f32(group["lr"] / (1 - beta1**count)), f32((1 - beta2**count) ** 0.5)
        for update in self.updates:
            _adam(*update, rate, f32(1 - beta1), f32(1 - beta2), root2, eps)
        return terms

    def _encode(self, v, rows, room):
        keep, layers, statistics = self.encoders[v]
        if keep < 1:
            room.dropped[v].bernoulli_(keep)
        _encode(rows, self.index[v], self.x[v], *layers, f32(keep), room.dropped[v].numpy(), *statistics, *room.of_view[v])

    def _reconstruct(self, v, rows, room):
        keep, beta, gradient, statistics = self.decoders[v]
        if keep < 1:
            room.dropped_theta[v].bernoulli_(keep)
        i, dropped = self.views.index(v), room.dropped_theta[v].numpy()
        return _reconstruct(
            rows,
            self.index[v],
            *self.bows[v],
            room.theta[i],
            dropped,
            f32(keep),
            beta,
            *statistics,
            room.logits[v],
            room.d_logits[v],
            gradient,
            room.d_theta[i],
        )

    def _kl(self, p, q, weight, room):
        if self.objective.kl == "categorical":
            return _categorical(room.log_theta[p], room.theta[p], room.log_theta[q], weight, room.d_log_theta[p], room.d_log_theta[q])
        return _gaussian(room.y[self.views[p]], room.y[self.views[q]], weight, room.d[p], room.d[q])

    def _kl_to_prior(self, rows, room):
        k, weight = self.model.topics, f32(self.objective.kl_weight)
        if self.prior is not None:
            np.take(self.prior, rows, axis=0, out=room.prior)
        else:
            room.prior[:, :k], room.prior[:, k:] = self.model_prior
        room.d_prior.fill(0)
        total = sum(_gaussian(room.y[v], room.prior, weight, room.d[i], room.d_prior) for i, v in enumerate(self.views))
        for part, gradient in enumerate(self.d_model_prior):
            room.d_prior[:, part * k : (part + 1) * k].sum(0, out=gradient)
        return total
