"""The machine and the versions that a record was made with."""

import platform
import resource
import sys

import numpy as np
import torch

from m3l import __version__
from m3l.device import resolve_device


def peak_memory() -> float:
    """The most memory that this process has had, in MiB."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def environment(device: str = "cpu") -> dict[str, str]:
    """Versions and machine, for a run's provenance; ``device`` is what computed it."""
    where = resolve_device(device)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    return {
        "m3l": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": name,
        "machine": platform.machine(),
    }
