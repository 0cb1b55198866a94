"""Recorded results: whole, read back as written, and their verdicts follow from their values."""

import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3l import DataError
from m3l.files import read_json
from m3l_book import record_check
from m3l_book.claims.answer import answer, proposed
from m3l_book.claims.judging import OUTCOMES, judge
from m3l_book.claims.reading import read_claims
from m3l_book.measured import Measured, save_measurements
from m3l_book.recorded import Recorded, load_recorded
from m3l_book.recording import outcomes
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


def test_a_builds_means_point_the_same_way_or_the_other():
    verdicts = [judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[o])) for o in OUTCOMES]
    replicates, differs, undecided = (v["zeroshot-wins-text"] for v in verdicts)
    one_seed = judged("zeroshot-wins-text", measured("en-de", seeds=1, **LANGUAGES["replicates"]))
    here = one_seed["zeroshot-wins-text"]
    assert here.verdict == "undecided", "one seed decides nothing"
    assert record_check.points(replicates, here) == "same"
    assert record_check.points(differs, here) == "other"
    assert record_check.points(undecided, here) == record_check.points(replicates, None) == ""
    said = record_check.agreement(verdicts[1], one_seed)
    assert said.endswith("the same way on 0; not on zeroshot-wins-text.")
    assert record_check.agreement(verdicts[0], one_seed).endswith("the same way on 1.")
    assert record_check.agreement(verdicts[2], one_seed) == ""


def results(values, topics=100, prepared="abc"):
    """Results of one model on `vital`, of which each seed's values are given, (S, N)."""
    key = "vital", "multilingual", "MRR", "en-de", Contender("PLTM")
    found = {key: Measured(np.asarray(values), np.arange(np.shape(values)[1]))}
    recorded = Recorded(None, {"prepared": {"vital": prepared}}, found)
    row = {"run": "r", "corpus": "vital", "contender": Contender("PLTM"), "topics": topics}
    recorded.__dict__["scores"] = pd.DataFrame([row | {"passes": 500, "batch_size": ""}])
    return recorded


def test_a_number_is_inside_where_another_recorded_seed_might_have_been():
    spread = np.random.default_rng(0).normal(0.4, 0.01, 5)[:, None] + np.zeros((5, 9))
    recorded = results(spread)
    (cell,) = record_check.held_against(recorded, results(np.full((1, 9), 0.41))).values()
    assert cell.inside and cell.low < spread.min() < spread.max() < cell.high
    (far,) = record_check.held_against(recorded, results(np.full((1, 9), 0.5))).values()
    assert not far.inside
    said = record_check.summary({tuple("cset") + ("x",): cell} | record_check.held_against(recorded, results([[0.5]])))
    assert said.startswith("Of 2 numbers that the runs of this build can be held against, 1 lie")
    assert "Outside: PLTM MRR en-de on vital, 0.500 where" in said
    for other in (results([[0.4]], topics=50), results([[0.4]], prepared="another")):
        assert record_check.held_against(recorded, other) == {}
    assert "other corpora or settings" in record_check.summary({})


def test_bounds_hold_a_new_seed_as_often_as_they_say():
    random, outside = np.random.default_rng(1), 0
    for _ in range(400):
        seeds = random.normal(0.4, 0.05, 6)
        recorded, live = (results(values[:, None]) for values in (seeds[:5], seeds[5:]))
        (cell,) = record_check.held_against(recorded, live).values()
        outside += not cell.inside
    assert 5 <= outside <= 40, "one in twenty"


def test_a_claim_that_is_not_counted_stands_with_its_reason():
    claims = [c for c in read_claims(PAPER / "claims.csv") if c.standing != "tested"]
    verdicts = [judge(claim, {}, lambda *_: None) for claim in claims]
    frame = tables.reasons_table(verdicts).data
    assert len(frame) == len(claims) >= 4 and set(frame["standing"]) >= {"future work"}
    for claim, (_, row) in zip(claims, frame.iterrows(), strict=True):
        assert claim.claim in unescape(row["claim"]) and claim.note in unescape(row["why"])


def test_what_came_out_is_listed_by_outcome():
    verdicts = [judged("zeroshot-wins-text", measured("en-de", **LANGUAGES[o])) for o in OUTCOMES]
    shown = tables.came_out(verdicts[0].values())
    assert "As the paper says:" in shown
    assert verdicts[0]["zeroshot-wins-text"].claim.claim in unescape(shown)
    shown = tables.came_out(verdicts[1].values())
    assert "Otherwise than the paper says:" in shown and "As the paper" not in shown
    assert tables.came_out(judged("zeroshot-wins-text", {}).values()) == ""


def test_beside_a_verdict_stands_where_the_means_of_a_build_point():
    verdict = judged("zeroshot-wins-text", measured("en-de", **LANGUAGES["differs"])).values()
    here = judged("zeroshot-wins-text", measured("en-de", seeds=1, **LANGUAGES["replicates"]))
    roles = {"vital": {"en": "en", "fr": "de"}}
    frame = tables.verdict_table(verdict, roles, live=here).data
    assert list(frame.columns) == ["claim", "paper", "verdict", "this build"]
    assert ">differs<" in frame["verdict"][0] and "PLTM 0.5" in frame["verdict"][0]
    assert "points the other way" in frame["this build"][0] and "en → fr" in frame["this build"][0]
    assert tables.verdict_table(verdict, roles, live={"x": None}).data["this build"][0] == (
        "not trained here"
    )
    short = tables.short_table(verdict, here).data
    assert ">differs<" in short["verdict"][0]
    assert short["this build's means"][0] == "point the other way"


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
