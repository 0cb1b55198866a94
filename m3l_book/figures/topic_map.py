"""The topic space drawn (Figure 2)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from .style import PAPER, SMALL, VIEW_MARKERS, WIDTH, described, view_colour


def topic_space(panels: Sequence[Mapping]) -> Figure:
    """Items of all views in two dimensions, a panel a model, two in a row: colour and shape tell
    the view, words the themes.

    A panel has ``title``, ``place`` (N, 2), ``view`` (N,), ``themes``, (x, y, words) each, and
    ``description``, what the alternative text says of it; themes that would cover one another or
    leave the panel are left out.
    """
    rows, in_words = -(-len(panels) // 2), []
    figure, grid = plt.subplots(rows, 2, figsize=(WIDTH, 0.4 + 3.3 * rows), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        views = np.asarray(panel["view"])
        for view in dict.fromkeys(views.tolist()):
            own, look = (
                panel["place"][views == view],
                {
                    "color": view_colour(view),
                    "marker": VIEW_MARKERS.get(view, "o"),
                },
            )
            axes.scatter(*own.T, s=9, alpha=0.6, linewidths=0, clip_on=False, **look)
        axes.set(title=panel["title"], xticks=[], yticks=[])
        axes.grid(False)
    figure.canvas.draw()
    for axes, panel in zip(grid.flat, panels, strict=False):
        inside, taken = axes.get_window_extent(), []
        for x, y, words in panel["themes"]:
            text = axes.text(
                x, y, words, fontsize=SMALL, ha="center", va="center", fontweight="bold"
            )
            text.set_path_effects([patheffects.withStroke(linewidth=3, foreground=PAPER)])
            box = text.get_window_extent().padded(4)
            outside = (
                box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
            )
            if outside or any(box.overlaps(other) for other in taken):
                text.remove()
            else:
                taken.append(box)
        words = "; ".join(text.get_text() for text in axes.texts)
        in_words.append(
            f"{panel['title']}: {panel['description']}{words and f', themes written in: {words}'}"
        )
    names = list(dict.fromkeys(str(view) for panel in panels for view in panel["view"]))
    looks = [
        {"color": view_colour(view), "marker": VIEW_MARKERS.get(view, "o"), "label": view}
        for view in names
    ]
    figure.legend(
        handles=[plt.Line2D([], [], linestyle="", **look) for look in looks],
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
    )
    return described(
        figure,
        f"Maps of {len(panels[0]['view'])} items, a colour and shape a view ({', '.join(names)})."
        f" {'. '.join(in_words)}.",
    )
