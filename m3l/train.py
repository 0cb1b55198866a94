"""The training loop: seeded minibatches held on the device, Adam, checkpoints, and nothing else."""

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .corpus import Corpus
from .errors import DataError, ParameterError, TrainingDiverged, choose, require
from .files import atomic, digest, require_same_run
from .loss import Objective
from .model import M3L, ViewSpec
from .progress import progress_bar


@dataclass(frozen=True)
class TrainConfig:
    """How long and where to train.

    Attributes
    ----------
    epochs, batch_size, seed : int
    device : str
        ``"auto"`` (a GPU when there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    threads : int
        CPU threads; small matrices gain little from more than one.
    checkpoint_every : int
        Epochs between checkpoints, if `fit` is given a place for them.
    kernel : {"auto", "plain", "fused"}
        How a step is computed: ``"plain"`` is autograd over `Objective`; ``"fused"``, the same in compiled loops (`m3l.fused`), needs a
        CPU, numba and a corpus whose tuples have every view; ``"auto"`` takes the fused one where it can. From one seed
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
            require(isinstance(value, int) and not isinstance(value, bool) and value >= 1, f"{name}={value!r}: expected an integer, 1 or more")
        require(isinstance(self.seed, int) and 0 <= self.seed < 2**63, f"seed={self.seed!r}: expected an integer, 0 or more")
        resolve_device(self.device)


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is the GPU when there is one. `ParameterError` if it is not to be had."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ParameterError(f"device={name!r} is unknown; valid: auto, cpu, cuda, cuda:N") from None
    require(device.type in ("cpu", "cuda"), f"device={name!r}: expected auto, cpu or cuda")
    found = torch.cuda.device_count()
    require(device.type == "cpu" or (device.index or 0) < found, f"device={name!r}: this machine has {found} CUDA devices; valid: auto, cpu")
    return device


def model_for(corpus: Corpus, topics: int, input_scaling: str = "standardize", seed: int = 0, **options) -> M3L:
    """An untrained `M3L` for the views of ``corpus``, with weights drawn from ``seed`` and input scaling from its items.

    ``options`` are those of `M3L`: ``hidden``, ``dropout``, ``share_text_network``.
    """
    specs = [ViewSpec(n, v.embeddings.shape[1], len(v.vocabulary or ()), input_scaling) for n, v in corpus.views.items()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = M3L(specs, topics, **options)
    model.fit_input_scaling({name: view.embeddings for name, view in corpus.views.items()})
    return model


def teacher_prior(teacher: M3L, corpus: Corpus, view: str, floor: float = -4.0) -> tuple[np.ndarray, np.ndarray]:
    """The prior of a ZeroshotTM-KD student (Section 4.3): the frozen teacher's posterior of each tuple's item of ``view``.

    Batch normalisation gives log σ² unit spread a topic, so a topic that few documents have gets σ² of nearly zero for them: a student's KL
    to such a prior is so large that nothing else is learnt. ``floor`` is the least log σ² of the prior; the paper
    has none, which is ``-inf``.

    Returns
    -------
    Mean and log σ², float32 (N, K) each; `DataError` if a tuple lacks the view.
    """
    choose("view", view, corpus.views)
    lacking = np.flatnonzero(~corpus.views[view].present)
    require(
        len(lacking) == 0, f"corpus {corpus.name}: {len(lacking)} tuples lack view {view!r}, which the teacher reads, the first at row {lacking[:1]}", DataError
    )
    require(isinstance(floor, (int, float)) and floor == floor, f"floor={floor!r}: expected a number")
    mean, log_variance = teacher.posterior(corpus.views[view].embeddings, view)
    return mean[corpus.views[view].index], np.maximum(log_variance, np.float32(floor))[corpus.views[view].index]


class _Batches:
    """A corpus, and a teacher's prior of its tuples if there is one, laid out once on the device."""

    def __init__(self, corpus: Corpus, device: torch.device, prior: tuple[np.ndarray, np.ndarray] | None):
        self.prior = None if prior is None else tuple(torch.from_numpy(np.ascontiguousarray(p)).to(device) for p in prior)
        self.views = {}
        for name, view in corpus.views.items():
            bow = None if view.bow is None else torch.from_numpy(view.bow.astype(np.float32).toarray()).to(device)
            present = None if view.present.all() else torch.from_numpy(view.present).to(device)
            self.views[name] = torch.from_numpy(view.embeddings).to(device), torch.from_numpy(view.index).to(device), bow, present

    def __call__(self, tuples: Tensor) -> tuple[dict, dict, dict, tuple | None]:
        """The tuples' embeddings, bags of words, presence and prior, as `Objective` takes them."""
        x, bows, presence = {}, {}, {}
        for name, (embeddings, index, bow, present) in self.views.items():
            items = index[tuples]
            if present is not None:
                presence[name] = present[tuples]
                items = items[presence[name]]
            x[name] = embeddings[items]
            if bow is not None:
                bows[name] = bow[items]
        return x, bows, presence, None if self.prior is None else tuple(p[tuples] for p in self.prior)


class _PlainStep:
    """A step of training by autograd; `m3l.fused.FusedStep` is the same in compiled loops."""

    def __init__(self, model: M3L, batches: _Batches, objective: Objective, optimizer: torch.optim.Adam):
        self.model, self.batches, self.objective, self.optimizer = model, batches, objective, optimizer

    def __call__(self, tuples: Tensor) -> dict[str, Tensor]:
        """The terms of the loss of a batch of tuples, int64 (B,), before the step."""
        terms = self.objective(self.model, *self.batches(tuples))
        loss = sum(terms.values())
        self.optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
            self.optimizer.step()
        return {name: torch.as_tensor(value, device=tuples.device).detach().double() for name, value in terms.items()}


def fit(
    model: M3L,
    corpus: Corpus,
    objective: Objective,
    config: TrainConfig,
    checkpoint=None,
    progress: bool = True,
    prior: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[dict]:
    """Train ``model`` on ``corpus`` (the training part alone) and leave it in evaluation mode on the CPU.

    Parameters
    ----------
    model : M3L
    corpus : Corpus
        Its views are the model's.
    objective : Objective
    config : TrainConfig
    checkpoint : path, optional
        Where training is saved every ``config.checkpoint_every`` epochs, and resumed from if the file is there.
        A resumed run gives the same numbers as one that was not interrupted. Left in place at the end.
    progress : bool
        Show a progress bar.
    prior : two arrays (N, K), optional
        A prior of each tuple's own, from `teacher_prior`; the objective's ``kl`` must be ``"prior"``. A student without words
        has no reconstruction term: all it learns is its teacher's topics.

    Returns
    -------
    A dictionary an epoch: ``epoch``, ``seconds`` since the start, each loss term and ``loss``, per tuple.

    Raises
    ------
    ParameterError
        The batch is larger than the corpus, or the objective has no use for what it is given.
    DataError
        Views do not match, no view has words and there is no teacher, the prior does not fit, or the checkpoint is broken or of another run.
    TrainingDiverged
        A loss term is no longer finite.
    """
    _check_views(model, corpus)
    n = len(corpus)
    require(n >= 2, f"corpus {corpus.name}: training needs 2 tuples or more, it has {n}", DataError)
    require(config.batch_size <= n, f"batch_size={config.batch_size} is larger than the {n} tuples of corpus {corpus.name}; expected {n} or less")
    require(
        objective.kl == "prior" or len(corpus.views) > 1,
        f"objective.kl={objective.kl!r} compares views and there is one; for a single view use the preset 'zeroshot'",
    )
    require(
        prior is not None or len(corpus.text_views) > 0,
        f"corpus {corpus.name}: no view has words to learn from; add a text view, or give a teacher's prior",
        DataError,
    )
    if prior is not None:
        require(objective.kl == "prior", f"objective.kl={objective.kl!r} has no use for a prior; with a teacher use the preset 'zeroshot'")
        fits = len(prior) == 2 and all(
            isinstance(p, np.ndarray) and p.shape == (n, model.topics) and p.dtype == np.float32 and np.isfinite(p).all() for p in prior
        )
        require(
            fits,
            f"prior: expected finite float32 of shape {(n, model.topics)}, mean and log-variance, a row a tuple; the teacher must have the student's number of topics",
            DataError,
        )
    device = resolve_device(config.device)
    kernel = _kernel(config.kernel, corpus, device)
    threads, flushed = torch.get_num_threads(), float(torch.tensor(1e-39) * 1.0) == 0.0
    torch.set_num_threads(config.threads)
    # topics that a document has none of give gradients below 1e-38, on which processors are ten times slower
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _blas_threads(kernel, config.threads):
            return _fit(model, corpus, objective, replace(config, kernel=kernel), device, checkpoint, progress, prior)
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
        model.to("cpu").eval()


def _kernel(name: str, corpus: Corpus, device: torch.device) -> str:
    """The kernel that ``name`` stands for here; `ParameterError` if the fused one is demanded and cannot be had."""
    if name == "plain":
        return name
    obstacle = ""
    if device.type != "cpu":
        obstacle = f"it runs on a CPU, not on {device.type}"
    elif not all(view.present.all() for view in corpus.views.values()):
        obstacle = f"some tuples of corpus {corpus.name} lack a view"
    elif find_spec("numba") is None or find_spec("threadpoolctl") is None:
        obstacle = "it needs the packages numba and threadpoolctl"
    require(not obstacle or name == "auto", f"kernel='fused': {obstacle}; use 'auto' or 'plain'")
    return "plain" if obstacle else "fused"


def _blas_threads(kernel: str, threads: int):
    """Keeps the matrix products of compiled code to ``threads``; torch has a setting of its own."""
    if kernel == "plain":
        return nullcontext()
    import scipy.linalg  # noqa: F401 - loads the library that is to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads, user_api="blas")


def _fit(model, corpus, objective, config, device, checkpoint, progress, prior) -> list[dict]:
    torch.manual_seed(config.seed)
    order = torch.Generator().manual_seed(config.seed)
    model.to(device).train()
    n = len(corpus)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=objective.learning_rate, betas=objective.betas, fused=True)
    identity, history = None, []
    if checkpoint is not None:
        run = {**asdict(config), "epochs": None, "checkpoint_every": None, "device": device.type, "threads": None}
        identity = {
            "objective": asdict(objective),
            "config": run,
            "model": {**model.config, "views": [asdict(v) for v in model.views.values()]},
            "data": corpus.fingerprint(),
            "prior": None if prior is None else digest(*prior),
        }
        history = _resume(checkpoint, identity, config.epochs, model, optimizer, order, device)
    if config.kernel == "fused":
        from .fused import FusedStep

        step = FusedStep(model, corpus, objective, optimizer, prior)
    else:
        step = _PlainStep(model, _Batches(corpus, device, prior), objective, optimizer)
    spent, start = history[-1]["seconds"] if history else 0.0, time.perf_counter()
    with progress_bar(show=progress, total=config.epochs, initial=len(history), desc="training", unit="epoch") as bar:
        while len(history) < config.epochs:
            sums = {}
            for tuples in torch.randperm(n, generator=order).to(device).split(config.batch_size):
                for name, value in step(tuples).items():
                    sums[name] = sums.get(name, 0.0) + value
            epoch = len(history) + 1
            means = {name: float(value) / n for name, value in sums.items()}
            _check_finite(means, epoch, objective)
            history.append({"epoch": epoch, "seconds": round(spent + time.perf_counter() - start, 3), **means, "loss": sum(means.values())})
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()}, refresh=False)
            bar.update()
            kept = epoch % config.checkpoint_every == 0 or epoch == config.epochs
            if kept:
                _check_finite({name: float(p.abs().sum()) for name, p in model.state_dict().items() if p.is_floating_point()}, epoch, objective)
            if checkpoint is not None and kept:
                _save(checkpoint, identity, model, optimizer, order, device, history)
    return history


def _check_views(model: M3L, corpus: Corpus) -> None:
    require(set(model.views) == set(corpus.views), f"the model has views {sorted(model.views)}, corpus {corpus.name} has {sorted(corpus.views)}", DataError)
    for name, spec in model.views.items():
        view = corpus.views[name]
        found = view.embeddings.shape[1], len(view.vocabulary or ())
        expected = spec.embedding_size, spec.vocabulary_size
        require(
            found == expected,
            f"view {name!r}: the corpus has embeddings of size {found[0]} and {found[1]} words, the model expects {expected[0]} and {expected[1]}",
            DataError,
        )


def _check_finite(means: dict, epoch: int, objective: Objective) -> None:
    bad = [name for name, value in means.items() if not np.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"epoch {epoch}: {' and '.join(bad)} not finite; the last checkpoint, if any, is intact. "
            f"Try a smaller learning_rate (now {objective.learning_rate}) or a larger temperature (now {objective.temperature}), or check the scale of the embeddings."
        )


def _save(path, identity, model, optimizer, order, device, history) -> None:
    from safetensors.torch import save_file

    tensors = {f"model.{k}": v.cpu().contiguous() for k, v in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": v.cpu().clone() for k, v in state.items()}
    tensors |= {"rng.cpu": torch.get_rng_state(), "rng.order": order.get_state()}
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"identity": json.dumps(identity), "history": json.dumps(history), "digest": _digest(tensors)})


def _digest(tensors) -> str:
    return digest(*(part for key in sorted(tensors) for part in (key, tensors[key].numpy())))


def _resume(path, identity, epochs, model, optimizer, order, device) -> list[dict]:
    """Restore the state saved at ``path``, if any; the history up to there."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).exists():
        return []
    try:
        with safe_open(path, "pt") as file:
            meta, tensors = file.metadata(), {key: file.get_tensor(key) for key in list(file.keys())}
        found, history = json.loads(meta["identity"]), json.loads(meta["history"])
        require(meta["digest"] == _digest(tensors), "its tensors are not those that were saved", DataError)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a whole checkpoint ({error}); delete it to start again") from error
    require_same_run(path, found, identity)
    require(
        len(history) <= epochs, f"{path}: a checkpoint of {len(history)} epochs, more than the epochs={epochs} of this run; delete it to start again", DataError
    )

    def under(prefix):
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    model.load_state_dict(under("model."))
    state = {}
    for key, value in under("adam.").items():
        i, field = key.split(".")
        state.setdefault(int(i), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["rng.cpu"])
    order.set_state(tensors["rng.order"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)
    return history
