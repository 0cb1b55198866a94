"""Figures of a corpus: its documents and its pictures."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .style import FAINT, SMALL, WIDTH, described, legend_below, view_looks


def document_lengths(lengths: Mapping[str, np.ndarray], min_words: int) -> Figure:
    """Draw how many words of the vocabulary the documents of each language have.

    ``lengths`` is by corpus and language, as "vital en".
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = int(np.percentile(np.concatenate(list(lengths.values())), 99)) + 1
    corpora = list(dict.fromkeys(name.rpartition(" ")[0] for name in lengths))
    looks = view_looks(list(dict.fromkeys(name.rpartition(" ")[2] for name in lengths)))
    said, lines = [], {}
    for name, values in lengths.items():
        corpus, _, language = name.rpartition(" ")
        look = {"color": looks[language]["color"], "linewidth": 2, "histtype": "step"}
        look["linestyle"] = ("-", "--", "-.", ":")[corpora.index(corpus) % 4]
        axes.hist(values, bins=np.arange(top + 1) - 0.5, **look)
        lines[name] = {what: look[what] for what in ("color", "linestyle")}
        said.append(f"{name} {np.median(values):.0f} and {values.min():.0f}")
    lines[f"at least {min_words}"] = {"color": FAINT, "linestyle": ":"}
    axes.axvline(min_words - 0.5, color=FAINT, linestyle=":")
    about = "words of the vocabulary in a document (longest 1 % not shown)"
    axes.set(xlabel=about, ylabel="documents", xlim=(0, top))
    legend_below(figure, lines)
    return described(
        figure,
        "Histogram of document lengths in words of the vocabulary, a line per language. Median and"
        f" least: {', '.join(said)}.",
    )


def pictures(paths: Sequence, titles: Sequence[str], about: str = "") -> Figure:
    """Draw pictures in a row, each under its title; ``about`` is whose they are, for those who do
    not see them.
    """
    from ..pictures.reading import load_image

    n = len(paths)
    figure, grid = plt.subplots(1, n, figsize=(min(WIDTH, 2.0 * n), 2.3), squeeze=False)
    figure.get_layout_engine().set(wspace=0.08)
    for axes, path, title in zip(grid[0], paths, titles, strict=True):
        axes.imshow(load_image(path), interpolation="none")  # scaled where it is shown
        axes.set_title(textwrap.fill(title, max(12, 64 // n)), fontsize=SMALL)
        axes.set(xticks=[], yticks=[])  # the frame stays: collages side by side would run into one
        axes.grid(False)
    row, whose = "s in a row" if n > 1 else "", f" for “{about}”" if about else ""
    return described(figure, f"Picture{row}{whose}: {'; '.join(titles)}.")
