"""What the cells of tables hold."""

from collections.abc import Mapping

import numpy as np

from m3l.metrics.uncertainty import bootstrap


def shorten(text: str | None, n: int = 60) -> str:
    """The text cut at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def spread(values: np.ndarray, digits: int = 3) -> str:
    """Mean ± standard deviation of one value a seed, as tables show them; "–" of nothing."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    return f"{values.mean():.{digits}f}" + (
        f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    )


def score_cell(values: np.ndarray, paper: float | None = None, draws: int = 0) -> str:
    """A cell of the paper's tables, from each seed's value of each unit (S, N): `spread` over
    seeds, with ``draws`` the 95 % bootstrap interval
    over units, and the paper's number if there is one; HTML."""
    lines = ["<b>{}</b>{}{}".format(*spread(values.mean(axis=1)).partition(" ± "))]
    if draws:
        lines.append("{:.3f} – {:.3f}".format(*bootstrap(values.mean(axis=0), draws=draws)))
    return "<br>".join(lines + ([f"<i>paper {paper:.3f}</i>"] if paper is not None else []))


def spoken(pair: str, role: Mapping[str, str]) -> str:
    """A pair in the paper's terms with a corpus's own view names: ``en-de`` -> ``en → fr``."""
    name = {r: view for view, r in role.items()}
    return " → ".join(name[part] for part in pair.split("-"))


def short(model: str) -> str:
    """A model's name as a crowded cell has it."""
    return (
        model.replace("ZeroshotTM-KD", "KD")
        .replace("ZeroshotTM", "Zeroshot")
        .replace("M3L-Contrast, ", "")
        .replace("M3L-Contrast", "M3L")
        .replace("raw embeddings", "raw")
        .replace("multilingual texts, ", "")
    )
