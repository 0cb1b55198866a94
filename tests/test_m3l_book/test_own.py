"""A user's own corpus: her table looked at, the profile that is made for it, what a run learnt."""

from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from m3l.errors import DataError, ParameterError
from m3l.pltm import PLTM
from m3l_book.data import prepared
from m3l_book.data.prepare import prepare
from m3l_book.data.sources.table import load
from m3l_book.own.command import corpus_name, main
from m3l_book.own.inspecting import inspect
from m3l_book.own.learnt import Learnt, compare
from m3l_book.own.profile import Wishes, choose_encoders, make_profile, settings_for, sizes_for
from m3l_book.records import planning
from m3l_book.records.run import save_run
from m3l_book.values import read_yaml, write_yaml

from .test_data import pictures, rows, written


def facts_of(folder, table, **options):
    return inspect(written(folder, table), **options)


def without_split(n=12, **more):
    return [{k: v for k, v in row.items() if k != "split"} for row in rows(n, **more)]


def renamed(*languages):
    """The table of two languages with their texts as those of others."""
    table = without_split()
    return [{f"{to}_text": row[f"{of}_text"] for to, of in languages} for row in table]


# looking


def test_languages_and_pictures_are_found_by_the_names_of_columns(tmp_path):
    pictures(tmp_path, ["a.png"])
    facts = facts_of(tmp_path, without_split(picture="a.png"))
    assert facts.languages == ["en", "de"] and facts.columns["image"] == "picture"
    assert (facts.articles, facts.tuples, facts.pictures) == (12, 12, 12)
    assert facts.length == {"en": 6, "de": 6} and facts.complete and facts.problems == []


def test_what_lacks_or_holds_html_or_stands_twice_is_said_with_the_cure(tmp_path):
    pictures(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    table = without_split(picture="a.png")
    table[0]["de_text"], table[1]["de_text"] = "", table[1]["de_text"] + " &amp; <b>more</b>"
    table[3]["picture"], table[5]["en_text"] = "b.png", table[4]["en_text"]
    facts = facts_of(tmp_path, table)
    notes = "\n".join(facts.notes)
    assert facts.texts == {"en": 12, "de": 11} and not facts.complete
    for said in (
        "de: 1 articles have no text",
        "de texts that hold HTML: 1",
        "--markup strip frees",
        "copies under another name: 1, such as 'b.png' of 'a.png'; one that",
        "en: 1 texts stand in an earlier row too; one that",
    ):
        assert said in notes
    assert "--markup strip" not in "\n".join(facts_of(tmp_path, table, markup="strip").notes)


def test_pictures_are_looked_for_and_not_decoded(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    assert facts_of(tmp_path, without_split(picture="a.png")).problems == []
    problems = facts_of(tmp_path, without_split(picture="b.png")).problems
    assert len(problems) == 12 and "no such picture" in problems[0]


def test_table_without_a_text_column_is_named(tmp_path):
    path = written(tmp_path, [{"title": "a", "body": "b"}])
    with pytest.raises(DataError, match=r"no column is called <language>_text.*title, body"):
        inspect(path)


def test_language_without_stopwords_and_script_without_blanks_are_said(tmp_path):
    texts = {"zh_text": "今天天气很好，我们去公园散步", "tlh_text": "nuqneH qapla tlhIngan maH"}
    notes = " ".join(facts_of(tmp_path, [row | texts for row in without_split()]).notes)
    assert "zh: written without blanks, and cut into words by ICU" in notes
    assert "tlh: there is no list of stopwords" in notes


# the profile


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
    profile, _ = make_profile(facts_of(tmp_path, table), Wishes("mine", seeds=2))
    schema = Path(__file__).parents[2] / "workflow" / "profile.schema.yaml"
    jsonschema.validate(profile, read_yaml(schema.read_text(encoding="utf-8")))
    plan = planning.make_plan(profile)
    models = {run["model"] for run in plan.runs.values()}
    assert models == {"M3L-Contrast", "ZeroshotTM", "ZeroshotTM-KD", "PLTM"}
    assert {"mine-m3l-s0", "mine-m3l-s1", "mine-pltm-s0"} <= set(plan.runs)
    assert ("mine-kd-en-image-s0" in plan.runs) == ("pictures" in shape)
    assert ("mine-m3l-texts-s0" in plan.runs) == shape.startswith("three")
    order = list(plan.runs["mine-m3l-s0"]["encoders"])
    for run in plan.runs.values():
        assert list(run["encoders"]) == [view for view in order if view in run["encoders"]]
        assert set(run["train_views"]) <= set(run["encoders"])
        assert ("epochs" in run) != (run["model"] == "PLTM")


def test_one_view_makes_no_tuple(tmp_path):
    with pytest.raises(ParameterError, match=r"one view makes no tuple.*texts in en"):
        make_profile(facts_of(tmp_path, renamed(("en", "en"))), Wishes("mine"))


def test_profile_reads_back_as_it_was_written(tmp_path):
    table = renamed(("no", "en"), ("zh-TW", "de"))
    table[0]["id"] = 'it\'s "quoted": #1'
    profile, _ = make_profile(facts_of(tmp_path, table, columns={"id": "id"}), Wishes("010"))
    assert read_yaml(write_yaml(profile)) == profile
    odd = {"no": ["no", "010", "1e3", "2024-05-01", "0o17", "", "~", "ü\n"], "x: y": [0.25, True]}
    assert read_yaml(write_yaml(odd)) == odd


@pytest.mark.parametrize(
    ("languages", "encoders"),
    [
        (("en", "de"), ["use-multilingual"] * 2),
        (("en_US", "zh-TW"), ["use-multilingual"] * 2),
        (("en", "fi"), ["e5-multilingual"] * 2),
        (("en", "tlh"), ["use-multilingual", "corpus-lsi-tlh"]),
    ],
)
def test_an_encoder_that_knows_all_languages_is_chosen_or_one_is_trained(
    tmp_path, languages, encoders
):
    facts = facts_of(tmp_path, renamed(*zip(languages, ("en", "de"), strict=True)))
    chosen, said = choose_encoders(facts, {})
    assert chosen == dict(zip(languages, encoders, strict=True))
    unknown = [f"{v}: no encoder here knows it" for v in languages if v == "tlh"]
    assert [text.split(";")[0] for text in said] == unknown
    with pytest.raises(ParameterError, match="view of an encoder='fr'"):
        choose_encoders(facts, {"fr": "minilm-en"})


def test_settings_shrink_to_a_small_corpus_and_are_the_papers_for_a_large_one(tmp_path):
    facts = facts_of(tmp_path, without_split())
    fit, said = settings_for(facts, Wishes("mine"))
    assert fit == {"topics": 5, "epochs": 400, "batch_size": 2}
    assert len(said) == 3 and said[1] == "batches of 2, four an epoch (the paper has 32)"
    facts.articles = 20_000
    papers = {"topics": 100, "epochs": 100, "batch_size": 32}
    assert settings_for(facts, Wishes("mine")) == (papers, [])
    wished = {"topics": 7, "epochs": 3, "batch_size": 5}
    assert settings_for(facts, Wishes("mine", **wished)) == (wished, [])


def test_the_learning_curve_takes_sizes_below_all_articles_with_as_many_updates(tmp_path):
    facts = facts_of(tmp_path, without_split())
    assert sizes_for(facts, Wishes("mine")) == [5]
    facts.articles = 5000
    assert sizes_for(facts, Wishes("mine")) == [100, 400, 1600]
    assert sizes_for(facts, Wishes("mine", sizes=[50, 20])) == [20, 50]
    with pytest.raises(ParameterError, match="--sizes 4000: expected 2 to 3,999, or none"):
        sizes_for(facts, Wishes("mine", sizes=[4000]))
    profile, _ = make_profile(facts, Wishes("mine", sizes=[400], epochs=10))
    plan = planning.make_plan(profile)
    fewer = [run for name, run in plan.runs.items() if "-a400-" in name]
    assert {run["model"] for run in fewer} == {"M3L-Contrast", "ZeroshotTM", "PLTM"}
    assert all(run["protocol"] == {"articles": 400} for run in fewer)
    assert {run.get("epochs") for run in fewer} == {100, None}
    assert make_profile(facts, Wishes("mine", sizes=[]))[0]["grids"] == []


# the command


def test_check_says_what_would_be_done_and_fails_with_all_problems(tmp_path, capsys):
    assert main(["check", str(written(tmp_path, without_split())), "--topics", "7"]) == 0
    said = capsys.readouterr().out
    assert "12 articles; texts: 12 in en, 12 in de" in said and "7 topics" not in said
    assert "would encode en by use-multilingual, de by use-multilingual, and train" in said
    assert main(["check", str(written(tmp_path, without_split(picture="no.png")))]) == 1
    assert "refused as it stands: 12 problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "ends_with", "message"),
    [
        (["check", "none.csv"], 1, "none.csv: no such file"),
        (["mine", "none.csv"], 1, "none.csv: no such file"),
        (["mine", "{table}", "--seeds", "0"], 2, "argument --seeds: 0: expected 1 or more"),
        (["mine", "{table}", "--stopwords", "de"], 2, "--stopwords: 'de': expected LANGUAGE=VALUE"),
        (["mine", "{table}", "--name", "../x"], 1, "--name '../x': expected letters"),
        (["mine", "{table}", "--sizes", "some"], 1, "--sizes some: expected integers"),
        (["mine", "{table}", "--languages", "fr"], 1, "no column 'fr_text'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, arguments, ends_with, message):
    table = str(written(tmp_path, without_split()))
    try:
        status = main([part.replace("{table}", table) for part in arguments])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr().err
    assert status == ends_with and message in said.splitlines()[-1]
    assert "Traceback" not in said


def test_mine_writes_a_profile_and_keeps_one_that_was_changed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("m3l_book.own.command.ROOT", tmp_path)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    table = str(written(tmp_path, without_split()))
    words = tmp_path / "words.txt"
    command = ["mine", table, "--profile-only", "--stopwords", f"de={words}", "--name", "my"]
    assert main([*command, "--sizes", "none", "--models", "M3L-Contrast", "PLTM"]) == 0
    path = tmp_path / "workflow" / "profiles" / "my.yaml"
    profile = read_yaml(path.read_text(encoding="utf-8"))
    corpus = profile["corpora"]["my"]
    assert corpus["prepare"]["stopwords"] == {"de": str(words)} and profile["grids"] == []
    assert corpus["source"]["path"] == table and corpus["source"]["licence"] == "not stated"
    assert [run["model"] for run in profile["runs"]] == ["M3L-Contrast", "PLTM"]
    assert main([*command, "--topics", "6"]) == 0
    changed = path.read_text(encoding="utf-8").replace("topics: 6", "topics: 9")
    assert "topics: 9" in changed
    path.write_text(changed, encoding="utf-8")
    assert main(command) == 0 and path.read_text(encoding="utf-8") == changed
    assert "as you changed it; --anew writes it again" in capsys.readouterr().out
    assert main([*command, "--anew"]) == 0
    assert "topics: 9" not in path.read_text(encoding="utf-8")


def test_an_interrupted_command_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("m3l_book.own.command.look", interrupted)
    for command in ("check", "mine"):
        assert main([command, str(written(tmp_path, without_split()))]) == 130
        assert "the same command goes on from here" in capsys.readouterr().err


def test_names_of_corpora_are_letters_that_folders_have(tmp_path):
    assert corpus_name(tmp_path / "Meine Bücher (2).csv", "") == "meine-bucher-2"
    assert corpus_name(tmp_path / "本.csv", "") == "mine"
    assert corpus_name(tmp_path / "vital.csv", "") == "my-vital"
    assert corpus_name(tmp_path / "x.csv", "My_1") == "My_1"


# what a run learnt


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Two runs on a small table; the second has the topics of the first in another order."""
    folder = tmp_path_factory.mktemp("learnt")
    tuples = load(str(written(folder, rows(30))), id_column="id", split_column="split")
    prepare(tuples, folder / "prepared" / "mine", vocabulary_size=8, min_words=2)
    words = {v: prepared.vocabulary(folder / "prepared" / "mine", v) for v in ("en", "de")}
    model = PLTM({v: len(own) for v, own in words.items()}, 2, vocabularies=words)
    for v, own in words.items():
        model.counts[v][:] = np.where(np.arange(len(own)) % 2 == np.arange(2)[:, None], 9, 0)
    params = {"data": str(folder), "corpus": "mine", "encoders": {"en": "x", "de": "x"}, "seed": 0}
    theta = np.array([[0.9, 0.1], [0.3, 0.7]])
    for name, order in (("a", [0, 1]), ("b", [1, 0])):
        topics = {v: [model.top_words(v, 4)[k] for k in order] for v in words}
        own = {"en": theta[:, order], "de": theta[:, order]}
        save_run(folder / name, model, params, {"scores": []}, [{"sweep": 1}], own, topics)
    return Learnt.load(folder / "a"), Learnt.load(folder / "b")


def test_a_run_is_asked_for_topics_of_new_texts_words_and_typical_items(learnt, tmp_path):
    run, _ = learnt
    words = run.words(1, 3)
    assert set(words) == {"en", "de"} and all(len(own) == 3 for own in words.values())
    theta = run.place([" ".join(run.words(0)["de"] * 9), " ".join(run.words(1)["de"] * 9)], "de")
    assert theta.argmax(axis=1).tolist() == [0, 1] and np.allclose(theta.sum(axis=1), 1)
    assert run.typical("en", 1, 2)["article"].tolist() == ["r29", "r28"]
    for kind, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        tables = {path.stem: read(path) for path in run.export(tmp_path, kind)}
        assert list(tables) == ["topics", "theta_en", "theta_de"]
        assert tables["theta_de"]["topic_1"].tolist() == [0.1, 0.7]
        assert len(tables["topics"]) == 2 * 2 * 4
    for question, message in (
        (lambda: run.words(2), "topic=2: expected 0 to 1"),
        (lambda: run.place(["x"], "image"), "view='image' is unknown"),
        (lambda: run.place([], "en"), "nothing to place"),
    ):
        with pytest.raises((DataError, ParameterError), match=message):
            question()


def test_topics_of_two_runs_are_matched_and_the_items_that_moved_are_named(learnt):
    a, b = learnt
    moved = replace(b, run=replace(b.run, theta={**b.run.theta}))
    moved.run.theta["en"] = np.array([[0.1, 0.9], [0.9, 0.1]])
    topics, items = compare(a, moved, 1)
    assert set(zip(topics["topic"], topics["other"], strict=True)) == {(0, 1), (1, 0)}
    assert (topics["words"] == topics["other words"]).all()
    assert items["view"].tolist() == ["en", "de"] and items["name"][0] == "r29"
    assert items["divergence"][0] > 0.01 > items["divergence"][1]
