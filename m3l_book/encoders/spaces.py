"""Which encoders share a space, as declared here: vectors of one space are aligned, others are not.

An encoder that is not declared has a space of its own, under its name.
"""

from m3l.words import primary

# space -> its encoders and what each reads
SPACES = {
    # pocket-clip maps pictures into it
    "use-multilingual": {"use-multilingual": ("text",), "pocket-clip": ("image",)},
    "e5-multilingual": {"e5-multilingual": ("text",)},
    "minilm-en": {"minilm-en": ("text",)},
    "efficientnet-lite0": {"efficientnet-lite0": ("image",)},
    "efficientnet-lite2": {"efficientnet-lite2": ("image",)},
    # what Wikimedia published with the pictures of its image-caption challenge
    "resnet-50": {"resnet-50": ("image",)},
    # the multilingual text encoder was trained to give what CLIP's own gives for English
    # (Reimers & Gurevych 2020)
    "clip-ViT-B-32": {
        "clip-ViT-B-32": ("text", "image"),
        "clip-ViT-B-32-multilingual-v1": ("text",),
    },
    "clip-ViT-B-16": {"clip-ViT-B-16": ("text", "image")},
    "clip-ViT-L-14": {"clip-ViT-L-14": ("text", "image")},
}


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


def knows(encoder: str, language: str) -> bool:
    """Whether a declared text encoder was trained on a language, whatever its region or script."""
    return primary(language) in LANGUAGES.get(encoder, "").split()


def _plain(name: str) -> str:
    """An encoder's name without the organisation that it has on the hub."""
    return name.removeprefix("sentence-transformers/")


def space_of(encoder: str) -> str:
    """The space that an encoder's vectors are in."""
    for space, members in SPACES.items():
        if _plain(encoder) in members:
            return space
    return encoder


def reads(encoder: str) -> tuple[str, ...]:
    """What a declared encoder reads: ``"text"``, ``"image"`` or both; nothing of another one."""
    return SPACES.get(space_of(encoder), {}).get(_plain(encoder), ())


def reads_pictures_and_texts(space: str) -> bool:
    """Whether a space is declared to have encoders of pictures and of texts."""
    kinds = {kind for member in SPACES.get(space, {}).values() for kind in member}
    return kinds >= {"text", "image"}
