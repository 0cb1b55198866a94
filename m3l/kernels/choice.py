"""Which kernel computes a training step: autograd, or the same in compiled loops."""

import copy
import time
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


MEASURED = 30
"""Steps that a device is measured by, after as many to warm up."""


def seconds_a_step(
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    batch_size: int,
    kernel: str,
    device: torch.device,
    prior: tuple[np.ndarray, np.ndarray] | None,
) -> float:
    """How long a step takes on a device, by a copy of the model that is thrown away."""
    kernel, twin = choose_kernel(kernel, device, objective), copy.deepcopy(model).to(device).train()
    recorded = kernel == "graph" and device.type == "cuda"
    weights = [p for p in twin.parameters() if p.requires_grad]
    rate, betas = objective.learning_rate, objective.betas
    optimizer = torch.optim.Adam(weights, lr=rate, betas=betas, fused=True, capturable=recorded)
    step = training_step(kernel, twin, corpus, objective, optimizer, device, prior)
    tuples = torch.arange(batch_size).to(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(2):  # the second time it is warm
            begun = time.perf_counter()
            for _ in range(MEASURED):
                terms = step(tuples)
            float(sum(terms.values()))  # waits for the device
    return (time.perf_counter() - begun) / MEASURED


def choose_device(
    device: torch.device,
    made_on: object,
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    batch_size: int,
    kernel: str,
    prior: tuple[np.ndarray, np.ndarray] | None,
) -> torch.device:
    """The faster of a GPU and the CPU for a training, by measurement: small models leave a card
    idle. A run that was begun goes on where it was, ``made_on`` a type of device.
    """
    cpu = torch.device("cpu")
    if made_on is not None:
        return cpu if made_on == "cpu" else device
    if kernel == "fused":
        return cpu
    measured = model, corpus, objective, batch_size, kernel
    seconds = {where: seconds_a_step(*measured, where, prior) for where in (device, cpu)}
    return min(seconds, key=seconds.get)


def limit_blas_threads(kernel: str, threads: int) -> AbstractContextManager:
    """Keep the matrix products of compiled code to ``threads``; torch has a setting of its own."""
    if kernel != "fused":
        return nullcontext()
    import scipy.linalg  # noqa: F401 - loads the library that is to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads, user_api="blas")
