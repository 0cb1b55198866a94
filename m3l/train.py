"""The training loop: seeded minibatches held on the device, Adam, checkpoints, and nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .checkpoint import CURE, load_checkpoint, save_checkpoint
from .corpus import Corpus
from .device import resolve_device
from .errors import DataError, TrainingDiverged, choose, require
from .files import digest
from .kernels.choice import choose_kernel, limit_blas_threads, training_step
from .loss import Objective
from .model import M3L
from .preconditions import Prior, check_training
from .progress import progress_bar


@dataclass(frozen=True)
class TrainConfig:
    """How long and where to train.

    Attributes
    ----------
    epochs, batch_size, seed : int
    device : str
        ``"auto"`` (a GPU, where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    threads : int
        CPU threads; small matrices gain little from more than one.
    checkpoint_every : int
        Epochs between checkpoints, if `fit` is given a place for them.
    kernel : {"auto", "plain", "fused"}
        How a step is computed: ``"plain"`` is autograd over `Objective`; ``"fused"``, the same in
        compiled loops (`m3l.kernels.fused`), needs a CPU and numba. ``"auto"`` is ``"fused"`` where
        it can be and where the loss and the model are the package's own, unchanged. From one seed
        both give the same up to rounding.

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
        for name in ("epochs", "batch_size", "threads", "checkpoint_every"):
            value = getattr(self, name)
            integer = isinstance(value, int) and not isinstance(value, bool)
            require(integer and value >= 1, f"{name}={value!r}: expected an integer, 1 or more")
        require(
            isinstance(self.seed, int) and 0 <= self.seed < 2**63,
            f"seed={self.seed!r}: expected an integer, 0 or more",
        )
        resolve_device(self.device)


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
) -> list[dict]:
    """Train ``model`` on ``corpus`` (the training part alone); leave it on the CPU, to be
    evaluated.

    Parameters
    ----------
    model : M3L
    corpus : Corpus
        Its views are the model's.
    objective : Objective
    config : TrainConfig
    checkpoint : path, optional
        Where training is saved every ``config.checkpoint_every`` epochs, and resumed from if the
        file is there. A resumed run gives the same numbers as one that was not interrupted. The
        file is left in place at the end.
    progress : bool
        Show a progress bar.
    prior : two arrays (N, K), optional
        A prior of each tuple's own, from `m3l.distillation.teacher_prior`; the objective's ``kl``
        must be ``"prior"``. A student without words has no reconstruction term: all it learns is
        its teacher's topics.
    validate : function of the model, optional
        Called every ``validate_every`` epochs and after the last. What it gives, numbers by name,
        is added to the history of that epoch; training goes on as if it had not been called.

    Returns
    -------
    A dictionary an epoch: ``epoch``, ``seconds`` of training since the start, each loss term and
    ``loss``, per tuple, and what ``validate`` gave.

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
    require(
        isinstance(validate_every, int) and validate_every >= 1,
        f"validate_every={validate_every!r}: expected an integer, 1 or more",
    )
    device = resolve_device(config.device)
    kernel = choose_kernel(config.kernel, device, objective, model)
    with _processor_settings(config, kernel, device):
        torch.manual_seed(config.seed)
        order = torch.Generator().manual_seed(config.seed)
        try:
            model.to(device).train()
            weights = [p for p in model.parameters() if p.requires_grad]
            rate, betas = objective.learning_rate, objective.betas
            optimizer = torch.optim.Adam(weights, lr=rate, betas=betas, fused=True)
            identity: dict = {}
            history: list[dict] = []
            if checkpoint is not None:
                identity = _identity(model, corpus, objective, config, kernel, device, prior)
                saved = load_checkpoint(checkpoint, identity)
                if saved is not None:
                    too_long = (
                        f"{checkpoint}: a checkpoint of {len(saved.history)} epochs, more than"
                    )
                    require(
                        len(saved.history) <= config.epochs,
                        f"{too_long} the epochs={config.epochs} of this run; {CURE}",
                        DataError,
                    )
                    history = saved.history
                    _restore(saved.tensors, model, optimizer, order, device)
            step = training_step(kernel, model, corpus, objective, optimizer, device, prior)
            for epoch in _epochs(
                step, len(corpus), objective, config, order, device, history, progress
            ):
                if validate and (epoch % validate_every == 0 or epoch == config.epochs):
                    history[-1] |= validate(model)
                if epoch % config.checkpoint_every == 0 or epoch == config.epochs:
                    _check_weights(model, epoch, objective)
                    if checkpoint is not None:
                        state = _state(model, optimizer, order, device)
                        save_checkpoint(checkpoint, identity, history, state)
        finally:
            model.to("cpu").eval()
    return history


def _epochs(
    step: Callable[[Tensor], dict],
    n: int,
    objective: Objective,
    config: TrainConfig,
    order: torch.Generator,
    device: torch.device,
    history: list[dict],
    progress: bool,
) -> Iterator[int]:
    """Train epoch by epoch, writing ``history``; yields each epoch's number when it is done."""
    spent = history[-1]["seconds"] if history else 0.0
    done, total = len(history), config.epochs
    with progress_bar(
        show=progress, total=total, initial=done, desc="training", unit="epoch"
    ) as bar:
        for epoch in range(done + 1, total + 1):
            sums, start = {}, time.perf_counter()
            for tuples in torch.randperm(n, generator=order).to(device).split(config.batch_size):
                for name, value in step(tuples).items():
                    sums[name] = sums.get(name, 0.0) + value
            means = {name: float(value) / n for name, value in sums.items()}
            _check_finite(means, epoch, objective)
            spent += time.perf_counter() - start
            loss = sum(means.values())
            history.append({"epoch": epoch, "seconds": round(spent, 3), **means, "loss": loss})
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()}, refresh=False)
            bar.update()
            yield epoch


@contextmanager
def _processor_settings(config: TrainConfig, kernel: str, device: torch.device) -> Iterator[None]:
    """Threads, denormal numbers and random generators as training needs them; then as before."""
    threads, flushed = torch.get_num_threads(), float(torch.tensor(1e-39) * 1.0) == 0.0
    torch.set_num_threads(config.threads)
    # topics that a document has none of give gradients below 1e-38, on which processors are ten
    # times slower
    torch.set_flush_denormal(True)
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            limit_blas_threads(kernel, config.threads),
        ):
            yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)


def _identity(
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    config: TrainConfig,
    kernel: str,
    device: torch.device,
    prior: Prior | None,
) -> dict:
    """What must be equal for one run to go on from another's checkpoint."""
    return {
        "objective": asdict(objective),
        "batch_size": config.batch_size,
        "seed": config.seed,
        "device": device.type,
        "kernel": kernel,
        "model": model.description(),
        "data": corpus.fingerprint(),
        "prior": None if prior is None else digest(*prior),
    }


def _state(
    model: M3L, optimizer: torch.optim.Adam, order: torch.Generator, device: torch.device
) -> dict:
    """All that the rest of the training depends on, as named tensors."""
    tensors = {f"model.{name}": value.cpu() for name, value in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{field}": value.cpu().clone() for field, value in state.items()}
    tensors |= {"rng.cpu": torch.get_rng_state(), "rng.order": order.get_state()}
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def _restore(
    tensors: dict[str, Tensor],
    model: M3L,
    optimizer: torch.optim.Adam,
    order: torch.Generator,
    device: torch.device,
) -> None:
    """Put what `_state` gave back into place."""
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    moments: dict[int, dict] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, i, field = key.split(".")
            moments.setdefault(int(i), {})[field] = value
    optimizer.load_state_dict(
        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    torch.set_rng_state(tensors["rng.cpu"])
    order.set_state(tensors["rng.order"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _check_finite(values: dict[str, float], epoch: int, objective: Objective) -> None:
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"epoch {epoch}: {' and '.join(bad)} not finite; the last checkpoint, if any, is"
            f" intact. Try a smaller learning_rate (now {objective.learning_rate}) or a larger"
            f" temperature (now {objective.temperature}), or check the scale of the embeddings."
        )


def _check_weights(model: M3L, epoch: int, objective: Objective) -> None:
    weights = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    sums = {name: float(value.abs().sum()) for name, value in weights.items()}
    _check_finite(sums, epoch, objective)
