"""What chapters compute on their pages: their cells run here, and their frames are read."""

import csv
import io
import json
import re
import runpy
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from book_support import VIEWS, record, run_page
from PIL import Image
from support import make_corpus

from m3l import DataError
from m3l.files import read_json, write_json
from m3l.metrics.assessment import evaluate
from m3l_book.measured import contender
from m3l_book.recorded import load_recorded
from m3l_book.records.collection import Collection
from m3l_book.records.selection import corpus_of
from m3l_book.tables.shared import own_direction

ROOT = Path(__file__).resolve().parents[2]
FULL = ROOT / "data" / "results" / "full"


@pytest.fixture(scope="module", autouse=True)
def at_the_root():
    """Recorded results are found from the project's folder, as chapters are run there."""
    with pytest.MonkeyPatch.context() as patches:
        patches.chdir(ROOT)
        yield


@pytest.fixture(scope="module")
def recorded():
    """Recorded scores as plain rows: those of the test part, with their runs' columns."""
    with open(FULL / "runs.csv", encoding="utf-8", newline="") as file:
        runs = {row["run"]: row for row in csv.DictReader(file)}
    with open(FULL / "scores.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    return [runs[row["run"]] | row for row in rows]


def spread_of(rows, **wanted):
    """Mean ± standard deviation of the scores of the rows with these values, by hand."""
    scores = [
        float(row["score"]) for row in rows if all(row[key] == v for key, v in wanted.items())
    ]
    return f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"


def test_curves_over_topics_are_the_recorded_means_with_the_papers_points(recorded):
    page = run_page("10-topic-numbers")
    where = {"corpus": "vital", "query": "en", "item": "fr", "model": "M3L-Contrast"}
    table = page.table("By the number of topics, between")
    table = table[(table["panel"] == "vital: en → fr, MRR") & (table["model"] == "M3L-Contrast")]
    shown = table.set_index("topics")["score"]
    for topics in (25, 50, 200):
        changes, text = json.dumps({"topics": str(topics)}), {"views": "en fr"}
        assert shown[topics] == spread_of(recorded, changes=changes, **where, **text)
    assert shown[100] == spread_of(recorded, changes="{}", views="en fr", **where)
    stars = {(star["panel"], star["model"]): star["score"] for star in page["stars"]}
    assert stars["vital: en → fr, MRR", "ZeroshotTM"] == 0.997
    assert stars["vital: fr → image, UAP", "M3L-Contrast"] == 0.102
    assert len(stars) == 4 + 3 + 3
    assert set(page["curve"]["item"]) == {"fr", "image"} and page["curve"]["forward"].all()
    order = list(dict.fromkeys(page["curve"]["model"]))
    assert order == ["PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"]


def test_batches_are_compared_at_equal_epochs_and_at_equal_updates(recorded):
    page = run_page("11-batch-sizes")
    table = page.table("What a batch size changes")
    assert (table["negatives between texts"] == 2 * table["batch"] - 2).all()
    by = table.groupby("experiment")
    assert set(by["batch"].apply(tuple)) == {(16, 32, 64, 128)}
    assert by["epochs"].nunique().to_dict() == {"equal epochs": 1, "equal updates": 4}
    ratio = by["updates"].max() / by["updates"].min()
    assert ratio["equal updates"] < 1.1 and ratio["equal epochs"] > 7
    means = page.table("By batch size").set_index(["panel", "experiment", "batch"])["score"]
    where = {"corpus": "vital", "query": "en", "item": "fr", "views": "en fr"}
    same = {"model": "M3L-Contrast", "changes": "{}"}
    for experiment in ("equal epochs", "equal updates"):
        mean = means["vital: en → fr, MRR", experiment, 32]
        assert mean == spread_of(recorded, **where, **same), "one run is in both experiments"
    stars = page["stars"]
    assert {star["model"] for star in stars} == {"M3L-Contrast"} and len(stars) == 3


@pytest.fixture(scope="module")
def combinations():
    return run_page("12-encoder-combinations")


@pytest.mark.parametrize(
    "encoders, row",
    [
        ("use-multilingual use-multilingual pocket-clip", ("CLIP", "CLIP")),
        ("use-multilingual use-multilingual efficientnet-lite0", ("multilingual SBERT", "ResNet")),
        ("e5-multilingual e5-multilingual pocket-clip", ("multilingual SBERT", "CLIP")),
        ("minilm-en corpus-lsi-de pocket-clip", ("monolingual SBERTs", "CLIP")),
        ("minilm-en corpus-lsi-de efficientnet-lite0", ("monolingual SBERTs", "ResNet")),
        (
            "clip-ViT-B-32-multilingual-v1 clip-ViT-B-32-multilingual-v1 clip-ViT-B-32",
            ("CLIP", "CLIP"),
        ),
        ("paraphrase paraphrase clip-ViT-B-32", ("multilingual SBERT", "CLIP")),
    ],
)
def test_a_combination_plays_the_part_of_a_row_of_table_4(combinations, encoders, row):
    by_view = dict(zip(("en", "de", "image"), encoders.split(), strict=True))
    assert combinations["paper_row"](by_view) == row
    assert len(combinations["printed"](*row)) == 6, "each row of the paper is found whole"


def test_table_4_has_a_row_for_each_combination_beside_the_papers_numbers(combinations):
    rows = combinations["combinations"]
    rows = rows[rows["corpus"] == "vital"]
    texts = {"", "aligned", "multilingual", "monolingual", "trained on the corpus"}
    assert {who.value("texts") for who in rows["contender"]} >= texts
    assert all(set(json.loads(encoders)) == {"en", "fr", "image"} for encoders in rows["encoders"])
    table = combinations.table("vital: M3L-Contrast by encoders, retrieval")
    apart, found = (
        combinations.table("vital: M3L-Contrast by encoders, Jensen"),
        combinations["found"],
    )
    assert table.shape == apart.shape == (len(rows), 8)
    assert set(apart["here"]) >= {"JSD en → fr", "JSD en → image", "JSD fr → image"}
    here, paper = table["here"], table["in the paper"]
    for who, cell in zip(rows["contender"], here["UAP en → image"], strict=True):
        mean = found.measured["vital", "multimodal", "UAP", "en-image", who].values.mean()
        assert cell.startswith(f"<b>{mean:.3f}</b><br>")
    for who, cell in zip(rows["contender"], here["MRR en → fr"], strict=True):
        mean = found.measured["vital", "multimodal", "MRR", "en-de", who].values.mean()
        assert cell.startswith(f"<b>{mean:.3f}</b>"), "of models that were trained with pictures"
    assert set(paper["MRR en → de"][paper["encoders"] == "CLIP,<br>CLIP"]) == {"0.613"}
    named = {
        " + ".join(dict.fromkeys(json.loads(encoders).values())) for encoders in rows["encoders"]
    }
    shown = combinations.table("vital: raw retrieval, and ten neighbours")
    assert set(shown["encoders"]) <= named and len(shown) >= 3
    aligned = shown.set_index("encoders").loc["use-multilingual + pocket-clip"]
    measured = found.alignment.query("corpus == 'vital'").set_index(["encoders", "views"])
    assert aligned["raw, en – fr"] == measured.loc[(aligned.name, "en – fr"), "there"]
    apart = shown[shown["encoders"].str.contains("minilm-en")]
    assert len(apart) and apart.filter(like="raw").isna().all(axis=None), "no space in common"


@pytest.fixture(scope="module")
def terms():
    return run_page("terms")


def test_each_term_is_left_out_beside_the_whole_model_on_both_corpora(terms, recorded):
    table = terms.table("The same in numbers").set_index(["corpus", "views", "direction"])
    assert set(terms["without"]["corpus"]) == {"vital", "emoji"}
    assert len(terms["without"].groupby(["corpus", "views"])) == 3
    where = {"corpus": "vital", "query": "en", "item": "fr", "model": "M3L-Contrast"}
    line = table.loc["vital", "en fr", "en → fr"]
    whole = line["M3L-Contrast"]
    assert whole == spread_of(recorded, changes="{}", views="en fr", **where)
    for term in ("contrast", "agreement"):
        changes = json.dumps({term: "none"})
        shown = line[f"M3L-Contrast ({term} none)"]
        assert shown == spread_of(recorded, changes=changes, views="en fr", **where)
    assert terms.said.count("improves the alignment of aligned embeddings") == 2


def test_the_hybrid_stands_beside_the_model_of_the_same_views(terms, recorded):
    table = terms.table("M3L-Contrast and the hybrid").set_index(["corpus", "direction"])
    where = {"corpus": "vital", "query": "en", "item": "fr", "model": "M3L-Contrast"}
    (views,) = {row["views"] for row in recorded if row["variant"] == "text network shared"}
    line = table.loc["vital", "en → fr"]
    assert line["M3L-Contrast"] == spread_of(recorded, changes="{}", views=views, **where)
    shared = spread_of(recorded, variant="text network shared", **where)
    assert line["M3L-Contrast (text network shared)"] == shared


NASTY = "</table><script>alert(1)</script> *x*"


def test_a_page_counts_what_became_of_a_table_and_shows_its_texts_as_they_are(tmp_path):
    words = [f"word{x}" for x in "abcdefghijkl"]
    rng, rows = np.random.default_rng(0), []
    for i in range(60):
        theme = 3 * (i % 4)
        text = " ".join(rng.choice(words[theme : theme + 3], 12))
        row = {"en_title": f"{NASTY} {i}", "en_text": f"{text} {i}", "es_text": text.upper()}
        name = f"{i}.png" if i % 2 else ""
        if name:
            Image.new("RGB", (40, 40), (4 * i, 0, 9)).save(tmp_path / name)
        rows.append({**row, "picture": name})
    rows[7]["en_text"] = "worda"  # one word, and es stays
    with open(tmp_path / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    options = {"path": str(tmp_path / "table.csv"), "languages": "en,es"}
    options |= {"image_column": "picture", "allow_missing": True}
    page = run_page(
        "01-data",
        data=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        corpora=["table"],
        options={"table": {**options, "licence": NASTY}},
        preparation={"table": {"min_words": 3, "near_duplicates": "report"}},
    )
    card = page["cards"]["table"]
    table = page.table("The corpora of this build").set_index("part")
    for part, line in table.iterrows():
        assert line["tuples"] == card["counts"][part]["tuples"] > 0
        assert line["with a picture"] == card["counts"][part]["illustrated"]
    # half of the rows have a picture, and one of those too short a text
    assert table["tuples"].sum() == 29 and set(table["views"]) == {"en, es, image"}
    assert "1 in en, 0 in es documents had fewer than 3" in page.said
    assert all(NASTY in cell for cell in page.table("table: a few tuples")["en"])
    said, _, _ = page.said.partition("How this page was made")
    assert "<script>" not in said and "&#60;script&#62;" in said
    pairs = len(card["near_duplicates"])
    assert f"**table**: {pairs or 'no'} pairs of items" in page.said

    encoders = {"en": ["corpus-lsi-en"], "es": ["corpus-lsi-es"]}
    page = run_page(
        "02-encoders",
        data=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        encoders={"table": encoders},
    )
    encoded = page.table("What was encoded")
    for row in encoded.itertuples():
        path = tmp_path / f"data/embeddings/table/{row.encoder}/{row.view}.npy"
        assert (row.items, row.dimensions) == np.load(path).shape
    assert encoded["view"].tolist() == ["en", "es"]
    assert "No two views share a space here" in page.said, "each is trained on one language"


def test_the_running_article_of_a_corpus_of_pairs_may_lack_the_last_language(tmp_path):
    lines = ["id,split,en_text,de_text,fr_text"]
    for i in range(20):
        pair = "Pferd Fluss," if i % 2 == 0 else ",cheval fleuve"
        lines.append(f"a{i:02},{'test' if i < 6 else 'train'},horse river {i},{pair}")
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    options = {"path": str(tmp_path / "table.csv"), "languages": "en,de,fr", "id_column": "id"}
    page = run_page(
        "01-data",
        data=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        corpora=["table"],
        options={"table": {**options, "split_column": "split", "allow_missing": True}},
        preparation={"table": {"min_words": 1, "incomplete": "pairs", "leakage": "keep"}},
    )
    assert set(page["rows"]["tuple_id"]) == {"a00"}
    assert "the first words of one de document" in page.said


PART = {"tuples": 5, "articles": 4, "illustrated": 2, "pictures": 3}
PAIRS = [
    {"view": "image", "split": "test", "likeness": 0.5, "train": "a", "other": "b"},
    {"view": "en", "split": "validation", "likeness": 0.6, "train": "b", "other": "a"},
]
CARD = {
    "languages": ["en", "de"],
    "near_duplicates": PAIRS,
    "illustration": {"titles": 7, "pictures": 12, "denied": 2, "of_two_titles": 1},
    "join": {
        "train": {"rows": 1200, "found": 1000, "gone": 200},
        "test": {"rows": 50, "found": 50},
    },
    "counts": {
        **{"train": PART, "validation": dict.fromkeys(PART, 0), "test": PART},
        "documents_dropped_as_too_short": {"en": {"train": 1, "test": 2}, "de": {"train": 0}},
        **{"tuples_dropped_as_incomplete": 4, "leaking_tuples": 3},
    },
    **{"vocabularies": {"en": 40, "de": 50}, "vocabulary_size": 50, "min_words": 5, "options": {}},
}


def test_a_page_says_by_hand_what_was_left_out_of_a_corpus_and_how_right_its_pictures_are(tmp_path):
    folder, readings = tmp_path / "prepared" / "c", tmp_path / "read.csv"
    folder.mkdir(parents=True)
    write_json(folder / "card.json", CARD)
    rows = {
        "tuple_id": ["a", "b"],
        "article_id": ["a", "b"],
        "split": "test",
        "en_title": [NASTY, "Chad"],
        "image_id": None,
    }
    rows |= {"en_text": "one two", "de_title": "x", "de_text": "eins zwei"}
    pd.DataFrame(rows).to_parquet(folder / "tuples.parquet")
    pd.DataFrame({"right": ["no", *["yes"] * 49]}).to_csv(readings, index=False)
    about = {"data": str(tmp_path), "corpora": ["c"], "readings": str(readings)}
    with (
        patch("m3l_book.data.sources.load_source", lambda *_, **__: None),
        patch("m3l_book.data.prepare.prepare", lambda *_, **__: CARD),
    ):
        page = run_page("01-data", until="4c3e9a6d", **about)
    said = " ".join(page.said.split())
    assert "3 in en, 0 in de documents had fewer than 5 words, and 4 tuples were" in said
    assert "3 were left out because an item of theirs stands in a later part too" in said
    assert "12 pictures were found for 7 titles, 2 were denied, and 1 that" in said
    assert "Of 50 drawn at random, **98.0%** show what" in said
    assert "(89.5% to 99.6%)" in said, "Wilson's interval"
    assert "2 pairs of items" in said and "1 image (test), 1 en (validation)." in said
    near = page.table("c: near-duplicates across parts")
    assert near["in the other part"].tolist() == ["Chad", NASTY]
    listed = page.table("c: tuples of the lists").set_index("tuples")
    assert list(listed.index) == ["asked for", "found", "gone"]
    assert listed["train"].tolist() == [1200, 1000, 200] and listed["test"].tolist() == [50, 50, 0]


# a corpus whose runs were trained on fewer articles too
@pytest.fixture(scope="module")
def part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


@pytest.fixture(scope="module")
def runs(part):
    def validated(model, trained, quality, seed=0, **more):
        made = record(part, model, trained, quality=quality, seed=seed, **more)
        made.metrics["validation"] = made.metrics["scores"]
        made.params["epochs"], made.params["batch_size"] = 10, 32
        name = f"{made.folder.name}-{quality}"
        return replace(made, folder=SimpleNamespace(name=name))

    found, fewer = [], {"variant": {"articles": 100}}
    for seed in (0, 1, 2):
        found.append(validated("M3L-Contrast", VIEWS, 3.0, seed))
        found.append(validated("M3L-Contrast", VIEWS, 0.5, seed, **fewer))
        found.append(validated("PLTM", ("en", "fr"), 1.0, seed, views=["en", "fr"]))
    found.append(validated("M3L-Contrast", VIEWS, 1.0, variant={"topics": 25}))
    return found


def own_corpus(runs, part, train=None, **parameters):
    """The chapter on a corpus of one's own, run on made-up records."""
    collection = Collection(runs, "data")
    collection.tests = {corpus_of(run): part.select(list(run.theta)) for run in runs}
    card = {"hashes": {"tuples": "x"}, "counts": {"train": {"articles": 400}}}
    collection.cards = {runs[0].params["corpus"]: card}
    train = train or make_corpus(n=40, views=VIEWS, words=60)
    with (
        patch.object(Collection, "load", lambda *_: collection),
        patch("m3l_book.data.prepared.assemble", lambda *_: train),
    ):
        return run_page("14-your-corpus", draws=20, **{"recorded": "", **parameters})


@pytest.fixture(scope="module")
def own(runs, part):
    return own_corpus(runs, part)


def test_a_curve_has_the_models_that_were_trained_on_fewer_articles(own, runs):
    points = own["shown"]
    assert own["corpus"] == "small" and set(points["model"]) == {"M3L-Contrast en + fr + image"}
    assert list(dict.fromkeys(points["panel"])) == ["en → fr, MRR", "en → image, UAP"]
    mine = points[points["panel"] == "en → fr, MRR"].groupby("articles")["score"]
    assert mine.count().to_dict() == {100: 3, 400: 3}
    assert mine.mean()[400] > mine.mean()[100]
    assert "was trained on fewer articles" not in own.said


def test_what_a_doubling_gave_is_estimated_with_an_interval(own, runs):
    steps = own.table("What a doubling of the training articles gave")
    assert len(steps) == 3 and set(steps["articles"]) == {"100 to 400"}
    first = steps.iloc[0]
    assert first["direction"] == "en → fr" and first["then"] == "it still rises"
    assert 0 < first["low"] < first["a doubling gave"] < first["high"]
    means = {
        articles: np.mean([
            row["score"]
            for run in runs
            if run.params["model"] == "M3L-Contrast" and run.params["variant"] == variant
            for row in run.metrics["validation"]
            if (row["query"], row["item"]) == ("en", "fr")
        ])
        for articles, variant in ((100, {"articles": 100}), (400, {}))
    }  # fmt: skip
    assert first["a doubling gave"] == pytest.approx((means[400] - means[100]) / 2)


def test_a_doubling_that_gave_next_to_nothing_is_not_decided(runs, part):
    whole = [run for run in runs if run.params["model"] == "PLTM"]
    fewer = []
    for run in whole:
        params = run.params | {"variant": {"articles": 100}}
        fewer.append(
            replace(run, params=params, folder=SimpleNamespace(name=f"{run.folder.name}-x"))
        )
    joint = [run for run in runs if not run.params["variant"]]
    page = own_corpus([*joint, *fewer], part)
    (then,) = page.table("What a doubling of the training articles gave")["then"]
    assert then == "not decided"


def test_a_corpus_without_such_runs_says_so_and_shows_the_rest(runs, part):
    plain = [run for run in runs if not run.params["variant"]]
    page = own_corpus(plain, part, elsewhere="", three="")
    assert "No model was trained on fewer articles, here or as recorded." in page.said
    assert "This build trained no model on fewer articles." in page.said
    assert not any(about.startswith("vital") for about in page.tables)
    assert len(page.table("small, en → fr: one model")) == 4


def test_what_was_recorded_is_shown_where_the_build_has_no_curve(runs, part):
    plain = [run for run in runs if not run.params["variant"]]
    vital = [replace(run, params=run.params | {"corpus": "vital"}) for run in plain]
    page = own_corpus(vital, part, recorded=str(FULL))
    shown = page["shown"]
    assert {"PLTM en + fr", "ZeroshotTM en", "M3L-Contrast en + fr"} <= set(shown["model"])
    assert set(shown["where"]) == {"as recorded"} and {500, 1500, 5651} < set(shown["articles"])
    whole = shown[(shown["run"] == "vital-m3l-s0") & (shown["panel"] == "en → fr, MRR")]
    with open(FULL / "scores.csv", encoding="utf-8") as file:
        (line,) = [x for x in file if x.startswith("vital-m3l-s0,validation,en,fr,MRR,")]
    assert whole["articles"].tolist() == [5651] and whole["score"].item() == float(
        line.split(",")[5]
    )


def test_encoders_of_one_language_are_compared_with_those_of_both(own):
    table = own.table("vital, en → fr: validation MRR").set_index("model")
    assert table.loc["ZeroshotTM", "aligned"] > table.loc["ZeroshotTM", "each its own"]
    assert table.loc["PLTM", "aligned"] == table.loc["PLTM", "each its own"]
    assert len(table) == 3


def test_what_a_third_language_gives_is_shown_as_recorded(own):
    table = own.table("vital-three, MRR en → fr").set_index("model")
    measured = load_recorded(FULL.parent / "languages").measured
    where = "vital-three", "multilingual", "MRR", "en-de"
    three, two = (
        measured[*where, contender("PLTM", changes)].values.mean()
        for changes in ({}, {"languages": "two"})
    )
    assert table.loc["PLTM", ["of two", "of three"]].tolist() == pytest.approx([two, three])
    assert table.loc["PLTM", "three less two"].startswith(f"{three - two:+.3f} ± ")
    assert len(table) == 2 and len(own.table("vital-three, NPMI en")) == 2


def test_a_smaller_test_part_flatters_and_says_less(own, runs, part):
    table = own.table("small, en → fr: one model")
    assert table["test articles"].tolist() == [10, 25, 50, 60]
    assert table["score"].is_monotonic_decreasing and table["chance"].is_monotonic_decreasing
    assert table["interval"].is_monotonic_decreasing
    rows = evaluate(own["model"].theta, part)
    whole = next(row for row in rows if (row["query"], row["item"]) == ("en", "fr"))
    last = table.iloc[-1]
    assert last["score"] == last["lowest"] == last["highest"] == pytest.approx(whole["score"])
    assert last["interval"] == pytest.approx((whole["high"] - whole["low"]) / 2)


def test_one_test_article_is_no_test_part(own, part, monkeypatch):
    monkeypatch.setitem(own, "by_topics", part.subset(np.arange(len(part)) < 1))
    with pytest.raises(DataError, match="small: one test article with en and fr"):
        own["smaller_tests"]("en", "fr")


def test_words_that_never_meet_are_counted_by_hand(runs, part):
    train = make_corpus(n=4, views=("en", "fr"), split=["train"] * 4)
    there = np.zeros((4, 30), dtype=np.int32)
    there[0, [0, 1]] = there[1, [0, 2]] = there[2, 0] = there[3, 2] = 1
    view = replace(train.views["en"], bow=sp.csr_matrix(there))
    train = replace(train, views={**train.views, "en": view})
    topics = {"en": [[train.views["en"].vocabulary[i] for i in (0, 1, 2)]]}
    own = [replace(run, topics=topics) for run in runs]
    (line,) = own_corpus(own, part, train).table("small: how often").to_dict("records")
    assert line["documents"] == 4 and line["documents a word"] == 2  # of 3, 1 and 2
    assert line["pairs never together"] == pytest.approx(1 / 3)


def test_encoders_are_listed_by_the_languages_that_they_know(own):
    table = own.table("small: its languages").set_index("language")
    assert table.loc["en", "known to"] == "use-multilingual, e5-multilingual, minilm-en"
    assert table.loc["fr", "known to"] == "use-multilingual, e5-multilingual"
    assert set(table["here"]) == {"x"}


def page_of_claims(name, runs, part, **parameters):
    """A page about all claims, of what is recorded beside made-up records."""
    collection, glued = Collection(runs, "data"), {}
    collection.tests = {corpus_of(run): part.select(list(run.theta)) for run in runs}
    collection.cards = {"small": {"hashes": {"tuples": "x"}}}
    with (
        patch.object(Collection, "load", lambda *_: collection),
        patch("myst_nb.glue", lambda name, shown, display: glued.update({name: shown})),
    ):
        return run_page(name, **parameters), glued


@pytest.fixture(scope="module")
def verdicts_page(runs, part):
    return page_of_claims("verdicts", runs, part)


@pytest.fixture(scope="module")
def conclusion(runs, part):
    return page_of_claims("conclusion", runs, part)[0]


def test_the_conclusion_shows_the_means_behind_the_main_claims_beside_the_papers(conclusion):
    page = conclusion
    means = page.table("Means over seeds behind the main claims")
    shown = means.set_index("measure")
    assert shown.index.is_unique
    # the same measure of models that were trained on other views
    main = {"zeroshot-jsd-text": "", "m3l-languages-farther": " (with pictures)"}
    for name, trained in main.items():
        verdict = page["judged"][name]
        for (corpus, pair, who), mean in verdict.means.items():
            if corpus == "vital":
                direction = own_direction(pair, page["found"].roles[corpus])
                line = shown.loc[f"JSD {direction}{trained}"]
                assert line["here", who.short] == mean
                assert line["in the paper", who.short] == verdict.paper_means[pair, who]


def test_the_conclusion_says_what_was_read_and_what_it_cost(conclusion, runs):
    corpora = conclusion.table("Corpora of this build")
    assert corpora.to_dict("records") == [
        {
            "corpus": "small",
            "training tuples, at most": 615,
            "encoders": "en: x; fr: x; image: x",
        }
    ]
    seconds = sum(run.metrics["seconds"] for run in runs) / 60
    assert f"trained {len(runs)} models in {seconds:.1f} min" in conclusion.said
    recorded = conclusion["found"].about["runs"]
    assert f"the recorded verdicts rest on {recorded} models" in conclusion.said


def test_the_conclusion_lists_each_claim_once_as_it_came_out_or_with_its_reason(conclusion):
    table = conclusion.table("Claims that these corpora")
    reasons = dict(zip(table["claim"], table["note"], strict=True))
    listed = conclusion.table("Every claim that was tested").set_index("claim")["verdict"]
    assert listed.index.is_unique
    for verdict in conclusion["judged"].values():
        if verdict.claim.counts:
            assert listed[verdict.claim.claim] == verdict.words
        elif verdict.claim.standing != "tested":
            assert reasons.pop(verdict.claim.claim)
    assert not reasons and "future work" in set(table["standing"])


def test_the_front_page_counts_the_verdicts_and_says_what_was_found(verdicts_page):
    page, glued = verdicts_page
    kept = read_json(FULL / "verdicts.json")
    judged = page["judged"]
    assert {name: verdict.verdict for name, verdict in judged.items()} == {
        name: verdict["verdict"] for name, verdict in kept.items()
    }
    tested = [v.verdict for v in judged.values() if v.claim.counts and v.by_corpus]
    said = unescape(glued["summary"].data)
    assert f"Of {len(tested)} claims that were put to the test at the paper's settings" in said
    words = {"replicates": "replicate", "differs": "differ", "undecided": "undecided"}
    words["in part"] = "replicate in part"
    words["mixed"] = "come out one way on one corpus and another on another"
    assert set(tested) - {"no difference"} == set(words)
    for outcome, told in words.items():
        assert f"<b>{tested.count(outcome)}</b> {told}" in said
    assert "other corpora or settings than the recorded ones" in said
    said = unescape(page.said)
    again = [v for v in page["tested"] if v.claim.restates]
    assert f"{len(again)} more repeat one of these" in said and len(again) >= 6
    for corpus in page["counting"]:
        assert f"On <code>{corpus}</code> alone, of " in said
    split = [v for v in judged.values() if v.claim.counts and v.by_corpus]
    split = [v for v in split if v.paper_agrees == "no"]
    assert f"For {len(split)} the paper's own table says otherwise than its words" in said
    with_table = sum(v.as_in_the_table == "yes" for v in split)
    assert f"agrees with the table on {with_table}." in said
    aside = [v for v in judged.values() if v.claim.standing != "tested"]
    assert f"{len(aside)} are shown and not counted" in said
    findings = unescape(glued["findings"].data)
    assert findings.count("<p>") == 3 and findings.count("Between languages") == 1


def test_the_figure_of_the_front_page_has_the_recorded_means_and_the_papers(verdicts_page):
    page, glued = verdicts_page
    about = unescape(glued["main-figure"].data)
    judged = page["judged"]
    for name, panel in (("zeroshot-wins-text", "MRR en → fr"), ("m3l-beats-kd-image", "UAP en → ")):
        verdict = judged[name]
        pair = verdict.claim.pairs[0]
        for who in (*verdict.claim.subject, *verdict.claim.others):
            mean, printed = verdict.means["vital", pair, who], verdict.paper_means[pair, who]
            for source, value in (("here", mean), ("the paper", printed)):
                part = about[about.index(f"{panel}") :]
                part = part[part.index(f", {source}: ") :].partition(". ")[0]
                assert f"{who.model} {value:.3f}" in part


def test_of_texts_alone_the_front_page_has_a_figure_of_languages(runs, part):
    texts = [run for run in runs if "image" not in run.theta]
    _, glued = page_of_claims("verdicts", texts, part, recorded="")
    about = glued["main-figure"].data
    assert "MRR en → fr" in about and "UAP" not in about
    assert "pictures" not in glued["findings"].data


def test_every_claim_that_counts_is_a_card_in_one_group(verdicts_page):
    page, _ = verdicts_page
    shown = [v.claim.id for own in page["groups"].values() for v in own]
    assert sorted(shown) == sorted(v.claim.id for v in page["tested"] if v.claim.counts)
    said = unescape(page.said)
    assert said.count("claim-card") >= len(shown)
    assert next(iter(page["groups"])) == "Between languages"


def test_every_comparison_is_listed_with_its_interval(verdicts_page):
    page, _ = verdicts_page
    file = re.search(r"data:text/csv;base64,([^\"]+)\"", page.said)[1]
    table, cases = pd.read_csv(io.BytesIO(b64decode(file))), []
    for verdict in page["judged"].values():
        cases += verdict.cases
    assert len(table) == len(cases) and set(table["right"]) == {"yes", "no", "equal", "undecided"}
    assert table["value"].tolist() == [case.value for case in cases]
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    sums = set(table["above zero if right"])
    assert {"ZeroshotTM − PLTM", "− ZeroshotTM + 0.5", "M3L-Contrast − 0.5"} <= sums
    (claim,) = (v.claim for v in page["judged"].values() if v.claim.id == "m3l-competitive")
    assert f"M3L-Contrast − {claim.threshold:g} · ZeroshotTM" in sums


def test_claims_that_are_not_counted_stand_with_their_reason(
    verdicts_page,
):
    page, _ = verdicts_page
    claims = page["claims"].set_index("id")
    for name, verdict in page["judged"].items():
        line = claims.loc[name]
        assert line["claim"] == verdict.claim.claim
        assert verdict.claim.standing == "tested" or line["note"], name
    said = unescape(page.said)
    for verdict in page["aside"]:
        assert verdict.claim.claim in said and verdict.claim.note in said
    assert len(page["aside"]) == (claims["standing"] != "tested").sum() >= 4
    sentences = page.table("The paper's sentences and their claims")
    for name, verdict in page["judged"].items():
        assert any(f"{name} ({verdict.words})" in cell for cell in sentences["claims"])
    needed = page.table("What would decide the undecided claims").set_index("claim")
    undecided = [v for v in page["judged"].values() if v.claim.counts]
    undecided = [v for v in undecided if v.verdict == "undecided"]
    assert set(needed.index) == {v.claim.claim for v in undecided}
    assert (needed["seeds needed"] >= needed["seeds so far"]).all()
    assert (needed["times as many articles"] >= 1).all()
    printed = page.table("Claims that the paper's own numbers do not satisfy")
    against = [v for v in page["judged"].values() if v.paper_agrees == "no"]
    for verdict, cell in zip(against, printed["printed"], strict=True):
        assert all(f"{mean:.3f}" in cell for mean in verdict.paper_means.values())


def job(name, seconds, memory, model="M3L-Contrast", teacher="", views=("en", "de")):
    params = {"corpus": "vital", "model": model, "train_views": list(views), "teacher": teacher}
    metrics = {"seconds": seconds, "memory_mb": memory, "data": "x"}
    return SimpleNamespace(folder=SimpleNamespace(name=name), params=params, metrics=metrics)


JOBS = [
    job("t", 10.0, 400, "ZeroshotTM", views=["en"]),
    job("s", 20.0, 500, "ZeroshotTM-KD", "t", ["de"]),
    job("a", 25.0, 600),
    job("b", 15.0, 700),
]
# what was measured: cores, views, tuples per second, and what else
SPEED = [
    (2, 3, 100.0, {}),
    (1, 3, 500.0, {"kernel": "fused"}),
    (1, 3, 480.0, {"jobs": 1}),
    (2, 3, 864.0, {"jobs": 2}),
    (1, 2, 600.0, {"kernel": "fused"}),
    (1, 1, 1000.0, {"kernel": "fused"}),
]


def page_on_scale(folder, gpu=None, speed=SPEED, **changed):
    """The chapter on scale, of four jobs and of speeds that were made up; ``changed`` is what else
    was measured of scale than is kept.
    """
    rows = [
        {"what": "", "cores": cores, "views": views, "tuples_per_second": rate, **more}
        for cores, views, rate, more in speed
    ]
    write_json(folder / "speed.json", {"rows": rows})
    kept = read_json(ROOT / "data" / "results" / "scale.json")
    write_json(folder / "scale.json", kept | changed)
    if gpu:
        write_json(folder / "gpu.json", gpu)
    with patch.object(Collection, "load", lambda *_: Collection(JOBS, "data")):
        return run_page("15-scale", runs=str(folder), measured=str(folder))


@pytest.fixture(scope="module")
def scale(tmp_path_factory):
    return page_on_scale(tmp_path_factory.mktemp("scale"))


def test_costs_are_counted_by_model_and_the_longest_chain_is_a_teacher_and_its_student(scale):
    joint = scale.table("What this build's training took").set_index("model").loc["M3L-Contrast"]
    columns = ["jobs", "seconds a job", "longest", "seconds together", "memory (MiB)"]
    assert joint[columns].tolist() == [2, 20.0, 25.0, 40.0, 700]
    assert "**4 jobs**" in scale.said and "takes 30 s" in scale.said
    assert "480 tuples a second, 2 jobs at once" in scale.said
    assert "864 together: an **efficiency of 90%**" in " ".join(scale.said.split())


def test_the_papers_grid_is_counted_whole(scale):
    grid = scale.table("The paper's experiments")
    # Tables 1 and 2: 1 + 2 + 4 + 2; two more topic numbers of all; three more batch sizes twice;
    # four more encoder rows
    assert grid["runs a seed"].sum() == 9 + 2 * 9 + 6 + 4
    joint = grid[grid["model"] == "M3L-Contrast"].iloc[0]
    assert joint["core-hours here"] == pytest.approx(2e6 / 600 / 3600)
    assert grid[grid["model"] == "PLTM"]["core-hours here"].isna().all()
    assert "**37 runs a seed**, 185 with 5 seeds" in scale.said


def test_the_bill_has_a_line_a_step_and_says_nothing_of_a_gpu_that_was_not_measured(scale):
    bill = scale.table("The paper's experiment, 5 seeds").set_index("step")
    assert len(bill) == 4 and bill["hours, a GPU"].isna().sum() == 3
    training = bill.loc["training, neural models"]
    # two jobs at once, as fast as they were measured
    hours = scale["grid"]["core-hours here"].sum() * 5 * 480 / 864
    assert training["hours, 2 cores"] == pytest.approx(hours)
    assert training["hours, 16 machines"] == pytest.approx(hours / 16)
    kept = read_json(ROOT / "data" / "results" / "scale.json")["parsers"]
    hub = [row["mb_per_second"] for row in kept if "wikimedia/" in row["what"]]
    reading = sum(1000 / speed for speed in hub) / 3600
    assert len(hub) == 3 and bill.iloc[0]["hours, 2 cores"] == pytest.approx(reading)
    assert "**No GPU was measured yet.**" in scale.said


def test_speed_of_an_encoder_goes_with_weights_and_tokens(scale):
    rates = scale["paper_encoders"]["items per second"]
    text = rates["paraphrase-multilingual-mpnet-base-v2"]
    assert text == pytest.approx(46.2 * 10.6e6 / (12 * 12 * 768**2))
    assert rates["clip-ViT-B-32"] == pytest.approx(text * 128 / 50)
    bill = scale.table("The paper's experiment, 5 seeds").set_index("step")
    items = {"clip-ViT-B-32": 23_278, "all-mpnet-base-v2": 21_000}
    items |= {"german-roberta-sentence-transformer-v2": 21_000}
    seconds = sum(items.get(name, 42_000) / rate for name, rate in rates.items())
    hours = bill.loc["encoding by five encoders", "hours, 2 cores"]
    assert hours == pytest.approx(seconds / 3600)


def test_what_lies_beyond_is_reckoned_from_what_was_measured(scale):
    assert scale["days"] == pytest.approx(
        2e7 / scale["paper_encoders"].loc["all-mpnet-base-v2", "items per second"] / 86400
    )


def test_the_bill_takes_the_speed_that_the_script_measures_on_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])  # the script adds to it
    gpu = runpy.run_path(str(ROOT / "benchmarks" / "gpu.py"))["measure"](128, 2, "cpu", [])
    assert gpu["parity"]["relative"] < gpu["tolerance"] and len(gpu["rows"]) == 4
    assert all(np.isfinite(row["loss"]) for row in gpu["rows"])
    page = page_on_scale(tmp_path, gpu)
    assert f"Measured on {gpu['device']}" in page.said and "No GPU" not in page.said
    assert len(page.table("Training on a GPU")) == 4
    rates = {r["views"]: r["tuples_per_second"] for r in gpu["rows"] if "without" not in r["what"]}
    neural = page["grid"][page["grid"]["model"] != "PLTM"]
    hours = (neural["runs a seed"] * 20_000 * 100 / neural["views"].map(rates)).sum() / 3600
    bill = page.table("The paper's experiment, 5 seeds").set_index("step")
    assert bill.loc["training, neural models", "hours, a GPU"] == pytest.approx(5 * hours)


def on_gpu(what, views, rate, epochs=5):
    """A row of what was measured on a card, whose seconds nothing is reckoned from."""
    about = {"what": what, "kernel": "plain", "views": views, "epochs": epochs, "seconds": 1.0}
    return about | {"tuples_per_second": rate}


def test_the_bill_by_hand_of_a_card_leaves_out_what_was_measured_without_pictures(tmp_path):
    gpu = {"device": "a card", "torch": "2.13", "measured": "2026-01-01", "memory_mb": 900}
    gpu |= {"tolerance": 2e-3, "parity": {"relative": 1e-5}, "rows": [on_gpu("a run", 3, 2e5, 100)]}
    gpu["rows"] += [on_gpu("without a picture", 3, 9)]
    gpu["rows"] += [on_gpu("fewer", views, 4e5) for views in (1, 2)]
    page = page_on_scale(tmp_path, gpu)
    for said in ("Measured on a card", "PyTorch 2.13", "1e-05 of it (tolerance 2e-03)", "900 MiB"):
        assert said in " ".join(page.said.split())
    table = page.table("Training on a GPU")
    assert table["tuples per second"].tolist() == [2e5, 9, 4e5, 4e5]
    neural = page["grid"][page["grid"]["model"] != "PLTM"]
    rates = neural["views"].map({1: 4e5, 2: 4e5, 3: 2e5})
    hours = (neural["runs a seed"] * 20_000 * 100 / rates).sum() / 3600
    bill = page.table("The paper's experiment, 5 seeds").set_index("step")
    assert bill.loc["training, neural models", "hours, a GPU"] == pytest.approx(5 * hours)


def test_what_was_not_measured_is_named_with_its_file(tmp_path):
    with pytest.raises(DataError, match=r"speed\.json: no measurement of one job alone"):
        page_on_scale(tmp_path, speed=SPEED[:2])
    with pytest.raises(DataError, match=r"scale\.json: no encoder of known size was measured"):
        page_on_scale(tmp_path, encoders=[{"what": "other", "items_per_second": 1.0}])


@pytest.mark.thorough
def test_the_script_for_a_gpu_runs_on_small_inputs(tmp_path):
    small = ["--device", "cpu", "--tuples", "128", "--epochs", "2", "--runs", "1"]
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", tmp_path / "gpu.json", *small]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(read_json(tmp_path / "gpu.json")["shared"]) == 1


def test_what_is_kept_of_scale_meets_what_is_promised_of_the_parsers():
    kept = read_json(ROOT / "data" / "results" / "scale.json")
    assert kept["machine"] and len(kept["parsers"]) == 4
    for row in kept["parsers"]:
        assert row["megabytes"] >= 1000 and row["found"] > 0 and not row["broken"]
        assert row["mb_per_second"] >= 50 and row["peak_mb"] < 500
    nearest = next(row for row in kept["distances"] if row["what"].startswith("five nearest"))
    assert nearest["seconds"] < 120, "of one core; of three views are three such pairs"
