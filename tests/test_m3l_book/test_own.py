"""A user's own corpus: her table looked at, and the profile that is made for it."""

import json

import jsonschema
import pytest

from m3l.errors import DataError, ParameterError
from m3l_book.own.command import corpus_name, main, pairs
from m3l_book.own.inspecting import inspect
from m3l_book.own.profile import (
    Wishes,
    as_yaml,
    choose_encoders,
    make_profile,
    settings_for,
    sizes_for,
)
from m3l_book.records import planning
from m3l_book.values import read_yaml

from .test_data import pictures, rows, written


def facts_of(folder, table, **options):
    return inspect(written(folder, table), **options)


def without_split(n=12, **more):
    return [{k: v for k, v in row.items() if k != "split"} for row in rows(n, **more)]


# looking


def test_languages_and_pictures_are_found_by_the_names_of_columns(tmp_path):
    pictures(tmp_path, ["a.png"])
    facts = facts_of(tmp_path, without_split(picture="a.png"))
    assert facts.languages == ["en", "de"]
    assert facts.columns["image"] == "picture"
    assert (facts.articles, facts.tuples, facts.pictures) == (12, 12, 12)
    assert facts.length == {"en": 6, "de": 6}
    assert facts.complete and facts.problems == []


def test_what_lacks_is_counted(tmp_path):
    table = without_split()
    table[0]["de_text"] = ""
    facts = facts_of(tmp_path, table)
    assert facts.texts == {"en": 12, "de": 11}
    assert "de: 1 articles have no text" in facts.notes
    assert not facts.complete


def test_html_in_texts_is_said_with_the_option_that_frees_them_of_it(tmp_path):
    table = without_split()
    table[0]["de_text"] += " &amp; <b>more</b>"
    notes = facts_of(tmp_path, table).notes
    assert "de texts that hold HTML: 1" in notes and any("--markup strip" in n for n in notes)
    stripped = facts_of(tmp_path, table, markup="strip").notes
    assert not any("--markup strip" in note for note in stripped)


def test_pictures_are_looked_for_and_not_decoded(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    assert facts_of(tmp_path, without_split(picture="a.png")).problems == []
    problems = facts_of(tmp_path, without_split(picture="b.png")).problems
    assert len(problems) == 12 and "no such picture" in problems[0]


def test_copies_are_said_before_anything_is_encoded(tmp_path):
    pictures(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    table = without_split(picture="a.png")
    table[3]["picture"] = "b.png"
    table[5]["en_text"] = table[4]["en_text"]
    notes = facts_of(tmp_path, table).notes
    assert any(
        "copies under another name: 1, such as 'b.png' of 'a.png'; one that" in note
        for note in notes
    )
    assert any("en: 1 texts stand in an earlier row too; one that" in note for note in notes)


def test_table_without_a_text_column_is_named(tmp_path):
    path = written(tmp_path, [{"title": "a", "body": "b"}])
    with pytest.raises(DataError, match=r"no column is called <language>_text.*title, body"):
        inspect(path)


def test_language_without_stopwords_and_script_without_blanks_are_said(tmp_path):
    table = [row | {"zh_text": "今天天气很好，我们去公园散步"} for row in without_split()]
    notes = " ".join(facts_of(tmp_path, table).notes)
    assert "zh: written without blanks, and cut into words by ICU" in notes
    table = [row | {"tlh_text": "nuqneH qapla tlhIngan maH"} for row in without_split()]
    assert "tlh: there is no list of stopwords" in " ".join(facts_of(tmp_path, table).notes)


# the profile


def valid(profile):
    from pathlib import Path

    schema = Path(__file__).parents[2] / "workflow" / "profile.schema.yaml"
    jsonschema.validate(profile, read_yaml(schema.read_text(encoding="utf-8")))
    return planning.make_plan(profile)


@pytest.mark.parametrize("shape", ["two languages", "one and pictures", "three and pictures"])
def test_profile_is_valid_and_runs_what_the_views_allow(tmp_path, shape):
    table = without_split()
    if "pictures" in shape:
        pictures(tmp_path, ["a.png"])
        table = [row | {"picture": "a.png"} for row in table]
    if shape.startswith("one"):
        table = [{k: v for k, v in row.items() if k != "de_text"} for row in table]
    if shape.startswith("three"):
        table = [row | {"fr_text": row["de_text"]} for row in table]
    facts = facts_of(tmp_path, table)
    profile, _ = make_profile(facts, Wishes("mine", {}, seeds=2))
    plan = valid(profile)
    models = {run["model"] for run in plan.runs.values()}
    assert models == {"M3L-Contrast", "ZeroshotTM", "ZeroshotTM-KD", "PLTM"}
    assert {"mine-m3l-s0", "mine-m3l-s1", "mine-pltm-s0"} <= set(plan.runs)
    assert ("mine-kd-en-image-s0" in plan.runs) == ("pictures" in shape)
    order = list(plan.runs["mine-m3l-s0"]["encoders"])
    for run in plan.runs.values():
        assert list(run["encoders"]) == [view for view in order if view in run["encoders"]]
        assert set(run["train_views"]) <= set(run["encoders"])


def test_one_view_makes_no_tuple(tmp_path):
    table = [{k: v for k, v in row.items() if k != "de_text"} for row in without_split()]
    with pytest.raises(ParameterError, match=r"one view makes no tuple.*texts in en"):
        make_profile(facts_of(tmp_path, table), Wishes("mine", {}))


def test_profile_reads_back_as_it_was_written(tmp_path):
    table = [
        {"id": row["id"], "no_text": row["en_text"], "zh-TW_text": row["de_text"]}
        for row in without_split()
    ]
    table[0]["id"] = 'it\'s "quoted": #1'
    profile, _ = make_profile(facts_of(tmp_path, table), Wishes("mine", {}))
    assert read_yaml(as_yaml(profile, "a table\nof mine")) == profile


@pytest.mark.parametrize(
    ("languages", "encoder"),
    [
        (("en", "de"), "use-multilingual"),
        (("en_US", "zh-TW"), "use-multilingual"),
        (("en", "fi"), "e5-multilingual"),
    ],
)
def test_an_encoder_that_knows_all_languages_is_chosen(tmp_path, languages, encoder):
    table = [
        {f"{languages[0]}_text": row["en_text"], f"{languages[1]}_text": row["de_text"]}
        for row in without_split()
    ]
    chosen, said = choose_encoders(facts_of(tmp_path, table), {})
    assert chosen == dict.fromkeys(languages, encoder)
    assert said == []


def test_language_that_no_encoder_knows_gets_one_of_its_own(tmp_path):
    table = [{"en_text": row["en_text"], "tlh_text": row["de_text"]} for row in without_split()]
    chosen, said = choose_encoders(facts_of(tmp_path, table), {})
    assert chosen == {"en": "use-multilingual", "tlh": "corpus-lsi-tlh"}
    assert said[0].startswith("tlh: no encoder here knows it")
    with pytest.raises(ParameterError, match="view of an encoder='fr'"):
        choose_encoders(facts_of(tmp_path, table), {"fr": "minilm-en"})


def test_settings_shrink_to_a_small_corpus_and_are_the_papers_for_a_large_one(tmp_path):
    facts = facts_of(tmp_path, without_split())
    fit, said = settings_for(facts, Wishes("mine", {}))
    assert fit == {"topics": 5, "epochs": 400, "batch_size": 2}
    assert len(said) == 3 and said[1] == "batches of 2, four an epoch (the paper has 32)"
    facts.articles = 20_000
    papers = {"topics": 100, "epochs": 100, "batch_size": 32}
    assert settings_for(facts, Wishes("mine", {})) == (papers, [])
    wished = {"topics": 7, "epochs": 3, "batch_size": 5}
    assert settings_for(facts, Wishes("mine", {}, **wished))[0] == wished


# the command


def test_check_says_what_would_be_done(tmp_path, capsys):
    assert main(["check", str(written(tmp_path, without_split()))]) == 0
    said = capsys.readouterr().out
    assert "12 articles; texts: 12 in en, 12 in de" in said
    assert "would encode en by use-multilingual, de by use-multilingual, and train" in said


def test_check_fails_with_all_problems(tmp_path, capsys):
    assert main(["check", str(written(tmp_path, without_split(picture="no.png")))]) == 1
    assert "refused as it stands: 12 problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine", "none.csv"], "none.csv: no such file"),
        (["mine", "{table}", "--seeds", "0"], "--seeds 0: expected 1 or more"),
        (["mine", "{table}", "--stopwords", "de"], "--stopwords 'de': expected LANGUAGE=VALUE"),
        (["mine", "{table}", "--name", "../x"], "--name '../x': expected letters"),
        (["mine", "{table}", "--languages", "fr"], "no column 'fr_text'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, arguments, message):
    table = str(written(tmp_path, without_split()))
    assert main([part.replace("{table}", table) for part in arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("arguments", [["check"], ["mine"]])
def test_an_interrupted_command_says_how_to_go_on(tmp_path, capsys, monkeypatch, arguments):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("m3l_book.own.command.look", interrupted)
    assert main([*arguments, str(written(tmp_path, without_split()))]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_the_learning_curve_takes_sizes_below_all_articles_with_as_many_updates(tmp_path):
    facts = facts_of(tmp_path, without_split())
    assert sizes_for(facts, Wishes("mine", {})) == [5]
    facts.articles = 5000
    assert sizes_for(facts, Wishes("mine", {})) == [100, 400, 1600]
    assert sizes_for(facts, Wishes("mine", {}, sizes=[50, 20])) == [20, 50]
    with pytest.raises(ParameterError, match="--sizes 4000: expected 2 to 3,999, or none"):
        sizes_for(facts, Wishes("mine", {}, sizes=[4000]))
    profile, _ = make_profile(facts, Wishes("mine", {}, sizes=[400], epochs=10))
    plan = planning.make_plan(profile)
    fewer = {name: run for name, run in plan.runs.items() if "-a400-" in name}
    assert {run["model"] for run in fewer.values()} == {"M3L-Contrast", "ZeroshotTM", "PLTM"}
    assert all(run["protocol"] == {"articles": 400} for run in fewer.values())
    assert {run.get("epochs") for run in fewer.values()} == {100, None}
    assert make_profile(facts, Wishes("mine", {}, sizes=[]))[0]["grids"] == []


def test_names_of_corpora_are_letters_that_folders_have(tmp_path):
    assert corpus_name(tmp_path / "Meine Bücher (2).csv", "") == "meine-bucher-2"
    assert corpus_name(tmp_path / "本.csv", "") == "mine"
    assert corpus_name(tmp_path / "vital.csv", "") == "my-vital"
    assert pairs(["de=a=b.txt"], "--x") == {"de": "a=b.txt"}


def test_yaml_of_a_profile_is_json_in_its_values(tmp_path):
    profile, _ = make_profile(facts_of(tmp_path, without_split()), Wishes("mine", {}))
    lines = as_yaml(profile, "x").splitlines()
    runs = [json.loads(line[4:]) for line in lines if line.startswith("  - ")]
    assert runs == [*profile["runs"], *profile["grids"]]
