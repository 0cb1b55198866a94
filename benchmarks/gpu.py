"""What a GPU takes to train: ``python benchmarks/gpu.py OUT.json [--device cuda]``.

A run of the paper's size from beginning to end; tuples that lack a picture; several runs that
share the card; and whether it learns what a CPU learns. Needs what the method needs and no more:
torch, numpy, scipy and tqdm.
"""

import argparse
import datetime
import platform
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from shapes import random_corpus  # noqa: E402

from m3l import Objective, TrainConfig, fit, model_for  # noqa: E402
from m3l.files import write_json  # noqa: E402

VIEWS = ("en", "de", "image")
TOLERANCE = 2e-3
"""Relative difference of the loss on a CPU and on a GPU, after an epoch without noise."""


def train(corpus, device: str, epochs: int, objective: str = "book", **options):
    """The history of one training, and the seconds that it took."""
    batch = 64 if objective == "zeroshot" else 32
    config = TrainConfig(epochs=epochs, batch_size=batch, device=device, kernel="plain")
    model = model_for(corpus, 100, **options)
    begun = time.perf_counter()
    history = fit(model, corpus, Objective.preset(objective), config, progress=False)
    return history, time.perf_counter() - begun


def row(what: str, corpus, device: str, epochs: int, objective: str = "book") -> dict:
    """One line of the table."""
    history, seconds = train(corpus, device, epochs, objective)
    after_first = np.diff([0.0, *(entry["seconds"] for entry in history)])[1:]
    steady = float(np.median(after_first)) if len(after_first) else seconds
    return {
        "what": what,
        "kernel": "plain",
        "tuples": len(corpus),
        "views": len(corpus.views),
        "epochs": epochs,
        "seconds": round(seconds, 2),
        "tuples_per_second": round(len(corpus) / steady),
        "loss": history[-1]["loss"],
    }


def parity(corpus, device: str) -> dict:
    """The loss after an epoch without dropout and noise, on a CPU and on the device."""
    losses = {}
    with mock.patch.object(torch, "randn_like", torch.zeros_like):
        for name in ("cpu", device):
            losses[name] = train(corpus, name, 1, dropout=0.0)[0][-1]["loss"]
    difference = abs(losses[device] / losses["cpu"] - 1)
    return {"cpu": losses["cpu"], "device": losses[device], "relative": difference}


def shared(numbers: list[int], tuples: int, epochs: int, device: str) -> list[dict]:
    """So many trainings on the device at the same time, each in a process of its own."""
    rows = []
    for number in numbers:
        command = [sys.executable, __file__, "--job", str(tuples), str(epochs), device]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
            for _ in range(number)
        ]
        for process in running:
            process.stdout.readline()  # it has warmed up
        begun = time.perf_counter()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            process.communicate()
        seconds = time.perf_counter() - begun
        rate = round(number * tuples * epochs / seconds)
        rows.append({"runs": number, "tuples_per_second": rate, "seconds": round(seconds, 2)})
    return rows


def job(tuples: int, epochs: int, device: str) -> None:
    """What `shared` starts: warm up, say so, and train when told to."""
    corpus = random_corpus(tuples, VIEWS)
    train(corpus, device, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    train(corpus, device, epochs)


def measure(tuples: int, epochs: int, device: str, numbers: list[int]) -> dict:
    """All of it, with what it was measured on."""
    whole = random_corpus(tuples, VIEWS)
    some = random_corpus(tuples, VIEWS, lacking=0.85)
    few = max(2, epochs // 20)
    rows = [
        row("a run of the paper's size", whole, device, epochs),
        row("85 % of the tuples without a picture", some, device, few),
        row("two views", whole.select(["en", "de"]), device, few),
        row("ZeroshotTM", whole.select(["en"]), device, few, "zeroshot"),
    ]
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "a CPU"
    memory = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
    return {
        "device": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "measured": datetime.date.today().isoformat(),
        "rows": rows,
        "memory_mb": round(memory),
        "parity": parity(random_corpus(min(tuples, 2000), VIEWS, lacking=0.3), device),
        "tolerance": TOLERANCE,
        "shared": shared(numbers, tuples, few, device),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", help="file to write, as data/results/gpu.json")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tuples", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job(int(options.job[0]), int(options.job[1]), options.job[2])
        return 0
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here; nothing is measured", file=sys.stderr)
        return 2
    found = measure(options.tuples, options.epochs, options.device, options.runs)
    for entry in found["rows"]:
        print(f"{entry['what']:<40}{entry['kernel']:>7}{entry['seconds']:>9.1f} s", end="")
        print(f"{entry['tuples_per_second']:>12,} tuples/s")
    for entry in found["shared"]:
        print(f"{entry['runs']} runs at once{entry['tuples_per_second']:>12,} tuples/s")
    print(f"CPU and device differ by {found['parity']['relative']:.1e} (tolerance {TOLERANCE:.0e})")
    if options.out:
        write_json(options.out, found)
    return int(found["parity"]["relative"] > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
