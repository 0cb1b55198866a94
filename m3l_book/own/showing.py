"""What the pages of a user's own book show: her topics as cards, which model fits, what is found.

Every text of the corpus goes through `m3l_book.shown`.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from m3l.errors import DataError, require
from m3l.trained import top_documents

from ..data.schema import PICTURES
from ..measured import contender_of
from ..pages.explorer import thumbnails
from ..records.run import Run
from ..records.selection import home_of
from ..shown import as_html
from ..tables.shared import shares, topic_faults
from .learnt import Learnt

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_GROUPS = 24
"""Bars of a sparkline; a column of more values is cut into ranges."""


def joint_runs(runs: Sequence[Run]) -> "DataFrame":
    """Rank the models whose topics have words in every language: a row per model, variant and
    number of topics, those that read most views first, and of these the best.

    Columns: ``model``, ``topics``, ``views`` (how many it reads), ``score`` (mean over directions,
    of the validation part; between languages if there are two), ``seeds`` and ``run`` (that of the
    first seed). Runs of fewer articles, for a curve, are left out. `DataError` if there is none.
    """
    import pandas as pd

    rows = [
        {"model": str(contender_of(run.params)), "topics": run.params["topics"]}
        | {"views": len(run.theta), "score": validation_score(run)}
        | {"seed": run.params["seed"], "run": run, "base": run.folder.name.rpartition("-s")[0]}
        for run in runs
        if not home_of(run) and len(run.params["train_views"]) > 1
        if "articles" not in run.params.get("variant", {})
    ]
    require(len(rows) > 0, "no model that reads several views is there", DataError)
    of = ["model", "topics", "views", "base"]  # of other epochs it is another model
    groups = pd.DataFrame(rows).sort_values("seed").groupby(of, sort=False)
    table = groups.agg(score=("score", "mean"), seeds=("seed", "size"), run=("run", "first"))
    order = {"by": ["views", "score"], "ascending": False, "ignore_index": True}
    return table.reset_index().drop(columns="base").sort_values(**order)


def validation_score(run: Run) -> float:
    """Compute the mean score of a run over the directions of the validation part between languages,
    or, of a corpus of one language, over all; NaN without a validation part.
    """
    rows = run.metrics.get("validation", [])
    texts = [row["score"] for row in rows if PICTURES not in (row["query"], row["item"])]
    return float(np.mean(texts or [row["score"] for row in rows] or [np.nan]))


def order_of_topics(run: Run, names: Sequence[str] = ()) -> tuple[list[int], dict[int, str]]:
    """Sort topics by their share, largest first, and those that are junk last; say why they are."""
    rows = topic_faults(run, names)
    junk = {row["topic"]: row["junk"] for row in rows if row["junk"]}
    order = sorted(rows, key=lambda row: (bool(row["junk"]), -row["share"]))
    return [row["topic"] for row in order], junk


def cards(
    learnt: Learnt,
    topics: Sequence[int],
    assets: str | Path,
    over: "Series | None" = None,
) -> str:
    """Show topics as cards, as HTML: name, share, words by language, typical documents, pictures.

    ``assets`` is the page's folder of thumbnails; ``over`` a value by article, over which each
    topic's share is drawn. Links lead to the topic browser of the run.
    """
    best = {v: top_documents(theta, 3) for v, theta in learnt.placed.items()}
    small, folder = {}, Path(assets) / f"own-{learnt.run.folder.name}"
    if PICTURES in best:
        names = learnt.items(PICTURES)["picture"]
        shown = [str(names[i]) for k in topics for i in best[PICTURES][k]]
        small = thumbnails(learnt.prepared, shown, folder, side=96)
    drawn = {} if over is None else sparklines(learnt, over)
    share = shares(learnt.placed)
    largest = np.concatenate([theta.argmax(axis=1) for theta in learnt.placed.values()])
    main = np.bincount(largest, minlength=len(share))
    tables = {view: learnt.items(view) for view in best}
    made = []
    for k in topics:
        page = f"topics/{quote(learnt.run.folder.name)}/index.html"
        head = f'<h3><a href="{page}#/topic/{k}">{as_html(learnt.names[k])}</a></h3>'
        facts = f"{share[k]:.1%} of all, main topic of {main[k]:,} documents and pictures"
        parts = [head, _words(learnt, k), f'<p class="faint">{facts}</p>', drawn.get(k, "")]
        for view, items in best.items():
            links = [_item(page, view, i, tables[view], small, folder) for i in items[k]]
            parts.append(f'<ul class="{"pictures" if view == PICTURES else "documents"}">')
            parts += [*links, "</ul>"]
        made.append(f'<article class="own-topic">{"".join(parts)}</article>')
    return f'<div class="own-topics">{"".join(made)}</div>'


def _words(learnt: Learnt, topic: int) -> str:
    lines = [
        f'<p lang="{as_html(language)}"><b>{as_html(language)}</b> {as_html(", ".join(words))}</p>'
        for language, words in learnt.words(topic, 8).items()
    ]
    return "".join(lines)


def _item(
    page: str, view: str, i: int, table: "DataFrame", small: Mapping[str, str], folder: Path
) -> str:
    name, said = as_html(table["name"][i]), escape(table["name"][i])
    link = f"{page}#/item/{quote(view)}/{i}"
    if view == PICTURES:
        file = f"assets/{quote(folder.name)}/{small[str(table['picture'][i])]}"
        return f'<li><a href="{link}"><img src="{file}" alt="{said}" loading="lazy"></a></li>'
    return f'<li lang="{as_html(view)}"><a href="{link}">{name}</a></li>'


# a topic's share over a column of the user's


def groups_of(values: "Series") -> "Series":
    """Put values of a column into groups: as they are, the `MOST_GROUPS` most common; dates by
    year, or by month within two years; many numbers by where one of twelve ranges begins.
    """
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(values):
        numbers = pd.to_numeric(values, errors="coerce")
        if len(numbers) and np.isfinite(numbers).all():
            if numbers.nunique() <= MOST_GROUPS:
                return numbers
            starts = np.linspace(numbers.min(), numbers.max(), 12, endpoint=False)
            if (numbers % 1 == 0).all():  # such as years
                starts = np.floor(starts).astype(int)
            own = starts[np.searchsorted(starts, numbers, side="right") - 1]
            return pd.Series(own, numbers.index)
    texts = values.astype(str)
    like_dates = texts.str.contains(r"(?<!\d)[12]\d{3}(?!\d)")
    if like_dates.mean() > 0.9:
        texts = texts[like_dates]
        first = texts.str.contains(r"^\d{1,2}\.").any()  # the day, where dots divide
        how = {"errors": "coerce", "format": "mixed", "dayfirst": bool(first), "utc": True}
        dates = pd.to_datetime(texts, **how).dropna()
        if len(dates) > 0.9 * len(texts):
            years = dates.dt.year.nunique()
            return dates.dt.strftime("%Y-%m") if years <= 2 else dates.dt.year
        texts = values.astype(str)
    common = texts.value_counts().index[:MOST_GROUPS]
    return texts[texts.isin(common)]


def sparklines(learnt: Learnt, over: "Series") -> dict[int, str]:
    """Draw the mean share of each topic over the groups of a column, by article, as SVG.

    Each topic is drawn on a scale of its own, from 0. None is drawn of a column that has no value.
    """
    import pandas as pd

    groups = groups_of(over)
    if not len(groups):
        return {}
    frames = [
        pd.DataFrame(theta).assign(group=learnt.items(view)["article"].map(groups))
        for view, theta in learnt.placed.items()
        if view != PICTURES
    ]
    means = pd.concat(frames).groupby("group").mean()
    require(len(means) > 0, "the column names no group of a document", DataError)
    return {k: _bars(means[k], str(over.name)) for k in means}


def _bars(means: "Series", column: str) -> str:
    """Draw one row of bars with what it says in words."""
    wide, tall, top = 240, 36, max(float(means.max()), 1e-12)
    step = wide / len(means)
    labels = [_label(group) for group in means.index]
    bars = "".join(
        f'<rect x="{n * step + 0.5:.1f}" y="{tall * (1 - share / top):.1f}"'
        f' width="{max(step - 1, 1):.1f}" height="{tall * share / top:.1f}">'
        f"<title>{as_html(label)}: {share:.1%}</title></rect>"
        for n, (label, share) in enumerate(zip(labels, means, strict=True))
    )
    most = labels[int(np.argmax(means.to_numpy()))]
    said = f"share by {column}, {labels[0]} to {labels[-1]}; largest, {top:.1%}, at {most}"
    box = f'viewBox="0 0 {wide} {tall}"'
    return (
        f'<svg class="sparkline" role="img" {box} aria-label="{escape(said)}">'
        f'{bars}</svg><p class="faint">{as_html(said)}</p>'
    )


def _label(group: object) -> str:
    return f"{group:g}" if isinstance(group, (int, float, np.number)) else str(group)


# what is found


def found_first(run: Run) -> "DataFrame":
    """Count, of the test part, how often the right item is found first: a row per direction.

    Columns ``query``, ``item``, ``queries``, ``first`` (the share of queries whose own partner, or
    all of whose partners, stand before all others) and ``chance`` (of a partner drawn at random).
    """
    import pandas as pd

    rows = []
    for row in run.metrics["scores"]:
        values, items = np.asarray(row["values"]), len(run.theta[row["item"]])
        about = {"query": row["query"], "item": row["item"], "queries": len(values)}
        rows.append(about | {"first": float((values >= 1).mean()), "chance": 1 / items})
    return pd.DataFrame(rows)


def in_words(row: Mapping) -> str:
    """Say a row of `found_first` in a sentence, as HTML."""
    query = "pictures" if row["query"] == PICTURES else f"{spoken(row['query'])} documents"
    item = "picture" if row["item"] == PICTURES else f"{spoken(row['item'])} partner"
    first, chance = 100 * row["first"], 100 * row["chance"]
    found = f"the {as_html(item)} is found first for {first:.0f}; by chance for {chance:.1g}"
    return f"Of 100 {as_html(query)}, {found}."


def spoken(code: str) -> str:
    """Return the English name of a language of this code, or the code itself."""
    from babel import Locale

    names = Locale("en").languages
    return names.get(code.replace("-", "_"), names.get(re.split(r"[-_]", code)[0], code))
