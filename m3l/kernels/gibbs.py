"""The Gibbs sampler's compiled loops."""

import numpy as np
from numba import njit


@njit(cache=True)
def sweep(
    words,
    starts,
    z,
    list_start,
    list_length,
    list_topic,
    list_count,
    totals,
    alpha,
    beta,
    beta_sum,
    rng,
):
    """One sweep.

    The conditional p(z = k) ∝ (α_k + n_dk)(β + n_wk) / (Vβ + n_k) is split into three sums (Yao et
    al. 2009): over all topics (smoothing), over the tuple's topics, and over the word's topics, so
    that a token costs as much as it has topics.
    """
    languages, topics = totals.shape
    n_tuple = np.zeros(topics, np.int32)  # tokens of this tuple, all languages, by topic
    present = np.empty(topics, np.int32)  # the tuple's topics as a list
    where = np.empty(topics, np.int32)  # each topic's place in that list
    cumulated = np.empty(topics, np.float64)
    inverse, weight, smoothing = _weights(totals, alpha, beta, beta_sum)
    for d in range((len(starts) - 1) // languages):
        n_present = 0
        for i in range(starts[d * languages], starts[(d + 1) * languages]):
            if n_tuple[z[i]] == 0:
                n_present = _enter(z[i], present, where, n_present)
            n_tuple[z[i]] += 1
        for lang in range(languages):
            begin, end = starts[d * languages + lang], starts[d * languages + lang + 1]
            n_present, smoothing[lang] = _visit(
                words[begin:end],
                z[begin:end],
                (list_start, list_length, list_topic, list_count),
                (totals[lang], inverse[lang], weight[lang], cumulated),
                (n_tuple, present, where, n_present),
                (alpha, beta[lang], beta_sum[lang], smoothing[lang]),
                rng,
            )
        for j in range(n_present):
            n_tuple[present[j]] = 0


@njit(cache=True)
def _visit(words, z, lists, of_language, of_tuple, prior, rng):
    """Draw the topics of one document anew; returns the number of its tuple's topics and the
    smoothing mass.
    """
    list_start, list_length, list_topic, list_count = lists
    total, inverse, weight, cumulated = of_language
    n_tuple, present, where, n_present = of_tuple
    alpha, b, b_sum, s = prior
    tuple_mass = b * _weigh(of_tuple, alpha, inverse, weight)
    for i in range(len(words)):
        # take the token out
        word, old = words[i], z[i]
        s -= b * alpha[old] * inverse[old]
        tuple_mass -= b * n_tuple[old] * inverse[old]
        n_tuple[old] -= 1
        total[old] -= 1
        inverse[old] = 1.0 / (b_sum + total[old])
        s += b * alpha[old] * inverse[old]
        tuple_mass += b * n_tuple[old] * inverse[old]
        weight[old] = (alpha[old] + n_tuple[old]) * inverse[old]
        if n_tuple[old] == 0:
            n_present = _leave(old, present, where, n_present)
        # draw, among the word's topics first, the token among them still
        first, length = list_start[word], list_length[word]
        word_mass, at_old = 0.0, 0
        for j in range(length):
            k = list_topic[first + j]
            count = list_count[first + j]
            if k == old:
                count -= 1
                list_count[first + j] = count
                at_old = j
            word_mass += count * weight[k]
            cumulated[j] = word_mass
        u = rng.random() * (word_mass + tuple_mass + s)
        place = 0 if u < word_mass else length
        while place < length and u >= cumulated[place]:
            place += 1
        if place < length:
            new = list_topic[first + place]
        else:
            new = _draw(u - word_mass, tuple_mass, b, alpha, n_tuple, inverse, present, n_present)
            place = _place(new, list_topic, first, length)
        # put it back with its new topic
        z[i] = new
        list_length[word] = _put_back(new, place, at_old, first, length, list_topic, list_count)
        if n_tuple[new] == 0:
            n_present = _enter(new, present, where, n_present)
        s -= b * alpha[new] * inverse[new]
        tuple_mass -= b * n_tuple[new] * inverse[new]
        n_tuple[new] += 1
        total[new] += 1
        inverse[new] = 1.0 / (b_sum + total[new])
        s += b * alpha[new] * inverse[new]
        tuple_mass += b * n_tuple[new] * inverse[new]
        weight[new] = (alpha[new] + n_tuple[new]) * inverse[new]
    for j in range(n_present):  # back to what a tuple without tokens has
        weight[present[j]] = alpha[present[j]] * inverse[present[j]]
    return n_present, s


@njit(cache=True)
def _weights(totals, alpha, beta, beta_sum):
    """1 / (Vβ + n_k) and (α_k + n_dk) / (Vβ + n_k) of an empty tuple, (L, K), and the smoothing
    mass, (L,).
    """
    languages, topics = totals.shape
    inverse, weight = np.empty((languages, topics)), np.empty((languages, topics))
    smoothing = np.zeros(languages)
    for lang in range(languages):
        for k in range(topics):
            inverse[lang, k] = 1.0 / (beta_sum[lang] + totals[lang, k])
            weight[lang, k] = alpha[k] * inverse[lang, k]
            smoothing[lang] += beta[lang] * weight[lang, k]
    return inverse, weight, smoothing


@njit(cache=True)
def _weigh(of_tuple, alpha, inverse, weight):
    """Fill in the weights of the tuple's topics; returns the tuple's mass without β."""
    n_tuple, present, _, n_present = of_tuple
    mass = 0.0
    for j in range(n_present):
        k = present[j]
        mass += n_tuple[k] * inverse[k]
        weight[k] = (alpha[k] + n_tuple[k]) * inverse[k]
    return mass


@njit(inline="always")
def _enter(k, present, where, n_present):
    """Put a topic on the tuple's list; returns the list's length."""
    present[n_present] = k
    where[k] = n_present
    return n_present + 1


@njit(inline="always")
def _leave(k, present, where, n_present):
    """Take a topic off the tuple's list; returns the list's length."""
    last = present[n_present - 1]
    present[where[k]] = last
    where[last] = where[k]
    return n_present - 1


@njit(cache=True)
def _draw(u, tuple_mass, b, alpha, n_tuple, inverse, present, n_present):
    """The topic at point u of the tuple's sum and of the smoothing that follows it; the bounds
    guard against the last bit of rounding.
    """
    if u < tuple_mass and n_present > 0:
        u /= b
        for j in range(n_present):
            k = present[j]
            u -= n_tuple[k] * inverse[k]
            if u <= 0.0:
                return k
        return present[n_present - 1]
    u = (u - max(tuple_mass, 0.0)) / b
    for k in range(len(alpha)):
        u -= alpha[k] * inverse[k]
        if u <= 0.0:
            return k
    return len(alpha) - 1


@njit(inline="always")
def _place(k, topics, first, length):
    """Where topic k stands in a word's list, −1 if nowhere."""
    for j in range(length):
        if topics[first + j] == k:
            return j
    return -1


@njit(inline="always")
def _put_back(new, place, at_old, first, length, topics, counts):
    """Count a token's new topic in the list of its word; returns the list's length.

    A slot whose last token went, at ``at_old``, is free: the new topic takes it, or the list's last
    topic does.
    """
    if place >= 0:
        counts[first + place] += 1
    if counts[first + at_old] > 0:
        if place < 0:
            topics[first + length], counts[first + length] = new, 1
            length += 1
    elif place < 0:
        topics[first + at_old], counts[first + at_old] = new, 1
    else:
        length -= 1
        topics[first + at_old] = topics[first + length]
        counts[first + at_old] = counts[first + length]
    return length


@njit(cache=True)
def next_random(state):
    """The next state of a generator, and a number in [0, 1) (SplitMix64; Steele et al. 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    x = state
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return state, (x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


# reassociated sums are what lets the loops over topics use vector instructions
@njit(cache=True, fastmath=True)
def fold_in(words, starts, phi, alpha, sweeps, burn_in, keys, one_state):
    """θ (M, K) of documents given φ (V, K) and a key each: see `PLTM.infer`."""
    topics = len(alpha)
    theta = np.empty((len(starts) - 1, topics))
    counts, p, sums = np.empty(topics), np.empty(topics), np.empty(topics)
    longest = 0
    for d in range(len(starts) - 1):
        longest = max(longest, starts[d + 1] - starts[d])
    z = np.empty(longest, np.int32)
    for d in range(len(starts) - 1):
        begin, length = starts[d], starts[d + 1] - starts[d]
        counts[:] = alpha
        state = keys[d]
        for i in range(length):
            state, u = next_random(state)
            z[i] = int(u * topics)
            counts[z[i]] += 1.0
        sums[:] = 0.0
        for sweep in range(sweeps):
            for i in range(length):
                row = phi[words[begin + i]]
                counts[z[i]] -= 1.0
                mass = 0.0
                for k in range(topics):
                    p[k] = counts[k] * row[k]
                    mass += p[k]
                if sweep >= burn_in:
                    scale = 1.0 / mass
                    for k in range(topics):
                        sums[k] += p[k] * scale
                state, u = next_random(state)
                u *= mass
                new = topics - 1
                for k in range(topics):
                    u -= p[k]
                    if u < 0.0:
                        new = k
                        break
                z[i] = new
                counts[new] += 1.0
        for k in range(topics):
            theta[d, k] = counts[k] if one_state else alpha[k] * (sweeps - burn_in) + sums[k]
        theta[d] /= theta[d].sum()
    return theta
