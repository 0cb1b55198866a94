"""A run's record: a folder with all that is needed to redraw its figures and reload its model.

``params.json`` (what was asked), ``metrics.json`` (what came out), ``history.csv`` (loss terms an epoch),
``theta_<view>.npy`` (test items' topics), ``values.npz`` (each query's score and each aligned pair's divergence), ``topics.json`` (top words by language), ``model.safetensors``.
"""

import json
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from .errors import DataError, require
from .files import atomic, read_array, read_arrays, read_csv, read_json, write_csv, write_json
from .model import M3L, ViewSpec

ARRAYS = ("values", "divergences")  # of each row of scores, see `evaluation.evaluate`


@dataclass
class Run:
    """A run read back: ``theta`` by view (M, K), ``topics`` by language (K lists of words, best first), ``metrics`` as they were given."""

    folder: Path
    params: dict
    metrics: dict
    history: list[dict]
    theta: dict[str, np.ndarray]
    topics: dict[str, list[list[str]]]


def save_model(path, model, vocabularies: Mapping[str, list[str]]) -> None:
    """Write an `M3L` or `PLTM`, its configuration and vocabularies as one safetensors file, atomically."""
    from safetensors.torch import save_file

    # one entry: several come out in any order, and the same run must give the same bytes
    if isinstance(model, M3L):
        about, tensors = {"views": [asdict(v) for v in model.views.values()], "config": model.config}, model.state_dict()
    else:
        about, tensors = {"beta": model.beta}, {"alpha": model.alpha, **{f"counts.{name}": counts for name, counts in model.counts.items()}}
    about |= {"vocabularies": vocabularies}
    with atomic(path) as temporary:
        save_file(
            {k: torch.as_tensor(v).detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata={"m3l": json.dumps(about, ensure_ascii=False)}
        )


def load_model(path) -> tuple:
    """The `M3L` (in evaluation mode) or `PLTM` that `save_model` wrote, and its vocabularies; `DataError` if the file is broken."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about, weights = json.loads(file.metadata()["m3l"]), {key: file.get_tensor(key) for key in list(file.keys())}
        if "views" in about:
            model = M3L([ViewSpec(**view) for view in about["views"]], **about["config"])
            model.load_state_dict(weights)
            return model.eval(), about["vocabularies"]
        from .pltm import PLTM

        counts = {name: weights[f"counts.{name}"].numpy() for name in about["beta"]}
        model = PLTM({name: array.shape[1] for name, array in counts.items()}, len(weights["alpha"]))
        model.counts, model.alpha, model.beta = counts, weights["alpha"].numpy(), about["beta"]
        return model, about["vocabularies"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (SafetensorError, OSError, TypeError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a whole model ({error}); train it again") from error


def save_run(folder, model, vocabularies: Mapping, params: dict, metrics: dict, history: list[dict], theta: Mapping, topics: Mapping) -> None:
    """Write a run's folder, atomically: an earlier run there is replaced as a whole or not at all.

    ``metrics`` are `evaluation.assess`'s and what else a chapter adds; the arrays of its ``scores`` go to a file of their own.
    """
    arrays = {f"{s['query']}>{s['item']}.{name}": s[name] for s in metrics["scores"] for name in ARRAYS}
    metrics = {**metrics, "scores": [{k: v for k, v in s.items() if k not in ARRAYS} for s in metrics["scores"]]}
    with atomic(folder, directory=True) as temporary:
        np.savez(temporary / "values.npz", **arrays)
        save_model(temporary / "model.safetensors", model, vocabularies)
        write_json(temporary / "topics.json", topics)
        for view, array in theta.items():
            np.save(temporary / f"theta_{view}.npy", array, allow_pickle=False)
        write_csv(temporary / "history.csv", history)
        write_json(temporary / "metrics.json", metrics)
        write_json(temporary / "params.json", params)


def load_run(folder) -> Run:
    """Read a run back; `DataError` naming what is missing or broken."""
    folder = Path(folder)
    require(folder.is_dir(), f"{folder}: no such run", DataError)
    params = read_json(folder / "params.json")
    theta = {path.stem.removeprefix("theta_"): read_array(path) for path in sorted(folder.glob("theta_*.npy"))}
    theta = {view: theta[view] for view in params.get("encoders", theta) if view in theta}
    metrics, arrays = read_json(folder / "metrics.json"), read_arrays(folder / "values.npz")
    for row in metrics["scores"]:
        for name in ARRAYS:
            key = f"{row['query']}>{row['item']}.{name}"
            require(key in arrays, f"{folder / 'values.npz'}: no array {key!r}; train the run again", DataError)
            row[name] = arrays[key]
    return Run(folder, params, metrics, read_csv(folder / "history.csv"), theta, read_json(folder / "topics.json"))


def peak_memory() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def environment() -> dict:
    """Versions and machine, for a run's provenance."""
    from . import __version__

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "m3l": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": device,
        "machine": platform.machine(),
    }
