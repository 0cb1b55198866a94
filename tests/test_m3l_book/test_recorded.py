"""Recorded results: whole, read back as written, and their verdicts follow from their values."""

import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from m3l import DataError
from m3l.files import read_json
from m3l_book.claims.answer import answer, proposed
from m3l_book.claims.judging import OUTCOMES, judge
from m3l_book.claims.reading import read_claims
from m3l_book.measured import Measured, save_measurements
from m3l_book.recorded import Recorded, load_recorded, outcomes
from m3l_book.tables import verdicts as tables
from m3l_book.variants import Contender, contender

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "data" / "paper"
FULL = ROOT / "data" / "results" / "full"


@pytest.fixture(scope="module")
def full():
    return load_recorded(FULL)


def test_every_recorded_verdict_follows_from_the_recorded_values(full):
    kept = read_json(FULL / "verdicts.json")
    assert outcomes(full.verdicts(str(PAPER))) == kept
    assert set(kept) == {claim.id for claim in read_claims(PAPER / "claims.csv")}
    assert sum(bool(verdict["cases"]) for verdict in kept.values()) >= 35


def test_recorded_results_say_where_they_are_from_and_fit_in_the_repository(full):
    about = full.about
    assert about["profile"] == "full" and about["seconds"] > 1000 and "cores" in about["machine"]
    assert re.fullmatch(r"[0-9a-f]{12}\+?", about["commit"]) and about["versions"]["torch"]
    assert about["runs"] == full.scores["run"].nunique() == 399
    assert sum(path.stat().st_size for path in FULL.rglob("*")) <= 20 * 2**20


def test_the_main_models_were_recorded_with_five_seeds(full):
    for model in ("ZeroshotTM", "M3L-Contrast", "PLTM", "ZeroshotTM-KD"):
        found = full.measured["vital", "multilingual", "MRR", "en-de", Contender(model)]
        assert len(found.values) == 5
        own = full.scores.query("model == @model and variant == '' and corpus == 'vital'")
        assert own["seed"].nunique() == 5 and set(own["part"]) == {"test", "validation"}


def test_recorded_scores_are_the_means_of_the_recorded_values(full):
    found = full.measured["vital", "multilingual", "MRR", "en-de", Contender("PLTM")]
    rows = full.scores.query(
        "model == 'PLTM' and variant == '' and part == 'test' and query == 'en' and item == 'fr'"
    )
    rows = rows[rows["corpus"] == "vital"].sort_values("seed")
    assert np.allclose(rows["score"], found.values.mean(axis=1), atol=1e-4)


def test_nothing_recorded_is_no_results_and_a_folder_without_any_is_named(tmp_path):
    nothing = load_recorded("")
    assert nothing == Recorded() and nothing.verdicts(str(PAPER)) == {} and not len(nothing.scores)
    assert nothing.mean("vital", "multilingual", "MRR", "en-de", Contender("PLTM")) is None
    with pytest.raises(DataError, match="no recorded results there"):
        load_recorded(tmp_path)


def test_equal_arrays_are_kept_once(tmp_path):
    values, units = np.random.default_rng(0).random((3, 50)), np.arange(50)
    who = [contender("A"), contender("A", {"topics": 100}), contender("B")]
    measured = {("c", "s", "MRR", "en-de", w): Measured(values, units) for w in who[:2]}
    measured["c", "s", "MRR", "en-de", who[2]] = Measured(values + 1, units)
    save_measurements(tmp_path / "m", measured)
    assert len(np.load(tmp_path / "m" / "values.npz").files) == 3


def measured(pair, measure="MRR", setting="multilingual", seeds=3, spread=0.02, **means):
    rng = np.random.default_rng(0)
    return {
        ("vital", setting, measure, pair, Contender(name)): Measured(
            mean + spread * rng.standard_normal((seeds, 400)), np.arange(400)
        )
        for name, mean in means.items()
    }


def judged(name, values):
    (claim,) = (c for c in read_claims(PAPER / "claims.csv") if c.id == name)
    return {name: judge(claim, values, lambda *_: None)}


LANGUAGES = {
    "replicates": {"ZeroshotTM": 0.9, "PLTM": 0.5, "ZeroshotTM-KD": 0.4, "M3L-Contrast": 0.8},
    "differs": {"ZeroshotTM": 0.4, "PLTM": 0.5, "ZeroshotTM-KD": 0.3, "M3L-Contrast": 0.1},
    "undecided": {"ZeroshotTM": 0.5, "PLTM": 0.5, "ZeroshotTM-KD": 0.3, "M3L-Contrast": 0.34},
}


@pytest.mark.parametrize(
    "outcome, words",
    [
        ("replicates", "ZeroshotTM retrieves best .*ZeroshotTM 0.*, as the paper says"),
        ("differs", "PLTM retrieves best .*, where the paper has ZeroshotTM first"),
        ("undecided", "whether ZeroshotTM is first, as the paper says, cannot be told"),
    ],
)
def test_the_answer_follows_the_verdict_and_the_numbers_between_languages(outcome, words):
    verdict = judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[outcome]))
    assert verdict["zeroshot-wins-text"].by_corpus == {"vital": outcome}
    (sentence,) = answer(verdict, "vital")
    assert re.search(words, sentence)


@pytest.mark.parametrize(
    "m3l, words",
    [
        (0.45, "is competitive with ZeroshotTM there: it reaches 0.90 of its score"),
        (0.10, "is not competitive with ZeroshotTM there: it reaches 0.20 of its score"),
        (0.34, "Whether M3L-Contrast is competitive .* cannot be told: it reaches 0.68"),
    ],
)
def test_the_answer_says_what_share_is_called_competitive(m3l, words):
    values = measured("en-de", spread=0.1, **{"ZeroshotTM": 0.5, "M3L-Contrast": m3l})
    verdicts = judged("m3l-competitive", values)
    (sentence,) = answer(verdicts, "vital")
    assert re.search(words, sentence) and sentence.endswith("of its score.")
    printed = {
        ("en-de", contender("M3L-Contrast")): 0.684,
        ("en-de", contender("ZeroshotTM")): 0.997,
    }
    verdicts = {name: replace(v, paper_means=printed) for name, v in verdicts.items()}
    (sentence,) = answer(verdicts, "vital")
    assert re.search(words, sentence) and sentence.endswith("in the paper 0.69.")


@pytest.mark.parametrize(
    "joint, words",
    [
        (0.5, "Joint training retrieves pictures best of all models, as"),
        (0.1, "Joint training does not retrieve pictures best"),
        (0.3, "Whether joint training retrieves pictures best"),
    ],
)
def test_the_answer_names_the_direction_in_which_pictures_are_farthest_from_right(joint, words):
    means = {"ZeroshotTM": 0.1, "ZeroshotTM-KD": 0.3}
    values = measured("en-image", "UAP", "multimodal", **means, **{"M3L-Contrast": 0.7})
    values |= measured("de-image", "UAP", "multimodal", **means, **{"M3L-Contrast": joint})
    (sentence,) = answer(judged("m3l-wins-image", values), "vital")
    where = "second" if joint < 0.7 else "first"
    assert words in sentence and f"UAP from the {where} language: " in sentence


@pytest.mark.parametrize("share, outcome", [(0.99, "almost as well"), (0.5, "clearly worse")])
def test_the_answer_says_what_unaligned_encoders_keep(share, outcome):
    aligned = contender("M3L-Contrast", {"texts": "aligned", "pictures": "aligned"})
    other = contender("M3L-Contrast", {"texts": "monolingual", "pictures": "unaligned"})
    values = measured("en-de", setting="multimodal", a=0.5, b=0.5 * share)
    values = {(*key[:4], who): m for (key, m), who in zip(values.items(), (aligned, other))}  # noqa: B905
    (sentence,) = answer(judged("unaligned-text", values), "vital")
    assert outcome in sentence
    kept = float(re.search(r"with ([\d.]+) of the score", sentence)[1])
    assert abs(kept - share) < 0.02


def test_the_answer_lists_scores_by_number_of_topics():
    numbers = {25: 0.2, 50: 0.3, 100: 0.4}
    values = measured("en-de", **{str(k): mean for k, mean in numbers.items()})
    values = {
        (*key[:4], contender("M3L-Contrast", {"topics": key[4].model})): m
        for key, m in values.items()
    }
    (sentence,) = answer(judged("topics-more-text", values), "vital")
    assert re.search(r"as the paper says: 0.\d+ with 25, 0.\d+ with 50, 0.\d+ with 100", sentence)


def test_a_claim_that_was_not_put_to_the_test_is_not_answered():
    assert answer(judged("zeroshot-wins-text", {}), "vital") == []


def test_the_answer_to_the_recorded_results_is_in_the_order_of_the_paper(full):
    sentences = answer(full.verdicts(str(PAPER)), "vital")
    assert len(sentences) >= 3 and all(s[0].isupper() and s.endswith(".") for s in sentences)
    text = " ".join(sentences)
    places = [text.index(word) for word in ("Between languages", "competitive", "oint training")]
    assert all(a < b for a, b in pairwise(places))


def test_agreement_counts_what_both_decide():
    verdicts = [judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[o])) for o in OUTCOMES]
    first, second, third = (v["zeroshot-wins-text"] for v in verdicts)
    assert tables.agreement([first], verdicts[0]).endswith("decide 1 claims, and agree on all.")
    other = tables.agreement([first], verdicts[1])
    assert "agree on 0; they do not on zeroshot-wins-text" in other
    assert tables.agreement([third], verdicts[0]) == tables.agreement([second], {}) == ""


def test_a_claim_that_is_not_counted_stands_with_its_reason():
    claims = [c for c in read_claims(PAPER / "claims.csv") if c.standing != "tested"]
    verdicts = [judge(claim, {}, lambda *_: None) for claim in claims]
    frame = tables.reasons_table(verdicts).data
    assert len(frame) == len(claims) >= 4 and set(frame["standing"]) >= {"future work"}
    for claim, (_, row) in zip(claims, frame.iterrows(), strict=True):
        assert claim.claim in unescape(row["claim"]) and claim.note in unescape(row["why"])


def test_what_came_out_is_listed_by_outcome_recorded_first():
    verdicts = [judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[o])) for o in OUTCOMES]
    own = list(verdicts[0].values())
    alone = tables.came_out(own)
    assert "As the paper says:" in alone and own[0].claim.claim in alone
    beside = tables.came_out(own, verdicts[1])
    assert "Otherwise than the paper says:" in beside and "As the paper" not in beside
    assert "agree on 0" in beside
    nothing = judged("zeroshot-wins-text", {})
    assert "As the paper says:" in tables.came_out(own, nothing), "where nothing was recorded"
    assert tables.came_out(nothing.values()) == ""


def test_the_recorded_column_has_the_recorded_numbers():
    verdicts = [judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[o])) for o in OUTCOMES]
    own, kept = list(verdicts[0].values()), verdicts[1]
    roles = {"vital": {"en": "en", "fr": "de"}}
    frame = tables.verdict_table(own, roles, recorded=kept).data
    assert list(frame.columns) == ["claim", "paper", "recorded", "this build"]
    assert ">differs<" in frame["recorded"][0] and ">replicates<" in frame["this build"][0]
    assert "PLTM 0.5" in frame["recorded"][0] and "en → fr" in frame["recorded"][0]
    short = tables.short_table(own, kept).data
    assert ">differs<" in short["recorded"][0] and ">replicates<" in short["this build"][0]


def test_views_that_the_runs_of_a_chapter_do_not_read_keep_their_part(full):
    own = {"vital": {"en": "en", "fr": "de"}, "mine": {"en": "en", "fi": "de"}}
    roles = full.roles_with(own)
    assert roles["vital"] == {"en": "en", "fr": "de", "image": "image"}
    assert roles["mine"] == own["mine"]
    assert roles["emoji"] == full.roles["emoji"]


def test_the_hybrid_is_told_where_it_was_measured(full):
    judged = full.verdicts(str(PAPER))
    means = judged["hybrid"].means
    shared, separate = (
        full.mean("vital", "multimodal", "MRR", "en-de", contender("M3L-Contrast", variant))
        for variant in ({"text network": "shared"}, None)
    )
    assert len(means) == 2
    assert f"{shared:.3f} between languages" in proposed(judged, "vital")
    assert f"{separate:.3f}." in proposed(judged, "vital")
    assert proposed(judged, "nowhere") == "" == proposed({}, "vital")
