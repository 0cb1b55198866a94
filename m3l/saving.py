"""Tensors in safetensors files, never pickle, and checkpoints of interrupted work."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .errors import DataError, require
from .files import atomic, digest

CURE = "delete it to start again"
Tensors = Mapping[str, Tensor | np.ndarray]
# numbers of numpy and torch as Python has them
as_json = partial(json.dumps, default=methodcaller("item"))


def write_tensors(path: str | Path, tensors: Tensors, about: Mapping) -> None:
    """Write named tensors and ``about``, any JSON value, atomically.

    The same input gives the same bytes.
    """
    from safetensors.torch import save_file

    whole = {
        name: torch.as_tensor(value).detach().cpu().contiguous() for name, value in tensors.items()
    }
    with atomic(path) as temporary:
        # one entry of metadata: several are written in any order
        save_file(whole, temporary, metadata={"m3l": as_json(about, ensure_ascii=False)})


def read_tensors(path: str | Path, what: str, cure: str) -> tuple[dict, dict[str, Tensor]]:
    """Return what `write_tensors` wrote: ``about`` and the tensors.

    Raises
    ------
    DataError
        The file is missing, or not a whole ``what``; ``cure`` says what to do about it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["m3l"])
            return about, {name: file.get_tensor(name) for name in list(file.keys())}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a whole {what} ({error}); {cure}") from error


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run: its ``history`` so far, its ``tensors``, and ``more`` that JSON holds."""

    history: list[dict]
    tensors: dict[str, Tensor]
    more: dict


def save_checkpoint(
    path: str | Path,
    identity: Mapping,
    history: list[dict],
    tensors: Tensors,
    more: Mapping | None = None,
) -> None:
    """Write the state of the run that ``identity`` describes, atomically."""
    about = {"identity": dict(identity), "history": history, "more": dict(more or {})}
    write_tensors(path, tensors, {**about, "digest": _digest(tensors, about)})


def load_checkpoint(path: str | Path, identity: Mapping, most: int) -> Checkpoint | None:
    """Return the state saved at ``path``, if there is one.

    Raises
    ------
    DataError
        The file is broken, or of another run than ``identity`` describes: the message names the
        first part in which they differ. Or it was saved after more than ``most`` epochs or sweeps.
    """
    if not Path(path).exists():
        return None
    require(not Path(path).is_dir(), f"{path}: a folder, expected a checkpoint's file", DataError)
    about, tensors = read_tensors(path, "checkpoint", CURE)
    broken = f"{path}: not a whole checkpoint; {CURE}"
    require(isinstance(about, dict), broken, DataError)
    require(about.pop("digest", None) == _digest(tensors, about), broken, DataError)
    for part, expected in json.loads(as_json(identity)).items():
        saved = about["identity"].get(part)
        other = f"{path}: a checkpoint of another run: its {part} is {saved}, this run's is"
        require(saved == expected, f"{other} {expected}; {CURE}", DataError)
    done = about["history"][-1]["epoch"]
    longer = f"{path}: a checkpoint after {done} epochs or sweeps, more than this run's {most}"
    require(done <= most, f"{longer}; {CURE}", DataError)
    return Checkpoint(about["history"], tensors, about["more"])


def _digest(tensors: Tensors, about: Mapping) -> str:
    arrays = {name: torch.as_tensor(v).detach().cpu().numpy() for name, v in tensors.items()}
    parts = [part for name in sorted(arrays) for part in (name, arrays[name])]
    return digest(*parts, as_json(about, sort_keys=True))


def training_state(
    model: nn.Module, optimizer: torch.optim.Adam, order: torch.Generator
) -> dict[str, Tensor]:
    """Return all that the rest of the training depends on, as named tensors."""
    tensors = {f"model.{name}": value.cpu() for name, value in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{field}": value.cpu().clone() for field, value in state.items()}
    tensors |= {"rng.cpu": torch.get_rng_state(), "rng.order": order.get_state()}
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def restore_training(
    tensors: dict[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Adam,
    order: torch.Generator,
) -> None:
    """Put what `training_state` gave back into place."""
    weights, moments = {}, {}
    for key, value in tensors.items():
        what, _, name = key.partition(".")
        if what == "model":
            weights[name] = value
        elif what == "adam":
            i, field = name.split(".")
            moments.setdefault(int(i), {})[field] = value
    model.load_state_dict(weights)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    torch.set_rng_state(tensors["rng.cpu"])
    order.set_state(tensors["rng.order"])
    if "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], next(model.parameters()).device)
