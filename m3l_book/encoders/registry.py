"""Frozen encoders by name."""

import inspect
from pathlib import Path

from m3l.errors import check_integer, choose, require

from .pocket_clip import pocket_clip
from .pretrained import (
    e5_multilingual,
    efficientnet_lite0,
    efficientnet_lite2,
    use_multilingual,
    words_fr,
)
from .sentences import from_hub_or_folder, minilm_en
from .spaces import Encoder, EncoderUnavailable, reads
from .trained import KINDS as TRAINED
from .trained import is_corpus_encoder

ENCODERS = {
    "use-multilingual": use_multilingual,
    "e5-multilingual": e5_multilingual,
    "minilm-en": minilm_en,
    "words-fr": words_fr,
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite2": efficientnet_lite2,
    "pocket-clip": pocket_clip,
}
"""The encoders whose weights come with the installed packages and need no network."""

KINDS = {name: reads(name)[0] for name in ENCODERS}
HUB_NAMES = ("clip-", "all-", "paraphrase-", "multi-qa-", "distiluse-", "sentence-")


def get_encoder(
    name: str,
    kind: str = "text",
    max_tokens: int = 128,
    device: str = "auto",
    precision: str = "full",
) -> Encoder:
    """Load an encoder: one of `ENCODERS`, or a sentence-transformers model.

    A name with a slash, a path, or one that begins as in `HUB_NAMES` is that of a
    sentence-transformers model. ``kind`` is what it will read, "text" or "image"; of a text,
    ``max_tokens`` tokens are read, 128 in the paper. With ``precision`` "half", a
    sentence-transformers model computes in 16 bits on a GPU, which the authors' program does not.

    Raises
    ------
    ParameterError
        The name is unknown, or the encoder does not read this kind.
    EncoderUnavailable
        The model must come from the hub and cannot.
    DataError
        The model is there and cannot be loaded.
    """
    choose("kind", kind, ("text", "image"))
    choose("precision", precision, ("full", "half"))
    check_integer("max_tokens", max_tokens, 1)
    others = ", ".join(n for n in ENCODERS if KINDS[n] == kind)
    if name in ENCODERS:
        wrong = f"encoder={name!r} reads {KINDS[name]}, not {kind}; encoders for {kind}: {others}"
        require(KINDS[name] == kind, wrong)
        return ENCODERS[name](max_tokens, device)
    check_name(name)
    own = f"encoder={name!r} reads the texts that it is trained on; encoders for {kind}: {others}"
    require(not is_corpus_encoder(name), own)
    try:
        return from_hub_or_folder(name, max_tokens, device, kind, precision)
    except EncoderUnavailable as error:
        alternatives = f"one of: {', '.join(ENCODERS)}, or the path of a model folder"
        raise EncoderUnavailable(f"{error}. Without a network, use {alternatives}") from error


def is_of_hub(name: str) -> bool:
    """Tell whether an encoder comes from the model hub: it has a slash or begins as in `HUB_NAMES`,
    and is no folder.
    """
    return (
        name not in ENCODERS
        and ("/" in name or name.startswith(HUB_NAMES))
        and not Path(name).is_dir()
    )


def check_name(name: str) -> None:
    """See that a name can be an encoder's; `ParameterError` listing which can."""
    is_path = "/" in name or Path(name).is_dir()
    trained = any(name.startswith(f"corpus-{kind}-") for kind in TRAINED)
    require(
        name in ENCODERS or trained or (name != "" and (is_path or name.startswith(HUB_NAMES))),
        f"encoder={name!r} is unknown; valid: {', '.join(ENCODERS)}, corpus-lsi-<language>,"
        " corpus-fasttext-<language>, a sentence-transformers model name or the path of a model"
        " folder",
    )


def listed() -> list[dict[str, str]]:
    """List the encoders that need no network for readers: name, what it reads, what it is."""
    rows = []
    for name, load in ENCODERS.items():
        about = (inspect.getdoc(load) or "").split("\n\n")[0].replace("\n", " ").replace("`", "")
        rows.append({"name": name, "reads": " and ".join(reads(name)), "what it is": about})
    for kind, about in TRAINED.items():
        rows.append({"name": f"corpus-{kind}-<language>", "reads": "text", "what it is": about})
    return rows
