"""The book of profile smoke, built from nothing in a copy of the project and looked at as files."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "01-data",
    "02-encoders",
    "03-model",
    "04-training",
    "05-pltm",
    "06-retrieval",
    "07-topics",
    "08-topic-space",
]
PAGES += ["09-topic-numbers", "10-batch-sizes", "11-encoder-combinations", "12-scale", "verdicts"]
pytestmark = pytest.mark.book


def build(folder, *arguments, **options):
    return subprocess.run(
        [sys.executable, "workflow/build.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        **options,
    )


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the project in a folder with a space and a letter that is not ASCII, built once for
    smoke.
    """
    folder = tmp_path_factory.mktemp("büch er") / "m3l"
    left_out = shutil.ignore_patterns(
        ".git",
        ".venv*",
        "build",
        "runs",
        ".snakemake",
        "look",
        "__pycache__",
        "smoke",
        "laptop",
        "full",
        "cache",
    )
    shutil.copytree(ROOT, folder, ignore=left_out)
    if (
        ROOT / "data" / "cache"
    ).is_dir():  # encoders' outputs, keyed by content: spares minutes, changes nothing
        shutil.copytree(ROOT / "data" / "cache", folder / "data" / "cache")
    return folder


@pytest.fixture(scope="session")
def book(checkout):
    """The built book; on the way, a build killed in its middle and the same command given again."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    first = subprocess.Popen(
        [sys.executable, "workflow/build.py", "smoke"],
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    deadline = time.time() + 600
    while (
        not (checkout / "build/smoke/pages/02-encoders.ipynb").exists()
        and first.poll() is None
        and time.time() < deadline
    ):
        time.sleep(0.5)
    second = build(checkout, "smoke")
    assert second.returncode == 3 and "another build" in second.stderr, second.stderr
    time.sleep(3)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    result = build(checkout, "smoke")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "build/smoke/html/index.html" in result.stdout
    return checkout / "build/smoke/html"


def test_every_page_is_there_and_says_how_it_was_made(book):
    for page in [*PAGES, "index", "references"]:
        html = (book / f"{page}.html").read_text(encoding="utf-8")
        assert "How this page was made" in html, page
        for part in ("profile", "parameters", "data", "versions", "wall time"):
            assert re.search(rf"<strong>{part}</strong>", html), f"{page} lacks {part}"
        assert "smoke" in html


def test_pages_read_without_a_network(book):
    for path in book.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|img|iframe|source)[^>]+src=[\"'](?!data:)([^\"']+)", html
        ) + re.findall(
            r"<link[^>]+rel=[\"'](?:stylesheet|preload|icon)[\"'][^>]+href=[\"']([^\"']+)", html
        )
        assert loaded and not [url for url in loaded if "://" in url or url.startswith("//")], path
        for url in loaded:
            target = (path.parent / url.split("?")[0].split("#")[0]).resolve()
            assert target.exists(), f"{path.name} loads {url}, which is not there"
        assert (
            "THEBE_JS_URL" not in html
            and "jupyter.widget" not in html
            and "jupyter-widgets" not in html
        )


def test_no_page_shows_an_error_or_a_raw_directive(book):
    for page in [*PAGES, "index"]:
        html = (book / f"{page}.html").read_text(encoding="utf-8")
        assert (
            "IPython.core.display" not in html
            and "Traceback (most recent call last)" not in html
            and ":::{" not in html
            and "{cite" not in html
        ), page
        assert not re.search(
            r"(?<![\w/])nan(?![\w/])", re.sub(r"<script.*?</script>", "", html, flags=re.S)
        ), f"{page} shows a nan"


def test_every_picture_has_alternative_text(book):
    for page in PAGES:
        for tag in re.findall(r"<img[^>]+>", (book / f"{page}.html").read_text(encoding="utf-8")):
            alt = re.search(r'alt="([^"]*)"', tag)
            assert alt and len(alt.group(1)) > 10 and "_images" not in alt.group(1), tag


def test_every_figure_is_a_drawing_fit_for_print(book):
    from xml.etree import ElementTree

    from m3l_book.figures.style import WIDTH

    svg, seen = "{http://www.w3.org/2000/svg}", 0
    for page in PAGES:
        html = (book / f"{page}.html").read_text(encoding="utf-8")
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
            r'<a [^>]*href="((?:assets|topics)/[^"#?]+)', page.read_text(encoding="utf-8")
        ):
            assert (book / url).is_file(), f"{page.name} links to {url}"
    assert (book / "assets/figure-2-emoji.pdf").read_bytes().startswith(b"%PDF")


def test_runs_hold_all_that_a_figure_needs(book, checkout):
    from m3l_book.records.run import load_model, load_run

    for folder in sorted(path.parent for path in (checkout / "runs/smoke").glob("*/metrics.json")):
        run = load_run(folder)
        assert (
            run.history and run.metrics["scores"] and set(run.theta) == set(run.params["encoders"])
        )
        assert run.history[-1]["epoch"] == run.params.get("epochs", run.params.get("sweeps"))
        model, vocabularies = load_model(folder / "model.safetensors")
        assert model.topics == run.params["topics"] and set(vocabularies) == {
            v for v in run.params["train_views"] if v != "image"
        }


def test_rendered_scores_are_the_recorded_ones(book, checkout):
    recorded = json.loads((checkout / "runs/smoke/emoji-m3l-s0/metrics.json").read_text())["scores"]
    html = (book / "04-training.html").read_text(encoding="utf-8")
    for score in recorded:
        assert (
            f"{score['score']:.3f}" in html and f"{score['low']:.3f} – {score['high']:.3f}" in html
        )


def cells(html, table_class):
    """The text of every cell of the tables of a class, tags taken out."""
    tables = re.findall(rf'<table[^>]*class="[^"]*{table_class}.*?</table>', html, re.S)
    return [
        re.sub(r"<[^>]+>", " ", cell)
        for table in tables
        for cell in re.findall(r"<td.*?</td>", table, re.S)
    ]


def test_verdicts_and_tables_show_the_recorded_numbers(book, checkout):
    from m3l_book import claims, topic_space
    from m3l_book.records import planning, results, selection

    plan, named = (
        planning.plan(yaml.safe_load((checkout / "workflow/profiles/smoke.yaml").read_text())),
        {},
    )
    for labels in plan.labels.values():
        for run, names in labels.items():
            named.setdefault(run, []).extend(names)
    runs = selection.with_labels(
        selection.load_runs(checkout / "runs/smoke", list(plan.runs)), named
    )
    tests = selection.test_corpora(runs, str(checkout / "data/smoke"))
    scores = results.scores(runs)
    measured = results.measurements(
        runs, tests, scores, results.raw_scores(tests)
    ) | topic_space.measured(runs, tests)
    find = claims.paper_lookup(claims.read_numbers(checkout / "data/paper/numbers.csv"))
    verdicts = [
        claims.judge(c, measured, find)
        for c in claims.read_claims(checkout / "data/paper/claims.csv")
    ]
    page = (book / "verdicts.html").read_text(encoding="utf-8")
    shown = " ".join(cells(page, "verdict-table")).replace("&#x27;", "'")
    decided = [v for v in verdicts if v.verdict != "not measured"]
    assert len(decided) >= 16
    for v in verdicts:
        assert v.claim.claim in shown and v.claim.rule in shown, v.claim.id
    order = [shown.index(v.claim.claim) for v in decided] + [len(shown)]
    for v, begin, end in zip(decided, order, order[1:], strict=False):
        row = shown[begin:end]
        assert v.verdict in row and all(f"{mean:.3f}" in row for mean in v.means.values()), (
            v.claim.id
        )
    front = (book / "index.html").read_text(encoding="utf-8")
    assert (
        f"Of {len(decided)} claims" in front
        and all(f">{word}<" in front for word in {v.verdict for v in decided})
        and "not measured<" not in front
    )
    table = " ".join(cells((book / "06-retrieval.html").read_text(encoding="utf-8"), "paper-table"))
    main = results.as_in_the_paper(scores[scores["model"].isin(selection.PAPER_MODELS)])
    for _, rows in main.groupby(["corpus", "model", "direction"]):
        assert f"{rows['score'].mean():.3f}" in table
    assert all(f"paper {x}" in table for x in ("0.997", "0.333", "0.125", "0.445"))


def test_a_second_build_does_nothing(book, checkout):
    before = {p: p.stat().st_mtime_ns for p in (checkout / "runs/smoke").rglob("*") if p.is_file()}
    page = (book / "index.html").stat().st_mtime_ns
    result = build(checkout, "smoke")
    assert result.returncode == 0, result.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (book / "index.html").stat().st_mtime_ns == page


def test_the_same_seed_gives_the_same_numbers(book, checkout):
    folder = checkout / "runs/smoke/emoji-m3l-s0"
    before = {
        p.name: p.read_bytes() for p in folder.glob("*") if p.suffix in (".npy", ".safetensors")
    }
    shutil.rmtree(folder)
    assert build(checkout, "smoke", "runs/smoke/emoji-m3l-s0/metrics.json").returncode == 0
    assert {
        p.name: p.read_bytes() for p in folder.glob("*") if p.suffix in (".npy", ".safetensors")
    } == before


def test_through_an_executor_the_same_runs_give_the_same_bytes(book, checkout, tmp_path):
    """Jobs submitted to a scheduler, here one that just starts them, have no warm process to fork:
    a joint model, and a student, whose teacher is inferred from.
    """
    profile = tmp_path / "profile"
    profile.mkdir()
    submit, status = tmp_path / "submit.sh", tmp_path / "status.sh"
    submit.write_text(
        f'#!/bin/bash\nid=$$\n(bash "$1" > {tmp_path}/$id.txt 2>&1; echo $? > {tmp_path}/$id.rc) >'
        " /dev/null 2>&1 &\necho $id\n"
    )
    status.write_text(
        f"#!/bin/bash\nif [ ! -f {tmp_path}/$1.rc ]; then echo running; elif [ $(cat"
        f" {tmp_path}/$1.rc) = 0 ]; then echo success; else echo failed; fi\n"
    )
    for script in (submit, status):
        script.chmod(0o755)
    real = yaml.safe_load((ROOT / "workflow/slurm/config.yaml").read_text())
    own = {
        "cluster-generic-submit-cmd": str(submit),
        "cluster-generic-status-cmd": str(status),
        "cluster-generic-cancel-cmd": "true",
        "seconds-between-status-checks": 1,
    }
    (profile / "config.yaml").write_text(yaml.safe_dump(real | own))
    names = ["emoji-m3l-s0", "vital-kd-en-fr-s0"]
    before = {}
    for name in names:
        folder = checkout / "runs/smoke" / name
        before |= {
            p: p.read_bytes() for p in folder.glob("*") if p.suffix in (".npy", ".safetensors")
        }
        shutil.rmtree(folder)
    result = build(
        checkout, "smoke", "--runs", *names, "--", "--workflow-profile", str(profile), "--jobs", "2"
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(list(tmp_path.glob("*.rc"))) == 2 and {p: p.read_bytes() for p in before} == before


def test_one_chapter_reruns_with_one_parameter_changed(book, checkout):
    command = [
        sys.executable,
        "-m",
        "m3l_book.execute",
        "book/04-training.ipynb",
        "build/mine.ipynb",
    ]
    for name, value in (
        ("profile", "smoke"),
        ("data", "data/smoke"),
        ("runs", "build/my-runs"),
        ("run", "mine"),
        ("topics", "7"),
        ("epochs", "2"),
    ):
        command += ["-p", name, value]
    result = subprocess.run(
        command,
        cwd=checkout,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((checkout / "build/my-runs/mine/params.json").read_text())["topics"] == 7


def test_a_failing_chapter_fails_the_build_and_is_named(book, checkout, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(checkout, folder)
    profile = folder / "workflow/profiles/smoke.yaml"
    profile.write_text(profile.read_text().replace(", topics: 10", ", topics: 1"))
    result = build(folder, "smoke")
    assert result.returncode != 0
    assert (
        "book/04-" in result.stderr
        and "topics=1: expected" in result.stderr
        and "2 or more" in result.stderr
    )


def test_unknown_profile_lists_the_valid_ones(checkout):
    result = build(checkout, "laptpo")
    assert (
        result.returncode == 2
        and "laptpo" in result.stderr
        and "laptop" in result.stderr
        and "smoke" in result.stderr
    )


def test_a_profile_that_calls_itself_another_is_refused(checkout):
    profile = checkout / "workflow/profiles/mini.yaml"
    profile.write_text((checkout / "workflow/profiles/smoke.yaml").read_text())
    result = build(checkout, "mini")
    profile.unlink()
    assert result.returncode == 2 and "profile: smoke" in result.stderr


def test_a_run_of_other_data_is_not_scored(book, checkout):
    from m3l import DataError
    from m3l_book.records import selection
    from m3l_book.records.run import load_run

    run = load_run(checkout / "runs/smoke/emoji-m3l-s0")
    assert len(selection.test_corpora([run], str(checkout / "data/smoke"))) == 1
    run.metrics["data"] = "of yesterday"
    with pytest.raises(DataError, match=r"emoji-m3l-s0.*other data"):
        selection.test_corpora([run], str(checkout / "data/smoke"))


@pytest.fixture(scope="module")
def running(book):
    import browsing

    with browsing.browser() as found:
        yield found


def all_pages(book):
    return [book / f"{page}.html" for page in ["index", *PAGES, "references"]]


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (360, "light")])
def test_pages_open_in_a_browser_without_a_network_and_without_complaint(
    book, running, width, scheme
):
    import browsing

    wrong, formulas = {}, 0
    for path in all_pages(book):
        with browsing.opened(running, path, width, scheme) as tab:
            if tab.page.locator(".math").count():
                tab.page.wait_for_function(
                    "() => document.querySelectorAll('mjx-container').length > 0", timeout=20_000
                )
            tab.page.wait_for_timeout(300)
            facts = tab.page.evaluate(browsing.FACTS)
            formulas += facts["formulas"]
            faults = [*tab.faults, *(f"broken image {name}" for name in facts["broken"])]
            faults += (
                [f"{facts['untypeset']} formulas are not typeset"] if facts["untypeset"] else []
            )
            faults += (
                [f"scrolls sideways by {facts['wide']} px"]
                if width == 360 and facts["wide"] > 0
                else []
            )
            if faults:
                wrong[path.name] = faults
    assert not wrong and formulas > 10


def serious_faults(page):
    """What axe-core finds that keeps someone from reading or using the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [
        f"{v['id']}: {n['target']}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for n in v["nodes"][:3]
    ]
    # docutils' list of references holds doc-biblioentry, a kind of list item that axe does not
    # count as one
    return [fault for fault in serious if fault != "aria-required-children: ['.citation-list']"]


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (360, "light")])
def test_pages_are_accessible_to_those_who_cannot_see_them(book, running, width, scheme):
    import browsing

    wrong = {}
    browsers = sorted((book / "topics").glob("*/index.html"))
    states = ["#/topic/1", "#/item/image/0", "#/find/a", "#/nowhere/1"]
    visits = [(path, "") for path in [*all_pages(book), *browsers]] + [
        (book / "topics/emoji-m3l-s0/index.html", state) for state in states
    ]
    for path, fragment in visits:
        with browsing.opened(running, path, width, scheme, fragment) as tab:
            tab.page.wait_for_timeout(500)
            if serious := serious_faults(tab.page):
                wrong[f"{path.relative_to(book)}{fragment}"] = serious
    assert not wrong, json.dumps(wrong, indent=1)


def test_figures_follow_the_colours_that_the_reader_chose_and_not_the_systems(book, running):
    import browsing

    for scheme in ("light", "dark"):
        with browsing.opened(running, book / "06-retrieval.html", scheme=scheme) as tab:
            figure, luminance = ".cell_output img.dark-light", {}
            for _ in range(3):
                tab.page.locator(figure).first.scroll_into_view_if_needed()
                now = tab.page.evaluate("document.documentElement.dataset.theme")
                luminance[now] = sum(browsing.pixels(tab.page, figure).getpixel((3, 3))) / 3
                tab.page.locator(".theme-switch-button").first.click()
            assert luminance["light"] > 240 and luminance["dark"] < 40


def test_the_search_finds_words_of_chapters(book, running):
    import browsing

    with browsing.opened(running, book / "search.html", fragment="?q=divergence") as tab:
        tab.page.wait_for_selector("#search-results li", timeout=20_000)
        assert (
            "retrieval"
            in " ".join(
                tab.page.locator("#search-results li a").evaluate_all(
                    "links => links.map(a => a.href)"
                )
            )
            and not tab.faults
        )


def test_the_topic_space_is_drawn_and_a_chosen_item_shows_its_tuple(book, running):
    import browsing

    with browsing.opened(running, book / "08-topic-space.html") as tab:
        page = tab.page
        page.wait_for_selector(".topic-space canvas", timeout=20_000)
        page.wait_for_timeout(1000)
        assert browsing.colours(page, ".topic-space .bk-Figure") >= 4, (
            "points of three colours on a ground"
        )
        field = page.locator(".topic-space input").first
        before = page.locator(".topic-space .bk-Figure").first.screenshot()
        field.press_sequentially("(en, ", delay=20)
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for(timeout=5000)
        field.press("ArrowDown")
        field.press("Enter")
        page.wait_for_timeout(700)
        said = page.locator(".topic-space .bk-Div .bk-clearfix").last.inner_text()
        assert "Its tuple:" in said and "image:" in said and "topic" in said
        assert (
            page.locator(".topic-space .bk-Figure").first.screenshot() != before and not tab.faults
        )


@pytest.fixture
def topic_space(book, running):
    """Opens the page of the topic space as asked for and waits until it is drawn."""
    import contextlib

    import browsing

    @contextlib.contextmanager
    def open_space(**options):
        with browsing.opened(running, book / "08-topic-space.html", **options) as tab:
            tab.page.wait_for_selector(".topic-space canvas", timeout=20_000)
            tab.page.locator(".topic-space .bk-Figure").first.scroll_into_view_if_needed()
            tab.page.wait_for_timeout(1000)
            yield tab
            assert not tab.faults

    return open_space


def test_a_mouse_moves_the_topic_space_and_its_wheel_the_page(topic_space):
    import browsing

    with topic_space() as tab:
        page, before = tab.page, browsing.space_state(tab.page)
        x, y = browsing.space_point(page, 0)
        page.mouse.move(x - 40, y)
        page.mouse.move(x, y, steps=4)
        page.locator(".bk-tooltip-content").first.wait_for(timeout=5000)
        assert "topic" in page.locator(".bk-tooltip-content").first.inner_text()
        page.mouse.down()
        page.mouse.move(x + 90, y, steps=6)
        page.mouse.up()
        moved = browsing.space_state(page)
        assert moved["start"] < before["start"] and moved["width"] == pytest.approx(before["width"])
        page.keyboard.down("Control")
        page.mouse.wheel(0, -300)
        page.keyboard.up("Control")
        page.wait_for_timeout(300)
        zoomed = browsing.space_state(page)
        assert zoomed["width"] < 0.95 * moved["width"]
        scrolled = page.evaluate("scrollY")
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(500)
        assert browsing.space_state(page) == zoomed and page.evaluate("scrollY") < scrolled, (
            "a wheel without Ctrl is for the page"
        )


def test_the_topic_space_is_used_by_keyboard(topic_space):
    import browsing

    with topic_space() as tab:
        page = tab.page
        box = page.locator(".topic-space input[type=checkbox]").nth(1)
        box.focus()
        page.keyboard.press("Space")
        page.wait_for_timeout(300)
        state = browsing.space_state(page)
        assert state["visible"] == [True, False, True]
        button = page.get_by_title(re.compile("Zoom In", re.I)).first
        for _ in range(20):
            page.keyboard.press("Tab")
            if button.evaluate("e => e === e.getRootNode().activeElement"):
                break
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        assert browsing.space_state(page)["width"] < 0.95 * state["width"]


def test_fingers_choose_and_zoom_in_the_topic_space_and_scroll_past_it(topic_space):
    import browsing

    with topic_space(width=360, touch=True) as tab:
        page = tab.page
        x, y = browsing.space_point(page, 3)
        page.touchscreen.tap(x, y)
        page.wait_for_timeout(500)
        assert sum(browsing.space_state(page)["chosen"]) >= 1
        assert "Its tuple:" in page.locator(".topic-space [role=status] .bk-clearfix").inner_text()
        before, scrolled, figure = (
            browsing.space_state(page),
            page.evaluate("scrollY"),
            page.locator(".topic-space .bk-Figure").first,
        )
        box = figure.bounding_box()
        browsing.drag(page, [(180, box["y"] + 200)], [(0, -180)])
        assert browsing.space_state(page) == before and page.evaluate("scrollY") > scrolled + 100, (
            "one finger is for the page"
        )
        figure.scroll_into_view_if_needed()
        middle = figure.bounding_box()["y"] + 200
        browsing.drag(page, [(160, middle), (200, middle)], [(-80, 0), (80, 0)])
        assert (
            browsing.space_state(page)["width"] < 0.5 * before["width"]
            and page.evaluate("visualViewport.scale") == 1
        ), "two are for the map"


def test_a_click_chooses_the_nearest_item_and_no_other(topic_space):
    import browsing

    with topic_space() as tab:
        page = tab.page
        for item in range(0, 30, 3):
            page.mouse.click(*browsing.space_point(page, item))
            page.wait_for_timeout(500)  # sooner would be a double click
            state = browsing.space_state(page)
            assert sum(state["chosen"]) == 1
            at, chosen = (
                page.evaluate(browsing.SPACE, item),
                page.evaluate(browsing.SPACE, "chosen"),
            )
            assert abs(at["x"] - chosen["x"]) + abs(at["y"] - chosen["y"]) < 1.5, (
                "at the same place, if another item lies on it"
            )
        box = page.locator(".topic-space .bk-Figure canvas").first.bounding_box()
        page.mouse.click(box["x"] + 3, box["y"] + 60)
        page.wait_for_timeout(100)
        assert sum(browsing.space_state(page)["chosen"]) == 0, "beside all items, none"


def test_a_search_in_the_topic_space_says_what_it_found_and_shows_it(topic_space):
    import browsing

    with topic_space() as tab:
        page = tab.page
        field = page.locator(
            ".topic-space input[type=text], .topic-space .bk-AutocompleteInput input"
        ).first
        said = page.locator(".topic-space [role=status] .bk-clearfix")
        field.fill("<b>zzzz")
        field.press("Enter")
        page.wait_for_timeout(200)
        assert "No item is called “<b>zzzz”" in said.inner_text()
        page.locator(".topic-space input[type=checkbox]").nth(1).uncheck()
        button = page.get_by_title(re.compile("Zoom In", re.I)).first
        for _ in range(12):
            button.click()
        field.fill("")
        field.press_sequentially("(de, ", delay=20)
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for(timeout=5000)
        field.press("ArrowDown")
        field.press("Enter")
        page.wait_for_timeout(300)
        state = browsing.space_state(page)
        assert state["visible"] == [True, True, True] and state["chosen"] == [
            0,
            1,
            0,
        ], "its view is switched on"
        at, frame = (
            page.evaluate(browsing.SPACE, "chosen"),
            page.locator(".topic-space .bk-Figure").first.bounding_box(),
        )
        assert (
            frame["x"] <= at["x"] <= frame["x"] + frame["width"]
            and frame["y"] <= at["y"] <= frame["y"] + frame["height"]
        ), "and the map moved to it"


def test_a_chosen_item_leads_to_its_page_in_the_topic_browser(topic_space):
    with topic_space() as tab:
        page = tab.page
        field = page.locator(
            ".topic-space input[type=text], .topic-space .bk-AutocompleteInput input"
        ).first
        field.press_sequentially("(image, ", delay=20)
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for(timeout=5000)
        field.press("ArrowDown")
        field.press("Enter")
        page.get_by_role("link", name="Its topics and neighbours").click()
        page.wait_for_url("**/topics/emoji-m3l-s0/index.html#/item/image/*")
        assert (
            page.locator("main img").first.evaluate("i => i.complete && i.naturalWidth > 0")
            and "Nearest documents (en)" in page.locator("main").inner_text()
        )
        page.get_by_role("link", name="back to the book").click()
        page.wait_for_url("**/08-topic-space.html")


def test_the_topic_browser_answers_a_search_and_a_shared_address_on_a_phone_too(
    book, running, checkout
):
    import browsing

    topics = json.loads(
        (checkout / "runs/smoke/emoji-m3l-s0/topics.json").read_text(encoding="utf-8")
    )
    word = topics["en"][3][0]
    page_file = book / "topics/emoji-m3l-s0/index.html"
    for width, touch in ((1280, False), (360, True)):
        with browsing.opened(running, page_file, width, fragment="#/topic/3", touch=touch) as tab:
            page = tab.page
            assert (
                page.locator("h2").inner_text() == "Topic 3"
                and word in page.locator("main").inner_text()
            )
            assert page.title().startswith("Topic 3")
            page.locator("#query").fill(word.upper())
            page.keyboard.press("Enter")
            page.wait_for_function("() => location.hash.startsWith('#/find/')")
            assert (
                page.locator("main mark").count() >= 1
                and "topic 3" in page.locator("main").inner_text()
            )
            with browsing.opened(running, page_file, width, fragment="#/item/image/0") as shared:
                assert shared.page.locator("main img").first.evaluate(
                    "i => i.complete && i.naturalWidth > 0"
                )
                assert (
                    "Nearest documents (en)" in shared.page.locator("main").inner_text()
                    and not shared.faults
                )
            page.evaluate("location.hash = '#/topic/99'")
            page.wait_for_function("() => document.title.startsWith('Not found')")
            assert (
                page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                <= 0
            )
            assert not tab.faults


def test_the_topic_browser_is_walked_by_keyboard_alone(book, running):
    import browsing

    with browsing.opened(running, book / "topics/vital-m3l-s0/index.html") as tab:
        page = tab.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')").startswith("#/topic/")
        page.keyboard.press("Enter")
        page.wait_for_function("() => location.hash.startsWith('#/topic/')")
        assert page.evaluate("document.activeElement.id") == "main", "focus goes to what is new"


def test_the_topic_browser_keeps_the_colours_that_a_reader_chose(book, running):
    import browsing

    ground = "getComputedStyle(document.body).backgroundColor"
    with browsing.opened(running, book / "topics/emoji-m3l-s0/index.html", scheme="light") as tab:
        page = tab.page
        light = page.evaluate(ground)
        page.locator("#mode").select_option("dark")
        dark = page.evaluate(ground)
        assert dark != light and not serious_faults(page)
        page.reload()
        assert page.evaluate(ground) == dark and page.locator("#mode").input_value() == "dark"
        page.locator("#mode").select_option("auto")
        assert page.evaluate(ground) == light


def test_the_topic_browser_finds_pictures_by_title(book, running):
    import browsing

    with browsing.opened(
        running, book / "topics/emoji-m3l-s0/index.html", fragment="#/item/image/0"
    ) as tab:
        title = tab.page.evaluate("DATA.items.image[0].title")
        tab.page.locator("#query").fill(title)
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_function("() => location.hash.startsWith('#/find/')")
        assert tab.page.locator('main a[href="#/item/image/0"] img').count() == 1 and not tab.faults


def test_the_topic_browser_is_found_again_where_it_was_left(book, running):
    import browsing

    with browsing.opened(running, book / "topics/vital-m3l-s0/index.html") as tab:
        page = tab.page
        link = page.locator("main h3 a").last
        link.scroll_into_view_if_needed()
        before = page.evaluate("scrollY")
        assert before > 100
        link.click()
        page.wait_for_function("() => location.hash.startsWith('#/topic/')")
        assert page.evaluate("scrollY") == 0
        page.go_back()
        page.wait_for_function("() => !location.hash.startsWith('#/topic/')")
        assert page.evaluate("scrollY") == before
        page.locator("#order").select_option("main")
        page.reload()
        assert page.locator("#order").input_value() == "main"
        counts = [
            int(n)
            for n in re.findall(r"main topic of (\d+) items", page.locator("main").inner_text())
        ]
        items = page.evaluate("Object.values(DATA.items).reduce((n, list) => n + list.length, 0)")
        assert counts == sorted(counts, reverse=True) and sum(counts) == items


def test_a_search_of_the_topic_browser_takes_words_in_any_order_and_says_when_there_is_nothing(
    book, running
):
    import browsing

    path = book / "topics/emoji-m3l-s0/index.html"
    with browsing.opened(running, path) as tab:
        title = tab.page.evaluate(
            "DATA.items.en.map((item) => item.title).find((title) => title.split(' ').length > 2)"
        )
        words = title.split()
        tab.page.locator("#query").fill(f"{words[-1].upper()}  {words[0]}")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_function("() => location.hash.startsWith('#/find/')")
        assert (
            title in tab.page.locator("main").inner_text()
            and tab.page.locator("main mark").count() >= 2
        )
        tab.page.locator("#query").fill("qqqq")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_function("() => document.title.includes('qqqq')")
        assert "Nothing has this word" in tab.page.locator("main").inner_text()
    for fragment, said in (
        ("#main", "topics"),
        ("#/topic/", "Not found"),
        ("#/topic/abc", "no topic abc"),
        ("#/item/image/-1", "no item -1"),
    ):
        with browsing.opened(running, path, fragment=fragment) as tab:
            assert said in tab.page.locator("main").inner_text()


def test_a_page_prints_light_from_a_dark_screen(book, running):
    import browsing

    with browsing.opened(running, book / "08-topic-space.html", scheme="dark") as tab:
        tab.page.evaluate(
            "addEventListener('beforeprint', () => { window.printed ="
            " document.documentElement.dataset.theme; })"
        )
        assert len(tab.page.pdf()) > 100_000
        assert tab.page.evaluate("[window.printed, document.documentElement.dataset.theme]") == [
            "light",
            "dark",
        ]
