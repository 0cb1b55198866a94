"""Diagrams of the model and of its loss."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .style import FAINT, PALETTE, SMALL, WIDTH, described, view_looks


def architecture(languages: Sequence[str] = ("en", "de"), image: bool = True) -> Figure:
    """The model as a diagram: encoder, inference network, θ and decoder of each view, and what ties
    the views.
    """
    views = [*languages, *(["image"] if image else [])]
    figure, axes = plt.subplots(figsize=(WIDTH, 1.1 + 1.0 * len(views)))
    axes.set_xlim(0, 10.9)
    axes.set_ylim(-0.25, len(views) * 1.6)
    axes.axis("off")

    looks = view_looks(views)
    rows = [len(views) * 1.6 - 1.0 - 1.55 * i for i in range(len(views))]
    for view, y in zip(views, rows, strict=True):
        _draw_view(axes, view, y, looks[view]["color"])
    for i in range(len(views)):
        for j in range(i + 1, len(views)):
            # a neighbour straight below; farther ones around the right side of the boxes between
            x, curve = (6.3, 0.0) if j == i + 1 else (7.2, -0.2)
            _arrow(
                axes,
                (x, rows[i] - 0.48),
                (x, rows[j] + 0.48),
                colour=PALETTE[3],
                style="<|-|>",
                curve=curve,
            )
    axes.text(
        7.75,
        rows[0] - 0.78,
        "KL + InfoNCE between\neach pair of views",
        fontsize=SMALL,
        va="center",
    )
    axes.text(
        2.25,
        len(views) * 1.6 - 0.3,
        "not trained",
        ha="center",
        fontsize=SMALL,
        style="italic",
        color=FAINT,
    )
    return described(
        figure,
        f"Diagram of the model. Each of the views {', '.join(views)} passes through a frozen "
        "encoder and an inference network of its own to θ; a language is decoded into words by "
        "its own β, a picture into nothing. Arrows for KL and InfoNCE join the θ of each pair of "
        "views.",
    )


def _draw_view(axes, view: str, y: float, colour: str) -> None:
    """One line of `architecture`: from a view's item to its topics and words."""
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
        faint = {"fontsize": SMALL, "style": "italic", "color": FAINT}
        axes.text(7.55, y, "no words\nto reconstruct", ha="left", va="center", **faint)
    else:
        _arrow(axes, (7.35, y), (7.75, y))
        _box(axes, 7.75, y, f"softmax(\nBN(θ β)), β of {view}", colour, width=2.25)
        axes.text(10.18, y, "words", ha="left", va="center")


def _box(axes, x, y, text, colour, width, dashed=False) -> None:
    patch = FancyBboxPatch(
        (x, y - 0.45),
        width,
        0.9,
        boxstyle="round,pad=0.03,rounding_size=0.12",
        linewidth=1.5,
        linestyle="--" if dashed else "-",
    )
    patch.set(facecolor=(colour, 0.18), edgecolor=colour)
    axes.add_patch(patch)
    axes.text(x + width / 2, y, text, ha="center", va="center")


def _arrow(axes, start, end, colour=FAINT, style="-|>", curve=0.0) -> None:
    looks = {"mutation_scale": 11, "linewidth": 1.4, "shrinkA": 2, "shrinkB": 2}
    patch = FancyArrowPatch(start, end, arrowstyle=style, color=colour, **looks)
    patch.set_connectionstyle(f"arc3,rad={curve}")
    axes.add_patch(patch)


def info_nce_matrix(similarity: np.ndarray, labels: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """A batch's similarities (B, B): positives framed on the diagonal, negatives off it."""
    figure, axes = plt.subplots(figsize=(4.6, 3.5))
    named = {
        "xticklabels": labels[1],
        "yticklabels": labels[0],
        "annot_kws": {"fontsize": 9.5},
        "cbar_kws": {"label": "similarity of θ"},
    }
    sns.heatmap(similarity, annot=True, fmt=".2f", cmap="cividis", ax=axes, vmin=0, vmax=1, **named)
    for i in range(len(similarity)):
        axes.add_patch(
            plt.Rectangle(
                (i + 0.04, i + 0.04), 0.92, 0.92, fill=False, edgecolor=PALETTE[3], linewidth=3
            )
        )
    axes.set(
        xlabel="θ of the second view",
        ylabel="θ of the first view",
        title="positives framed, all others negatives",
    )
    off = np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity)
    i, j = np.unravel_index(off.argmax(), off.shape)
    return described(
        figure,
        f"Matrix of the similarities of {len(similarity)} documents of two views. The positive "
        "pairs, framed on the diagonal, have "
        f"{', '.join(f'{x:.2f}' for x in similarity.diagonal())}; "
        f"the largest of the negatives is {off[i, j]:.2f}, of {labels[0][i]} with {labels[1][j]}.",
    )
