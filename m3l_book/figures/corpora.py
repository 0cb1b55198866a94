"""Figures of a corpus: its documents, its pictures and their embeddings."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from m3l.metrics.divergence import unit_rows

from .style import FAINT, PALETTE, SMALL, WIDTH, described, view_looks


def cosine_histograms(
    aligned: Mapping[tuple[str, str], np.ndarray], random: Mapping[tuple[str, str], np.ndarray]
) -> Figure:
    """For each pair of views, cosines of aligned items and of items paired at random."""
    columns = min(3, len(aligned))
    rows = -(-len(aligned) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(WIDTH, 0.5 + 2.0 * rows), squeeze=False, sharex=True
    )
    for axes in panels.flat[len(aligned) :]:
        axes.remove()
    for axes, pair in zip(panels.flat, aligned, strict=False):
        bins = np.linspace(-0.4, 1.0, 43)
        axes.hist(
            random[pair], bins, density=True, color=PALETTE[6], alpha=0.7, label="random pairs"
        )
        axes.hist(
            aligned[pair], bins, density=True, color=PALETTE[1], alpha=0.6, label="aligned pairs"
        )
        axes.set(title=" – ".join(pair), xlabel="cosine", yticks=[])
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    means = (
        f"{' – '.join(pair)} {aligned[pair].mean():.2f} against {random[pair].mean():.2f}"
        for pair in aligned
    )
    return described(
        figure,
        "Histograms of cosines, a panel a pair of views. Means of aligned against random pairs:"
        f" {'; '.join(means)}.",
    )


def view_scatter(embeddings: Mapping[str, np.ndarray], items: int = 600) -> Figure:
    """Unit vectors of each view on the two main axes of them all: a modality gap is a cloud apart.

    Of the first ``items`` of each view.
    """
    vectors = {view: unit_rows(x[:items]) for view, x in embeddings.items()}
    everything = np.vstack(list(vectors.values()))
    centre = everything.mean(axis=0)
    _, _, axes_of_variation = np.linalg.svd(everything - centre, full_matrices=False)
    figure, axes = plt.subplots(figsize=(WIDTH, 4.0))
    middles, looks = {}, view_looks(list(vectors))
    for view, x in vectors.items():
        flat = (x - centre) @ axes_of_variation[:2].T
        middles[view] = flat.mean(axis=0)
        axes.scatter(
            *flat.T,
            s=12,
            alpha=0.5,
            **looks[view],
            label=view,
            linewidths=0,
        )
    axes.set(xlabel="first principal axis", ylabel="second principal axis")
    axes.legend(title="view", frameon=True)
    in_words = ", ".join(f"{view} ({x:.2f}, {y:.2f})" for view, (x, y) in middles.items())
    return described(
        figure,
        "Scatter of the items of each view on the two principal axes of all. The middles of the"
        f" clouds: {in_words}.",
    )


def document_lengths(lengths: Mapping[str, np.ndarray], min_words: int) -> Figure:
    """How many words of the vocabulary the documents of each language have."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = int(np.percentile(np.concatenate(list(lengths.values())), 99)) + 1
    languages, corpora = ([*dict.fromkeys(n.rpartition(" ")[i] for n in lengths)] for i in (2, 0))
    looks = view_looks(languages)
    for name, values in lengths.items():
        corpus, _, language = name.rpartition(" ")
        axes.hist(
            values,
            bins=np.arange(0, top + 1) - 0.5,
            histtype="step",
            linewidth=2,
            label=name,
            color=looks[language]["color"],
            linestyle=("-", "--", "-.", ":")[corpora.index(corpus) % 4],
        )
    axes.axvline(min_words - 0.5, color=FAINT, linestyle=":", label=f"at least {min_words}")
    axes.set(
        xlabel="words of the vocabulary in a document (longest 1 % not shown)",
        ylabel="documents",
        xlim=(0, top),
    )
    axes.legend(frameon=False)
    in_words = ", ".join(
        f"{name} {np.median(values):.0f} and {values.min():.0f}" for name, values in lengths.items()
    )
    return described(
        figure,
        "Histogram of document lengths in words of the vocabulary, a line a language. Median and"
        f" least: {in_words}.",
    )


def pictures(paths: Sequence, titles: Sequence[str], about: str = "") -> Figure:
    """Pictures in a row, each under its title; ``about`` is whose they are, for those who do not
    see them.
    """
    from ..pictures.reading import load_image

    figure, panels = plt.subplots(
        1, len(paths), figsize=(min(WIDTH, 2.0 * len(paths)), 2.3), squeeze=False
    )
    figure.get_layout_engine().set(wspace=0.08)
    for axes, path, title in zip(panels[0], paths, titles, strict=True):
        axes.imshow(
            load_image(path), interpolation="none"
        )  # its own pixels, scaled where it is shown
        axes.set_title("\n".join(textwrap.wrap(title, max(12, 64 // len(paths)))), fontsize=SMALL)
        axes.set(xticks=[], yticks=[])  # the frame stays: collages side by side would run into one
        axes.grid(False)
    return described(
        figure,
        f"Picture{'s in a row' if len(paths) > 1 else ''}{about and f' for “{about}”'}:"
        f" {'; '.join(titles)}.",
    )
