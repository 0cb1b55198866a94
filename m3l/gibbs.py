"""Collapsed Gibbs sampling for the Polylingual Topic Model (Mimno et al. 2009; the paper's Section
4.3).

D tuples, K topics, L languages, V words of a language, T tokens in all.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.special import digamma, gammaln
from torch import Tensor

from .corpus import Corpus
from .errors import DataError, require
from .files import digest
from .kernels.gibbs import sweep
from .pltm import PLTM, tokens_of
from .progress import progress_bar
from .saving import CURE, load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class GibbsConfig:
    """How long to sample.

    Attributes
    ----------
    sweeps : int
        Visits to every token.
    seed : int
    optimize_every : int
        Sweeps between updates of the asymmetric α and of each language's symmetric β (Minka's fixed
        point; Wallach et al. 2009); 0 leaves both as they are.
    burn_in : int
        Sweeps before the first such update.
    checkpoint_every : int
        Sweeps between checkpoints, if `fit` is given a place for them, and between rows of the
        history.

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
        for name, least in (
            ("sweeps", 1),
            ("seed", 0),
            ("optimize_every", 0),
            ("burn_in", 0),
            ("checkpoint_every", 1),
        ):
            value = getattr(self, name)
            require(
                isinstance(value, int) and not isinstance(value, bool) and value >= least,
                f"{name}={value!r}: expected an integer, {least} or more",
            )


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

    def __init__(
        self,
        model: PLTM,
        documents: Sequence[Mapping[str, np.ndarray]] | Mapping[str, sp.csr_matrix],
        seed: int = 0,
    ):
        """``documents``: language -> sparse (D, V) word counts; a tuple without a language has an
        empty row there.
        """
        self.model, self.languages = model, list(model.counts)
        sizes = [model.counts[name].shape[1] for name in self.languages]
        require(
            set(documents) == set(self.languages),
            f"the model has languages {sorted(self.languages)}, the documents {sorted(documents)}",
            DataError,
        )
        for name, size in zip(self.languages, sizes, strict=True):
            require(
                documents[name].shape[1] == size,
                f"language {name!r}: {documents[name].shape[1]} words, the model has {size}",
                DataError,
            )
        require(
            len({documents[name].shape[0] for name in self.languages}) == 1,
            "every language needs a row a tuple",
            DataError,
        )
        self.first_word = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        stacked = sp.hstack([documents[name] for name in self.languages], format="csr")
        words, tuples = tokens_of(stacked)
        language = np.searchsorted(self.first_word, words, side="right") - 1
        segment = np.repeat(np.arange(len(tuples) - 1), np.diff(tuples)) * len(sizes) + language
        self.words = words
        self.starts = np.concatenate(
            [[0], np.cumsum(np.bincount(segment, minlength=(len(tuples) - 1) * len(sizes)))]
        ).astype(np.int64)
        require(len(words) > 0, "the documents hold no token", DataError)
        self.rng = np.random.default_rng(seed)
        self.z = self.rng.integers(model.topics, size=len(words), dtype=np.int32)
        self._build()

    def _build(self) -> None:
        """Counts from ``z``: dense totals, and for each word its topics and their counts."""
        k = self.model.topics
        matrix = sp.coo_matrix(
            (np.ones(len(self.z), dtype=np.int32), (self.words, self.z)),
            shape=(self.first_word[-1], k),
        ).tocsr()
        room = np.minimum(np.bincount(self.words, minlength=self.first_word[-1]), k)
        self.list_start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        self.list_length = np.diff(matrix.indptr).astype(np.int32)
        self.list_topic, self.list_count = (
            np.zeros(self.list_start[-1], dtype=np.int32),
            np.zeros(self.list_start[-1], dtype=np.int32),
        )
        place = (
            np.repeat(self.list_start[:-1], self.list_length)
            + np.arange(matrix.nnz)
            - np.repeat(matrix.indptr[:-1].astype(np.int64), self.list_length)
        )
        self.list_topic[place], self.list_count[place] = matrix.indices, matrix.data
        bounds = self.first_word
        self.totals = np.stack(
            [np.asarray(matrix[a:b].sum(axis=0)).ravel() for a, b in itertools.pairwise(bounds)]
        ).astype(np.int64)

    def word_topics(self) -> sp.csr_matrix:
        """Sparse counts (all languages' words, K), from the lists the sampler works on."""
        rows = np.repeat(np.arange(len(self.list_length)), self.list_length)
        place = (
            np.concatenate(
                [
                    np.arange(s, s + n)
                    for s, n in zip(self.list_start, self.list_length, strict=False)
                ]
            )
            if len(rows)
            else []
        )
        return sp.csr_matrix(
            (self.list_count[place], (rows, self.list_topic[place])),
            shape=(len(self.list_length), self.model.topics),
        )

    def tuple_topics(self) -> sp.csr_matrix:
        """Sparse counts (D, K)."""
        bounds = self.starts[:: len(self.languages)]
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return sp.coo_matrix(
            (np.ones(len(self.z), dtype=np.int32), (rows, self.z)),
            shape=(len(bounds) - 1, self.model.topics),
        ).tocsr()

    def sweep(self) -> None:
        """Visit every token once."""
        sizes = np.diff(self.first_word)
        beta = np.array([self.model.beta[name] for name in self.languages])
        lists = self.list_start, self.list_length, self.list_topic, self.list_count
        sweep(
            self.words,
            self.starts,
            self.z,
            *lists,
            self.totals,
            self.model.alpha,
            beta,
            beta * sizes,
            self.rng,
        )

    def log_likelihood(self) -> float:
        """log p(words, topics | α, β) of the present state, θ and φ integrated out (nats)."""
        alpha, per_tuple = self.model.alpha, self.tuple_topics().tocoo()
        lengths = np.bincount(per_tuple.row, per_tuple.data, minlength=per_tuple.shape[0])
        total = (gammaln(alpha.sum()) - gammaln(lengths + alpha.sum())).sum()
        total += (
            gammaln(per_tuple.data + alpha[per_tuple.col]) - gammaln(alpha[per_tuple.col])
        ).sum()
        words = self.word_topics()
        for i, name in enumerate(self.languages):
            beta, size = self.model.beta[name], int(self.first_word[i + 1] - self.first_word[i])
            counts = words[self.first_word[i] : self.first_word[i + 1]].data
            total += (gammaln(counts + beta) - gammaln(beta)).sum() + (
                gammaln(size * beta) - gammaln(self.totals[i] + size * beta)
            ).sum()
        return float(total)

    def optimize(self, iterations: int = 5) -> None:
        """Move α (a value a topic) and each language's β towards the maximum of `log_likelihood`,
        by Minka's fixed point.
        """
        model, per_tuple = self.model, self.tuple_topics().tocsc()
        lengths, words = np.diff(self.starts[:: len(self.languages)]), self.word_topics()
        for _ in range(iterations):
            alpha = model.alpha
            above = digamma(per_tuple.data + np.repeat(alpha, np.diff(per_tuple.indptr))) - digamma(
                np.repeat(alpha, np.diff(per_tuple.indptr))
            )
            above = np.add.reduceat(np.append(above, 0.0), per_tuple.indptr[:-1]) * (
                np.diff(per_tuple.indptr) > 0
            )
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
            self.model.counts[name] = np.ascontiguousarray(
                words[self.first_word[i] : self.first_word[i + 1]].toarray().T.astype(np.int32)
            )

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """All that the rest of the chain depends on: named arrays, and what JSON holds."""
        model = self.model
        arrays = {
            "alpha": model.alpha,
            "beta": np.array([model.beta[name] for name in self.languages]),
        }
        # the order within a word's list steers which topic a random number picks, so the lists are
        # part of the chain
        arrays |= {"z": self.z, "list_length": self.list_length}
        arrays |= {"list_topic": self.list_topic, "list_count": self.list_count}
        return arrays, {"rng": self.rng.bit_generator.state}

    def restore(self, arrays: Mapping[str, Tensor], more: Mapping) -> None:
        """Put what `state` gave back into place."""
        whole = {name: np.array(array.numpy()) for name, array in arrays.items()}
        self.z = whole["z"]
        self._build()
        self.list_length, self.list_topic, self.list_count = (
            whole[name] for name in ("list_length", "list_topic", "list_count")
        )
        self.model.alpha = whole["alpha"]
        self.model.beta = dict(zip(self.languages, map(float, whole["beta"]), strict=True))
        self.rng.bit_generator.state = more["rng"]


def documents(corpus: Corpus) -> dict[str, sp.csr_matrix]:
    """The word counts of a corpus's articles by language: (D, V) each, an empty row where an
    article lacks the language.

    Tuples that share all their documents, as those of an article with several pictures do, count
    once.
    """
    require(len(corpus.text_views) > 0, f"corpus {corpus.name}: no view has words", DataError)
    index = np.stack([corpus.views[name].index for name in corpus.text_views], axis=1)  # (N, L)
    index = index[np.sort(np.unique(index, axis=0, return_index=True)[1])]
    matrices = {}
    for name, column in zip(corpus.text_views, index.T, strict=True):
        bow = corpus.views[name].bow
        matrices[name] = sp.vstack(
            [bow, sp.csr_matrix((1, bow.shape[1]), dtype=bow.dtype)], format="csr"
        )[column]  # -1 is the empty row
    return matrices


def fit(
    model: PLTM,
    corpus: Corpus,
    config: GibbsConfig,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> list[dict]:
    """Sample topics for the tuples of ``corpus`` (the training part alone) and leave the counts in
    ``model``.

    Parameters
    ----------
    model : PLTM
    corpus : Corpus
        Its text views are the model's languages; other views are not read.
    config : GibbsConfig
    checkpoint : path, optional
        Where the chain is saved every ``config.checkpoint_every`` sweeps, and resumed from if the
        file is there; a resumed chain is the one that was not interrupted. Left in place at the
        end.
    progress : bool

    Returns
    -------
    A row every ``config.checkpoint_every`` sweeps and for the last: ``epoch`` (the sweep),
    ``seconds`` since the start, ``log_likelihood`` (joint, nats a token).

    Raises
    ------
    DataError
        Languages or vocabularies do not match, or the checkpoint is broken or of another run.
    """
    sampler = Sampler(model, documents(corpus), config.seed)
    identity = _identity(sampler, config)
    history: list[dict] = []
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint, identity)
        if saved is not None:
            done = saved.history[-1]["epoch"]
            require(
                done <= config.sweeps,
                f"{checkpoint}: a checkpoint after {done} sweeps, more than sweeps={config.sweeps};"
                f" {CURE}",
                DataError,
            )
            history = saved.history
            sampler.restore(saved.tensors, saved.more)
    before, start = history[-1]["seconds"] if history else 0.0, time.perf_counter()
    done = history[-1]["epoch"] if history else 0
    with progress_bar(
        show=progress, total=config.sweeps, initial=done, desc="sampling", unit="sweep"
    ) as bar:
        for sweep in range(done + 1, config.sweeps + 1):
            sampler.sweep()
            if (
                config.optimize_every
                and sweep > config.burn_in
                and sweep % config.optimize_every == 0
            ):
                sampler.optimize()
            if sweep % config.checkpoint_every == 0 or sweep == config.sweeps:
                seconds = round(before + time.perf_counter() - start, 3)
                likelihood = sampler.log_likelihood() / len(sampler.z)
                history.append({"epoch": sweep, "seconds": seconds, "log_likelihood": likelihood})
                if checkpoint is not None:
                    save_checkpoint(checkpoint, identity, history, *sampler.state())
            bar.update()
    sampler.write_counts()
    return history


def _identity(sampler: Sampler, config: GibbsConfig) -> dict:
    """What must be equal for one chain to go on from another's checkpoint."""
    model = sampler.model
    settings = {k: v for k, v in asdict(config).items() if k not in ("sweeps", "checkpoint_every")}
    return {
        "config": settings,
        "prior": {"alpha": model.alpha.tolist(), "beta": dict(model.beta)},
        "vocabulary_sizes": {name: counts.shape[1] for name, counts in model.counts.items()},
        "data": digest(sampler.words, sampler.starts),
    }
