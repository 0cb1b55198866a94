"""The built pages in a real browser."""

import pytest
from building import all_pages

pytestmark = pytest.mark.book


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (360, "light")])
def test_pages_open_in_a_browser_without_a_network_and_without_complaint(
    book, running, width, scheme
):
    import browsing

    wrong, formulas = {}, 0
    for path in all_pages(book, every=scheme == "light"):
        with browsing.opened(running, path, width, scheme) as tab:
            browsing.settle(tab.page)
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
                wrong[str(path.relative_to(book))] = faults
    assert not wrong and formulas > 10


def test_figures_follow_the_colours_that_the_reader_chose_and_not_the_systems(book, running):
    import browsing

    for scheme in ("light", "dark"):
        with browsing.opened(running, book / "07-retrieval.html", scheme=scheme) as tab:
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
    import browsing

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
