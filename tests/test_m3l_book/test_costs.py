"""What runs cost."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from m3l import DataError
from m3l_book.tables import costs

ROOT = Path(__file__).resolve().parents[2]


def run(name, seconds, memory, model="M3L-Contrast", teacher="", views=("en", "de")):
    params = {"corpus": "vital", "model": model, "train_views": list(views), "teacher": teacher}
    return SimpleNamespace(
        folder=SimpleNamespace(name=name),
        params=params,
        metrics={"seconds": seconds, "memory_mb": memory},
    )


RUNS = [
    run("t", 10.0, 400, "ZeroshotTM", views=["en"]),
    run("s", 20.0, 500, "ZeroshotTM-KD", "t", ["de"]),
    run("a", 25.0, 600),
    run("b", 15.0, 700),
]
SPEED = {
    "rows": [
        {
            "what": "put together as the released code is",
            "cores": 2,
            "tuples_per_second": 100.0,
            "views": 3,
        },
        {
            "what": "the step in compiled loops",
            "cores": 1,
            "tuples_per_second": 500.0,
            "views": 3,
            "kernel": "fused",
        },
        {
            "what": "the same as a job of its own",
            "cores": 1,
            "tuples_per_second": 480.0,
            "views": 3,
            "jobs": 1,
        },
        {"what": "2 jobs at once", "cores": 2, "tuples_per_second": 864.0, "views": 3, "jobs": 2},
        {
            "what": "2 of the views",
            "cores": 1,
            "tuples_per_second": 600.0,
            "views": 2,
            "kernel": "fused",
        },
        {
            "what": "1 of the views",
            "cores": 1,
            "tuples_per_second": 1000.0,
            "views": 1,
            "kernel": "fused",
        },
    ]
}


def test_costs_are_counted_by_model_whatever_its_point():
    table = costs.costs(RUNS).set_index("model")
    joint = table.loc["M3L-Contrast"]
    assert (
        joint["jobs"],
        joint["seconds a job"],
        joint["longest"],
        joint["seconds together"],
        joint["memory (MiB)"],
    ) == (2, 20.0, 25.0, 40.0, 700)


def test_the_longest_chain_is_a_teacher_and_its_student():
    assert costs.total(RUNS) == {"jobs": 4, "hours": 70 / 3600, "chain": 30.0}


def test_speed_is_a_ratio_to_the_first_row_and_efficiency_to_as_many_single_jobs():
    table = costs.speed_table(SPEED)
    assert list(table["ratio"]) == [1.0, 5.0, 4.8, 8.64]
    assert list(costs.efficiency(SPEED)["efficiency"]) == [1.0, 0.9]
    with pytest.raises(DataError, match="no measurement of one job alone"):
        costs.efficiency({"rows": SPEED["rows"][:2]})


def test_gpu_memory_counts_the_model_that_is_built():
    from m3l import M3L, ViewSpec

    model = M3L([ViewSpec("en", 16, 40), ViewSpec("image", 24)], topics=10)
    learnt = sum(
        p.numel()
        for name, p in model.named_parameters()
        if p.requires_grad and "bias" not in name and "prior" not in name
    )
    actual = costs.gpu_memory(1000, [16, 24], [40], 10)
    assert actual["model"] == pytest.approx(learnt * 16 / 2**20) and actual[
        "data"
    ] == pytest.approx(1000 * 80 * 4 / 2**20)


def test_the_papers_grid_is_counted_whole():
    table = costs.paper_grid(ROOT / "data/paper/grid.csv", SPEED, 20000, 100)
    # Tables 1 and 2: 1 + 2 + 4 + 2; two more topic numbers of all; three more batch sizes twice;
    # four more encoder rows
    assert table["runs a seed"].sum() == 9 + 2 * 9 + 6 + 4
    assert table[table["model"] == "M3L-Contrast"].iloc[0]["core-hours here"] == pytest.approx(
        2e6 / 600 / 3600
    )
    assert np.isnan(table[table["model"] == "PLTM"]["core-hours here"]).all()
    text = costs.paper_sum(table, 5)
    assert "**37 runs a seed**, 185 with 5 seeds" in text


def test_a_broken_grid_is_named_by_its_line(tmp_path):
    (tmp_path / "g.csv").write_text("section,what,model,trained_views,runs\n5,x,PLTM,2,one\n")
    with pytest.raises(DataError, match="line 2: trained_views '2', runs 'one'"):
        costs.paper_grid(tmp_path / "g.csv", SPEED, 10, 1)
    with pytest.raises(DataError, match="no such file"):
        costs.paper_grid(tmp_path / "none.csv", SPEED, 10, 1)
