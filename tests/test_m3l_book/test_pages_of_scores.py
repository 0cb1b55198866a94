"""Chapters that compare runs: their cells run here on records that were made up, and their tables
are read.
"""

import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record, run_page
from PIL import Image
from scipy.sparse import csr_matrix, save_npz
from support import make_corpus

from m3l import DataError, Objective, model_for
from m3l.files import write_json
from m3l.metrics import jensen_shannon
from m3l.metrics.assessment import evaluate
from m3l.trained import word_distributions
from m3l_book.measured import Contender, Measured, contender_of
from m3l_book.recorded import Recorded
from m3l_book.records import results, selection
from m3l_book.records.collection import Collection
from m3l_book.tables.shared import topic_faults

MANUALS = Path(__file__).resolve().parents[2] / "data/results/manuals"
N = 60
TEXTS = ["en", "fr"]


@pytest.fixture(scope="module")
def part():
    """The test part, the last tuples without a picture; articles are called as their texts are."""
    part = make_corpus(n=N, views=VIEWS, split=["test"] * N)
    part.views["image"].index[50:] = -1
    for view in TEXTS:
        part.views[view].item_ids[:] = part.article_ids
    return part.subset(np.arange(N))


def with_validation(run, part, **params):
    """A record with scores of a validation part, and with what it was trained on."""
    run.params |= params
    run.metrics["validation"] = evaluate(run.theta, part.select(list(run.theta)))
    return run


@pytest.fixture(scope="module")
def runs(part):
    made = []
    for seed in (0, 1, 2):
        for a, b in (("en", "fr"), ("fr", "en")):
            teacher = f"ZeroshotTM-{a}-s{seed}"
            made.append(record(part, "ZeroshotTM", [a], seed=seed, quality=6.0))
            made[-1].metrics["seconds"] += 20 * (a == "fr")
            for view, quality in ((b, 1.0), ("image", 0.5)):
                own = [view], [a, view], seed, teacher
                made.append(record(part, "ZeroshotTM-KD", *own, quality=quality))
        made.append(record(part, "M3L-Contrast", TEXTS, TEXTS, seed, quality=2.0))
        made.append(record(part, "M3L-Contrast", list(VIEWS), seed=seed, quality=2.0))
        npmi = np.full(6, -0.1) if seed == 2 else None
        made.append(record(part, "PLTM", TEXTS, TEXTS, seed, quality=0.3, npmi=npmi))
    for changes in ({"priors": "optimised"}, {"floor": -4}, {"priors": "optimised", "floor": 0}):
        made.append(record(part, "PLTM", TEXTS, TEXTS, quality=1.0, variant=changes))
        made[-1].folder = Path(f"PLTM varied {len(made)}")
    return made


@pytest.fixture(scope="module")
def collection(runs, part, tmp_path_factory):
    """The runs with the folder of a prepared corpus."""
    folder = tmp_path_factory.mktemp("data") / "prepared" / "small"
    (folder / "images").mkdir(parents=True)
    pictures = part.views["image"].item_ids
    rows = {"tuple_id": part.tuple_ids, "article_id": part.article_ids, "split": "test"}
    rows |= {"image_id": [*pictures, *[None] * (N - len(pictures))]}
    rows["category"] = [None, *(["a", "b"] * N)[: N - 1]]
    for view in TEXTS:
        rows |= {f"{view}_title": [f"<{view}> {i}" for i in range(N)], f"{view}_text": "text"}
    pd.DataFrame(rows).to_parquet(folder / "tuples.parquet")
    for name in pictures:
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{name}.png")
    write_json(folder / "images.json", {str(name): f"{name}.png" for name in pictures})
    write_json(folder / "card.json", {"languages": TEXTS})
    for view in TEXTS:  # of the articles with a picture the eighth has most words
        words = np.ones(N) + (np.arange(N) == 7)
        save_npz(folder / f"bow_{view}.npz", csr_matrix(words[:, None]))
    collection = Collection(runs, str(folder.parents[1]))
    collection.tests = {selection.corpus_of(run): part.select(list(run.theta)) for run in runs}
    collection.cards = {"small": {"hashes": {"tuples": "x"}}}
    return collection


def page_of(collection, name, **parameters):
    with patch.object(Collection, "load", lambda *_: collection):
        return run_page(name, **{"recorded": "", **parameters})


@pytest.fixture(scope="module")
def retrieval(collection):
    return page_of(collection, "07-retrieval")


@pytest.fixture(scope="module")
def topics(collection, part):
    network = model_for(part, 6)
    texts = {view: part.views[view].vocabulary for view in TEXTS}
    with (
        patch("m3l_book.records.run.load_model", lambda _: network),
        patch("m3l_book.data.prepared.training_tokens", lambda _, view: [texts[view]] * 3),
    ):
        return page_of(collection, "08-topics", tuples={"small": ["t7", "t3"]})


def numbers_in(html):
    return [float(number) for number in re.findall(r"-?\d+\.\d{3}", html)]


# retrieval


HERE, THERE = "here", "in the paper"


def test_table_1_shows_the_records_and_the_papers_numbers(retrieval, runs):
    frame = retrieval.table("small: retrieval and JSD, between languages")
    rest = retrieval.table("small: the rest, between languages")
    models = ["PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast", "raw embeddings", "chance"]
    assert list(frame.index) == models
    columns = [("MRR en → fr", "MRR en → de"), ("JSD en – fr", "JSD en – de")]
    columns += [("NPMI en", "NPMI en"), ("NPMI fr", "NPMI de")]
    pairs = [column for pair in columns for column in zip((HERE, THERE), pair, strict=True)]
    assert list(frame.columns) == pairs
    assert list(rest.columns) == [(HERE, "MRR fr → en"), (HERE, "seconds")]
    test = results.scores(runs)
    main = results.as_in_the_paper(test[test["part"] == "test"], "multilingual")
    papers = ("PLTM", "0.333"), ("ZeroshotTM", "0.997"), ("ZeroshotTM-KD", "0.390")
    for model, paper in (*papers, ("M3L-Contrast", "0.684")):
        rows = main[(main["name"] == model) & (main["direction"] == "en → fr")]
        mean, cell = rows["score"].mean(), frame.loc[model, (HERE, "MRR en → fr")]
        assert cell.startswith(f"<b>{mean:.3f}</b><br>")
        assert frame.loc[model, (THERE, "MRR en → de")] == paper
        low, high = numbers_in(cell)[1:]
        assert low <= mean <= high
        back = main[(main["name"] == model) & (main["direction"] == "fr → en")]
        cell = rest.loc[model, (HERE, "MRR fr → en")]
        assert cell == f"<b>{back['score'].mean():.3f}</b>"
    seconds = rest[HERE, "seconds"]
    assert seconds["ZeroshotTM"] == "11" and seconds["ZeroshotTM-KD"] == "22", "with its teacher's"
    assert frame.loc["PLTM", (THERE, "NPMI en")] == "0.064"
    assert frame.loc["chance", (HERE, "NPMI en")] == "–"


def test_of_a_generated_world_the_paper_has_no_numbers(retrieval):
    with patch.dict(retrieval["found"].about, generated=["small"]):
        cells = retrieval["measured_cells"]("small", "multilingual")
    assert {group for _, (group, _) in cells} == {HERE}


def test_table_2_has_pictures_and_both_directions(retrieval):
    frame = retrieval.table("small: retrieval and JSD, text and picture")
    rest = retrieval.table("small: the rest, text and picture")
    assert list(frame.index)[:3] == ["ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"]
    assert {"UAP en → image", "JSD en – image", "UAP fr → image"} <= set(frame[HERE].columns)
    assert {"UAP image → en", "UAP image → fr", "NPMI fr", "seconds"} <= set(rest[HERE].columns)
    assert frame.loc["ZeroshotTM-KD", (THERE, "UAP de → image")] == "0.093"
    assert rest.loc["M3L-Contrast", (THERE, "NPMI en")] == "0.122"
    raw = retrieval["raw"].set_index("direction")["score"]
    shown = retrieval["further_cells"]("small", "multimodal")
    assert shown["raw embeddings", (HERE, "UAP image → en")] == f"{raw['image → en']:.3f}"


def test_a_model_is_ahead_if_the_interval_leaves_out_zero_and_seeds_are_enough(retrieval):
    rng = np.random.default_rng(0)
    first, second = Contender("ZeroshotTM"), Contender("M3L-Contrast")
    base = rng.random((1, 200)) + 0.05 * rng.standard_normal((3, 200))

    def ahead(shift, seeds=3):
        where, units = ("small", "multilingual", "MRR", "en-de"), np.arange(200)
        noise = 0.05 * rng.standard_normal((seeds, 200))
        measured = {(*where, first): Measured(base[:seeds] + shift + noise, units)}
        measured[*where, second] = Measured(base[:seeds], units)
        with patch.dict(retrieval, found=Recorded(None, {}, measured)):
            ((*_, one, other, difference, low, high, who),) = retrieval["compared"](first, second)
        assert difference == pytest.approx(one - other) and low < difference < high
        return who

    assert ahead(0.1) == "ZeroshotTM" and ahead(-0.1) == "M3L-Contrast"
    assert ahead(0.0) == "undecided" and ahead(0.1, seeds=2) == "fewer than 3 seeds"


def test_other_homes_are_those_the_tables_left_out(retrieval, runs):
    table = retrieval.table("Directions answered by the other language's model")
    key = ["model", "from → to", "model of"]
    row = table.set_index(key).loc["ZeroshotTM", "en → fr", "fr"]
    scores = results.scores(runs)
    rows = scores[(scores["direction"] == "en → fr") & (scores["model"] == "ZeroshotTM")]
    means = rows.groupby("home")["score"].mean()
    assert row["score"] == pytest.approx(means["fr"])
    assert row["in the tables"] == pytest.approx(means["en"])


def test_variants_stand_after_the_model_they_vary(retrieval):
    table = retrieval.table("Runs with another choice in one place")
    assert table["name"].tolist() == ["PLTM", "PLTM (priors optimised)"] * 2
    assert table["seeds"].tolist() == [3, 1] * 2, "neither two choices at once nor the floor"
    assert table["±"].notna().tolist() == [True, False] * 2


def test_queries_lead_to_what_was_ranked_first_and_pictures_to_those_of_their_article(
    retrieval, collection, part
):
    table = retrieval.table("small, en → fr: queries and what was found, the model trained with")
    assert len(table) == 3
    run = collection.first_of("M3L-Contrast")[1]
    assert set(run.theta) == set(VIEWS)
    for row in table.to_dict("records"):
        item = int(row["query"].split()[1])
        assert row["partner"] == f"<fr> {item}"
        assert row["its top topic (en)"].startswith(f"en{10 * run.theta['en'][item].argmax()},")
        divergence = retrieval["jensen_shannon"](run.theta["en"][item], run.theta["fr"])
        assert row["came first"] == f"<fr> {divergence.argmin()}"
        place = (divergence < divergence[item]).sum()
        assert row["reciprocal rank"] == pytest.approx(1 / (place + 1))
    test = part.select(list(VIEWS))
    with patch.dict(retrieval, queries=N):
        drawn = list(retrieval["example_pictures"](run, test, "en"))
    assert {article for article, _, _ in drawn} == {f"t{i}" for i in range(50)}
    for article, (own, first, *_), topic in drawn:
        assert own == f"image-{article[1:]}"
        assert topic == run.theta["image"][int(first.split("-")[1])].argmax()
    shown = [text for text in retrieval.figures if text.startswith("Pictures for <en> ")]
    assert len(shown) == 3, "titles as they are: a caption is plain text"


def test_the_running_article_is_ranked_by_each_model(retrieval, runs, part):
    table = retrieval.table("small: ranks at which partners of the running article are found")
    assert set(table["model"]) == {"PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"}
    run = next(r for r in runs if (r.params["model"], r.params["seed"]) == ("PLTM", 0))
    distance = jensen_shannon(run.theta["en"][7], run.theta["fr"])
    rank = 1 + (distance < distance[7]).sum()
    own = table[(table["model"] == "PLTM") & (table["seed"] == 0)]
    assert own["en → fr"].tolist() == [pytest.approx(rank)]


# topics


def test_a_reading_shows_each_views_top_topic_in_every_language(topics, collection, runs):
    frame = topics.table("How each model reads tuple t7")
    names = ["PLTM", "ZeroshotTM<br><small>from en</small>"]
    assert frame["model"].tolist()[:2] == names and list(frame.columns) == ["model", *VIEWS]
    assert frame["model"].str.startswith("ZeroshotTM-KD<br><small>from en to fr").any()
    assert len(frame) == 1 + 1 + 2 + 1, "of the first language alone"
    (run,) = topics["joint_models"]["small"]
    assert list(run.theta) == list(VIEWS), "of the joint models the one with pictures"
    k, cell = int(run.theta["image"][7].argmax()), frame["image"].iloc[-1]
    assert cell.startswith(f"<b>{k}</b>") and f"en{10 * k}" in cell and f"fr{10 * k}" in cell
    assert frame["image"].iloc[0] == "–", "PLTM has no pictures"
    assert len(topics.table("How each model reads tuple t3")) == len(frame)


def test_the_worst_tuples_are_those_farthest_apart_and_unknown_ones_are_named(topics, collection):
    (run,) = topics["joint_models"]["small"]
    row = next(s for s in run.metrics["scores"] if (s["query"], s["item"]) == ("en", "image"))
    worst = np.argsort(-row["divergences"], kind="stable")[:1]
    shown = [f"How each model reads tuple t{i}." for i in worst]
    assert set(shown) <= set(topics.tables)
    with pytest.raises(DataError, match="no test tuple or article is called 'nowhere'"):
        page_of(collection, "08-topics", tuples={"small": ["nowhere"]})


def test_worst_tuples_are_of_different_articles(topics, part):
    rows = topics["with_both"](part, "en", "image")
    assert rows.tolist() == list(range(50))
    twice = SimpleNamespace(article_ids=np.array(["a", "a", "b", "c"]))
    assert topics["of_other_articles"](twice, np.array([1, 0, 3, 2]), 2).tolist() == [1, 3]


def test_agreement_is_one_for_topics_that_are_the_labels_and_near_zero_for_chance(topics):
    agreement, labels = topics["agreement"], np.random.default_rng(0).integers(4, size=800)
    perfect = agreement(np.eye(4)[(labels + 1) % 4], labels)
    assert perfect == {"NMI": pytest.approx(1), "purity": 1.0}
    noise = agreement(np.eye(4)[np.random.default_rng(1).integers(4, size=800)], labels)
    assert noise["NMI"] < 0.02 and 0.2 < noise["purity"] < 0.4
    # by hand: topics {a, a, b} and {b}: 3 of 4 are of their topic's most frequent label
    by_hand = agreement(np.eye(2)[[0, 0, 0, 1]], np.array(["a", "a", "b", "b"]))
    assert by_hand["purity"] == 0.75
    for theta, message in ((np.eye(4), "4 items and 3 labels"), (np.eye(4)[:0], "0 items and 0")):
        with pytest.raises(DataError, match=message):
            agreement(theta, labels[: min(3, len(theta))])


def test_categories_are_told_by_the_network_that_was_trained_on_a_text(topics, collection):
    assert topics["known_labels"]("small", "en").tolist()[:3] == [None, "a", "b"]
    table = topics.table("What topics say of categories").set_index(["view", "model"])
    texts = ["PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast", "M3L-Contrast and pictures"]
    assert sorted(table.loc["en"].index) == sorted(texts)
    assert "ZeroshotTM, fr" in table.loc["image"].index and "PLTM" not in table.loc["image"].index
    assert table["purity"].between(0.5, 1).all()


def test_the_same_top_topic_is_counted_over_pairs_and_seeds(topics, runs, part):
    table = topics.table("How often the items of a pair have the same top topic").set_index("pair")
    same = [
        (run.theta["en"].argmax(axis=1) == run.theta["fr"].argmax(axis=1)).mean()
        for run in runs
        if str(run.folder.name).startswith("PLTM-en-fr")
    ]
    expected = f"{100 * np.mean(same):.1f} ± {100 * np.std(same, ddof=1):.1f}"
    assert table.loc["small en – fr", "PLTM"] == expected
    assert table.loc["small en – image", "PLTM"] == "–"


def test_the_words_of_topics_are_chosen_by_weight_probability_or_relevance(topics, part):
    model = model_for(part, 6)
    said = [[*model.vocabularies["en"]] + [model.vocabularies["en"][0]] * 3]
    weights = topics["weights_of_words"](model, "en", said)
    beta, probable = model.beta["en"].detach().numpy(), word_distributions(model, "en")
    assert np.array_equal(weights["weight in β"], beta)
    assert np.array_equal(weights["probability"], probable)
    share = np.array([5] + [2] * (probable.shape[1] - 1))  # one more than was said of each
    lift = np.log(probable * share.sum() / share)
    right = 0.6 * np.log(probable) + 0.4 * lift
    np.testing.assert_allclose(weights["relevance"], right, rtol=1e-5)
    table = topics.table("small: words of M3L-Contrast's topics")
    assert len(table) == 3 * len(TEXTS) and table["diversity"].between(0, 1).all()


def test_junk_topics_are_told_by_their_fault(part):
    npmi = np.array([0.3, -0.1, 0.2, 0.1, 0.1, 0.1])
    run = record(part, "M3L-Contrast", TEXTS, TEXTS, npmi=npmi)
    run.theta = {v: np.tile([0.4, 0.25, 0.2, 0.1, 0.05, 0.0], (N, 1)) for v in TEXTS}
    for view in TEXTS:
        run.theta[view][:10] = np.eye(6)[2]
        run.theta[view][10:20] = np.eye(6)[1]
        run.theta[view][20:25] = np.eye(6)[3]
        # 7 of 13 words in common
        run.topics[view][3] = [*run.topics[view][0][:7], "x", "y", "z"]
    faults = {row["topic"]: row["junk"] for row in topic_faults(run)}
    assert faults == {0: "", 1: "incoherent", 2: "", 3: "repeated: 0", 4: "unused", 5: "unused"}


def test_the_share_of_junk_is_that_of_each_model_over_seeds(topics, runs):
    table = topics.table("Junk topics, by model").set_index("model")["share of junk"]
    for model, trained in (("PLTM", TEXTS), ("M3L-Contrast, with pictures", list(VIEWS))):
        own = [r for r in runs if r.params["train_views"] == trained and not r.params["variant"]]
        own = [r for r in own if model.startswith(r.params["model"])]
        shares = [np.mean([bool(row["junk"]) for row in topic_faults(run)]) for run in own]
        assert len(own) == 3 and table[model] == pytest.approx(np.mean(shares))


# choices


def score_of(run, query="en", item="fr"):
    """A run's score on the validation part in one direction."""
    rows = run.metrics["validation"]
    return next(r["score"] for r in rows if (r["query"], r["item"]) == (query, item))


@pytest.fixture(scope="module")
def chosen(part):
    """Runs that differ in the floor: two seeds each, one with another change, one alone."""
    made = [record(part, "M3L-Contrast", list(VIEWS), seed=s) for s in (0, 1)]
    lower = {"quality": 0.5, "variant": {"floor": -4}}
    made += [record(part, "M3L-Contrast", list(VIEWS), seed=s, **lower) for s in (0, 1)]
    two = {"floor": -4, "topics": 25}
    made.append(record(part, "M3L-Contrast", list(VIEWS), quality=9.0, variant=two))
    made.append(record(part, "ZeroshotTM", ["en"]))
    for number, run in enumerate(made):
        run.folder = SimpleNamespace(name=f"run {number}")
        with_validation(run, part, batch_size=16, epochs=4)
        last = {f"{r['query']}>{r['item']}": r["score"] for r in run.metrics["validation"]}
        looks = enumerate((0.25, 0.5, 0.75, 1.0), start=1)
        run.history = [{"epoch": i} | {k: x * v for k, v in last.items()} for i, x in looks]
        run.metrics["training_tuples"] = 40
    return made


def choices_of(runs, **parameters):
    return page_of(Collection(runs, "data"), "06-validation", **parameters)


def test_a_choice_is_shown_with_its_validation_scores_the_usual_value_first(chosen):
    page = choices_of(chosen)
    table = page.table("Scores on the validation part by floor, in this build")
    assert table["floor"].tolist() == ["-2", "-4"] and table["seeds"].tolist() == [2, 2]
    assert table["model"].tolist() == ["M3L-Contrast, en + fr + image"] * 2, "what does not vary"
    for place, two in ((0, chosen[:2]), (1, chosen[2:4])):
        scores = [score_of(run) for run in two]
        expected = f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"
        assert table["MRR en → fr"][place] == expected
    assert "No runs that differ in objective are here or recorded." in page.said


def test_values_that_are_above_the_one_used_by_more_than_seeds_differ_are_named(chosen, part):

    def told(runs):
        return " ".join(unescape(choices_of(runs).said).split())

    page = choices_of(chosen)
    assert page["dot"].std() < Objective.preset("paper").temperature < page["cosine"].std()
    end = "Above it by more than the largest ± of its column: none."
    assert f"Used is **-2**. {end}" in told(chosen)
    better = record(part, "M3L-Contrast", list(VIEWS), quality=9.0, variant={"floor": 0})
    with_validation(better, part, batch_size=16).folder = SimpleNamespace(name="more")
    assert "column: 0 (M3L-Contrast, en + fr + image, MRR en → fr)" in told([*chosen, better])


def test_recorded_choices_are_read_as_those_of_this_build(chosen, tmp_path):
    kept = Recorded(None, {}, {}, Collection(chosen, "data"))
    with patch("m3l_book.recorded.load_recorded", lambda _: kept):
        page = choices_of(chosen, recorded="somewhere")
    kinds = [f"Scores on the validation part by floor, {where}" for where in page["sources"]]
    assert len(kinds) == 2
    pd.testing.assert_frame_equal(*map(page.table, kinds))


def test_how_far_a_score_moved_at_the_end_is_said(chosen):
    table = choices_of(chosen).table("Scores at the end").set_index(["model", "direction"])
    mean = np.mean([score_of(run) for run in chosen[:2]])
    row = table.loc["M3L en + fr + image", "en → fr"]
    # 40 tuples are three batches of 16; the last look before 80 % of 12 updates is the third
    assert row["updates"] == "12" and row["score"] == pytest.approx(mean)
    assert row["moved"] == pytest.approx(mean / 4)


# words or vectors


@pytest.fixture(scope="module")
def compared(part):
    """Three models as they are and varied in one respect, on a validation part."""
    of_texts = TEXTS, TEXTS
    made = [
        record(part, "ZeroshotTM", ["en"], quality=4.0),
        record(part, "ZeroshotTM", ["fr"], quality=1.0),
        record(part, "ZeroshotTM", ["en"], variant={"articles": 500}, quality=3.0),
        record(part, "M3L-Contrast", *of_texts, quality=2.0),
        record(part, "M3L-Contrast", list(VIEWS), quality=9.0),
        record(part, "PLTM", *of_texts, quality=5.0),
        record(part, "PLTM", *of_texts, variant={"sweeps": 2000}, quality=2.6),
        record(part, "PLTM", *of_texts, variant={"sweeps": 100}, quality=2.5),
        record(part, "PLTM", *of_texts, variant={"articles": 500}, quality=0.5),
        record(part, "PLTM", *of_texts, variant={"reading": "one state"}, quality=0.6),
        record(part, "M3L-Contrast", *of_texts, variant={"articles": 500}, quality=1.0),
    ]
    for number, run in enumerate(made):
        run.folder = Path(f"run {number}")
        with_validation(run, part)
    return made


class Sampler:
    """Infers the topics of the PLTM of the main tables; one state of it says what it is told."""

    def __init__(self, theta, state):
        self.theta, self.state = theta, state

    def infer(self, bow, view, one_state=False, sweeps=0, burn_in=0, seed=0):
        return self.state[view] if one_state else self.theta[view]


def reasons(runs, kept=None, state=None):
    """The chapter on runs, and on recorded ones, with a sampler and an untrained network."""
    plain = next(run for run in runs if run.params["model"] == "PLTM")
    whole = make_corpus(n=N, views=TEXTS, split=["validation"] * N)
    one_language = make_corpus(n=N, views=["en"])
    network, sampler = model_for(one_language, 6), Sampler(plain.theta, state or plain.theta)
    recorded = Recorded() if kept is None else Recorded(None, {}, {}, Collection(kept, "data"))
    with (
        patch.object(Collection, "load", lambda *_: Collection(runs, "data")),
        patch("m3l_book.recorded.load_recorded", lambda _: recorded),
        patch("m3l_book.data.prepared.assemble", lambda *_: whole),
        patch(
            "m3l_book.records.run.load_model",
            lambda path: sampler if path.parent == plain.folder else network,
        ),
    ):
        return run_page("13-words-or-vectors", corpus="small", independent="")


@pytest.fixture(scope="module")
def chapter(compared):
    return reasons(compared)


def test_only_the_models_of_table_1_are_compared_from_the_first_language_to_the_second(
    chapter, compared
):
    rows = chapter["rows"]
    found = {(row.model, row.variant): row.score for row in rows.itertuples()}
    assert len(rows) == 9, "no other language's ZeroshotTM, no model of pictures"
    assert found["ZeroshotTM", ""] == score_of(compared[0])
    assert found["M3L-Contrast", ""] == score_of(compared[3])


def test_models_stand_beside_the_papers_numbers_recorded_ones_beside_this_builds(compared):
    kept = [run for run in compared if run.params["model"] == "PLTM"]
    page = reasons(compared, kept)
    table = page.table("Three models of Table 1").set_index("model")
    assert table["paper"].to_dict() == {
        "ZeroshotTM": "0.997",
        "M3L-Contrast": "0.684",
        "PLTM": "0.333",
    }
    assert table["recorded"].tolist() == ["–", "–", f"{score_of(compared[5]):.3f}"]
    assert table.loc["ZeroshotTM", "this build"] == f"{score_of(compared[0]):.3f}"
    assert set(page["best_known"]["source"]) == {"recorded"}, "the two are never mixed"


def test_variants_stand_in_the_order_of_their_values_under_what_they_change(chapter, compared):
    table = chapter.table("PLTM by its sampler").set_index("PLTM")
    names = ["as in the main tables", "sweeps 100", "sweeps 2000", "reading one state"]
    assert table.index.tolist() == names and list(table.columns) == ["this build"]
    assert table["this build"]["sweeps 100"] == f"{score_of(compared[7]):.3f}"


def test_orders_compare_what_was_trained_in_the_same_setting(chapter, compared):
    page = chapter
    table = page.table("Three models in the same settings").set_index("setting")
    orders = {"as in the main tables": "no", "articles 500": "yes"}
    assert table["the paper's order"].to_dict() == orders
    assert table.loc["articles 500", "M3L-Contrast"] == score_of(compared[10])
    assert "1 of\n2 settings (articles 500). ZeroshotTM is before PLTM in 1." in page.said


def test_a_curve_has_the_model_as_it_is_at_its_end(chapter, compared):
    page = chapter
    points = page["along"]("articles", page["rows"]["tuples"])
    found = {(row.model, row.x): row.score for row in points.itertuples()}
    assert set(points["model"]) == {"ZeroshotTM", "M3L-Contrast", "PLTM"} and len(found) == 6
    assert found["PLTM", 615] == score_of(compared[5])
    assert found["PLTM", 500] == score_of(compared[8])
    assert not len(page["along"]("words", 1.0)) and "Fewer words: no such run" in page.said


@pytest.mark.parametrize("alike, order", [(False, "is the paper's"), (True, "is not the paper's")])
def test_findings_follow_the_numbers(compared, alike, order):
    rng = np.random.default_rng(0)
    first, second = (rng.dirichlet(np.ones(6), N).astype(np.float32) for _ in TEXTS)
    page = reasons(compared, state={"en": first, "fr": first if alike else second})
    sampler = [score_of(compared[i]) for i in (5, 6, 7)]
    assert f"between {min(sampler):.3f} and {max(sampler):.3f}" in page.said
    plain, fewer = score_of(compared[0]), score_of(compared[2])
    text = f"With 500 training articles instead of all: ZeroshotTM from {plain:.3f} to {fewer:.3f}"
    more = f"M3L-Contrast from {score_of(compared[3]):.3f} to {score_of(compared[10]):.3f}"
    assert f"{text}, {more}, PLTM from {score_of(compared[5]):.3f} to" in page.said
    joint, (state,) = score_of(compared[3]), page["of_pltm"]["one state"]
    assert (state == 1.0) if alike else state < joint < plain
    assert f"Read off one state, PLTM scores {state:.3f}. Beside {plain:.3f}" in page.said
    assert f"the order {order}" in page.said
    ways = page.table("ZeroshotTM by how").set_index("inference")["score"].astype(float)
    assert len(ways) == 6 and f"Read off by {ways.idxmax()}, the best of 6 ways" in page.said
    assert f"by 20 samples it scores {ways['20 samples']:.3f}" in page.said


def test_ways_of_inference_are_scored_as_the_whole_evaluation_scores_and_stand_with_their_spread(
    chapter, compared
):
    table = chapter.table("PLTM by how a new document's").set_index("inference")["score"]
    assert table["mean of 100 sweeps"] == f"{score_of(compared[5]):.3f}" and len(table) == 6
    two = chapter["table_of_ways"]({("PLTM", "one state"): [0.1, 0.3]})
    assert two["score"].tolist() == ["0.200 ± 0.141"]


def test_the_runs_are_those_of_the_main_tables_and_their_absence_is_said(compared):
    assert selection.runs_of_texts(compared, "small", "PLTM") == [compared[5]]
    assert selection.runs_of_texts(compared, "small", "ZeroshotTM", "fr") == [compared[1]]
    with pytest.raises(DataError, match="no run of PLTM of texts alone is there"):
        page_of(Collection(compared[:2], "data"), "13-words-or-vectors", corpus="small")


# which model to take


def test_the_recommended_model_is_held_against_the_others_by_article_and_seed(
    part, runs, collection
):
    chosen = {"text network": "shared", "hidden layers": "1", "contrast on": "means"}
    made = [run for run in runs if not run.params["variant"]]
    for seed in range(3):
        made.append(
            record(part, "M3L-Contrast", list(VIEWS), seed=seed, quality=6.0, variant=chosen)
        )
        made[-1].metrics["validation"] = evaluate(made[-1].theta, part)
    found = Collection(made, "data")
    found.tests = {selection.corpus_of(run): part.select(list(run.theta)) for run in made}
    found.cards = collection.cards
    page = page_of(found, "recommended")
    table = page.table("small: the chosen model less each other").set_index("measure")
    values = {
        who: [
            r.metrics["scores"][0]["score"]
            for r in made
            if contender_of(r.params) == who and r.params["train_views"] == list(VIEWS)
        ]
        for who in page["VARIANTS"]
    }
    by = np.mean(values[page["CHOSEN"]]) - np.mean(values[page["VARIANTS"][0]])
    assert table.loc["MRR en → fr", "M3L-Contrast"].startswith(f"{by:+.3f} ± ")
    outcomes = [page["outcome"](*pair) for pair in ((0.2, 0.1), (-0.1, 0.11), (-0.2, 0.1))]
    assert outcomes == ["ahead", "cannot be told", "behind"]
    counted = page.table("In how many of these").set_index("other")
    assert counted.loc["PLTM"].sum() == (table["PLTM"] != "–").sum()
    assert len(page.table("small, validation part")) == 1, "only these were scored there"
    assert (
        "No such run is recorded"
        in page_of(Collection([], "data"), "recommended", recorded=str(MANUALS), longer="").said
    )
