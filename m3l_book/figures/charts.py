"""Figures of scores: retrieval, coherence, curves along a parameter."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .style import FAINT, INK, WIDTH, described, looks_of

if TYPE_CHECKING:
    from pandas import DataFrame

STAR = {
    "marker": "*",
    "linestyle": "",
    "markersize": 12,
    "markerfacecolor": "none",
    "markeredgewidth": 1.5,
}


def retrieval_scores(table: "DataFrame", corpus: str, order: Sequence[str] = ()) -> Figure:
    """Score by direction and model, a panel a metric: a point a seed, the mean as a bar, chance
    dotted.

    ``table`` is a data frame with columns model, seed, direction, metric, score, chance; ``order``
    lists names that keep their colours.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    looks = looks_of(list(dict.fromkeys(table["name"])), order)
    sentences = []
    bars = [
        table[table["metric"] == metric].groupby("direction", sort=False)["name"].nunique().sum()
        for metric in metrics
    ]
    figure, panels = plt.subplots(
        len(metrics),
        1,
        figsize=(WIDTH, 0.9 + 0.9 * len(metrics) + 0.2 * sum(bars)),
        height_ratios=bars,
        squeeze=False,
    )
    for axes, metric in zip(panels[:, 0], metrics, strict=True):
        part, y, ticks = table[table["metric"] == metric], 0.0, {}
        for direction, rows in part.groupby("direction", sort=False):
            own, top = [model for model in looks if model in set(rows["name"])], y
            for model in own:
                scores, colour = rows[rows["name"] == model]["score"], looks[model]["color"]
                axes.barh(y, scores.mean(), height=0.85, color=(colour, 0.45), edgecolor=colour)
                axes.plot(scores, [y] * len(scores), "o", color=INK, markersize=3.5)
                y += 1
            chance, means = (
                rows["chance"].mean(),
                rows.groupby("name")["score"].mean().sort_values(ascending=False),
            )
            axes.plot([chance] * 2, [top - 0.5, y - 0.5], ":", color=FAINT, linewidth=2)
            sentences.append(
                f"{direction}, {metric}:"
                f" {', '.join(f'{model} {mean:.3f}' for model, mean in means.items())}, chance"
                f" {chance:.3f}"
            )
            ticks[(top + y - 1) / 2] = direction
            y += 0.8
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.invert_yaxis()
        axes.set(xlabel=metric)
    panels[0, 0].set_title(f"{corpus}: retrieval by topics")
    handles = [
        plt.Rectangle(
            (0, 0), 1, 1, facecolor=(look["color"], 0.45), edgecolor=look["color"], label=model
        )
        for model, look in looks.items()
    ]
    handles.append(plt.Line2D([], [], color=FAINT, linestyle=":", linewidth=2, label="chance"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False
    )
    return described(
        figure,
        f"Bars of mean retrieval scores on {corpus}, with a dot for each seed and chance dotted."
        f" {'. '.join(sentences)}.",
    )


def coherence_against_diversity(table: "DataFrame", order: Sequence[str] = ()) -> Figure:
    """Topic diversity against NPMI, a panel a corpus: colour and shape tell the model, filled or
    open the language.

    ``table`` is a data frame with columns corpus, model, language, NPMI, diversity; ``order`` lists
    names that keep their colours.
    """
    corpora, looks = (
        list(dict.fromkeys(table["corpus"])),
        looks_of(list(dict.fromkeys(table["model"])), order),
    )
    figure, panels = plt.subplots(1, len(corpora), figsize=(WIDTH, 3.4), squeeze=False)
    means_by_name = []
    for axes, corpus in zip(panels[0], corpora, strict=True):
        part = table[table["corpus"] == corpus]
        languages = list(dict.fromkeys(part["language"]))
        for (model, language), rows in part.groupby(["model", "language"], sort=False):
            look = {"marker": looks[model]["marker"], "edgecolor": looks[model]["color"]}
            look["facecolor"] = (looks[model]["color"], "none", (looks[model]["color"], 0.3))[
                languages.index(language) % 3
            ]
            axes.scatter(rows["NPMI"], rows["diversity"], s=36, linewidth=1.5, **look)
        faces = ", ".join(
            f"{face}: {language}"
            for face, language in zip(("filled", "open", "pale"), languages, strict=False)
        )
        axes.set(xlabel=f"NPMI ({faces})", ylabel="topic diversity", title=corpus)
        means = part.groupby(["model", "language"], sort=False)[["NPMI", "diversity"]].mean()
        means_by_name += [
            f"{corpus}, {model}, {language}: NPMI {row.NPMI:.3f}, diversity {row.diversity:.2f}"
            for (model, language), row in means.iterrows()
        ]
    handles = [
        plt.Line2D([], [], linestyle="", label=model, **look) for model, look in looks.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False
    )
    return described(
        figure,
        "Topic diversity against NPMI, a panel a corpus, on scales of their own, a marker a seed."
        f" Means over seeds: {'; '.join(means_by_name)}.",
    )


def curves(
    rows: "DataFrame",
    x: str,
    label: str,
    paper: Sequence[Mapping] = (),
    line: str = "model",
    note: str = "",
    order: Sequence[str] = (),
) -> Figure:
    """Score against a parameter, a panel a direction, a line a model: the mean over seeds, ± their
    standard deviation, a dot a seed.

    ``rows`` is a data frame with columns panel, ``line``, ``x``, score, chance. ``paper`` has
    ``panel``, ``line``, ``x`` and ``score`` of points that the paper prints, which are of other
    data: stars on a scale of their own beside the panel. The axis of ``x`` is logarithmic.
    ``order`` lists all names that figures beside this one draw, so that each keeps its colour.
    """
    panels = list(dict.fromkeys(rows["panel"]))
    looks = looks_of(list(dict.fromkeys(rows[line])), order)
    paper = [point for point in paper if point["panel"] in panels and point[line] in looks]
    columns = min(2, len(panels))
    height = 0.9 + 2.6 * -(-len(panels) // columns)
    shape = -(-len(panels) // columns), columns
    figure, grid = plt.subplots(*shape, figsize=(WIDTH, height), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    described_panels = []
    for axes, panel in zip(grid.flat, panels, strict=False):
        stars = [point for point in paper if point["panel"] == panel]
        words = _panel_of_curves(axes, rows[rows["panel"] == panel], x, line, looks)
        described_panels.append(f"{panel}: {words}{_paper_scale(axes, line, looks, stars)}")
        direction, _, metric = panel.rpartition(", ")
        axes.set(xlabel=label, ylabel=metric, title=direction, ylim=(0, None))
    note = note or "the paper's, on its own data"
    handles = [plt.Line2D([], [], label=name, **look) for name, look in looks.items()]
    handles += [plt.Line2D([], [], color=FAINT, linestyle=":", label="chance")]
    if paper:
        handles.append(plt.Line2D([], [], **STAR, markeredgecolor=FAINT, label=note))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False
    )
    starred = f" Stars, on scales of their own: {note}." if paper else ""
    return described(
        figure,
        f"Score against {label}, a panel a direction, a line a model, with standard deviations over"
        f" seeds. {'. '.join(described_panels)}.{starred}",
    )


def _panel_of_curves(axes, rows, x: str, line: str, looks: Mapping) -> str:
    """Draw one panel of `curves`; returns it in words."""
    sentences = []
    for name, look in looks.items():
        own = rows[rows[line] == name]
        if len(own):
            by_x = own.groupby(x)["score"]
            mean, sd = by_x.mean(), by_x.std().fillna(0.0)
            axes.errorbar(mean.index, mean, sd, markersize=5, capsize=3, linewidth=1.6, **look)
            axes.plot(own[x], own["score"], ".", color=look["color"], markersize=3)
            points = ", ".join(f"{score:.3f} at {at:g}" for at, score in mean.items())
            sentences.append(f"{name} {points}")
    chance = rows["chance"].mean()
    axes.axhline(chance, color=FAINT, linestyle=":", linewidth=1.5)
    ticks = sorted(set(rows[x]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    return f"{'; '.join(sentences)}; chance {chance:.3f}"


def _paper_scale(axes, line: str, looks: Mapping, stars: Sequence) -> str:
    """The paper's points beside a panel, on a scale of their own; returns them in words."""
    if not stars:
        return ""
    beside = axes.inset_axes([1.06, 0, 0.09, 1])
    for place, star in enumerate(stars):
        beside.plot(place, star["score"], **STAR, markeredgecolor=looks[star[line]]["color"])
    beside.set_xlim(-0.8, len(stars) - 0.2)
    beside.set_ylim(0, 1.15 * max(star["score"] for star in stars))
    beside.set_xticks([])
    beside.yaxis.tick_right()
    beside.set_title("paper", fontsize=9)
    words = [f"{star[line]} {star['score']:.3f}" for star in stars]
    return f"; the paper's: {', '.join(words)}"
