"""The topic space drawn (Figure 2)."""

from collections.abc import Mapping

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..topic_space import TopicMap, mixing, trust
from .style import INK, PAPER, SMALL, described, dress, legend_below, panels, view_looks


def topic_space(maps: Mapping[str, TopicMap], themes: int = 0, article: str = "") -> Figure:
    """Draw items of all views by their topics, a panel a map, two in a row.

    Colour and shape tell the view. The words of the ``themes`` topics that are most items' main one
    stand where these items are; words that would cover others or leave the panel are left out. The
    items of ``article`` are ringed.
    """
    views = next(iter(maps.values())).space.view.tolist()
    looks = view_looks(list(dict.fromkeys(views)))
    figure, grid = panels(len(maps), 2, 3.3, 0.4)
    for axes, (title, shown) in zip(grid, maps.items(), strict=True):
        for view, look in looks.items():
            own = shown.place[shown.space.view == view]
            axes.scatter(*own.T, s=9, alpha=0.6, linewidths=0, clip_on=False, **look)
        own = shown.place[shown.space.article == article]
        axes.scatter(*own.T, s=70, facecolors="none", edgecolors=INK, linewidths=1.6)
        axes.set(title=title, xticks=[], yticks=[])
        axes.grid(False)
    legend_below(figure, looks, columns=8, linestyle="")
    figure.canvas.draw()
    for axes, shown in zip(grid, maps.values(), strict=True):
        _write_themes(axes, shown, themes)
    sentences = [
        f"{title}: {_in_words(shown)}"
        + (", themes written in: " if axes.texts else "")
        + "; ".join(text.get_text() for text in axes.texts)
        for axes, (title, shown) in zip(grid, maps.items(), strict=True)
    ]
    ringed = f" The items of article {article} are ringed." if article else ""
    return described(
        figure,
        f"Maps of {len(views)} items, a colour and shape a view ({', '.join(looks)}).{ringed}"
        f" {'. '.join(sentences)}.",
    )


def _in_words(shown: TopicMap) -> str:
    shares = ", ".join(
        f"{row.mixing:.0%} by {view} ({row['at random']:.0%} at random)"
        for view, row in mixing(shown.space, shown.divergence).iterrows()
    )
    believed = trust(shown.divergence, shown.place)
    return f"share of other views among the nearest {shares}, trustworthiness {believed:.3f}"


def _write_themes(axes: Axes, shown: TopicMap, n: int) -> None:
    """Write two words of each theme at the item nearest to the middle of its items."""
    main, words = shown.space.theta.argmax(axis=1), shown.run.topics[shown.space.view[0]]
    topics, counts = np.unique(main, return_counts=True)
    inside, taken = axes.get_window_extent(), []
    for topic in topics[np.argsort(-counts, kind="stable")][:n]:
        own = shown.place[main == topic]
        away = np.linalg.norm(own - np.median(own, axis=0), axis=1)
        look = {"fontsize": SMALL, "ha": "center", "va": "center", "fontweight": "bold"}
        text = axes.text(*own[away.argmin()], ", ".join(words[topic][:2]), **look)
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground=PAPER)])
        dress(axes.figure)
        box = text.get_window_extent().padded(4)
        within = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
        if within and not any(box.overlaps(other) for other in taken):
            taken.append(box)
        else:
            text.remove()
