"""Every figure of the book: vector drawings that say in words what they show, legible in print, in the light and in the dark.

Each function returns a matplotlib figure whose label is its alternative text, computed from what is drawn; `show` puts it on the page.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .errors import require
from .files import atomic

WIDTH = 6.7  # inches, the text of a printed page: a figure is not scaled down in print, and its text neither
SMALL = 9  # points, the least size of text
INK, FAINT, GRID, PAPER = "#1a1a1a", "#595959", "#c8c8c8", "#fefefe"
# found by search: at least 3:1 on white and on the dark page, any two apart for normal and for colour-blind eyes (tests/test_plots.py)
PALETTE = ["#0066c7", "#d58000", "#00a781", "#b44114", "#b97cc8", "#935843", "#6c667e"]
DARK = {INK: "#ced6dd", FAINT: "#a4acb7", GRID: "#4a5360", PAPER: "#121212"}  # what colours are on a dark page
DARK |= dict(zip(PALETTE, ["#4496ee", "#f5a623", "#1fd0a3", "#dd5426", "#d6a9e2", "#a9705a", "#8d87a0"], strict=True))
VIEW_COLOURS = {"en": PALETTE[0], "de": PALETTE[1], "fr": PALETTE[1], "es": PALETTE[4], "image": PALETTE[2]}
VIEW_MARKERS = {"en": "o", "de": "s", "fr": "s", "es": "D", "image": "^"}
MARKERS = "os^DvPX"
TERM_NAMES = {"reconstruction": "reconstruction", "kl": "KL", "contrastive": "InfoNCE (times s)", "loss": "sum"}


def style() -> None:
    """Set the book's look for all figures of a chapter."""
    neutral = {"text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": GRID}
    neutral |= {"patch.edgecolor": PAPER}
    neutral |= {"grid.color": GRID, "figure.facecolor": PAPER, "axes.facecolor": PAPER, "legend.facecolor": PAPER, "legend.edgecolor": GRID}
    sizes = {"font.size": 9.5, "axes.titlesize": 10, "axes.labelsize": 9.5, "legend.title_fontsize": SMALL}
    sizes |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL)
    sns.set_theme(style="whitegrid", rc=neutral | sizes)
    plt.rcParams["axes.prop_cycle"] = plt.cycler(color=PALETTE)
    plt.rcParams.update({"figure.figsize": (WIDTH, 3.2), "savefig.dpi": 220, "figure.constrained_layout.use": True})
    plt.rcParams.update({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "m3l"})  # text stays text, and the same figure is the same file
    plt.rcParams["text.parse_math"] = False  # a dollar in a title is a dollar


def vector(figure: Figure) -> str:
    """The figure as SVG: its label is the drawing's title, its neutral colours follow the colour scheme it is shown in, its text stays text.

    Raises
    ------
    ParameterError
        The figure has no label, so nothing says what is to be seen.
    """
    from io import StringIO

    require(bool(figure.get_label()), "the figure has no label; figure.set_label takes the text for those who do not see it")
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": figure.get_label()})
    rules = "".join(f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}' for light, dark in DARK.items() for kind in ("fill", "stroke"))
    drawing = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", out.getvalue())  # signs that no XML may hold
    drawing = drawing.replace("</style>", f"@media (prefers-color-scheme: dark){{{rules}}}</style>", 1)
    # a hundredth of a point is finer than any eye or printer; six digits more are half the file
    numbers = re.compile(r' (?:x|y|d)="[^"]*"')
    return re.sub(r"<[^>]+>", lambda tag: numbers.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), tag[0]), drawing)


def show(figure: Figure) -> None:
    """Put a figure on the page of a notebook, as `vector` has it, and close it."""
    from IPython.display import SVG, display

    display(SVG(vector(figure)))
    plt.close(figure)


def save_pdf(figure: Figure, path) -> None:
    """The figure as a PDF for print, in the light colours, its fonts with it; written whole or not at all."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None, "Title": figure.get_label()})


def view_colour(view: str) -> str:
    """The colour of a view, the same in every figure; a view not known in advance gets one of the rest by name."""
    return VIEW_COLOURS.get(view, PALETTE[3 + sum(map(ord, view)) % 4])


def _described(figure: Figure, text: str) -> Figure:
    figure.set_label(" ".join(text.split()))
    return figure


def architecture(languages: Sequence[str] = ("en", "de"), image: bool = True) -> Figure:
    """The model as a diagram: encoder, inference network, θ and decoder of each view, and what ties the views."""
    views = [*languages, *(["image"] if image else [])]
    figure, axes = plt.subplots(figsize=(WIDTH, 1.1 + 1.0 * len(views)))
    axes.set_xlim(0, 10.9)
    axes.set_ylim(-0.25, len(views) * 1.6)
    axes.axis("off")

    def box(x, y, text, colour, width=1.75, dashed=False):
        patch = FancyBboxPatch((x, y - 0.45), width, 0.9, boxstyle="round,pad=0.03,rounding_size=0.12", linewidth=1.5, linestyle="--" if dashed else "-")
        patch.set(facecolor=(colour, 0.18), edgecolor=colour)
        axes.add_patch(patch)
        axes.text(x + width / 2, y, text, ha="center", va="center")

    def arrow(start, end, colour=FAINT, style="-|>", curve=0.0):
        patch = FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, color=colour, linewidth=1.4, shrinkA=2, shrinkB=2)
        patch.set_connectionstyle(f"arc3,rad={curve}")
        axes.add_patch(patch)

    rows = [len(views) * 1.6 - 1.0 - 1.55 * i for i in range(len(views))]
    for view, y in zip(views, rows, strict=True):
        colour = view_colour(view)
        axes.text(0.6, y, "picture" if view == "image" else f"document\n({view})", ha="center", va="center")
        arrow((1.2, y), (1.5, y))
        box(1.5, y, "frozen\nencoder", colour, width=1.5, dashed=True)
        arrow((3.05, y), (3.4, y))
        box(3.4, y, "inference\nnetwork", colour, width=1.6)
        arrow((5.05, y), (5.6, y))
        axes.text(5.32, y + 0.28, "μ, σ²", ha="center", fontsize=SMALL)
        box(5.6, y, "θ =\nsoftmax(z)", colour, width=1.7)
        if view == "image":
            axes.text(7.55, y, "no words\nto reconstruct", ha="left", va="center", fontsize=SMALL, style="italic", color=FAINT)
        else:
            arrow((7.35, y), (7.75, y))
            box(7.75, y, f"softmax(\nBN(θ β)), β of {view}", colour, width=2.25)
            axes.text(10.18, y, "words", ha="left", va="center")
    for i in range(len(views)):
        for j in range(i + 1, len(views)):
            # a neighbour straight below; farther ones around the right side of the boxes between
            x, curve = (6.3, 0.0) if j == i + 1 else (7.2, -0.2)
            arrow((x, rows[i] - 0.48), (x, rows[j] + 0.48), colour=PALETTE[3], style="<|-|>", curve=curve)
    axes.text(7.75, rows[0] - 0.78, "KL + InfoNCE between\neach pair of views", fontsize=SMALL, va="center")
    axes.text(2.25, len(views) * 1.6 - 0.3, "not trained", ha="center", fontsize=SMALL, style="italic", color=FAINT)
    return _described(
        figure,
        f"""Diagram of the model. Each of the views {", ".join(views)} passes through a frozen encoder and an inference network of its own to θ;
        a language is decoded into words by its own β, a picture into nothing. Arrows for KL and InfoNCE join the θ of each pair of views.""",
    )


def info_nce_matrix(similarity: np.ndarray, labels: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """A batch's similarities (B, B): positives framed on the diagonal, negatives off it."""
    figure, axes = plt.subplots(figsize=(4.6, 3.5))
    named = {"xticklabels": labels[1], "yticklabels": labels[0], "annot_kws": {"fontsize": 9.5}, "cbar_kws": {"label": "similarity of θ"}}
    sns.heatmap(similarity, annot=True, fmt=".2f", cmap="cividis", ax=axes, vmin=0, vmax=1, **named)
    for i in range(len(similarity)):
        axes.add_patch(plt.Rectangle((i + 0.04, i + 0.04), 0.92, 0.92, fill=False, edgecolor=PALETTE[3], linewidth=3))
    axes.set(xlabel="θ of the second view", ylabel="θ of the first view", title="positives framed, all others negatives")
    off = np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity)
    i, j = np.unravel_index(off.argmax(), off.shape)
    return _described(
        figure,
        f"""Matrix of the similarities of {len(similarity)} documents of two views. The positive pairs, framed on the diagonal, have
        {", ".join(f"{x:.2f}" for x in similarity.diagonal())}; the largest of the negatives is {off[i, j]:.2f}, of {labels[0][i]} with {labels[1][j]}.""",
    )


def training_curves(history: Sequence[Mapping]) -> Figure:
    """Each loss term against the epoch, in panels of their own since their scales differ."""
    terms = [term for term in TERM_NAMES if term in history[0]]
    columns = 2 if len(terms) == 4 else len(terms)
    figure, panels = plt.subplots(-(-len(terms) // columns), columns, figsize=(WIDTH, 2.2 * -(-len(terms) // columns)), squeeze=False)
    for axes, term, colour in zip(panels.flat, terms, PALETTE, strict=False):
        axes.plot([row["epoch"] for row in history], [row[term] for row in history], color=colour)
        axes.set(title=TERM_NAMES[term], xlabel="epoch", ylabel="nats per tuple")
    moves = (f"{TERM_NAMES[term]} goes from {history[0][term]:.1f} to {history[-1][term]:.1f}" for term in terms)
    return _described(figure, f"Loss against the epoch, a panel a term, in nats per tuple, over {history[-1]['epoch']} epochs: {'; '.join(moves)}.")


def log_likelihood(history: Sequence[Mapping]) -> Figure:
    """A Gibbs chain's joint log-likelihood a token against the sweep."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.plot([row["epoch"] for row in history], [row["log_likelihood"] for row in history], "o-", markersize=4, color=PALETTE[0])
    axes.set(xlabel="sweep", ylabel="log-likelihood\n(nats a token)")
    some = dict.fromkeys((0, len(history) // 2, len(history) - 1))
    told = ", ".join(f"{history[i]['log_likelihood']:.3f} at sweep {history[i]['epoch']}" for i in some)
    return _described(figure, f"Joint log-likelihood in nats a token against the sweep: {told}.")


def _looks(names: Sequence[str], order: Sequence[str] = ()) -> dict[str, dict]:
    """Colour and marker by name, the same from figure to figure for those of ``order``."""
    every = [*order, *(name for name in names if name not in order)]
    n = len(PALETTE)  # beyond it colours come again, with other markers
    return {name: {"color": PALETTE[i % n], "marker": MARKERS[(i + i // n) % n]} for i, name in enumerate(every) if name in names}


def retrieval_scores(table, corpus: str, order: Sequence[str] = ()) -> Figure:
    """Score by direction and model, a panel a metric: a point a seed, the mean as a bar, chance dotted.

    ``table`` is a data frame with columns model, seed, direction, metric, score, chance; ``order`` lists names that keep their colours.
    """
    metrics, looks, told = list(dict.fromkeys(table["metric"])), _looks(list(dict.fromkeys(table["model"])), order), []
    bars = [table[table["metric"] == metric].groupby("direction", sort=False)["model"].nunique().sum() for metric in metrics]
    figure, panels = plt.subplots(len(metrics), 1, figsize=(WIDTH, 0.9 + 0.9 * len(metrics) + 0.2 * sum(bars)), height_ratios=bars, squeeze=False)
    for axes, metric in zip(panels[:, 0], metrics, strict=True):
        part, y, ticks = table[table["metric"] == metric], 0.0, {}
        for direction, rows in part.groupby("direction", sort=False):
            own, top = [model for model in looks if model in set(rows["model"])], y
            for model in own:
                scores, colour = rows[rows["model"] == model]["score"], looks[model]["color"]
                axes.barh(y, scores.mean(), height=0.85, color=(colour, 0.45), edgecolor=colour)
                axes.plot(scores, [y] * len(scores), "o", color=INK, markersize=3.5)
                y += 1
            chance, means = rows["chance"].mean(), rows.groupby("model")["score"].mean().sort_values(ascending=False)
            axes.plot([chance] * 2, [top - 0.5, y - 0.5], ":", color=FAINT, linewidth=2)
            told.append(f"{direction}, {metric}: {', '.join(f'{model} {mean:.3f}' for model, mean in means.items())}, chance {chance:.3f}")
            ticks[(top + y - 1) / 2] = direction
            y += 0.8
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.invert_yaxis()
        axes.set(xlabel=metric)
    panels[0, 0].set_title(f"{corpus}: retrieval by topics")
    handles = [plt.Rectangle((0, 0), 1, 1, facecolor=(look["color"], 0.45), edgecolor=look["color"], label=model) for model, look in looks.items()]
    handles.append(plt.Line2D([], [], color=FAINT, linestyle=":", linewidth=2, label="chance"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False)
    return _described(figure, f"Bars of mean retrieval scores on {corpus}, with a dot for each seed and chance dotted. {'. '.join(told)}.")


def coherence_against_diversity(table, order: Sequence[str] = ()) -> Figure:
    """Topic diversity against NPMI, a panel a corpus: colour and shape tell the model, filled or open the language.

    ``table`` is a data frame with columns corpus, model, language, NPMI, diversity; ``order`` lists names that keep their colours.
    """
    corpora, looks = list(dict.fromkeys(table["corpus"])), _looks(list(dict.fromkeys(table["model"])), order)
    figure, panels = plt.subplots(1, len(corpora), figsize=(WIDTH, 3.4), squeeze=False)
    told = []
    for axes, corpus in zip(panels[0], corpora, strict=True):
        part = table[table["corpus"] == corpus]
        languages = list(dict.fromkeys(part["language"]))
        for (model, language), rows in part.groupby(["model", "language"], sort=False):
            look = {"marker": looks[model]["marker"], "edgecolor": looks[model]["color"]}
            look["facecolor"] = (looks[model]["color"], "none", (looks[model]["color"], 0.3))[languages.index(language) % 3]
            axes.scatter(rows["NPMI"], rows["diversity"], s=36, linewidth=1.5, **look)
        faces = ", ".join(f"{face}: {language}" for face, language in zip(("filled", "open", "pale"), languages, strict=False))
        axes.set(xlabel=f"NPMI ({faces})", ylabel="topic diversity", title=corpus)
        means = part.groupby(["model", "language"], sort=False)[["NPMI", "diversity"]].mean()
        told += [f"{corpus}, {model}, {language}: NPMI {row.NPMI:.3f}, diversity {row.diversity:.2f}" for (model, language), row in means.iterrows()]
    handles = [plt.Line2D([], [], linestyle="", label=model, **look) for model, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False)
    return _described(figure, f"Topic diversity against NPMI, a panel a corpus, on scales of their own, a marker a seed. Means over seeds: {'; '.join(told)}.")


def curves(rows, x: str, label: str, paper: Sequence[Mapping] = (), line: str = "base", note: str = "", order: Sequence[str] = ()) -> Figure:
    """Score against a parameter, a panel a direction, a line a model: the mean over seeds, ± their standard deviation, a dot a seed.

    ``rows`` is a data frame with columns panel, ``line``, ``x``, score, chance; ``paper`` has ``panel``, ``base``, ``x`` and ``score``
    of points that the paper prints, which are of other data and drawn as stars. The axis of ``x`` is logarithmic. ``order`` lists all names that
    figures beside this one draw, so that each keeps its colour.
    """
    drawn, panels = list(dict.fromkeys(rows[line])), list(dict.fromkeys(rows["panel"]))
    looks, columns, told = _looks(drawn, order), min(2, len(panels)), []
    paper = [point for point in paper if point["panel"] in panels and point["base"] in looks]
    figure, grid = plt.subplots(-(-len(panels) // columns), columns, figsize=(WIDTH, 0.7 + 2.6 * -(-len(panels) // columns)), squeeze=False)
    star = {"marker": "*", "linestyle": "", "markersize": 12, "markerfacecolor": "none", "markeredgewidth": 1.5}
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        part, said = rows[rows["panel"] == panel], []
        for name, look in looks.items():
            own = part[part[line] == name]
            if len(own):
                by_x = own.groupby(x)["score"]
                mean, sd = by_x.mean(), by_x.std().fillna(0.0)
                axes.errorbar(mean.index, mean, sd, markersize=5, capsize=3, linewidth=1.6, **look)
                axes.plot(own[x], own["score"], ".", color=look["color"], markersize=3)
                said.append(f"{name} {', '.join(f'{score:.3f} at {at:g}' for at, score in mean.items())}")
            for point in (p for p in paper if (p["panel"], p["base"]) == (panel, name)):
                axes.plot(point["x"], point["score"], **star, markeredgecolor=look["color"])
        chance = part["chance"].mean()
        axes.axhline(chance, color=FAINT, linestyle=":", linewidth=1.5)
        ticks = sorted({*part[x], *(p["x"] for p in paper if p["panel"] == panel)})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set(xlabel=label, ylabel=panel.rpartition(", ")[2], title=panel.rpartition(", ")[0], ylim=(0, None))
        told.append(f"{panel}: {'; '.join(said)}; chance {chance:.3f}")
    handles = [plt.Line2D([], [], label=name, **look) for name, look in looks.items()]
    handles += [plt.Line2D([], [], color=FAINT, linestyle=":", label="chance")]
    if paper:
        handles.append(plt.Line2D([], [], **star, markeredgecolor=FAINT, label=note or "the paper's, on its own data"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False)
    starred = f" Stars: {note or 'the paper’s, on its own data'}." if paper else ""
    return _described(figure, f"Score against {label}, a panel a direction, a line a model, with standard deviations over seeds. {'. '.join(told)}.{starred}")


def topic_space(panels: Sequence[Mapping]) -> Figure:
    """Items of all views in two dimensions, a panel a model, two in a row: colour and shape tell the view, words the themes.

    A panel has ``title``, ``place`` (N, 2), ``view`` (N,), ``themes``, (x, y, words) each, and ``told``, what the alternative text says of it;
    themes that would cover one another or leave the panel are left out.
    """
    rows, told = -(-len(panels) // 2), []
    figure, grid = plt.subplots(rows, 2, figsize=(WIDTH, 0.4 + 3.3 * rows), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        views = np.asarray(panel["view"])
        for view in dict.fromkeys(views.tolist()):
            own, look = panel["place"][views == view], {"color": view_colour(view), "marker": VIEW_MARKERS.get(view, "o")}
            axes.scatter(*own.T, s=9, alpha=0.6, linewidths=0, clip_on=False, **look)
        axes.set(title=panel["title"], xticks=[], yticks=[])
        axes.grid(False)
    figure.canvas.draw()
    for axes, panel in zip(grid.flat, panels, strict=False):
        inside, taken = axes.get_window_extent(), []
        for x, y, words in panel["themes"]:
            text = axes.text(x, y, words, fontsize=SMALL, ha="center", va="center", fontweight="bold")
            text.set_path_effects([patheffects.withStroke(linewidth=3, foreground=PAPER)])
            box = text.get_window_extent().padded(4)
            outside = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
            if outside or any(box.overlaps(other) for other in taken):
                text.remove()
            else:
                taken.append(box)
        words = "; ".join(text.get_text() for text in axes.texts)
        told.append(f"{panel['title']}: {panel['told']}{words and f', themes written in: {words}'}")
    names = list(dict.fromkeys(str(view) for panel in panels for view in panel["view"]))
    looks = [{"color": view_colour(view), "marker": VIEW_MARKERS.get(view, "o"), "label": view} for view in names]
    figure.legend(handles=[plt.Line2D([], [], linestyle="", **look) for look in looks], loc="outside lower center", ncols=len(names), frameon=False)
    return _described(figure, f"Maps of {len(panels[0]['view'])} items, a colour and shape a view ({', '.join(names)}). {'. '.join(told)}.")


def cosine_histograms(aligned: Mapping[str, np.ndarray], random: Mapping[str, np.ndarray]) -> Figure:
    """For each pair of views, cosines of aligned items and of items drawn at random."""
    figure, panels = plt.subplots(1, len(aligned), figsize=(WIDTH, 2.5), squeeze=False, sharex=True)
    for axes, pair in zip(panels[0], aligned, strict=True):
        bins = np.linspace(-0.4, 1.0, 43)
        axes.hist(random[pair], bins, density=True, color=PALETTE[6], alpha=0.7, label="random pairs")
        axes.hist(aligned[pair], bins, density=True, color=PALETTE[1], alpha=0.6, label="aligned pairs")
        axes.set(title=pair, xlabel="cosine", yticks=[])
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    told = (f"{pair} {aligned[pair].mean():.2f} against {random[pair].mean():.2f}" for pair in aligned)
    return _described(figure, f"Histograms of cosines, a panel a pair of views. Means of aligned against random pairs: {'; '.join(told)}.")


def view_scatter(vectors: Mapping[str, np.ndarray]) -> Figure:
    """The items of each view on the two main axes of them all: a modality gap is a cloud apart."""
    everything = np.vstack(list(vectors.values()))
    centre = everything.mean(axis=0)
    _, _, axes_of_variation = np.linalg.svd(everything - centre, full_matrices=False)
    figure, axes = plt.subplots(figsize=(WIDTH, 4.0))
    middles = {}
    for view, x in vectors.items():
        flat = (x - centre) @ axes_of_variation[:2].T
        middles[view] = flat.mean(axis=0)
        axes.scatter(*flat.T, s=12, alpha=0.5, color=view_colour(view), marker=VIEW_MARKERS.get(view, "o"), label=view, linewidths=0)
    axes.set(xlabel="first principal axis", ylabel="second principal axis")
    axes.legend(title="view", frameon=True)
    told = ", ".join(f"{view} ({x:.2f}, {y:.2f})" for view, (x, y) in middles.items())
    return _described(figure, f"Scatter of the items of each view on the two principal axes of all. The middles of the clouds: {told}.")


def document_lengths(lengths: Mapping[str, np.ndarray], min_words: int) -> Figure:
    """How many words of the vocabulary the documents of each language have."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    top = int(np.percentile(np.concatenate(list(lengths.values())), 99)) + 1
    for name, values in lengths.items():
        axes.hist(values, bins=np.arange(0, top + 1) - 0.5, histtype="step", linewidth=2, label=name, color=view_colour(name.split()[-1]))
    axes.axvline(min_words - 0.5, color=FAINT, linestyle=":", label=f"at least {min_words}")
    axes.set(xlabel="words of the vocabulary in a document (longest 1 % not shown)", ylabel="documents", xlim=(0, top))
    axes.legend(frameon=False)
    told = ", ".join(f"{name} {np.median(values):.0f} and {values.min():.0f}" for name, values in lengths.items())
    return _described(figure, f"Histogram of document lengths in words of the vocabulary, a line a language. Median and least: {told}.")


def pictures(paths: Sequence, titles: Sequence[str], about: str = "") -> Figure:
    """Pictures in a row, each under its title; ``about`` is whose they are, for those who do not see them."""
    from .images import load_image

    figure, panels = plt.subplots(1, len(paths), figsize=(min(WIDTH, 2.0 * len(paths)), 2.3), squeeze=False)
    figure.get_layout_engine().set(wspace=0.08)
    for axes, path, title in zip(panels[0], paths, titles, strict=True):
        axes.imshow(load_image(path), interpolation="none")  # its own pixels, scaled where it is shown
        axes.set_title("\n".join(textwrap.wrap(title, max(12, 64 // len(paths)))), fontsize=SMALL)
        axes.set(xticks=[], yticks=[])  # the frame stays: collages side by side would run into one
        axes.grid(False)
    return _described(figure, f"Picture{'s in a row' if len(paths) > 1 else ''}{about and f' for “{about}”'}: {'; '.join(titles)}.")
