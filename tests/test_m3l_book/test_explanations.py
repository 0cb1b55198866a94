"""Why models come out in the order that they do: tables and sentences that follow the numbers."""

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record
from support import make_corpus

from m3l import DataError
from m3l.metrics.assessment import evaluate
from m3l_book.claims.reading import read_numbers
from m3l_book.recorded import Recorded
from m3l_book.records.selection import runs_of_texts
from m3l_book.tables import explanations


@pytest.fixture(scope="module")
def part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def run(part, model, trained, encoders=VIEWS, variant=None, seed=0, quality=3.0):
    made = record(part, model, list(trained), list(encoders), seed, quality=quality)
    made.params |= {"variant": variant or {}}
    made.metrics["validation"] = evaluate(made.theta, part)
    made.metrics["training_tuples"] = 5000
    return made


@pytest.fixture(scope="module")
def runs(part):
    texts = ["en", "fr"]
    return [
        run(part, "ZeroshotTM", ["en"], quality=4.0),
        run(part, "ZeroshotTM", ["fr"], quality=1.0),
        run(part, "ZeroshotTM", ["en"], variant={"articles": 500}, quality=3.0),
        run(part, "M3L-Contrast", texts, texts, quality=2.0),
        run(part, "M3L-Contrast", VIEWS, quality=9.0),
        run(part, "PLTM", texts, texts, quality=5.0),
        run(part, "PLTM", texts, texts, variant={"sweeps": 100}, quality=2.5),
        run(part, "PLTM", texts, texts, variant={"sweeps": 2000}, quality=2.6),
        run(part, "PLTM", texts, texts, variant={"articles": 500}, quality=0.5),
    ]


@pytest.fixture(scope="module")
def rows(runs):
    return explanations.between_languages(runs, Recorded(), "small")


def score(run):
    return next(r["score"] for r in run.metrics["validation"] if r["query"] == "en")


def test_only_the_models_of_table_1_are_compared_from_the_first_language_to_the_second(rows, runs):
    found = {(r.model, r.variant): r.score for r in rows.itertuples()}
    assert len(rows) == 7, "no other language's ZeroshotTM, no model of pictures"
    assert found["ZeroshotTM", ""] == score(runs[0]) and found["PLTM", ""] == score(runs[5])
    assert found["M3L-Contrast", ""] == score(runs[3])


def test_recorded_scores_stand_beside_those_of_this_build(runs, tmp_path):
    about = {"run": ["p"], "corpus": ["small"], "model": ["PLTM"], "variant": [""], "seed": [1]}
    about |= {"tuples": [6000], "changes": ["{}"], "reads": ["en fr"], "npmi": [0.1]}
    pd.DataFrame({**about, "views": ["en fr"]}).to_csv(tmp_path / "runs.csv", index=False)
    where = {"run": ["p"] * 2, "part": ["validation", "test"], "query": ["en"] * 2}
    where |= {"item": ["fr"] * 2, "metric": ["MRR"] * 2, "score": [0.125, 0.9]}
    pd.DataFrame({**where, "jsd": [0.1] * 2, "chance": [0.1] * 2}).to_csv(
        tmp_path / "scores.csv", index=False
    )
    both = explanations.between_languages(runs, Recorded(tmp_path, {}, {}), "small")
    kept = both[both["source"] == explanations.RECORDED]
    assert list(kept["score"]) == [0.125] and list(kept["variant"]) == [""]
    assert list(explanations.best_known(both[both["model"] == "PLTM"])["score"]) == [0.125]
    table = explanations.by_variant(both, "PLTM", ["sweeps"])
    assert table["recorded"].tolist() == ["0.125", "–", "–"]
    assert table["this build"].tolist()[0] == f"{score(runs[5]):.3f}"


def test_models_as_they_are_stand_beside_the_papers_numbers(rows, runs):
    table = explanations.as_they_are(rows, read_numbers("data/paper/numbers.csv"))
    assert table["paper"].tolist() == ["0.997", "0.684", "0.333"]
    assert table["model"].tolist() == list(explanations.PAPER_ORDER)
    assert table["this build"].tolist()[2] == f"{score(runs[5]):.3f}"


def test_variants_stand_in_the_order_of_their_values(rows):
    table = explanations.by_variant(rows, "PLTM", ["sweeps", "articles"])
    expected = ["as in the main tables", "articles 500", "sweeps 100", "sweeps 2000"]
    assert table["PLTM"].tolist() == expected and "recorded" not in table
    assert explanations.by_variant(rows, "PLTM", [])["PLTM"].tolist() == expected[:1]


def test_orders_compare_what_was_trained_in_the_same_setting(rows, runs):
    table = explanations.orders(rows).set_index("setting")
    assert list(table.index) == ["as in the main tables", "articles 500"]
    assert table["the paper's order"].tolist() == ["no", "–"]
    assert np.isnan(table.loc["articles 500", "M3L-Contrast"])
    text = explanations.when_the_order_appears(explanations.orders(rows))
    assert "appears in none of 1 in which all three were trained" in text
    assert text.endswith("ZeroshotTM is before PLTM in 1 of 2: articles 500.")


def test_a_curve_has_the_model_as_it_is_at_its_end(rows, runs):
    table = explanations.along(rows, "articles", "a panel")
    assert set(table["model"]) == {"ZeroshotTM", "PLTM"}
    points = {(r.model, r.x): r.score for r in table.itertuples()}
    assert points["PLTM", 5000] == score(runs[5]) and points["PLTM", 500] == score(runs[8])
    assert len(points) == 4 and not len(explanations.along(rows, "words", "a panel", 1.0))


def test_findings_follow_the_numbers(rows, runs):
    ways = {"20 samples": [0.41], "the mean of z": [0.43]}
    text = explanations.findings(rows, ways, {"one state": [0.02, 0.04]})
    of_sampler = [score(r) for r in runs[5:8]]
    assert f"between {min(of_sampler):.3f} and {max(of_sampler):.3f}" in text
    assert f"articles 500 instead of all: ZeroshotTM from {score(runs[0]):.3f}" in text
    assert f"PLTM from {score(runs[5]):.3f} to {score(runs[8]):.3f}" in text
    assert "the best of 2 ways, a ZeroshotTM scores 0.430; by 20 samples, 0.410" in text
    assert "Read off one state, PLTM scores 0.030" in text
    assert "the order is the paper's" in text
    better = explanations.findings(rows, {}, {"one state": [2.0]})
    assert "not the paper's" in better
    assert explanations.findings(rows.iloc[:0], {}, {}) == ""


def test_ways_of_inference_stand_with_their_spread():
    table = explanations.budgets({"PLTM": {"one state": [0.1, 0.3], "100 sweeps": [0.5]}})
    assert table["score"].tolist() == ["0.200 ± 0.141", "0.500"]
    assert table["inference"].tolist() == ["one state", "100 sweeps"]


def test_a_score_of_one_direction_is_that_of_the_whole_evaluation(part, runs):
    theta = {view: runs[0].theta[view] for view in ("en", "fr")}
    assert explanations.retrieved(part, theta) == pytest.approx(score(runs[0]))


def test_the_runs_are_those_of_the_main_tables_and_its_absence_is_said(runs):
    assert runs_of_texts(runs, "small", "PLTM") == [runs[5]]
    assert runs_of_texts(runs, "small", "ZeroshotTM", "fr") == [runs[1]]
    with pytest.raises(DataError, match="no run of PLTM of texts alone is there"):
        runs_of_texts(runs[:2], "small", "PLTM")
