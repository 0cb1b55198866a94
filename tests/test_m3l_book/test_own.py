"""A user's own corpus: her table looked at, the profile that is made for it, what a run learnt."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from m3l.errors import DataError, ParameterError
from m3l.files import digest_file
from m3l.pltm import PLTM
from m3l_book.data import prepared
from m3l_book.data.prepare import prepare
from m3l_book.data.sources.table import load
from m3l_book.encoders.spaces import space_of
from m3l_book.own import showing
from m3l_book.own.command import corpus_name, main
from m3l_book.own.editing import Edits, digest_of
from m3l_book.own.inspecting import inspect
from m3l_book.own.learnt import Learnt, compare, evenness
from m3l_book.own.profile import Wishes, choose_encoders, make_profile, settings_for, sizes_for
from m3l_book.own.reckoning import in_words, seconds_of
from m3l_book.own.table import own_column
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
    table = [row | texts for row in without_split()]
    facts = facts_of(tmp_path, table, languages=["zh", "tlh"])
    notes = " ".join(facts.notes)
    profile, _ = make_profile(facts, Wishes("mine"))
    assert profile["corpora"]["mine"]["prepare"]["stopwords"] == {"tlh": []}
    assert "zh: written without blanks, and cut into words by ICU" in notes
    assert "tlh: there is no list of stopwords" in notes
    one = [row | {"de_text": f"{row['de_text']} 北京"} for row in without_split()]
    assert "without blanks" not in " ".join(facts_of(tmp_path, one).notes)


def test_pictures_in_a_folder_below_come_with_a_cure_that_a_shell_takes(tmp_path):
    pictures(tmp_path / "my pictures", ["a.png"])
    problems = facts_of(tmp_path, without_split(picture="a.png")).problems
    assert f"say --pictures '{tmp_path}/my pictures'" in problems[0]


def test_words_that_were_cut_already_are_kept_as_cut(tmp_path):
    texts = {"zh_text": "今天 天气 很 好 我们 去 公园 散步"}
    facts = facts_of(tmp_path, [row | texts for row in without_split()])
    assert "zh: words have blanks between them already" in "\n".join(facts.notes)
    profile, _ = make_profile(facts, Wishes("mine"))
    assert profile["corpora"]["mine"]["prepare"]["segmented"] == ["zh"]


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
    profile, _ = make_profile(facts_of(tmp_path, table), Wishes("mine", full=True, seeds=2))
    schema = Path(__file__).parents[2] / "workflow" / "profile.schema.yaml"
    jsonschema.validate(profile, read_yaml(schema.read_text(encoding="utf-8")))
    plan = planning.make_plan(profile)
    models = {run["model"] for run in plan.runs.values()}
    reads_words = {"PLTM"} if not shape.startswith("one") else set()
    assert models == {"M3L-Contrast", "ZeroshotTM", "ZeroshotTM-KD"} | reads_words
    assert {"mine-m3l-k5-s0", "mine-m3l-k5-s1"} <= set(plan.runs)
    several = not shape.startswith("one")
    assert ("mine-pltm-k5-s0" in plan.runs) == several
    assert ("mine-kd-en-image-k5-s0" in plan.runs) == ("pictures" in shape)
    assert ("mine-m3l-texts-k5-s0" in plan.runs) == shape.startswith("three")
    assert profile["first"] == ["mine-m3l-k5-s0", "mine-pltm-k5-s0"][: 1 + several]
    order = list(plan.runs["mine-m3l-k5-s0"]["encoders"])
    for run in plan.runs.values():
        assert list(run["encoders"]) == [view for view in order if view in run["encoders"]]
        assert set(run["train_views"]) <= set(run["encoders"])
        assert ("epochs" in run) != (run["model"] == "PLTM")


@pytest.mark.parametrize("language", ["fi", "tlh"])
def test_a_zeroshot_model_reads_the_views_of_its_own_space_alone(tmp_path, language):
    pictures(tmp_path, ["a.png"])
    table = [
        {"id": row["id"], "en_text": row["en_text"], "picture": "a.png"}
        | {f"{language}_text": row["de_text"]}
        for row in without_split()
    ]
    facts = facts_of(tmp_path, table, languages=["en", language])
    plan = planning.make_plan(make_profile(facts, Wishes("mine", full=True))[0])
    read = [run["encoders"] for run in plan.runs.values() if run["model"] == "ZeroshotTM"]
    assert read and all(len({*map(space_of, own.values())}) == 1 for own in read)


def test_a_first_book_trains_the_models_of_topics_in_all_languages_once(tmp_path):
    facts = facts_of(tmp_path, without_split())
    profile, _ = make_profile(facts, Wishes("mine", topics=[10, 20], epochs=7))
    plan = planning.make_plan(profile)
    kinds = ("m3l", "pltm")
    assert set(plan.runs) == {f"mine-{what}-k{k}-e7-s0" for what in kinds for k in (10, 20)}
    assert profile["grids"] == [] and profile["first"][0] == "mine-m3l-k10-e7-s0"
    chosen = plan.runs["mine-m3l-k20-e7-s0"]
    assert chosen["network"] == {"share_text_network": True, "layers": 1}
    assert chosen["objective"] == "recommended"


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
    table = renamed(*zip(languages, ("en", "de"), strict=True))
    facts = facts_of(tmp_path, table, languages=languages)
    chosen, said = choose_encoders(facts, {})
    assert chosen == dict(zip(languages, encoders, strict=True))
    unknown = [f"{v}: no encoder here knows it" for v in languages if v == "tlh"]
    assert [text.split(";")[0] for text in said] == unknown
    with pytest.raises(ParameterError, match="view of an encoder='fr'"):
        choose_encoders(facts, {"fr": "minilm-en"})


def test_settings_shrink_to_a_small_corpus_and_are_the_papers_for_a_large_one(tmp_path):
    facts = facts_of(tmp_path, without_split())
    topics, fit, said = settings_for(facts, Wishes("mine"))
    assert topics == [5] and fit == {"epochs": 400, "batch_size": 2}
    assert len(said) == 3 and said[1] == "batches of 2, four an epoch (the paper has 32)"
    facts.articles = 20_000
    papers = {"epochs": 100, "batch_size": 32}
    assert settings_for(facts, Wishes("mine")) == ([100], papers, [])
    wished = {"epochs": 3, "batch_size": 5}
    assert settings_for(facts, Wishes("mine", topics=[7], **wished)) == ([7], wished, [])


def test_the_learning_curve_takes_sizes_below_all_articles_with_as_many_updates(tmp_path):
    facts = facts_of(tmp_path, without_split())
    assert sizes_for(facts, Wishes("mine")) == []
    assert sizes_for(facts, Wishes("mine", full=True)) == [5]
    facts.articles = 5000
    assert sizes_for(facts, Wishes("mine", full=True)) == [100, 400, 1600]
    assert sizes_for(facts, Wishes("mine", sizes=[50, 20])) == [20, 50]
    with pytest.raises(ParameterError, match="--sizes 4000: expected 2 to 3,999, or none"):
        sizes_for(facts, Wishes("mine", sizes=[4000]))
    profile, _ = make_profile(facts, Wishes("mine", full=True, sizes=[400], epochs=10))
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
        (["mine", "{table}", "--topics", "1"], 2, "argument --topics: 1: expected 2 or more"),
        (["mine", "{table}", "--cores", "x"], 2, "argument --cores: x: expected 1 or more"),
        (["mine", "{table}", "--stopwords", "de=none.txt"], 1, "de=none.txt: no such file"),
        (["check", "{table}", "--encoders", "en=none"], 1, "encoder='none' is unknown"),
        (["check", "{table}", "--min-words", "99"], 1, "half of the documents of en have no more"),
        (["check", "{table}", "--languages", "en,en,de"], 1, "a language stands twice"),
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
    words.write_text("der\n", encoding="utf-8")
    command = ["mine", table, "--profile-only", "--stopwords", f"de={words}", "--name", "my"]
    assert main([*command, "--sizes", "none", "--models", "M3L-Contrast", "PLTM"]) == 0
    path = tmp_path / "workflow" / "profiles" / "my.yaml"
    profile = read_yaml(path.read_text(encoding="utf-8"))
    corpus = profile["corpora"]["my"]
    assert corpus["prepare"]["stopwords"] == {"de": str(words)} and profile["grids"] == []
    assert corpus["source"]["path"] == table and corpus["source"]["licence"] == "not stated"
    assert [run["name"] for run in profile["runs"]] == ["my-m3l-k5", "my-pltm-k5"]
    assert main([*command, "--topics", "6"]) == 0
    beside = read_yaml(path.read_text(encoding="utf-8"))
    assert [run["topics"] for run in beside["runs"]] == [5, 5, 6, 6]
    assert "beside 2 models of earlier commands" in capsys.readouterr().out
    changed = path.read_text(encoding="utf-8").replace("topics: 6", "topics: 9")
    assert "topics: 9" in changed
    path.write_text(changed, encoding="utf-8")
    assert main(command) == 0 and path.read_text(encoding="utf-8") == changed
    assert "as you changed it; --anew writes it again" in capsys.readouterr().out
    assert main([*command, "--anew"]) == 0
    assert "topics: 9" in path.read_text(encoding="utf-8"), "runs of earlier commands stay"
    assert main(["mine", table, "--profile-only", "--name", "long", "--full"]) == 0
    path = path.with_name("long.yaml")
    whole = read_yaml(path.read_text(encoding="utf-8"))
    assert len(whole["grids"]) > 1 and whole["runs"][0]["seeds"] == [0, 1, 2]
    assert main(["mine", table, "--profile-only", "--name", "long"]) == 0
    again = read_yaml(path.read_text(encoding="utf-8"))
    seeds = [{run["name"]: run["seeds"] for run in p["runs"]} for p in (whole, again)]
    assert seeds[0] == seeds[1], "seeds and curves of the longer command stay"
    assert [grid["of"] for grid in again["grids"]] == [grid["of"] for grid in whole["grids"]]


def test_what_a_user_calls_her_topics_stays_and_is_no_change_of_a_profile(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("m3l_book.own.command.ROOT", tmp_path)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    table = str(written(tmp_path, without_split()))
    command = ["mine", table, "--profile-only", "--name", "my"]
    assert main(command) == 0
    path = tmp_path / "workflow" / "profiles" / "my.yaml"
    text = path.read_text(encoding="utf-8")
    assert "topics: {}" in text
    named = text.replace("topics: {}", "topics: {my-m3l-k5-s0: {names: {1: Käse}}}  # mine")
    path.write_text(named, encoding="utf-8")
    assert main(command) == 0 and path.read_text(encoding="utf-8") == named
    assert main([*command, "--topics", "8"]) == 0
    after = read_yaml(path.read_text(encoding="utf-8"))
    assert after["topics"] == {"my-m3l-k5-s0": {"names": {1: "Käse"}}}
    assert len(after["runs"]) == 4 and "you changed" not in capsys.readouterr().out


def test_a_model_goes_on_from_what_was_kept_of_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("m3l_book.own.command.ROOT", tmp_path)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    table = str(written(tmp_path, without_split()))
    plain = ["mine", table, "--profile-only", "--name", "my"]
    command = [*plain, "--continue"]
    assert main(command) == 1
    assert "my.yaml is not there; make a book of the table first" in capsys.readouterr().err
    assert main(plain) == 0 and main(command) == 1
    assert "runs/my/my-m3l-k5-s0 is not there; train it first" in capsys.readouterr().err
    grown = without_split(400)
    written(tmp_path, grown)  # more rows, which by themselves would have more topics
    weights = tmp_path / "runs" / "my" / "my-m3l-k5-s0" / "model.safetensors"
    tuples = tmp_path / "data" / "my" / "prepared" / "my" / "tuples.parquet"
    for path in (weights, tuples):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"first")
    assert main(command) == 0
    for path in (weights, tuples):  # as builds do, which write files anew
        path.unlink()
        path.write_bytes(b"second")
        kept = Path(str(path).replace("/my/", "/my-before/", 1))
        assert kept.read_bytes() == b"first"
    card = tuples.with_name("card.json")
    card.write_text(json.dumps({"sha256": {"t": digest_file(Path(table))}}), encoding="utf-8")
    assert main(command) == 0, "the same command goes on"
    for path in (weights, tuples):
        assert Path(str(path).replace("/my/", "/my-before/", 1)).read_bytes() == b"first"
    profile = read_yaml((tmp_path / "workflow/profiles/my.yaml").read_text(encoding="utf-8"))
    assert main([*command, "--seeds", "2"]) == 1
    assert "runs/my-before/my-m3l-k5-s1 is not there; train it first" in capsys.readouterr().err
    plan = planning.make_plan(profile)
    start = "runs/my-before/my-m3l-k5-s0"
    assert plan.runs["my-continued-k5-s0"]["protocol"] == {"start": start}
    assert "protocol" not in plan.runs["my-m3l-k5-s0"]


def test_another_table_never_replaces_the_profile_of_the_first(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("m3l_book.own.command.ROOT", tmp_path)
    (tmp_path / "workflow" / "profiles").mkdir(parents=True)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, without_split())
    tables = [next((tmp_path / folder).iterdir()) for folder in ("a", "b")]
    assert main(["mine", str(tables[0]), "--profile-only"]) == 0
    assert main(["mine", str(tables[1]), "--profile-only"]) == 1
    assert "is of another table" in capsys.readouterr().err
    assert main(["mine", str(tables[1]), "--profile-only", "--name", "second"]) == 0
    (tmp_path / "workflow" / "profiles" / "empty.yaml").touch()
    assert main(["mine", str(tables[1]), "--profile-only", "--name", "empty"]) == 1


def test_an_interrupted_command_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("m3l_book.own.command.look", interrupted)
    for command in ("check", "mine"):
        assert main([command, str(written(tmp_path, without_split()))]) == 130
        assert "the same command goes on from here" in capsys.readouterr().err


def test_names_of_corpora_are_letters_that_folders_have(tmp_path):
    assert corpus_name(tmp_path / "Meine Bücher (2).csv", "") == "meine-bucher-2"
    two = {corpus_name(tmp_path / name, "") for name in ("语料.csv", "نصوص.csv")}
    assert len(two) == 2 and all(name.startswith("table-") for name in two)
    assert corpus_name(tmp_path / "vital.csv", "") == "my-vital"
    assert corpus_name(tmp_path / "x.csv", "My_1") == "My_1"


# what a run learnt


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Two runs on a small table; the second has the topics of the first in another order."""
    folder = tmp_path_factory.mktemp("learnt")
    table = [row | {"year": 1990 + i % 3} for i, row in enumerate(rows(30))]
    table[4]["de_text"] = ""
    path = written(folder, table)
    tuples = load(str(path), id_column="id", split_column="split", allow_missing=True)
    prepare(tuples, folder / "prepared" / "mine", vocabulary_size=8, min_words=2, incomplete="keep")
    words = {v: prepared.vocabulary(folder / "prepared" / "mine", v) for v in ("en", "de")}
    params = {"data": str(folder), "corpus": "mine", "encoders": {"en": "x", "de": "x"}, "seed": 0}
    theta = np.array([[0.9, 0.1], [0.3, 0.7]])
    for name, order in (("a", [0, 1]), ("b", [1, 0])):
        model = PLTM({v: len(own) for v, own in words.items()}, 2, vocabularies=words)
        for v, own in words.items():
            mine = np.where(np.arange(len(own)) % 2 == np.arange(2)[:, None], 9, 0)
            model.counts[v][:] = mine[order]
        topics = {v: model.top_words(v, 4) for v in words}
        own = {"en": theta[:, order], "de": theta[:, order]}
        measured = {"scores": [], "npmi_of_topics": {v: [0.1, 0.3] for v in words}}
        save_run(folder / name, model, params, measured, [{"sweep": 1}], own, topics)
    return Learnt.load(folder / "a"), Learnt.load(folder / "b")


def test_a_run_is_asked_for_topics_of_new_texts_words_and_typical_items(learnt, tmp_path):
    run, _ = learnt
    words = run.words(1, 3)
    assert set(words) == {"en", "de"} and all(len(own) == 3 for own in words.values())
    theta = run.place([" ".join(run.words(0)["de"] * 9), " ".join(run.words(1)["de"] * 9)], "de")
    assert theta.argmax(axis=1).tolist() == [0, 1] and np.allclose(theta.sum(axis=1), 1)
    assert len(run.place(run.words(0)["de"][0], "de")) == 1, "a text is one document"
    assert str(run) == "a: a model, 2 topics in en, de; test items: 2 in en, 2 in de"
    typical = run.typical("en", 1, 30)
    assert set(typical["article"]) == {f"r{i}" for i in range(30)}, "documents of every part"
    assert typical["share"].is_monotonic_decreasing and typical["share"][0] > 0.6
    assert set(typical["part"]) == {"train", "test"}
    for question, message in (
        (lambda: run.words(2), "topic=2: expected 0 to 1"),
        (lambda: run.place(["x"], "image"), "view='image' is unknown"),
        (lambda: run.place([], "en"), "nothing to place"),
        (lambda: run.place(["x", " "], "en"), "nothing to place: a text is empty"),
        (lambda: run.typical("en", -1), "topic=-1: expected 0 to 1"),
    ):
        with pytest.raises((DataError, ParameterError), match=message):
            question()


def test_every_document_is_placed_and_those_of_the_test_part_as_they_were_measured(learnt):
    run, _ = learnt
    about, theta = run.items("de"), run.placed["de"]
    assert len(about) == len(theta) == 29 and "r4" not in set(about["article"])
    np.testing.assert_allclose(theta[about["part"] == "test"], run.run.theta["de"])
    frame = prepared.read_tuples(run.prepared)
    texts = prepared.items(frame, "de")["de_text"]
    train = (about["part"] == "train").to_numpy()
    np.testing.assert_allclose(run.place(texts[train], "de"), theta[train], atol=1e-6)


def test_what_is_exported_is_the_users_own_table_row_by_row(learnt, tmp_path):
    run, _ = learnt
    for kind, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        tables = {path.stem: read(path) for path in run.export(tmp_path, kind)}
        assert list(tables) == ["topics", "theta_en", "theta_de", "documents"]
        assert len(tables["theta_de"]) == 29 and len(tables["topics"]) == 2 * 2 * 4
        hers = tables["documents"]
        assert hers["id"].tolist() == [f"r{i}" for i in range(30)]
        assert hers["year"].astype(int).tolist() == [1990 + i % 3 for i in range(30)]
        assert hers["de_topic"].isna().tolist() == [i == 4 for i in range(30)]
        assert hers["en_topic"][29] == 1 and hers["en_share"][29] == 0.7
        assert hers["en_topic_name"][28] == "topic 0"
    table = run.prepared.parent.parent / "table.csv"
    content = table.read_bytes()
    try:
        table.write_bytes(content + b"more")
        with pytest.raises(DataError, match="has changed since the corpus was made of it"):
            run.documents()
    finally:
        table.write_bytes(content)


def test_topics_are_named_and_merged_without_training(learnt, tmp_path):
    whole, profile = learnt[0], tmp_path / "mine.yaml"
    profile.write_text("topics: {a: {names: {1: Käse}}}", encoding="utf-8")
    named = Learnt.load(whole.run.folder, profile=profile)
    assert named.names == ["topic 0", "Käse"] and named.words(1) == whole.words(1)
    profile.write_text("topics: {a: {merge: [[1, 0]], names: {1: Both}}}", encoding="utf-8")
    one = Learnt.load(whole.run.folder, profile=profile)
    assert one.names == ["Both"] and one.placed["en"].shape == (30, 1)
    np.testing.assert_allclose(one.placed["en"], 1, atol=1e-6)
    np.testing.assert_allclose(one.place(["Haus Boot"], "de"), 1, atol=1e-6)
    first, second = whole.words(0)["en"], whole.words(1)["en"]
    assert one.words(0, 4)["en"] == [first[0], second[0], first[1], second[1]]
    assert one.run.metrics["npmi_of_topics"]["en"] == [pytest.approx(0.2)]
    meant = f"of: {digest_of(whole.run)}, names: {{1: Käse}}"
    for of, stale in ((meant, False), (meant.replace("of: t", "of: told"), True)):
        profile.write_text(f"topics: {{a: {{{of}}}}}", encoding="utf-8")
        asked = Learnt.load(whole.run.folder, profile=profile)
        assert asked.edits.stale == stale and ("Käse" in asked.names) != stale
    for nothing in ("", "topics:\n", "topics: {a: {names: , merge: }}"):
        profile.write_text(nothing, encoding="utf-8")
        assert Learnt.load(whole.run.folder, profile=profile).names == ["topic 0", "topic 1"]
    with pytest.raises(DataError, match=r"nowhere.*: no such file"):
        Learnt.load(whole.run.folder, profile=tmp_path / "nowhere.yaml")
    for said, message in (
        ("{a: {names: {1: [x, y]}}}", "names: .*expected texts"),
        ("{a: {names: {2: x}}}", r"\[2\] is no topic of the run; they go from 0 to 1"),
        ("{a: {merge: [[0, 1], [1, 0]]}}", r"topic \[0\] is merged twice"),
        ("{a: {merge: [0, 1]}}", r"merge: \[0, 1\]: expected lists, as"),
    ):
        profile.write_text(f"topics: {said}", encoding="utf-8")
        with pytest.raises(DataError, match=message):
            Learnt.load(whole.run.folder, profile=profile)


def test_names_of_topics_are_found_from_whatever_folder_python_is_in(learnt, tmp_path, monkeypatch):
    run = tmp_path / "runs" / "mine" / "a"
    shutil.copytree(learnt[0].run.folder, run)
    profile = tmp_path / "workflow" / "profiles" / "mine.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("topics: {a: {names: {1: Käse}}}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "runs")
    assert Learnt.load(run).names == Learnt.load("mine/a").names == ["topic 0", "Käse"]


def test_short_texts_are_tried_on_shortened_documents_of_her_own(learnt):
    run, _ = learnt
    table = run.reliability("en", lengths=(1, 4))
    assert table["words"].tolist() == [1, 4] and table["documents"].tolist() == [2, 2]
    assert table["same topic"].between(0, 1).all() and table["evenness"].between(0, 1.000001).all()
    with pytest.raises(
        DataError, match="no document of en outside training has more than 99 words"
    ):
        run.reliability("en", lengths=(99,))
    assert evenness(np.array([[1.0, 0.0], [0.5, 0.5]])).round(6).tolist() == [0, 1]


def test_topics_of_two_runs_are_matched_and_the_items_that_moved_are_named(learnt):
    a, b = learnt
    moved = replace(b, run=replace(b.run, theta={**b.run.theta}))
    moved.run.theta["en"] = np.array([[0.1, 0.9], [0.9, 0.1]])
    topics, items = compare(a, moved, 1)
    assert set(zip(topics["topic"], topics["other"], strict=True)) == {(0, 1), (1, 0)}
    assert (topics["words"] == topics["other words"]).all()
    assert items["view"].tolist() == ["en", "de"] and items["name"][0] == "r29"
    assert items["divergence"][0] > 0.01 > items["divergence"][1]


def test_topics_are_drawn_over_dates_numbers_and_categories(learnt):
    run, _ = learnt
    over = own_column(run.prepared, "year")
    assert over["r4"] == "1991" and len(over) == 30
    drawn = showing.sparklines(run, over)
    assert len(drawn) == 2 and drawn[0].count("<rect") == 3
    theta = pd.DataFrame(np.vstack([run.placed["en"], run.placed["de"]]))
    years = [*run.items("en")["article"].map(over), *run.items("de")["article"].map(over)]
    most = theta.groupby(years)[0].mean()
    assert f"largest, {most.max():.1%}, at {most.idxmax()}" in drawn[0]
    for column in (
        pd.Series(pd.to_datetime(["2019-01-05", "2020-07-01", "2021-03-03"])),  # a workbook's
        pd.Series(["2019-01-05T10:00+01:00", "2020-07-01T10:00Z", "2021-03-03"]),
        pd.Series([2019, 2020, 2021]),
        pd.Series(["05.12.2019", "01.02.2020", "13.01.2021"]),
    ):
        assert showing.groups_of(column).tolist() == [2019, 2020, 2021]
    few = pd.Series(["2019-12-01", "2020-01-02"])
    assert showing.groups_of(few).tolist() == ["2019-12", "2020-01"]
    assert showing.groups_of(pd.Series(["01.12.2019"])).tolist() == ["2019-12"]
    for names in (["T1", "T2"], ["18th", "19th"], ["May", "June"], ["1.2.3", "4.5.6"]):
        assert showing.groups_of(pd.Series(names)).tolist() == names
    years = pd.Series([*range(1990, 2000), "unknown"], dtype=object)
    assert showing.groups_of(years).tolist() == [*range(1990, 2000)]
    assert showing.sparklines(run, pd.Series([], dtype=object, name="date")) == {}
    days = pd.Series([f"{1800 + i}-03-01" for i in range(40)])
    assert showing.groups_of(days).nunique() == 40
    many = showing.groups_of(pd.Series(range(1990, 2020)))
    assert many.nunique() == 12 and many.tolist()[:4] == [1990, 1990, 1992, 1992]
    assert showing.groups_of(pd.Series(np.linspace(0, 1, 50))).nunique() == 12
    assert showing.groups_of(pd.Series([*map(float, range(40)), np.inf])).nunique() == 24
    many = pd.Series([f"kind {i % 30}" for i in range(90)] + ["kind 0"])
    assert showing.groups_of(many).nunique() == showing.MOST_GROUPS


def test_cards_show_words_documents_and_names_as_themselves(learnt, tmp_path):
    whole, profile = learnt[0], tmp_path / "mine.yaml"
    name = "<b>bold</b> $x$"
    profile.write_text(f"topics: {{a: {{names: {{1: '{name}'}}}}}}", encoding="utf-8")
    run = Learnt.load(whole.run.folder, profile=profile)
    html = showing.cards(run, [1, 0], tmp_path)
    assert name not in html and "&lt;b&gt;bold" in html
    assert html.count('<article class="own-topic">') == 2
    assert f'href="topics/a/index.html#/item/en/{run.placed["en"][:, 1].argmax()}"' in html
    order, junk = showing.order_of_topics(run.whole_run())
    assert sorted(order) == [0, 1] and junk == {}


def test_what_is_found_first_is_counted_and_said(learnt):
    run = replace(learnt[0].run, metrics={"scores": []})
    row = {"query": "en", "item": "de", "values": np.array([1.0, 0.5, 1.0, 0.25])}
    run.metrics["scores"].append(row)
    (found,) = showing.found_first(run).to_dict("records")
    assert (found["queries"], found["first"], found["chance"]) == (4, 0.5, 0.5)
    said = "Of 100 English documents, the German partner is found first for 50; by chance for "
    assert showing.in_words(found).startswith(said)
    picture = {"query": "image", "item": "tlh", "first": 0.1, "chance": 0.01}
    said = "Of 100 pictures, the Klingon partner is found first for 10; by chance for 1."
    assert showing.in_words(picture) == said and showing.spoken("xx<") == "xx<"


def test_pictures_of_a_row_after_one_of_several_have_their_own_topics(learnt, tmp_path):
    pictures(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    shown = ["a.png;b.png", "c.png", "d.png"]
    table = [row | {"picture": name} for row, name in zip(rows(3), shown, strict=True)]
    how = {"id_column": "id", "split_column": "split", "image_column": "picture"}
    tuples = load(str(written(tmp_path, table)), **how, picture_separator=";")
    prepare(tuples, tmp_path / "c", vocabulary_size=6, min_words=1)
    run = replace(
        learnt[0], prepared=tmp_path / "c", edits=Edits([[0], [1], [2], [3]], list("wxyz"))
    )
    run.placed = {"image": np.eye(4), "en": np.eye(4)[[3, 2, 1]]}
    hers = run.documents()
    assert hers["image_topic"].tolist() == [0, 2, 3] and hers["image_topic_name"].iloc[2] == "z"
    assert hers["en_topic"].tolist() == [3, 2, 1]


def test_numbers_of_topics_are_those_that_were_learnt_after_a_merge(learnt, tmp_path):
    theta = np.tile([0.1, 0.2, 0.3, 0.4], (30, 1))
    run = replace(learnt[0], edits=Edits([[0], [1, 2], [3]], ["topic 0", "both", "topic 3"]))
    run.placed = {"en": run.edits.sums(theta)}
    run.run = replace(run.run, topics={"en": [["a"], ["b"], ["c"]]})
    tables = {path.stem: pd.read_csv(path) for path in run.export(tmp_path)}
    assert tables["topics"]["topic"].tolist() == [0, 1, 3]
    assert list(tables["theta_en"].columns[-3:]) == ["topic_0", "topic_1", "topic_3"]
    assert set(tables["documents"]["en_topic"].dropna()) == {1}


# what is checked before anything is built


def test_what_is_wrong_with_a_table_is_said_before_anything_else(tmp_path, capsys):
    table = [row | {"fr_text": ""} for row in without_split()]
    assert main(["check", str(written(tmp_path, table))]) == 1
    assert "column 'fr_text' is empty" in capsys.readouterr().out
    one = [{"en_text": r["en_text"], "picture": "a.png"} for r in without_split()]
    assert main(["check", str(written(tmp_path, one))]) == 1
    assert "no such picture: 'a.png'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--over", "Yearr"], "column='Yearr' is unknown"),
        (["--pictures", "."], "no column is called as pictures are; name it with --picture-column"),
    ],
)
def test_options_that_nothing_follows_from_are_refused(tmp_path, capsys, options, message):
    assert main(["check", str(written(tmp_path, without_split())), *options]) == 1
    assert message in capsys.readouterr().err


def test_a_language_that_is_named_is_one_more(tmp_path):
    table = [{"English": r["en_text"], "de_text": r["de_text"]} for r in without_split()]
    facts = facts_of(tmp_path, table, names={"en_text": "English"})
    assert facts.languages == ["en", "de"]


def test_a_column_of_a_known_name_can_be_left_alone(tmp_path):
    table = [row | {"article": "the"} for row in without_split()]
    assert "share article 'the' and differ" in facts_of(tmp_path, table).problems[0]
    facts = facts_of(tmp_path, table, columns={"article": "none"})
    assert facts.problems == [] and facts.articles == 12


def test_columns_that_end_in_text_are_languages_only_if_they_have_a_code(tmp_path):
    table = [
        row | {"alt_text": "a", "full_text": "b", "image_text": "c"} for row in without_split()
    ]
    facts = facts_of(tmp_path, table)
    assert facts.languages == ["en", "de"]
    assert "alt_text, full_text, image_text: no two-letter code" in "\n".join(facts.notes)
    with pytest.raises(DataError, match="'image' is the name of the pictures"):
        facts_of(tmp_path, table, languages=["en", "image"])


def test_headings_that_name_languages_are_proposed(tmp_path, capsys):
    table = [{"English": r["en_text"], "Deutsch": r["de_text"]} for r in without_split()]
    path = str(written(tmp_path, table))
    assert main(["check", path]) == 1
    cure = "--text en=English --text de=Deutsch"
    assert cure in capsys.readouterr().err
    assert main(["check", path, *cure.split()]) == 0
    assert "texts: 12 in en, 12 in de" in capsys.readouterr().out


def test_columns_of_known_names_are_taken_and_said(tmp_path):
    table = [row | {"date": "2020", "category": "x"} for row in without_split()]
    facts = facts_of(tmp_path, table)
    assert "columns taken: id in 'id', category in 'category', date in 'date'" in facts.notes[0]
    profile, _ = make_profile(facts, Wishes("mine"))
    assert profile["topics"] == {"over": "date"}
    assert profile["corpora"]["mine"]["source"]["id_column"] == "id"
    twice = [row | {"id": "same"} for row in table]
    facts = facts_of(tmp_path, twice)
    assert facts.columns["id"] == "" and facts.articles == 12
    assert "column 'id': some rows have none, or the same; it is not used" in "\n".join(facts.notes)


def test_check_says_which_share_of_training_will_be_left_out(tmp_path):
    table = without_split(60)
    for i, row in enumerate(table):
        if i % 3:
            row["de_text"] = "wird noch übersetzt und folgt später hier"
    facts = facts_of(tmp_path, table)
    (note,) = [note for note in facts.notes if "will be left out" in note]
    frame = load(str(tmp_path / "table.csv"), id_column="id").frame
    train = frame["split"] == "train"
    again = frame["de_text"].str.startswith("wird noch")
    assert f"{int((train & again).sum())} of {int(train.sum())} training tuples" in note
    assert "'wird noch übersetzt" in note and facts.problems == []
    same = [row | {"de_text": table[1]["de_text"]} for row in table]
    problems = facts_of(tmp_path, same).problems
    assert problems == ["every training tuple has a text that stands in a later part too"]


def test_texts_without_words_are_refused_as_the_build_would(tmp_path):
    problems = facts_of(tmp_path, [row | {"de_text": "12 ☂ 7"} for row in without_split()]).problems
    assert "column 'de_text' holds no word of letters" in problems


def test_check_says_that_pictures_were_not_looked_at_unless_asked(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    table = without_split(picture="a.png")
    assert "--pictures-too reads each" in "\n".join(facts_of(tmp_path, table).notes)
    facts = facts_of(tmp_path, table, decode=True)
    assert len(facts.problems) == 12 and "not a whole picture" in facts.problems[0]
    assert "--pictures-too" not in "\n".join(facts.notes)


def test_how_long_it_will_take_is_reckoned_from_what_there_is_to_do(tmp_path):
    facts = facts_of(tmp_path, without_split())
    facts.articles, facts.texts = 2000, {"en": 2000, "de": 2000}
    quick = seconds_of(facts, make_profile(facts, Wishes("mine"))[0])
    full = seconds_of(facts, make_profile(facts, Wishes("mine", full=True))[0])
    assert full["encoding"] == quick["encoding"] > 10
    assert full["the other models"] > 4 * quick["the first models"] > 0
    assert quick["the other models"] == 0
    parts = {"encoding": 100, "the first models": 10, "the first page": 40}
    said = in_words(parts | {"the other models": 7200})
    assert said.startswith("about 2 min to your first topics and 2.0 h in all")
    assert "100 s" not in said and "40 s for the first page" in said


def test_models_that_read_most_views_come_first_and_those_of_fewer_articles_not_at_all(learnt):
    def run(model, score, views, **params):
        rows = [{"query": "en", "item": "de", "score": score}]
        about = {"model": model, "topics": 2, "seed": 0, "train_views": views, **params}
        about["encoders"] = dict.fromkeys(every, "x")
        theta = {view: np.ones((1, 2)) for view in views}
        return replace(learnt[0].run, params=about, metrics={"validation": rows}, theta=theta)

    texts, every = ["en", "de"], ["en", "de", "image"]
    runs = [
        run("PLTM", 0.9, texts),
        run("M3L-Contrast", 0.3, every, seed=1),
        run("M3L-Contrast", 0.2, every),
        run("M3L-Contrast", 0.5, every, variant={"text network": "shared"}),
        run("M3L-Contrast", 0.99, every, variant={"articles": 30}),
        run("ZeroshotTM", 0.99, ["en"]),
    ]
    found = showing.joint_runs(runs)
    shared = "M3L-Contrast (text network shared)"
    assert found["model"].tolist() == [shared, "M3L-Contrast", "PLTM"]
    assert found["score"].tolist() == [0.5, 0.25, 0.9] and found["seeds"].tolist() == [1, 2, 1]
    assert found["run"][1].params["seed"] == 0
    with pytest.raises(DataError, match="no model that reads several views is there"):
        showing.joint_runs(runs[-1:])


@pytest.mark.parametrize("text", ["?enLabel", "?", "??", ":&", ":x", "a?b:c"])
def test_texts_that_begin_as_keys_do_read_back(text):
    for value in ({"columns": {"en_text": text}}, {"missing": [text]}, {text: 1}):
        assert read_yaml(write_yaml(value)) == value
