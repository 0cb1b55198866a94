"""A run's record: a folder with all that is needed to redraw its figures and reload its model.

``params.json`` (what was asked), ``metrics.json`` (what came out), ``history.csv`` (loss terms an
epoch), ``theta_<view>.npy`` (test items' topics), ``values.npz`` (each query's score and each
aligned pair's divergence, and the articles that they are of), ``topics.json`` (top words by
language), ``model.safetensors``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m3l.errors import DataError, require
from m3l.files import atomic, read_array, read_arrays, read_csv, read_json, write_csv, write_json
from m3l.model import M3L
from m3l.pltm import PLTM
from m3l.saving import read_tensors

from .environment import environment, peak_memory

# of each row of scores, see `m3l.metrics.assessment.evaluate`
ARRAYS = ("values", "divergences", "articles", "pair_articles")

# entries of a run's metrics that hold such rows: of the test part, and of the validation part
PARTS = ("scores", "validation")


@dataclass
class Run:
    """A run read back.

    Attributes
    ----------
    folder : Path
    params, metrics : dict
        As they were given.
    history : list of dict
    theta : view -> (M, K)
    topics : language -> K lists of words, best first
    """

    folder: Path
    params: dict
    metrics: dict
    history: list[dict]
    theta: dict[str, np.ndarray]
    topics: dict[str, list[list[str]]]


def updates_an_epoch(run: Run) -> int:
    """Steps of Adam in an epoch of a run; 0 for a model that is not trained so."""
    if "batch_size" not in run.params:
        return 0
    return -(-run.metrics["training_tuples"] // run.params["batch_size"])


class RunPlace:
    """Where a run's record and its checkpoint are kept: ``folder`` and ``checkpoint``.

    Raises
    ------
    ParameterError
        The name is no name, but a path.
    """

    def __init__(self, runs: str | Path, name: str):
        require(name == Path(name).name != "", f"run={name!r}: expected a name, not a path")
        self.folder = Path(runs) / name
        self.checkpoint = Path(runs) / f"{name}.checkpoint.safetensors"


@dataclass(frozen=True)
class Teacher:
    """A frozen model that teaches others: ``model``, the ``view`` it reads, its ``topics`` in
    words.
    """

    model: M3L
    view: str
    topics: dict[str, list[list[str]]]


def load_teacher(runs: str | Path, name: str) -> Teacher | None:
    """The teacher of that run's name; None for the name ""."""
    if not name:
        return None
    record = load_run(f"{runs}/{name}")
    view = record.params["train_views"][0]
    return Teacher(M3L.load(record.folder / "model.safetensors"), view, record.topics)


def cost_of(seconds: float, tuples: int, passes: int, device: str = "cpu") -> dict:
    """What training took, for a run's metrics; ``passes`` are epochs or sweeps."""
    return {
        "seconds": seconds,
        "training_tuples": tuples,
        "tuples_per_second": tuples * passes / seconds,
        "memory_mb": peak_memory(),
        "environment": environment(device),
    }


def save_run(
    folder: str | Path,
    model: M3L | PLTM,
    params: dict,
    metrics: dict,
    history: list[dict],
    theta: Mapping,
    topics: Mapping,
) -> None:
    """Write a run's folder, atomically: an earlier run there is replaced as a whole or not at all.

    ``metrics`` are `m3l.metrics.assessment.assess`'s and what else a chapter adds, such as scores
    of the ``validation`` part; the arrays of scores go to a file of their own.
    """
    arrays = {}
    metrics = dict(metrics)
    for part in filter(metrics.__contains__, PARTS):
        rows = metrics[part]
        arrays |= {_array_name(part, row, name): row[name] for row in rows for name in ARRAYS}
        metrics[part] = [
            {key: value for key, value in row.items() if key not in ARRAYS} for row in rows
        ]
    with atomic(folder, directory=True) as temporary:
        np.savez(temporary / "values.npz", **arrays)
        model.save(temporary / "model.safetensors")
        write_json(temporary / "topics.json", topics)
        for view, array in theta.items():
            np.save(temporary / f"theta_{view}.npy", array, allow_pickle=False)
        write_csv(temporary / "history.csv", history)
        write_json(temporary / "metrics.json", metrics)
        write_json(temporary / "params.json", params)


def load_run(folder: str | Path) -> Run:
    """Read a run back; `DataError` naming what is missing or broken."""
    folder = Path(folder)
    require(folder.is_dir(), f"{folder}: no such run", DataError)
    params = read_json(folder / "params.json")
    theta = {
        path.stem.removeprefix("theta_"): read_array(path)
        for path in sorted(folder.glob("theta_*.npy"))
    }
    theta = {view: theta[view] for view in params.get("encoders", theta) if view in theta}
    metrics, arrays = read_json(folder / "metrics.json"), read_arrays(folder / "values.npz")
    for part in filter(metrics.__contains__, PARTS):
        for row in metrics[part]:
            for name in ARRAYS:
                key = _array_name(part, row, name)
                missing = f"{folder / 'values.npz'}: no array {key!r}; train the run again"
                require(key in arrays, missing, DataError)
                row[name] = arrays[key]
    history, topics = read_csv(folder / "history.csv"), read_json(folder / "topics.json")
    return Run(folder, params, metrics, history, theta, topics)


def _array_name(part: str, row: Mapping, name: str) -> str:
    where = "" if part == "scores" else f"{part}."
    return f"{where}{row['query']}>{row['item']}.{name}"


def load_model(path: str | Path) -> M3L | PLTM:
    """The model of a run record, whichever kind it is; `DataError` if the file is broken."""
    about, _ = read_tensors(path, "model", "train it again")
    return M3L.load(path) if "views" in about else PLTM.load(path)
