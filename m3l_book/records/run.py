"""A run's record: a folder with all that is needed to redraw its figures and reload its model.

``params.json`` (what was asked), ``metrics.json`` (what came out), ``history.csv`` (loss terms an
epoch), ``theta_<view>.npy`` (test items' topics), ``values.npz`` (each query's score and each
aligned pair's divergence, and the articles that they are of), ``topics.json`` (top words by
language), ``model.safetensors``.
"""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l import __version__
from m3l.errors import DataError, require
from m3l.files import atomic, read_array, read_arrays, read_csv, read_json, write_csv, write_json

if TYPE_CHECKING:  # a page that shows records alone needs no torch, which takes seconds to import
    from m3l.model import M3L
    from m3l.pltm import PLTM

# of each row of scores, see `m3l.metrics.assessment.evaluate`
ARRAYS = ("values", "divergences", "articles", "pair_articles")

# entries of a run's metrics that hold such rows: of the test part, and of the validation part
PARTS = ("scores", "validation")


@dataclass
class Run:
    """A run read back: ``theta`` is (M, K) by view, ``topics`` are K lists of words by language,
    best first; ``params``, ``metrics`` and ``history`` are as they were saved.
    """

    folder: Path
    params: dict
    metrics: dict
    history: list[dict]
    theta: dict[str, np.ndarray]
    topics: dict[str, list[list[str]]]


class RunPlace:
    """Where a run's record (``folder``) and its checkpoint are kept; `ParameterError` if the name
    is a path.
    """

    def __init__(self, runs: str | Path, name: str):
        plain = name == Path(name).name and name not in ("", "..")
        require(plain, f"run={name!r}: expected a name, not a path")
        self.folder = Path(runs) / name
        self.checkpoint = Path(runs) / f"{name}.checkpoint.safetensors"


@dataclass(frozen=True)
class Teacher:
    """A frozen model that teaches others, the ``view`` it reads, and its ``topics`` in words."""

    model: "M3L"
    view: str
    topics: dict[str, list[list[str]]]


def load_teacher(runs: str | Path, name: str) -> Teacher | None:
    """Load the teacher of that run's name; None for the name ""."""
    if not name:
        return None
    record = load_run(f"{runs}/{name}")
    view = record.params["train_views"][0]
    return Teacher(load_model(record.folder / "model.safetensors"), view, record.topics)


def commit() -> str:
    """Return the commit of the checkout, with a + if files were changed since; "" outside one."""
    asked = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, cwd=Path(__file__).parent)
    except OSError:  # no git is installed
        return ""
    return found.stdout.strip()


def processor() -> str:
    """Return the processor, as the system names it, and how many cores of it there are."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor() or platform.machine()])[0]}, {os.cpu_count()} cores"


def digest_of(theta: Mapping[str, np.ndarray]) -> str:
    """Return the first sixteen digits of a checksum of θ, (M, K) by view."""
    digest = sha256()
    for view in sorted(theta):
        digest.update(view.encode() + np.ascontiguousarray(theta[view]).tobytes())
    return digest.hexdigest()[:16]


def environment(device: str = "cpu") -> dict[str, str]:
    """Return versions and machine, for a run's provenance; ``device`` is what computed it."""
    return {
        "m3l": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": np.__version__,
        "device": "CPU" if device == "cpu" else _name_of(device),
        "machine": platform.machine(),
    }


def _name_of(device: str) -> str:
    import torch

    from m3l.train import resolve_device

    where = resolve_device(device)
    return torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"


def cost_of(seconds: float, tuples: int, passes: int, device: str = "cpu") -> dict:
    """Return what training took, for a run's metrics; ``passes`` are epochs or sweeps, memory is
    the most that the process had, in MiB.
    """
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    today = datetime.now(UTC).date().isoformat()
    origin = {"commit": commit(), "date": today, "processor": processor()}
    return {
        "seconds": seconds,
        "training_tuples": tuples,
        "tuples_per_second": tuples * passes / seconds,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "environment": environment(device) | origin,
    }


def save_run(
    folder: str | Path,
    model: "M3L | PLTM",
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
    rows = list(_rows(metrics))
    arrays = {_array_name(part, row, name): row[name] for part, row in rows for name in ARRAYS}
    metrics = metrics | {
        part: [{k: v for k, v in row.items() if k not in ARRAYS} for row in metrics[part]]
        for part in PARTS
        if part in metrics
    }
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
    params, metrics = read_json(folder / "params.json"), read_json(folder / "metrics.json")
    paths = {path.stem.removeprefix("theta_"): path for path in sorted(folder.glob("theta_*.npy"))}
    views = [view for view in params.get("encoders", paths) if view in paths]
    arrays = read_arrays(folder / "values.npz")
    for part, row in _rows(metrics):
        for name in ARRAYS:
            key = _array_name(part, row, name)
            missing = f"{folder / 'values.npz'}: no array {key!r}; train the run again"
            require(key in arrays, missing, DataError)
            row[name] = arrays[key]
    theta = {view: read_array(paths[view]) for view in views}
    history, topics = read_csv(folder / "history.csv"), read_json(folder / "topics.json")
    return Run(folder, params, metrics, history, theta, topics)


def _rows(metrics: Mapping) -> Iterator[tuple[str, dict]]:
    """Iterate over the part and the row of every score of a run."""
    return ((part, row) for part in PARTS for row in metrics.get(part, []))


def _array_name(part: str, row: Mapping, name: str) -> str:
    where = "" if part == "scores" else f"{part}."
    return f"{where}{row['query']}>{row['item']}.{name}"


def load_model(path: str | Path) -> "M3L | PLTM":
    """Load the model of a run record, of whatever kind; `DataError` if the file is broken."""
    from m3l.model import M3L
    from m3l.pltm import PLTM
    from m3l.saving import read_tensors
    from m3l.variants import VariantModel

    about, _ = read_tensors(path, "model", "train it again")
    if "views" not in about:
        return PLTM.load(path)
    return (VariantModel if "base_rate" in about.get("config", {}) else M3L).load(path)
