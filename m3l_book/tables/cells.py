"""What the cells of tables hold."""

from collections.abc import Mapping

import numpy as np

from m3l.metrics.uncertainty import interval_of_mean


def shorten(text: str | None, n: int = 60) -> str:
    """The text cut at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def spread(values: np.ndarray, digits: int = 3) -> str:
    """Mean ± standard deviation of one value a seed, as tables show them; "–" of nothing."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}"


def score_cell(
    values: np.ndarray,
    paper: float | None = None,
    articles: np.ndarray | None = None,
    recorded: float | None = None,
) -> str:
    """A cell of the paper's tables, as HTML, from each seed's value of each measurement (S, N).

    `spread` over seeds; with ``articles`` (N,) that they are of, the 95 % interval over articles
    and seeds; the recorded number and the paper's, if there are any.
    """
    mean, sign, deviation = spread(values.mean(axis=1)).partition(" ± ")
    lines = [f"<b>{mean}</b>{sign}{deviation}"]
    interval = None if articles is None else interval_of_mean(values, articles)
    if interval is not None:
        lines.append(f"{interval[0]:.3f} – {interval[1]:.3f}")
    if recorded is not None:
        lines.append(f"recorded {recorded:.3f}")
    if paper is not None:
        lines.append(f"<i>paper {paper:.3f}</i>")
    return "<br>".join(lines)


def own_direction(pair: str, role: Mapping[str, str]) -> str:
    """A pair in the paper's terms with a corpus's own view names: ``en-de`` -> ``en → fr``."""
    view = {part: name for name, part in role.items()}
    return " → ".join(view[part] for part in pair.split("-"))
