"""Where to compute."""

import torch

from .errors import ParameterError, require


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is the GPU when there is one.

    Raises
    ------
    ParameterError
        The name is unknown, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ParameterError(
            f"device={name!r} is unknown; valid: auto, cpu, cuda, cuda:N"
        ) from None
    require(device.type in ("cpu", "cuda"), f"device={name!r}: expected auto, cpu or cuda")
    count = torch.cuda.device_count()
    require(
        device.type == "cpu" or (device.index or 0) < count,
        f"device={name!r}: this machine has {count} CUDA devices; valid: auto, cpu",
    )
    return device
