"""Tables and verdicts: what is shown is what was recorded."""

import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from book_support import VIEWS, record
from support import make_corpus

from m3l.metrics.assessment import aligned_pairs
from m3l_book.claims import judging, reading
from m3l_book.claims.judging import Change
from m3l_book.claims.reading import paper_lookup
from m3l_book.measured import Contender, Measured, contender
from m3l_book.records import results, selection
from m3l_book.tables import verdicts as verdict_tables


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
def verdicts(runs, tests):
    find = paper_lookup(reading.read_numbers("data/paper/numbers.csv"))
    return [
        judging.judge(c, measured(runs, tests), find)
        for c in reading.read_claims("data/paper/claims.csv")
    ]


def test_every_claim_has_a_row_with_its_rule_and_the_measured_numbers(verdicts, runs, tests):
    names = selection.roles_by_corpus(tests)
    frame = verdict_tables.verdict_table(verdicts, names).data
    assert len(frame) == len(reading.read_claims("data/paper/claims.csv"))
    assert list(frame.columns) == ["claim", "paper", "verdict"]
    for (_, row), v in zip(frame.iterrows(), verdicts, strict=True):
        assert (
            escape(v.claim.claim) in row["claim"]
            and f"Rule: {escape(v.claim.rule)}<" in row["claim"]
            and escape(v.claim.note) in row["verdict"]
        )
        assert ("Caveats: " in row["verdict"]) == bool(v.claim.caveats)
        assert all(name in row["verdict"] for name in v.claim.caveats)
        assert ("Not counted again" in row["verdict"]) == bool(v.claim.restates)
        words = reading.STANDINGS[v.claim.standing] or v.verdict
        assert f">{words}<" in row["verdict"]
        shown = numbers_in(row["verdict"].replace(escape(v.claim.note), ""))
        assert sorted(shown) == sorted(f"{mean:.3f}" for mean in v.means.values()), v.claim.id
        assert sorted(numbers_in(row["paper"])) == sorted(
            f"{x:.3f}" for x in v.paper_means.values()
        )
    by = {v.claim.id: v for v in verdicts}
    assert by["zeroshot-wins-text"].verdict == "replicates", "the generated records were made so"
    assert (
        by["m3l-beats-pltm"].verdict == "replicates"
        and by["m3l-beats-zeroshot-image"].verdict == "differs"
    )
    assert (
        by["topics-25-m3l-kd"].verdict == "not measured"
        and "its runs are not there"
        in frame["verdict"].iloc[[v.claim.id for v in verdicts].index("topics-25-m3l-kd")]
    )


def test_what_would_change_a_verdict_is_a_line_for_each_choice():
    several = [
        Change("floor <-4>", {"small": "differs"}),
        Change("epochs 400", {"a": "replicates"}),
    ]
    shown = verdict_tables.change_lines(several)
    assert shown == "floor &lt;-4&gt;: differs on small<br>epochs 400: replicates on a"
    assert verdict_tables.change_lines([]) == ""


def test_of_several_models_each_has_the_mark_of_its_own_comparison():
    subject = [contender("M3L-Contrast", {"texts": kind}) for kind in ("one", "two")]
    (claim,) = (c for c in reading.read_claims("data/paper/claims.csv") if c.id == "hybrid")
    claim = replace(claim, subject=tuple(subject), others=(Contender("PLTM"),), standing="tested")
    rng, units = np.random.default_rng(0), np.arange(50)
    where = "vital", claim.setting, claim.measure, claim.pairs[0]
    found = {
        (*where, who): Measured(mean + 0.01 * rng.standard_normal((3, 50)), units)
        for who, mean in zip((*subject, Contender("PLTM")), (0.2, 0.5, 0.3), strict=True)
    }
    judged = judging.judge(claim, found, lambda *_: None)
    cell = verdict_tables.verdict_table([judged], {"vital": {"en": "en", "fr": "de"}}).data
    (row,) = cell["verdict"]
    assert "(texts one) 0.20" in row and "(texts two) 0.49" in row
    marks = [part.strip()[-1] for part in row.split("</b>")[-1].split("<br>")[0].split(" · ")]
    assert marks[:2] == ["✘", "✔"] and marks[2].isdigit()
