"""The look of every figure: vector drawings that say in words what they show, legible in print, in
the light and in the dark.

Each figure is a matplotlib figure whose label is its alternative text, computed from what is drawn;
`show` puts it on the page.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from m3l.errors import require
from m3l.files import atomic

from . import fonts

# inches, the text of a printed page: a figure is not scaled down in print, and its text neither
WIDTH = 6.7


SMALL = 9  # points, the least size of text


INK, FAINT, GRID, PAPER = "#1a1a1a", "#595959", "#c8c8c8", "#fefefe"


# found by search: at least 3:1 on white and on the dark page, any two apart for normal and for
# colour-blind eyes (tests/test_m3l_book/test_figures.py)
PALETTE = ["#0066c7", "#d58000", "#00a781", "#b44114", "#b97cc8", "#935843", "#6c667e"]


DARK = {
    INK: "#ced6dd",
    FAINT: "#a4acb7",
    GRID: "#4a5360",
    PAPER: "#121212",
}  # what colours are on a dark page
DARK |= dict(
    zip(
        PALETTE,
        ["#4496ee", "#f5a623", "#1fd0a3", "#dd5426", "#d6a9e2", "#a9705a", "#8d87a0"],
        strict=True,
    )
)


VIEW_COLOURS = {
    "en": PALETTE[0],
    "de": PALETTE[1],
    "fr": PALETTE[1],
    "es": PALETTE[4],
    "image": PALETTE[2],
}


VIEW_MARKERS = {"en": "o", "de": "s", "fr": "s", "es": "D", "image": "^"}


MARKERS = "os^DvPh"


def style() -> None:
    """Set the book's look for all figures of a chapter."""
    neutral = {
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": GRID,
    }
    neutral |= {"patch.edgecolor": PAPER}
    neutral |= {
        "grid.color": GRID,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "legend.facecolor": PAPER,
        "legend.edgecolor": GRID,
    }
    sizes = {
        "font.size": 9.5,
        "axes.titlesize": 10,
        "axes.labelsize": 9.5,
        "legend.title_fontsize": SMALL,
    }
    sizes |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL)
    sns.set_theme(style="whitegrid", rc=neutral | sizes)
    plt.rcParams["axes.prop_cycle"] = plt.cycler(color=PALETTE)
    plt.rcParams.update(
        {"figure.figsize": (WIDTH, 3.2), "savefig.dpi": 220, "figure.constrained_layout.use": True}
    )
    plt.rcParams.update(
        {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "m3l"}
    )  # text stays text, and the same figure is the same file
    plt.rcParams["text.parse_math"] = False  # a dollar in a title is a dollar


def vector(figure: Figure) -> str:
    """The figure as SVG: its label is the drawing's title, its neutral colours follow the colour
    scheme it is shown in, its text stays text.

    Raises
    ------
    ParameterError
        The figure has no label, so nothing says what is to be seen.
    """
    from io import StringIO

    require(
        bool(figure.get_label()),
        "the figure has no label; figure.set_label takes the text for those who do not see it",
    )
    out = StringIO()
    fonts.dress(figure)
    with fonts.readers_fonts():
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": figure.get_label()})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    drawing = re.sub(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", out.getvalue()
    )  # signs that no XML may hold
    drawing = drawing.replace(
        "</style>", f"@media (prefers-color-scheme: dark){{{rules}}}</style>", 1
    )
    # a hundredth of a point is finer than any eye or printer; six digits more are half the file
    numbers = re.compile(r' (?:x|y|d)="[^"]*"')
    return re.sub(
        r"<[^>]+>",
        lambda tag: numbers.sub(lambda number: re.sub(r"(\.\d\d)\d+", r"\1", number[0]), tag[0]),
        drawing,
    )


def show(figure: Figure) -> None:
    """Put a figure on the page of a notebook, as `vector` has it, and close it."""
    from IPython.display import SVG, display

    display(SVG(vector(figure)))
    plt.close(figure)


def save_pdf(figure: Figure, path: str | Path) -> list[str]:
    """The figure as a PDF for print, in the light colours, its fonts with it; written whole or not
    at all.

    Returns
    -------
    The texts that it lacks, since no font of this machine has their letters.
    """
    lacking = fonts.dress(figure)
    about = {"CreationDate": None, "Title": figure.get_label()}
    with atomic(path) as temporary, fonts.without(figure, lacking):
        figure.savefig(temporary, format="pdf", metadata=about)
    return lacking


def view_looks(views: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and marker of each view of a corpus, no two alike: those that are known in advance the
    same in every figure, others by their names.

    Raises
    ------
    ParameterError
        There are more views than pairs of a colour and a marker.
    """
    pairs = [(c, m) for c in PALETTE for m in MARKERS]
    require(len(views) <= len(pairs), f"{len(views)} views: expected at most {len(pairs)}")
    taken: dict[str, tuple[str, str]] = {}
    for view in sorted(views, key=lambda name: (name not in VIEW_COLOURS, views.index(name))):
        place = sum(map(ord, view))
        wished = (
            VIEW_COLOURS.get(view, PALETTE[place % len(PALETTE)]),
            VIEW_MARKERS.get(view, MARKERS[place % len(MARKERS)]),
        )
        colours, markers = ({pair[i] for pair in taken.values()} for i in (0, 1))
        taken[view] = min(
            (pair for pair in pairs if pair not in taken.values()),
            key=lambda pair: (pair[0] in colours, pair[1] in markers, pair != wished),
        )
    return {view: dict(zip(("color", "marker"), taken[view], strict=True)) for view in views}


def described(figure: Figure, text: str) -> Figure:
    figure.set_label(" ".join(text.split()))
    return figure


def looks_of(names: Sequence[str], order: Sequence[str] = ()) -> dict[str, dict]:
    """Colour and marker by name, the same from figure to figure for those of ``order``."""
    every = [*order, *(name for name in names if name not in order)]
    n = len(PALETTE)  # beyond it colours come again, with other markers
    return {
        name: {"color": PALETTE[i % n], "marker": MARKERS[(i + i // n) % n]}
        for i, name in enumerate(every)
        if name in names
    }
