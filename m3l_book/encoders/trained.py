"""Text encoders trained on the corpus itself: what a language has for which nobody has trained one
(Section 3.1).

Each learns from the training documents of one language alone, so that two of them, or one and a
pretrained encoder, share no space.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version

import numpy as np

from m3l.errors import DataError, choose, require
from m3l.files import digest
from m3l.text import tokenize

from .spaces import Encoder

# as wide as minilm-en, so that a zero-shot network, which has one width, can be asked to read both
DIMENSIONS = 384


KINDS = {
    "lsi": (
        "Latent semantic indexing (Deerwester et al. 1990): a truncated singular value"
        " decomposition of tf-idf, learnt on the corpus, 384-d"
    ),
    "fasttext": (
        "Subword vectors (Bojanowski et al. 2017) learnt on the corpus, averaged with rare words"
        " weighing more (Arora et al. 2017), 384-d"
    ),
}


def is_corpus_encoder(name: str) -> bool:
    """Tell whether a name is of the form ``corpus-<kind>-<language>``."""
    return name.startswith("corpus-")


def corpus_encoder(
    name: str,
    language: str,
    documents: Sequence[str],
    max_tokens: int = 128,
    segmented: Sequence[str] = (),
) -> Encoder:
    """Make an encoder ``corpus-<kind>-<language>``, trained when it is first asked for a vector.

    ``documents`` are the training documents of the view's ``language``; of a text ``max_tokens``
    words are read, in training too, cut as the corpus is: ``segmented`` are languages whose words
    have blanks between them though their script has none.

    Raises
    ------
    ParameterError
        The name is not of that form, or of another language than the view's.
    DataError
        There are fewer than two documents to learn from.
    """
    _, kind, of = [*name.split("-", 2), "", ""][:3]
    choose(f"encoder={name!r}: kind", kind, KINDS)
    other = f"encoder={name!r} is of language {of!r}, the view is {language!r}"
    require(of == language, f"{other}; expected corpus-{kind}-{language}")
    few = f"encoder {name}: {len(documents)} training documents, expected 2 or more"
    require(len(documents) >= 2, few, DataError)

    def words_of(texts: Sequence[str]) -> list[list[str]]:
        return [tokenize(text, language, language in segmented)[:max_tokens] for text in texts]

    @cache
    def trained() -> Callable:
        return _lsi(words_of(documents)) if kind == "lsi" else _fasttext(words_of(documents))

    def embed(texts: list[str]) -> np.ndarray:
        return trained()(words_of(texts))

    identity = f"{name}; gensim {version('gensim')}; {DIMENSIONS} dimensions; {max_tokens} words;"
    identity += f" as {language} has them{' and blanks' * (language in segmented)};"
    identity += f" {digest(*documents)}"
    return Encoder(name, "text", f"{name} {digest(*documents)[:12]}", identity, embed)


def _lsi(documents: list[list[str]]):
    from gensim.corpora import Dictionary
    from gensim.matutils import corpus2dense
    from gensim.models import LsiModel, TfidfModel

    words = Dictionary(documents)
    words.filter_extremes(no_below=2, no_above=0.5, keep_n=50_000)
    few = f"{len(words)} words stand in two training documents or more, and in half of them at most"
    require(len(words) >= 2, f"{few}; expected 2 or more", DataError)
    bags = [words.doc2bow(document) for document in documents]
    tfidf = TfidfModel(bags)
    lsi = LsiModel(tfidf[bags], id2word=words, num_topics=DIMENSIONS, random_seed=0)

    def embed(texts: list[list[str]]) -> np.ndarray:
        weighted = tfidf[[words.doc2bow(text) for text in texts]]
        embedded = corpus2dense(lsi[weighted], lsi.num_topics, len(texts)).T.astype(np.float32)
        # a small corpus has fewer directions
        return np.pad(embedded, ((0, 0), (0, DIMENSIONS - embedded.shape[1])))

    return embed


def _fasttext(documents: list[list[str]]):
    from gensim.models import FastText

    counted = Counter(word for document in documents for word in document)
    few = "no word stands in the training documents twice; expected one or more"
    require(any(n > 1 for n in counted.values()), few, DataError)
    # one thread, since several would race; a corpus of this size has few subwords to hash
    options = {"vector_size": DIMENSIONS, "sg": 1, "min_count": 2, "epochs": 10, "bucket": 50_000}
    vectors = FastText(documents, workers=1, seed=0, **options).wv
    counts = {word: vectors.get_vecattr(word, "count") for word in vectors.key_to_index}
    total = sum(counts.values())
    weight = {word: 1e-3 / (1e-3 + count / total) for word, count in counts.items()}

    def embed(texts: list[list[str]]) -> np.ndarray:
        embedded = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text:  # one never seen has the vector of its subwords
                embedded[row] += weight.get(word, 1.0) * vectors[word]
            embedded[row] /= max(1, len(text))
        return embedded

    return embed
