"""The topic browser in a real browser."""

import json
import re

import pytest

pytestmark = pytest.mark.book


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
        assert dark != light and not browsing.serious_faults(page)
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
        # another process of the browser may read its storage before the write has arrived there
        page.reload()
        while page.locator("#order").input_value() != "main":
            page.wait_for_timeout(100)
            page.reload()
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
    for fragment, message in (
        ("#main", "topics"),
        ("#/topic/", "Not found"),
        ("#/topic/abc", "no topic abc"),
        ("#/item/image/-1", "no item -1"),
    ):
        with browsing.opened(running, path, fragment=fragment) as tab:
            assert message in tab.page.locator("main").inner_text()
