"""The built pages in a real browser."""

import json

import browsing
import pytest
from building import all_pages

pytestmark = pytest.mark.book


def faults_of(tab, thorough, scheme="light", sideways=False):
    """What is wrong with an open page as it stands now."""
    browsing.settle(tab.page)
    facts = tab.page.evaluate(browsing.FACTS)
    faults = [*tab.faults, *(f"broken image {name}" for name in facts["broken"])]
    tab.faults.clear()
    if facts["untypeset"]:
        faults.append(f"{facts['untypeset']} formulas are not typeset")
    if sideways and facts["wide"] > 0:
        faults.append(f"scrolls sideways by {facts['wide']} px")
    if thorough:
        faults += browsing.serious_faults(tab.page, colours_alone=scheme == "dark")
    return [f"{scheme}: {fault}" for fault in faults], facts["formulas"]


def test_pages_open_without_a_network_and_without_complaint(book, running, request):
    """Each page is opened once: light, then dark and as narrow as a phone; with ``--thorough`` one
    after the other, and as those find it who cannot see it.
    """
    thorough, wrong, formulas = request.config.getoption("thorough"), {}, 0
    chapters = set(all_pages(book, every=False))
    for path in all_pages(book):
        with browsing.opened(running, path) as tab:
            faults, typeset = faults_of(tab, thorough)
            formulas += typeset
            if path in chapters:
                tab.page.emulate_media(color_scheme="dark")
                if thorough:
                    faults += faults_of(tab, thorough, "dark")[0]
                    tab.page.emulate_media(color_scheme="light")
            tab.page.set_viewport_size({"width": 360, "height": 900})
            faults += faults_of(tab, thorough and path in chapters, sideways=True)[0]
            if faults:
                wrong[str(path.relative_to(book))] = faults
    assert not wrong, json.dumps(wrong, indent=1)
    assert formulas > 10


@pytest.mark.thorough
def test_topic_browsers_are_accessible_in_every_state(book, running):
    wrong = {}
    visits = [(path, "") for path in sorted((book / "topics").glob("*/index.html"))]
    states = ["#/topic/1", "#/item/image/0", "#/find/a", "#/nowhere/1"]
    visits += [(book / "topics/emoji-m3l-s0/index.html", state) for state in states]
    for path, fragment in visits:
        for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light")):
            with browsing.opened(running, path, width, scheme, fragment) as tab:
                browsing.settle(tab.page)
                if serious := browsing.serious_faults(tab.page, colours_alone=scheme == "dark"):
                    wrong[f"{path.relative_to(book)}{fragment} {scheme} {width}"] = serious
    assert not wrong, json.dumps(wrong, indent=1)


def test_figures_follow_the_colours_that_the_reader_chose_and_not_the_systems(book, running):
    for scheme in ("light", "dark"):
        with browsing.opened(running, book / "07-retrieval.html", scheme=scheme) as tab:
            figure, luminance = ".cell_output img.dark-light", {}
            for _ in range(3):
                tab.page.locator(figure).first.scroll_into_view_if_needed()
                now = tab.page.evaluate("document.documentElement.dataset.theme")
                luminance[now] = sum(browsing.pixels(tab.page, figure).getpixel((3, 3))) / 3
                tab.page.locator(".theme-switch-button").first.click()
            assert luminance["light"] > 240 and luminance["dark"] < 40 and not tab.faults


def test_the_search_finds_words_of_chapters(book, running):
    with browsing.opened(running, book / "search.html", fragment="?q=divergence") as tab:
        tab.page.wait_for_selector("#search-results li")
        assert (
            "retrieval"
            in " ".join(
                tab.page.locator("#search-results li a").evaluate_all(
                    "links => links.map(a => a.href)"
                )
            )
            and not tab.faults
        )


def test_a_page_prints_light_from_a_dark_screen(book, running):
    with browsing.opened(running, book / "09-topic-space.html", scheme="dark") as tab:
        tab.page.evaluate(
            "addEventListener('beforeprint', () => { window.printed ="
            " document.documentElement.dataset.theme; })"
        )
        assert len(tab.page.pdf()) > 100_000
        assert tab.page.evaluate("[window.printed, document.documentElement.dataset.theme]") == [
            "light",
            "dark",
        ]
        assert not tab.faults
