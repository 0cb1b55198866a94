"""Topics looked at one by one, for the error analysis (Section 5.3).

How models read a tuple, which topics are junk, what known categories say.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, choose, require
from m3l.metrics.divergence import jensen_shannon

from ..data.prepared import items, known_topics, read_tuples
from ..data.schema import PICTURES
from ..measured import Measurements
from ..records.run import Run
from ..records.selection import corpus_of, has_pictures, home_of
from ..shown import as_html
from ..variants import Contender, contender_of
from .shared import own_direction, styled, topic_faults

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def known_labels(folder: str | Path, view: str, split: str = "test") -> np.ndarray | None:
    """One known label an item of a view: its category, or None if it has none, or the largest of
    its known topic proportions; None if the source knows neither.
    """
    truth = known_topics(folder, view, split)
    if truth is not None:
        return truth.argmax(axis=1)
    frame = read_tuples(folder)
    if "category" not in frame:
        return None
    labels = items(frame[frame["split"] == split], view)["category"]
    if not labels.notna().any():
        return None
    return labels.astype(object).where(labels.notna(), None).to_numpy()


def agreement(theta: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How well each item's most probable topic tells its label.

    theta (M, K), labels (M,) -> ``nmi``, normalised mutual information (arithmetic mean), and
    ``purity``, the share of items whose label is the most frequent one of their topic. Purity rises
    with the number of topics, NMI less so: compare models of equal K.
    """
    from sklearn.metrics import normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    require(
        len(theta) == len(labels) > 0, f"{len(theta)} items and {len(labels)} labels", DataError
    )
    top = theta.argmax(axis=1)
    return {
        "nmi": float(normalized_mutual_info_score(labels, top)),
        "purity": float(contingency_matrix(labels, top).max(axis=0).sum() / len(top)),
    }


def choose_tuples(
    run: Run, test: Corpus, a: str, b: str, n: int, how: str, seed: int = 0
) -> list[int]:
    """``n`` test tuples to look at, as rows of ``test``, each of another article.

    ``"random"`` ones, or the ``"worst"`` by JSD between two views.
    """
    choose("how", how, ("random", "worst"))
    index = np.stack([test.views[a].index, test.views[b].index])
    rows = np.flatnonzero((index >= 0).all(axis=0))
    require(len(rows) > 0, f"no tuple has both {a!r} and {b!r}", DataError)
    if how == "random":
        rows = np.random.default_rng(seed).permutation(rows)
    else:
        first, second = run.theta[a][index[0, rows]], run.theta[b][index[1, rows]]
        rows = rows[np.argsort(-jensen_shannon(first, second), kind="stable")]
    articles, chosen = set(), []
    for row in rows.tolist():
        if test.article_ids[row] not in articles and len(chosen) < n:
            chosen.append(row)
            articles.add(test.article_ids[row])
    return chosen


def find_tuples(test: Corpus, ids: Sequence[str]) -> list[int]:
    """The rows of the test tuples with these tuple or article ids.

    Raises
    ------
    DataError
        One of them is not there.
    """
    rows = []
    for name in ids:
        same = (test.tuple_ids == str(name)) | (test.article_ids == str(name))
        first = ", ".join(test.tuple_ids[:3])
        nobody = f"no test tuple or article is called {name!r}; the first are {first}"
        require(bool(same.any()), nobody, DataError)
        rows.append(int(np.flatnonzero(same)[0]))
    return rows


def reading(runs: Sequence[Run], test: Corpus, tuple_row: int, words: int = 5) -> "Styler":
    """Table 3 for one tuple: a row a model, a column a view.

    Each cell has the top topic's number and its words in every language that it has. ``runs`` are
    records on the same corpus; of a zero-shot model or a student, one row for each home language.
    """
    import pandas as pd

    rows = []
    for run in runs:
        model, home = as_html(contender_of(run.params)), home_of(run)
        if home:
            trained = ", ".join(run.params["train_views"])
            students = f" to {as_html(trained)}" if run.params.get("teacher") else ""
            model += f"<br><small>from {as_html(home)}{students}</small>"
        cells = {view: _top_topic(run, test, view, tuple_row, words) for view in test.views}
        rows.append({"model": model, **cells})
    frame = styled(pd.DataFrame(rows), markup=True)
    return frame.set_table_attributes('class="reading-table"')


def _top_topic(run: Run, test: Corpus, view: str, tuple_row: int, words: int) -> str:
    """The top topic of a tuple's item of one view, as HTML; "–" if there is none."""
    item = test.views[view].index[tuple_row]
    if view not in run.theta or item < 0:
        return "–"
    k = int(run.theta[view][item].argmax())
    lines = [
        f"{as_html(', '.join(topics[k][:words]))} <small>({as_html(language)})</small>"
        for language, topics in run.topics.items()
    ]
    return f"<b>{k}</b> {'<br>'.join(lines)}"


def top_topic_table(
    measured: Measurements, roles: Mapping[str, Mapping[str, str]], models: Sequence[str]
) -> "Styler":
    """The share of aligned pairs with the same top topic: mean ± spread over seeds.

    A row a corpus and pair, a column a model of the paper.
    """
    import pandas as pd

    rows: dict[str, dict[str, str]] = {}
    for (corpus, setting, measure, pair, who), found in measured.items():
        fits = (setting == "multimodal") == ("image" in pair)
        if measure == "same top topic" and who in map(Contender, models) and fits:
            mean = 100 * found.values.mean(axis=1)
            deviation = f" ± {mean.std(ddof=1):.1f}" if len(mean) > 1 else ""
            where = f"{corpus} {own_direction(pair, roles[corpus]).replace('→', '–')}"
            rows.setdefault(where, {})[who.model] = f"{mean.mean():.1f}%{deviation}"
    columns = [model for model in models if any(model in row for row in rows.values())]
    return styled(pd.DataFrame(rows).T.reindex(columns=columns).fillna("–"), index=True)


def labelled(runs: Sequence[Run], data: str) -> list[Run]:
    """The runs on corpora of which the labels of some test items are known."""
    found = []
    for run in runs:
        views = run.params["train_views"]
        folder = f"{data}/prepared/{run.params['corpus']}"
        if any(known_labels(folder, view) is not None for view in views):
            found.append(run)
    return found


def category_table(runs: Sequence[Run], tests: Mapping[tuple, Corpus], data: str) -> "Styler":
    """Agreement of top topics with known labels and recovery of known topics: means over seeds.

    A row a corpus, model and view. A text is read by the network that was trained on it.
    """
    import pandas as pd

    rows = []
    for run in runs:
        name = run.params["corpus"]
        for view in tests[corpus_of(run)].views:
            pictures = view == PICTURES
            if view not in run.theta or not (pictures or view in run.params["train_views"]):
                continue
            labels = known_labels(f"{data}/prepared/{name}", view)
            if labels is not None:
                known = np.array([label is not None for label in labels])
                row = {"corpus": name, "view": view, "model": _reader(run, pictures)}
                row |= agreement(run.theta[view][known], labels[known])
                rows.append(row | {"recovery": run.metrics["recovery"].get(view, np.nan)})
    require(len(rows) > 0, "no record's corpus has known labels", DataError)
    means = pd.DataFrame(rows).groupby(["corpus", "view", "model"], sort=False).mean()
    table = means.sort_index(level=[0, 1], sort_remaining=False).reset_index()
    return styled(table.rename(columns={"nmi": "NMI"})).format(precision=3, na_rep="–")


def _reader(run: Run, pictures: bool) -> str:
    """A model with what tells its runs apart: trained with pictures, or from which language."""
    name, home = str(contender_of(run.params)), home_of(run)
    if not home and has_pictures(run):
        return f"{name} and pictures"
    return f"{name}, {home}" if pictures and home else name


def coherence_table(runs: Sequence[Run]) -> "DataFrame":
    """A row a run and language: NPMI, diversity, and the share of junk topics.

    Further columns are corpus, model, variant, name, topics, language, seed and setting.
    """
    import pandas as pd

    rows = []
    for run in runs:
        contender = contender_of(run.params)
        junk = np.mean([bool(row["junk"]) for row in topic_faults(run)])
        for language, npmi in run.metrics["npmi"].items():
            rows.append(
                {
                    "corpus": run.params["corpus"],
                    "model": contender.model,
                    "variant": contender.variant,
                    "name": str(contender),
                    "topics": run.params["topics"],
                    "language": language,
                    "seed": run.params["seed"],
                    "setting": "with pictures" if has_pictures(run) else "",
                    "NPMI": npmi,
                    "diversity": run.metrics["diversity"][language],
                    "junk": junk,
                }
            )
    return pd.DataFrame(rows)


def junk_table(quality: "DataFrame") -> "Styler":
    """The share of junk topics by corpus and model, mean and spread over seeds.

    ``quality`` is `coherence_table`'s.
    """
    columns = {"mean": "share of junk", "std": "±"}
    once = quality.drop_duplicates(["corpus", "name", "setting", "seed"])
    once = once.assign(model=once["name"] + once["setting"].map(lambda s: f" {s}" if s else ""))
    means = once.groupby(["corpus", "model"], sort=False)["junk"].agg(list(columns))
    table = styled(means.reset_index().rename(columns=columns))
    return table.format("{:.1%}", subset=list(columns.values()), na_rep="–")


def junk_topics(run: Run, n: int = 8) -> "tuple[int, Styler | None]":
    """How many topics of a run are junk, and the first of them as a table."""
    import pandas as pd

    rows = [row for row in topic_faults(run) if row["junk"]]
    for row in rows:
        for language, words in run.topics.items():
            row[language] = ", ".join(words[row["topic"]][:6])
    if not rows:
        return 0, None
    table = styled(pd.DataFrame(rows[:n])).format(precision=3)
    table = table.format("{:.2%}", subset=["share"])
    return len(rows), table.set_properties(**{"text-align": "start"})
