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
from m3l_book.measured import Contender, Measured, article_keys, contender
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


def card_of(verdicts, roles):
    """The cards of verdicts as text, by the claim's id."""
    claims = verdict_tables.claims_frame(verdicts)
    shown = verdict_tables.cards(verdicts, roles, claims, {}, {})
    assert shown.startswith('<div class="claim-cards">') and shown.endswith("</div>")
    parts = shown.split('<article class="claim-card">')[1:]
    return dict(zip((v.claim.id for v in verdicts), parts, strict=True))


def test_every_claim_has_a_card_with_its_rule_and_the_measured_numbers(verdicts, runs, tests):
    names = selection.roles_by_corpus(tests)
    found = card_of(verdicts, names)
    assert len(found) == len(reading.read_claims("data/paper/claims.csv"))
    for v in verdicts:
        card = found[v.claim.id]
        assert escape(v.claim.claim) in card and f"<b>Rule.</b> {escape(v.claim.rule)}<" in card
        assert escape(v.claim.note) in card and v.claim.written in card
        assert ("<b>Caveats.</b> " in card) == bool(v.claim.caveats_on(v.by_corpus))
        assert all(name in card for name in v.claim.caveats)
        assert ("Not counted again" in card) == bool(v.claim.restates)
        words = reading.STANDINGS[v.claim.standing] or v.verdict
        assert f">{words}<" in card
        measured_there = card.partition("<b>Measured.</b> ")[2].partition("</p>")[0]
        assert sorted(numbers_in(measured_there)) == sorted(f"{x:.3f}" for x in v.means.values())
        printed = card.partition("<b>In the paper.</b> ")[2].partition("</p>")[0]
        assert sorted(numbers_in(printed)) == sorted(f"{x:.3f}" for x in v.paper_means.values())
    by = {v.claim.id: v for v in verdicts}
    assert by["zeroshot-wins-text"].verdict == "replicates", "the generated records were made so"
    assert by["m3l-beats-pltm"].verdict == "replicates"
    assert by["m3l-beats-zeroshot-image"].verdict == "differs"
    assert by["topics-25-m3l-kd"].verdict == "not measured"
    assert "its runs are not there" in found["topics-25-m3l-kd"]


def test_a_strip_shows_the_comparison_that_the_verdict_hangs_on(verdicts, tests):
    """Zero stands in the middle, and the farthest end of an interval near the end."""
    roles = selection.roles_by_corpus(tests)
    for v in [v for v in verdicts if v.by_corpus]:
        where = {(c.corpus, c.pair) for c in v.cases if c.corpus in v.by_corpus}
        own = verdict_tables.telling(v)
        assert {(c.corpus, c.pair) for c in own} == where and len(own) == len(where)
        for case in own:
            beside = [c for c in v.cases if (c.corpus, c.pair) == (case.corpus, case.pair)]
            if any(c.right == "no" for c in beside):
                assert case.right == "no"
            elif any(c.right == "undecided" for c in beside):
                assert case.right == "undecided"
            assert case.in_half_widths == min(
                c.in_half_widths for c in beside if c.right == case.right
            )
        (card,) = card_of([v], roles).values()
        assert card.count('role="img"') == len(own) == card.count('class="zero" style="left:50.0%"')
        assert all(f"{case.value:+.3f}, 95 % interval {case.low:+.3f}" in card for case in own)
        ends = [float(x) for x in re.findall(r'class="interval" style="left:([\d.]+)%', card)]
        widths = [float(x) for x in re.findall(r'class="interval".*?width:([\d.]+)%', card)]
        assert all(x >= 0.9 and x + w <= 99.1 for x, w in zip(ends, widths, strict=True))
        assert ('class="band"' in card) == any(case.margin for case in own)


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
    (card,) = card_of([judged], {"vital": {"en": "en", "fr": "de"}}).values()
    row = card.partition("<b>Measured.</b> ")[2].partition("</p>")[0]
    assert "(texts one) 0.20" in row and "(texts two) 0.49" in row
    marks = [part.strip()[-1] for part in row.split("</b>")[-1].split("<br>")[0].split(" · ")]
    assert marks[:2] == ["✘", "✔"] and marks[2].isdigit()


@pytest.mark.parametrize("first", ["joint", "student"])
def test_articles_are_those_of_each_models_own_test_part(first):
    """A student that reads English and pictures is not measured on articles that have neither."""
    part = make_corpus(n=20, views=("en", "de", "fr", "image"), split=["test"] * 20)
    for view in ("en", "image"):
        part.views[view].index[:5] = -1
    part, read = part.subset(np.arange(20)), ["en", "image"]
    joint = record(part, "M3L-Contrast", list(part.views))
    student = record(part.select(read), "ZeroshotTM-KD", ["image"], read, teacher="ZeroshotTM-en")
    runs = [joint, student] if first == "joint" else [student, joint]
    found = measured(runs, {selection.corpus_of(r): part.select(list(r.theta)) for r in runs})
    expected = article_keys(f"t{i}" for i in range(5, 20))
    for who in ("M3L-Contrast", "ZeroshotTM-KD", "raw embeddings"):
        actual = found["small", "multimodal", "UAP", "en-image", Contender(who)].units
        np.testing.assert_array_equal(actual, expected)


def test_of_claims_that_nothing_was_measured_of_there_are_no_means():
    assert not len(verdict_tables.main_means([], {}))
