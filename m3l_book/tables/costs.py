"""How fast training is, as the chapter on training shows it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .shared import styled

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


def styled_speed(speed: Mapping) -> "Styler":
    """Show what each step gave: tuples a second of a model of three views, and the ratio to the
    first. ``speed`` is what benchmarks/bench.py wrote.
    """
    import pandas as pd

    rows = pd.DataFrame(speed["rows"])
    rows = rows[rows["views"] == 3]
    table = rows[["what", "cores"]].rename(columns={"what": ""})
    table["tuples a second"] = rows["tuples_per_second"]
    table["ratio"] = rows["tuples_per_second"] / rows["tuples_per_second"].iloc[0]
    return styled(table).format({"tuples a second": "{:,.0f}", "ratio": "{:.1f}"})
