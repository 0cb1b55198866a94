"""Which encoders share a space, as declared here: vectors of one space are aligned, others are not.

An encoder that is not declared has a space of its own, under its name.
"""

# space -> its encoders and what each reads
SPACES = {
    # pocket-clip maps pictures into it
    "use-multilingual": {"use-multilingual": ("text",), "pocket-clip": ("image",)},
    "e5-multilingual": {"e5-multilingual": ("text",)},
    "minilm-en": {"minilm-en": ("text",)},
    "efficientnet-lite0": {"efficientnet-lite0": ("image",)},
    "efficientnet-lite2": {"efficientnet-lite2": ("image",)},
    # the multilingual text encoder was trained to give what CLIP's own gives for English
    # (Reimers & Gurevych 2020)
    "clip-ViT-B-32": {
        "clip-ViT-B-32": ("text", "image"),
        "clip-ViT-B-32-multilingual-v1": ("text",),
    },
    "clip-ViT-B-16": {"clip-ViT-B-16": ("text", "image")},
    "clip-ViT-L-14": {"clip-ViT-L-14": ("text", "image")},
}


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
