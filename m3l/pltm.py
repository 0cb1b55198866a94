"""The Polylingual Topic Model (Mimno et al. 2009), the paper's classical baseline (Section 4.3).

A tuple d has one distribution over topics θ_d ~ Dirichlet(α), shared by its documents in all
languages; a topic k has a distribution over the words of each language l, φ_lk ~ Dirichlet(β_l). θ
and φ are integrated out; the sampler visits each token and draws its topic anew given all others. A
tuple without a language simply has no tokens of it.

D tuples, K topics, V words of a language, T tokens in all.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .corpus import Corpus
from .errors import DataError, choose, require
from .kernels.gibbs import fold_in
from .noise import item_keys
from .progress import progress_bar
from .saving import read_tensors, write_tensors


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
    vocabularies : mapping of language to V words, optional
        Without them `top_words` has nothing to say.

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

    def __init__(
        self,
        vocabulary_sizes: Mapping[str, int],
        topics: int = 100,
        alpha: float = 0.1,
        beta: float = 0.01,
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ):
        require(
            isinstance(topics, int) and not isinstance(topics, bool) and topics >= 2,
            f"topics={topics!r}: expected an integer, 2 or more",
        )
        require(len(vocabulary_sizes) > 0, "vocabulary_sizes: expected at least one language")
        for name, size in vocabulary_sizes.items():
            require(
                isinstance(size, int) and size >= 1,
                f"vocabulary_sizes: {size} words of {name!r}: expected 1 or more",
            )
        for name, value in (("alpha", alpha), ("beta", beta)):
            require(
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and 0 < value < float("inf"),
                f"{name}={value!r}: expected a finite number above 0",
            )
        self.topics = topics
        self.vocabularies = {name: list(words) for name, words in (vocabularies or {}).items()}
        for name, words in self.vocabularies.items():
            columns = vocabulary_sizes.get(name, 0)
            require(
                len(words) == columns,
                f"vocabularies: {len(words)} words of {name!r}, which has {columns}",
            )
        self.alpha = np.full(topics, float(alpha))
        self.beta = dict.fromkeys(vocabulary_sizes, float(beta))
        self.counts = {
            name: np.zeros((topics, size), dtype=np.int32)
            for name, size in vocabulary_sizes.items()
        }

    def phi(self, language: str) -> np.ndarray:
        """The topics' distributions over words given the counts, posterior mean: (K, V), rows sum
        to 1.
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
        progress: bool = False,
        one_state: bool = False,
    ) -> np.ndarray:
        """Document–topic distributions of documents in one language, φ held fixed.

        Gibbs sampling of each document's tokens; θ is the mean over the sweeps after ``burn_in`` of
        its posterior mean, tokens counted by their conditional probabilities and not by the topic
        drawn.

        Parameters
        ----------
        bow : sparse (M, V)
        view : str
            The language.
        one_state : bool
            θ from the topics that the tokens have after the last sweep, and no mean: the simplest
            way to read a sampler off, and the noisiest.

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
        require(
            sp.issparse(bow) and bow.shape[1] == len(phi),
            f"view {view!r}: expected a sparse bag of words with {len(phi)} columns",
            DataError,
        )
        for name, value in (("sweeps", sweeps), ("burn_in", burn_in), ("seed", seed)):
            require(
                isinstance(value, int) and value >= 0,
                f"{name}={value!r}: expected an integer, 0 or more",
            )
        require(
            burn_in < sweeps, f"burn_in={burn_in}: expected at least 0 and below sweeps={sweeps}"
        )
        words, starts = tokens_of(bow)
        documents = [words[a:b].tobytes() for a, b in pairwise(starts)]
        keys = item_keys(documents, view, seed)[:, 0]
        theta = np.empty((bow.shape[0], self.topics), dtype=np.float32)
        step = 256
        for first in progress_bar(range(0, len(theta), step), progress, desc=f"topics of {view}"):
            rows = slice(first, first + step)
            chunk = starts[first : first + step + 1]
            own = np.ascontiguousarray(keys[rows])
            theta[rows] = fold_in(words, chunk, phi, self.alpha, sweeps, burn_in, own, one_state)
        return theta

    def top_words(self, view: str, n: int = 10) -> list[list[str]]:
        """The ``n`` most frequent words of each of the K topics in a language; ties by column.

        Raises
        ------
        ParameterError
            The language is unknown.
        DataError
            The model was made without its vocabulary.
        """
        choose("view", view, self.counts)
        unknown = f"view {view!r}: the model does not know its vocabulary"
        require(view in self.vocabularies, unknown, DataError)
        order = np.argsort(-self.counts[view], axis=1, kind="stable")
        return [[self.vocabularies[view][column] for column in row] for row in order[:, :n]]

    def save(self, path: str | Path) -> None:
        """Write counts, priors and vocabularies as one safetensors file, atomically."""
        counts = {f"counts.{name}": array for name, array in self.counts.items()}
        about = {"beta": self.beta, "vocabularies": self.vocabularies}
        write_tensors(path, {"alpha": self.alpha, **counts}, about)

    @classmethod
    def load(cls, path: str | Path) -> "PLTM":
        """The model that `save` wrote; `DataError` if the file is broken."""
        about, tensors = read_tensors(path, "model", "train it again")
        try:
            counts = {name: tensors[f"counts.{name}"].numpy() for name in about["beta"]}
            sizes = {name: array.shape[1] for name, array in counts.items()}
            topics, words = len(tensors["alpha"]), about["vocabularies"]
            model = cls(sizes, topics, vocabularies=words)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a whole model ({error}); train it again") from error
        model.counts, model.alpha, model.beta = counts, tensors["alpha"].numpy(), about["beta"]
        return model


def pltm_for(corpus: Corpus, topics: int = 100, alpha: float = 0.1, beta: float = 0.01) -> PLTM:
    """An empty `PLTM` for the text views of ``corpus``."""
    words = {name: corpus.views[name].vocabulary or () for name in corpus.text_views}
    sizes = {name: len(vocabulary) for name, vocabulary in words.items()}
    return PLTM(sizes, topics, alpha, beta, words)


def tokens_of(bow: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Word counts (M, V) -> the words of all tokens int32 (T,), and where each row's tokens begin,
    int64 (M + 1,).
    """
    bow = sp.csr_matrix(bow)
    counts = bow.data.astype(np.int64)
    require(
        bool((counts == bow.data).all() and (counts >= 0).all()),
        "a bag of words holds something other than counts, 0, 1, 2 …",
        DataError,
    )
    words = np.repeat(bow.indices, counts).astype(np.int32)
    per_row = np.bincount(
        np.repeat(np.arange(bow.shape[0]), np.diff(bow.indptr)), counts, minlength=bow.shape[0]
    )
    return words, np.concatenate([[0], np.cumsum(per_row)]).astype(np.int64)
