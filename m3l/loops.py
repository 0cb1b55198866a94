"""The compiled loops of a training step, forward and back; `m3l.fused` puts them together.

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics, V words. ``d_x`` is the
gradient of the loss with respect to ``x``.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

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
