"""Every figure of the book. Each function returns a matplotlib figure; colours tell views apart for any eyes."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

PALETTE = sns.color_palette("colorblind")
VIEW_COLOURS = {"en": PALETTE[0], "de": PALETTE[1], "fr": PALETTE[1], "es": PALETTE[4], "image": PALETTE[2]}
VIEW_MARKERS = {"en": "o", "de": "s", "fr": "s", "es": "D", "image": "^"}
MARKERS = "os^DvPX"
TERM_NAMES = {"reconstruction": "reconstruction", "kl": "KL", "contrastive": "InfoNCE (times s)", "loss": "sum"}


def style() -> None:
    """Set the book's look for all figures of a chapter."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {"figure.dpi": 110, "savefig.dpi": 220, "figure.constrained_layout.use": True, "font.size": 11, "axes.titlesize": 12, "svg.fonttype": "none"}
    )


def view_colour(view: str):
    """The colour of a view, the same in every figure; a view not known in advance gets one of the rest by name."""
    return VIEW_COLOURS.get(view, PALETTE[5 + sum(map(ord, view)) % 5])


def architecture(languages: Sequence[str] = ("en", "de"), image: bool = True) -> Figure:
    """The model as a diagram: encoder, inference network, θ and decoder of each view, and what ties the views."""
    views = [*languages, *(["image"] if image else [])]
    figure, axes = plt.subplots(figsize=(9.5, 1.5 + 1.45 * len(views)))
    axes.set_xlim(0, 10.6)
    axes.set_ylim(-0.25, len(views) * 1.6)
    axes.axis("off")

    def box(x, y, text, colour, width=1.55, dashed=False):
        patch = FancyBboxPatch(
            (x, y - 0.38),
            width,
            0.76,
            boxstyle="round,pad=0.03,rounding_size=0.12",
            facecolor=(*colour, 0.18),
            edgecolor=colour,
            linewidth=1.5,
            linestyle="--" if dashed else "-",
        )
        axes.add_patch(patch)
        axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=10)

    def arrow(start, end, colour="0.35", style="-|>", curve=0.0):
        axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle=style, mutation_scale=13, color=colour, linewidth=1.4, connectionstyle=f"arc3,rad={curve}", shrinkA=2, shrinkB=2
            )
        )

    rows = [len(views) * 1.6 - 1.0 - 1.55 * i for i in range(len(views))]
    for view, y in zip(views, rows, strict=True):
        colour = view_colour(view)
        thing = "picture" if view == "image" else f"document\n({view})"
        axes.text(0.55, y, thing, ha="center", va="center", fontsize=10)
        arrow((1.05, y), (1.4, y))
        box(1.45, y, "frozen\nencoder", colour, dashed=True)
        arrow((3.05, y), (3.45, y))
        box(3.5, y, "inference\nnetwork", colour)
        arrow((5.1, y), (5.5, y))
        axes.text(5.3, y + 0.2, "μ, σ²", ha="center", fontsize=9)
        box(5.55, y, "θ = softmax(z)", colour)
        if view != "image":
            arrow((7.15, y), (7.75, y))
            box(7.8, y, f"softmax(BN(θ β))\nβ of {view}", colour, width=1.95)
            axes.text(9.95, y, "words", ha="left", va="center", fontsize=10)
            arrow((9.78, y), (9.95, y), style="-")
        else:
            axes.text(7.75, y, "no words to reconstruct", ha="left", va="center", fontsize=9, style="italic", color="0.35")
    for i in range(len(views)):
        for j in range(i + 1, len(views)):
            # a neighbour straight below; farther ones around the right side of the boxes between
            x, curve = (6.3, 0.0) if j == i + 1 else (7.0, -0.28)
            arrow((x, rows[i] - 0.42), (x, rows[j] + 0.42), colour=PALETTE[3], style="<|-|>", curve=curve)
    axes.text(7.75, rows[0] - 0.78, "KL + InfoNCE between\neach pair of views", fontsize=9, color=PALETTE[3], va="center")
    axes.text(2.22, len(views) * 1.6 - 0.3, "not trained", ha="center", fontsize=9, style="italic", color="0.35")
    return figure


def info_nce_matrix(similarity: np.ndarray, labels: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """A batch's similarities (B, B): positives framed on the diagonal, negatives off it."""
    figure, axes = plt.subplots(figsize=(5.6, 4.2))
    sns.heatmap(
        similarity,
        annot=True,
        fmt=".2f",
        cmap="cividis",
        cbar_kws={"label": "similarity of θ"},
        xticklabels=labels[1],
        yticklabels=labels[0],
        ax=axes,
        vmin=0,
        vmax=1,
    )
    for i in range(len(similarity)):
        axes.add_patch(plt.Rectangle((i + 0.04, i + 0.04), 0.92, 0.92, fill=False, edgecolor=PALETTE[3], linewidth=3))
    axes.set(xlabel="θ of the second view", ylabel="θ of the first view", title="positives framed, all others negatives")
    return figure


def training_curves(history: Sequence[Mapping]) -> Figure:
    """Each loss term against the epoch, in panels of their own since their scales differ."""
    terms = [term for term in TERM_NAMES if term in history[0]]
    columns = 2 if len(terms) == 4 else len(terms)
    figure, panels = plt.subplots(-(-len(terms) // columns), columns, figsize=(3.7 * columns, 2.6 * -(-len(terms) // columns)), squeeze=False)
    for axes, term, colour in zip(panels.flat, terms, PALETTE, strict=False):
        axes.plot([row["epoch"] for row in history], [row[term] for row in history], color=colour)
        axes.set(title=TERM_NAMES[term], xlabel="epoch", ylabel="nats per tuple")
    return figure


def log_likelihood(history: Sequence[Mapping]) -> Figure:
    """A Gibbs chain's joint log-likelihood a token against the sweep."""
    figure, axes = plt.subplots(figsize=(6.2, 2.8))
    axes.plot([row["epoch"] for row in history], [row["log_likelihood"] for row in history], "o-", markersize=4, color=PALETTE[0])
    axes.set(xlabel="sweep", ylabel="log-likelihood\n(nats a token)")
    return figure


def retrieval_scores(table, corpus: str) -> Figure:
    """Score by direction and model: a point a seed, the mean as a bar of its own, chance dotted.

    ``table`` is a data frame with columns model, seed, direction, score, chance.
    """
    directions, models = list(dict.fromkeys(table["direction"])), list(dict.fromkeys(table["model"]))
    figure, axes = plt.subplots(figsize=(8.2, 0.9 + 0.62 * len(directions) * max(1, 0.55 * len(models))))
    height = 0.8 / len(models)
    for m, model in enumerate(models):
        for d, direction in enumerate(directions):
            rows = table[(table["model"] == model) & (table["direction"] == direction)]
            y = d + (m - (len(models) - 1) / 2) * height
            axes.barh(y, rows["score"].mean(), height=height * 0.9, color=(*PALETTE[m], 0.45), edgecolor=PALETTE[m], label=model if d == 0 else None)
            axes.plot(rows["score"], [y] * len(rows), "o", color="0.15", markersize=4)
    for d, direction in enumerate(directions):
        chance = table[table["direction"] == direction]["chance"].mean()
        axes.plot([chance] * 2, [d - 0.42, d + 0.42], ":", color=PALETTE[3], linewidth=2, label="chance" if d == 0 else None)
    axes.set_yticks(range(len(directions)), directions)
    axes.invert_yaxis()
    axes.set(xlabel="MRR (text to text) or UAP (with pictures)", title=f"{corpus}: retrieval by topics")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def coherence_against_diversity(table) -> Figure:
    """Topic diversity against NPMI, a panel a corpus: colour and shape tell the model, filled or open the language.

    ``table`` is a data frame with columns corpus, model, language, setting, NPMI, diversity.
    """
    corpora, models = list(dict.fromkeys(table["corpus"])), list(dict.fromkeys(table["model"]))
    figure, panels = plt.subplots(1, len(corpora), figsize=(4.6 * len(corpora), 3.8), squeeze=False)
    for axes, corpus in zip(panels[0], corpora, strict=True):
        part = table[table["corpus"] == corpus]
        languages = list(dict.fromkeys(part["language"]))
        for (model, language), rows in part.groupby(["model", "language"], sort=False):
            i, second = models.index(model), languages.index(language) > 0
            face = "none" if second else PALETTE[i % 10]
            axes.scatter(rows["NPMI"], rows["diversity"], s=42, marker=MARKERS[i % len(MARKERS)], facecolor=face, edgecolor=PALETTE[i % 10], linewidth=1.5)
        axes.set(xlabel=f"NPMI (filled: {languages[0]}" + (f", open: {languages[1]})" if len(languages) > 1 else ")"), ylabel="topic diversity", title=corpus)
    handles = [plt.Line2D([], [], marker=MARKERS[i % len(MARKERS)], linestyle="", color=PALETTE[i % 10], label=model) for i, model in enumerate(models)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(models), frameon=False)
    return figure


def curves(rows, x: str, label: str, paper: Sequence[Mapping] = (), line: str = "base", note: str = "", order: Sequence[str] = ()) -> Figure:
    """Score against a parameter, a panel a direction, a line a model: the mean over seeds, ± their standard deviation, a dot a seed.

    ``rows`` is a data frame with columns panel, ``line``, ``x``, score, chance; ``paper`` has ``panel``, ``base``, ``x`` and ``score``
    of points that the paper prints, which are of other data and drawn as stars. The axis of ``x`` is logarithmic. ``order`` lists all names that
    figures beside this one draw, so that each keeps its colour.
    """
    drawn, panels = list(dict.fromkeys(rows[line])), list(dict.fromkeys(rows["panel"]))
    names = [*order, *(name for name in drawn if name not in order)]
    columns = min(2, len(panels))
    figure, grid = plt.subplots(-(-len(panels) // columns), columns, figsize=(9.4, 3.3 * -(-len(panels) // columns)), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        part = rows[rows["panel"] == panel]
        for i, name in enumerate(names):
            own = part[part[line] == name]
            if len(own):
                by_x = own.groupby(x)["score"]
                mean, sd = by_x.mean(), by_x.std().fillna(0.0)
                axes.errorbar(mean.index, mean, sd, color=PALETTE[i % 10], marker=MARKERS[i % len(MARKERS)], markersize=6, capsize=3, linewidth=1.8)
                axes.plot(own[x], own["score"], ".", color=PALETTE[i % 10], markersize=3)
            for point in paper:
                if (point["panel"], point["base"]) == (panel, name):
                    axes.plot(point["x"], point["score"], "*", markersize=13, markerfacecolor="none", markeredgecolor=PALETTE[i % 10], markeredgewidth=1.5)
        axes.axhline(part["chance"].mean(), color="0.4", linestyle=":", linewidth=1.5)
        ticks = sorted({*part[x], *(p["x"] for p in paper if p["panel"] == panel)})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set(xlabel=label, ylabel=panel.rpartition(", ")[2], title=panel.rpartition(", ")[0], ylim=(0, None))
    handles = [plt.Line2D([], [], marker=MARKERS[i % len(MARKERS)], color=PALETTE[i % 10], label=name) for i, name in enumerate(names) if name in drawn]
    handles += [plt.Line2D([], [], color="0.4", linestyle=":", label="chance")]
    if paper:
        handles.append(
            plt.Line2D([], [], marker="*", linestyle="", color="0.3", markerfacecolor="none", markersize=13, label=note or "the paper's, on its own data")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False)
    return figure


def topic_space(panels: Sequence[Mapping]) -> Figure:
    """Items of all views in two dimensions, a panel a model: colour and shape tell the view, words the themes.

    A panel has ``title``, ``place`` (N, 2), ``view`` (N,) and ``themes``, (x, y, words) each; themes that would cover one another are left out.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(5.6 * len(panels), 5.6), squeeze=False)
    for axes, panel in zip(grid[0], panels, strict=True):
        for view in dict.fromkeys(np.asarray(panel["view"]).tolist()):
            own = panel["place"][np.asarray(panel["view"]) == view]
            axes.scatter(*own.T, s=13, alpha=0.55, color=view_colour(view), marker=VIEW_MARKERS.get(view, "o"), label=view, linewidths=0)
        axes.set(title=panel["title"], xticks=[], yticks=[])
        axes.grid(False)
        figure.canvas.draw()
        taken = []
        for x, y, words in panel["themes"]:
            text = axes.text(x, y, words, fontsize=9.5, ha="center", va="center", fontweight="bold", color="0.1")
            text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])
            box = text.get_window_extent()
            if any(box.overlaps(other) for other in taken):
                text.remove()
            else:
                taken.append(box)
    handles, names = grid[0][0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, markerscale=2)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
    return figure


def vector(figure: Figure):
    """The figure as a vector image, for a page and for print; its text stays text."""
    from io import StringIO

    from IPython.display import SVG

    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return SVG(out.getvalue())


def cosine_histograms(aligned: Mapping[str, np.ndarray], random: Mapping[str, np.ndarray]) -> Figure:
    """For each pair of views, cosines of aligned items and of items drawn at random."""
    figure, panels = plt.subplots(1, len(aligned), figsize=(max(4.1, 2.9 * len(aligned)), 2.8), squeeze=False, sharex=True)
    for axes, pair in zip(panels[0], aligned, strict=True):
        bins = np.linspace(-0.4, 1.0, 43)
        axes.hist(random[pair], bins, density=True, color=PALETTE[7], alpha=0.7, label="random pairs")
        axes.hist(aligned[pair], bins, density=True, color=PALETTE[0], alpha=0.6, label="aligned pairs")
        axes.set(title=pair, xlabel="cosine", yticks=[])
    panels[0][-1].legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def view_scatter(vectors: Mapping[str, np.ndarray]) -> Figure:
    """The items of each view on the two main axes of them all: a modality gap is a cloud apart."""
    everything = np.vstack(list(vectors.values()))
    centre = everything.mean(axis=0)
    _, _, axes_of_variation = np.linalg.svd(everything - centre, full_matrices=False)
    figure, axes = plt.subplots(figsize=(6.2, 4.4))
    for view, x in vectors.items():
        flat = (x - centre) @ axes_of_variation[:2].T
        axes.scatter(*flat.T, s=14, alpha=0.5, color=view_colour(view), marker=VIEW_MARKERS.get(view, "o"), label=view, linewidths=0)
    axes.set(xlabel="first principal axis", ylabel="second principal axis")
    axes.legend(title="view", frameon=True)
    return figure


def document_lengths(lengths: Mapping[str, np.ndarray], min_words: int) -> Figure:
    """How many words of the vocabulary the documents of each language have."""
    figure, axes = plt.subplots(figsize=(7.2, 3.0))
    top = int(np.percentile(np.concatenate(list(lengths.values())), 99)) + 1
    for name, values in lengths.items():
        axes.hist(values, bins=np.arange(0, top + 1) - 0.5, histtype="step", linewidth=2, label=name, color=view_colour(name.split()[-1]))
    axes.axvline(min_words - 0.5, color="0.3", linestyle=":", label=f"at least {min_words}")
    axes.set(xlabel="words of the vocabulary in a document (longest 1 % not shown)", ylabel="documents", xlim=(0, top))
    axes.legend(frameon=False)
    return figure


def pictures(paths: Sequence, titles: Sequence[str]) -> Figure:
    """Pictures in a row, each under its title."""
    from .images import load_image

    figure, panels = plt.subplots(1, len(paths), figsize=(2.2 * len(paths), 2.6), squeeze=False)
    figure.get_layout_engine().set(wspace=0.08)
    for axes, path, title in zip(panels[0], paths, titles, strict=True):
        axes.imshow(load_image(path))
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])  # the frame stays: collages side by side would run into one
        axes.grid(False)
    return figure
