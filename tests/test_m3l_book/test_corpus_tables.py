"""Tables and sentences about corpora, and how a run is looked at."""

import json

import pandas as pd
import pytest
from support import make_corpus

from m3l import M3L, model_for
from m3l.errors import ParameterError
from m3l_book.records import protocol
from m3l_book.tables import corpora as tables


def card(pairs=()):
    part = {"tuples": 5, "articles": 4, "illustrated": 2, "pictures": 3}
    return {
        "languages": ["en", "de"],
        "near_duplicates": list(pairs),
        "illustration": {"titles": 7, "pictures": 12, "denied": 2, "of_two_titles": 1},
        "counts": {
            "train": part,
            "validation": dict.fromkeys(part, 0),
            "test": part,
            "documents_dropped_as_too_short": {"en": {"train": 1, "test": 2}, "de": {"train": 0}},
            "tuples_dropped_as_incomplete": 4,
            "leaking_tuples": 3,
        },
        "vocabularies": {"en": 40, "de": 50},
        "vocabulary_size": 50,
    }


def test_a_corpus_has_a_row_for_each_part_that_it_has(tmp_path):
    folder = tmp_path / "prepared" / "c"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"languages": ["en", "de"]}))
    table = tables.counts_table({"c": card()}, str(tmp_path)).data
    assert table["part"].tolist() == ["train", "test"]
    assert table["with a picture"].tolist() == [2, 2]


def test_what_was_left_out_is_said():
    line = tables.left_out_line("c", card())
    assert "3 in en, 0 in de documents too short, 4 tuples" in line
    assert "3 because an item of theirs stands in a later part too" in line


def test_the_precision_of_pictures_is_that_of_the_ones_looked_at(tmp_path):
    path = tmp_path / "read.csv"
    rows = [{"picture": f"p{i}", "right": "no" if i < 1 else "yes"} for i in range(50)]
    pd.DataFrame(rows).to_csv(path, index=False)
    (line,) = tables.illustration_lines({"c": card()}, str(path))
    assert "12 pictures were found for 7 titles" in line
    assert "Of 50 drawn at random from the full corpus, 49" in line
    assert "**98.0%** (89.5% to 99.6%)" in line  # Wilson's interval
    without = {key: value for key, value in card().items() if key != "illustration"}
    assert tables.illustration_lines({"c": without}, str(path)) == []


def test_near_duplicates_are_counted_and_titles_shown_as_they_are(tmp_path):
    pairs = [
        {"view": "image", "split": "test", "likeness": 0.5, "train": "a", "other": "b"},
        {"view": "en", "split": "validation", "likeness": 0.6, "train": "a", "other": "c"},
    ]
    titles = ["<script>alert(1)</script>", "Chad", "Romania"]
    frame = pd.DataFrame({"article_id": ["a", "b", "c"], "en_title": titles})
    frame.to_parquet(tmp_path / "tuples.parquet")
    assert "no item of training" in tables.near_duplicates_line("c", card())
    line = tables.near_duplicates_line("c", card(pairs))
    assert "2 pairs" in line and "1 image (test), 1 en (validation)" in line
    table = tables.near_duplicates_table(card(pairs), str(tmp_path))
    assert table.data["in test"].tolist()[0] == "Chad"
    html = table.to_html()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_how_a_model_is_looked_at_is_checked():
    nothing = {"whole_tuples": False, "articles": 0, "samples": 20, "validate_every": 0}
    nothing |= {"tokens": 1.0, "vocabulary": 0, "one_state": False}
    assert protocol.protocol_options({}) == nothing
    with pytest.raises(ParameterError, match="samples=0: expected 1 or more"):
        protocol.protocol_options({"samples": 0})
    with pytest.raises(ParameterError, match="validate_every=-1: expected 0 or more"):
        protocol.protocol_options({"validate_every": -1})
    with pytest.raises(ParameterError, match="parameter='every' is unknown"):
        protocol.protocol_options({"every": 3})


def test_a_look_gives_the_score_of_each_direction():
    corpus = make_corpus()
    model = model_for(corpus, 4)
    readers: dict[str, tuple[M3L, str]] = {view: (model, view) for view in corpus.views}
    assert protocol.looks(readers, None, protocol.protocol_options({"validate_every": 2}), 0) == {}
    assert protocol.looks(readers, corpus, protocol.protocol_options({}), 0) == {}
    asked = protocol.looks(readers, corpus, protocol.protocol_options({"validate_every": 2}), 0)
    assert asked["validate_every"] == 2
    scores = asked["validate"](model)
    assert set(scores) == {f"{a}>{b}" for a in corpus.views for b in corpus.views if a != b}
    assert all(0 < score <= 1 for score in scores.values())


def test_a_sample_of_illustrated_articles_has_a_picture_each(tmp_path):
    rows = [(f"a{i}", "test", f"p{i}" if i < 2 else None, f"title {i}") for i in range(9)]
    frame = pd.DataFrame(rows, columns=["article_id", "split", "image_id", "en_title"])
    frame.to_parquet(tmp_path / "tuples.parquet")
    assert len(tables.sample_of(str(tmp_path), 3)) == 3
    assert set(tables.sample_of(str(tmp_path), 3, illustrated=True)["image_id"]) == {"p0", "p1"}


def test_what_of_the_lists_was_found_has_a_row_for_each_reason():
    join = {"train": {"rows": 1200, "found": 1000, "gone": 200}, "test": {"rows": 50, "found": 50}}
    table = tables.join_table({"join": join}).data
    assert table[""].tolist() == ["asked for", "found", "gone"]
    assert table["train"].tolist() == [1200, 1000, 200] and table["test"].tolist() == [50, 50, 0]
