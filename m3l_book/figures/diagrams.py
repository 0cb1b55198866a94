"""Diagrams of models and of losses."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .style import FAINT, GRID, PALETTE, SMALL, WIDTH, described, panels, view_looks

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])  # of a triangle with sides 1
NOTE = {"fontsize": SMALL, "style": "italic"}


def architecture() -> Figure:
    """Draw the model: encoder, inference network, θ and decoder of each view, and what ties the
    views.
    """
    views = ["en", "de", "image"]
    height, looks = 1.6 * len(views), view_looks(views)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.1 + 1.0 * len(views)))
    axes.set(xlim=(0, 10.9), ylim=(-0.25, height))
    axes.axis("off")
    rows = [height - 1.0 - 1.55 * i for i in range(len(views))]
    for view, y in zip(views, rows, strict=True):
        _draw_view(axes, view, y, looks[view]["color"])
    tie = {"colour": PALETTE[3], "style": "<|-|>"}
    for i, upper in enumerate(rows):
        for j, lower in enumerate(rows[i + 1 :]):
            # a neighbour straight below; farther ones around the right side of the boxes between
            x, curve = (6.3, 0.0) if j == 0 else (7.2, -0.2)
            _arrow(axes, (x, upper - 0.48), (x, lower + 0.48), curve=curve, **tie)
    about = "KL + InfoNCE between\neach pair of views"
    axes.text(7.75, rows[0] - 0.78, about, fontsize=SMALL, va="center")
    axes.text(2.25, height - 0.3, "not trained", ha="center", color=FAINT, **NOTE)
    return described(
        figure,
        f"Diagram of the model. Each of the views {', '.join(views)} passes through a frozen "
        "encoder and an inference network of its own to θ; a language is decoded into words by "
        "its own β, a picture into nothing. Arrows for KL and InfoNCE join the θ of each pair of "
        "views.",
    )


def _draw_view(axes: Axes, view: str, y: float, colour: str) -> None:
    """Draw one line of `architecture`: from a view's item to its topics and words."""
    item = "picture" if view == "image" else f"document\n({view})"
    axes.text(0.6, y, item, ha="center", va="center")
    _arrow(axes, (1.2, y), (1.5, y))
    _box(axes, 1.5, y, "frozen\nencoder", colour, width=1.5, dashed=True)
    _arrow(axes, (3.05, y), (3.4, y))
    _box(axes, 3.4, y, "inference\nnetwork", colour, width=1.6)
    _arrow(axes, (5.05, y), (5.6, y))
    axes.text(5.32, y + 0.28, "μ, σ²", ha="center", fontsize=SMALL)
    _box(axes, 5.6, y, "θ =\nsoftmax(z)", colour, width=1.7)
    if view == "image":
        axes.text(7.55, y, "no words\nto reconstruct", va="center", color=FAINT, **NOTE)
    else:
        _arrow(axes, (7.35, y), (7.75, y))
        _box(axes, 7.75, y, f"softmax(\nBN(θ β)), β of {view}", colour, width=2.25)
        axes.text(10.18, y, "words", va="center")


def _box(
    axes: Axes, x: float, y: float, text: str, colour: str, width: float, dashed: bool = False
) -> None:
    rounded = "round,pad=0.03,rounding_size=0.12"
    patch = FancyBboxPatch((x, y - 0.45), width, 0.9, boxstyle=rounded, linewidth=1.5)
    patch.set(facecolor=(colour, 0.18), edgecolor=colour, linestyle="--" if dashed else "-")
    axes.add_patch(patch)
    axes.text(x + width / 2, y, text, ha="center", va="center")


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = FAINT,
    style: str = "-|>",
    curve: float = 0.0,
) -> None:
    look = {"mutation_scale": 11, "linewidth": 1.4, "shrinkA": 2, "shrinkB": 2, "color": colour}
    bent = f"arc3,rad={curve}"
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle=style, connectionstyle=bent, **look))


def info_nce_matrix(similarity: np.ndarray, labels: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """Draw a batch's similarities (B, B): positives framed on the diagonal, negatives off it."""
    n = len(similarity)
    figure, axes = plt.subplots(figsize=(4.6, 3.5))
    look = {"annot": True, "fmt": ".2f", "cmap": "cividis", "vmin": 0, "vmax": 1}
    look |= {"annot_kws": {"fontsize": 9.5}, "cbar_kws": {"label": "similarity of θ"}}
    sns.heatmap(similarity, ax=axes, yticklabels=labels[0], xticklabels=labels[1], **look)
    for i in range(n):
        frame = {"fill": False, "edgecolor": PALETTE[3], "linewidth": 3}
        axes.add_patch(plt.Rectangle((i + 0.04, i + 0.04), 0.92, 0.92, **frame))
    axes.set(xlabel="θ of the second view", ylabel="θ of the first view")
    axes.set_title("positives framed, all others negatives")
    off = np.where(np.eye(n, dtype=bool), -np.inf, similarity)
    i, j = np.unravel_index(off.argmax(), off.shape)
    return described(
        figure,
        f"Matrix of the similarities of {n} documents of two views. The positive pairs, framed on "
        f"the diagonal, have {', '.join(f'{x:.2f}' for x in similarity.diagonal())}; the largest "
        f"of the negatives is {off[i, j]:.2f}, of {labels[0][i]} with {labels[1][j]}.",
    )


def autoencoder() -> Figure:
    """Draw the variational autoencoder of the primer, from document to words."""
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    axes.set(xlim=(0, 10.9), ylim=(-1.35, 1.0))
    axes.axis("off")
    axes.text(0.55, 0, "document", ha="center", va="center")
    steps = [
        (1.5, 1.6, "encoder", 3.6, "μ, σ²: the posterior"),
        (4.1, 1.6, "draw\nz = μ + σ ⊙ ε", 6.2, "a sample"),
        (6.7, 1.5, "θ =\nsoftmax(z)", 7.45, "topics"),
        (8.6, 1.5, "decoder", 9.3, ""),
    ]
    for (x, width, text, middle, below), colour in zip(steps, PALETTE, strict=False):
        _box(axes, x, 0, text, colour, width)
        axes.text(middle, -0.75, below, ha="center", fontsize=SMALL, color=FAINT)
    for start, end in ((1.1, 1.5), (3.15, 4.1), (5.75, 6.7), (8.25, 8.6), (10.15, 10.4)):
        _arrow(axes, (start, 0), (end, 0))
    axes.text(10.9, 0, "words", ha="right", va="center", rotation=90)
    axes.text(2.3, -1.2, "loss: KL to the prior", ha="center", **NOTE)
    axes.text(9.0, -1.2, "loss: words badly written", ha="center", **NOTE)
    return described(
        figure,
        "A chain of boxes. A document enters an encoder, which gives mean and variance, the "
        "posterior; a sample is drawn from it; its softmax is the topics; a decoder turns them "
        "into words. The loss asks the posterior to stay near the prior and the words to be right.",
    )


def simplex(samples: Mapping[str, np.ndarray]) -> Figure:
    """Draw samples of θ, (S, 3) each by what they are drawn from, in a triangle each."""
    figure, grid = panels(len(samples), len(samples), 2.4)
    sides = [(-0.03, -0.07, "left"), (0.03, -0.07, "right"), (0, 0.03, "center")]
    largest = []
    for axes, (name, theta), colour in zip(grid, samples.items(), PALETTE, strict=False):
        axes.plot(*CORNERS[[0, 1, 2, 0]].T, color=GRID, linewidth=1.2, zorder=0)
        for topic, ((x, y), (right, up, side)) in enumerate(zip(CORNERS, sides, strict=True), 1):
            about = {"ha": side, "va": "center", "fontsize": SMALL}
            axes.text(x + right, y + up, f"topic {topic}", **about)
        axes.scatter(*(theta @ CORNERS).T, s=7, color=colour, alpha=0.5, linewidths=0)
        axes.set_title(name, fontsize=SMALL, pad=10)
        axes.set_aspect("equal")
        axes.axis("off")
        largest.append(f"{name}, {theta.max(axis=1).mean():.2f}")
    return described(
        figure,
        f"{len(samples)} triangles of samples of θ, a corner for each of three topics. The mean "
        f"share of a sample's largest topic: {'; '.join(largest)}.",
    )
