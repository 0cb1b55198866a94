"""A pocket CLIP: pictures into a text encoder's space, by ridge regression on emoji and their
names.

It is trained on pictures of a single emoji, once large and once repeated in a 3×3 grid, and the
mean embedding of the emoji's names in several languages. None of these pictures stands in a tuple
of the emoji corpus. That is no CLIP (Radford et al. 2021): there is a modality gap, and photographs
fare worse than drawings.
"""

import tempfile
from pathlib import Path

import numpy as np

from m3l.files import digest, read_array, write_array

from ..pictures.pictograms import LANGUAGES, draw, pictograms
from .cache import encode
from .encoder import Encoder
from .pretrained import efficientnet_lite0, use_multilingual

SIDE = 160


REPEATS = 1, 9


RECIPE = (
    f"ridge on single emoji, {SIDE} px, alone and in a grid of nine, names in {'/'.join(LANGUAGES)}"
)


def training_pairs(
    text: Encoder, image: Encoder, cache: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Features (2P, D) of the pictures of P emoji, and the unit mean embedding (2P, E) of their
    names.
    """
    chars = pictograms()
    names = [pictogram.names[language] for pictogram in chars for language in LANGUAGES]
    target = (
        encode(text, names, cache, progress=False)
        .reshape(len(chars), len(LANGUAGES), -1)
        .mean(axis=1)
    )
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for repeats in REPEATS:
            for i, pictogram in enumerate(chars):
                paths.append(Path(folder) / f"{repeats}-{i}.png")
                draw([pictogram] * repeats, SIDE).save(paths[-1], compress_level=1)
        features = encode(image, paths, cache)
    return features, np.vstack([target] * len(REPEATS))


def projection(text: Encoder, image: Encoder, cache: str | Path) -> np.ndarray:
    """The affine map from picture features to the text space: float32 (D + 1, E), last row the
    offset.

    The penalty is chosen by leave-one-out cross-validation over the training pairs. The map is kept
    in ``cache`` under the identity of both encoders and of the recipe.
    """
    from sklearn.linear_model import RidgeCV

    learnt_from = text.identity, image.identity, RECIPE, *(p.chars for p in pictograms())
    path = Path(cache) / f"pocket-clip-{digest(*learnt_from)[:24]}.npy"
    if path.exists():
        return read_array(path)
    features, target = training_pairs(text, image, cache)
    ridge = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(features, target)
    matrix = np.vstack([ridge.coef_.T, ridge.intercept_]).astype(np.float32)
    write_array(path, matrix)
    return matrix


def pocket_clip(max_tokens: int, device: str) -> Encoder:
    """EfficientNet features mapped into `use-multilingual`'s space by a projection learnt on emoji
    (`pocket_clip`).
    """
    text, image = use_multilingual(max_tokens, device), efficientnet_lite0(max_tokens, device)

    def adapt(features: np.ndarray, cache: str | Path) -> np.ndarray:
        matrix = projection(text, image, cache)  # (D + 1, E)
        x = features.reshape(-1, len(matrix) - 1) @ matrix[:-1] + matrix[-1]
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    identity = f"pocket-clip: {image.identity} -> {text.identity}; {RECIPE}"
    return Encoder("pocket-clip", "image", text.space, identity, None, image, adapt)
