"""The training loop: seeded batches held on the device, Adam and checkpoints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .checks import Prior, check_finite, check_training, sums_of_weights
from .code import code_of_a_step, obstacle
from .corpus import Corpus
from .errors import ParameterError, check_integer, choose, require
from .files import digest
from .loss import Batch, Objective
from .model import M3L
from .progress import progress_bar
from .saving import load_checkpoint, restore_training, save_checkpoint, training_state


@dataclass(frozen=True)
class TrainConfig:
    """How long and where to train.

    Attributes
    ----------
    epochs, batch_size, seed : int
    device : str
        ``"auto"`` (a GPU, where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    threads : int
    checkpoint_every : int
        Epochs between checkpoints, if `fit` is given a place for them.
    kernel : {"auto", "plain", "fused"}
        ``"plain"`` is `train_step`; ``"fused"`` is the same in compiled loops, up to rounding, on a
        CPU with numba, for the package's own step, loss and unfrozen model; ``"auto"`` is either.

    Raises
    ------
    ParameterError
        A value is out of range.
    """

    epochs: int = 100
    batch_size: int = 32
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    checkpoint_every: int = 5
    kernel: str = "auto"

    def __post_init__(self):
        choose("kernel", self.kernel, ("auto", "plain", "fused"))
        for name in ("epochs", "batch_size", "threads", "checkpoint_every", "seed"):
            check_integer(name, getattr(self, name), int(name != "seed"))
            object.__setattr__(self, name, int(getattr(self, name)))  # torch takes no numpy integer
        require(self.seed < 2**63, f"seed={self.seed}: expected less than 2**63")
        resolve_device(self.device)


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``"auto"`` is the GPU when there is one.

    Raises
    ------
    ParameterError
        The name is unknown, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    valid = "valid: auto, cpu, cuda, cuda:N"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ParameterError(f"device={name!r} is unknown; {valid}") from None
    require(device.type in ("cpu", "cuda"), f"device={name!r} is unknown; {valid}")
    count = torch.cuda.device_count()
    there = device.type == "cpu" or (device.index or 0) < count
    require(there, f"device={name!r}: this machine has {count} CUDA devices; valid: auto, cpu")
    return device


class Batches:
    """Holds a corpus, and a teacher's prior of its tuples if any, on the device."""

    def __init__(self, corpus: Corpus, device: torch.device, prior: Prior | None = None):
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        views = corpus.views.items()
        self.embeddings = {name: tensor(view.embeddings) for name, view in views}
        self.items = {name: tensor(view.index) for name, view in views}
        self.present = {n: tensor(v.present) for n, v in views if not v.present.all()}
        self.prior = None if prior is None else tuple(tensor(part) for part in prior)
        texts = {name: view.bow.toarray() for name, view in views if view.is_text}
        self.bow = {name: tensor(bow.astype(np.float32)) for name, bow in texts.items()}

    def take(self, tuples: Tensor) -> Batch:
        """Return the batch of these tuples, int64 (B,)."""
        present = {name: has[tuples] for name, has in self.present.items()}
        x, bow = {}, {}
        for name, items_of_tuples in self.items.items():
            items = items_of_tuples[tuples]
            if name in present:
                items = items[present[name]]
            x[name] = self.embeddings[name].index_select(0, items)
            if name in self.bow:
                bow[name] = self.bow[name].index_select(0, items)
        own = None if self.prior is None else tuple(part[tuples] for part in self.prior)
        return Batch(x, bow, present, own)


def train_step(
    model: M3L, batch: Batch, objective: Objective, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Make one step on a batch of x (B_v, D_v); return its loss terms, scalars, before the step."""
    terms = objective(model, batch)
    loss = sum(terms.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return {name: value.detach() for name, value in terms.items()}


def train_epoch(
    step: Callable[[Tensor], dict], n: int, batch_size: int, order: torch.Generator
) -> dict[str, float]:
    """Make a step on each batch (B,) of n tuples in a new order; return mean terms per tuple."""
    sums: dict[str, float] = {}
    for tuples in torch.randperm(n, generator=order).split(batch_size):
        for name, value in step(tuples).items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: float(value) / n for name, value in sums.items()}


def fit(
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    config: TrainConfig,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    prior: Prior | None = None,
    validate: Callable[[M3L], dict[str, float]] | None = None,
    validate_every: int = 10,
    step: Callable = train_step,
) -> list[dict]:
    """Train ``model`` on ``corpus``, the training part alone; leave it on the CPU, to be evaluated.

    Parameters
    ----------
    model : M3L
        Its views are the corpus's.
    objective : Objective
        Or a subclass of it with a loss of its own.
    checkpoint : path, optional
        Where training is saved, and resumed from if the file is there. A resumed run gives the
        same numbers as one that was not interrupted, so its step and loss must be of the same code.
        The file is left in place at the end.
    progress : bool
    prior : two arrays (N, K), optional
        A prior of each tuple's own, from `m3l.distillation.teacher_prior`; the objective's ``kl``
        must be ``"prior"``.
    validate : function of the model, optional
        Called every ``validate_every`` epochs and after the last; what it gives, numbers by name,
        is added to the history of that epoch.
    step : function, optional
        Another step than `train_step`, with the same arguments.

    Returns
    -------
    A row per epoch: ``epoch``, ``seconds``, each loss term and ``loss`` per tuple, and what
    ``validate`` gave.

    Raises
    ------
    ParameterError
        The batch is larger than the corpus, or the objective has no use for what it is given.
    DataError
        Views do not match, no view has words and there is no teacher, the prior does not fit, or
        the checkpoint is broken or of another run.
    TrainingDiverged
        A loss term is no longer finite.
    """
    check_training(model, corpus, objective, config.batch_size, prior)
    check_integer("validate_every", validate_every, 1)
    device, order = resolve_device(config.device), torch.Generator().manual_seed(config.seed)
    kernel, history = kernel_of(config.kernel, device, objective, model, step), []
    with _processor_settings(config, kernel, device):
        try:
            torch.manual_seed(config.seed)
            model.to(device).train()
            optimizer = torch.optim.Adam(
                model.parameters(), objective.learning_rate, objective.betas, fused=True
            )
            parts = model, optimizer, order
            identity = {
                "objective": asdict(objective),
                "batch_size": config.batch_size,
                "seed": config.seed,
                "device": device.type,
                "kernel": kernel,
                "code of step and loss": code_of_a_step(step, objective, model),
                "model": model.description(),
                "data": corpus.fingerprint() if checkpoint else "",
                "prior": None if prior is None else digest(*prior),
            }
            saved = load_checkpoint(checkpoint, identity, config.epochs) if checkpoint else None
            if saved is not None:
                history = saved.history
                restore_training(saved.tensors, *parts)
            one_step = _step_of(kernel, step, model, corpus, objective, optimizer, device, prior)
            bar = {"total": config.epochs, "initial": len(history), "desc": "training"}
            spent = history[-1]["seconds"] if history else 0.0
            with progress_bar(show=progress, **bar) as shown:
                for epoch in range(len(history) + 1, config.epochs + 1):
                    begun = time.perf_counter()
                    terms = train_epoch(one_step, len(corpus), config.batch_size, order)
                    check_finite(terms, epoch, objective)
                    spent += time.perf_counter() - begun
                    row = {"epoch": epoch, "seconds": spent, **terms}
                    history.append({**row, "loss": sum(terms.values())})
                    shown.set_postfix({k: f"{v:.3f}" for k, v in terms.items()}, refresh=False)
                    shown.update()
                    last = epoch == config.epochs
                    if validate and (last or epoch % validate_every == 0):
                        history[-1] |= validate(model)
                        model.train()  # whatever it left the model in
                    if last or epoch % config.checkpoint_every == 0:
                        check_finite(sums_of_weights(model), epoch, objective)
                        if checkpoint:
                            save_checkpoint(checkpoint, identity, history, training_state(*parts))
        finally:
            model.to("cpu").eval()
    return history


def _step_of(
    kernel: str,
    step: Callable,
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    optimizer: torch.optim.Adam,
    device: torch.device,
    prior: Prior | None,
) -> Callable[[Tensor], dict]:
    """Return a function that makes one step on tuples, int64 (B,), and gives its loss terms."""
    if kernel == "fused":
        from .fused import FusedStep

        return FusedStep(model, corpus, objective, optimizer, prior)
    batches = Batches(corpus, device, prior)

    def plain_step(tuples: Tensor) -> dict[str, Tensor]:
        terms = step(model, batches.take(tuples.to(device)), objective, optimizer)
        return {name: value.double() for name, value in terms.items()}

    return plain_step


def kernel_of(
    name: str, device: torch.device, objective: Objective, model: M3L, step: Callable = train_step
) -> str:
    """Return the kernel that ``name`` stands for here, ``"plain"`` or ``"fused"``.

    `ParameterError` if ``"fused"`` is asked for and cannot be.
    """
    if name == "plain":
        return name
    reason = "it needs the packages numba and threadpoolctl"
    if find_spec("numba") and find_spec("threadpoolctl"):
        reason = obstacle(device, step, objective, model)
    require(not reason or name == "auto", f"kernel='fused': {reason}; use 'auto' or 'plain'")
    return "plain" if reason else "fused"


@contextmanager
def _processor_settings(config: TrainConfig, kernel: str, device: torch.device) -> Iterator[None]:
    """Set threads, denormal numbers and random generators for training, then as they were."""
    threads, flushed = torch.get_num_threads(), float(torch.tensor(1e-39) * 1.0) == 0.0
    torch.set_num_threads(config.threads)
    # topics that a document has none of give gradients below 1e-38, on which processors are ten
    # times slower
    torch.set_flush_denormal(True)
    limits = nullcontext()
    if kernel == "fused":  # whose matrix products are of another library than torch's
        import scipy.linalg  # noqa: F401
        from threadpoolctl import threadpool_limits

        limits = threadpool_limits(config.threads, user_api="blas")
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), limits:
            yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
