"""Multilingual and multimodal topic modelling with pretrained embeddings: M3L-Contrast (Zosa & Pivovarova 2022)."""

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
