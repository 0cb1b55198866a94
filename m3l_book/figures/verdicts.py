"""Verdicts at a glance: how far each comparison is from being decided otherwise."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..claims.judging import Verdict
from ..tables.shared import own_direction
from .style import FAINT, GRID, PALETTE, WIDTH, described, legend_below

FARTHEST = 6.0  # a margin beyond is drawn there
LOOKS = {"yes": ("o", PALETTE[2]), "no": ("X", PALETTE[3]), "undecided": ("D", FAINT)}
MEANING = {"yes": "as the claim says", "no": "the other way", "undecided": "cannot be told"}


def margins(verdicts: Sequence[Verdict], roles: Mapping[str, Mapping[str, str]]) -> Figure:
    """Draw a row a claim, a mark a comparison: its value in half widths of its interval.

    Right of 1 it is decided for the claim, left of −1 against it, between them not at all. Only the
    corpora that count.
    """
    counted = {v.claim.id: [c for c in v.cases if c.corpus in v.by_corpus] for v in verdicts}
    counted = {claim: cases for claim, cases in counted.items() if cases}
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.26 * max(len(counted), 1)))
    sentences = []
    for row, (claim, cases) in enumerate(counted.items()):
        for case in cases:
            marker, colour = LOOKS[case.right]
            x = np.clip(case.margin, -FARTHEST, FARTHEST)
            axes.plot(x, row, marker, color=colour, markersize=5, markeredgewidth=0)
        nearest = min(cases, key=lambda case: abs(case.margin))
        where = f"{nearest.corpus} {own_direction(nearest.pair, roles[nearest.corpus])}"
        sentences.append(f"{claim}: nearest to zero {nearest.margin:.1f} on {where}.")
    for x in (-1, 0, 1):
        axes.axvline(x, color=GRID, linewidth=1, zorder=0)
    axes.set_yticks(range(len(counted)), list(counted))
    axes.set(xlim=(-FARTHEST - 0.3, FARTHEST + 0.3), ylim=(len(counted) - 0.5, -0.5))
    axes.set(xlabel=f"value in half widths of its interval, at most {FARTHEST:g}")
    looks = {MEANING[right]: {"marker": m, "color": colour} for right, (m, colour) in LOOKS.items()}
    legend_below(figure, looks, linestyle="")
    return described(
        figure,
        "Each comparison's value in half widths of its interval, a row a claim; above 1 decided for"
        f" it, below −1 against it. {' '.join(sentences)}",
    )
