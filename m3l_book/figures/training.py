"""Figures of a run: how training went."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .style import PALETTE, WIDTH, described, legend_below, looks_of, panels

if TYPE_CHECKING:
    from pandas import DataFrame

TERM_NAMES = {
    "reconstruction": "reconstruction",
    "kl": "KL",
    "contrastive": "InfoNCE (times s)",
    "loss": "sum",
}


def training_curves(history: Sequence[Mapping]) -> Figure:
    """Draw each loss term against the epoch, in panels of their own since their scales differ."""
    terms = {term: name for term, name in TERM_NAMES.items() if term in history[0]}
    epochs, moves = [row["epoch"] for row in history], []
    figure, grid = panels(len(terms), 2 if len(terms) == 4 else len(terms), 2.2)
    for axes, (term, name), colour in zip(grid, terms.items(), PALETTE, strict=False):
        values = [row[term] for row in history]
        axes.plot(epochs, values, color=colour)
        axes.set(title=name, xlabel="epoch", ylabel="nats per tuple")
        moves.append(f"{name} goes from {values[0]:.1f} to {values[-1]:.1f}")
    return described(
        figure,
        f"Loss against the epoch, a panel a term, in nats per tuple, over {epochs[-1]} epochs:"
        f" {'; '.join(moves)}.",
    )


def log_likelihood(history: Sequence[Mapping]) -> Figure:
    """Draw a Gibbs chain's joint log-likelihood a token against the sweep."""
    sweeps = [row["epoch"] for row in history]
    values = [row["log_likelihood"] for row in history]
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.plot(sweeps, values, "o-", markersize=4)
    axes.set(xlabel="sweep", ylabel="log-likelihood\n(nats a token)")
    some = dict.fromkeys((0, len(values) // 2, len(values) - 1))
    said = ", ".join(f"{values[i]:.3f} at sweep {sweeps[i]}" for i in some)
    return described(figure, f"Joint log-likelihood in nats a token against the sweep: {said}.")


def convergence(table: "DataFrame", corpus: str) -> Figure:
    """Draw scores on the validation part against the share of a model's updates, a panel per
    direction, a line per model.

    ``table`` is `m3l_book.records.results.curves`'; lines are means over seeds.
    """
    part = table[table["corpus"] == corpus]
    by_direction = dict(list(part.groupby("direction", sort=False)))
    looks = looks_of(list(dict.fromkeys(part["model"])))
    all_of = part.groupby("model")["updates"].max()
    figure, grid = panels(len(by_direction), 1, 2.3, 0.8)
    sentences = []
    for axes, (direction, rows) in zip(grid, by_direction.items(), strict=True):
        for model, own in rows.groupby("model", sort=False):
            means = own.groupby("updates")["score"].mean()
            axes.plot(means.index / all_of[model], means, markersize=4, **looks[model])
            sentences.append(f"{direction}, {model}: {means.iloc[0]:.3f} to {means.iloc[-1]:.3f}")
        axes.set(title=direction, xlabel="share of its updates", ylabel=rows["metric"].iloc[0])
        axes.xaxis.set_major_formatter("{x:.0%}")
    named = {f"{model} ({all_of[model]:,} updates)": look for model, look in looks.items()}
    legend_below(figure, named, columns=2, markersize=4)
    return described(
        figure,
        f"Scores on the validation part of {corpus} against the share of updates. From the"
        f" first look to the last: {'; '.join(sentences)}.",
    )
