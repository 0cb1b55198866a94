"""Runs that vary one parameter, and what encoders agree on."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record
from support import make_corpus

from m3l import M3L, ParameterError, model_for
from m3l_book.figures import charts, style
from m3l_book.measured import contender_of
from m3l_book.recorded import alignment
from m3l_book.records import protocol, selection


@pytest.fixture(scope="module")
def test_part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def curve():
    """Scores of two models in three directions, by topics and seed."""
    panels = {"en → fr, MRR": 0.5, "en → image, UAP": 0.2, "fr → image, UAP": 0.1}
    return pd.DataFrame(
        {"panel": panel, "model": model, "topics": topics, "score": score, "chance": 0.02}
        for panel, base in panels.items()
        for model, more in (("ZeroshotTM", 0.1), ("M3L-Contrast", 0.0))
        for topics in (25, 50, 100)
        for score in (base + more + topics / 1000, base + more + topics / 990)
    )


def test_curves_draw_each_model_once_a_panel_with_the_stars():
    table = curve()
    stars = [{"panel": table["panel"].iloc[0], "model": "ZeroshotTM", "x": 100, "score": 0.997}]
    figure = charts.curves(table, "topics", "topics", stars)
    assert len(figure.axes) == 3
    axes = next(a for a in figure.axes if a.get_title() == table["panel"].iloc[0].partition(",")[0])
    heights = sorted(round(float(v), 6) for c in axes.containers for v in c[0].get_ydata())
    shown = (
        table[table["panel"] == table["panel"].iloc[0]].groupby(["model", "topics"])["score"].mean()
    )
    assert heights == sorted(round(float(v), 6) for v in shown)
    assert not any(line.get_marker() == "*" for line in axes.lines)
    (beside,) = axes.child_axes
    assert [list(line.get_ydata()) for line in beside.lines] == [[0.997]], "on its own scale"
    assert axes.get_ylim()[1] < 0.997 < beside.get_ylim()[1]
    whole, part = (
        charts.curves(rows, "topics", "topics")
        for rows in (table, table[table["model"] != "ZeroshotTM"])
    )
    colours = [{c[0].get_color() for c in f.axes[0].containers} for f in (whole, part)]
    assert (
        colours[1] == {style.PALETTE[selection.PAPER_MODELS.index("M3L-Contrast")]} < colours[0]
    ), "a model keeps its colour without the others"
    plt.close("all")


def test_a_run_may_stand_for_further_variants(test_part):
    runs = [
        record(test_part, "ZeroshotTM", ["en"], seed=seed, variant={"topics": 25})
        for seed in (0, 1)
    ]
    name = runs[0].folder.name
    more = selection.with_variants(runs, {name: [{"batch": 32}, {"x": "y"}]})
    assert more[0] is runs[0] and more[3:] == runs[1:]
    assert [str(contender_of(run.params)) for run in more[1:3]] == [
        "ZeroshotTM (batch 32)",
        "ZeroshotTM (x y)",
    ]
    assert runs[0].params["variant"] == {"topics": 25}
    assert more[2].metrics is runs[0].metrics and more[2].folder.name == name
    with pytest.raises(ParameterError, match="no run is called 'nobody'"):
        selection.with_variants(runs, {"nobody": [{}]})


def test_alignment_is_high_in_one_space_chance_in_two_and_overlap_needs_no_space(test_part):
    same = test_part.views["en"].embeddings
    rotated = same @ np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0].astype(
        np.float32
    )
    wide = np.hstack([same, same])
    views = {
        "en": test_part.views["en"],
        "fr": replace(test_part.views["fr"], embeddings=same),
        "image": replace(test_part.views["image"], embeddings=wide),
    }
    rows = {
        r["views"]: r
        for r in alignment(replace(test_part, views=views), {"en": "a", "fr": "a", "image": "b"}, 5)
    }
    assert (
        rows["en – fr"]["one space"] == "yes"
        and rows["en – fr"]["there"] == rows["en – fr"]["back"] == 1.0
        and rows["en – fr"]["gap"] < 1e-6
    )
    assert (
        rows["en – image"]["one space"] == "no"
        and np.isnan(rows["en – image"]["there"])
        and rows["en – image"]["5 neighbours in common"] == 1.0
    )
    views["fr"] = replace(test_part.views["fr"], embeddings=rotated)
    row = alignment(replace(test_part, views=views), {"en": "a", "fr": "c", "image": "b"}, 5)[0]
    assert row["there"] < 0.3 and row["5 neighbours in common"] > 0.99 and row["gap"] > 0


def test_how_a_model_is_looked_at_is_checked():
    nothing = {"whole_tuples": False, "articles": 0, "samples": 20, "validate_every": 0}
    nothing |= {"tokens": 1.0, "vocabulary": 0, "one_state": False, "one_picture": False}
    nothing["a_to_z"] = False
    nothing |= {"start": ""}
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
