"""Tables of retrieval: the paper's Tables 1 and 2, and what stands beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3l.metrics.uncertainty import estimate

from ..claims.judging import SEEDS
from ..data.schema import PICTURES
from ..recorded import Recorded
from ..records.collection import Collection
from ..records.results import as_in_the_paper, coherences
from ..records.run import Run
from ..records.selection import MAIN, PAPER_MODELS, languages_of
from ..variants import Contender
from .cells import score_cell, styled

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def score_table(rows: Sequence[Mapping]) -> "Styler":
    """One run's scores, ready to be shown."""
    import pandas as pd

    lines = [
        {
            "from → to": f"{row['query']} → {row['item']}",
            "metric": row["metric"],
            "score": row["score"],
            "95 % interval": f"{row['low']:.3f} – {row['high']:.3f}",
            "chance": row["chance"],
            "JSD (nats)": row["jsd"],
        }
        for row in rows
    ]
    return styled(pd.DataFrame(lines)).format(precision=3)


def quality_line(measured: Mapping) -> str:
    """Coherence, diversity and recovery of one run in a sentence."""
    recovery = "mean correlation of the known topics with topics matched one to one"
    parts = [("NPMI", "npmi", 3), ("diversity", "diversity", 2), (recovery, "recovery", 2)]
    texts = []
    for what, key, digits in parts:
        values = (f"{view} {value:.{digits}f}" for view, value in measured[key].items())
        if measured[key]:
            texts.append(f"{what} {', '.join(values)}")
    if texts:
        return f"{'; '.join(texts)}."
    return "A student without words has no topics of its own: it uses its teacher's."


def topic_table(
    theta: Mapping[str, np.ndarray], words: Mapping[str, list[list[str]]], n: int = 10
) -> "Styler":
    """The ``n`` topics of largest mean share over the items of all views, with their top words."""
    import pandas as pd

    weight = np.mean([values.mean(axis=0) for values in theta.values()], axis=0)
    largest = np.argsort(-weight, kind="stable")[:n]
    columns: dict[str, Sequence] = {
        "topic": largest,
        "share": [f"{weight[k]:.1%}" for k in largest],
    }
    for view, topics in words.items():
        columns[view] = [", ".join(topics[k][:8]) for k in largest]
    left = {"text-align": "start"}
    return styled(pd.DataFrame(columns)).set_properties(**left)


def settings_lines(runs: Sequence[Run]) -> list[str]:
    """What the main models were trained with, a line of Markdown each."""
    lines = set()
    for run in runs:
        params = run.params
        if "epochs" in params:
            how = (
                f"{params['epochs']} epochs, batches of {params['batch_size']}, objective "
                f"`{params['objective']}`"
            )
        else:
            how = f"{params['sweeps']} sweeps, α = {params['alpha']}, β = {params['beta']}"
        what = f"- **{params['model']}** on **{params['corpus']}**"
        lines.add(f"{what}: {params['topics']} topics, {how}")
    return sorted(lines)


def other_homes(table: "DataFrame") -> "DataFrame":
    """Directions answered by the ZeroshotTM, or teacher, of another language.

    Than `as_in_the_paper` takes: its score beside the chosen one's. ``table`` holds the main runs.
    """
    import pandas as pd

    main, lines = as_in_the_paper(table), []
    left_out = table[(table["home"] != "") & ~table.index.isin(main.index)]
    groups = left_out.groupby(["corpus", "model", "direction", "home"], sort=False)
    for (corpus, model, direction, home), rows in groups:
        same = (main["corpus"] == corpus) & (main["direction"] == direction)
        used = main[same & (main["model"] == model)]
        lines.append(
            {
                "corpus": corpus,
                "from → to": direction,
                "model": f"{model}, {home}",
                "metric": rows["metric"].iloc[0],
                "score": rows["score"].mean(),
                "in the tables": used["score"].mean(),
            }
        )
    return pd.DataFrame(lines)


def variants(table: "DataFrame") -> "DataFrame":
    """Scores of runs with another choice in one place, after those of the model they vary."""
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        varied = rows[rows["variant"] != ""]
        for model in dict.fromkeys(varied["model"]):
            main = as_in_the_paper(rows[(rows["model"] == model) & (rows["variant"] == "")])
            others = varied[varied["model"] == model].groupby("name", sort=False)
            for name, part in [(model, main), *others]:
                if len(part):
                    lines.append(
                        {
                            "corpus": corpus,
                            "from → to": direction,
                            "model": name,
                            "metric": part["metric"].iloc[0],
                            "seeds": part["seed"].nunique(),
                            "score": part["score"].mean(),
                            "±": part["score"].std(),
                            "JSD": part["jsd"].mean(),
                        }
                    )
    return pd.DataFrame(lines)


def comparisons(table: "DataFrame", models: tuple[str, str] = MAIN) -> "DataFrame":
    """Who is ahead of two models, for each corpus and direction that both ran.

    Their scores and the difference with its 95 % interval, over articles and seeds; a model is
    ahead when it leaves out zero and both were trained often enough to tell.
    """
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        values = {
            model: np.stack(part["values"].tolist())  # (seeds, queries)
            for model, part in rows.groupby("name")
            if model in models
        }
        if len(values) < 2:
            continue
        a, b = values[models[0]], values[models[1]]
        found = estimate([a, b], [1.0, -1.0], rows["articles"].iloc[0])
        low, high = found.interval()
        ahead = models[0] if low > 0 else models[1] if high < 0 else "undecided"
        lines.append(
            {
                "corpus": corpus,
                "from → to": direction,
                "metric": rows["metric"].iloc[0],
                models[0]: a.mean(),
                models[1]: b.mean(),
                "difference": f"{a.mean() - b.mean():+.3f} ({low:+.3f} to {high:+.3f})",
                "ahead": ahead if found.seeds >= SEEDS else f"fewer than {SEEDS} seeds",
            }
        )
    return pd.DataFrame(lines)


class PaperTable:
    """Table 1 (``multilingual``) or Table 2 (``multimodal``) on one corpus.

    Parameters
    ----------
    collection : Collection
    corpus : str
        One that has two languages.
    setting : str
    numbers : rows
        Of `m3l_book.claims.read_numbers`.
    recorded : Recorded, optional
        Whose numbers stand in the cells too.
    """

    def __init__(
        self,
        collection: Collection,
        corpus: str,
        setting: str,
        numbers: Sequence[Mapping],
        recorded: Recorded | None = None,
    ):
        self.recorded = recorded or Recorded()
        scores, raw = collection.main_scores, collection.raw
        self.scores = as_in_the_paper(scores[scores["corpus"] == corpus], setting)
        self.raw = raw[raw["corpus"] == corpus]
        self.coherence = coherences(collection.records)
        self.runs = {run.folder.name: run for run in collection.records}
        self.corpus, self.role, self.setting = corpus, collection.roles[corpus], setting
        self.numbers = numbers
        self.languages = languages_of(self.role)
        pictured = [(language, PICTURES) for language in self.languages]
        self.pairs = [tuple(self.languages)] if setting == "multilingual" else pictured

    def styled(self) -> "Styler":
        """The table, a column a model, a row a measure; each cell has the paper's number where it
        prints one.
        """
        import pandas as pd

        lines = {}
        for model in PAPER_MODELS:
            if len(self._rows(model, *self.pairs[0])):
                lines[model] = dict(self._cells(model))
        for name, column in (("raw embeddings", "score"), ("chance", "chance")):
            lines[name.replace(" ", "<br>")] = {
                f"{row['metric']} {row['query']} → {row['item']}": f"{row[column]:.3f}"
                for _, row in self.raw.iterrows()
            }
        # the measures of a model that answers every direction
        columns = max((list(line) for line in lines.values()), key=len)
        frame = pd.DataFrame(lines).reindex(index=columns).fillna("–")
        shown = styled(frame, markup=True, index=True)
        return shown.set_table_attributes('class="paper-table"')

    def _rows(self, model: str, query: str, item: str) -> "DataFrame":
        scores = self.scores
        same = (scores["query"] == query) & (scores["item"] == item)
        return scores[same & (scores["model"] == model)]

    def _printed(self, model: str, measure: str, pair: str) -> float | None:
        """The number that the paper's Tables 1 and 2 print, if they do."""
        wanted = model, self.setting, measure, pair
        for row in self.numbers:
            about = row["model"], row["setting"], row["measure"], row["pair"]
            if row["table"] in ("1", "2") and about == wanted:
                return row["value"]
        return None

    def _known(self, model: str, measure: str, pair: str) -> dict[str, float | None]:
        """What the paper prints and what was recorded, as `score_cell` takes them."""
        where = self.corpus, self.setting, measure, pair, Contender(model)
        return {
            "paper": self._printed(model, measure, pair),
            "recorded": self.recorded.mean(*where),
        }

    def _cells(self, model: str) -> Iterator[tuple[str, str]]:
        """Column and cell of each measure of a model."""
        for language in self.languages:
            key = self.corpus, self.setting, language, Contender(model)
            known = self._known(model, "NPMI", self.role[language])
            cell = score_cell(self.coherence[key], **known) if key in self.coherence else "–"
            yield f"NPMI {language}", cell
        for query, item in self.pairs:
            rows, pair = self._rows(model, query, item), f"{self.role[query]}-{self.role[item]}"
            if len(rows):
                metric = rows["metric"].iloc[0]
                values = np.stack(rows["values"].tolist())
                divergences = np.stack(rows["divergences"].tolist())
                own, of_pairs = rows["articles"].iloc[0], rows["pair_articles"].iloc[0]
                known = self._known(model, metric, pair)
                yield f"{metric} {query} → {item}", score_cell(values, articles=own, **known)
                known = self._known(model, "JSD", pair)
                cell = score_cell(divergences, articles=of_pairs, **known)
                yield f"JSD {query} – {item}", cell
        for item, query in self.pairs:
            rows = self._rows(model, query, item)
            if len(rows):
                values = np.stack(rows["values"].tolist())
                metric = rows["metric"].iloc[0]
                own = rows["articles"].iloc[0]
                yield f"{metric} {query} → {item}", score_cell(values, articles=own)
        yield "seconds", f"{self._seconds(model):,.0f}"

    def _seconds(self, model: str) -> float:
        """Of training one model, a student's with its teacher's; the mean over seeds."""
        seconds = []
        for name in self._rows(model, *self.pairs[0])["run"]:
            run = self.runs[name]
            teacher = self.runs.get(run.params.get("teacher", ""))
            own = run.metrics["seconds"]
            seconds.append(own + (teacher.metrics["seconds"] if teacher else 0.0))
        return float(np.mean(seconds))
