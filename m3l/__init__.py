"""Multilingual and multimodal topic modelling with pretrained embeddings: M3L-Contrast (Zosa & Pivovarova 2022)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .corpus import Corpus, View
    from .errors import DataError, EncoderUnavailable, M3LError, ParameterError, TrainingDiverged
    from .loss import PRESETS, Objective
    from .model import M3L, ViewSpec, top_topics
    from .train import TrainConfig, fit, model_for

__version__ = "0.1.0"
__all__ = [
    "M3L",
    "PRESETS",
    "Corpus",
    "DataError",
    "EncoderUnavailable",
    "M3LError",
    "Objective",
    "ParameterError",
    "TrainConfig",
    "TrainingDiverged",
    "View",
    "ViewSpec",
    "fit",
    "model_for",
    "top_topics",
]

# names are imported when first used: a program that runs chapters needs no torch, which takes seconds to import
_HOME = {"Corpus": "corpus", "View": "corpus", "PRESETS": "loss", "Objective": "loss", "M3L": "model", "ViewSpec": "model", "top_topics": "model"}
_HOME |= {"TrainConfig": "train", "fit": "train", "model_for": "train"}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
