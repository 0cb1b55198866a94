"""The Polylingual Topic Model (Mimno et al. 2009) by collapsed Gibbs sampling: the paper's classical baseline (Section 4.3).

A tuple d has one distribution over topics θ_d ~ Dirichlet(α), shared by its documents in all languages; a topic k has a
distribution over the words of each language l, φ_lk ~ Dirichlet(β_l). θ and φ are integrated out; the sampler visits each
token and draws its topic anew given all others. A tuple without a language simply has no tokens of it.

D tuples, K topics, V words of a language, T tokens in all.
"""

import itertools
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numba import njit
from scipy.special import digamma, gammaln

from .corpus import Corpus
from .errors import DataError, choose, require
from .files import atomic, digest, require_same_run
from .progress import progress_bar


@dataclass(frozen=True)
class GibbsConfig:
    """How long to sample.

    Attributes
    ----------
    sweeps : int
        Visits to every token.
    seed : int
    optimize_every : int
        Sweeps between updates of the asymmetric α and of each language's symmetric β (Minka's fixed point; Wallach et
        al. 2009); 0 leaves both as they are.
    burn_in : int
        Sweeps before the first such update.
    checkpoint_every : int
        Sweeps between checkpoints, if `fit` is given a place for them, and between rows of the history.

    Raises
    ------
    ParameterError
        A value is out of range.
    """

    sweeps: int = 1000
    seed: int = 0
    optimize_every: int = 0
    burn_in: int = 100
    checkpoint_every: int = 50

    def __post_init__(self):
        for name, least in (("sweeps", 1), ("seed", 0), ("optimize_every", 0), ("burn_in", 0), ("checkpoint_every", 1)):
            value = getattr(self, name)
            require(isinstance(value, int) and not isinstance(value, bool) and value >= least, f"{name}={value!r}: expected an integer, {least} or more")


class PLTM:
    """Topic–word counts by language, and the hyperparameters.

    Parameters
    ----------
    vocabulary_sizes : mapping of language to V
    topics : int
        K.
    alpha : float
        Of the symmetric Dirichlet prior of θ, a topic.
    beta : float
        Of the symmetric Dirichlet prior of φ, a word.

    Attributes
    ----------
    counts : language -> int32 (K, V)
        Tokens of each word assigned to each topic.
    alpha : float64 (K,)
    beta : language -> float

    Raises
    ------
    ParameterError
        A parameter is out of range.
    """

    def __init__(self, vocabulary_sizes: Mapping[str, int], topics: int = 100, alpha: float = 0.1, beta: float = 0.01):
        require(isinstance(topics, int) and not isinstance(topics, bool) and topics >= 2, f"topics={topics!r}: expected an integer, 2 or more")
        require(len(vocabulary_sizes) > 0, "vocabulary_sizes: expected at least one language")
        for name, size in vocabulary_sizes.items():
            require(isinstance(size, int) and size >= 1, f"vocabulary_sizes: {size} words of {name!r}: expected 1 or more")
        for name, value in (("alpha", alpha), ("beta", beta)):
            require(
                isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"),
                f"{name}={value!r}: expected a finite number above 0",
            )
        self.topics = topics
        self.alpha = np.full(topics, float(alpha))
        self.beta = dict.fromkeys(vocabulary_sizes, float(beta))
        self.counts = {name: np.zeros((topics, size), dtype=np.int32) for name, size in vocabulary_sizes.items()}

    def phi(self, language: str) -> np.ndarray:
        """The topics' distributions over words given the counts, posterior mean: (K, V), rows sum to 1."""
        choose("view", language, self.counts)
        smoothed = self.counts[language] + self.beta[language]
        return smoothed / smoothed.sum(axis=1, keepdims=True)

    def infer(self, bow: sp.csr_matrix, view: str, sweeps: int = 100, burn_in: int = 20, seed: int = 0, progress: bool = False) -> np.ndarray:
        """Document–topic distributions of documents in one language, φ held fixed.

        Gibbs sampling of each document's tokens; θ is the mean over the sweeps after ``burn_in`` of its posterior mean, tokens
        counted by their conditional probabilities and not by the topic drawn.

        Parameters
        ----------
        bow : sparse (M, V)
        view : str
            The language.

        Returns
        -------
        float32 (M, K), rows sum to 1; a document without words gets the prior's mean.

        Raises
        ------
        ParameterError
            The language is unknown, or sweeps are not above burn_in.
        DataError
            The bag of words does not fit the vocabulary.
        """
        phi = np.ascontiguousarray(self.phi(view).T)  # (V, K): a token reads one row
        require(sp.issparse(bow) and bow.shape[1] == len(phi), f"view {view!r}: expected a sparse bag of words with {len(phi)} columns", DataError)
        for name, value in (("sweeps", sweeps), ("burn_in", burn_in), ("seed", seed)):
            require(isinstance(value, int) and value >= 0, f"{name}={value!r}: expected an integer, 0 or more")
        require(burn_in < sweeps, f"burn_in={burn_in}: expected at least 0 and below sweeps={sweeps}")
        words, starts = _tokens(bow)
        # as in M3L.infer: two languages' documents must not share their random numbers
        rng = np.random.default_rng([seed, zlib.crc32(words.tobytes()), zlib.crc32(view.encode())])
        theta = np.empty((bow.shape[0], self.topics), dtype=np.float32)
        step = 256
        for first in progress_bar(range(0, len(theta), step), progress, desc=f"topics of {view}"):
            chunk = starts[first : first + step + 1]
            theta[first : first + step] = _fold_in(words, chunk, phi, self.alpha, sweeps, burn_in, rng)
        return theta

    def topic_words(self, name: str, vocabulary: Sequence[str], n: int = 10) -> list[list[str]]:
        """The ``n`` most frequent words of each of the K topics in language ``name``; ties by column."""
        choose("view", name, self.counts)
        counts = self.counts[name]
        require(len(vocabulary) == counts.shape[1], f"view {name!r}: {len(vocabulary)} words for {counts.shape[1]} columns", DataError)
        return [[vocabulary[v] for v in row] for row in np.argsort(-counts, axis=1, kind="stable")[:, :n]]


class Sampler:
    """The state of a chain: every token's topic, and counts that follow from them.

    Attributes
    ----------
    words : int32 (T,)
        Tokens' words, languages' vocabularies one after the other.
    starts : int64 (D · L + 1,)
        Where the tokens of tuple d in language l begin: ``starts[d * L + l]``.
    z : int32 (T,)
        Tokens' topics.
    """

    def __init__(self, model: PLTM, documents: Sequence[Mapping[str, np.ndarray]] | Mapping[str, sp.csr_matrix], seed: int = 0):
        """``documents``: language -> sparse (D, V) word counts; a tuple without a language has an empty row there."""
        self.model, self.languages = model, list(model.counts)
        sizes = [model.counts[name].shape[1] for name in self.languages]
        require(set(documents) == set(self.languages), f"the model has languages {sorted(self.languages)}, the documents {sorted(documents)}", DataError)
        for name, size in zip(self.languages, sizes, strict=True):
            require(documents[name].shape[1] == size, f"language {name!r}: {documents[name].shape[1]} words, the model has {size}", DataError)
        require(len({documents[name].shape[0] for name in self.languages}) == 1, "every language needs a row a tuple", DataError)
        self.first_word = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        stacked = sp.hstack([documents[name] for name in self.languages], format="csr")
        words, tuples = _tokens(stacked)
        language = np.searchsorted(self.first_word, words, side="right") - 1
        segment = np.repeat(np.arange(len(tuples) - 1), np.diff(tuples)) * len(sizes) + language
        self.words = words
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(segment, minlength=(len(tuples) - 1) * len(sizes)))]).astype(np.int64)
        require(len(words) > 0, "the documents hold no token", DataError)
        self.rng = np.random.default_rng(seed)
        self.z = self.rng.integers(model.topics, size=len(words), dtype=np.int32)
        self._build()

    def _build(self) -> None:
        """Counts from ``z``: dense totals, and for each word a list of its topics and their counts."""
        k = self.model.topics
        matrix = sp.coo_matrix((np.ones(len(self.z), dtype=np.int32), (self.words, self.z)), shape=(self.first_word[-1], k)).tocsr()
        room = np.minimum(np.bincount(self.words, minlength=self.first_word[-1]), k)
        self.list_start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        self.list_length = np.diff(matrix.indptr).astype(np.int32)
        self.list_topic, self.list_count = np.zeros(self.list_start[-1], dtype=np.int32), np.zeros(self.list_start[-1], dtype=np.int32)
        place = np.repeat(self.list_start[:-1], self.list_length) + np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1].astype(np.int64), self.list_length)
        self.list_topic[place], self.list_count[place] = matrix.indices, matrix.data
        bounds = self.first_word
        self.totals = np.stack([np.asarray(matrix[a:b].sum(axis=0)).ravel() for a, b in itertools.pairwise(bounds)]).astype(np.int64)

    def word_topics(self) -> sp.csr_matrix:
        """Sparse counts (all languages' words, K), from the lists the sampler works on."""
        rows = np.repeat(np.arange(len(self.list_length)), self.list_length)
        place = np.concatenate([np.arange(s, s + n) for s, n in zip(self.list_start, self.list_length, strict=False)]) if len(rows) else []
        return sp.csr_matrix((self.list_count[place], (rows, self.list_topic[place])), shape=(len(self.list_length), self.model.topics))

    def tuple_topics(self) -> sp.csr_matrix:
        """Sparse counts (D, K)."""
        bounds = self.starts[:: len(self.languages)]
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return sp.coo_matrix((np.ones(len(self.z), dtype=np.int32), (rows, self.z)), shape=(len(bounds) - 1, self.model.topics)).tocsr()

    def sweep(self) -> None:
        """Visit every token once."""
        sizes = np.diff(self.first_word)
        beta = np.array([self.model.beta[name] for name in self.languages])
        lists = self.list_start, self.list_length, self.list_topic, self.list_count
        _sweep(self.words, self.starts, self.z, *lists, self.totals, self.model.alpha, beta, beta * sizes, self.rng)

    def log_likelihood(self) -> float:
        """log p(words, topics | α, β) of the present state, θ and φ integrated out (nats)."""
        alpha, per_tuple = self.model.alpha, self.tuple_topics().tocoo()
        lengths = np.bincount(per_tuple.row, per_tuple.data, minlength=per_tuple.shape[0])
        total = (gammaln(alpha.sum()) - gammaln(lengths + alpha.sum())).sum()
        total += (gammaln(per_tuple.data + alpha[per_tuple.col]) - gammaln(alpha[per_tuple.col])).sum()
        words = self.word_topics()
        for i, name in enumerate(self.languages):
            beta, size = self.model.beta[name], int(self.first_word[i + 1] - self.first_word[i])
            counts = words[self.first_word[i] : self.first_word[i + 1]].data
            total += (gammaln(counts + beta) - gammaln(beta)).sum() + (gammaln(size * beta) - gammaln(self.totals[i] + size * beta)).sum()
        return float(total)

    def optimize(self, iterations: int = 5) -> None:
        """Move α (a value a topic) and each language's β towards the maximum of `log_likelihood`, by Minka's fixed point."""
        model, per_tuple = self.model, self.tuple_topics().tocsc()
        lengths, words = np.diff(self.starts[:: len(self.languages)]), self.word_topics()
        for _ in range(iterations):
            alpha = model.alpha
            above = digamma(per_tuple.data + np.repeat(alpha, np.diff(per_tuple.indptr))) - digamma(np.repeat(alpha, np.diff(per_tuple.indptr)))
            above = np.add.reduceat(np.append(above, 0.0), per_tuple.indptr[:-1]) * (np.diff(per_tuple.indptr) > 0)
            below = (digamma(lengths + alpha.sum()) - digamma(alpha.sum())).sum()
            model.alpha = np.clip(alpha * above / below, 1e-4, 1e3)
            for i, name in enumerate(self.languages):
                beta, size = model.beta[name], int(self.first_word[i + 1] - self.first_word[i])
                counts = words[self.first_word[i] : self.first_word[i + 1]].data
                above = (digamma(counts + beta) - digamma(beta)).sum()
                below = size * (digamma(self.totals[i] + size * beta) - digamma(size * beta)).sum()
                if below > 0:
                    model.beta[name] = float(np.clip(beta * above / below, 1e-5, 1e3))

    def write_counts(self) -> None:
        """Put the present counts into the model."""
        words = self.word_topics()
        for i, name in enumerate(self.languages):
            self.model.counts[name] = np.ascontiguousarray(words[self.first_word[i] : self.first_word[i + 1]].toarray().T.astype(np.int32))


def documents(corpus: Corpus) -> dict[str, sp.csr_matrix]:
    """The word counts of a corpus's articles by language: (D, V) each, an empty row where an article lacks the language.

    Tuples that share all their documents, as those of an article with several pictures do, count once.
    """
    require(len(corpus.text_views) > 0, f"corpus {corpus.name}: no view has words", DataError)
    index = np.stack([corpus.views[name].index for name in corpus.text_views], axis=1)  # (N, L)
    index = index[np.sort(np.unique(index, axis=0, return_index=True)[1])]
    found = {}
    for name, column in zip(corpus.text_views, index.T, strict=True):
        bow = corpus.views[name].bow
        found[name] = sp.vstack([bow, sp.csr_matrix((1, bow.shape[1]), dtype=bow.dtype)], format="csr")[column]  # -1 is the empty row
    return found


def fit(model: PLTM, corpus: Corpus, config: GibbsConfig, checkpoint=None, progress: bool = True) -> list[dict]:
    """Sample topics for the tuples of ``corpus`` (the training part alone) and leave the counts in ``model``.

    Parameters
    ----------
    model : PLTM
    corpus : Corpus
        Its text views are the model's languages; other views are not read.
    config : GibbsConfig
    checkpoint : path, optional
        Where the chain is saved every ``config.checkpoint_every`` sweeps, and resumed from if the file is there; a
        resumed chain is the one that was not interrupted. Left in place at the end.
    progress : bool

    Returns
    -------
    A row every ``config.checkpoint_every`` sweeps and for the last: ``epoch`` (the sweep), ``seconds`` since the start,
    ``log_likelihood`` (joint, nats a token).

    Raises
    ------
    DataError
        Languages or vocabularies do not match, or the checkpoint is broken or of another run.
    """
    sampler = Sampler(model, documents(corpus), config.seed)
    begun = {"alpha": model.alpha.tolist(), "beta": dict(model.beta)}
    settings = {k: v for k, v in asdict(config).items() if k not in ("sweeps", "checkpoint_every")}
    sizes = {name: counts.shape[1] for name, counts in model.counts.items()}
    identity = {"config": settings, "prior": begun, "vocabulary_sizes": sizes, "data": digest(sampler.words, sampler.starts)}
    history = [] if checkpoint is None else _resume(checkpoint, identity, sampler, config.sweeps)
    spent, start = history[-1]["seconds"] if history else 0.0, time.perf_counter()
    done = history[-1]["epoch"] if history else 0
    with progress_bar(show=progress, total=config.sweeps, initial=done, desc="sampling", unit="sweep") as bar:
        for sweep in range(done + 1, config.sweeps + 1):
            sampler.sweep()
            if config.optimize_every and sweep > config.burn_in and sweep % config.optimize_every == 0:
                sampler.optimize()
            if sweep % config.checkpoint_every == 0 or sweep == config.sweeps:
                seconds = round(spent + time.perf_counter() - start, 3)
                history.append({"epoch": sweep, "seconds": seconds, "log_likelihood": sampler.log_likelihood() / len(sampler.z)})
                if checkpoint is not None:
                    _save(checkpoint, identity, sampler, history)
            bar.update()
    sampler.write_counts()
    return history


def _save(path, identity: dict, sampler: Sampler, history: list[dict]) -> None:
    from safetensors.numpy import save_file

    model = sampler.model
    state = {"alpha": model.alpha, "beta": np.array([model.beta[name] for name in sampler.languages])}
    # the order within a word's list steers which topic a random number picks, so the lists are part of the chain
    state |= {"z": sampler.z, "list_length": sampler.list_length, "list_topic": sampler.list_topic, "list_count": sampler.list_count}
    about = {"identity": identity, "history": history, "rng": sampler.rng.bit_generator.state}
    with atomic(path) as temporary:
        save_file(state, temporary, metadata={"pltm": json.dumps({**about, "digest": _digest(state, about)})})


def _digest(state: Mapping[str, np.ndarray], about: Mapping) -> str:
    return digest(*(part for key in sorted(state) for part in (key, np.ascontiguousarray(state[key]))), json.dumps(about, sort_keys=True))


def _resume(path, identity: dict, sampler: Sampler, sweeps: int) -> list[dict]:
    """Restore the chain saved at ``path``, if any; its history up to there."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).exists():
        return []
    try:
        with safe_open(path, "np") as file:
            about, state = json.loads(file.metadata()["pltm"]), {key: file.get_tensor(key) for key in list(file.keys())}
        require(about.pop("digest") == _digest(state, about), "its arrays are not those that were saved", DataError)
        found, history, generator = about["identity"], about["history"], about["rng"]
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a whole checkpoint ({error}); delete it to start again") from error
    require_same_run(path, found, identity)
    require(
        history[-1]["epoch"] <= sweeps,
        f"{path}: a checkpoint after {history[-1]['epoch']} sweeps, more than sweeps={sweeps}; delete it to start again",
        DataError,
    )
    sampler.z = np.array(state["z"])
    sampler._build()
    sampler.list_length, sampler.list_topic, sampler.list_count = (np.array(state[key]) for key in ("list_length", "list_topic", "list_count"))
    sampler.model.alpha = np.array(state["alpha"])
    sampler.model.beta = dict(zip(sampler.languages, map(float, state["beta"]), strict=True))
    sampler.rng.bit_generator.state = generator
    return history


def _tokens(bow: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Word counts (M, V) -> the words of all tokens int32 (T,), and where each row's tokens begin, int64 (M + 1,)."""
    bow = sp.csr_matrix(bow)
    counts = bow.data.astype(np.int64)
    require(bool((counts == bow.data).all() and (counts >= 0).all()), "a bag of words holds something other than counts, 0, 1, 2 …", DataError)
    words = np.repeat(bow.indices, counts).astype(np.int32)
    per_row = np.bincount(np.repeat(np.arange(bow.shape[0]), np.diff(bow.indptr)), counts, minlength=bow.shape[0])
    return words, np.concatenate([[0], np.cumsum(per_row)]).astype(np.int64)


@njit(cache=True)
def _sweep(words, starts, z, list_start, list_length, list_topic, list_count, totals, alpha, beta, beta_sum, rng):
    """One sweep. The conditional p(z = k) ∝ (α_k + n_dk)(β + n_wk) / (Vβ + n_k) is split into three sums (Yao et al. 2009): over all
    topics (smoothing), over the tuple's topics, and over the word's topics, so that a token costs as much as it has topics."""
    languages, topics = totals.shape
    n_tuple = np.zeros(topics, np.int32)  # tokens of this tuple, all languages, by topic
    present, where = np.empty(topics, np.int32), np.empty(topics, np.int32)  # the tuple's topics as a list, and each topic's place in it
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
                        list_topic[first + at_old], list_count[first + at_old] = list_topic[first + length], list_count[first + length]
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


@njit(cache=True, fastmath=True)  # reassociated sums are what lets the loops over topics use vector instructions
def _fold_in(words, starts, phi, alpha, sweeps, burn_in, rng):
    """θ (M, K) of documents given φ (V, K): see `PLTM.infer`."""
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
        for i in range(length):
            z[i] = int(rng.random() * topics)
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
                u = rng.random() * mass
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
