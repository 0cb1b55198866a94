"""Checkpoints of long work, from which an interrupted run goes on as if it had not been
interrupted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .errors import DataError, require
from .files import digest
from .saving import read_tensors, write_tensors

CURE = "delete it to start again"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run: its ``history`` so far, its ``tensors``, and any ``more`` that JSON
    holds.
    """

    history: list[dict]
    tensors: dict[str, Tensor]
    more: dict


def save_checkpoint(
    path: str | Path,
    identity: Mapping,
    history: list[dict],
    tensors: Mapping[str, Tensor | np.ndarray],
    more: Mapping | None = None,
) -> None:
    """Write the state of the run that ``identity`` describes, atomically."""
    about = {"identity": dict(identity), "history": history, "more": dict(more or {})}
    write_tensors(path, tensors, {**about, "digest": _digest(tensors, about)})


def load_checkpoint(path: str | Path, identity: Mapping) -> Checkpoint | None:
    """The state saved at ``path``, if there is one.

    Raises
    ------
    DataError
        The file is broken, or of another run than ``identity`` describes: the message names the
        first part in which they differ.
    """
    if not Path(path).exists():
        return None
    about, tensors = read_tensors(path, "checkpoint", CURE)
    require(isinstance(about, dict), f"{path}: not a whole checkpoint; {CURE}", DataError)
    written = about.pop("digest", None)
    require(
        written == _digest(tensors, about),
        f"{path}: not a whole checkpoint (its tensors are not those that were saved); {CURE}",
        DataError,
    )
    for part, expected in json.loads(json.dumps(identity)).items():
        saved = about["identity"].get(part)
        require(
            saved == expected,
            f"{path}: a checkpoint of another run: its {part} is {saved}, this run's is {expected};"
            f" {CURE}",
            DataError,
        )
    return Checkpoint(about["history"], tensors, about["more"])


def _digest(tensors: Mapping[str, Tensor | np.ndarray], about: Mapping) -> str:
    arrays = {
        name: torch.as_tensor(value).detach().cpu().numpy() for name, value in tensors.items()
    }
    parts = [part for name in sorted(arrays) for part in (name, arrays[name])]
    return digest(*parts, json.dumps(about, sort_keys=True))
