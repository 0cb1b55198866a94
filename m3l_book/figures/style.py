"""The look of every figure: vector drawings that say in words what they show, legible in print, in
the light and in the dark.

Each figure is a matplotlib figure whose label is its alternative text, computed from what is drawn;
`show` puts it on the page. Sizes and colours stand in ``m3l.mplstyle``.

Letters that the usual font has not are drawn in another font of this machine. On a page a text of a
figure stays text, and the reader's browser finds the letters that no font here has; a PDF for print
takes its fonts along, and leaves such texts out.
"""

import re
import warnings
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from m3l.errors import require
from m3l.files import atomic

from ..measured import SHORT

STYLE = Path(__file__).with_name("m3l.mplstyle")
_own = mpl.rc_params_from_file(STYLE, use_default_template=False)
WIDTH = _own["figure.figsize"][0]
SMALL = _own["legend.fontsize"]  # the least size of text
INK, GRID, PAPER = _own["text.color"], _own["grid.color"], _own["figure.facecolor"]
FAINT = "#595959"
PALETTE = _own["axes.prop_cycle"].by_key()["color"]
MARKERS = "os^DvPh"
# what colours are on a dark page
DARK = {INK: "#ced6dd", FAINT: "#a4acb7", GRID: "#4a5360", PAPER: "#121212"}
_DARK_PALETTE = ["#4496ee", "#f5a623", "#1fd0a3", "#dd5426", "#d6a9e2", "#a9705a", "#8d87a0"]
DARK |= dict(zip(PALETTE, _DARK_PALETTE, strict=True))
# colour and marker of the views that are known in advance
VIEWS = {"en": (0, "o"), "de": (1, "s"), "fr": (1, "s"), "es": (4, "D"), "image": (2, "^")}


MODELS = {"PLTM": 0, "ZeroshotTM": 1, "ZeroshotTM-KD": 2, "M3L-Contrast": 3}
"""The colour of each model, the same in every figure, in the order in which they are listed."""


def style() -> None:
    """Set the book's look for all figures of a chapter."""
    plt.style.use(STYLE)
    # such letters are drawn by the reader's browser
    warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")


def described(figure: Figure, text: str) -> Figure:
    """Give a figure its alternative text."""
    figure.set_label(" ".join(text.split()))
    return figure


def panels(
    n: int, columns: int, height: float, beside: float = 0.0, **how: object
) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``n`` panels, in rows of ``height`` inches and ``beside`` for the rest."""
    rows = -(-n // columns)
    size = WIDTH, beside + height * rows
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, **how)
    for axes in grid.flat[n:]:
        axes.remove()
    return figure, list(grid.flat[:n])


def legend_below(
    figure: Figure, looks: Mapping[str, Mapping[str, object]], columns: int = 3, **common: object
) -> None:
    """Write below a figure what each line or marker is, by its look."""
    handles = [plt.Line2D([], [], label=name, **{**common, **look}) for name, look in looks.items()]
    columns = min(columns, len(handles))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def vector(figure: Figure) -> str:
    """Return the figure as SVG: its label is the drawing's title, its neutral colours follow the
    colour scheme it is shown in, its text stays text.

    Raises
    ------
    ParameterError
        The figure has no label, so nothing says what is to be seen.
    """
    message = "the figure has no label; figure.set_label takes the text for those who do not see it"
    require(bool(figure.get_label()), message)
    out = StringIO()
    dress(figure)
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": figure.get_label()})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    # no XML may hold some signs
    drawing = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", out.getvalue())
    dark = f"@media (prefers-color-scheme: dark){{{rules}}}</style>"
    drawing = drawing.replace("</style>", dark, 1)

    def rounded(tag: re.Match) -> str:
        coordinates = r' (?:x|y|d)="[^"]*"'
        return re.sub(coordinates, lambda own: re.sub(r"(\.\d\d)\d+", r"\1", own[0]), tag[0])

    # a hundredth of a point is finer than any eye or printer; six digits more are half the file
    return re.sub(r"<[^>]+>", rounded, drawing)


def as_html(figure: Figure) -> str:
    """Return the figure as an element of a page, which another page may show too; and close it."""
    drawing = b64encode(vector(figure).encode()).decode()
    plt.close(figure)
    about = f'class="dark-light" alt="{escape(figure.get_label())}"'
    image = f'<img {about} src="data:image/svg+xml;base64,{drawing}">'
    return f'<div class="wide-figure">{image}</div>'


def show(figure: Figure) -> None:
    """Put a figure on the page of a notebook, as `vector` has it, and close it."""
    from IPython.display import SVG, display

    display(SVG(vector(figure)))
    plt.close(figure)


def save_pdf(figure: Figure, path: str | Path) -> list[str]:
    """Write the figure as a PDF for print, in the light colours, whole or not at all.

    Returns
    -------
    The texts that it lacks, since no font of this machine has their letters.
    """
    lacking = dress(figure)
    hidden = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text() in lacking]
    about = {"CreationDate": None, "Title": figure.get_label()}
    with atomic(path) as temporary:
        for text in hidden:
            text.set_visible(False)
        figure.savefig(temporary, format="pdf", metadata=about)
    for text in hidden:
        text.set_visible(True)
    return lacking


def dress(figure: Figure) -> list[str]:
    """Give the texts of a figure fonts that have their letters.

    Returns
    -------
    The texts of which some letter is in no font of this machine.
    """
    lacking = []
    for text in figure.findobj(Text):
        usual = font_manager.findfont(text.get_fontproperties())
        missing = {ord(sign) for sign in text.get_text() if sign.isprintable()} - _letters(usual)
        if missing:
            families, left = _families_with(frozenset(missing))
            text.set_fontfamily([*text.get_fontfamily(), *families])
            lacking += [text.get_text()] if left else []
    return list(dict.fromkeys(lacking))


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font file has a glyph for; none of a font that was removed since
    matplotlib listed this machine's.
    """
    return frozenset(FT2Font(path).get_charmap()) if Path(path).is_file() else frozenset()


@cache
def _families_with(missing: frozenset[int]) -> tuple[list[str], set[int]]:
    """Families of this machine's fonts that have letters, the one with most first, and the letters
    that are in none.
    """
    chosen, left = [], set(missing)
    # Last Resort is matplotlib's font that has a box for every letter
    fonts = [f for f in font_manager.fontManager.ttflist if not f.name.startswith("Last Resort")]
    fonts = [font for font in fonts if font.style == "normal"]
    while left and fonts:
        best = max(fonts, key=lambda font: len(left & _letters(font.fname)))
        if not left & _letters(best.fname):
            break
        chosen.append(best.name)
        left -= _letters(best.fname)
    return chosen, left


def view_looks(views: Sequence[str]) -> dict[str, dict[str, str]]:
    """Choose colour and marker of each view of a corpus, no two alike: those that are known in
    advance the same in every figure, others by their names.

    Raises
    ------
    ParameterError
        There are more views than pairs of a colour and a marker.
    """
    pairs = [(i, marker) for i in range(len(PALETTE)) for marker in MARKERS]
    require(len(views) <= len(pairs), f"{len(views)} views: expected at most {len(pairs)}")
    taken: dict[str, tuple[int, str]] = {}
    for view in sorted(views, key=lambda name: (name not in VIEWS, views.index(name))):
        place = sum(map(ord, view)) % len(PALETTE)
        wished = VIEWS.get(view, (place, MARKERS[place]))
        colours, markers = ({pair[i] for pair in taken.values()} for i in (0, 1))
        taken[view] = min(
            (pair for pair in pairs if pair not in taken.values()),
            key=lambda pair: (pair[0] in colours, pair[1] in markers, pair != wished),
        )
    return {view: {"color": PALETTE[taken[view][0]], "marker": taken[view][1]} for view in views}


def looks_of(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Choose colour and marker by name, no two alike: a model of the paper has its colour in every
    figure, and so have its variants, whose names begin with its own or its short one; others have
    one that is left.
    """
    taken: dict[str, tuple[int, str]] = {}
    left = [i for i in range(len(PALETTE)) if i not in MODELS.values()]
    for place, name in enumerate(names):
        known = [model for model in MODELS if name.startswith((model, f"{SHORT.get(model)} "))]
        model = max(known, key=len, default="")
        own = MODELS.get(model, left[place % len(left)])
        start = list(MODELS).index(model) if model else place
        markers = (MARKERS[(start + i) % len(MARKERS)] for i in range(len(MARKERS)))
        pairs = ((own, marker) for marker in markers)
        taken[name] = next((pair for pair in pairs if pair not in taken.values()), (own, "o"))
    return {name: {"color": PALETTE[i], "marker": marker} for name, (i, marker) in taken.items()}
