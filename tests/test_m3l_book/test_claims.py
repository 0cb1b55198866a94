"""Claims, their rules, and the numbers beside them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from m3l import DataError
from m3l_book.claims import sensitivity
from m3l_book.claims.judging import LEVEL, VERDICTS, judge
from m3l_book.claims.paper import numbers_within, paper_lookup
from m3l_book.claims.reading import RELATIONS, Claim, read_claims, read_numbers
from m3l_book.measured import Measured, load_measurements, save_measurements
from m3l_book.records import planning
from m3l_book.records.results import CHANCE, RAW
from m3l_book.topic_space import RANDOM_LABELS
from m3l_book.variants import Contender, contender, contender_of, read_contender

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "data" / "paper"
CHAPTERS = {
    "07-retrieval",
    "08-topics",
    "09-topic-space",
    "10-topic-numbers",
    "11-batch-sizes",
    "12-encoder-combinations",
}


def named(names):
    return tuple(who if isinstance(who, Contender) else Contender(who) for who in names)


def claim(
    relation="above",
    subject=("A",),
    others=("B",),
    threshold=None,
    pairs=("en-de",),
    measure="MRR",
    standing="tested",
):
    return Claim(
        "c",
        "1",
        "A is better",
        measure,
        "multilingual",
        pairs,
        named(subject),
        relation,
        named(others),
        threshold,
        "07-retrieval",
        "a rule",
        standing,
        "a note",
        "once",
        "",
    )


def measured(
    corpus="vital",
    pair="en-de",
    measure="MRR",
    setting="multilingual",
    units=200,
    seeds=3,
    spread=0.05,
    **means,
):
    rng = np.random.default_rng(0)
    articles = np.arange(units)
    return {
        (corpus, setting, measure, pair, Contender(m)): Measured(
            mean + spread * rng.standard_normal((seeds, units)), articles
        )
        for m, mean in means.items()
    }


def nothing(*_):
    return None


def test_the_claims_of_the_paper_are_whole():
    claims = read_claims(PAPER / "claims.csv")
    assert len(claims) >= 36 and {c.chapter for c in claims} <= CHAPTERS
    assert all(c.setting in ("multilingual", "multimodal") and len(c.rule) > 20 for c in claims)
    assert all(
        set(c.pairs) <= {"en-de", "en-image", "de-image", "en", "de", "image"} for c in claims
    )


def test_every_number_of_three_tables_is_there_once():
    numbers = read_numbers(PAPER / "numbers.csv")
    keys = [tuple(v for k, v in row.items() if k != "value") for row in numbers]
    assert len(set(keys)) == len(keys)
    assert [sum(row["table"] == t for row in numbers) for t in "124"] == [
        16,
        18,
        30,
    ]  # rows × columns of each table as printed
    assert all(0 < row["value"] < 1 for row in numbers)
    by = {
        (row["table"], row["model"], row["measure"], row["pair"]): row["value"]
        for row in numbers
        if row["table"] != "4"
    }
    assert (
        by["1", "ZeroshotTM", "MRR", "en-de"] == 0.997
        and by["2", "M3L-Contrast", "UAP", "de-image"] == 0.102
    )


def test_settings_name_their_section():
    rows = list(csv.DictReader((PAPER / "settings.csv").read_text(encoding="utf-8").splitlines()))
    assert {"topics", "epochs", "temperature"} <= {row["setting"] for row in rows} and all(
        row["paper"] for row in rows
    )


def test_models_of_the_claims_of_chapters_that_exist_are_run_by_the_profile_that_is_recorded():
    plan = planning.make_plan(yaml.safe_load((ROOT / "workflow/profiles/full.yaml").read_text()))
    known = {contender_of(run) for run in plan.runs.values()}
    for runs in plan.variants.values():
        for run, variants in runs.items():
            known |= {contender(plan.runs[run]["model"], variant) for variant in variants}
    known |= {RAW, CHANCE, RANDOM_LABELS}
    for c in read_claims(PAPER / "claims.csv"):
        if (ROOT / "book" / f"{c.chapter}.ipynb").is_file():
            assert set(c.subject) | set(c.others) <= known, c.id


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rule": ""}, "rule is empty"),
        ({"claim": " "}, "claim is empty"),
        ({"relation": "better"}, "relation='better' is unknown; valid: above"),
        ({"standing": "maybe"}, "standing='maybe' is unknown; valid: follows"),
        ({"standing": "future work"}, "standing 'future work' needs a note that says why"),
        ({"threshold": "half"}, "threshold 'half' is not a number"),
        ({"others": ""}, "relation 'above' with others ''"),
        ({"threshold": "0.5"}, "relation 'above' with threshold '0.5'"),
        (
            {"relation": "share at most", "threshold": "0.5"},
            "'share at most' needs one subject, two others",
        ),
    ],
)
def test_a_broken_claim_is_named_by_its_line(tmp_path, change, message):
    names = [
        "id",
        "section",
        "claim",
        "measure",
        "setting",
        "pairs",
        "subject",
        "relation",
        "others",
        "threshold",
        "chapter",
        "rule",
        "standing",
        "note",
        "written",
        "changed",
        "caveat",
    ]
    about = ["a", "1", "x", "MRR", "multilingual", "en-de", "A", "above", "B", "", "c", "r"]
    row = dict(zip(names, [*about, "tested", "", "once", "", ""], strict=True))
    with open(tmp_path / "claims.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows([row, row | {"id": "b"} | change])
    with pytest.raises(DataError, match=f"claims.csv, line 3: {message}"):
        read_claims(tmp_path / "claims.csv")


def test_an_id_that_stands_twice_and_wrong_columns_are_refused(tmp_path):
    text = (PAPER / "claims.csv").read_text(encoding="utf-8")
    (tmp_path / "c.csv").write_text(text + text.splitlines()[1] + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="stands twice"):
        read_claims(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("id,claim\n1,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected"):
        read_claims(tmp_path / "c.csv")
    with pytest.raises(DataError, match="no such file"):
        read_numbers(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "relation, subject, others, threshold, means, verdict",
    [
        ("above", "A", "B", None, {"A": 0.5, "B": 0.3}, "replicates"),
        ("above", "A", "B", None, {"A": 0.3, "B": 0.5}, "differs"),
        ("above", "A", "B", None, {"A": 0.4, "B": 0.4}, "undecided"),
        ("above", "A", "BC", None, {"A": 0.5, "B": 0.3, "C": 0.6}, "differs"),
        ("above", "A", "BC", None, {"A": 0.5, "B": 0.3, "C": 0.5}, "undecided"),
        ("below", "A", "B", None, {"A": 0.3, "B": 0.5}, "replicates"),
        ("ratio at least", "A", "B", 0.6, {"A": 0.35, "B": 0.5}, "replicates"),
        ("ratio at least", "A", "B", 0.8, {"A": 0.35, "B": 0.5}, "differs"),
        ("ratio at most", "A", "B", 2.0, {"A": 0.1, "B": 0.1}, "replicates"),
        ("ratio at most", "A", "B", 2.0, {"A": 0.5, "B": 0.1}, "differs"),
        ("share at most", "A", "BC", 0.5, {"A": 0.2, "B": 0.1, "C": 0.5}, "replicates"),
        ("share at most", "A", "BC", 0.5, {"A": 0.4, "B": 0.1, "C": 0.5}, "differs"),
        ("ranked above", "AB", "C", None, {"A": 0.5, "B": 0.4, "C": 0.3}, "replicates"),
        ("ranked above", "AB", "C", None, {"A": 0.4, "B": 0.5, "C": 0.3}, "differs"),
        ("value above", "AB", "", 0.5, {"A": 0.6, "B": 0.7}, "replicates"),
        ("value above", "AB", "", 0.5, {"A": 0.6, "B": 0.3}, "differs"),
        ("value below", "A", "", 0.5, {"A": 0.3}, "replicates"),
    ],
)
def test_each_rule_decides_as_it_says(relation, subject, others, threshold, means, verdict):
    actual = judge(
        claim(relation, tuple(subject), tuple(others), threshold), measured(**means), nothing
    )
    assert actual.verdict == verdict
    assert {m.model: v for (_, _, m), v in actual.means.items()} == {
        m: pytest.approx(v, abs=0.02) for m, v in means.items()
    }
    for case in actual.cases:
        assert case.low <= case.value <= case.high
        assert case.right == ("yes" if case.low > 0 else "no" if case.high < 0 else "undecided")
        assert (case.p_value <= LEVEL) == (case.right != "undecided") == (abs(case.margin) > 1)


def test_every_relation_is_tested_and_every_verdict_known():
    assert set(RELATIONS) == {
        "above",
        "below",
        "ranked above",
        "ratio at least",
        "ratio at most",
        "share at most",
        "value above",
        "value below",
    }
    assert VERDICTS[:4] == ("replicates", "differs", "undecided", "mixed")
    assert VERDICTS[4:] == ("not testable", "not counted", "not measured")


def test_corpora_that_differ_are_named_and_one_that_lacks_a_model_does_not_count():
    both = measured("vital", A=0.5, B=0.3) | measured("emoji", A=0.3, B=0.5)
    actual = judge(claim(), both, nothing)
    assert actual.verdict == "mixed"
    assert actual.words == "replicates on vital, differs on emoji"
    lacking = measured("vital", A=0.5, B=0.3) | measured("emoji", A=0.1)
    actual = judge(claim(), lacking, nothing)
    assert actual.verdict == "replicates" and {case.corpus for case in actual.cases} == {"vital"}
    assert judge(claim(others=("Z",)), both, nothing).verdict == "not measured"
    assert judge(claim(measure="JSD"), both, nothing).verdict == "not measured"


def test_a_generated_corpus_is_compared_and_decides_nothing():
    both = measured("vital", A=0.5, B=0.3) | measured("emoji", A=0.3, B=0.5)
    actual = judge(claim(), both, nothing, generated=["emoji"])
    assert actual.verdict == "replicates" and actual.by_corpus == {"vital": "replicates"}
    assert {case.corpus for case in actual.cases} == {"vital", "emoji"}


@pytest.mark.parametrize("standing", ["not testable", "future work", "follows"])
def test_what_is_no_test_is_compared_and_not_counted(standing):
    actual = judge(claim(standing=standing), measured(A=0.5, B=0.3), nothing)
    expected = "not testable" if standing == "not testable" else "not counted"
    assert actual.verdict == expected and [case.right for case in actual.cases] == ["yes"]


def test_fewer_than_three_seeds_decide_nothing_unless_nothing_is_trained():
    twice = measured(seeds=2, A=0.5, B=0.3)
    assert judge(claim(), twice, nothing).verdict == "undecided"
    once = measured(seeds=1, B=0.3)
    fixed = {key: Measured(m.values, m.units, trained=False) for key, m in once.items()}
    assert judge(claim(), measured(A=0.5) | fixed, nothing).verdict == "replicates"
    assert judge(claim(), measured(seeds=1, A=0.5) | fixed, nothing).verdict == "undecided"


def test_comparisons_of_a_claim_are_corrected_for_how_many_they_are():
    """One comparison that is decided alone is not among ten that are nothing."""
    rng = np.random.default_rng(3)
    base = 0.4 + 0.1 * rng.standard_normal(400)
    names = [f"B{i}" for i in range(10)]
    data = {}
    for name in ["A", *names]:
        shift = -0.013 if name == "B0" else 0.0
        noise = 0.1 * rng.standard_normal((1, 400)) + 0.001 * rng.standard_normal((3, 400))
        values = base + shift + noise
        data["v", "multilingual", "MRR", "en-de", Contender(name)] = Measured(
            values, np.arange(400)
        )
    cases = judge(claim(others=names), data, nothing).cases
    alone = [judge(claim(others=(name,)), data, nothing).cases[0] for name in names]
    assert all(a.p_value <= c.p_value for a, c in zip(alone, cases, strict=True))
    smallest = min(range(10), key=lambda i: alone[i].p_value)
    assert cases[smallest].p_value == pytest.approx(min(1.0, 10 * alone[smallest].p_value))


def test_seeds_that_disagree_leave_a_claim_undecided():
    rng, shift = np.random.default_rng(1), np.array([[0.3], [-0.2], [0.05]])
    noise = 0.01 * rng.standard_normal((3, 300))
    where = "v", "multilingual", "MRR", "en-de"
    data = {
        (*where, Contender("A")): Measured(0.4 + shift + noise, np.arange(300)),
        (*where, Contender("B")): Measured(0.4 + noise, np.arange(300)),
    }
    assert judge(claim(), data, nothing).verdict == "undecided"


def test_models_measured_on_other_articles_are_not_compared():
    data = measured(A=0.5, B=0.3)
    key = "vital", "multilingual", "MRR", "en-de", Contender("B")
    data[key] = Measured(data[key].values, np.arange(200)[::-1])
    with pytest.raises(DataError, match="A, B: not measured on the same articles"):
        judge(claim(), data, nothing)


def test_topics_of_two_models_are_not_paired():
    rng = np.random.default_rng(0)
    where = "v", "multilingual", "NPMI", "en"
    data = {
        (*where, Contender("A")): Measured(rng.normal(0.3, 0.02, (3, 100))),
        (*where, Contender("B")): Measured(rng.normal(0.1, 0.02, (3, 50))),
    }
    assert judge(claim(measure="NPMI", pairs=("en",)), data, nothing).verdict == "replicates"


@pytest.mark.parametrize(
    "seeds, among_seeds",
    [
        (3, 0.03),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in [(3, 0), (5, 0.01), (5, 0.03)]
        ),
    ],
)
def test_of_two_equal_models_one_is_called_ahead_in_at_most_a_twentieth(seeds, among_seeds):
    """Articles with one to four measurements, easy and hard ones; models whose seeds differ."""
    rng, trials, ahead = np.random.default_rng(7), 1500, 0
    for _ in range(trials):
        articles = np.repeat(np.arange(60), rng.integers(1, 5, size=60))
        easy = 0.2 * rng.standard_normal(60)[articles]
        data = {}
        for model in "AB":
            own = 0.1 * rng.standard_normal(60)[articles]  # what it makes of an article, any seed
            noise = 0.05 * rng.standard_normal((seeds, len(articles)))
            level = 0.4 + among_seeds * rng.standard_normal((seeds, 1))
            values = level + easy + own + noise
            data["v", "multilingual", "MRR", "en-de", Contender(model)] = Measured(values, articles)
        ahead += judge(claim(), data, nothing).verdict != "undecided"
    # 5 % and two standard errors of the simulation
    assert ahead / trials <= 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5


def test_a_choice_that_would_change_a_verdict_is_named():
    found = measured(A=0.5, B=0.3) | measured("vital", units=200, C=0.1)
    where = "vital", "multilingual", "MRR", "en-de"
    rng = np.random.default_rng(5)

    def other(mean, seeds=3):
        return Measured(mean + 0.05 * rng.standard_normal((seeds, 200)), np.arange(200))

    found[*where, contender("A", {"floor": "-4"})] = other(0.2)
    found[*where, contender("A", {"epochs": "40"})] = other(0.6)  # says the same
    found[*where, contender("A", {"objective": "paper"})] = other(0.1, seeds=2)  # decides nothing
    found[*where, contender("A", {"topics": "25"})] = other(0.1)  # another question
    verdict = judge(claim(), found, nothing)
    (change,) = sensitivity.changes(verdict, found, nothing)
    assert change == sensitivity.Change("floor -4", {"vital": "differs"})
    assert sensitivity.changes(judge(claim(subject=("C",)), found, nothing), found, nothing) == []


def test_measurements_are_kept_and_read_back(tmp_path):
    found = measured(A=0.5, B=0.3) | measured(measure="JSD", A=0.2)
    key = "vital", "multilingual", "NPMI", "en", contender("A", {"topics": "25"})
    found[key] = Measured(np.ones((1, 4)), None, trained=False)
    save_measurements(tmp_path / "m", found)
    back = load_measurements(tmp_path / "m")
    assert list(back) == list(found)
    for name, m in found.items():
        np.testing.assert_allclose(back[name].values, m.values, rtol=1e-6)
        assert back[name].trained == m.trained
        assert (back[name].units is None) == (m.units is None)
    before, after = judge(claim(), found, nothing), judge(claim(), back, nothing)
    assert before.verdict == after.verdict
    with pytest.raises(DataError, match="index"):
        load_measurements(tmp_path / "nowhere")


def of_the_paper():
    find = paper_lookup(read_numbers(PAPER / "numbers.csv"))
    return {c.id: judge(c, {}, find) for c in read_claims(PAPER / "claims.csv")}


def test_the_papers_own_numbers_are_put_to_the_same_rules():
    """By hand from the printed tables."""
    actual = of_the_paper()
    assert {name for name, v in actual.items() if v.paper_agrees == "yes"} >= {
        "zeroshot-wins-text",
        "m3l-beats-pltm",
        "m3l-wins-image",
        "zeroshot-last-image",
    }
    # 0.130 against ZeroshotTM-KD's 0.128; 0.53 and 0.86 of the way; 0.052 below 0.053 … see the
    # tables
    assert (
        actual["m3l-jsd-image"].paper_agrees == "no" and actual["kd-slightly"].paper_agrees == "no"
    )
    assert (
        actual["unaligned-beats-kd"].paper_agrees == "no"
    )  # 0.053 and 0.047 against 0.082 and 0.093
    assert (
        actual["unaligned-image"].paper_agrees == "no"
        and actual["unaligned-text"].paper_agrees == "no"  # 0.347 of 0.613
    )
    assert actual["same-top-text"].paper_agrees == "no number"
    tested = [v for v in actual.values() if v.claim.standing == "tested"]
    assert len(tested) >= 30 and all(v.verdict == "not measured" for v in tested)


def test_variants_of_m3l_find_their_rows_of_table_4():
    def table4(texts, pictures):
        return contender("M3L-Contrast", {"texts": texts, "pictures": pictures})

    actual = of_the_paper()
    values = actual["unaligned-image"].paper_means
    assert values["en-image", table4("multilingual", "unaligned")] == 0.053
    assert values["de-image", table4("monolingual", "unaligned")] == 0.052
    assert values["en-image", table4("aligned", "aligned")] == 0.125
    assert actual["m3l-competitive"].paper_means["en-de", Contender("M3L-Contrast")] == 0.684
    assert actual["m3l-languages-farther"].paper_means["en-de", Contender("M3L-Contrast")] == 0.035


def test_on_the_papers_data_a_number_is_inside_its_interval_or_not():
    numbers = read_numbers(PAPER / "numbers.csv")
    data = measured("wikipedia", units=100, spread=0.01, **{"M3L-Contrast": 0.684, "PLTM": 0.5})
    data |= measured("wikipedia", units=100, M3L=0.0)  # not a model of the tables
    rows = {row["model"]: row for row in numbers_within(numbers, data, "wikipedia")}
    assert set(rows) == {"M3L-Contrast", "PLTM"}
    assert (
        rows["M3L-Contrast"]["inside"]
        and not rows["PLTM"]["inside"]
        and rows["PLTM"]["value"] == 0.333
    )
    assert numbers_within(numbers, data, "vital") == []


def test_a_contender_is_read_as_claims_write_it_and_named_for_readers():
    plain, varied = read_contender("PLTM"), read_contender("M3L-Contrast {topics: 25, a_b: c}")
    assert plain == Contender("PLTM") and str(plain) == "PLTM" and plain.variant == ""
    assert varied == contender("M3L-Contrast", {"a_b": "c", "topics": 25})
    assert str(varied) == "M3L-Contrast (a b c, topics 25)" and varied.short.startswith("M3L (")
    assert varied.value("topics") == "25" and varied.value("batch") == ""
    for broken in ("PLTM {topics", "PLTM {[}", "PLTM {1"):
        with pytest.raises(DataError, match="what stands in braces is no mapping"):
            read_contender(broken)


def test_a_caveat_about_encoders_is_not_told_of_the_papers_own():
    noted = replace(claim(), note="A note.", caveat="Not CLIP.")
    assert noted.remark(["vital"]) == "A note. Not CLIP."
    assert noted.remark(["wikipedia-published"]) == "A note."
    assert replace(noted, note="", caveat="").remark([]) == ""
