"""Gibbs sampling of topics, token by token: as the book states it, and compiled.

D tuples, K topics, L languages, V words of a language, W words of all languages together, T tokens.
"""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numba import njit
from scipy.special import digamma, gammaln
from torch import Tensor

from .compiling import compiled
from .errors import DataError, require
from .noise import item_keys


def conditional(n_tuple, n_word, n_topic, alpha, beta, size):
    """Return the probability of each topic of one token, given the topics of all others: (K,).

    n_tuple counts the tokens of the tuple by topic, n_word those of the word, n_topic those of the
    language, (K,) each and without the token itself; ``size`` is V.
    """
    weight = (alpha + n_tuple) * (beta + n_word) / (size * beta + n_topic)
    return weight / weight.sum()


def sweep_plain(tokens, z, n_tuple, n_word, n_topic, alpha, beta, rng):
    """Draw the topic of every token once, as `conditional` says.

    It is slow, and the reference for `sweep`. tokens: T triples (tuple, language, word); z (T,)
    their topics; the counts n_tuple (D, K) and, by language, n_word (V, K) and n_topic (K,).
    """
    for i, (d, language, w) in enumerate(tokens):
        counts = n_tuple[d], n_word[language][w], n_topic[language]
        for n in counts:
            n[z[i]] -= 1  # the token itself does not count
        p = conditional(*counts, alpha, beta[language], len(n_word[language]))
        z[i] = rng.choice(len(alpha), p=p)
        for n in counts:
            n[z[i]] += 1


def topics_of_document(words, phi, alpha, numbers, burn_in, one_state=False):
    """Sample the topics of a new document's tokens; return its distribution over topics, (K,).

    words (n,) are the tokens, phi (V, K) the topics' distributions over words, numbers
    (1 + sweeps, n) random in [0, 1). The mean over the sweeps after ``burn_in`` takes each token by
    its conditional probabilities; with ``one_state`` the topics after the last sweep count instead.
    """
    z = (numbers[0] * len(alpha)).astype(np.int64)
    counts = alpha + np.bincount(z, minlength=len(alpha))
    total = np.zeros(len(alpha))
    for sweep in range(1, len(numbers)):
        for i, word in enumerate(words):
            counts[z[i]] -= 1
            p = counts * phi[word]
            p /= p.sum()
            if sweep > burn_in:
                total += p
            u, k = numbers[sweep, i], 0
            while u >= p[k] and k < len(p) - 1:
                u -= p[k]
                k += 1
            z[i] = k
            counts[k] += 1
    total += alpha * (len(numbers) - 1 - burn_in)
    theta = counts if one_state else total
    return theta / theta.sum()


# sums in any order are what lets the loops over topics use vector instructions
topics_of_document_compiled = compiled(fastmath=True)(topics_of_document)


def numbers_of_document(words: np.ndarray, view: str, seed: int, sweeps: int) -> np.ndarray:
    """Return random numbers in [0, 1) that depend on a document's N words (N,), its view and the
    seed alone: (R, N), a row for the first state and one for each sweep (SplitMix64; Steele et al.
    2014).
    """
    key = item_keys([words.tobytes()], view, seed)[0, 0]
    steps = np.arange(1, (1 + sweeps) * len(words) + 1, dtype=np.uint64)
    x = key + steps * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = (x ^ (x >> np.uint64(31))) >> np.uint64(11)
    return (x * 2.0**-53).reshape(1 + sweeps, len(words))


@compiled()
def sweep(words, starts, z, n_word, listed, length, n_topic, alpha, beta, beta_sum, rng):
    """Draw the topic of every token once, in time that grows with the topics of its tuple and word.

    The weight (α + n_dk)(β + n_wk) / (Vβ + n_k) of a topic is split in three (Yao et al. 2009): αβ,
    n_dk β and (α + n_dk) n_wk over that denominator. They sum to s over all topics, to r over the
    topics of the tuple, and to q over those of the word.

    words (T,) and topics z (T,) of tuple d in language l begin at ``starts[d * L + l]``, up to the
    next; n_word (W, K), n_topic (L, K), beta and beta_sum, Vβ, (L,). Row w of ``listed`` (W, K)
    begins with the ``length[w]`` topics of word w.
    """
    languages, topics = n_topic.shape
    n_tuple = np.zeros(topics, np.int32)
    present, place = np.empty(topics, np.int32), np.empty(topics, np.int32)
    inverse = 1.0 / (beta_sum.reshape(-1, 1) + n_topic)
    # (α + n_dk) / (Vβ + n_k), between two tuples as of one without tokens
    weight = alpha * inverse
    s = np.zeros(languages)
    for lang in range(languages):
        for k in range(topics):
            s[lang] += beta[lang] * weight[lang, k]
    for d in range((len(starts) - 1) // languages):
        bounds = starts[d * languages : (d + 1) * languages + 1]
        n_present = 0
        for k in z[bounds[0] : bounds[-1]]:
            if n_tuple[k] == 0:
                present[n_present], place[k] = k, n_present
                n_present += 1
            n_tuple[k] += 1
        for lang in range(languages):
            begin, end = bounds[lang], bounds[lang + 1]
            s[lang], n_present = _sweep_document(
                (words[begin:end], z[begin:end]),
                (n_word, listed, length),
                (n_tuple, present, place, n_present),
                (n_topic[lang], inverse[lang], weight[lang]),
                (alpha, beta[lang], beta_sum[lang], s[lang]),
                rng,
            )
        n_tuple[:] = 0


@compiled()
def _sweep_document(tokens, of_words, of_tuple, of_language, prior, rng):
    """Draw the topics of one document; return s and how many topics its tuple has.

    ``present`` begins with the ``n_present`` topics of the tuple, and ``place[k]`` is where k is.
    """
    (words, z), (n_word, listed, length) = tokens, of_words
    (n_tuple, present, place, n_present), (n_topic, inverse, weight) = of_tuple, of_language
    alpha, b, b_sum, s = prior
    sums, r = np.empty(len(alpha)), 0.0
    for k in present[:n_present]:
        r += n_tuple[k] * inverse[k]
        weight[k] = (alpha[k] + n_tuple[k]) * inverse[k]
    r *= b
    for i in range(len(words)):
        # take the token out
        w, old = words[i], z[i]
        s, r = _count(old, -1, n_tuple, n_topic, inverse, weight, alpha, b, b_sum, s, r)
        n_word[w, old] -= 1
        if n_tuple[old] == 0:
            n_present -= 1
            last = present[n_present]
            present[place[old]], place[last] = last, place[old]
        # draw: first among the topics of the word, where its old one has kept its place
        q, at_old = 0.0, 0
        for j in range(length[w]):
            k = listed[w, j]
            if k == old:
                at_old = j
            q += n_word[w, k] * weight[k]
            sums[j] = q
        u = rng.random() * (q + r + s)
        if u < q:
            j = 0
            while u >= sums[j]:
                j += 1
            new = listed[w, j]
        else:
            new = _draw(u - q, r, n_tuple, present, n_present, inverse, alpha, b)
        # put it back with its new topic
        z[i] = new
        if n_word[w, old] == 0 and n_word[w, new] > 0:
            length[w] -= 1
            listed[w, at_old] = listed[w, length[w]]
        elif n_word[w, old] == 0:
            listed[w, at_old] = new
        elif n_word[w, new] == 0:
            listed[w, length[w]] = new
            length[w] += 1
        n_word[w, new] += 1
        if n_tuple[new] == 0:
            present[n_present], place[new] = new, n_present
            n_present += 1
        s, r = _count(new, 1, n_tuple, n_topic, inverse, weight, alpha, b, b_sum, s, r)
    for k in present[:n_present]:
        weight[k] = alpha[k] * inverse[k]
    return s, n_present


@njit(inline="always")
def _count(k, by, n_tuple, n_topic, inverse, weight, alpha, b, b_sum, s, r):
    """Count ``by`` more tokens of topic k and return the sums s and r, which follow."""
    s -= b * alpha[k] * inverse[k]
    r -= b * n_tuple[k] * inverse[k]
    n_tuple[k] += by
    n_topic[k] += by
    inverse[k] = 1.0 / (b_sum + n_topic[k])
    weight[k] = (alpha[k] + n_tuple[k]) * inverse[k]
    s += b * alpha[k] * inverse[k]
    r += b * n_tuple[k] * inverse[k]
    return s, r


@compiled()
def _draw(u, r, n_tuple, present, n_present, inverse, alpha, b):
    """Return the topic at point u of the tuple's sum r and of the smoothing that follows it."""
    if u < r and n_present > 0:
        u /= b
        for k in present[:n_present]:
            u -= n_tuple[k] * inverse[k]
            if u <= 0.0:
                return k
        return present[n_present - 1]  # rounding took the point beyond the last
    u = (u - max(r, 0.0)) / b
    for k in range(len(alpha)):
        u -= alpha[k] * inverse[k]
        if u <= 0.0:
            return k
    return len(alpha) - 1


class Sampler:
    """The state of a chain: every token's topic, and the counts that follow from them.

    Attributes
    ----------
    words, z : int32 (T,)
        Tokens' words, languages' vocabularies one after the other; tokens' topics.
    starts : int64 (D · L + 1,)
        Where the tokens of tuple d in language l begin: ``starts[d * L + l]``.
    n_word, n_topic : (W, K), (L, K)
        Tokens of each word, and of each language, by topic.
    listed, length : (W, K), (W,)
        Each word's topics, in an order that steers which topic a random number picks.
    """

    def __init__(
        self,
        documents: Mapping[str, sp.csr_matrix],
        alpha: np.ndarray,
        beta: Mapping[str, float],
        seed: int = 0,
    ):
        """Begin a chain with topics at random.

        ``documents`` are word counts (D, V) by language, where a tuple without the language has an
        empty row; alpha (K,) and beta by language are the priors.
        """
        rows = [bow.shape[0] for bow in documents.values()]
        unlike = f"every language needs a row per tuple, and their rows are {rows}"
        require(len(set(rows)) == 1, unlike, DataError)
        self.languages, self.alpha, self.beta = list(documents), alpha, dict(beta)
        self.sizes = np.array([documents[name].shape[1] for name in self.languages])
        self.first_word = np.concatenate([[0], np.cumsum(self.sizes)])
        self.words, bounds = tokens_of(sp.hstack(list(documents.values()), format="csr"))
        require(len(self.words) > 0, "the documents hold no token", DataError)
        language = np.searchsorted(self.first_word, self.words, side="right") - 1
        tuples = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        cells = (len(bounds) - 1) * len(self.sizes)
        lengths = np.bincount(tuples * len(self.sizes) + language, minlength=cells)
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.rng = np.random.default_rng(seed)
        self.z = self.rng.integers(len(alpha), size=len(self.words), dtype=np.int32)
        self.count()

    def count(self) -> None:
        """Count the tokens by word, language and topic anew, from ``z``."""
        shape = self.first_word[-1], len(self.alpha)
        places = np.ravel_multi_index((self.words, self.z), shape)
        self.n_word = np.bincount(places, minlength=np.prod(shape)).reshape(shape).astype(np.int32)
        self.n_topic = np.add.reduceat(self.n_word, self.first_word[:-1], dtype=np.int64)
        self.length = (self.n_word > 0).sum(axis=1)
        self.listed = np.argsort(self.n_word == 0, axis=1, kind="stable").astype(np.int32)

    def tuple_topics(self) -> sp.csr_matrix:
        """Count the tokens of each tuple by topic: sparse (D, K)."""
        bounds = self.starts[:: len(self.languages)]
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        ones, shape = np.ones(len(self.z), dtype=np.int32), (len(bounds) - 1, len(self.alpha))
        return sp.coo_matrix((ones, (rows, self.z)), shape=shape).tocsr()

    def word_topics(self) -> dict[str, np.ndarray]:
        """Return the rows of ``n_word`` by language: int32 (V, K)."""
        parts = np.split(self.n_word, self.first_word[1:-1])
        return dict(zip(self.languages, parts, strict=True))

    def sweep(self) -> None:
        """Visit every token once."""
        beta = np.array([self.beta[name] for name in self.languages])
        counts = self.n_word, self.listed, self.length, self.n_topic
        prior = self.alpha, beta, beta * self.sizes
        sweep(self.words, self.starts, self.z, *counts, *prior, self.rng)

    def log_likelihood(self) -> float:
        """Return log p(words, topics | α, β) of the present state, θ and φ integrated out: nats."""
        alpha, of_tuples = self.alpha, self.tuple_topics().tocoo()
        prior, lengths = alpha[of_tuples.col], np.diff(self.starts[:: len(self.languages)])
        total = (gammaln(alpha.sum()) - gammaln(lengths + alpha.sum())).sum()
        total += (gammaln(of_tuples.data + prior) - gammaln(prior)).sum()
        for n_topic, (name, n_word) in zip(self.n_topic, self.word_topics().items(), strict=True):
            beta, counts, size = self.beta[name], n_word[n_word > 0], len(n_word)
            total += (gammaln(counts + beta) - gammaln(beta)).sum() + (
                gammaln(size * beta) - gammaln(n_topic + size * beta)
            ).sum()
        return float(total)

    def optimize(self, iterations: int = 5) -> None:
        """Move α (a value per topic) and each language's β towards the maximum of `log_likelihood`,
        by Minka's fixed point.
        """
        lengths = np.diff(self.starts[:: len(self.languages)])
        of_tuples, words = self.tuple_topics().tocsc(), self.word_topics()
        begins, tuples = of_tuples.indptr[:-1], np.diff(of_tuples.indptr)

        def gain(counts, prior):
            return digamma(counts + prior) - digamma(prior)

        for _ in range(iterations):
            above = np.append(gain(of_tuples.data, np.repeat(self.alpha, tuples)), 0.0)
            above = np.add.reduceat(above, begins) * (tuples > 0)
            alpha = self.alpha * above / gain(lengths, self.alpha.sum()).sum()
            self.alpha = np.clip(alpha, 1e-4, 1e3)
            for n_topic, (name, n_word) in zip(self.n_topic, words.items(), strict=True):
                beta, size = self.beta[name], len(n_word)
                below = size * gain(n_topic, size * beta).sum()
                if below > 0:  # the language has tokens
                    beta = beta * gain(n_word[n_word > 0], beta).sum() / below
                    self.beta[name] = float(np.clip(beta, 1e-5, 1e3))

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """Return all that the rest of the chain depends on: named arrays, and what JSON holds."""
        beta = np.array([self.beta[name] for name in self.languages])
        arrays = {"alpha": self.alpha, "beta": beta, "z": self.z}
        arrays |= {"listed": self.listed, "length": self.length}
        return arrays, {"rng": self.rng.bit_generator.state}

    def restore(self, arrays: Mapping[str, Tensor], more: Mapping) -> None:
        """Put what `state` gave back into place."""
        whole = {name: np.array(array.numpy()) for name, array in arrays.items()}
        self.z = whole["z"]
        self.count()
        self.listed, self.length, self.alpha = (
            whole[name] for name in ("listed", "length", "alpha")
        )
        self.beta = dict(zip(self.languages, map(float, whole["beta"]), strict=True))
        self.rng.bit_generator.state = more["rng"]


def tokens_of(bow: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Turn word counts (M, V) into the words of all tokens, int32 (T,), and where each row's tokens
    begin, int64 (M + 1,).
    """
    bow = sp.csr_matrix(bow)
    counts = bow.data.astype(np.int64)
    whole = bool((counts == bow.data).all() and (counts >= 0).all())
    message = "a bag of words holds something other than counts, 0, 1, 2 …"
    require(whole, message, DataError)
    before = np.concatenate([[0], np.cumsum(counts)])  # tokens before each entry
    return np.repeat(bow.indices, counts).astype(np.int32), before[bow.indptr]
