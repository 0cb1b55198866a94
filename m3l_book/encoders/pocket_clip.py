"""A pocket CLIP: pictures into a text encoder's space, by ridge regression on drawings and their
names.

It is trained on drawings of a single emoji and the mean embedding of the emoji's names in several
languages, and on icons and their English names. Whatever an article of the corpus `vital` is called
is left out, so that no picture of a tuple has been seen. That is no CLIP (Radford et al. 2021):
there is a modality gap, it has seen no photograph and no map, and of the world only what somebody
drew a sign for.

The projection is in a file, with the list of the drawings that it was learnt from:
``python -m m3l_book.encoders.pocket_clip`` learns it and writes both again, in minutes.
"""

import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from m3l.errors import DataError, M3LError, require
from m3l.files import digest, write_csv

from ..pictures.named import NamedPicture, draw_picture, named_pictures, plain_name
from ..pictures.pictograms import LANGUAGES, drawing, pictograms
from ..summaries import articles
from .cache import encode
from .pretrained import efficientnet_lite2, use_multilingual
from .spaces import Encoder, space_of

PROJECTION = Path(__file__).with_name("pocket-clip.safetensors")
"""The projection, and which encoders it leads from and to."""

DRAWINGS = PROJECTION.with_suffix(".csv")
"""The drawings that it was learnt from: their collections, and what those know them by."""

AGAIN = "learn it again: python -m m3l_book.encoders.pocket_clip"
SIDE = 160
COLLECTIONS = "twemoji", "openmoji", "fontawesome"
RECIPE = (
    f"ridge on drawings of {SIDE} px: emoji by two hands with names in {'/'.join(LANGUAGES)}, icons"
    " with English names; without those that an article of vital is called"
)


@lru_cache(maxsize=1)
def training_pictures() -> list[tuple[NamedPicture, tuple[str, ...]]]:
    """List the drawings that the map is learnt from, each with its names.

    Neither a name of theirs nor an alias is a title of an article.
    """
    drawn = []
    for pictogram in pictograms():
        names = tuple(pictogram.names[language] for language in LANGUAGES)
        for collection in COLLECTIONS[:2]:
            path = drawing(pictogram.chars, collection)
            if path is not None:
                drawn.append((NamedPicture(collection, path.stem, path), names))
    icons = {}  # an icon may stand under several names, of which the first counts
    for name, several in sorted(named_pictures(COLLECTIONS[2:]).items()):
        for icon in several:
            icons.setdefault(icon.content(), (icon, (name,)))
    titles = {plain_name(article["title"]) for article in articles("en")[0]}
    named = named_pictures(COLLECTIONS)
    of_articles = {picture.content() for title in titles for picture in named.get(title, ())}
    return [
        (picture, names)
        for picture, names in [*drawn, *icons.values()]
        if not titles & {plain_name(name) for name in names}
        and picture.content() not in of_articles
    ]


def training_pairs(
    text: Encoder, image: Encoder, cache: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Encode the drawings: features (P, D), and the unit mean embedding (P, E) of their names."""
    chosen = training_pictures()
    vectors = encode(text, [name for _, names in chosen for name in names], cache, progress=False)
    bounds = np.cumsum([len(names) for _, names in chosen])[:-1]
    target = np.stack([part.mean(axis=0) for part in np.split(vectors, bounds)])
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{picture.picture_id}.png" for picture, _ in chosen]
        for path, (picture, _) in zip(paths, chosen, strict=True):
            draw_picture(picture, SIDE).save(path, compress_level=1)
        features = encode(image, paths, cache)
    return features, target


def fit(text: Encoder, image: Encoder, cache: str | Path) -> np.ndarray:
    """Learn the affine map from picture features to the text space: float32 (D + 1, E), last row
    the offset.

    The penalty is chosen by leave-one-out cross-validation over the training pairs.
    """
    from sklearn.linear_model import RidgeCV

    features, target = training_pairs(text, image, cache)
    ridge = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(features, target)
    return np.vstack([ridge.coef_.T, ridge.intercept_]).astype(np.float32)


def write_projection(matrix: np.ndarray, text: Encoder, image: Encoder, path: str | Path) -> None:
    """Write what `fit` gave, with the encoders that it leads to and from."""
    from m3l.saving import write_tensors

    about = {"text": text.identity, "image": image.identity, "recipe": RECIPE}
    write_tensors(path, {"projection": matrix}, about)


def read_projection(path: str | Path) -> tuple[dict, np.ndarray]:
    """Read the identities of both encoders and the recipe, and the projection.

    Raises
    ------
    DataError
        The file is missing or broken.
    """
    from m3l.saving import read_tensors

    about, tensors = read_tensors(path, "projection", AGAIN)
    return about, tensors["projection"].numpy()


def pocket_clip(max_tokens: int, device: str) -> Encoder:
    """Features of EfficientNet-Lite2 mapped into `use-multilingual`'s space by a projection learnt
    on drawings and their names (`pocket_clip`).
    """
    image = efficientnet_lite2(max_tokens, device)
    about, matrix = read_projection(PROJECTION)  # (D + 1, E)
    other = f"{PROJECTION.name}: learnt from {about['image']}, and here is {image.identity}"
    require(about["image"] == image.identity, f"{other}; {AGAIN}", DataError)

    def adapt(features: np.ndarray) -> np.ndarray:
        x = features.reshape(-1, len(matrix) - 1) @ matrix[:-1] + matrix[-1]
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    identity = f"pocket-clip: {about['image']} -> {about['text']}; {about['recipe']}"
    identity += f"; {digest(matrix)[:12]}"
    return Encoder("pocket-clip", "image", space_of("pocket-clip"), identity, None, image, adapt)


def main() -> None:
    """Learn the projection again, and write it and the list of drawings."""
    text, image = use_multilingual(128, "cpu"), efficientnet_lite2(128, "cpu")
    write_projection(fit(text, image, "data/cache"), text, image, PROJECTION)
    drawings = [{"collection": p.collection, "key": p.key} for p, _ in training_pictures()]
    write_csv(DRAWINGS, drawings)


if __name__ == "__main__":
    try:
        main()
    except (M3LError, OSError) as error:
        sys.exit(f"error: {error}")
