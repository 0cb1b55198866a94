"""Recorded results: whole, read back as written, and their verdicts follow from their values."""

import csv
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS
from book_support import record as run_record
from support import make_corpus

from m3l import DataError
from m3l.files import read_json
from m3l_book import record_check, recording
from m3l_book.claims.judging import OUTCOMES, judge
from m3l_book.claims.reading import read_claims, read_margins
from m3l_book.measured import Contender, Measured, contender, save_measurements
from m3l_book.recorded import Recorded, load_recorded
from m3l_book.recording import _no_shorter, outcomes
from m3l_book.records.results import measurements, raw_scores
from m3l_book.records.selection import corpus_of, with_variants
from m3l_book.records.selection import roles_by_corpus as roles
from m3l_book.tables import verdicts as tables

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
    assert about["runs"] == full.scores["run"].nunique() >= 1038
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    planned = about["runs"] + len(about["missing"])
    assert f"{about['runs']} of them)" in readme
    assert f"{about['runs']} of {planned} runs, {about['seconds']:,} s of training" in readme


def test_every_recorded_run_says_from_which_commit_it_is_and_what_it_gave():
    for folder in ("full", "languages", "manuals"):
        with open(ROOT / "data/results" / folder / "runs.csv", newline="", encoding="utf-8") as f:
            for run in csv.DictReader(f):
                assert re.fullmatch(r"[0-9a-f]{12}", run["commit"]), run["run"]  # a clean tree
                assert re.fullmatch(r"[0-9a-f]{16}", run["theta"]), run["run"]
                origin = ("date", "processor", "python", "torch", "numpy", "data")
                assert all(run[name] for name in origin), run["run"]


def test_what_is_called_equal_in_updates_is_so(full):
    runs = full.scores.drop_duplicates("run").set_index("run")
    equal = [run for run, changes in runs["changes"].items() if changes.get("updates") == "equal"]
    assert len(equal) >= 12
    for run in equal:
        usual = "vital-m3l-texts-s0" if run.startswith("vital-m3l-texts-") else "vital-m3l-s0"
        assert runs["updates"][run] == pytest.approx(runs["updates"][usual], rel=0.02), run


def test_numbers_of_the_recorded_corpus_in_prose_are_those_of_the_record(full):
    articles = f"{full.about['articles']['vital']:,}"
    caveats = (PAPER / "caveats.csv").read_text(encoding="utf-8")
    assert f"these models on {articles}." in caveats
    illustrated = full.scores[full.scores["run"] == "vital-kd-en-image-one-picture-s0"].iloc[0]
    for path in ("book/index.md", "book/conclusion.ipynb", "data/paper/caveats.csv"):
        said = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"\b{illustrated['tuples']}\b", said), path
    texts = full.scores[full.scores["run"] == "vital-m3l-texts-s0"].iloc[0]
    page = (ROOT / "book" / "conclusion.ipynb").read_text(encoding="utf-8")
    whole = full.scores[full.scores["run"] == "vital-m3l-s0"].iloc[0]
    made = f"joint training makes {int(texts['updates']):,} on {articles} pairs, and"
    assert f"{made} {int(whole['updates']):,} on {int(whole['tuples']):,} tuples" in page
    long = full.scores[full.scores["run"] == "vital-m3l-texts-e400-s0"].iloc[0]
    words = (ROOT / "book" / "13-words-or-vectors.ipynb").read_text(encoding="utf-8")
    assert f"makes {int(long['updates']):,} updates, more than the paper's 62,500" in words
    (claim,) = (c for c in read_claims(PAPER / "claims.csv") if c.id == "m3l-competitive")
    verdicts = (ROOT / "book" / "verdicts.ipynb").read_text(encoding="utf-8")
    assert f"is {claim.threshold:g} times ZeroshotTM's score" in verdicts


def test_what_prose_says_of_the_terms_of_the_loss_and_of_fewer_words_is_recorded(full):
    def scores(corpus, model, what, direction, views, column="score"):
        own = full.scores[full.scores["part"] == "test"].query(
            "corpus == @corpus and model == @model and direction == @direction and views == @views"
        )
        return own[own["changes"].map(what.__eq__)][column].mean()

    margins = read_margins(PAPER / "margins.csv")
    for corpus, a, b in (("vital", "en", "fr"), ("emoji", "en", "de")):
        where = f"{a} → {b}", f"{a} {b} image"
        whole, without, alone = (
            scores(corpus, "M3L-Contrast", what, *where)
            for what in ({}, {"contrast": "none"}, {"agreement": "none"})
        )
        assert without < whole / 4, "little alignment is left"
        assert abs(alone - whole) < margins["MRR"], "the KL term adds nothing that seeds show"
        apart, usual = (
            scores(corpus, "M3L-Contrast", what, *where, "jsd")
            for what in ({"contrast": "none"}, {})
        )
        assert 2.5 < apart / usual < 3.5, "about three times as far apart"
    whole = scores("vital", "PLTM", {}, "en → fr", "en fr")
    for fewer in ({"words": 0.5}, {"articles": 1500}):
        assert scores("vital", "PLTM", fewer, "en → fr", "en fr") < whole
    assert sum(path.stat().st_size for path in FULL.rglob("*")) <= 20 * 2**20


def test_the_main_models_were_recorded_with_twenty_seeds_whose_scores_are_means_of_values(full):
    for model in ("ZeroshotTM", "M3L-Contrast", "PLTM", "ZeroshotTM-KD"):
        found = full.measured["vital", "multilingual", "MRR", "en-de", Contender(model)]
        assert len(found.values) == 20
        own = full.scores.query("model == @model and variant == '' and corpus == 'vital'")
        assert own["seed"].nunique() == 20 and set(own["part"]) == {"test", "validation"}
        if model == "PLTM":
            rows = own.query("part == 'test' and query == 'en' and item == 'fr'")
            scores = rows.sort_values("seed")["score"]
            assert np.allclose(scores, found.values.mean(axis=1), atol=1e-4)


def test_what_is_varied_is_a_value_of_its_own_type(full):
    varied = full.scores.drop_duplicates("name").set_index("name")["changes"]
    assert varied["M3L-Contrast (topics 25)"] == {"topics": 25}
    assert varied["PLTM (words 0.25)"] == {"words": 0.25}
    assert varied["M3L-Contrast (objective paper)"] == {"objective": "paper"}


def test_the_view_whose_network_reads_the_others_follows_from_the_views(full):
    runs = full.scores.drop_duplicates(["model", "trained"]).set_index(["model", "trained"])
    home, setting = runs["home"], runs["setting"]
    assert home["ZeroshotTM", "fr"] == "fr"
    assert home["ZeroshotTM-KD", "fr to en"] == home["ZeroshotTM-KD", "fr to image"] == "fr"
    assert home["M3L-Contrast", "en + fr"] == "" != setting["M3L-Contrast", "en + fr"]
    assert setting["M3L-Contrast", "en + fr + image"] == "multimodal"


def test_nothing_recorded_is_no_results_and_a_folder_without_any_is_named(tmp_path):
    nothing = load_recorded("")
    assert nothing == Recorded() and nothing.verdicts(str(PAPER)) == {}
    assert not any(map(len, (nothing.scores, nothing.curves, nothing.alignment)))
    with pytest.raises(DataError, match="no recorded results there"):
        load_recorded(tmp_path)


def test_views_that_the_runs_of_a_chapter_do_not_read_keep_their_part(full):
    own = {"vital": {"en": "en", "fr": "de"}, "mine": {"en": "en", "fi": "de"}}
    roles = full.roles_with(own)
    assert roles["vital"] == {"en": "en", "fr": "de", "image": "image"}
    assert roles["mine"] == own["mine"] and roles["emoji"] == full.roles["emoji"]


def test_equal_arrays_are_kept_once(tmp_path):
    values, units = np.random.default_rng(0).random((3, 50)), np.arange(50)
    who = [contender("A"), contender("A", {"topics": 100}), contender("B")]
    measured = {("c", "s", "MRR", "en-de", w): Measured(values, units) for w in who[:2]}
    measured["c", "s", "MRR", "en-de", who[2]] = Measured(values + 1, units)
    save_measurements(tmp_path / "m", measured)
    assert len(np.load(tmp_path / "m" / "values.npz").files) == 3


# a build beside what is recorded

LANGUAGES = {
    "replicates": {"ZeroshotTM": 0.9, "PLTM": 0.5, "ZeroshotTM-KD": 0.4, "M3L-Contrast": 0.8},
    "differs": {"ZeroshotTM": 0.4, "PLTM": 0.5, "ZeroshotTM-KD": 0.3, "M3L-Contrast": 0.1},
    "undecided": {"ZeroshotTM": 0.5, "PLTM": 0.5, "ZeroshotTM-KD": 0.3, "M3L-Contrast": 0.34},
}


def judged(outcome, seeds=3):
    """The claim that ZeroshotTM is first between languages, by its id, as it comes out."""
    (claim,) = (c for c in read_claims(PAPER / "claims.csv") if c.id == "zeroshot-wins-text")
    rng = np.random.default_rng(0)
    found = {
        ("vital", "multilingual", "MRR", "en-de", Contender(name)): Measured(
            mean + 0.02 * rng.standard_normal((seeds, 400)), np.arange(400)
        )
        for name, mean in LANGUAGES[outcome].items()
    }
    return {claim.id: judge(claim, found, lambda *_: None)}


def test_a_builds_means_point_the_same_way_or_the_other():
    assert set(LANGUAGES) | {"no difference", "in part"} == set(OUTCOMES)
    verdicts = [judged(outcome) for outcome in LANGUAGES]
    replicates, differs, undecided = (v["zeroshot-wins-text"] for v in verdicts)
    one_seed = judged("replicates", seeds=1)
    here = one_seed["zeroshot-wins-text"]
    assert here.verdict == "undecided", "one seed decides nothing"
    assert record_check.points(replicates, here) == "same"
    assert record_check.points(differs, here) == "other"
    assert record_check.points(undecided, here) == record_check.points(replicates, None) == ""
    said = record_check.agreement(verdicts[1], one_seed)
    assert said.endswith(
        "the same way on 0; not on “Between languages ZeroshotTM retrieves best of all models”."
    )
    assert record_check.agreement(verdicts[0], one_seed).endswith("the same way on 1.")
    assert record_check.agreement(verdicts[2], one_seed) == ""


def results(values, topics=100, prepared="abc", pair="en-de", encoders="{}"):
    """Results of one model on `vital`, of which each seed's values are given, (S, N)."""
    key = "vital", "multilingual", "MRR", pair, Contender("PLTM")
    found = {key: Measured(np.asarray(values), np.arange(np.shape(values)[1]))}
    recorded = Recorded(None, {"prepared": {"vital": prepared}}, found)
    row = {"run": "r", "corpus": "vital", "contender": Contender("PLTM"), "topics": topics}
    row |= {"passes": 500, "batch_size": "", "encoders": encoders}
    recorded.__dict__["scores"] = pd.DataFrame([row])
    return recorded


def test_a_number_is_inside_where_another_recorded_seed_might_have_been():
    spread = np.random.default_rng(0).normal(0.4, 0.01, 5)[:, None] + np.zeros((5, 9))
    recorded, here = results(spread), results(np.full((1, 9), 0.41))
    near = record_check.held_against(recorded, here)
    (cell,) = near.values()
    assert cell.inside and cell.low < spread.min() < spread.max() < cell.high
    far = record_check.held_against(
        results(spread, pair="x"), results(np.full((1, 9), 0.5), pair="x")
    )
    said = record_check.summary(near | far)
    assert said.startswith("Of 2 scores that this build measured again, 1 lie")
    assert "Outside: PLTM MRR x on vital, 0.500 where" in said
    others = {"topics": 50}, {"prepared": "another"}, {"encoders": '{"en": "another"}'}
    for other in others:
        assert record_check.held_against(recorded, results([[0.4]], **other)) == {}
    assert "other corpora or settings" in record_check.summary({})


def test_bounds_hold_a_new_seed_as_often_as_they_say():
    random, outside = np.random.default_rng(1), 0
    for _ in range(400):
        seeds = random.normal(0.4, 0.05, 6)
        recorded, live = (results(values[:, None]) for values in (seeds[:5], seeds[5:]))
        (cell,) = record_check.held_against(recorded, live).values()
        outside += not cell.inside
    assert 5 <= outside <= 40, "one in twenty"


# what pages show of it


def test_what_came_out_is_listed_by_outcome():
    for outcome, words in (("replicates", "As the paper says:"), ("differs", "Otherwise than the")):
        verdicts = judged(outcome)
        shown = tables.came_out(verdicts.values())
        assert words in shown and shown.count("<ul>") == 1
        assert verdicts["zeroshot-wins-text"].claim.claim in unescape(shown)
    assert tables.came_out([]) == ""


def test_beside_a_verdict_stands_where_the_means_of_a_build_point():
    verdict, here = judged("differs").values(), judged("replicates", seeds=1)
    roles = {"vital": {"en": "en", "fr": "de"}}
    claims = tables.claims_frame(verdict)
    card = tables.cards(verdict, roles, claims, here, {})
    assert ">differs<" in card and "PLTM 0.5" in card
    assert "As in its table.</b> no number printed" in card and "study.</b> yes" in card
    assert "points the other way" in card and "en → fr" in card
    assert card.count('class="live"') == 1 and "; this build +0." in card
    untrained = tables.cards(verdict, roles, claims, {"x": None}, {})
    assert "not trained here" in untrained and 'class="live"' not in untrained
    assert "This build" not in tables.cards(verdict, roles, claims, {}, {})


def test_a_curve_to_fewer_updates_leaves_the_longer_one_that_was_recorded():
    def curve(model, updates, score):
        about = {"corpus": "c", "model": model, "seed": 0, "direction": "en → fr", "metric": "MRR"}
        return [{**about, "updates": end, "score": score} for end in updates]

    old = pd.DataFrame(curve("A", [10, 20], 0.5) + curve("B", [10, 20], 0.5)).astype(str)
    new = pd.DataFrame(curve("A", [5], 0.1) + curve("B", [10, 20], 0.2) + curve("C", [5], 0.3))
    kept = _no_shorter(new, old)
    assert kept["model"].tolist() == ["B", "B", "C"] and set(kept["score"]) == {0.2, 0.3}


def test_with_one_hidden_layer_the_recorded_order_between_languages_is_the_papers(full):
    where = "vital", "multilingual", "MRR", "en-de"
    one = {"hidden layers": 1}
    order = [contender("ZeroshotTM", one), contender("M3L-Contrast", one), Contender("PLTM")]
    first, second, third = (full.measured[*where, who].values.mean() for who in order)
    assert first > second > third > full.measured[*where, Contender("M3L-Contrast")].values.mean()


def test_runs_are_recorded_in_parts_and_none_takes_the_place_of_another(tmp_path, monkeypatch):
    """Where one language's ZeroshotTM is not there, the other's would stand in for it."""
    part = make_corpus(n=60, views=VIEWS, split=["test"] * 60)
    english, french, joint = (
        [run_record(part, model, views, seed=seed, quality=q) for seed in (0, 1, 2)]
        for model, views, q in (
            ("ZeroshotTM", ["en"], 1.0),
            ("ZeroshotTM", ["fr"], 6.0),
            ("M3L-Contrast", [*VIEWS], 3.0),
        )
    )
    everything = [*english, *french, *joint]
    for run in everything:
        run.metrics["environment"] = {}

    def keep(runs, folder="kept", variants=()):
        tests = {corpus_of(run): part for run in runs}
        known = measurements(with_variants(runs, dict(variants)), tests, raw_scores(tests))
        cards = {"small": {"counts": {"train": {"articles": 60}}}}
        collection = SimpleNamespace(records=runs, runs=runs, cards=cards, roles=roles(tests))
        about = {"roles": roles(tests), "generated": [], "prepared": {"small": "abc"}}
        here = Recorded(None, about, known, collection)
        here.__dict__["alignment"] = pd.DataFrame()
        monkeypatch.setattr(recording, "of_runs", lambda _: here)
        recording.record(collection, tmp_path / folder, "small", str(PAPER))
        kept = load_recorded(tmp_path / folder)
        return kept.measured, kept.read("runs.csv")["run"].tolist()

    whole, names = keep(everything)
    assert len(names) == 9
    key = "small", "multimodal", "UAP", "de-image", Contender("ZeroshotTM")
    assert whole[key].runs == tuple(run.folder.name for run in french)
    parts = (english, french[:1], [*joint[1:], *french[1:]], joint[:1])
    for part_of_them in parts:
        measured, names = keep(part_of_them, "parts")
    assert len(names) == 9 and measured.keys() == whole.keys()
    for key, own in whole.items():
        order = np.argsort(own.runs), np.argsort(measured[key].runs)
        assert sorted(measured[key].runs) == sorted(own.runs)
        for values, by in zip((own.values, measured[key].values), order, strict=True):
            assert len(by) in (0, len(values))
        np.testing.assert_array_equal(own.values[order[0]], measured[key].values[order[1]])
    index = tmp_path / "parts" / "measurements"
    lost = {k: replace(m, values=m.values[:2], runs=m.runs[:2]) for k, m in measured.items()}
    save_measurements(index, lost)
    with pytest.raises(DataError, match="measured is not recorded; make it again"):
        keep(english, "parts")
    topics = {run.folder.name: [{"topics": 3}] for run in english}
    en = "small", "multilingual", "MRR", "en-de"
    who, variant = Contender("ZeroshotTM"), contender("ZeroshotTM", {"topics": 3})
    before = keep(everything, variants=topics)[0][*en, variant].values
    other = english[0].metrics | {"scores": joint[0].metrics["scores"]}
    again = [replace(english[0], metrics=other)]
    measured, _ = keep(again, variants={name: topics[name] for name in [*topics][:1]})
    after, own = measured[*en, variant].values, measured[*en, who]
    np.testing.assert_array_equal(after, own.values[np.argsort(own.runs)])
    changed = [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert changed == [True, False, False]
