"""Claims, their rules, and the numbers beside them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from m3l import DataError
from m3l_book.claims import (
    RELATIONS,
    VERDICTS,
    Claim,
    judge,
    numbers_within,
    paper_lookup,
    read_claims,
    read_numbers,
)
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


def claim(
    relation="above", subject=("A",), others=("B",), threshold=None, pairs=("en-de",), measure="MRR"
):
    return Claim(
        "c",
        "1",
        "A is better",
        measure,
        "multilingual",
        pairs,
        subject,
        relation,
        others,
        threshold,
        "07-retrieval",
        "a rule",
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
    return {
        (corpus, setting, measure, pair, m): mean + spread * rng.standard_normal((seeds, units))
        for m, mean in means.items()
    }


def nothing(*_):
    return None


def test_the_claims_of_the_paper_are_whole():
    claims = read_claims(PAPER / "claims.csv")
    assert len(claims) >= 39 and {c.chapter for c in claims} <= CHAPTERS
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


def test_models_of_the_claims_of_chapters_that_exist_are_run_by_the_default_profile():
    plan = planning.make_plan(yaml.safe_load((ROOT / "workflow/profiles/laptop.yaml").read_text()))
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
        ({"relation": "better"}, "relation 'better', expected one of above"),
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
    ]
    row = dict(
        zip(
            names,
            ["a", "1", "x", "MRR", "multilingual", "en-de", "A", "above", "B", "", "c", "r"],
            strict=True,
        )
    )
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
        ("above", "A", "B", None, {"A": 0.5, "B": 0.3}, "holds"),
        ("above", "A", "B", None, {"A": 0.3, "B": 0.5}, "does not hold"),
        ("above", "A", "B", None, {"A": 0.4, "B": 0.4}, "undecided"),
        ("above", "A", "BC", None, {"A": 0.5, "B": 0.3, "C": 0.6}, "does not hold"),
        ("above", "A", "BC", None, {"A": 0.5, "B": 0.3, "C": 0.5}, "undecided"),
        ("below", "A", "B", None, {"A": 0.3, "B": 0.5}, "holds"),
        ("ratio at least", "A", "B", 0.6, {"A": 0.35, "B": 0.5}, "holds"),
        ("ratio at least", "A", "B", 0.8, {"A": 0.35, "B": 0.5}, "does not hold"),
        ("ratio at most", "A", "B", 2.0, {"A": 0.1, "B": 0.1}, "holds"),
        ("ratio at most", "A", "B", 2.0, {"A": 0.5, "B": 0.1}, "does not hold"),
        ("share at most", "A", "BC", 0.5, {"A": 0.2, "B": 0.1, "C": 0.5}, "holds"),
        ("share at most", "A", "BC", 0.5, {"A": 0.4, "B": 0.1, "C": 0.5}, "does not hold"),
        ("ranked above", "AB", "C", None, {"A": 0.5, "B": 0.4, "C": 0.3}, "holds"),
        ("ranked above", "AB", "C", None, {"A": 0.4, "B": 0.5, "C": 0.3}, "does not hold"),
        ("value above", "AB", "", 0.5, {"A": 0.6, "B": 0.7}, "holds"),
        ("value above", "AB", "", 0.5, {"A": 0.6, "B": 0.3}, "does not hold"),
        ("value below", "A", "", 0.5, {"A": 0.3}, "holds"),
    ],
)
def test_each_rule_decides_as_it_says(relation, subject, others, threshold, means, verdict):
    actual = judge(
        claim(relation, tuple(subject), tuple(others), threshold), measured(**means), nothing
    )
    assert actual.verdict == verdict
    assert {m: round(v, 1) for (_, _, m), v in actual.means.items()} == {
        m: pytest.approx(v, abs=0.06) for m, v in means.items()
    }
    for case in actual.cases:
        assert case.low <= case.value <= case.high
        assert case.right == ("yes" if case.low > 0 else "no" if case.high < 0 else "undecided")


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
    assert VERDICTS == ("holds", "does not hold", "undecided", "not measured")


def test_one_case_against_it_refutes_a_claim_and_a_corpus_without_a_model_does_not_count():
    both = measured("vital", A=0.5, B=0.3) | measured("emoji", A=0.3, B=0.5)
    assert judge(claim(), both, nothing).verdict == "does not hold"
    lacking = measured("vital", A=0.5, B=0.3) | measured("emoji", A=0.1)
    actual = judge(claim(), lacking, nothing)
    assert actual.verdict == "holds" and {case.corpus for case in actual.cases} == {"vital"}
    assert judge(claim(others=("Z",)), both, nothing).verdict == "not measured"
    assert judge(claim(measure="JSD"), both, nothing).verdict == "not measured"


def test_seeds_that_disagree_leave_a_claim_undecided():
    rng, shift = np.random.default_rng(1), np.array([[0.3], [-0.2], [0.05]])
    noise = 0.01 * rng.standard_normal((3, 300))
    data = {
        ("v", "multilingual", "MRR", "en-de", "A"): 0.4 + shift + noise,
        ("v", "multilingual", "MRR", "en-de", "B"): 0.4 + noise,
    }
    assert judge(claim(), data, nothing).verdict == "undecided"


def test_topics_of_two_models_are_not_paired():
    rng = np.random.default_rng(0)
    data = {
        ("v", "multilingual", "NPMI", "en", "A"): rng.normal(0.3, 0.02, (3, 100)),
        ("v", "multilingual", "NPMI", "en", "B"): rng.normal(0.1, 0.02, (3, 50)),
    }
    assert judge(claim(measure="NPMI", pairs=("en",)), data, nothing).verdict == "holds"


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
        "joint-training",
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
        and actual["unaligned-text"].paper_agrees == "yes"
    )
    assert actual["same-top-text"].paper_agrees == "no number"
    assert all(v.verdict == "not measured" for v in actual.values())


def test_variants_of_m3l_find_their_rows_of_table_4():
    def table4(pictures):
        return contender("M3L-Contrast", {"texts": "multilingual", "pictures": pictures})

    actual = of_the_paper()
    values = actual["unaligned-image"].paper_means
    assert values["en-image", table4("unaligned")] == 0.053
    assert values["en-image", table4("aligned")] == 0.119
    assert actual["m3l-competitive"].paper_means["en-de", Contender("M3L-Contrast")] == 0.684
    assert actual["m3l-languages-farther"].paper_means["en-de", Contender("M3L-Contrast")] == 0.035


def test_on_the_papers_data_a_number_is_inside_its_interval_or_not():
    numbers = read_numbers(PAPER / "numbers.csv")
    data = measured("wikipedia", M3L=0.0)  # not a model of the tables
    data |= {
        ("wikipedia", "multilingual", "MRR", "en-de", Contender("M3L-Contrast")): (
            np.full((3, 100), 0.684) + 0.01 * np.random.default_rng(0).standard_normal((3, 100))
        )
    }
    data |= {
        ("wikipedia", "multilingual", "MRR", "en-de", Contender("PLTM")): (
            np.full((3, 100), 0.5) + 0.01 * np.random.default_rng(0).standard_normal((3, 100))
        )
    }
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
