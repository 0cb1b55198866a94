"""Figures of a run: how training went."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .style import PALETTE, WIDTH, described, looks_of

if TYPE_CHECKING:
    from pandas import DataFrame

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


def convergence(table: "DataFrame", corpus: str) -> Figure:
    """Scores on the validation part against updates, a panel a direction, a line a model.

    ``table`` is `m3l_book.records.results.curves`'; lines are means over seeds.
    """
    part = table[table["corpus"] == corpus]
    directions = list(dict.fromkeys(part["direction"]))
    looks = looks_of(list(dict.fromkeys(part["model"])), ())
    figure, panels = plt.subplots(
        len(directions), 1, figsize=(WIDTH, 0.8 + 2.3 * len(directions)), squeeze=False
    )
    sentences = []
    for axes, direction in zip(panels[:, 0], directions, strict=True):
        rows = part[part["direction"] == direction]
        for model, own in rows.groupby("model", sort=False):
            means = own.groupby("updates")["score"].mean()
            axes.plot(means.index, means, label=model, markersize=4, **looks[model])
            sentences.append(f"{direction}, {model}: {means.iloc[0]:.3f} to {means.iloc[-1]:.3f}")
        axes.set(title=direction, xlabel="updates", ylabel=rows["metric"].iloc[0])
        axes.xaxis.set_major_formatter("{x:,.0f}")
    handles = [
        plt.Line2D([], [], label=model, markersize=4, **look) for model, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return described(
        figure,
        f"Scores on the validation part of {corpus} against updates. From the"
        f" first look to the last: {'; '.join(sentences)}.",
    )
