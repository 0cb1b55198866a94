"""Figures of the primer and of what a reader plays with."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from m3l.loss import info_nce

from .diagrams import _arrow, _box
from .style import FAINT, GRID, PALETTE, SMALL, WIDTH, described

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])  # of a triangle with sides 1


def autoencoder() -> Figure:
    """The variational autoencoder of the primer as a diagram, from document to words."""
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    axes.set(xlim=(0, 10.9), ylim=(-1.35, 1.0))
    axes.axis("off")
    axes.text(0.55, 0, "document", ha="center", va="center")
    steps = [
        (1.5, 1.6, "encoder", "μ, σ²: the posterior"),
        (4.1, 1.6, "draw\nz = μ + σ ⊙ ε", "a sample"),
        (6.7, 1.5, "θ =\nsoftmax(z)", "topics"),
        (8.6, 1.5, "decoder", ""),
    ]
    for (x, width, text, _), colour in zip(steps, PALETTE, strict=False):
        _box(axes, x, 0, text, colour, width)
    for start, end in ((1.1, 1.5), (3.15, 4.1), (5.75, 6.7), (8.25, 8.6), (10.15, 10.4)):
        _arrow(axes, (start, 0), (end, 0))
    for (_, _, _, below), x in zip(steps, (3.6, 6.2, 7.45, 9.3), strict=True):
        axes.text(x, -0.75, below, ha="center", fontsize=SMALL, color=FAINT)
    axes.text(10.9, 0, "words", ha="right", va="center", rotation=90)
    axes.text(2.3, -1.2, "charged: KL to the prior", ha="center", fontsize=SMALL, style="italic")
    axes.text(
        9.0, -1.2, "charged: words badly written", ha="center", fontsize=SMALL, style="italic"
    )
    return described(
        figure,
        "A chain of boxes. A document enters an encoder, which gives mean and variance, the "
        "posterior; a sample is drawn from it; its softmax is the topics; a decoder turns them "
        "into words. The posterior is charged for leaving the prior, the words for being wrong.",
    )


def triangle(axes: Axes, labels: Sequence[str]) -> None:
    """Draw the triangle in which three topics' shares have their place."""
    outline = np.vstack([CORNERS, CORNERS[:1]])
    axes.plot(*outline.T, color=GRID, linewidth=1.2, zorder=0)
    shifts = [(-0.03, -0.07, "left"), (0.03, -0.07, "right"), (0, 0.03, "center")]
    for (x, y), (right, up, side), label in zip(CORNERS, shifts, labels, strict=True):
        axes.text(x + right, y + up, label, ha=side, fontsize=SMALL, va="center")
    axes.set_aspect("equal")
    axes.axis("off")


def simplex(samples: Mapping[str, np.ndarray]) -> Figure:
    """Samples of θ, (S, 3) each by what they are drawn from, in a triangle each."""
    figure, panels = plt.subplots(1, len(samples), figsize=(WIDTH, 2.4), squeeze=False)
    for axes, (name, theta), colour in zip(panels[0], samples.items(), PALETTE, strict=False):
        triangle(axes, ["topic 1", "topic 2", "topic 3"])
        axes.scatter(*(theta @ CORNERS).T, s=7, color=colour, alpha=0.5, linewidths=0)
        axes.set_title(name, fontsize=SMALL, pad=10)
    largest = {name: float(theta.max(axis=1).mean()) for name, theta in samples.items()}
    told = "; ".join(f"{name}, {share:.2f}" for name, share in largest.items())
    return described(
        figure,
        f"{len(samples)} triangles of samples of θ, a corner for each of three topics. The mean "
        f"share of a sample's largest topic: {told}.",
    )


def contrast_by_temperature(
    a: torch.Tensor, b: torch.Tensor, temperatures: Sequence[float]
) -> Figure:
    """What InfoNCE costs each of three tuples, θ (3, K) of two views, along the temperature."""
    costs = np.stack([info_nce(a, b, t).mean(0).numpy() for t in temperatures])  # (T, 3)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    for number, (column, marker) in enumerate(zip(costs.T, "os^", strict=True)):
        axes.plot(temperatures, column, marker=marker, markersize=4, label=f"tuple {number + 1}")
    even = np.log(2 * len(a) - 1)
    axes.axhline(even, color=FAINT, linestyle="--", linewidth=1)
    axes.text(temperatures[-1], even, "all alike", ha="right", va="bottom", fontsize=SMALL)
    axes.set(xlabel="temperature τ", ylabel="InfoNCE (nats)", xscale="log", ylim=(0, None))
    axes.set_xticks([0.02, 0.07, 0.2, 1.0], ["0.02", "0.07", "0.2", "1"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    first, last = costs[0], costs[-1]
    return described(
        figure,
        f"InfoNCE of three tuples along the temperature, from {temperatures[0]} to "
        f"{temperatures[-1]}: {', '.join(f'{x:.2f}' for x in first)} at the lowest, "
        f"{', '.join(f'{x:.2f}' for x in last)} at the highest, where all come near the "
        f"{even:.2f} of a guess.",
    )
