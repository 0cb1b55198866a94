"""Letters that the usual font has not."""

import warnings

import matplotlib.pyplot as plt
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from m3l_book.figures import fonts, style

RUNE = "\U00016a40"  # of a script that no font of the usual machines has


@pytest.fixture
def figure():
    style.style()
    made, axes = plt.subplots()
    axes.set_title(f"a rune, {RUNE}")
    axes.text(0.5, 0.5, "plain words")
    style.described(made, "a figure")
    yield made
    plt.close("all")


@pytest.fixture
def font_of_runes(tmp_path, monkeypatch):
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((500, 700))
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "rune"])
    builder.setupCharacterMap({ord(RUNE): "rune"})
    builder.setupGlyf({".notdef": pen.glyph(), "rune": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "rune": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Runes", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(tmp_path / "runes.ttf")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [*manager.ttflist])
    manager.addfont(tmp_path / "runes.ttf")
    fonts._families_with.cache_clear()
    yield
    fonts._families_with.cache_clear()


def test_a_page_leaves_letters_without_a_font_to_the_reader_and_warns_of_none(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing = style.vector(figure)
    assert f"a rune, {RUNE}" in drawing and "plain words" in drawing


def test_a_file_for_print_says_which_texts_it_lacks_and_leaves_the_figure_as_it_was(
    figure, tmp_path
):
    with fonts.readers_fonts():
        figure.canvas.draw()
    before = [text.get_text() for text in fonts.texts_of(figure) if text.get_visible()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.save_pdf(figure, tmp_path / "a.pdf") == [f"a rune, {RUNE}"]
    after = [text.get_text() for text in fonts.texts_of(figure) if text.get_visible()]
    assert before == after and f"a rune, {RUNE}" in after


def test_a_font_of_this_machine_that_has_the_letters_is_taken(figure, font_of_runes, tmp_path):
    assert fonts.dress(figure) == []
    families = {text.get_text(): text.get_fontfamily() for text in fonts.texts_of(figure)}
    assert families[f"a rune, {RUNE}"][-1] == "Runes" and "Runes" not in families["plain words"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.save_pdf(figure, tmp_path / "a.pdf") == []
