"""Which kernel computes a training step: autograd, or the same in compiled loops."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from ..corpus import Corpus
from ..errors import require
from ..loss import Objective
from ..model import M3L
from .plain import Batches, PlainStep

# what the fused step computes; any other choice of `Objective` is the plain step's
FUSED = {
    "kl": ("categorical", "gaussian", "prior"),
    "kl_order": ("both", "later_earlier"),
    "similarity": ("dot", "cosine"),
    "negatives": ("cross_view", "both_views"),
    "directions": ("sum", "mean"),
}


def choose_kernel(name: str, device: torch.device, objective: Objective) -> str:
    """The kernel that ``name`` stands for here: ``"plain"``, ``"fused"`` or ``"graph"``.

    Raises
    ------
    ParameterError
        The fused kernel is demanded and cannot run here.
    """
    if name in ("plain", "graph"):
        return name
    if name == "auto" and device.type == "cuda":
        return "graph"
    obstacle = ""
    others = [field for field, known in FUSED.items() if getattr(objective, field) not in known]
    if device.type != "cpu":
        obstacle = f"it runs on a CPU, not on {device.type}"
    elif find_spec("numba") is None or find_spec("threadpoolctl") is None:
        obstacle = "it needs the packages numba and threadpoolctl"
    elif others:
        obstacle = f"it does not compute {others[0]}={getattr(objective, others[0])!r}"
    require(not obstacle or name == "auto", f"kernel='fused': {obstacle}; use 'auto' or 'plain'")
    return "plain" if obstacle else "fused"


def training_step(
    kernel: str,
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    optimizer: torch.optim.Adam,
    device: torch.device,
    prior: tuple[np.ndarray, np.ndarray] | None,
) -> Callable[[Tensor], dict]:
    """A function that makes one step on a batch of tuples, int64 (B,), and gives its loss terms."""
    if kernel == "fused":
        from .fused import FusedStep

        return FusedStep(model, corpus, objective, optimizer, prior)
    if kernel == "graph":
        from .graph import GraphStep

        return GraphStep(model, Batches(corpus, device, prior), objective, optimizer)
    return PlainStep(model, Batches(corpus, device, prior), objective, optimizer)


def limit_blas_threads(kernel: str, threads: int) -> AbstractContextManager:
    """Keep the matrix products of compiled code to ``threads``; torch has a setting of its own."""
    if kernel != "fused":
        return nullcontext()
    import scipy.linalg  # noqa: F401 - loads the library that is to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads, user_api="blas")
