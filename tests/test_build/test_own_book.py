"""A book of a user's own table, whose every field holds signs that mean something elsewhere."""

import csv
import json
import os
import re
import subprocess
import sys
from urllib.parse import quote

import nbformat
import numpy as np
import pytest
from PIL import Image

from m3l.errors import ParameterError
from m3l_book.data.prepared import items, read_tuples

pytestmark = [pytest.mark.book, pytest.mark.thorough]

NASTY = [
    "<script>document.title='run'</script>",
    "</table><img src=x onerror=\"document.title='run'\">",
    "from $5 to $10",
    "*bold* _under_ `code`",
    "[link](javascript:alert(1))",
    "<!-- gone",
    "# no heading | no cell",
    "&amp; &lt;b&gt;",
    "{cite}`nobody` $x^2$",
    "</script><b>bold</b>",
]
WORDS = {
    "en": "river lake bridge boat bread cheese kitchen soup train station ticket railway",
    "ar": "نهر بحيرة جسر قارب خبز جبن مطبخ حساء قطار محطة تذكرة سكة",
}
QUICK = ["--topics", "4", "--epochs", "3", "--seeds", "1", "--sweeps", "10", "--min-words", "2"]


def nasty_table(folder, n=44):
    """A table of n articles, some without a text or a picture, and its pictures."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir(parents=True)
    rows = []
    for i in range(n):
        nasty, theme = NASTY[i % len(NASTY)], slice(i % 3 * 4, i % 3 * 4 + 4)
        row = {"id": f"{nasty} {i}", "kind": nasty}
        for language, words in WORDS.items():
            row[f"{language}_title"] = f"{nasty} {i}"
            row[f"{language}_text"] = f"{nasty} " + " ".join(rng.choice(words.split()[theme], 9))
        name = f"{nasty.replace('/', '')} {i}.png"
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        Image.new("RGB", (40, 40), colour).save(folder / "pictures" / name)
        row["picture"] = "" if i % 7 == 3 else name
        if i % 9 == 4:
            row["ar_text"] = ""
        rows.append(row)
    with open(folder / "it's my täble.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "it's my täble.csv"


def mine(checkout, table, *more):
    """``m3l-book mine`` on a table, in a checkout, by somebody who has no home."""
    command = [sys.executable, "-m", "m3l_book", "mine", str(table), "--name", "nasty"]
    columns = ["--id-column", "id", "--category-column", "kind"]
    return subprocess.run(
        [*command, *QUICK, "--pictures", str(table.parent / "pictures"), *columns, *more],
        cwd=checkout,
        env={k: v for k, v in os.environ.items() if k != "HOME"} | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def own_book(workshop, tmp_path_factory):
    """The checkout in which the book was made, and its table."""
    table = nasty_table(tmp_path_factory.mktemp("own") / "tâble of mine")
    result = mine(workshop, table)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return workshop, table


def test_every_sign_of_a_corpus_is_shown_as_itself_on_every_page(own_book, running):
    import browsing

    html, seen = own_book[0] / "build/nasty/html", set()
    visits = [(path, "") for path in sorted(html.rglob("*.html"))]
    # which titles a page shows depends on the model; a search finds each
    browser = html / "topics/nasty-m3l-k4-e3-s0/index.html"
    visits += [(browser, f"#/find/{quote(nasty, safe='')}") for nasty in NASTY]
    for path, fragment in visits:
        with browsing.opened(running, path, fragment=fragment) as tab:
            # what stands in a fold is shown, too
            tab.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            browsing.settle(tab.page)
            assert tab.page.title() != "run", path
            assert not [fault for fault in tab.faults if "script error" in fault], path
            assert tab.page.locator("img[src=x], a[href^=javascript]").count() == 0, path
            assert tab.page.locator("mjx-container:has-text('to')").count() == 0, path
            text = tab.page.locator("body").inner_text()
            seen |= {nasty for nasty in NASTY if re.search(re.escape(nasty) + r" \d", text)}
    assert seen == set(NASTY), "titles are shown, and as they are"


def test_the_book_is_about_her_corpus_and_nothing_else(own_book):
    html = own_book[0] / "build/nasty/html"
    pages = {p.name for p in html.iterdir() if p.suffix == ".html"}
    assert {"index.html", "map.html", "fit.html", "data.html"} <= pages
    assert not {"07-retrieval.html", "verdicts.html", "primer.html", "api.html"} & pages
    index = (html / "index.html").read_text("utf-8")
    assert index.count('<article class="own-topic">') >= 1 and "paper" not in index
    rows = len(read_tuples(own_book[0] / "data/nasty/prepared/nasty").drop_duplicates("row"))
    data = (html / "data.html").read_text("utf-8")
    assert "left out" in data or rows == 44
    assert "bokeh" in (html / "map.html").read_text("utf-8")


def test_her_topics_are_shown_before_the_rest_is_made(own_book):
    build = own_book[0] / "build/nasty"
    first = nbformat.read(build / "first/index.ipynb", as_version=4)
    (told,) = [c for c in first.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert "nasty-m3l-k4-e3-s0" in told.source and "shared" not in told.source
    assert (build / "first/index.ipynb").stat().st_mtime < (build / "own/fit.ipynb").stat().st_mtime


def test_every_document_is_in_the_browser_and_on_the_map(own_book):
    checkout = own_book[0]
    tuples = read_tuples(checkout / "data/nasty/prepared/nasty")
    for run in ("nasty-m3l-k4-e3-s0", "nasty-pltm-k4-e3-s0"):
        data = checkout / f"build/nasty/html/topics/{run}/data.js"
        shown = json.loads(data.read_text("utf-8").removeprefix("const DATA = ").rstrip(";\n"))
        for view in shown["views"]:
            assert len(shown["items"][view]) == len(items(tuples, view))
        assert shown["about"]["items"] == "all documents and pictures"


def test_a_name_of_hers_is_shown_without_training(own_book):
    checkout, table = own_book
    profile = checkout / "workflow/profiles/nasty.yaml"
    before, run = profile.read_text("utf-8"), "nasty-m3l-k4-e3-s0"
    weights = checkout / f"runs/nasty/{run}/model.safetensors"
    trained = weights.stat().st_mtime
    name = "<i>Käse</i>"
    edits = f'topics: {{over: kind, {run}: {{names: {{0: "{name}"}}, merge: [[1, 2]]}}}}'
    changed = re.sub(r"^topics:.*(\n  .*)*", edits, before, flags=re.M)
    assert changed != before
    profile.write_text(changed, encoding="utf-8")
    result = mine(checkout, table)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    browser = (checkout / f"build/nasty/html/topics/{run}/data.js").read_text("utf-8")
    assert name in browser and "topic 1 + 2" in browser
    assert name not in (checkout / "build/nasty/html/index.html").read_text("utf-8")
    assert weights.stat().st_mtime == trained and profile.read_text("utf-8") == changed
    profile.write_text(before, encoding="utf-8")
    assert mine(checkout, table).returncode == 0


def test_what_was_learnt_is_used_as_the_readme_says(own_book, monkeypatch, capsys):
    checkout, table = own_book
    picture = next((table.parent / "pictures").iterdir())
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    code, _ = re.findall(r"```python\n(.*?)```", readme, re.S)
    for old, new in (
        ("my/my-pltm-k20-s0", "nasty/nasty-pltm-k4-e3-s0"),
        ("my/my-m3l-k20-s0", "nasty/nasty-m3l-k4-e3-s0"),
        ('reliability("en")', 'reliability("en", (2, 5))'),
        ('"de"', '"ar"'),
        ('"pictures/horse.jpg"', repr(str(picture))),
    ):
        assert old in code
        code = code.replace(old, new)
    monkeypatch.chdir(checkout)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) > 10
    assert names["theta"].shape == (1, 4)
    assert {p.name for p in (checkout / "my-topics").iterdir()} == {
        "topics.csv",
        "documents.csv",
        *(f"theta_{view}.csv" for view in ("en", "ar", "image")),
    }
    run = names["run"]
    tuples = read_tuples(run.prepared)
    known = items(tuples[tuples["split"] == "test"], "en")["en_text"].tolist()
    np.testing.assert_allclose(run.place(known, "en"), run.run.theta["en"], atol=1e-5)
    with pytest.raises(ParameterError, match="view='fr' is unknown; valid: ar, en, image"):
        run.place(["texte"], "fr")


def test_the_same_command_again_makes_nothing_and_a_changed_table_is_seen(own_book):
    checkout, table = own_book
    card = checkout / "data/nasty/prepared/nasty/card.json"
    before = card.read_text(encoding="utf-8")
    again = mine(checkout, table)
    assert again.returncode == 0 and "nothing had to be made" in again.stdout
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(lines[:-2]), encoding="utf-8")
    profile = checkout / "workflow/profiles/nasty.yaml"
    target = "data/nasty/prepared/nasty/card.json"
    result = subprocess.run(
        [sys.executable, "workflow/build.py", profile.stem, target],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert card.read_text(encoding="utf-8") != before


def test_a_profile_that_was_changed_is_kept(own_book):
    checkout, table = own_book
    profile = checkout / "workflow/profiles/nasty.yaml"
    changed = profile.read_text(encoding="utf-8").replace("topics: 4", "topics: 5")
    profile.write_text(changed, encoding="utf-8")
    result = mine(checkout, table, "--profile-only")
    assert "as you changed it; --anew writes it again" in result.stdout
    assert profile.read_text(encoding="utf-8") == changed
    assert mine(checkout, table, "--profile-only", "--anew").returncode == 0
    assert "topics: 4" in profile.read_text(encoding="utf-8")
