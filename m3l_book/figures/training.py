"""Figures of a run: how training went."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .style import PALETTE, WIDTH, described

TERM_NAMES = {
    "reconstruction": "reconstruction",
    "kl": "KL",
    "contrastive": "InfoNCE (times s)",
    "loss": "sum",
}


def training_curves(history: Sequence[Mapping]) -> Figure:
    """Each loss term against the epoch, in panels of their own since their scales differ."""
    terms = [term for term in TERM_NAMES if term in history[0]]
    columns = 2 if len(terms) == 4 else len(terms)
    figure, panels = plt.subplots(
        -(-len(terms) // columns),
        columns,
        figsize=(WIDTH, 2.2 * -(-len(terms) // columns)),
        squeeze=False,
    )
    for axes, term, colour in zip(panels.flat, terms, PALETTE, strict=False):
        axes.plot([row["epoch"] for row in history], [row[term] for row in history], color=colour)
        axes.set(title=TERM_NAMES[term], xlabel="epoch", ylabel="nats per tuple")
    moves = (
        f"{TERM_NAMES[term]} goes from {history[0][term]:.1f} to {history[-1][term]:.1f}"
        for term in terms
    )
    return described(
        figure,
        f"Loss against the epoch, a panel a term, in nats per tuple, over {history[-1]['epoch']}"
        f" epochs: {'; '.join(moves)}.",
    )


def log_likelihood(history: Sequence[Mapping]) -> Figure:
    """A Gibbs chain's joint log-likelihood a token against the sweep."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.plot(
        [row["epoch"] for row in history],
        [row["log_likelihood"] for row in history],
        "o-",
        markersize=4,
        color=PALETTE[0],
    )
    axes.set(xlabel="sweep", ylabel="log-likelihood\n(nats a token)")
    some = dict.fromkeys((0, len(history) // 2, len(history) - 1))
    means_in_words = ", ".join(
        f"{history[i]['log_likelihood']:.3f} at sweep {history[i]['epoch']}" for i in some
    )
    return described(
        figure, f"Joint log-likelihood in nats a token against the sweep: {means_in_words}."
    )
