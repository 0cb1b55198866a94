"""The topic space drawn (Figure 2)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from . import fonts
from .style import PAPER, SMALL, WIDTH, described, view_looks


def topic_space(panels: Sequence[Mapping]) -> Figure:
    """Items of all views in two dimensions, a panel a model, two in a row: colour and shape tell
    the view, words the themes.

    A panel has ``title``, ``place`` (N, 2), ``view`` (N,), ``themes``, (x, y, words) each, and
    ``description``, what the alternative text says of it; themes that would cover one another or
    leave the panel are left out.
    """
    rows, in_words = -(-len(panels) // 2), []
    looks = view_looks(list(dict.fromkeys(str(v) for panel in panels for v in panel["view"])))
    figure, grid = plt.subplots(rows, 2, figsize=(WIDTH, 0.4 + 3.3 * rows), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        views = np.asarray(panel["view"])
        for view in dict.fromkeys(views.tolist()):
            own = panel["place"][views == view]
            axes.scatter(*own.T, s=9, alpha=0.6, linewidths=0, clip_on=False, **looks[view])
        axes.set(title=panel["title"], xticks=[], yticks=[])
        axes.grid(False)
    with fonts.readers_fonts():
        figure.canvas.draw()
        for axes, panel in zip(grid.flat, panels, strict=False):
            _write_themes(figure, axes, panel)
    for axes, panel in zip(grid.flat, panels, strict=False):
        words = "; ".join(text.get_text() for text in axes.texts)
        in_words.append(
            f"{panel['title']}: {panel['description']}{words and f', themes written in: {words}'}"
        )
    handles = [plt.Line2D([], [], linestyle="", label=v, **look) for v, look in looks.items()]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(8, len(handles)),
        frameon=False,
    )
    return described(
        figure,
        f"Maps of {len(panels[0]['view'])} items, a colour and shape a view ({', '.join(looks)})."
        f" {'. '.join(in_words)}.",
    )


def _write_themes(figure: Figure, axes, panel: Mapping) -> None:
    """Write the words of the themes that have room, the first first."""
    inside, taken = axes.get_window_extent(), []
    for x, y, words in panel["themes"]:
        text = axes.text(x, y, words, fontsize=SMALL, ha="center", va="center", fontweight="bold")
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground=PAPER)])
        fonts.dress(figure)
        box = text.get_window_extent().padded(4)
        outside = (
            box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
        )
        if outside or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)
