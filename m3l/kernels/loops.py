"""The arithmetic of a training step as compiled loops: what `model` and `loss` say, with their
gradients, and Adam.

The same arithmetic as autograd's in single precision. (One gradient is better than rounded: that of
the bias before batch normalisation is set to the zero that it is.)

B tuples in a batch, D dimensions of an embedding, H hidden units, K topics, V words, n views.
``d_x`` is the gradient of the loss with respect to ``x``.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

f32 = np.float32
# reassociated sums vectorise; NaN and infinity keep their meaning, since `fit` looks for them
compiled = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)

LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
E2, E3, E4, E5, E6, E7 = (
    f32(5.0000001201e-1),
    f32(1.6666665459e-1),
    f32(4.1665795894e-2),
    f32(8.3334519073e-3),
    f32(1.3981999507e-3),
    f32(1.9875691500e-4),
)
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
A3, A5, A7, A9, A11, A13 = (f32(1 / n) for n in (3, 5, 7, 9, 11, 13))


@intrinsic
def _float_of_bits(typing_context, bits):
    return types.float32(
        types.int32
    ), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], ir.FloatType())


@compiled
def exp(x):
    """exp of a float32 to 4e-7 of it, without a call, so that loops over it become vector
    instructions (Cephes, expf).
    """
    clipped = min(max(x, f32(-87.0)), f32(88.0))
    k = np.floor(clipped * LOG2E + HALF)
    r = clipped - k * LN2_HIGH - k * LN2_LOW
    p = ((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2
    value = (p * r * r + r + ONE) * _float_of_bits(
        np.int32((np.int32(k) + np.int32(127)) << np.int32(23))
    )
    return value if x == x else x


@compiled
def affine(x, weight, bias, out):
    np.dot(x, weight.T, out)
    for i in range(len(out)):
        for j in range(len(bias)):
            out[i, j] += bias[j]


@compiled
def softplus(x, slope):
    """x (B, H) becomes its softplus, ``slope`` its derivative."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            e = exp(-abs(x[i, j]))
            s = e / (TWO + e)  # log(1 + e) = 2 artanh(e / (2 + e))
            q = s * s
            log1p = (
                TWO * s * (ONE + q * (A3 + q * (A5 + q * (A7 + q * (A9 + q * (A11 + q * A13))))))
            )
            slope[i, j] = (ONE if x[i, j] >= ZERO else e) / (ONE + e)
            x[i, j] = max(x[i, j], ZERO) + log1p


@compiled
def normalise(x, inverse, running_mean, running_variance, momentum, eps):
    """x (B, N) becomes its batch normalisation, ``inverse`` (N,) is 1 / σ; a batch of one takes the
    running statistics.
    """
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
def normalise_back(d, y, inverse):
    """The gradient ``d`` with respect to the normalised y (B, N) becomes that with respect to what
    was normalised.
    """
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
def encode(
    rows,
    index,
    embeddings,
    w1,
    b1,
    w2,
    b2,
    w3,
    b3,
    keep,
    dropped,
    running_mean,
    running_variance,
    momentum,
    eps,
    x,
    h1,
    slope1,
    h2,
    slope2,
    y,
    inverse,
):
    """`InferenceNetwork.forward`: y (B, 2K) is mean and log σ² side by side; ``dropped`` (B, H) is
    0 where a unit is left out.
    """
    for i in range(len(rows)):
        x[i] = embeddings[index[rows[i]]]
    affine(x, w1, b1, h1)
    softplus(h1, slope1)
    affine(h1, w2, b2, h2)
    softplus(h2, slope2)
    scale = ONE / keep
    for i in range(h2.shape[0]):
        for j in range(h2.shape[1]):
            h2[i, j] *= dropped[i, j] * scale
            slope2[i, j] *= dropped[i, j] * scale
    affine(h2, w3, b3, y)
    normalise(y, inverse, running_mean, running_variance, momentum, eps)


@compiled
def add_outer(d, x, d_weight, d_bias, first):
    """The gradients of a layer's weight and bias from d (B, out) and its input x (B, in), set or,
    if not ``first``, added.
    """
    if first:
        np.dot(d.T, x, d_weight)
        d_bias[:] = ZERO
    else:
        d_weight += np.dot(d.T, x)
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            d_bias[j] += d[i, j]


@compiled
def encode_back(
    d, x, h1, slope1, h2, slope2, y, inverse, w2, w3, d_w1, d_b1, d_w2, d_b2, d_w3, d_b3, first
):
    """Gradients of the network's weights from d (B, 2K), with respect to mean and log σ²."""
    normalise_back(d, y, inverse)
    add_outer(d, h2, d_w3, d_b3, first)
    # Batch normalisation takes this bias out again; Adam would make whole steps, in one direction,
    # of what rounding leaves.
    if len(d) > 1:
        d_b3[:] = ZERO
    d2 = np.dot(d, w3)
    d2 *= slope2
    add_outer(d2, h1, d_w2, d_b2, first)
    d1 = np.dot(d2, w2)
    d1 *= slope1
    add_outer(d1, x, d_w1, d_b1, first)


@compiled
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


@compiled
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


@compiled
def reconstruct(
    rows,
    index,
    counts,
    words,
    starts,
    theta,
    dropped,
    keep,
    beta,
    running_mean,
    running_variance,
    momentum,
    eps,
    logits,
    d,
    d_beta,
    d_theta,
):
    """The reconstruction term of one language, summed over the batch (nats); sets the gradient of
    β, adds that of θ.
    """
    b, v = logits.shape
    kept = theta * dropped * (ONE / keep)
    np.dot(kept, beta, logits)
    inverse = np.empty(v, f32)
    normalise(logits, inverse, running_mean, running_variance, momentum, eps)
    loss = 0.0
    for i in range(b):
        document = index[rows[i]]
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


@compiled
def categorical(log_p, p, log_q, weight, d_p, d_q):
    """Weighted `loss.categorical_kl` of p from q, summed; adds the gradients with respect to log p
    and log q.
    """
    total = 0.0
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            gap = log_p[i, j] - log_q[i, j]
            total += p[i, j] * gap
            d_p[i, j] += weight * p[i, j] * (gap + ONE)
            d_q[i, j] -= weight * p[i, j]
    return weight * total


@compiled
def gaussian(p, q, weight, d_p, d_q):
    """Weighted `loss.gaussian_kl` of p from q, (B, 2K) each, summed; adds the gradients with
    respect to both.
    """
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


@compiled
def anchor(similarity, across, own, b, positive, both_views, weight, d):
    """InfoNCE of one anchor: its positive among the b items that begin at ``across`` (and ``own``);
    adds the gradient to ``d``.
    """
    top, mass, stride = f32(-1e30), ZERO, own - across
    end = (
        own + stride if both_views else own
    )  # range(across, end, stride): across, and own if it counts
    for start in range(across, end, stride):
        for j in range(start, start + b):
            top = max(top, similarity[j])
    for start in range(across, end, stride):
        for j in range(start, start + b):
            mass += exp(similarity[j] - top)
    scale = weight / mass
    for start in range(across, end, stride):
        for j in range(start, start + b):
            d[j] += scale * exp(similarity[j] - top)
    d[across + positive] -= weight
    return top + np.log(mass) - similarity[across + positive]


@compiled
def info_nce(theta, n, temperature, cosine, both_views, weight, d_theta):
    """Weighted `loss.info_nce` of all pairs of the n views in θ (n B, K), summed; adds the gradient
    of θ.
    """
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
                total += anchor(similarity[i], across, own, b, i - own, both_views, weight, d[i])
    d_unit = np.dot(d + d.T, unit)
    for i in range(len(theta)):
        along = np.sum(d_unit[i] * unit[i]) if cosine else ZERO
        for j in range(theta.shape[1]):
            d_theta[i, j] += (d_unit[i, j] - unit[i, j] * along) / (norm[i] * temperature)
    return weight * total


@compiled
def adam(parameter, gradient, first, second, rate, share1, share2, root2, eps):
    """Adam (Kingma & Ba 2015): ``share`` is 1 - β, ``rate`` holds the first moment's correction,
    ``root2`` the root of the second's.
    """
    for i in range(len(parameter)):
        first[i] += share1 * (gradient[i] - first[i])
        second[i] += share2 * (gradient[i] * gradient[i] - second[i])
        parameter[i] -= rate * first[i] / (np.sqrt(second[i]) / root2 + eps)
