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
    al. 2009): over all
    topics (smoothing), over the tuple's topics, and over the word's topics, so that a token costs
    as much as it has topics.
    """
    languages, topics = totals.shape
    n_tuple = np.zeros(topics, np.int32)  # tokens of this tuple, all languages, by topic
    present, where = (
        np.empty(topics, np.int32),
        np.empty(topics, np.int32),
    )  # the tuple's topics as a list, and each topic's place in it
    cumulated = np.empty(topics, np.float64)
    inverse = np.empty((languages, topics))  # 1 / (Vβ + n_k)
    weight = np.empty((languages, topics))  # (α_k + n_dk) / (Vβ + n_k)
    smoothing = np.zeros(languages)
    for lang in range(languages):
        for k in range(topics):
            inverse[lang, k] = 1.0 / (beta_sum[lang] + totals[lang, k])
            weight[lang, k] = alpha[k] * inverse[lang, k]
            smoothing[lang] += beta[lang] * weight[lang, k]
    for d in range((len(starts) - 1) // languages):
        n_present = 0
        for i in range(starts[d * languages], starts[(d + 1) * languages]):
            k = z[i]
            if n_tuple[k] == 0:
                present[n_present] = k
                where[k] = n_present
                n_present += 1
            n_tuple[k] += 1
        for lang in range(languages):
            begin, end = starts[d * languages + lang], starts[d * languages + lang + 1]
            if begin == end:
                continue
            b, b_sum, s = beta[lang], beta_sum[lang], smoothing[lang]
            total, inv, w = totals[lang], inverse[lang], weight[lang]
            tuple_mass = 0.0
            for j in range(n_present):
                k = present[j]
                tuple_mass += n_tuple[k] * inv[k]
                w[k] = (alpha[k] + n_tuple[k]) * inv[k]
            tuple_mass *= b
            for i in range(begin, end):
                # take the token out
                word, old = words[i], z[i]
                s -= b * alpha[old] * inv[old]
                tuple_mass -= b * n_tuple[old] * inv[old]
                n_tuple[old] -= 1
                total[old] -= 1
                inv[old] = 1.0 / (b_sum + total[old])
                s += b * alpha[old] * inv[old]
                tuple_mass += b * n_tuple[old] * inv[old]
                w[old] = (alpha[old] + n_tuple[old]) * inv[old]
                if n_tuple[old] == 0:
                    n_present -= 1
                    last = present[n_present]
                    present[where[old]] = last
                    where[last] = where[old]
                # the word's topics, the token among them still
                first, length = list_start[word], list_length[word]
                word_mass, at_old = 0.0, 0
                for j in range(length):
                    k = list_topic[first + j]
                    count = list_count[first + j]
                    if k == old:
                        count -= 1
                        list_count[first + j] = count
                        at_old = j
                    word_mass += count * w[k]
                    cumulated[j] = word_mass
                # draw; the bounds guard against the last bit of rounding
                u = rng.random() * (word_mass + tuple_mass + s)
                new, place = -1, -1
                if u < word_mass:
                    for j in range(length):
                        if u < cumulated[j]:
                            place = j
                            new = list_topic[first + j]
                            break
                if new < 0:
                    u -= word_mass
                    if u < tuple_mass:
                        u /= b
                        for j in range(n_present):
                            k = present[j]
                            u -= n_tuple[k] * inv[k]
                            if u <= 0.0 or j == n_present - 1:
                                new = k
                                break
                    if new < 0:
                        u = (u - max(tuple_mass, 0.0)) / b
                        for k in range(topics):
                            u -= alpha[k] * inv[k]
                            if u <= 0.0 or k == topics - 1:
                                new = k
                                break
                    for j in range(length):
                        if list_topic[first + j] == new:
                            place = j
                            break
                # put it back with its new topic
                z[i] = new
                if place >= 0:
                    list_count[first + place] += 1
                if list_count[first + at_old] == 0:  # its last token went: the slot is free
                    if place < 0:
                        list_topic[first + at_old], list_count[first + at_old] = new, 1
                    else:
                        length -= 1
                        list_topic[first + at_old], list_count[first + at_old] = (
                            list_topic[first + length],
                            list_count[first + length],
                        )
                        list_length[word] = length
                elif place < 0:
                    list_topic[first + length], list_count[first + length] = new, 1
                    list_length[word] = length + 1
                if n_tuple[new] == 0:
                    present[n_present] = new
                    where[new] = n_present
                    n_present += 1
                s -= b * alpha[new] * inv[new]
                tuple_mass -= b * n_tuple[new] * inv[new]
                n_tuple[new] += 1
                total[new] += 1
                inv[new] = 1.0 / (b_sum + total[new])
                s += b * alpha[new] * inv[new]
                tuple_mass += b * n_tuple[new] * inv[new]
                w[new] = (alpha[new] + n_tuple[new]) * inv[new]
            smoothing[lang] = s
            for j in range(n_present):  # back to what a tuple without tokens has
                w[present[j]] = alpha[present[j]] * inv[present[j]]
        for j in range(n_present):
            n_tuple[present[j]] = 0


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
def fold_in(words, starts, phi, alpha, sweeps, burn_in, keys):
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
            theta[d, k] = alpha[k] * (sweeps - burn_in) + sums[k]
        theta[d] /= theta[d].sum()
    return theta
