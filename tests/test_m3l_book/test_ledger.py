"""The ledger of paper and code: what it names is there, and its effects are those of the record."""

import csv
import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import scipy.stats
import yaml
from book_support import VIEWS, record, run_page
from support import make_corpus

from m3l import model_for
from m3l.metrics.assessment import evaluate
from m3l_book.records import planning
from m3l_book.records.collection import Collection

ROOT = Path(__file__).resolve().parents[2]
with open(ROOT / "data" / "paper" / "ledger.csv", encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file))


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def page_of(collection, **parameters):
    with patch.object(Collection, "load", lambda *_: collection):
        return run_page("ledger", **parameters)


@pytest.mark.parametrize("row", ROWS, ids=[row["choice"] for row in ROWS])
def test_a_row_names_a_test_that_is_there_and_an_effect_or_runs_that_measure_it(row):
    path, _, name = row["test"].partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")
    assert bool(row["changes"]) != bool(row["effect"])
    assert all(row[key] for key in ("area", "choice", "section", "paper", "code", "where", "book"))
    profile = yaml.safe_load((ROOT / "workflow/profiles/full.yaml").read_text(encoding="utf-8"))
    planned = [run.get("variant", {}) for run in planning.make_plan(profile).runs.values()]
    named = [{what: str(value) for what, value in variant.items()} for variant in planned]
    assert not row["changes"] or json.loads(row["changes"]) in named


def test_effects_are_differences_of_validation_scores_with_welchs_interval():
    with open(ROOT / "data/results/full/runs.csv", encoding="utf-8", newline="") as file:
        runs = {row["run"]: row for row in csv.DictReader(file)}
    with open(ROOT / "data/results/full/scores.csv", encoding="utf-8", newline="") as file:
        scores = [runs[row["run"]] | row for row in csv.DictReader(file)]
    own = [
        row
        for row in scores
        if (row["part"], row["model"], row["views"])
        == ("validation", "M3L-Contrast", "en fr image")
        and (row["corpus"], row["query"], row["item"]) == ("vital", "en", "fr")
    ]
    dot, usual = (
        [float(row["score"]) for row in own if row["changes"] == changes]
        for changes in ('{"similarity": "dot product"}', "{}")
    )
    low, high = scipy.stats.ttest_ind(dot, usual, equal_var=False).confidence_interval()
    page = page_of(Collection([], "data"))
    table = page.table("What a choice changes, the largest first").set_index("choice")
    by = np.mean(dot) - np.mean(usual)
    assert by == pytest.approx((low + high) / 2)
    cell = table.loc["similarity", "vital MRR en → fr"]
    assert cell == f"{by:+.3f} ± {(high - low) / 2:.3f}"
    assert set(table.index) == {row["choice"] for row in ROWS if row["changes"]}
    first = table["vital MRR en → fr"].str.split(" ").str[0].astype(float).abs()
    assert first.is_monotonic_decreasing or table.columns[0] != "vital MRR en → fr"
    moved = page.said.split("by their interval**: ")[1]
    assert "hidden layers" in moved and "batch size in the divergence" not in moved
    other = page.table("What a choice changes, of those that no run").set_index("choice")
    assert other.loc["temperature", "what it changes"].startswith("Nothing")
    shown = [t for name, t in page.tables.items() if name.startswith("Paper and code")]
    assert sum(len(t) for t in shown) == len(ROWS) == len(page.table("What holds"))


def test_a_build_that_records_nothing_shows_its_own_runs():
    part, runs = make_corpus(n=60, views=VIEWS, split=["test"] * 60), []
    for seed in range(3):
        for changes, quality in (({}, 3.0), ({"similarity": "dot product"}, 0.5)):
            made = record(
                part, "M3L-Contrast", list(VIEWS), seed=seed, quality=quality, variant=changes
            )
            made.metrics["validation"] = evaluate(made.theta, part)
            runs.append(made)
    collection = Collection(runs, "data")
    collection.widest, collection.cards = {}, {}
    collection.roles = {"small": dict.fromkeys(VIEWS, "")}
    page = page_of(collection, recorded="")
    table = page.table("What a choice changes, the largest first").set_index("choice")
    assert table.loc["similarity", "small MRR en → fr"].startswith("-0.")
    assert table.loc["negatives", "small MRR en → fr"] == "–"


def test_noise_that_partners_share_makes_them_alike():
    corpus = make_corpus(n=60, views=("en", "de"), split=["validation"] * 60)
    model = model_for(corpus, 20, seed=3).eval()
    page = page_of(Collection([], "data"))
    asked = model, corpus, ["en", "de"], ["en", "de"]
    own, same = (page["mrr_of"](*asked, 1, same=same) for same in (False, True))
    assert own < 0.2 and same > 2 * own, "no network was trained, so that only noise is alike"


def test_ranking_topics_in_place_of_documents_loses_partners_that_are_equal():
    page = page_of(Collection([], "data"))
    assert [page["rank_of"](n, "documents") for n in range(5)] == [1] * 5
    assert np.mean([1 / page["rank_of"](n, "topics") for n in range(30)]) < 0.3
