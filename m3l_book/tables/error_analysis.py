"""Topics looked at one by one, for the error analysis (Section 5.3): how models read a tuple, which
topics are junk, what known categories say.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, choose, require
from m3l.metrics.divergence import jensen_shannon

from ..data.prepared import items, known_topics, read_tuples
from ..records.run import Run
from ..records.selection import corpus_of, home_of


def known_labels(folder, view: str, split: str = "test") -> np.ndarray | None:
    """One known label an item of a view: its category, or the largest of its known topic
    proportions; None if the source knows neither.
    """
    truth = known_topics(folder, view, split)
    if truth is not None:
        return truth.argmax(axis=1)
    frame = read_tuples(folder)
    if "category" not in frame:
        return None
    rows = items(frame[frame["split"] == split], view)
    return rows["category"].astype(str).to_numpy()


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


def topic_faults(run: Run, nothing: float = 0.0, alike: float = 0.5) -> list[dict]:
    """Each topic with its share, coherence and what is wrong with it: a row a topic.

    A topic is junk for one of three reasons. ``incoherent``: NPMI at or below ``nothing`` in every
    language it has, so that its words meet no more often than by chance. ``unused``: the most
    probable topic of no test item of any view. ``repeated``: its top ten words share at least
    ``alike`` (Jaccard index) with those of a topic of larger share, in every language.
    """
    weight = np.mean([theta.mean(axis=0) for theta in run.theta.values()], axis=0)
    used = np.unique(np.concatenate([theta.argmax(axis=1) for theta in run.theta.values()]))
    coherence = {
        language: np.array(values) for language, values in run.metrics["npmi_of_topics"].items()
    }
    tops = {language: [set(words[:10]) for words in run.topics[language]] for language in coherence}
    order, rows = np.argsort(-weight, kind="stable"), {}
    for place, k in enumerate(order.tolist()):
        faults = []
        if coherence and all(values[k] <= nothing for values in coherence.values()):
            faults.append("incoherent")
        if k not in used:
            faults.append("unused")
        for other in order[:place].tolist():
            if tops and all(
                len(t[k] & t[other]) >= alike * len(t[k] | t[other]) for t in tops.values()
            ):
                faults.append(f"repeated: {other}")
                break
        rows[k] = {
            "topic": k,
            "share": float(weight[k]),
            **{f"NPMI {v}": float(c[k]) for v, c in coherence.items()},
            "junk": ", ".join(faults),
        }
    return [rows[k] for k in sorted(rows)]


def choose_tuples(
    run: Run, test: Corpus, a: str, b: str, n: int, how: str, seed: int = 0
) -> list[int]:
    """``n`` test tuples to look at, as rows of ``test``, each of another article: ``"random"``, or
    the ``"worst"`` by JSD between two views.
    """
    choose("how", how, ("random", "worst"))
    index = np.stack([test.views[a].index, test.views[b].index])
    rows = np.flatnonzero((index >= 0).all(axis=0))
    require(len(rows) > 0, f"no tuple has both {a!r} and {b!r}", DataError)
    if how == "random":
        rows = np.random.default_rng(seed).permutation(rows)
    else:
        rows = rows[
            np.argsort(
                -jensen_shannon(run.theta[a][index[0, rows]], run.theta[b][index[1, rows]]),
                kind="stable",
            )
        ]
    articles, chosen = set(), []
    for row in rows.tolist():
        if test.article_ids[row] not in articles and len(chosen) < n:
            chosen.append(row)
            articles.add(test.article_ids[row])
    return chosen


def find_tuples(test: Corpus, ids: Sequence[str]) -> list[int]:
    """The rows of the test tuples with these tuple or article ids; `DataError` naming one that is
    not there.
    """
    rows = []
    for name in ids:
        hit = np.flatnonzero((test.tuple_ids == str(name)) | (test.article_ids == str(name)))
        require(
            len(hit) > 0,
            f"no test tuple or article is called {name!r}; the first are"
            f" {', '.join(test.tuple_ids[:3])}",
            DataError,
        )
        rows.append(int(hit[0]))
    return rows


def reading(runs: Sequence[Run], test: Corpus, tuple_row: int, words: int = 5):
    """Table 3 for one tuple: a row a model, a column a view, each cell the top topic's number and
    its words in every language that it has.

    ``runs`` are records on the same corpus; of a zero-shot model or a student, one row for each
    home language.
    """
    import pandas as pd

    rows = []
    for run in runs:
        home, line = home_of(run), {}
        for view, spec in test.views.items():
            item = spec.index[tuple_row]
            if view not in run.theta or item < 0:
                line[view] = "–"
                continue
            k = int(run.theta[view][item].argmax())
            line[view] = f"<b>{k}</b> " + "<br>".join(
                f"{', '.join(topics[k][:words])} <small>({language})</small>"
                for language, topics in run.topics.items()
            )
        students = (
            f" to {', '.join(run.params['train_views'])}" if run.params.get("teacher") else ""
        )
        rows.append(
            {
                "model": (
                    run.params["model"]
                    + (f"<br><small>from {home}{students}</small>" if home else "")
                ),
                **line,
            }
        )
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="reading-table"')


def top_topic_table(
    measured: Mapping, names: Mapping[str, Mapping[str, str]], models: Sequence[str]
):
    """The share of aligned pairs with the same top topic, by corpus, pair and model: mean ± spread
    over seeds.
    """
    import pandas as pd

    from .cells import spoken

    rows = {}
    for (corpus, setting, measure, pair, model), values in measured.items():
        if (
            measure != "same top topic"
            or model not in models
            or (setting == "multimodal") != ("image" in pair)
        ):
            continue
        mean = values.mean(axis=1)
        rows.setdefault(f"{corpus} {spoken(pair, names[corpus]).replace('→', '–')}", {})[model] = (
            f"{mean.mean():.1%}" + (f" ± {100 * mean.std(ddof=1):.1f}" if len(mean) > 1 else "")
        )
    return (
        pd.DataFrame(rows)
        .T.reindex(columns=[m for m in models if any(m in r for r in rows.values())])
        .fillna("–")
        .style
    )


def category_table(
    runs: Sequence[Run], tests: Mapping[tuple, Corpus], data: str, models: Sequence[str]
):
    """Agreement of top topics with known labels and recovery of known topics, by corpus, model and
    view: means over seeds.
    """
    import pandas as pd

    rows = []
    for run in runs:
        if run.params["model"] not in models:
            continue
        name, home = run.params["corpus"], home_of(run)
        for view in tests[corpus_of(run)].views:
            labels = known_labels(f"{data}/prepared/{name}", view) if view in run.theta else None
            if labels is None or (view != "image" and view not in run.params["train_views"]):
                continue  # a text is read by the network that was trained on it
            trained = " and pictures" if not home and "image" in run.params["train_views"] else ""
            row = {
                "corpus": name,
                "view": view,
                "model": (
                    run.params["model"]
                    + trained
                    + (f", {home}" if view == "image" and home else "")
                ),
            }
            rows.append(
                {
                    **row,
                    **agreement(run.theta[view], labels),
                    "recovery": run.metrics["recovery"].get(view, np.nan),
                }
            )
    require(len(rows) > 0, "no record's corpus has known labels", DataError)
    table = (
        pd.DataFrame(rows)
        .groupby(["corpus", "view", "model"], sort=False)
        .mean()
        .sort_index(level=[0, 1], sort_remaining=False)
        .reset_index()
    )
    return (
        table.rename(columns={"nmi": "NMI"})
        .style.hide(axis="index")
        .format(precision=3, na_rep="–")
    )


def coherence_table(runs: Sequence[Run], models: Sequence[str]):
    """A row a run and language: corpus, model, topics, language, seed, setting, NPMI, diversity,
    and the share of junk topics; a data frame.
    """
    import pandas as pd

    rows = []
    for run in runs:
        if run.params["model"] in models:
            junk = np.mean([bool(row["junk"]) for row in topic_faults(run)])
            for language, npmi in run.metrics["npmi"].items():
                about = {
                    "corpus": run.params["corpus"],
                    "model": run.params["model"],
                    "language": language,
                    "seed": run.params["seed"],
                }
                about |= {
                    "topics": run.params["topics"],
                    "setting": "with pictures" if "image" in run.params["train_views"] else "",
                }
                rows.append(
                    {
                        **about,
                        "NPMI": npmi,
                        "diversity": run.metrics["diversity"][language],
                        "junk": junk,
                    }
                )
    return pd.DataFrame(rows)
