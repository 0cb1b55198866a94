"""Tensors and what is to be known of them in one safetensors file: never pickle."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .errors import DataError
from .files import atomic


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor | np.ndarray], about: Mapping
) -> None:
    """Write named tensors and ``about``, any JSON value, atomically; the same input gives the same
    bytes.
    """
    from safetensors.torch import save_file

    whole = {
        name: torch.as_tensor(value).detach().cpu().contiguous() for name, value in tensors.items()
    }
    with atomic(path) as temporary:
        # one entry of metadata: several are written in any order
        save_file(whole, temporary, metadata={"m3l": json.dumps(about, ensure_ascii=False)})


def read_tensors(path: str | Path, what: str, cure: str) -> tuple[dict, dict[str, Tensor]]:
    """What `write_tensors` wrote: ``about`` and the tensors.

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
