"""Texts of a corpus are shown as themselves."""

import html
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from m3l_book.shown import as_html, as_markdown
from m3l_book.tables.shared import styled

NASTY = [
    "<script>alert(1)</script>",
    "</table><img src=x onerror=alert(1)>",
    "from $5 to $10",
    "*bold* _under_ `code` [x](y) ![z](q)",
    "<!-- gone",
    "# head | cell | --- {x} ^ ~ \\",
    "1. one",
    "&amp; &lt;",
    "{cite}`x` {math}`y`",
    "http://example.org",
]


class Text(HTMLParser):
    """The text of a page and the tags that it has."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", NASTY)
def test_html_shows_the_text_and_has_no_tag_of_it(text):
    page = Text(as_html(text))
    assert page.text == text
    assert set(page.tags) <= {"span"}


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("around", ["{}", "- {}", "**{}**", "| a |\n| - |\n| {} |"])
def test_markdown_shows_the_text_and_has_no_markup_of_it(text, around):
    reader = MarkdownIt("gfm-like", {"linkify": False}).use(dollarmath_plugin)
    page = Text(reader.render(around.format(as_markdown(text))))
    assert text in page.text
    plain = Text(reader.render(around.format("word")))
    assert [tag for tag in page.tags if tag != "span"] == plain.tags


@pytest.mark.parametrize("show", [as_html, as_markdown])
def test_a_text_from_the_right_stands_apart_from_its_neighbours(show):
    assert show("جسر") == "<bdi>جسر</bdi>" and show("גשר, 5").startswith("<bdi>")
    assert "bdi" not in show("bridge, 橋")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_is_shown_as_itself_on_one_line(text):
    page = Text(MarkdownIt().render(f"x {as_markdown(text)} y"))
    assert page.text.strip() == f"x {' '.join(text.split())} y"
    assert html.unescape(re.sub("<[^>]*>", "", as_html(text))) == text


def test_no_dollar_of_a_text_begins_a_formula():
    for shown in (as_html("$5 and $6"), as_markdown("$5 and $6")):
        assert "$" not in shown
        assert shown.count("mathjax_ignore") == 2


def test_cells_heads_and_index_of_a_table_are_shown_as_they_are():
    frame = pd.DataFrame({"a": NASTY, "<b>": 1.5}, index=NASTY)
    page = styled(frame, index=True).format(precision=1).to_html()
    body = page[page.index("</style>") :]
    assert "<script" not in body and "<img" not in body and "<!--" not in body
    assert body.count("</table>") == 1
    assert Text(body).text.count(NASTY[0]) == 2
    assert "<b>" not in body


def test_markup_made_here_stays_where_it_is_said_to_be():
    frame = pd.DataFrame({"a": ["<b>1</b>"], "b": ["<i>2</i>"]})
    page = styled(frame, markup=["a"]).to_html()
    assert "<b>1</b>" in page and "<i>" not in page
    page = styled(frame, markup=True).to_html()
    assert "<b>1</b>" in page and "<i>2</i>" in page


@pytest.mark.parametrize("show", [as_html, as_markdown])
@pytest.mark.parametrize("sign", ["\u202e", "\u202b", "\u2067", "٢"])
def test_a_sign_that_turns_the_order_round_does_so_for_its_text_alone(show, sign):
    assert show(f"a{sign}b") == f"<bdi>a{sign}b</bdi>"
