"""Frozen encoders by name."""

import os
from pathlib import Path

from m3l.errors import choose, require

from .encoder import Encoder, EncoderUnavailable
from .pocket_clip import pocket_clip
from .pretrained import (
    e5_multilingual,
    efficientnet_lite0,
    efficientnet_lite2,
    from_hub_or_folder,
    minilm_en,
    use_multilingual,
)
from .spaces import reads

ENCODERS = {
    "use-multilingual": use_multilingual,
    "e5-multilingual": e5_multilingual,
    "minilm-en": minilm_en,
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite2": efficientnet_lite2,
    "pocket-clip": pocket_clip,
}
"""The encoders whose weights come with the installed packages and need no network."""


KINDS = {name: reads(name)[0] for name in ENCODERS}


def get_encoder(
    name: str, kind: str = "text", max_tokens: int = 128, device: str = "auto"
) -> Encoder:
    """Load the encoder ``name``: one of `ENCODERS`, or a sentence-transformers model name or
    folder.

    Parameters
    ----------
    name : str
        A name with a slash, a path, or a name that starts with ``clip-`` goes to
        sentence-transformers.
    kind : {"text", "image"}
        What it will read.
    max_tokens : int
        How many tokens of a text are read: 128 in the paper.
    device : str

    Raises
    ------
    ParameterError
        The name is unknown, or the encoder does not read this kind.
    EncoderUnavailable
        The model must come from the hub and cannot.
    """
    choose("kind", kind, ("text", "image"))
    require(
        isinstance(max_tokens, int) and max_tokens >= 1,
        f"max_tokens={max_tokens!r}: expected an integer, 1 or more",
    )
    if name in ENCODERS:
        require(
            KINDS[name] == kind,
            f"encoder={name!r} reads {KINDS[name]}, not {kind}; encoders for {kind}:"
            f" {', '.join(n for n in ENCODERS if KINDS[n] == kind)}",
        )
        return ENCODERS[name](max_tokens, device)
    known_style = (
        "/" in name
        or os.sep in name
        or Path(name).is_dir()
        or name.startswith(("clip-", "all-", "paraphrase-", "multi-qa-", "distiluse-", "sentence-"))
    )
    require(
        name != "" and known_style,
        f"encoder={name!r} is unknown; valid: {', '.join(ENCODERS)}, corpus-lsi-<language>,"
        " corpus-fasttext-<language>, a sentence-transformers model name or the path of a model"
        " folder",
    )
    try:
        return from_hub_or_folder(name, max_tokens, device, kind)
    except EncoderUnavailable as error:
        alternatives = f"one of: {', '.join(ENCODERS)}, or the path of a model folder"
        raise EncoderUnavailable(f"{error}. Without a network, use {alternatives}") from error
