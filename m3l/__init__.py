"""Multilingual and multimodal topic modelling with pretrained embeddings: M3L-Contrast.

The method of Zosa & Pivovarova (2022), for anybody: data in `corpus`, the model in `model`, its
loss in `loss`, training in `train`, what is measured in `metrics`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .corpus import Corpus, View
    from .distillation import teacher_prior
    from .errors import DataError, M3LError, ParameterError, TrainingDiverged
    from .estimator import M3LTopicModel
    from .loss import PRESETS, Objective
    from .model import M3L, model_for
    from .networks import ViewSpec
    from .train import TrainConfig, fit
    from .trained import ldavis_arrays, top_documents, top_topics, word_distributions

__version__ = "0.1.0"
__all__ = [
    "M3L",
    "PRESETS",
    "Corpus",
    "DataError",
    "M3LError",
    "M3LTopicModel",
    "Objective",
    "ParameterError",
    "TrainConfig",
    "TrainingDiverged",
    "View",
    "ViewSpec",
    "fit",
    "ldavis_arrays",
    "model_for",
    "teacher_prior",
    "top_documents",
    "top_topics",
    "word_distributions",
]

# Names are imported when first used: a program that runs chapters needs no torch, which takes
# seconds to import.
_HOME = {
    "corpus": ("Corpus", "View"),
    "distillation": ("teacher_prior",),
    "errors": ("DataError", "M3LError", "ParameterError", "TrainingDiverged"),
    "estimator": ("M3LTopicModel",),
    "loss": ("PRESETS", "Objective"),
    "model": ("M3L", "model_for"),
    "networks": ("ViewSpec",),
    "train": ("TrainConfig", "fit"),
    "trained": ("ldavis_arrays", "top_documents", "top_topics", "word_distributions"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
