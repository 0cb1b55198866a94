"""The topic browser and the interactive space, as files; `test_build` opens them in a browser."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record
from PIL import Image
from support import make_corpus

from m3l import DataError
from m3l.files import write_json
from m3l_book import topic_space
from m3l_book.pages import browser, explorer
from m3l_book.tables.shared import titles, topic_table


@pytest.fixture(scope="module")
def test_part():
    return make_corpus(n=30, views=VIEWS, split=["test"] * 30)


@pytest.fixture(scope="module")
def run(test_part):
    actual = record(test_part, "M3L-Contrast", list(VIEWS))
    actual.params |= {"topics": 6}
    return replace(actual, folder=Path("runs/mine"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, test_part):
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "images").mkdir()
    rows = [
        {"tuple_id": t, "article_id": t, "split": "test", "image_id": f"image-{i}"}
        for i, t in enumerate(test_part.article_ids)
    ]
    for i, row in enumerate(rows):
        for v in ("en", "fr"):
            row[f"{v}_title"], row[f"{v}_text"] = (
                f"{v} <b>title</b> {i}",
                f"{v} “text” & </script> {i}",
            )
        Image.new("RGB", (40, 20), (8 * i, 0, 90)).save(folder / "images" / f"{i}.png")
    pd.DataFrame(rows).to_parquet(folder / "tuples.parquet")
    write_json(folder / "images.json", {f"image-{i}": f"{i}.png" for i in range(len(rows))})
    return folder


@pytest.fixture(scope="module")
def page(run, test_part, prepared, tmp_path_factory):
    return browser.browse(run, test_part, prepared, tmp_path_factory.mktemp("out") / "b")


def data_of(page):
    return json.loads(
        re.fullmatch(
            r"const DATA = (.*);\n", (page.parent / "data.js").read_text(encoding="utf-8"), re.S
        ).group(1)
    )


def test_topics_have_words_in_each_language_share_coherence_and_typical_items(page, run):
    data = data_of(page)
    assert (
        data["views"] == list(VIEWS) and data["about"]["run"] == "mine" and len(data["topics"]) == 6
    )
    assert sum(topic["share"] for topic in data["topics"]) == pytest.approx(1, abs=1e-3)
    for k, topic in enumerate(data["topics"]):
        assert topic["words"] == {v: run.topics[v][k] for v in ("en", "fr")}
        assert topic["npmi"]["en"] == pytest.approx(
            run.metrics["npmi_of_topics"]["en"][k], abs=1e-3
        )
        for view in VIEWS:
            best = [i for i, _ in topic["items"][view]]
            assert best == np.argsort(-run.theta[view][:, k], kind="stable")[:8].tolist()


def test_items_have_topics_neighbours_and_their_tuple(page, run, test_part):
    from m3l.metrics import jensen_shannon

    items = data_of(page)["items"]
    assert [len(items[v]) for v in VIEWS] == [30, 30, 30]
    item = items["en"][7]
    assert (
        item["title"] == "en <b>title</b> 7"
        and item["tuple"] == {"fr": [7], "image": [7]}
        and item["articles"] == [test_part.article_ids[7]]
    )
    assert item["topics"][0][0] == run.theta["en"][7].argmax()
    d = [jensen_shannon(run.theta["en"][7], other) for other in run.theta["image"]]
    assert item["near"]["image"] == np.argsort(d, kind="stable")[:5].tolist()
    assert items["image"][7]["title"] == "en <b>title</b> 7", "a picture is called as its article"


def test_pictures_are_small_copies_beside_the_page(page):
    names = [item["picture"] for item in data_of(page)["items"]["image"]]
    assert len(set(names)) == 30
    with Image.open(page.parent / names[3]) as picture:
        assert picture.size == (112, 56)


def test_the_page_asks_for_its_data_and_nothing_else(page):
    html = page.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="([^"#$][^"$]*)"', html) == ["data.js"] and "http" not in html


@pytest.mark.parametrize(
    "files",
    [
        *(["thesis.txt"], ["data.js", "thesis.txt"], ["data.js"]),
        *(["index.html", "data.js", "thesis.txt"], ["index.html", "data.js"]),
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone(
    files, run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(browser, "load_run", lambda folder: run)
    for name in files:
        (tmp_path / name).write_text("mine")
    assert browser.main(["run", str(tmp_path), "--data", "data"]) == 1
    assert "give another folder" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        files, "mine"
    )


def test_the_command_line_replaces_a_topic_browser_and_says_what_is_wrong(
    page, run, test_part, prepared, tmp_path, capsys, monkeypatch
):
    assert browser.main([str(tmp_path / "none"), str(tmp_path / "out")]) == 1
    assert "no such run" in capsys.readouterr().err
    monkeypatch.setattr(browser, "load_run", lambda folder: run)
    monkeypatch.setattr(browser, "test_corpora", lambda runs, data: {"small": test_part})
    shutil.copytree(prepared, tmp_path / "prepared" / "small")
    out = shutil.copytree(page.parent, tmp_path / "out")
    (out / "index.html").write_text("old")
    home = "../../09-topic-space.html"
    command = ["run", str(out), "--data", str(tmp_path), "--home", home]
    assert browser.main(command) == 0
    assert (out / "index.html").read_bytes() == browser.PAGE.read_bytes()
    assert data_of(out / "index.html")["about"]["home"] == home


def test_all_pictures_of_an_article_and_all_articles_of_a_picture_are_told(
    run, test_part, prepared, tmp_path
):
    """Articles 0 and 1 share their texts' pictures: each has both."""
    several = replace(
        test_part, article_ids=[test_part.article_ids[0]] * 2 + list(test_part.article_ids[2:])
    )
    items = data_of(browser.browse(run, several, prepared, tmp_path / "s"))["items"]
    assert items["en"][0]["tuple"]["image"] == items["en"][1]["tuple"]["image"] == [0, 1]
    assert items["image"][1]["tuple"]["en"] == [0, 1]


@pytest.mark.parametrize("titles", [["en_title"], ["en_title", "fr_title"]])
def test_a_missing_title_is_that_of_another_language_or_the_id(
    run, test_part, prepared, tmp_path, titles
):
    shutil.copytree(prepared, tmp_path / "p")
    frame = pd.read_parquet(tmp_path / "p" / "tuples.parquet")
    other = frame.loc[3, "fr_title"]
    frame.loc[3, ["en_text", *titles]] = None
    frame.to_parquet(tmp_path / "p" / "tuples.parquet")
    item = data_of(browser.browse(run, test_part, tmp_path / "p", tmp_path / "m"))["items"]["en"][3]
    title = other if len(titles) == 1 else test_part.article_ids[3]
    assert item["text"] == "" and item["title"] == title


def test_a_picture_without_a_file_is_named(run, test_part, prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "p")
    files = json.loads((tmp_path / "p" / "images.json").read_text())
    del files["image-4"]
    write_json(tmp_path / "p" / "images.json", files)
    with pytest.raises(DataError, match=r"images.json: names no file for 1 pictures .*image-4"):
        browser.browse(run, test_part, tmp_path / "p", tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "theta, npmi, message",
    [
        ({"en": np.full((30, 6), np.nan)}, {"en": [0.1] * 6}, "view 'en' has values that are not"),
        ({"en": np.full((30, 5), 0.2)}, {"en": [0.1] * 6}, "one number of topics"),
        ({"en": np.full((9, 6), 1 / 6)}, {"en": [0.1] * 6}, "are not those of the test part"),
        ({}, None, "no NPMI of every topic"),
        ({}, {"en": [None] * 6}, "no NPMI of every topic"),
    ],
)
def test_a_record_that_is_not_whole_or_of_other_items_is_refused(
    theta, npmi, message, run, test_part, prepared, tmp_path
):
    metrics = run.metrics | {"npmi_of_topics": npmi}
    broken = replace(run, theta=run.theta | theta, metrics=metrics)
    with pytest.raises(DataError, match=message):
        browser.browse(broken, test_part, prepared, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_page_without_pictures(run, test_part, prepared, tmp_path):
    texts = replace(run, theta={v: run.theta[v] for v in ("en", "fr")})
    actual = data_of(
        browser.browse(texts, test_part.select(["en", "fr"]), prepared, tmp_path / "t")
    )
    assert actual["views"] == ["en", "fr"] and not (tmp_path / "t" / "pictures").exists()


@pytest.fixture
def shown(run, test_part):
    space = topic_space.pool(run.theta, test_part, 12)
    place = np.random.default_rng(0).standard_normal((len(space), 2))
    return topic_space.TopicMap(run, space, topic_space.distances(space.theta), place)


def test_the_space_to_walk_about_in_holds_every_item_and_names_bokehs_scripts_once(
    shown, test_part, prepared, tmp_path
):
    (tmp_path / f"space-{prepared.name}").mkdir()
    (tmp_path / f"space-{prepared.name}" / "of an earlier build").write_text("x")
    html = explorer.explorer(shown, test_part, prepared, "a title", tmp_path, "bokeh", True)
    assert all(html.count(f'src="bokeh/{name}"') == 1 for name in explorer.SCRIPTS)
    assert "http" not in re.sub(r"http://www.w3.org\S*", "", html)
    assert all(path.is_file() for path in explorer.bokeh_scripts())
    for i, article in enumerate(test_part.article_ids):
        assert (f" {i} (en, {article})" in html) == (article in shown.space.article)
    assert "&lt;b&gt;title" in html, "a title's signs are no markup"
    assert html.count("topics/mine/index.html#/item/fr/") == 12
    small = sorted((tmp_path / f"space-{prepared.name}").iterdir())
    assert len(small) == 12 and all(f"assets/space-{prepared.name}/{p.name}" in html for p in small)


def test_a_page_that_stands_alone_holds_bokeh_and_its_pictures(
    shown, test_part, prepared, tmp_path
):
    html = explorer.explorer(shown, test_part, prepared, "a title", tmp_path)
    assert "<script src" not in html and "<script defer" not in html and len(html) > 1_000_000
    assert html.count("data:image/webp;base64,") == 12 and "#/item/" not in html


def test_an_item_is_described_by_its_largest_topics():
    assert explorer.largest(np.array([0.25, 0.001, 0.749])) == [[2, 75], [0, 25]]


def test_a_test_part_without_a_picture_has_a_browser_of_its_texts(prepared, tmp_path):
    part = make_corpus(n=30, views=VIEWS, split=["test"] * 30)
    part.views["image"].index[:] = -1
    part = part.subset(np.arange(30))
    run = record(part, "M3L-Contrast", list(VIEWS))
    assert run.theta["image"].shape == (0, 6)
    data = data_of(browser.browse(run, part, prepared, tmp_path / "b"))
    assert data["views"] == ["en", "fr"] and set(data["items"]["en"][0]["near"]) == {"fr"}
    assert sum(topic["share"] for topic in data["topics"]) == pytest.approx(1, abs=1e-3)
    table = topic_table(run.theta, run.topics).data
    assert table["share"].str.fullmatch(r"[\d.]+%").all()


def test_an_article_in_several_rows_is_called_by_the_first_title_that_there_is(test_part, tmp_path):
    rows = [{"article_id": "a", "en_title": title, "fr_title": None} for title in ("Horse", None)]
    rows = [row | {"tuple_id": str(i), "split": "test"} for i, row in enumerate(rows)]
    frame = pd.DataFrame(rows).assign(en_text="a text", fr_text="un texte", image_id=["x", "y"])
    frame.to_parquet(tmp_path / "tuples.parquet")
    assert titles(tmp_path, test_part)["en"] == {"a": "Horse"}
