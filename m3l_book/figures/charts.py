"""Figures of scores: retrieval, coherence, curves along a parameter, and the main results."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import FAINT, INK, MODELS, WIDTH, described, legend_below, looks_of, panels

if TYPE_CHECKING:
    from pandas import DataFrame

DOTTED = {"color": FAINT, "linestyle": ":"}
DASHED = {"color": FAINT, "linestyle": "--"}
STAR = {"marker": "*", "linestyle": "", "markersize": 12}
STAR |= {"markerfacecolor": "none", "markeredgewidth": 1.5}


HATCHES = ("", "///", "...")
"""What tells bars of one colour apart."""


def sorted_by_model(names: Iterable[str]) -> list[str]:
    """Sort names by the model of the paper that they begin with, others last."""
    models = list(MODELS)

    def place(name: str) -> int:
        return max((i for i, m in enumerate(models) if name.startswith(m)), default=len(models))

    return sorted(names, key=place)


def _bar(colour: str, hatch: str) -> dict:
    # SVG knows no hatching over a colour that is half seen through
    return {"facecolor": "none" if hatch else (colour, 0.45), "edgecolor": colour, "hatch": hatch}


def retrieval_scores(
    table: "DataFrame", corpus: str, raw: Mapping[str, float] | None = None
) -> Figure:
    """Draw scores by direction and model, a panel per metric: a point per seed, the mean as a bar,
    chance dotted, the score of ``raw`` embeddings by direction dashed.

    ``table`` has columns name, direction, metric, score, chance.
    """
    raw = raw or {}
    looks = looks_of(sorted_by_model(dict.fromkeys(table["name"])))
    colours = [look["color"] for look in looks.values()]  # variants have their model's
    hatches = {name: HATCHES[colours[:i].count(colours[i]) % 3] for i, name in enumerate(looks)}
    by_metric = dict(list(table.groupby("metric", sort=False)))
    bars = [part.groupby("direction")["name"].nunique().sum() for part in by_metric.values()]
    size = WIDTH, 0.9 + 0.9 * len(bars) + 0.2 * sum(bars)
    figure, grid = plt.subplots(len(bars), 1, figsize=size, height_ratios=bars, squeeze=False)
    sentences = []
    for axes, (metric, part) in zip(grid[:, 0], by_metric.items(), strict=True):
        y, ticks = 0.0, {}
        for direction, rows in part.groupby("direction", sort=False):
            scores, top = rows.groupby("name")["score"], y
            for model in (model for model in looks if model in scores.groups):
                own, colour = scores.get_group(model), looks[model]["color"]
                axes.barh(y, own.mean(), height=0.85, **_bar(colour, hatches[model]))
                axes.plot(own, [y] * len(own), "o", color=INK, markersize=3.5)
                y += 1
            chance = rows["chance"].mean()
            axes.plot([chance] * 2, [top - 0.5, y - 0.5], linewidth=2, **DOTTED)
            means = scores.mean().sort_values(ascending=False).items()
            said = ", ".join(f"{model} {mean:.3f}" for model, mean in means)
            if direction in raw:
                axes.plot([raw[direction]] * 2, [top - 0.5, y - 0.5], **DASHED)
                said += f", raw embeddings {raw[direction]:.3f}"
            sentences.append(f"{direction}, {metric}: {said}, chance {chance:.3f}")
            ticks[(top + y - 1) / 2] = direction
            y += 0.8
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.invert_yaxis()
        axes.set(xlabel=metric)
    grid[0, 0].set_title(f"{corpus}: retrieval by topics")
    handles = [
        plt.Rectangle((0, 0), 1, 1, **_bar(c, hatch), label=model)
        for (model, hatch), c in zip(hatches.items(), colours, strict=True)
    ]
    handles.append(plt.Line2D([], [], linewidth=2, label="chance", **DOTTED))
    if drawn := set(raw) & set(table["direction"]):
        handles.append(plt.Line2D([], [], label="raw embeddings", **DASHED))
    columns = min(3, len(handles))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return described(
        figure,
        f"Bars of mean retrieval scores on {corpus}, with a dot for each seed, chance dotted"
        f"{' and raw embeddings dashed' if drawn else ''}. {'. '.join(sentences)}.",
    )


def coherence_against_diversity(table: "DataFrame") -> Figure:
    """Draw topic diversity against NPMI, a panel per corpus: colour and shape tell the model,
    filled or open the language.

    ``table`` has columns corpus, model, language, NPMI, diversity.
    """
    looks = looks_of(sorted_by_model(dict.fromkeys(table["model"])))
    by_corpus = dict(list(table.groupby("corpus", sort=False)))
    figure, grid = panels(len(by_corpus), len(by_corpus), 3.4)
    sentences = []
    for axes, (corpus, part) in zip(grid, by_corpus.items(), strict=True):
        languages = list(dict.fromkeys(part["language"]))
        for (model, language), rows in part.groupby(["model", "language"], sort=False):
            colour = looks[model]["color"]
            face = (colour, "none", (colour, 0.3))[languages.index(language) % 3]
            look = {"facecolor": face, "edgecolor": colour, "marker": looks[model]["marker"]}
            axes.scatter(rows["NPMI"], rows["diversity"], s=36, linewidth=1.5, **look)
            mean = rows[["NPMI", "diversity"]].mean()
            said = f"NPMI {mean['NPMI']:.3f}, diversity {mean['diversity']:.2f}"
            sentences.append(f"{corpus}, {model}, {language}: {said}")
        faces = zip(("filled", "open", "pale"), languages, strict=False)
        said = ", ".join(f"{face}: {language}" for face, language in faces)
        axes.set(xlabel=f"NPMI ({said})", ylabel="topic diversity", title=corpus)
    legend_below(figure, looks, linestyle="")
    return described(
        figure,
        "Topic diversity against NPMI, a panel per corpus, on scales of their own, a marker a seed."
        f" Means over seeds: {'; '.join(sentences)}.",
    )


def curves(
    rows: "DataFrame",
    x: str,
    label: str,
    paper: Sequence[Mapping] = (),
    line: str = "model",
    note: str = "",
) -> Figure:
    """Draw scores against a parameter, a panel per direction, a line per model: the mean over
    seeds, ± their standard deviation, a dot per seed.

    ``rows`` has columns panel, ``line``, ``x``, score, chance. ``paper`` has ``panel``, ``line``,
    ``x`` and ``score`` of points that the paper prints, which are of other data: stars on a scale
    of their own beside the panel. The axis of ``x`` is logarithmic.
    """
    by_panel = dict(list(rows.groupby("panel", sort=False)))
    looks = looks_of(sorted_by_model(dict.fromkeys(rows[line])))
    paper = [point for point in paper if point["panel"] in by_panel and point[line] in looks]
    figure, grid = panels(len(by_panel), min(2, len(by_panel)), 2.6, 0.9)
    sentences = []
    for axes, (panel, part) in zip(grid, by_panel.items(), strict=True):
        stars = [point for point in paper if point["panel"] == panel]
        said = _panel_of_curves(axes, part, x, line, looks)
        sentences.append(f"{panel}: {said}{_paper_scale(axes, line, looks, stars)}")
        direction, _, metric = panel.rpartition(", ")
        axes.set(xlabel=label, ylabel=metric, title=direction, ylim=(0, None))
    note = note or "the paper's, on its own data"
    of_paper = {note: STAR | {"markeredgecolor": FAINT}} if paper else {}
    legend_below(figure, looks | {"chance": DOTTED} | of_paper)
    starred = f" Stars, on scales of their own: {note}." if paper else ""
    return described(
        figure,
        f"Score against {label}, a panel per direction, a line per model, with standard deviations"
        f" over seeds. {'. '.join(sentences)}.{starred}",
    )


def _panel_of_curves(axes: Axes, rows: "DataFrame", x: str, line: str, looks: Mapping) -> str:
    """Draw one panel of `curves`; returns it in words."""
    sentences = []
    for name in (name for name in looks if name in set(rows[line])):
        own, look = rows[rows[line] == name], looks[name]
        by_x = own.groupby(x)["score"]
        mean, sd = by_x.mean(), by_x.std().fillna(0.0)
        axes.errorbar(mean.index, mean, sd, markersize=5, capsize=3, linewidth=1.6, **look)
        axes.plot(own[x], own["score"], ".", color=look["color"], markersize=3)
        points = ", ".join(f"{score:.3f} at {at:g}" for at, score in mean.items())
        sentences.append(f"{name} {points}")
    chance, ticks = rows["chance"].mean(), sorted(set(rows[x]))
    axes.axhline(chance, linewidth=1.5, **DOTTED)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    return f"{'; '.join(sentences)}; chance {chance:.3f}"


def _paper_scale(axes: Axes, line: str, looks: Mapping, stars: Sequence[Mapping]) -> str:
    """Draw the paper's points beside a panel, on a scale of their own; returns them in words."""
    if not stars:
        return ""
    beside = axes.inset_axes([1.06, 0, 0.09, 1])
    for place, star in enumerate(stars):
        beside.plot(place, star["score"], **STAR, markeredgecolor=looks[star[line]]["color"])
    most = max(star["score"] for star in stars)
    beside.set(xlim=(-0.8, len(stars) - 0.2), ylim=(0, 1.15 * most), xticks=[])
    beside.yaxis.tick_right()
    beside.set_title("paper", fontsize=9)
    said = ", ".join(f"{star[line]} {star['score']:.3f}" for star in stars)
    return f"; the paper's: {said}"


def main_results(rows: "DataFrame") -> Figure:
    """Draw the means of models with their intervals, and beside them what the paper prints.

    ``rows`` has columns panel, source ("the paper" or another), model, value, low, high (NaN where
    nothing is known of an interval), and ``chance``, what a random order scores, or NaN.
    """
    models = sorted_by_model(dict.fromkeys(rows["model"]))
    looks = looks_of(models)
    parts = list(rows.groupby(["panel", "source"], sort=False))
    figure, grid = panels(len(parts), len(parts), 0.9 + 0.36 * len(models), sharey=True)
    sentences = []
    for axes, ((panel, source), part) in zip(grid, parts, strict=True):
        for row in part.itertuples():
            y, colour = models.index(row.model), looks[row.model]["color"]
            axes.plot([row.low, row.high], [y, y], color=colour, linewidth=2.2)
            mark = {"marker": looks[row.model]["marker"], "markersize": 7}
            mark = STAR | {"markeredgecolor": colour} if source == "the paper" else mark
            axes.plot(row.value, y, color=colour, **mark)
            place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{row.value:.3f}", (row.value, y), **place, fontsize=9)
        if part["chance"].notna().any():
            axes.axvline(part["chance"].max(), linewidth=1.5, **DOTTED)
        most = np.nanmax([*part["high"], *part["value"]])
        axes.set(xlim=(0, 1.35 * most), ylim=(len(models) - 0.5, -0.7))
        axes.set_title(f"{panel}\n{source}", fontsize=10)
        axes.locator_params(axis="x", nbins=3)
        axes.set_yticks(range(len(models)), models)
        said = ", ".join(f"{row.model} {row.value:.3f}" for row in part.itertuples())
        sentences.append(f"{panel}, {source}: {said}")
    return described(figure, f"Means of models with 95 % intervals. {'. '.join(sentences)}.")
