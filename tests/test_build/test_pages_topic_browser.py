"""The topic browser in a real browser."""

import json
import re

import browsing
import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def opened(book, running):
    """Opens a topic browser."""

    def open_browser(run="emoji-m3l-s0", **options):
        return browsing.opened(running, book / f"topics/{run}/index.html", **options)

    return open_browser


def choose_and_reload(page, selector, value):
    """Choose, and load the page again; a few times, since a browser may lose what a page writes
    just before it is left.
    """
    for _ in range(20):
        page.locator(selector).select_option(value)
        page.wait_for_timeout(200)
        page.reload()
        if page.locator(selector).input_value() == value:
            return
    raise AssertionError(f"{selector}: {value} is not kept")


def search(page, text):
    page.locator("#query").fill(text)
    page.keyboard.press("Enter")
    # the page of an item is called like it, too, and what is found stands in quotation marks
    page.wait_for_function("(found) => document.title.startsWith(found)", arg=f"“{text}”")
    return page.locator("main").inner_text()


@pytest.mark.parametrize("width, touch", [(1280, False), (360, True)])
def test_the_topic_browser_answers_a_search_and_a_shared_address_on_a_phone_too(
    opened, checkout, width, touch
):
    topics = json.loads((checkout / "runs/smoke/emoji-m3l-s0/topics.json").read_text("utf-8"))
    word = topics["en"][3][0]
    with opened(width=width, fragment="#/topic/3", touch=touch) as tab:
        page, main = tab.page, tab.page.locator("main")
        assert page.locator("h2").inner_text() == "Topic 3" and word in main.inner_text()
        assert page.title().startswith("Topic 3")
        assert "topic 3" in search(page, word.upper()) and main.locator("mark").count() >= 1
        page.evaluate("location.hash = '#/topic/99'")
        page.wait_for_function("() => document.title.startsWith('Not found')")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0 and not tab.faults
    with opened(width=width, fragment="#/item/image/0") as tab:
        picture = tab.page.locator("main img").first
        assert picture.evaluate("i => i.complete && i.naturalWidth > 0")
        assert "Nearest documents (en)" in tab.page.locator("main").inner_text()
        title = tab.page.evaluate("DATA.items.image[0].title")
        search(tab.page, title)
        found = tab.page.locator('main a[href="#/item/image/0"] img')
        assert found.count() == 1 and not tab.faults


def test_the_topic_browser_is_walked_by_keyboard_alone(opened):
    active = "document.activeElement"
    with opened("vital-m3l-s0") as tab:
        page = tab.page
        page.keyboard.press("Tab")
        assert page.evaluate(f"{active}.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate(f"{active}.getAttribute('href')").startswith("#/topic/")
        page.keyboard.press("Enter")
        page.wait_for_function("() => location.hash.startsWith('#/topic/')")
        assert page.evaluate(f"{active}.id") == "main", "focus goes to what is new"


def test_the_topic_browser_keeps_the_colours_that_a_reader_chose(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(scheme="light") as tab:
        page = tab.page
        light = page.evaluate(ground)
        page.locator("#mode").select_option("dark")
        dark = page.evaluate(ground)
        assert dark != light and not browsing.serious_faults(page)
        choose_and_reload(page, "#mode", "dark")
        assert page.evaluate(ground) == dark
        page.locator("#mode").select_option("auto")
        assert page.evaluate(ground) == light


def test_the_topic_browser_is_found_again_where_it_was_left(opened):
    with opened("vital-m3l-s0") as tab:
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
        choose_and_reload(page, "#order", "main")
        text = page.locator("main").inner_text()
        counts = [int(n) for n in re.findall(r"main topic of (\d+) items", text)]
        items = page.evaluate("Object.values(DATA.items).reduce((n, list) => n + list.length, 0)")
        assert counts == sorted(counts, reverse=True) and sum(counts) == items


def test_a_search_of_the_topic_browser_takes_words_in_any_order_and_says_when_there_is_nothing(
    opened,
):
    with opened() as tab:
        title = tab.page.evaluate(
            "DATA.items.en.map((item) => item.title).find((title) => title.split(' ').length > 2)"
        )
        words = title.split()
        assert title in search(tab.page, f"{words[-1].upper()} {words[0]}")
        assert tab.page.locator("main mark").count() >= 2
        assert "Nothing has this word" in search(tab.page, "qqqq")


@pytest.mark.parametrize(
    "fragment, message",
    [
        ("#main", "topics"),
        ("#/topic/", "Not found"),
        ("#/topic/abc", "no topic abc"),
        ("#/item/image/-1", "no item -1"),
    ],
)
def test_an_address_of_nothing_says_so(opened, fragment, message):
    with opened(fragment=fragment) as tab:
        assert message in tab.page.locator("main").inner_text()
