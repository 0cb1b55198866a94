"""The topic space in a real browser."""

import re

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def topic_space(book, running):
    """Opens the page of the topic space as asked for and waits until it is drawn."""
    import contextlib

    import browsing

    @contextlib.contextmanager
    def open_space(**options):
        with browsing.opened(running, book / "09-topic-space.html", **options) as tab:
            tab.page.wait_for_selector(".topic-space canvas")
            tab.page.locator(".topic-space .bk-Figure").first.scroll_into_view_if_needed()
            browsing.settle(tab.page)
            yield tab
            assert not tab.faults

    return open_space


def test_the_topic_space_is_drawn_and_a_chosen_item_shows_its_tuple(book, running):
    import browsing

    with browsing.opened(running, book / "09-topic-space.html") as tab:
        page = tab.page
        page.wait_for_selector(".topic-space canvas")
        browsing.settle(page)
        assert browsing.colours(page, ".topic-space .bk-Figure") >= 4, (
            "points of three colours on a ground"
        )
        field = page.locator(".topic-space input").first
        before = page.locator(".topic-space .bk-Figure").first.screenshot()
        field.press_sequentially("(en, ", delay=20)
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for()
        field.press("ArrowDown")
        field.press("Enter")
        browsing.settle(page)
        message = page.locator(".topic-space .bk-Div .bk-clearfix").last.inner_text()
        assert "Its tuple:" in message and "image:" in message and "topic" in message
        assert (
            page.locator(".topic-space .bk-Figure").first.screenshot() != before and not tab.faults
        )


def test_a_mouse_moves_the_topic_space_and_its_wheel_the_page(topic_space):
    import browsing

    with topic_space() as tab:
        page, before = tab.page, browsing.space_state(tab.page)
        x, y = browsing.space_point(page, 0)
        page.mouse.move(x - 40, y)
        page.mouse.move(x, y, steps=4)
        page.locator(".bk-tooltip-content").first.wait_for()
        assert "topic" in page.locator(".bk-tooltip-content").first.inner_text()
        page.mouse.down()
        page.mouse.move(x + 90, y, steps=6)
        page.mouse.up()
        moved = browsing.space_state(page)
        assert moved["start"] < before["start"] and moved["width"] == pytest.approx(before["width"])
        page.keyboard.down("Control")
        page.mouse.wheel(0, -300)
        page.keyboard.up("Control")
        browsing.settle(page)
        zoomed = browsing.space_state(page)
        assert zoomed["width"] < 0.95 * moved["width"]
        scrolled = page.evaluate("scrollY")
        page.mouse.wheel(0, -300)
        browsing.settle(page)
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
        browsing.settle(page)
        state = browsing.space_state(page)
        assert state["visible"] == [True, False, True]
        button = page.get_by_title(re.compile("Zoom In", re.I)).first
        for _ in range(20):
            page.keyboard.press("Tab")
            if button.evaluate("e => e === e.getRootNode().activeElement"):
                break
        page.keyboard.press("Enter")
        browsing.settle(page)
        assert browsing.space_state(page)["width"] < 0.95 * state["width"]


def test_fingers_choose_and_zoom_in_the_topic_space_and_scroll_past_it(topic_space):
    import browsing

    with topic_space(width=360, touch=True) as tab:
        page = tab.page
        x, y = browsing.space_point(page, 3)
        page.touchscreen.tap(x, y)
        browsing.settle(page)
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
            browsing.settle(page)
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
        browsing.settle(page)
        assert sum(browsing.space_state(page)["chosen"]) == 0, "beside all items, none"


def test_a_search_in_the_topic_space_says_what_it_found_and_shows_it(topic_space):
    import browsing

    with topic_space() as tab:
        page = tab.page
        field = page.locator(
            ".topic-space input[type=text], .topic-space .bk-AutocompleteInput input"
        ).first
        message = page.locator(".topic-space [role=status] .bk-clearfix")
        field.fill("<b>zzzz")
        field.press("Enter")
        browsing.settle(page)
        assert "No item is called “<b>zzzz”" in message.inner_text()
        page.locator(".topic-space input[type=checkbox]").nth(1).uncheck()
        button = page.get_by_title(re.compile("Zoom In", re.I)).first
        for _ in range(12):
            button.click()
        field.fill("")
        field.press_sequentially("(de, ", delay=20)
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for()
        field.press("ArrowDown")
        field.press("Enter")
        browsing.settle(page)
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
        page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for()
        field.press("ArrowDown")
        field.press("Enter")
        page.get_by_role("link", name="Its topics and neighbours").click()
        page.wait_for_url("**/topics/emoji-m3l-s0/index.html#/item/image/*")
        assert (
            page.locator("main img").first.evaluate("i => i.complete && i.naturalWidth > 0")
            and "Nearest documents (en)" in page.locator("main").inner_text()
        )
        page.get_by_role("link", name="back to the book").click()
        page.wait_for_url("**/09-topic-space.html")
