"""What tables of several chapters and pages have in common: how a cell is written, a run's scores,
its topics, and what is wrong with them.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.uncertainty import interval_of_mean

from ..data.prepared import read_tuples
from ..records.run import Run
from ..shown import as_html, as_markdown

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def styled(
    frame: "DataFrame", markup: bool | Collection[str] = (), index: bool = False
) -> "Styler":
    """Make a frame ready to be shown, its texts as themselves.

    ``markup`` names the columns whose cells are HTML made here; with True, heads and index are too.
    Whatever of a corpus is in them must have gone through `m3l_book.shown.as_html`. ``index`` says
    whether the index is shown.
    """
    shown = frame.copy()
    if markup is not True:
        for place, column in enumerate(frame.columns):
            if column not in markup:
                cells = frame.iloc[:, place]
                texts = [as_html(v) if isinstance(v, str) else v for v in cells]
                if any(isinstance(v, str) for v in cells):
                    shown.isetitem(place, texts)
        shown = shown.rename(columns=lambda name: as_html(name) if isinstance(name, str) else name)
        if index and frame.index.nlevels == 1:
            shown.index = [as_html(i) if isinstance(i, str) else i for i in frame.index]
    return shown.style if index else shown.style.hide(axis="index")


def shorten(text: str | None, n: int = 60) -> str:
    """Cut a text at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def names_of(rows: "DataFrame", language: str) -> list[str]:
    """Return what each row's article is called in a language: its title; or where only another
    language has one, how its text begins; or, without a text, that title; or its id.

    ``rows`` are of a prepared corpus's tuples.
    """
    own, text = f"{language}_title", f"{language}_text"
    others = [c for c in rows if c.endswith("_title") and c != own]
    names = []
    for row in rows[[c for c in (own, text, *others, "article_id") if c in rows]].to_dict(
        "records"
    ):
        titles = [str(row[c]) for c in others if _there(row[c])]
        if _there(row.get(own)):
            names.append(str(row[own]))
        elif titles and _there(row.get(text)):
            names.append(shorten(row[text]))
        else:
            names.append(str([*titles, row["article_id"]][0]))
    return names


def _there(value: object) -> bool:
    return value is not None and value == value


def titles(folder: str | Path, test: Corpus) -> dict[str, dict[str, str]]:
    """Return what each article of a prepared corpus is called: language -> article id -> name."""
    frame = read_tuples(folder)
    columns = [name for name in frame if name.endswith(("_title", "_text"))]
    # of an article in several rows the first title that there is
    frame = frame.groupby("article_id", sort=False)[columns].first().reset_index()
    articles = frame["article_id"].astype(str)
    return {
        language: dict(zip(articles, names_of(frame, language), strict=True))
        for language in test.text_views
    }


def own_direction(pair: str, role: Mapping[str, str]) -> str:
    """Write a pair of the paper with a corpus's own view names: ``en-de`` -> ``en → fr``."""
    view = {part: name for name, part in role.items()}
    return " → ".join(view[part] for part in pair.split("-"))


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Write mean ± standard deviation of one value per seed; "–" if there is none."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}"


def score_cell(values: np.ndarray, articles: np.ndarray | None = None) -> str:
    """Write the mean of each seed's values (S, N), as HTML; with ``articles`` (N,) that the values
    are of, the 95 % interval over articles and seeds below it.
    """
    interval = None if articles is None else interval_of_mean(values, articles)
    mean = f"<b>{values.mean(axis=1).mean():.3f}</b>"
    return mean if interval is None else f"{mean}<br>{interval[0]:.3f}–{interval[1]:.3f}"


def score_table(rows: Sequence[Mapping]) -> "Styler":
    """Show one run's scores, of which ``rows`` are `m3l.metrics.assessment.evaluate`'s."""
    import pandas as pd

    lines = [
        {
            "from → to": f"{row['query']} → {row['item']}",
            "metric": row["metric"],
            "score": row["score"],
            "95 % interval": ""
            if row["low"] is None  # of one article
            else f"{row['low']:.3f} – {row['high']:.3f}",
            "chance": row["chance"],
            "JSD (nats)": row["jsd"],
        }
        for row in rows
    ]
    return styled(pd.DataFrame(lines)).format(precision=3)


def quality_line(measured: Mapping) -> str:
    """Write coherence, diversity and recovery of one run's metrics as a sentence of Markdown."""
    recovery = "mean correlation of the known topics with topics matched one to one"
    parts = [("NPMI", "npmi", 3), ("diversity", "diversity", 2), (recovery, "recovery", 2)]
    texts = []
    for what, key, digits in parts:
        values = (f"{as_markdown(v)} {value:.{digits}f}" for v, value in measured[key].items())
        if measured[key]:
            texts.append(f"{what} {', '.join(values)}")
    if texts:
        return f"{'; '.join(texts)}."
    return "A student without words has no topics of its own: it uses its teacher's."


def shares(theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute the mean share of each topic over the views: (K,); ``theta`` has (M, K) a view, which
    does not count where M is 0, as in a small test part without a picture.
    """
    return np.mean([values.mean(axis=0) for values in theta.values() if len(values)], axis=0)


def topic_table(theta: Mapping[str, np.ndarray], words: Mapping[str, list[list[str]]]) -> "Styler":
    """Show the ten topics of largest mean share over the items of all views, with their words.

    ``theta`` has (M, K) a view, ``words`` K lists a language.
    """
    import pandas as pd

    weight = shares(theta)
    largest = np.argsort(-weight, kind="stable")[:10]
    table = pd.DataFrame({"topic": largest, "share": [f"{weight[k]:.1%}" for k in largest]})
    for view, topics in words.items():
        table[view] = [", ".join(topics[k][:8]) for k in largest]
    return styled(table).set_properties(**{"text-align": "start"})


def topic_faults(run: Run, names: Sequence[str] = ()) -> list[dict]:
    """Find what is wrong with each topic of a run: a row per topic, with its share and coherence.

    A topic is junk for one of three reasons. ``incoherent``: NPMI at or below 0 in every language
    that it has. ``unused``: the most probable topic of no test item of any view. ``repeated``: in
    every language its top ten words share at least half (Jaccard index) with those of a topic of
    larger share, which goes by its number or, if topics have ``names``, by its name.
    """
    share = shares(run.theta)
    used = np.unique(np.concatenate([theta.argmax(axis=1) for theta in run.theta.values()]))
    coherence = {language: np.array(x) for language, x in run.metrics["npmi_of_topics"].items()}
    tops = [[set(run.topics[view][k][:10]) for view in coherence] for k in range(len(share))]
    order, rows = np.argsort(-share, kind="stable").tolist(), {}
    for place, k in enumerate(order):
        row: dict = {"topic": k, "share": float(share[k])}
        row |= {f"NPMI {language}": float(npmi[k]) for language, npmi in coherence.items()}
        faults = []
        if coherence and all(npmi[k] <= 0 for npmi in coherence.values()):
            faults.append("incoherent")
        if k not in used:
            faults.append("unused")
        for other in order[:place] if coherence else []:
            pairs = zip(tops[k], tops[other], strict=True)
            if all(len(a & b) >= 0.5 * len(a | b) for a, b in pairs):
                faults.append(f"repeated: {names[other] if names else other}")
                break
        rows[k] = row | {"junk": ", ".join(faults)}
    return [rows[k] for k in sorted(rows)]
