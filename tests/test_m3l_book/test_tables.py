"""Tables and verdicts: what is shown is what was recorded."""

import re
from html import escape

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record
from support import make_corpus

from m3l import DataError
from m3l.errors import ParameterError
from m3l.metrics.assessment import aligned_pairs
from m3l_book.claims import judging, reading
from m3l_book.claims.paper import paper_lookup
from m3l_book.claims.sensitivity import Change
from m3l_book.record_check import Cell
from m3l_book.recorded import of_runs
from m3l_book.records import results, selection
from m3l_book.records.collection import Collection
from m3l_book.tables import error_analysis, main_results
from m3l_book.tables import verdicts as verdict_tables
from m3l_book.variants import Contender


@pytest.fixture(scope="module")
def test_part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


@pytest.fixture(scope="module")
def runs(test_part):
    actual = []
    for seed in (0, 1, 2):
        for a, b in (("en", "fr"), ("fr", "en")):
            actual.append(record(test_part, "ZeroshotTM", [a], seed=seed, quality=6.0))
            actual.append(
                record(
                    test_part,
                    "ZeroshotTM-KD",
                    [b],
                    [a, b],
                    seed,
                    teacher=f"ZeroshotTM-{a}-s{seed}",
                    quality=1.0,
                )
            )
            actual.append(
                record(
                    test_part,
                    "ZeroshotTM-KD",
                    ["image"],
                    [a, "image"],
                    seed,
                    teacher=f"ZeroshotTM-{a}-s{seed}",
                    quality=0.5,
                )
            )
        actual.append(
            record(test_part, "M3L-Contrast", ["en", "fr"], ["en", "fr"], seed, quality=2.0)
        )
        actual.append(record(test_part, "M3L-Contrast", list(VIEWS), seed=seed, quality=2.0))
        actual.append(record(test_part, "PLTM", ["en", "fr"], ["en", "fr"], seed, quality=0.3))
    return actual


@pytest.fixture(scope="module")
def tests(test_part, runs):
    return {selection.corpus_of(run): test_part.select(list(run.theta)) for run in runs}


def test_home_is_the_language_a_model_or_its_teacher_was_trained_on(runs):
    homes = {
        (r.params["model"], tuple(r.params["train_views"]), tuple(r.theta)): selection.home_of(r)
        for r in runs
    }
    assert homes["ZeroshotTM", ("en",), VIEWS] == "en"
    assert (
        homes["ZeroshotTM-KD", ("fr",), ("en", "fr")] == "en"
        and homes["ZeroshotTM-KD", ("image",), ("fr", "image")] == "fr"
    )
    assert (
        homes["M3L-Contrast", VIEWS, VIEWS] == ""
        and homes["PLTM", ("en", "fr"), ("en", "fr")] == ""
    )


def test_each_direction_is_answered_by_the_model_of_the_texts_own_language(runs):
    table = results.as_in_the_paper(results.scores(runs))
    for (model, query, item), rows in table.groupby(["model", "query", "item"]):
        language = query if query != "image" else item
        assert len(rows) == 3 and set(rows["home"]) <= {"", language}, (model, query, item)
        assert set(rows["setting"]) <= {
            "",
            "multimodal" if "image" in (query, item) else "multilingual",
        }
    joint = results.as_in_the_paper(results.scores(runs), "multimodal")
    assert set(joint[joint["model"] == "M3L-Contrast"]["setting"]) == {"multimodal"}


def test_where_there_is_no_such_run_the_others_stand_in(runs):
    only = [
        r
        for r in runs
        if r.params["train_views"] in (["en"], list(VIEWS))
        and r.params["model"] in ("ZeroshotTM", "M3L-Contrast")
    ]
    table = results.as_in_the_paper(results.scores(only))
    rows = table[(table["query"] == "fr") & (table["item"] == "en")]
    assert set(rows[rows["model"] == "ZeroshotTM"]["home"]) == {"en"} and set(
        rows[rows["model"] == "M3L-Contrast"]["setting"]
    ) == {"multimodal"}


def measured(runs, tests):
    return results.measurements(runs, tests, results.raw_scores(tests))


def test_measurements_are_the_values_of_the_records(runs, tests, test_part):
    actual = measured(runs, tests)
    chosen = [r for r in runs if r.params["model"] == "M3L-Contrast" and "image" in r.theta]
    row = [
        next(s for s in r.metrics["scores"] if (s["query"], s["item"]) == ("fr", "image"))
        for r in chosen
    ]
    np.testing.assert_array_equal(
        actual["small", "multimodal", "UAP", "de-image", Contender("M3L-Contrast")].values,
        [s["values"] for s in row],
    )
    np.testing.assert_array_equal(
        actual["small", "multimodal", "JSD", "de-image", Contender("M3L-Contrast")].values,
        [s["divergences"] for s in row],
    )
    a, b = aligned_pairs(test_part, "fr", "image")
    same = [r.theta["fr"].argmax(1)[a] == r.theta["image"].argmax(1)[b] for r in chosen]
    np.testing.assert_array_equal(
        actual[
            "small", "multimodal", "same top topic", "de-image", Contender("M3L-Contrast")
        ].values,
        same,
    )
    raw = actual["small", "multilingual", "MRR", "en-de", Contender("raw embeddings")]
    assert raw.values.shape == (1, 60) and not raw.trained
    assert ("small", "multilingual", "UAP", "en-image", Contender("ZeroshotTM")) not in actual
    # the coherence of a student is that of the language it learnt: the one taught by the other
    student = [
        r
        for r in runs
        if r.params["model"] == "ZeroshotTM-KD" and r.params["train_views"] == ["fr"]
    ]
    np.testing.assert_array_equal(
        actual["small", "multilingual", "NPMI", "de", Contender("ZeroshotTM-KD")].values,
        [r.metrics["npmi_of_topics"]["fr"] for r in student],
    )


def numbers_in(html):
    return re.findall(r"-?\d+\.\d{3}", html)


@pytest.fixture(scope="module")
def collection(runs, tests):
    collection = Collection(runs, "data")
    collection.tests = tests
    collection.cards = {"small": {"hashes": {"tuples": "x"}}}
    return collection


@pytest.fixture(scope="module")
def found(collection):
    return of_runs(collection)


def paper_table(found, collection, setting, cells=None):
    numbers = reading.read_numbers("data/paper/numbers.csv")
    raw = collection.raw
    return main_results.paper_table(found, "small", setting, numbers, raw, cells).data.T


def test_table_1_shows_the_records_and_the_papers_numbers(runs, found, collection):
    table = results.scores(runs)
    frame = paper_table(found, collection, "multilingual")
    assert list(frame.index) == [
        "PLTM",
        "ZeroshotTM",
        "ZeroshotTM-KD",
        "M3L-Contrast",
        "raw<br>embeddings",
        "chance",
    ]
    assert list(frame.columns) == [
        "NPMI en",
        "NPMI fr",
        "MRR en → fr",
        "JSD en – fr",
        "MRR fr → en",
        "seconds",
    ]
    main = results.as_in_the_paper(table, "multilingual")
    for model, paper in (
        ("PLTM", "0.333"),
        ("ZeroshotTM", "0.997"),
        ("ZeroshotTM-KD", "0.390"),
        ("M3L-Contrast", "0.684"),
    ):
        rows = main[(main["model"] == model) & (main["direction"] == "en → fr")]
        cell = frame.loc[model, "MRR en → fr"]
        assert (
            cell.startswith(f"<b>{rows['score'].mean():.3f}</b> ± {rows['score'].std():.3f}")
            and f"<i>paper {paper}</i>" in cell
        )
        low, high = map(float, numbers_in(cell)[2:4])
        assert low <= rows["score"].mean() <= high
        back = main[(main["model"] == model) & (main["direction"] == "fr → en")]
        assert (
            f"<b>{back['score'].mean():.3f}</b>" in frame.loc[model, "MRR fr → en"]
            and "paper" not in frame.loc[model, "MRR fr → en"]
        )
    assert (
        frame.loc["ZeroshotTM", "seconds"] == "11" and frame.loc["ZeroshotTM-KD", "seconds"] == "22"
    ), "a student's seconds are with its teacher's"
    assert "paper 0.064" in frame.loc["PLTM", "NPMI en"] and frame.loc["chance", "NPMI en"] == "–"


def test_a_cell_says_whether_another_seed_might_have_given_what_a_build_has(found, collection):
    key = "small", "multilingual", "MRR", "en-de", Contender("ZeroshotTM")
    other = "small", "multilingual", "MRR", "en-de", Contender("PLTM")
    cells = {key: Cell(0.5, 0.4, 0.6), other: Cell(0.7, 0.4, 0.6)}
    frame = paper_table(found, collection, "multilingual", cells)
    assert "here 0.500 ✔" in frame.loc["ZeroshotTM", "MRR en → fr"]
    assert "here 0.700 <b>✘ outside</b>" in frame.loc["PLTM", "MRR en → fr"]
    assert "here" not in frame.loc["M3L-Contrast", "MRR en → fr"]


def test_table_2_has_pictures_and_both_directions(found, collection):
    frame = paper_table(found, collection, "multimodal")
    assert list(frame.index)[:3] == ["ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"]
    assert {
        "UAP en → image",
        "JSD en – image",
        "UAP fr → image",
        "UAP image → en",
        "UAP image → fr",
    } <= set(frame.columns)
    assert (
        "paper 0.093" in frame.loc["ZeroshotTM-KD", "UAP fr → image"]
        and "paper 0.122" in frame.loc["M3L-Contrast", "NPMI en"]
    )


@pytest.fixture(scope="module")
def verdicts(runs, tests):
    find = paper_lookup(reading.read_numbers("data/paper/numbers.csv"))
    return [
        judging.judge(c, measured(runs, tests), find)
        for c in reading.read_claims("data/paper/claims.csv")
    ]


def test_every_claim_has_a_row_with_its_rule_and_the_measured_numbers(verdicts, runs, tests):
    names = selection.roles_by_corpus(tests)
    frame = verdict_tables.verdict_table(verdicts, names).data
    assert len(frame) == len(reading.read_claims("data/paper/claims.csv")) and list(
        frame.columns
    ) == ["claim", "paper", "verdict"]
    for (_, row), v in zip(frame.iterrows(), verdicts, strict=True):
        assert (
            escape(v.claim.claim) in row["claim"]
            and f"Rule: {escape(v.claim.rule)}<" in row["claim"]
            and escape(v.claim.remark([])) in row["verdict"]
        )
        words = reading.STANDINGS[v.claim.standing] or v.verdict
        assert f">{words}<" in row["verdict"]
        shown = numbers_in(row["verdict"])
        assert sorted(shown) == sorted(f"{mean:.3f}" for mean in v.means.values()), v.claim.id
        assert sorted(numbers_in(row["paper"])) == sorted(
            f"{x:.3f}" for x in v.paper_means.values()
        )
    by = {v.claim.id: v for v in verdicts}
    assert by["zeroshot-wins-text"].verdict == "replicates", "the generated records were made so"
    assert (
        by["m3l-beats-pltm"].verdict == "replicates" and by["m3l-wins-image"].verdict == "differs"
    )
    assert (
        by["topics-25-text"].verdict == "not measured"
        and "its runs are not there"
        in frame["verdict"].iloc[[v.claim.id for v in verdicts].index("topics-25-text")]
    )


def test_what_would_change_a_verdict_stands_in_a_column_of_its_own(verdicts, tests):
    names = selection.roles_by_corpus(tests)
    changes = {"m3l-beats-pltm": [Change("floor <-4>", {"small": "differs"})]}
    frame = verdict_tables.verdict_table(verdicts, names, changes).data
    shown = dict(zip([v.claim.id for v in verdicts], frame["would change it"], strict=True))
    assert shown["m3l-beats-pltm"] == "floor &lt;-4&gt;: differs on small"
    assert set(shown.values()) == {"–", shown["m3l-beats-pltm"]}
    nothing = {v.claim.id: [] for v in verdicts}
    assert "would change it" not in verdict_tables.verdict_table(verdicts, names, nothing).data


def test_the_summary_counts_the_verdicts(verdicts, tests):
    text = verdict_tables.summary(verdicts, selection.roles_by_corpus(tests))
    outcomes = [v.verdict for v in verdicts]
    aside = outcomes.count("not testable") + outcomes.count("not counted")
    tested = len(outcomes) - outcomes.count("not measured") - aside
    assert (
        f"Of {tested} claims" in text
        and f"<b>{outcomes.count('replicates')}</b> replicate" in text
        and f"<b>{outcomes.count('differs')}</b> differ" in text
        and f"{aside} are shown and not counted" in text
        and f"Another {outcomes.count('not measured')} wait" in text
    )


def test_every_comparison_is_listed_with_its_interval(verdicts, tests):
    frame = verdict_tables.case_table(verdicts, selection.roles_by_corpus(tests)).data
    assert len(frame) == sum(len(v.cases) for v in verdicts) and set(frame["right"]) <= {
        "yes",
        "no",
        "undecided",
    }
    assert {"ZeroshotTM − PLTM", "− ZeroshotTM + PLTM"} <= {
        x.removeprefix("+ ") for x in frame["above zero if right"]
    }


def test_variants_stand_after_the_model_they_vary(test_part):
    runs = [
        record(test_part, "PLTM", ["en", "fr"], ["en", "fr"]),
        record(
            test_part,
            "PLTM",
            ["en", "fr"],
            ["en", "fr"],
            quality=1.0,
            variant={"priors": "optimised"},
        ),
    ]
    table = main_results.variants(results.scores(runs))
    assert (
        list(table["model"])[:2] == ["PLTM", "PLTM (priors optimised)"]
        and list(table["seeds"]) == [1] * 4
    )
    assert len(main_results.variants(results.scores(runs[:1]))) == 0


def test_other_homes_are_those_the_tables_left_out(runs):
    table = main_results.other_homes(results.scores(runs))
    row = table[(table["from → to"] == "en → fr") & (table["model"] == "ZeroshotTM, fr")].iloc[0]
    scores = results.scores(runs)
    rows = scores[(scores["direction"] == "en → fr") & (scores["model"] == "ZeroshotTM")]
    assert row["score"] == pytest.approx(rows[rows["home"] == "fr"]["score"].mean()) and row[
        "in the tables"
    ] == pytest.approx(rows[rows["home"] == "en"]["score"].mean())


# topics, one by one


def test_agreement_is_one_for_topics_that_are_the_labels_and_near_zero_for_chance():
    labels = np.random.default_rng(0).integers(4, size=800)
    assert error_analysis.agreement(np.eye(4)[(labels + 1) % 4], labels) == {
        "nmi": pytest.approx(1),
        "purity": 1.0,
    }
    noise = error_analysis.agreement(
        np.eye(4)[np.random.default_rng(1).integers(4, size=800)], labels
    )
    assert noise["nmi"] < 0.02 and 0.2 < noise["purity"] < 0.4
    # by hand: topics {a, a, b} and {b}: 3 of 4 are of their topic's most frequent label
    assert (
        error_analysis.agreement(np.eye(2)[[0, 0, 0, 1]], np.array(["a", "a", "b", "b"]))["purity"]
        == 0.75
    )
    with pytest.raises(DataError, match="4 items and 3 labels"):
        error_analysis.agreement(np.eye(4), labels[:3])


def test_junk_topics_are_told_by_their_fault(test_part):
    run = record(
        test_part,
        "M3L-Contrast",
        ["en", "fr"],
        ["en", "fr"],
        npmi=np.array([0.3, -0.1, 0.2, 0.1, 0.1, 0.1]),
    )
    run.theta = {v: np.tile([0.4, 0.25, 0.2, 0.1, 0.05, 0.0], (60, 1)) for v in ("en", "fr")}
    for v in ("en", "fr"):
        run.theta[v][:10] = np.eye(6)[2]
        run.theta[v][10:20] = np.eye(6)[1]
        run.theta[v][20:25] = np.eye(6)[3]
        run.topics[v][3] = [*run.topics[v][0][:7], "x", "y", "z"]  # 7 of 13 words in common
    faults = {row["topic"]: row["junk"] for row in error_analysis.topic_faults(run)}
    assert faults == {0: "", 1: "incoherent", 2: "", 3: "repeated: 0", 4: "unused", 5: "unused"}


def test_the_worst_tuples_are_those_farthest_apart_and_chosen_ones_are_found(test_part):
    run = record(test_part, "M3L-Contrast", list(VIEWS))
    worst = error_analysis.choose_tuples(run, test_part, "en", "image", 3, "worst")
    rows = next(s for s in run.metrics["scores"] if (s["query"], s["item"]) == ("en", "image"))
    assert worst == np.argsort(-rows["divergences"], kind="stable")[:3].tolist()
    drawn = error_analysis.choose_tuples(run, test_part, "en", "fr", 5, "random", seed=1)
    assert len(set(drawn)) == 5 and drawn == error_analysis.choose_tuples(
        run, test_part, "en", "fr", 5, "random", seed=1
    )
    assert error_analysis.find_tuples(test_part, ["t7", "t3"]) == [7, 3]
    with pytest.raises(DataError, match="no test tuple or article is called 'nowhere'"):
        error_analysis.find_tuples(test_part, ["nowhere"])
    with pytest.raises(ParameterError, match="random, worst"):
        error_analysis.choose_tuples(run, test_part, "en", "fr", 1, "best")


def test_a_reading_shows_each_views_top_topic_in_every_language(runs, test_part):
    chosen = selection.comparable(
        runs, "small", [Contender(model) for model in selection.PAPER_MODELS], 0
    )
    assert [r.params["model"] for r in chosen] == [
        "PLTM",
        "ZeroshotTM",
        "ZeroshotTM",
        *["ZeroshotTM-KD"] * 4,
        "M3L-Contrast",
    ]
    assert list(chosen[-1].theta) == list(VIEWS), "of the joint models the one with pictures"
    frame = error_analysis.reading(chosen, test_part, 5).data
    assert (
        isinstance(frame, pd.DataFrame)
        and list(frame.columns) == ["model", *VIEWS]
        and len(frame) == len(chosen)
    )
    k = int(chosen[-1].theta["image"][5].argmax())
    assert (
        frame["image"].iloc[-1].startswith(f"<b>{k}</b>")
        and f"fr{10 * k}" in frame["image"].iloc[-1]
        and f"en{10 * k}" in frame["image"].iloc[-1]
    )
    assert frame["image"].iloc[0] == "–", "PLTM has no pictures"
