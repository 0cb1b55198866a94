"""The built pages as a screen reader and a checker of contrast find them."""

import json

import pytest
from building import all_pages

pytestmark = pytest.mark.book


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (360, "light")])
def test_pages_are_accessible_to_those_who_cannot_see_them(book, running, width, scheme):
    import browsing

    wrong = {}
    browsers = sorted((book / "topics").glob("*/index.html"))
    states = ["#/topic/1", "#/item/image/0", "#/find/a", "#/nowhere/1"]
    visits = [
        (path, "")
        for path in [*all_pages(book, every=width > 360 and scheme == "light"), *browsers]
    ] + [(book / "topics/emoji-m3l-s0/index.html", state) for state in states]
    for path, fragment in visits:
        with browsing.opened(running, path, width, scheme, fragment) as tab:
            browsing.settle(tab.page)
            if serious := browsing.serious_faults(tab.page, colours_alone=scheme == "dark"):
                wrong[f"{path.relative_to(book)}{fragment}"] = serious
    assert not wrong, json.dumps(wrong, indent=1)
