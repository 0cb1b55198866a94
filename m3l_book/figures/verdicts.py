"""Verdicts at a glance: how far each comparison is from being decided otherwise."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..claims.judging import Case, Verdict
from ..tables.shared import own_direction
from .style import FAINT, GRID, PALETTE, WIDTH, described

FARTHEST = 6.0  # a margin beyond is drawn there
LOOKS = {"yes": ("o", PALETTE[2]), "no": ("X", PALETTE[3]), "undecided": ("D", FAINT)}
MEANING = {"yes": "as the claim says", "no": "the other way", "undecided": "cannot be told"}


def margins(verdicts: Sequence[Verdict], roles: Mapping[str, Mapping[str, str]]) -> Figure:
    """A row a claim, a mark a comparison: its value in half widths of its interval.

    Right of 1 it is decided for the claim, left of −1 against it, between them not at all. Only the
    corpora that count.
    """
    shown = [(v, [case for case in v.cases if case.corpus in v.by_corpus]) for v in verdicts]
    shown = [(v, cases) for v, cases in shown if cases]
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.26 * max(len(shown), 1)))
    for row, (_, cases) in enumerate(shown):
        for case in cases:
            marker, colour = LOOKS[case.right]
            x = float(np.clip(case.margin, -FARTHEST, FARTHEST))
            axes.plot(x, row, marker, color=colour, markersize=5, markeredgewidth=0)
    for x in (-1, 0, 1):
        axes.axvline(x, color=GRID, linewidth=1, zorder=0)
    axes.set_yticks(range(len(shown)), [v.claim.id for v, _ in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-FARTHEST - 0.3, FARTHEST + 0.3)
    axes.set(xlabel=f"value in half widths of its interval, at most {FARTHEST:g}")
    handles = [
        plt.Line2D([], [], linestyle="", marker=marker, color=colour, label=MEANING[right])
        for right, (marker, colour) in LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    words = [_in_words(v, cases, roles) for v, cases in shown]
    return described(
        figure,
        "Each comparison's value in half widths of its interval, a row a claim; above 1 decided for"
        f" it, below −1 against it. {' '.join(words)}",
    )


def _in_words(
    verdict: Verdict, cases: Sequence[Case], roles: Mapping[str, Mapping[str, str]]
) -> str:
    nearest = min(cases, key=lambda case: abs(case.margin))
    where = own_direction(nearest.pair, roles[nearest.corpus])
    return f"{verdict.claim.id}: nearest to zero {nearest.margin:.1f} on {nearest.corpus} {where}."
