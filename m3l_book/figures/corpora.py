"""Figures of a corpus: its documents, its pictures and their embeddings."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from m3l.metrics import unit_rows

from .style import FAINT, PALETTE, SMALL, WIDTH, described, panels, view_looks


def cosine_histograms(
    aligned: Mapping[tuple[str, str], np.ndarray], random: Mapping[tuple[str, str], np.ndarray]
) -> Figure:
    """Draw, for each pair of views, cosines of aligned items and of items paired at random."""
    figure, grid = panels(len(aligned), min(3, len(aligned)), 2.0, 0.5, sharex=True)
    bins, means = np.linspace(-0.4, 1.0, 43), []
    for axes, pair in zip(grid, aligned, strict=True):
        look = {"bins": bins, "density": True}
        axes.hist(random[pair], color=PALETTE[6], alpha=0.7, label="random pairs", **look)
        axes.hist(aligned[pair], color=PALETTE[1], alpha=0.6, label="aligned pairs", **look)
        name = " – ".join(pair)
        axes.set(title=name, xlabel="cosine", yticks=[])
        means.append(f"{name} {aligned[pair].mean():.2f} against {random[pair].mean():.2f}")
    handles = grid[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
    return described(
        figure,
        "Histograms of cosines, a panel a pair of views. Means of aligned against random pairs:"
        f" {'; '.join(means)}.",
    )


def view_scatter(embeddings: Mapping[str, np.ndarray], items: int = 600) -> Figure:
    """Draw unit vectors of each view on the two main axes of them all: a modality gap is a cloud
    apart.

    Of the first ``items`` of each view.
    """
    vectors = {view: unit_rows(x[:items]) for view, x in embeddings.items()}
    everything = np.vstack(list(vectors.values()))
    centre = everything.mean(axis=0)
    main_axes = np.linalg.svd(everything - centre, full_matrices=False)[2][:2]
    figure, axes = plt.subplots(figsize=(WIDTH, 4.0))
    middles = []
    for view, look in view_looks(list(vectors)).items():
        flat = (vectors[view] - centre) @ main_axes.T
        axes.scatter(*flat.T, s=12, alpha=0.5, label=view, linewidths=0, **look)
        x, y = flat.mean(axis=0)
        middles.append(f"{view} ({x:.2f}, {y:.2f})")
    axes.set(xlabel="first principal axis", ylabel="second principal axis")
    axes.legend(title="view", frameon=True)
    return described(
        figure,
        "Scatter of the items of each view on the two principal axes of all. The middles of the"
        f" clouds: {', '.join(middles)}.",
    )


def document_lengths(lengths: Mapping[str, np.ndarray], min_words: int) -> Figure:
    """Draw how many words of the vocabulary the documents of each language have.

    ``lengths`` is by corpus and language, as "vital en".
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = int(np.percentile(np.concatenate(list(lengths.values())), 99)) + 1
    corpora = list(dict.fromkeys(name.rpartition(" ")[0] for name in lengths))
    looks = view_looks(list(dict.fromkeys(name.rpartition(" ")[2] for name in lengths)))
    said = []
    for name, values in lengths.items():
        corpus, _, language = name.rpartition(" ")
        look = {"color": looks[language]["color"], "linewidth": 2, "histtype": "step"}
        look["linestyle"] = ("-", "--", "-.", ":")[corpora.index(corpus) % 4]
        axes.hist(values, bins=np.arange(top + 1) - 0.5, label=name, **look)
        said.append(f"{name} {np.median(values):.0f} and {values.min():.0f}")
    axes.axvline(min_words - 0.5, color=FAINT, linestyle=":", label=f"at least {min_words}")
    about = "words of the vocabulary in a document (longest 1 % not shown)"
    axes.set(xlabel=about, ylabel="documents", xlim=(0, top))
    axes.legend(frameon=False)
    return described(
        figure,
        "Histogram of document lengths in words of the vocabulary, a line a language. Median and"
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
