"""The book of profile smoke, looked at as files."""

import json
import re
from html import unescape

import pandas as pd
import pytest
import yaml
from building import EVERY, PAGES

pytestmark = pytest.mark.book


def html_of(book, page):
    return (book / f"{page}.html").read_text(encoding="utf-8")


def test_every_page_is_there_and_says_how_it_was_made_if_it_was(book):
    """What is computed has its provenance; prose has none, and the status that of the build."""
    for page in EVERY:
        html = html_of(book, page)
        if page not in PAGES and page != "status":
            assert "How this page was made" not in html, page
            continue
        assert "How this page was made" in html and "smoke" in html, page
        for part in ["profile", "parameters", "data", "versions"] + ["wall time"] * (page in PAGES):
            assert f"<strong>{part}</strong>" in html, f"{page} lacks {part}"


def test_pages_read_without_a_network(book):
    for path in book.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        sources = r"<(?:script|img|iframe|source)[^>]+src=[\"'](?!data:)([^\"']+)"
        links = r"<link[^>]+rel=[\"'](?:stylesheet|preload|icon)[\"'][^>]+href=[\"']([^\"']+)"
        loaded = re.findall(sources, html) + re.findall(links, html)
        assert loaded and not [url for url in loaded if "://" in url or url.startswith("//")], path
        for url in loaded:
            target = (path.parent / url.split("?")[0].split("#")[0]).resolve()
            assert target.exists(), f"{path.name} loads {url}, which is not there"
        for asked in ("THEBE_JS_URL", "jupyter.widget", "jupyter-widgets"):
            assert asked not in html, f"{path.name} has {asked}"


def test_no_page_shows_an_error_or_a_raw_directive(book):
    for page in EVERY:
        html = html_of(book, page)
        for wrong in ("IPython.core.display", "Traceback (most recent call last)", ":::{", "{cite"):
            assert wrong not in html, f"{page} shows {wrong}"
        text = re.sub(r"<script.*?</script>", "", html, flags=re.S)
        text = re.sub(r'<div class="cell_input.*?</pre>', "", text, flags=re.S)  # code
        assert not re.search(r"(?<![\w/])nan(?![\w/])", text), f"{page} shows a nan"


def test_every_picture_has_alternative_text(book):
    for page in PAGES:
        for tag in re.findall(r"<img[^>]+>", html_of(book, page)):
            alt = re.search(r'alt="([^"]*)"', tag)
            assert alt and len(alt.group(1)) > 10 and "_images" not in alt.group(1), tag


def test_every_figure_is_a_drawing_fit_for_print(book):
    from xml.etree import ElementTree

    from m3l_book.figures.style import WIDTH

    svg, seen = "{http://www.w3.org/2000/svg}", 0
    for page in PAGES:
        html = html_of(book, page)
        for alt, source in re.findall(r'<img alt="([^"]+)"[^>]* src="(_images/[^"]+)"', html):
            assert source.endswith(".svg"), f"{page}: {alt}"
            drawing = ElementTree.parse(book / source).getroot()
            assert float(drawing.get("width").removesuffix("pt")) <= 72 * WIDTH
            sizes = [
                float(x)
                for text in drawing.iter(f"{svg}text")
                for x in re.findall(r"([\d.]+)px", text.get("style", ""))
            ]
            assert min(sizes) >= 9, f"{page}: {alt}"
            seen += 1
    assert seen > 20


def test_links_to_files_of_the_book_lead_to_files(book):
    for page in book.glob("*.html"):
        for url in re.findall(
            r'<a [^>]*href="((?:assets|topics)/[^"#?]+)', page.read_text("utf-8")
        ):
            assert (book / url).is_file(), f"{page.name} links to {url}"
    assert (book / "assets/figure-2-emoji.pdf").read_bytes().startswith(b"%PDF")


def test_runs_hold_all_that_a_figure_needs(checkout):
    from m3l_book.records.run import load_model, load_run

    folders = [path.parent for path in (checkout / "runs/smoke").glob("*/metrics.json")]
    assert len(folders) >= 12
    for folder in sorted(folders):
        run, model = load_run(folder), load_model(folder / "model.safetensors")
        assert run.metrics["scores"] and set(run.theta) == set(run.params["encoders"])
        assert run.history[-1]["epoch"] == run.params.get("epochs", run.params.get("sweeps"))
        assert model.topics == run.params["topics"]
        assert set(model.vocabularies) == {v for v in run.params["train_views"] if v != "image"}


def test_rendered_scores_are_the_recorded_ones(book, checkout):
    recorded = json.loads((checkout / "runs/smoke/emoji-m3l-s0/metrics.json").read_text())["scores"]
    html = html_of(book, "04-training")
    for score in recorded:
        assert (
            f"{score['score']:.3f}" in html and f"{score['low']:.3f} – {score['high']:.3f}" in html
        )


def test_what_the_first_page_says_of_the_length_of_texts_is_so(checkout):
    assert "some 75 and 50 words long" in (checkout / "book/index.md").read_text(encoding="utf-8")
    tuples = pd.read_parquet(checkout / "data/smoke/prepared/vital/tuples.parquet")
    tuples = tuples.drop_duplicates("article_id")
    for language, length in (("en", 75), ("fr", 50)):  # of a tenth of the corpus
        words = tuples[f"{language}_text"].dropna().str.split().str.len()
        assert words.median() == pytest.approx(length, abs=8)


def cells(html, table_class):
    """The text of every cell of the tables of a class, tags taken out."""
    tables = re.findall(rf'<table[^>]*class="[^"]*{table_class}.*?</table>', html, re.S)
    return [
        re.sub(r"<[^>]+>", " ", cell)
        for table in tables
        for cell in re.findall(r"<td.*?</td>", table, re.S)
    ]


def test_verdicts_are_the_recorded_ones_and_beside_them_stands_this_build(book, checkout):
    from m3l_book.recorded import load_recorded, of_runs
    from m3l_book.records import planning
    from m3l_book.records.collection import Collection

    recorded = load_recorded(checkout / "data/results/full")
    verdicts = recorded.verdicts(str(checkout / "data/paper"))
    profile = yaml.safe_load((checkout / "workflow/profiles/smoke.yaml").read_text())
    data, runs = str(checkout / "data/smoke"), checkout / "runs/smoke"
    collection = Collection.load(data, runs, list(planning.make_plan(profile).runs))
    live = of_runs(collection).verdicts(str(checkout / "data/paper"))
    page = html_of(book, "verdicts")
    shown = re.findall(r'<article class="claim-card">.*?</article>', page, re.S)
    shown = [unescape(re.sub(r"<[^>]+>", " ", card)) for card in shown]
    tested = [v for v in verdicts.values() if v.claim.standing == "tested" and v.cases]
    assert len(tested) >= 16
    read = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", "", page, flags=re.S)))
    for v in verdicts.values():
        known = re.compile(rf"Known in the files as\.\s+{v.claim.id}\s")
        own = [card for card in shown if known.search(card)]
        assert len(own) == bool(v.cases or v.claim.standing != "tested"), v.claim.id
        assert all(v.claim.rule in card and v.claim.written in card for card in own)
        assert v.claim.claim in (own[0] if own else read)
        means = {**v.means, **live[v.claim.id].means} if own else {}
        assert all(f"{mean:.3f}" in own[0] for mean in means.values()), v.claim.id
        assert not v.cases or v.claim.standing != "tested" or v.words in own[0], v.claim.id
    same = [
        re.findall(r"means point the same way on \d+", text)
        for text in (page, html_of(book, "conclusion"))
    ]
    assert same[0] == same[1] and len(same[0]) == 1, "both pages count the same claims"
    front = unescape(html_of(book, "index"))
    counted = sum(v.claim.counts and bool(v.by_corpus) for v in tested)
    assert f"Of {counted} claims" in front
    assert "Between languages" in front and "From texts to pictures" in front
    (alternative,) = re.findall(r'<img class="dark-light" alt="([^"]*)"', front)
    assert "MRR en → fr, here: PLTM" in alternative and "the paper: PLTM 0.333" in alternative
    assert "other corpora or settings than the recorded ones" in front
    table = " ".join(cells(html_of(book, "07-retrieval"), "paper-table"))
    for (corpus, setting, metric, _, who), measured in recorded.measured.items():
        if setting == "multilingual" and metric == "MRR" and not who.changes and corpus == "vital":
            assert f"{measured.values.mean():.3f}" in table
    assert all(f" {x} " in table for x in ("0.997", "0.333", "0.125", "0.445")), "the paper's"


def test_a_run_of_other_data_is_not_scored(book, checkout):
    from m3l import DataError
    from m3l_book.records import selection
    from m3l_book.records.run import load_run

    run = load_run(checkout / "runs/smoke/emoji-m3l-s0")
    assert len(selection.test_corpora([run], str(checkout / "data/smoke"))) == 1
    run.metrics["data"] = "of yesterday"
    with pytest.raises(DataError, match=r"emoji-m3l-s0.*other data"):
        selection.test_corpora([run], str(checkout / "data/smoke"))
