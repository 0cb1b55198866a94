"""Encoders, and the spaces that their vectors are in.

Vectors of one space are aligned with each other, and those of different spaces are not. An encoder
that is not declared here has a space of its own, under its name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m3l.errors import M3LError
from m3l.text import primary

READS = {
    **dict.fromkeys(("use-multilingual", "e5-multilingual", "minilm-en", "words-fr"), ("text",)),
    **dict.fromkeys(("efficientnet-lite0", "efficientnet-lite2", "pocket-clip"), ("image",)),
    "resnet-50": ("image",),  # what Wikimedia published with its image-caption challenge
    **dict.fromkeys(("clip-ViT-B-32", "clip-ViT-B-16", "clip-ViT-L-14"), ("text", "image")),
    "clip-ViT-B-32-multilingual-v1": ("text",),
}
"""The encoders that are declared, and what each reads."""

SHARED = {
    "pocket-clip": "use-multilingual",  # it maps pictures there
    # trained to give what CLIP's own gives for English (Reimers & Gurevych 2020)
    "clip-ViT-B-32-multilingual-v1": "clip-ViT-B-32",
}
"""Encoders whose vectors are in the space of another one."""

# what each was trained on, as its authors say (Yang et al. 2020; Wang et al. 2024, of XLM-R's
# hundred those of two letters)
LANGUAGES = {
    "use-multilingual": "ar de en es fr it ja ko nl pl pt ru th tr zh",
    "e5-multilingual": (
        "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha"
        " he hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl"
        " no om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tr ug uk ur uz"
        " vi xh yi zh"
    ),
    "minilm-en": "en",
}


class EncoderUnavailable(M3LError, RuntimeError):
    """Says that an encoder's weights cannot be had, and names alternatives."""


@dataclass(frozen=True)
class Encoder:
    """Holds a frozen encoder that is loaded.

    ``kind`` is what it reads, "text" or "image". ``identity`` changes whenever the vectors could:
    package and weights, their versions, options. ``embed`` makes float32 (M, D) of a list of texts,
    or of picture paths; or else ``adapt`` makes it of the vectors (M, D') of another encoder,
    ``base``, which are cached.
    """

    name: str
    kind: str
    space: str
    identity: str
    embed: Callable[[list], np.ndarray] | None
    base: "Encoder | None" = None
    adapt: Callable[[np.ndarray], np.ndarray] | None = None


def knows(encoder: str, language: str) -> bool:
    """Tell whether a declared text encoder was trained on a language, in any region or script."""
    return primary(language) in LANGUAGES.get(encoder, "").split()


def _without_organisation(name: str) -> str:
    return name.removeprefix("sentence-transformers/")


def space_of(encoder: str) -> str:
    """Name the space that an encoder's vectors are in."""
    name = _without_organisation(encoder)
    return SHARED.get(name, name if name in READS else encoder)


def reads(encoder: str) -> tuple[str, ...]:
    """Name what a declared encoder reads, ``"text"``, ``"image"`` or both; nothing of others."""
    return READS.get(_without_organisation(encoder), ())


def reads_pictures_and_texts(space: str) -> bool:
    """Tell whether a space is declared to have encoders of pictures and of texts."""
    kinds = {kind for name, kinds in READS.items() if space_of(name) == space for kind in kinds}
    return kinds >= {"text", "image"}
