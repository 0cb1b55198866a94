"""The machine and the versions that a record was made with."""

import platform
import resource
import sys

import numpy as np
import torch


def peak_memory() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )


def environment() -> dict:
    """Versions and machine, for a run's provenance."""
    from m3l import __version__

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "m3l": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": device,
        "machine": platform.machine(),
    }
