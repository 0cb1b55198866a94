"""Figures: legible in print, by any eyes, in the light and the dark, and told in words."""

import re
import warnings
from itertools import combinations
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.text import Text
from PIL import Image

from m3l import ParameterError
from m3l_book.figures import charts, diagrams, style, topic_map
from m3l_book.figures import corpora as corpus_figures
from m3l_book.figures import training as training_figures
from m3l_book.records.selection import PAPER_MODELS
from m3l_book.topic_space import Space, TopicMap

SVG = "{http://www.w3.org/2000/svg}"
MODELS = ["PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"]


def history():
    return [
        {"epoch": i, "reconstruction": 800.0 - i, "kl": 5 / i, "contrastive": 300 / i}
        | {"loss": 900 / i, "log_likelihood": -9 + i / 30}
        for i in range(1, 41)
    ]


def scores():
    directions = ["en → de", "de → en", "en → image", "de → image"]
    return pd.DataFrame(
        [
            {"name": m, "direction": d, "metric": "UAP" if "image" in d else "MRR"}
            | {"score": 0.1 * i + s / 100, "chance": 0.01}
            for i, m in enumerate(MODELS)
            for d in directions
            for s in (0, 1)
        ]
    )


def quality():
    keys = [(c, m, x) for c in ("vital", "emoji") for m in MODELS for x in ("en", "de")]
    return pd.DataFrame(
        [
            {"corpus": c, "model": m, "language": x, "NPMI": i / 20, "diversity": 1 - i / 20}
            for i, (c, m, x) in enumerate(keys)
        ]
    )


def grid():
    panels = ["vital, en → fr, MRR", "vital, fr → en, MRR", "emoji, en → de, MRR"]
    rows = [
        {"panel": p, "model": m, "topics": t, "score": t / 200, "chance": 0.02}
        for p in panels
        for m in MODELS
        for t in (25, 50, 100)
        for _ in range(2)
    ]
    stars = [{"panel": panels[0], "model": "PLTM", "x": 100, "score": 0.5}]
    return charts.curves(pd.DataFrame(rows), "topics", "number of topics", stars)


def maps():
    """Three maps of a hundred items; their topics by size are written in the middle, over the
    first, beside it, and over the left edge.
    """
    rng, view = np.random.default_rng(0), np.array(["en"] * 30 + ["de"] * 30 + ["image"] * 40)
    main = np.repeat([0, 1, 2, 3], [50, 20, 20, 10])
    theta = np.eye(4)[main]
    place = np.array([(0.0, 0.0), (0.01, 0.0), (2.0, 2.0), (-5.0, -9.0)])[main]
    place = place + rng.uniform(-0.001, 0.001, (100, 2))
    place[:2] = (-5.0, 5.0), (5.0, 5.0)  # which makes room
    topics = {
        "en": [
            ["cat", "bird", "x"],
            ["covered", "gone"],
            ["ship", "sea"],
            ["over the edge", "gone"],
        ]
    }
    space = Space(view, np.arange(100), view, theta)
    own = TopicMap(SimpleNamespace(topics=topics), space, 1 - theta @ theta.T, place)
    return topic_map.topic_space({f"model {i}": own for i in range(3)}, 4, "en")


def main_results():
    rows = [
        {"panel": panel, "source": source, "model": model, "value": 0.1 * i + 0.2}
        | ({"low": 0.1, "high": 0.6, "chance": 0.01} if source == "here" else {})
        for panel in ("MRR en → fr", "UAP en → image")
        for source in ("here", "the paper")
        for i, model in enumerate(MODELS[:3])
    ]
    return charts.main_results(pd.DataFrame(rows))


def looks():
    rows = [
        {"corpus": "vital", "model": m, "direction": d, "metric": "MRR", "seed": s}
        | {"updates": u, "score": u / 1000 + i / 10}
        for i, m in enumerate(MODELS[1:])
        for d in ("en → fr", "en → image")
        for s in (0, 1)
        for u in (10, 100, 200)
    ]
    return training_figures.convergence(pd.DataFrame(rows), "vital")


def collages(folder):
    for i in range(3):
        Image.new("RGB", (30, 30), (80 * i, 0, 90)).save(folder / f"{i}.png")
    return corpus_figures.pictures(
        [folder / f"{i}.png" for i in range(3)],
        ["its own", "first", "a title so long that it takes more than a line"],
        about="ships",
    )


FIGURES = {
    "architecture": lambda _: diagrams.architecture(),
    "info_nce_matrix": lambda _: diagrams.info_nce_matrix(
        np.array([[0.9, 0.2], [0.35, 0.8]]), (["a1", "a2"], ["b1", "b2"])
    ),
    "autoencoder": lambda _: diagrams.autoencoder(),
    "simplex": lambda _: diagrams.simplex(
        {"σ = 1": np.array([[0.5, 0.25, 0.25]]), "σ = 3": np.eye(3)}
    ),
    "training_curves": lambda _: training_figures.training_curves(history()),
    "log_likelihood": lambda _: training_figures.log_likelihood(history()),
    "convergence": lambda _: looks(),
    "main_results": lambda _: main_results(),
    "retrieval_scores": lambda _: charts.retrieval_scores(scores(), "emoji", {"en → de": 0.9}),
    "coherence_against_diversity": lambda _: charts.coherence_against_diversity(quality()),
    "curves": lambda _: grid(),
    "topic_space": lambda _: maps(),
    "document_lengths": lambda _: corpus_figures.document_lengths(
        {"vital en": np.array([5, 9, 20]), "vital fr": np.array([4, 8, 30])}, 3
    ),
    "pictures": collages,
}
# what a reader who does not see it must be told, computed from what is drawn
TOLD = {
    "architecture": "en, de, image",
    "info_nce_matrix": "0.90, 0.80; the largest of the negatives is 0.35, of a2 with b1",
    "training_curves": "reconstruction goes from 799.0 to 760.0",
    "log_likelihood": "-7.667 at sweep 40",
    "convergence": "en → image, ZeroshotTM-KD: 0.110 to 0.300",
    "main_results": "UAP en → image, the paper: PLTM 0.200, ZeroshotTM 0.300",
    "retrieval_scores": "en → de, MRR: M3L-Contrast 0.305, ZeroshotTM-KD 0.205, ZeroshotTM 0.105, "
    "PLTM 0.005, raw embeddings 0.900, chance 0.010",
    "coherence_against_diversity": "vital, ZeroshotTM, de: NPMI 0.150, diversity 0.85",
    "curves": "PLTM 0.125 at 25, 0.250 at 50, 0.500 at 100",
    "topic_space": "themes written in: cat, bird; ship, sea.",
    "autoencoder": "near the prior",
    "simplex": "σ = 1, 0.50",
    "document_lengths": "vital en 9 and 5",
    "pictures": "for “ships”: its own; first",
}


@pytest.fixture(params=FIGURES)
def figure(request, tmp_path):
    style.style()
    made = FIGURES[request.param](tmp_path)
    made.name, made.folder = request.param, tmp_path
    yield made
    plt.close("all")


def test_every_figure_of_the_module_is_tested_here():
    modules = charts, corpus_figures, diagrams, style, topic_map, training_figures
    public = {
        name
        for module in modules
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and name[0] != "_"
    }
    helpers = {
        "style",
        "vector",
        "as_html",
        "show",
        "save_pdf",
        "dress",
        "view_looks",
        "looks_of",
        "sorted_by_model",
    }
    helpers |= {"described", "panels", "legend_below"}
    assert public - helpers == set(FIGURES) == set(TOLD)


def test_a_figure_fits_a_printed_page_with_text_of_nine_points_and_says_what_it_shows(figure):
    assert TOLD[figure.name] in figure.get_label() and "\n" not in figure.get_label()
    figure.canvas.draw()
    assert figure.get_size_inches()[0] <= style.WIDTH
    small = {
        text.get_text(): text.get_fontsize()
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and text.get_fontsize() < 9
    }
    assert not small
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.02 and drawn.x1 <= width + 0.02, "something is cut off"
    assert drawn.y0 >= -0.02 and drawn.y1 <= height + 0.02, "something is cut off"


def test_a_figure_is_a_drawing_whose_text_is_text_and_whose_colours_follow_the_page(figure):
    drawing = style.vector(figure)
    root = ElementTree.fromstring(drawing)
    assert root.findtext(f"{SVG}title") == figure.get_label()
    assert drawing == style.vector(FIGURES[figure.name](figure.folder)), (
        "the same figure is the same file"
    )
    sizes = [
        float(x)
        for style in (t.get("style", "") for t in root.iter(f"{SVG}text"))
        for x in re.findall(r"([\d.]+)px", style)
    ]
    assert (sizes and min(sizes) >= 9) or figure.name == "pictures"
    assert float(root.get("width").removesuffix("pt")) <= 72 * style.WIDTH
    rules = "".join(root.itertext())
    assert (
        "prefers-color-scheme: dark" in rules
        and f'fill: {style.INK}"]{{fill:{style.DARK[style.INK]}' in rules
    )
    used = set(
        re.findall(
            r"(?:fill|stroke): (#[0-9a-f]{6})",
            re.sub(r"<style.*?</style>", "", drawing, flags=re.S),
        )
    )
    own = {"#ffffff", "#262626"} | {
        c for c in used if figure.name == "info_nce_matrix"
    }  # a heat map brings its own ground and words
    assert used - own <= set(style.DARK), "a colour that the dark does not know"


def test_rounding_of_coordinates_leaves_words_alone():
    style.style()
    figure, axes = plt.subplots()
    axes.text(0.123456, 0.5, 'see x="0.123456" and $5 to $9\x01')
    figure.set_label('a word, y="0.654321"')
    root = ElementTree.fromstring(style.vector(figure))
    assert root.findtext(f"{SVG}title") == figure.get_label()
    assert 'see x="0.123456" and $5 to $9' in [text.text for text in root.iter(f"{SVG}text")], (
        "and a dollar is a dollar"
    )
    plt.close("all")


def test_a_sign_that_no_xml_may_hold_is_left_out():
    style.style()
    figure, axes = plt.subplots()
    axes.set_title("a \uffff title")
    drawing = style.vector(style.described(figure, "of \ufffe signs"))
    assert ElementTree.fromstring(drawing).findtext(f"{SVG}title") == "of  signs"
    plt.close("all")


def test_a_figure_without_raw_embeddings_does_not_speak_of_them():
    style.style()
    assert "raw embeddings" not in charts.retrieval_scores(scores(), "emoji").get_label()
    elsewhere = charts.retrieval_scores(scores(), "emoji", {"fi → sv": 0.5}).get_label()
    assert "raw embeddings" not in elsewhere
    plt.close("all")


def test_show_puts_the_drawing_on_the_page_and_closes_it_and_refuses_one_that_says_nothing(
    monkeypatch,
):
    from IPython import display

    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    style.show(training_figures.log_likelihood(history()))
    (drawing,) = (one.data for one in shown)
    assert drawing.startswith("<svg") and "<title>Joint log-likelihood" in drawing
    assert not plt.get_fignums()
    with pytest.raises(ParameterError, match="no label"):
        style.vector(plt.figure())
    plt.close("all")


def test_a_figure_for_print_is_the_same_file_twice_with_its_fonts_in_it(tmp_path):
    style.style()
    for name in ("a", "b"):
        style.save_pdf(training_figures.log_likelihood(history()), tmp_path / name)
    made = (tmp_path / "a").read_bytes()
    assert made.startswith(b"%PDF") and b"FontFile2" in made
    assert made == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    plt.close("all")


def test_views_of_one_corpus_share_neither_colour_nor_marker_as_long_as_there_are_any():
    assert style.view_looks(["en", "image"]) == {
        "en": {"color": style.PALETTE[0], "marker": "o"},
        "image": {"color": style.PALETTE[2], "marker": "^"},
    }
    views = ["de", "fr", "zh-TW", "image", "ar", "no", "sw"]
    looks = style.view_looks(views)
    assert list(looks) == views
    assert {look["color"] for look in looks.values()} == set(style.PALETTE)
    assert {look["marker"] for look in looks.values()} == set(style.MARKERS)
    many = style.view_looks([f"l{i}" for i in range(49)])
    assert len({tuple(look.values()) for look in many.values()}) == 49
    with pytest.raises(ParameterError, match="50 views: expected at most 49"):
        style.view_looks([f"l{i}" for i in range(50)])


def test_the_items_of_an_article_are_ringed_in_every_map_and_told():
    style.style()
    figure = maps()
    assert "The items of article en are ringed." in figure.get_label()
    for axes in figure.axes:
        rings = [dots for dots in axes.collections if dots.get_sizes()[0] == 70]
        assert len(rings) == 1 and len(rings[0].get_offsets()) == len(
            axes.collections[0].get_offsets()
        )


def test_convergence_ends_where_each_model_stopped():
    style.style()
    figure = looks()
    for axes in figure.axes:
        assert all(line.get_xdata()[-1] == 1.0 for line in axes.lines) and axes.lines
    assert all("(200 updates)" in text.get_text() for text in figure.legends[0].texts)


def test_a_model_keeps_its_colour_from_figure_to_figure():
    style.style()
    assert list(style.MODELS) == list(PAPER_MODELS)
    names = ["other", "ZeroshotTM-KD", "M3L-Contrast, with pictures", "M3L-Contrast", "another"]
    looks = style.looks_of(names)
    assert looks["M3L-Contrast"]["color"] == looks["M3L-Contrast, with pictures"]["color"]
    assert looks["ZeroshotTM-KD"]["color"] == style.PALETTE[2]
    assert len({tuple(look.values()) for look in looks.values()}) == len(names)
    assert not {looks["other"]["color"], looks["another"]["color"]} & set(style.PALETTE[:4])
    table = scores()
    legends = []
    for rows in (table, table[table["name"] != "PLTM"]):
        figure = charts.retrieval_scores(rows, "emoji")
        legend = figure.legends[0]
        legends.append(
            {
                text.get_text(): handle.get_edgecolor()
                for text, handle in zip(legend.texts, legend.legend_handles, strict=True)
                if text.get_text() != "chance"
            }
        )
    assert set(legends[0]) == set(MODELS) and legends[1] == {
        name: c for name, c in legends[0].items() if name != "PLTM"
    }
    figure = charts.coherence_against_diversity(quality().query("model != 'PLTM'"))
    assert [handle.get_color() for handle in figure.legends[0].legend_handles] == style.PALETTE[1:4]
    plt.close("all")


def linear(colour):
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """WCAG 2.1's contrast ratio."""
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b))
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira & Fernandes (2009), severity 1
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def lab(rgb):
    """CIE 1976 L*a*b* of linear sRGB, D65."""
    xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    ) @ np.clip(rgb, 0, 1)
    f = np.where((t := xyz / [0.95047, 1, 1.08883]) > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_distance(colours, eyes):
    """How near the two most alike of the colours are to these eyes, in L*a*b*."""
    return min(
        np.linalg.norm(lab(EYES[eyes] @ linear(a)) - lab(EYES[eyes] @ linear(b)))
        for a, b in combinations(colours, 2)
    )


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    "colours", [style.PALETTE, [style.DARK[c] for c in style.PALETTE]], ids=["light", "dark"]
)
def test_colours_are_told_apart_by_all_eyes(colours, eyes):
    seaborns = min(
        least_distance(sns.color_palette("colorblind", len(colours)).as_hex(), e) for e in EYES
    )
    assert least_distance(colours, eyes) > max(19, 1.5 * seaborns)


def test_colours_stand_out_from_the_page():
    ground = style.DARK[style.PAPER]
    for colour in (
        style.PALETTE
    ):  # 3:1 for what is drawn (WCAG 1.4.11), on both grounds since the topic space draws on either
        assert (
            min(
                contrast(colour, "#ffffff"),
                contrast(colour, ground),
                contrast(style.DARK[colour], ground),
            )
            >= 3
        )
    for ink in (style.INK, style.FAINT):  # 4.5:1 for words (1.4.3)
        assert min(contrast(ink, "#ffffff"), contrast(style.DARK[ink], ground)) >= 4.5


def test_themes_that_would_cover_one_another_or_leave_the_map_are_left_out():
    style.style()
    written = [text.get_text() for text in maps().axes[0].texts]
    assert written == ["cat, bird", "ship, sea"]
    plt.close("all")


# letters that the usual font has not

RUNE = "\U00016a40"  # which no font has, here by taking away those that do


@pytest.fixture
def runes(monkeypatch):
    fonts = font_manager.fontManager.ttflist
    without = [font for font in fonts if ord(RUNE) not in style._letters(font.fname)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", without)
    style._families_with.cache_clear()
    style.style()
    made, axes = plt.subplots()
    axes.set_title(f"a rune, {RUNE}")
    axes.text(0.5, 0.5, "plain words")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield style.described(made, "a figure")
    plt.close("all")


def visible(figure):
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return {text.get_text(): text.get_fontfamily() for text in texts}


def test_a_file_for_print_says_which_texts_it_lacks_and_leaves_the_figure_as_it_was(
    runes, tmp_path
):
    drawing = style.vector(runes)
    assert f"a rune, {RUNE}" in drawing and "plain words" in drawing, "the reader's browser has it"
    before = list(visible(runes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.save_pdf(runes, tmp_path / "a.pdf") == [f"a rune, {RUNE}"]
    assert list(visible(runes)) == before and f"a rune, {RUNE}" in before


def test_a_font_of_this_machine_that_has_the_letters_is_taken(runes, tmp_path, monkeypatch):
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
    style._families_with.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.save_pdf(runes, tmp_path / "a.pdf") == []
    families = visible(runes)
    assert families[f"a rune, {RUNE}"][-1] == "Runes" and "Runes" not in families["plain words"]
    style._families_with.cache_clear()
