"""The topic space in a real browser."""

import contextlib
import re

import browsing
import pytest

pytestmark = pytest.mark.book
MESSAGE = ".topic-space [role=status] .bk-clearfix"


@pytest.fixture
def topic_space(book, running):
    """Opens the page of the topic space as asked for and waits until it is drawn."""

    @contextlib.contextmanager
    def open_space(**options):
        with browsing.opened(running, book / "09-topic-space.html", **options) as tab:
            tab.page.wait_for_selector(".topic-space canvas")
            figure(tab.page).scroll_into_view_if_needed()
            browsing.settle(tab.page)
            yield tab.page
            assert not tab.faults

    return open_space


def figure(page):
    return page.locator(".topic-space .bk-Figure").first


def find(page, text):
    """Type into the field and take the first of the names that appear, by keyboard."""
    field = page.locator(".topic-space .bk-AutocompleteInput input").first
    field.fill("")
    field.press_sequentially(text, delay=20)
    page.locator(".topic-space .bk-menu.bk-below > *").first.wait_for()
    field.press("ArrowDown")
    field.press("Enter")
    browsing.settle(page)


def test_a_mouse_moves_the_topic_space_and_its_wheel_the_page(topic_space):
    with topic_space() as page:
        before = browsing.space_state(page)
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
        zoomed, scrolled = browsing.space_state(page), page.evaluate("scrollY")
        assert zoomed["width"] < 0.95 * moved["width"]
        page.mouse.wheel(0, -300)
        browsing.settle(page)
        # a wheel without Ctrl is for the page
        assert browsing.space_state(page) == zoomed and page.evaluate("scrollY") < scrolled


def test_the_topic_space_is_used_by_keyboard(topic_space):
    with topic_space() as page:
        page.locator(".topic-space input[type=checkbox]").nth(1).focus()
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
    with topic_space(width=360, touch=True) as page:
        page.touchscreen.tap(*browsing.space_point(page, 3))
        browsing.settle(page)
        before, scrolled = browsing.space_state(page), page.evaluate("scrollY")
        assert sum(before["chosen"]) >= 1 and "Its tuple:" in page.locator(MESSAGE).inner_text()
        top = figure(page).bounding_box()["y"]
        browsing.drag(page, [(180, top + 200)], [(0, -180)])
        # one finger is for the page, two are for the map
        assert browsing.space_state(page) == before and page.evaluate("scrollY") > scrolled + 100
        figure(page).scroll_into_view_if_needed()
        middle = figure(page).bounding_box()["y"] + 200
        browsing.drag(page, [(160, middle), (200, middle)], [(-80, 0), (80, 0)])
        assert browsing.space_state(page)["width"] < 0.5 * before["width"]
        assert page.evaluate("visualViewport.scale") == 1


def test_a_click_chooses_the_nearest_item_and_no_other(topic_space):
    with topic_space() as page:
        # points of three colours on a ground
        assert browsing.colours(page, ".topic-space .bk-Figure") >= 4
        for item in range(0, 30, 3):
            page.mouse.click(*browsing.space_point(page, item))
            page.wait_for_timeout(500)  # sooner would be a double click
            browsing.settle(page)
            assert sum(browsing.space_state(page)["chosen"]) == 1
            at, chosen = (page.evaluate(browsing.SPACE, which) for which in (item, "chosen"))
            # at the same place, if another item lies on it
            assert abs(at["x"] - chosen["x"]) + abs(at["y"] - chosen["y"]) < 1.5
        box = figure(page).bounding_box()
        page.mouse.click(box["x"] + 3, box["y"] + 60)
        browsing.settle(page)
        assert sum(browsing.space_state(page)["chosen"]) == 0, "beside all items, none"


def test_a_search_in_the_topic_space_says_what_it_found_and_shows_it(topic_space):
    with topic_space() as page:
        field = page.locator(".topic-space .bk-AutocompleteInput input").first
        field.fill("<b>zzzz")
        field.press("Enter")
        browsing.settle(page)
        assert "No item is called “<b>zzzz”" in page.locator(MESSAGE).inner_text()
        page.locator(".topic-space input[type=checkbox]").nth(1).uncheck()
        for _ in range(12):
            page.get_by_title(re.compile("Zoom In", re.I)).first.click()
        before = figure(page).screenshot()
        find(page, "(de, ")
        state = browsing.space_state(page)
        # its view is switched on, and the map moved to it
        assert state["visible"] == [True, True, True] and state["chosen"] == [0, 1, 0]
        at, frame = page.evaluate(browsing.SPACE, "chosen"), figure(page).bounding_box()
        assert 0 <= at["x"] - frame["x"] <= frame["width"]
        assert 0 <= at["y"] - frame["y"] <= frame["height"]
        message = page.locator(MESSAGE).inner_text()
        assert "Its tuple:" in message and "image:" in message and "topic" in message
        assert figure(page).screenshot() != before


def test_a_chosen_item_leads_to_its_page_in_the_topic_browser(topic_space):
    with topic_space() as page:
        find(page, "(image, ")
        page.get_by_role("link", name="Its topics and neighbours").click()
        page.wait_for_url("**/topics/emoji-m3l-s0/index.html#/item/image/*")
        picture = page.locator("main img").first
        assert picture.evaluate("i => i.complete && i.naturalWidth > 0")
        assert "Nearest documents (en)" in page.locator("main").inner_text()
        page.get_by_role("link", name="back to the book").click()
        page.wait_for_url("**/09-topic-space.html")
