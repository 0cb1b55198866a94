"""Which kernel computes a training step: autograd over the loss, or the same in compiled loops."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from .. import loss, model, networks
from ..corpus import Corpus
from ..errors import require
from ..files import digest
from ..loss import Objective
from ..model import M3L
from .plain import Batches, PlainStep

WRITTEN_FOR = "f6ae5265b1c1dbf37d3092a6c53006593c37f88132b4f870ebab919772ba1fb2"
"""The digest of the code that the fused step computes, see `code_of_the_loss`."""


def code_of_the_loss(objective: Objective, of: M3L) -> str:
    """Return a digest of the code that says what a step computes: the functions and classes of
    `m3l.loss` and `m3l.networks` as they are now, and those of the objective and the model.

    Comments, docstrings and blanks do not count. Code whose text is not at hand gives "".
    """
    parts = [
        *(loss.reconstruction, loss.gaussian_kl, loss.categorical_kl, loss.info_nce),
        *(networks.InferenceNetwork, networks.BatchNorm),
        *(type(objective).__call__, type(objective).contrastive, type(objective).pairwise_kl),
        *(type(of).forward, type(of).decode, type(of).network_of, model.Posterior),
    ]
    try:
        trees = [ast.parse(textwrap.dedent(inspect.getsource(part))) for part in parts]
    except (OSError, TypeError):
        return ""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body = node.body[1:]
    return digest(*(ast.dump(tree) for tree in trees))


def choose_kernel(name: str, device: torch.device, objective: Objective, of: M3L) -> str:
    """Return the kernel that ``name`` stands for here: ``"plain"`` or ``"fused"``.

    ``auto`` takes the fused step where it can run and where the loss and the model ``of`` are those
    that it was written for: whoever changes one of them trains with what they wrote.

    Raises
    ------
    ParameterError
        The fused kernel is demanded and cannot run here.
    """
    if name == "plain":
        return name
    obstacle = ""
    if device.type != "cpu":
        obstacle = f"it runs on a CPU, not on {device.type}"
    elif find_spec("numba") is None or find_spec("threadpoolctl") is None:
        obstacle = "it needs the packages numba and threadpoolctl"
    elif code_of_the_loss(objective, of) != WRITTEN_FOR:
        obstacle = "the loss or the model is not the one that it was written for"
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
    return PlainStep(model, Batches(corpus, device, prior), objective, optimizer)


def limit_blas_threads(kernel: str, threads: int) -> AbstractContextManager:
    """Keep the matrix products of compiled code to ``threads``; torch has a setting of its own."""
    if kernel != "fused":
        return nullcontext()
    import scipy.linalg  # noqa: F401 - loads the library that is to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads, user_api="blas")
