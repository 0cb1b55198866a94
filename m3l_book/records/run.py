"""A run's record: a folder with all that is needed to redraw its figures and reload its model.

``params.json`` (what was asked), ``metrics.json`` (what came out), ``history.csv`` (loss terms an
epoch), ``theta_<view>.npy`` (test items' topics), ``values.npz`` (each query's score and each
aligned pair's divergence), ``topics.json`` (top words by language), ``model.safetensors``.
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

ARRAYS = ("values", "divergences")  # of each row of scores, see `evaluation.evaluate`


@dataclass
class Run:
    """A run read back: ``theta`` by view (M, K), ``topics`` by language (K lists of words, best
    first), ``metrics`` as they were given.
    """

    folder: Path
    params: dict
    metrics: dict
    history: list[dict]
    theta: dict[str, np.ndarray]
    topics: dict[str, list[list[str]]]


def save_run(
    folder,
    model: M3L | PLTM,
    params: dict,
    metrics: dict,
    history: list[dict],
    theta: Mapping,
    topics: Mapping,
) -> None:
    """Write a run's folder, atomically: an earlier run there is replaced as a whole or not at all.

    ``metrics`` are `evaluation.assess`'s and what else a chapter adds; the arrays of its ``scores``
    go to a file of their own.
    """
    arrays = {
        f"{s['query']}>{s['item']}.{name}": s[name] for s in metrics["scores"] for name in ARRAYS
    }
    metrics = {
        **metrics,
        "scores": [{k: v for k, v in s.items() if k not in ARRAYS} for s in metrics["scores"]],
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


def load_run(folder) -> Run:
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
    for row in metrics["scores"]:
        for name in ARRAYS:
            key = f"{row['query']}>{row['item']}.{name}"
            require(
                key in arrays,
                f"{folder / 'values.npz'}: no array {key!r}; train the run again",
                DataError,
            )
            row[name] = arrays[key]
    return Run(
        folder,
        params,
        metrics,
        read_csv(folder / "history.csv"),
        theta,
        read_json(folder / "topics.json"),
    )


def load_model(path) -> M3L | PLTM:
    """The model of a run record, whichever kind it is; `DataError` if the file is broken."""
    about, _ = read_tensors(path, "model", "train it again")
    return M3L.load(path) if "views" in about else PLTM.load(path)
