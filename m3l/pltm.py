"""The Polylingual Topic Model (Mimno et al. 2009), the paper's classical baseline (Section 4.3).

A tuple d has one distribution over topics θ_d ~ Dirichlet(α), shared by its documents in all
languages; a topic k has a distribution over the words of each language l, φ_lk ~ Dirichlet(β_l). θ
and φ are integrated out; the sampler visits each token and draws its topic anew given all others. A
tuple without a language simply has no tokens of it.

D tuples, K topics, L languages, V words of a language, W of all languages, T tokens.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .corpus import Corpus
from .errors import DataError, check_integer, check_number, choose, require
from .files import digest
from .gibbs import Sampler, numbers_of_document, tokens_of, topics_of_document_compiled
from .progress import progress_bar
from .saving import load_checkpoint, read_tensors, save_checkpoint, write_tensors
from .trained import heaviest_words


class PLTM:
    """Topic–word counts by language, and the hyperparameters.

    ``vocabulary_sizes`` gives V of each language; ``topics`` is K; ``alpha`` and ``beta`` belong to
    symmetric Dirichlet priors, of θ a topic and of φ a word; only with ``vocabularies``, V words of
    each language, are there `top_words`. A parameter out of range is a `ParameterError`.

    Attributes
    ----------
    counts : language -> int32 (K, V)
        Tokens of each word assigned to each topic.
    alpha : float64 (K,)
    beta : language -> float
    """

    def __init__(
        self,
        vocabulary_sizes: Mapping[str, int],
        topics: int = 100,
        alpha: float = 0.1,
        beta: float = 0.01,
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ):
        check_integer("topics", topics, 2)
        require(len(vocabulary_sizes) > 0, "vocabulary_sizes: expected at least one language")
        for name, size in vocabulary_sizes.items():
            check_integer(f"vocabulary_sizes: words of {name!r}", size, 1)
        for name, value in (("alpha", alpha), ("beta", beta)):
            check_number(name, value, above_zero=True)
        self.vocabularies = {name: list(words) for name, words in (vocabularies or {}).items()}
        for name, words in self.vocabularies.items():
            size = vocabulary_sizes.get(name, 0)
            message = f"vocabularies: {len(words)} words of {name!r}, which has {size}"
            require(len(words) == size, message)
        self.topics = topics
        self.alpha = np.full(topics, float(alpha))
        self.beta = dict.fromkeys(vocabulary_sizes, float(beta))
        self.counts = {
            name: np.zeros((topics, size), dtype=np.int32)
            for name, size in vocabulary_sizes.items()
        }

    def phi(self, language: str) -> np.ndarray:
        """Return the topics' distributions over words given the counts, the posterior mean: (K, V),
        rows sum to 1.
        """
        choose("view", language, self.counts)
        smoothed = self.counts[language] + self.beta[language]
        return smoothed / smoothed.sum(axis=1, keepdims=True)

    def infer(
        self,
        bow: sp.csr_matrix,
        view: str,
        sweeps: int = 100,
        burn_in: int = 20,
        seed: int = 0,
        one_state: bool = False,
    ) -> np.ndarray:
        """Return the distributions over topics of documents in one language, φ held fixed.

        Each document's tokens are sampled by themselves, from random numbers of its own: see
        `gibbs.topics_of_document`.

        bow: sparse word counts (M, V) of the language ``view``. With ``one_state`` θ is read off
        the topics that the tokens have after the last sweep, and no mean is taken: the simplest way
        to read a sampler off, and the noisiest.

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
        fits = sp.issparse(bow) and bow.shape[1] == len(phi)
        message = f"view {view!r}: expected a sparse bag of words with {len(phi)} columns"
        require(fits, message, DataError)
        for name, value in (("sweeps", sweeps), ("burn_in", burn_in), ("seed", seed)):
            check_integer(name, value, 0)
        message = f"burn_in={burn_in}: expected at least 0 and below sweeps={sweeps}"
        require(burn_in < sweeps, message)
        words, starts = tokens_of(bow)
        theta = np.empty((bow.shape[0], self.topics), dtype=np.float32)
        for d, (begin, end) in enumerate(pairwise(starts)):
            tokens = words[begin:end]
            numbers = numbers_of_document(tokens, view, seed, sweeps)
            theta[d] = topics_of_document_compiled(
                tokens, phi, self.alpha, numbers, burn_in, one_state
            )
        return theta

    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """Return the ``n`` most frequent words of each of the K topics in a language; ties by
        column.

        Raises
        ------
        ParameterError
            The language is unknown.
        DataError
            The model was made without its vocabulary.
        """
        choose("view", view, self.counts)
        return heaviest_words(self.counts[view], self.vocabularies, view, n)

    def save(self, path: str | Path) -> None:
        """Write counts, priors and vocabularies as one safetensors file, atomically."""
        counts = {f"counts.{name}": array for name, array in self.counts.items()}
        about = {"beta": self.beta, "vocabularies": self.vocabularies}
        write_tensors(path, {"alpha": self.alpha, **counts}, about)

    @classmethod
    def load(cls, path: str | Path) -> "PLTM":
        """Read the model that `save` wrote; raise `DataError` if the file is broken."""
        about, tensors = read_tensors(path, "model", "train it again")
        try:
            counts = {name: tensors[f"counts.{name}"].numpy() for name in about["beta"]}
            sizes = {name: array.shape[1] for name, array in counts.items()}
            model = cls(sizes, len(tensors["alpha"]), vocabularies=about["vocabularies"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a whole model ({error}); train it again") from error
        model.counts, model.alpha, model.beta = counts, tensors["alpha"].numpy(), about["beta"]
        return model


def pltm_for(corpus: Corpus, topics: int = 100, alpha: float = 0.1, beta: float = 0.01) -> PLTM:
    """Make an empty `PLTM` for the text views of ``corpus``."""
    words = {name: corpus.views[name].vocabulary for name in corpus.text_views}
    sizes = {name: len(vocabulary) for name, vocabulary in words.items()}
    return PLTM(sizes, topics, alpha, beta, words)


def documents(corpus: Corpus) -> dict[str, sp.csr_matrix]:
    """Return the word counts of a corpus's articles by language: (D, V) each, with an empty row
    where an article lacks the language.

    Tuples that share all their documents, as those of an article with several pictures do, count
    once.
    """
    require(len(corpus.text_views) > 0, f"corpus {corpus.name}: no view has words", DataError)
    index = np.stack([corpus.views[name].index for name in corpus.text_views], axis=1)  # (N, L)
    index = index[np.sort(np.unique(index, axis=0, return_index=True)[1])]
    matrices = {}
    for name, column in zip(corpus.text_views, index.T, strict=True):
        bow = corpus.views[name].bow
        with_empty = [bow, sp.csr_matrix((1, bow.shape[1]), dtype=bow.dtype)]
        matrices[name] = sp.vstack(with_empty, format="csr")[column]  # -1 is the empty row
    return matrices


@dataclass(frozen=True)
class GibbsConfig:
    """How long to sample.

    ``sweeps`` visit every token. The asymmetric α and each language's symmetric β are updated every
    ``optimize_every`` sweeps after ``burn_in`` (Minka's fixed point; Wallach et al. 2009), with 0
    never. ``checkpoint_every`` sweeps lie between checkpoints and between rows of the history. A
    value out of range is a `ParameterError`.
    """

    sweeps: int = 1000
    seed: int = 0
    optimize_every: int = 0
    burn_in: int = 100
    checkpoint_every: int = 50

    def __post_init__(self):
        for name, value in asdict(self).items():
            check_integer(name, value, int(name in ("sweeps", "checkpoint_every")))


def fit(
    model: PLTM,
    corpus: Corpus,
    config: GibbsConfig,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> list[dict]:
    """Sample topics for the tuples of ``corpus`` (the training part alone) and leave the counts in
    ``model``.

    The text views of the corpus are the model's languages; other views are not read. At
    ``checkpoint`` the chain is saved every ``config.checkpoint_every`` sweeps, and resumed from if
    the file is there; a resumed chain is the one that was not interrupted. The file stays.

    Returns
    -------
    A row every ``config.checkpoint_every`` sweeps and for the last: ``epoch`` (the sweep),
    ``seconds`` since the start, ``log_likelihood`` (joint, nats a token).

    Raises
    ------
    DataError
        Languages or vocabularies do not match, or the checkpoint is broken or of another run.
    """
    found = documents(corpus)
    message = f"the model has languages {sorted(model.counts)}, the documents {sorted(found)}"
    require(set(found) == set(model.counts), message, DataError)
    for name, counts in model.counts.items():
        words = found[name].shape[1]
        message = f"language {name!r}: {words} words, the model has {counts.shape[1]}"
        require(words == counts.shape[1], message, DataError)
        vocabulary = corpus.views[name].vocabulary
        other = f"language {name!r}: the corpus has other words than the model"
        require(model.vocabularies.get(name, vocabulary) == vocabulary, other, DataError)
    by_language = {name: found[name] for name in model.counts}
    sampler, history = Sampler(by_language, model.alpha, model.beta, config.seed), []
    settings = {k: v for k, v in asdict(config).items() if k not in ("sweeps", "checkpoint_every")}
    identity = {  # what must be equal for one chain to go on from another's checkpoint
        "config": settings,
        "prior": {"alpha": model.alpha.tolist(), "beta": dict(model.beta)},
        "vocabulary_sizes": {name: counts.shape[1] for name, counts in model.counts.items()},
        "data": digest(sampler.words, sampler.starts),
    }
    saved = load_checkpoint(checkpoint, identity, config.sweeps) if checkpoint else None
    if saved is not None:
        history = saved.history
        sampler.restore(saved.tensors, saved.more)
    done, before = (history[-1]["epoch"], history[-1]["seconds"]) if history else (0, 0.0)
    start = time.perf_counter()
    about = {"total": config.sweeps, "initial": done, "desc": "sampling", "unit": "sweep"}
    with progress_bar(show=progress, **about) as bar:
        for sweep in range(done + 1, config.sweeps + 1):
            sampler.sweep()
            every = config.optimize_every
            if every and sweep > config.burn_in and sweep % every == 0:
                sampler.optimize()
            if sweep % config.checkpoint_every == 0 or sweep == config.sweeps:
                seconds = before + time.perf_counter() - start
                likelihood = sampler.log_likelihood() / len(sampler.z)
                history.append({"epoch": sweep, "seconds": seconds, "log_likelihood": likelihood})
                if checkpoint:
                    save_checkpoint(checkpoint, identity, history, *sampler.state())
            bar.update()
    counted = sampler.word_topics().items()
    model.counts = {name: np.ascontiguousarray(n_word.T) for name, n_word in counted}
    model.alpha, model.beta = sampler.alpha, sampler.beta
    return history
