"""A small world of a few themes in two languages, for exercises: trained on in seconds."""

import numpy as np

from m3l import Corpus
from m3l.errors import require

WORDS = {
    "en": {
        "sea": "ship wave harbour sailor anchor storm island fish",
        "kitchen": "bread oven salt recipe butter soup knife plate",
        "music": "violin song rhythm choir melody drum concert piano",
        "sky": "star planet moon telescope orbit comet galaxy sun",
        "garden": "seed flower soil rake bee hedge lawn tulip",
        "sport": "goal ball referee team match coach stadium race",
        "health": "doctor fever nurse pill wound hospital pulse cough",
        "railway": "rail ticket engine station tunnel signal bridge wagon",
    },
    "de": {
        "sea": "Schiff Welle Hafen Matrose Anker Sturm Insel Fisch",
        "kitchen": "Brot Ofen Salz Rezept Butter Suppe Messer Teller",
        "music": "Geige Lied Rhythmus Chor Melodie Trommel Konzert Klavier",
        "sky": "Stern Planet Mond Teleskop Umlaufbahn Komet Galaxie Sonne",
        "garden": "Samen Blume Erde Harke Biene Hecke Rasen Tulpe",
        "sport": "Tor Ball Schiedsrichter Mannschaft Spiel Trainer Stadion Lauf",
        "health": "Arzt Fieber Pfleger Pille Wunde Klinik Puls Husten",
        "railway": "Schiene Fahrkarte Lok Bahnhof Tunnel Signal Brücke Waggon",
    },
}
THEMES = tuple(WORDS["en"])


def small_world(
    tuples: int = 500,
    dimensions: int = 16,
    noise: float = 0.3,
    aligned: bool = True,
    seed: int = 0,
    themes: int = 4,
) -> tuple[Corpus, np.ndarray]:
    """A corpus of English and German documents with pictures, and the mixture behind each tuple.

    A tuple draws a mixture of themes. A document is twelve words drawn through it; the
    embedding of a document, or of a picture, is the mixture of the themes' vectors and some noise.

    Parameters
    ----------
    tuples : int
        The last fifth of them is the test part.
    dimensions : int
        D of the embeddings.
    noise : float
        Standard deviation of what is added to each of an embedding's entries.
    aligned : bool
        Whether the views share the themes' vectors; otherwise each view has its own.
    seed : int
    themes : int
        2 to 8.

    Returns
    -------
    The corpus, and the mixtures, (N, themes).
    """
    require(tuples >= 10, f"tuples={tuples}: expected 10 or more")
    require(2 <= themes <= len(THEMES), f"themes={themes}: expected 2 to {len(THEMES)}")
    chosen = THEMES[:themes]
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.full(themes, 1.2 / themes), size=tuples)
    views = (*WORDS, "image")
    vectors = {view: rng.standard_normal((themes, dimensions)) for view in views}
    if aligned:
        vectors = dict.fromkeys(views, vectors["en"])
    embeddings = {
        view: (mixtures @ vectors[view] + noise * rng.standard_normal((tuples, dimensions))).astype(
            np.float32
        )
        for view in views
    }
    texts = {}
    for language, words in WORDS.items():
        of_theme = [words[theme].split() for theme in chosen]
        drawn = [rng.choice(themes, size=12, p=mixture) for mixture in mixtures]
        texts[language] = [" ".join(rng.choice(of_theme[t]) for t in row) for row in drawn]
    split = ["train"] * (tuples - tuples // 5) + ["test"] * (tuples // 5)
    size = min(len({w for text in of for w in text.lower().split()}) for of in texts.values())
    every = dict.fromkeys(texts, ())
    corpus = Corpus.from_texts(texts, embeddings, size, stopwords=every, split=split)
    return corpus, mixtures
