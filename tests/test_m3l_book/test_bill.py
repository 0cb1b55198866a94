"""What the paper's experiment costs, reckoned from what was measured."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from m3l import DataError
from m3l.files import read_json
from m3l_book.tables import bill, costs

ROOT = Path(__file__).resolve().parents[2]
SPEED = {
    "rows": [
        {"views": views, "kernel": "fused", "tuples_per_second": 600.0, "what": ""}
        for views in (1, 2, 3)
    ]
}
SCALE = {
    "machine": "a machine",
    "parsers": [
        {"what": "XML", "megabytes": 1000, "mb_per_second": 100.0, "peak_mb": 90},
        {"what": "TSV", "megabytes": 1000, "mb_per_second": 50.0, "peak_mb": 90},
    ],
    "distances": [
        {"what": "1,000 × 3,278", "seconds": 0.5},
        {"what": "20,000 × 20,000", "seconds": 40.0},
        {"what": "five nearest of 20,000 in 20,000, both ways", "seconds": 60.0},
    ],
    "encoders": [
        {"what": "small", "items_per_second": 80.0, "parameters_a_token": 42.5e6},
        {"what": "other", "items_per_second": 1.0},
    ],
}
GPU = {
    "device": "a card",
    "torch": "2.13",
    "measured": "2026-01-01",
    "memory_mb": 900,
    "tolerance": 2e-3,
    "parity": {"relative": 1e-5},
    "rows": [
        {"what": "a run", "kernel": "plain", "views": 3, "epochs": 100, "seconds": 10.0}
        | {"tuples_per_second": 200_000},
        {"what": "without a picture", "kernel": "plain", "views": 3, "epochs": 5, "seconds": 1.0}
        | {"tuples_per_second": 9},
        *(
            {"what": "fewer", "kernel": "plain", "views": v, "epochs": 5, "seconds": 1.0}
            | {"tuples_per_second": 400_000}
            for v in (1, 2)
        ),
    ],
}


@pytest.fixture(scope="module")
def grid():
    return costs.paper_grid(ROOT / "data/paper/grid.csv", SPEED, 20000, 100)


def test_speed_goes_with_weights_and_tokens():
    text = bill.items_a_second(SCALE, "paraphrase-multilingual-mpnet-base-v2")
    assert text == pytest.approx(80 * 42.5 / (12 * 12 * 768**2 / 1e6))
    assert bill.items_a_second(SCALE, "clip-ViT-B-32") == pytest.approx(text * 128 / 50)
    with pytest.raises(DataError, match="no encoder of known size"):
        bill.items_a_second({"encoders": SCALE["encoders"][1:]}, "clip-ViT-B-32")


def test_bill_has_a_line_a_step_and_says_nothing_of_a_gpu_that_was_not_measured(grid):
    table = bill.bill(grid, SCALE, {}, 5, 20_000, 42_000, 23_278)
    assert len(table) == 4 and table["hours, a GPU"].isna().sum() == 3
    training = table.set_index("step").loc["training, neural models"]
    hours = grid["core-hours here"].sum() * 5 / 2
    assert training["hours, 2 cores"] == pytest.approx(hours)
    assert training["hours, 16 machines"] == pytest.approx(hours / 16)
    reading = table.iloc[0]["hours, 2 cores"]
    assert reading == pytest.approx((1000 / 100 + 1000 / 50) / 3600)


def test_bill_takes_the_speed_that_a_gpu_had(grid):
    neural = grid[grid["model"] != "PLTM"]
    rates = neural["views"].map({1: 4e5, 2: 4e5, 3: 2e5})
    hours = float((neural["runs a seed"] * 20_000 * 100 / rates).sum()) / 3600
    assert bill.gpu_hours(grid, GPU, 20_000) == pytest.approx(hours)
    table = bill.bill(grid, SCALE, GPU, 5, 20_000, 42_000, 23_278).set_index("step")
    assert table.loc["training, neural models", "hours, a GPU"] == pytest.approx(5 * hours)
    assert "a card" in bill.gpu_line(GPU) and "1e-05" in bill.gpu_line(GPU)
    assert bill.gpu_table(GPU)["tuples a second"].tolist() == [200_000, 9, 400_000, 400_000]


def test_that_no_gpu_was_measured_is_said():
    assert bill.gpu_line({}).startswith("**No GPU was measured yet.**")
    assert bill.read_measured(ROOT / "none.json") == {}


def test_what_lies_beyond_grows_as_it_must():
    one, two = (bill.beyond(SCALE, 1_000_000, languages) for languages in (2, 4))
    for key in ("documents", "encode_days", "embeddings", "dense", "sparse"):
        assert two[key] == pytest.approx(2 * one[key])
    assert two["distances"] == one["distances"] == pytest.approx(40 / 4e8 * 1e12 / 86400)
    assert one["dense"] == pytest.approx(16.0) and one["sparse"] < one["dense"]


def test_what_is_kept_of_scale_meets_what_is_promised_of_the_parsers():
    kept = read_json(ROOT / "data" / "results" / "scale.json")
    assert kept["machine"] and len(kept["parsers"]) == 4
    for row in kept["parsers"]:
        assert row["megabytes"] >= 1000 and row["found"] > 0 and not row["broken"]
        assert row["mb_per_second"] >= 50 and row["peak_mb"] < 500
    nearest = next(row for row in kept["distances"] if row["what"].startswith("five nearest"))
    assert nearest["seconds"] < 60, "of three views are three such pairs"


@pytest.mark.thorough
def test_the_script_runs_on_small_inputs(tmp_path):
    small = ["--device", "cpu", "--tuples", "128", "--epochs", "2", "--runs", "1"]
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", tmp_path / "gpu.json", *small]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(read_json(tmp_path / "gpu.json")["shared"]) == 1


def test_the_bill_reads_what_the_script_measures(monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])  # the script adds to it
    gpu = runpy.run_path(str(ROOT / "benchmarks" / "gpu.py"))
    found = gpu["measure"](128, 2, "cpu", [])
    assert found["parity"]["relative"] < found["tolerance"] and len(found["rows"]) == 4
    assert all(np.isfinite(row["loss"]) for row in found["rows"])
    assert len(bill.gpu_table(found)) == 4 and bill.gpu_line(found)
