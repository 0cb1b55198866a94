"""To use what a run learnt: new documents and pictures placed, typical items, tables, two runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, ParameterError, choose, require
from m3l.files import atomic
from m3l.inspection import top_documents
from m3l.model import M3L
from m3l.pltm import PLTM
from m3l.text import bag_of_words

from ..data.prepared import (
    embedding_card,
    entry_of,
    items,
    read_tuples,
    tokens_of,
    training_texts,
)
from ..data.schema import PICTURES
from ..encoders.cache import encode
from ..encoders.registry import get_encoder
from ..encoders.trained import corpus_encoder, is_corpus_encoder
from ..pictures.reading import load_image
from ..records.run import Run, load_model, load_run, load_teacher
from ..tables.shared import names_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass
class Learnt:
    """A run and all that is needed to ask it something.

    Attributes
    ----------
    run : Run
        Its record: θ of the test items, topics in words, scores.
    prepared : path
        Folder of the prepared corpus that it was trained on.
    cache : path
        Folder of the encoders' outputs.
    """

    run: Run
    prepared: Path
    cache: Path = Path("data/cache")

    @classmethod
    def load(cls, folder: str | Path, data: str | Path = "") -> "Learnt":
        """The run of a folder such as ``runs/mine/mine-m3l-s0``.

        ``data`` is the folder of the prepared corpora, by default where the run found them.
        """
        run = load_run(folder)
        place = Path(data or run.params["data"]) / "prepared" / run.params["corpus"]
        return cls(run, place)

    @cached_property
    def model(self) -> M3L | PLTM:
        """The trained model."""
        return load_model(self.run.folder / "model.safetensors")

    def place(self, new: Sequence, view: str) -> np.ndarray:
        """Topics of new documents of a language, or of new pictures by path: (N, K), rows sum to 1.

        They are encoded and read as the run's own test items were: a student's language by its
        teacher, and a view that the model has no network for, as ZeroshotTM of a language has none
        for another, by the network of the one that it has. A document of the test part gets the
        topics again that the run has of it.

        Raises
        ------
        ParameterError
            The run has no such view.
        DataError
            A text is empty, or a picture cannot be read.
        """
        encoders = self.run.params["encoders"]
        choose("view", view, encoders)
        new = list(new)
        require(len(new) > 0, "nothing to place: expected a text or picture or more", DataError)
        if not isinstance(self.model, M3L):
            return self._count(new, view)
        if view == PICTURES:
            for path in new:
                load_image(path, 32)
        vectors = encode(self._encoder(view), new, self.cache, progress=False)
        model, network = self._reader(view)
        samples = self.run.params.get("protocol", {}).get("samples", 20)
        return model.infer(vectors, network, samples, self.run.params["seed"])

    def _reader(self, view: str) -> tuple[M3L, str]:
        """The model that reads a view, and its network for it."""
        teacher = load_teacher(self.run.folder.parent, self.run.params.get("teacher", ""))
        if teacher is not None and view == teacher.view:
            return teacher.model, view
        return self.model, view if view in self.model.views else self.run.params["train_views"][0]

    def _encoder(self, view: str):
        """The encoder of a view, as the run's own items were encoded."""
        name, of = self.run.params["encoders"][view], self.prepared
        card = embedding_card(of.parent.parent / "embeddings" / of.name, view, name)
        tokens = card.get("max_tokens", 128)
        if view != PICTURES and is_corpus_encoder(name):
            encoder = corpus_encoder(name, view, training_texts(of, view), tokens)
        else:
            encoder = get_encoder(name, "image" if view == PICTURES else "text", tokens)
        changed = f"encoder {name}: here it is {encoder.identity}, the run's was {card['identity']}"
        require(encoder.identity == card["identity"], changed, DataError)
        return encoder

    def _count(self, texts: list[str], view: str) -> np.ndarray:
        """The topics of texts in a model of words."""
        if view not in self.model.vocabularies:
            raise ParameterError(f"view={view!r}: PLTM reads words of its languages alone")
        segmented = entry_of(self.prepared / "card.json", "segmented")
        tokens = tokens_of(texts, view, segmented)
        bags = bag_of_words(tokens, self.model.vocabularies[view])
        return self.model.infer(bags, view, seed=self.run.params["seed"])

    def words(self, topic: int, n: int = 10) -> dict[str, list[str]]:
        """The top words of a topic in every language that it has."""
        known = next(iter(self.run.topics.values()))
        require(0 <= topic < len(known), f"topic={topic}: expected 0 to {len(known) - 1}")
        return {language: topics[topic][:n] for language, topics in self.run.topics.items()}

    def typical(self, view: str, topic: int, n: int = 5) -> "DataFrame":
        """The ``n`` test items of a view with the largest share of a topic.

        Columns ``name`` (title, or id), ``article``, ``share``, and ``picture``, the file of one.
        """
        import pandas as pd

        choose("view", view, self.run.theta)
        theta, rows = self.run.theta[view], self._items(view)
        best = top_documents(theta, n)[topic]
        language = next(iter(self.run.topics))
        table = pd.DataFrame(
            {
                "name": np.array(names_of(rows, language), dtype=object)[best],
                "article": rows["article_id"].to_numpy()[best],
                "share": theta[best, topic],
            }
        )
        if view == PICTURES:
            table["picture"] = rows["image_id"].to_numpy()[best]
        return table

    def _items(self, view: str) -> "DataFrame":
        """The tuples that hold each test item of a view first, in θ's order."""
        frame = read_tuples(self.prepared)
        rows = items(frame[frame["split"] == "test"], view)
        same = len(rows) == len(self.run.theta[view])
        require(same, f"{self.prepared}: not the corpus of {self.run.folder}", DataError)
        return rows

    def export(self, folder: str | Path, kind: str = "csv") -> list[Path]:
        """Write what the run says as tables: ``topics``, a row a topic and word, and
        ``theta_<view>``, a row a test item, its id, name and share of each topic.

        ``kind`` is ``csv`` or ``parquet``. Returns the files.
        """
        choose("kind", kind, ("csv", "parquet"))
        written = []
        for name, table in self._tables().items():
            path = Path(folder) / f"{name}.{kind}"
            with atomic(path) as temporary:
                if kind == "csv":
                    table.to_csv(temporary, index=False, encoding="utf-8")
                else:
                    table.to_parquet(temporary, index=False)
            written.append(path)
        return written

    def _tables(self) -> "dict[str, DataFrame]":
        import pandas as pd

        rows = [
            {"topic": k, "language": language, "rank": rank, "word": word}
            for language, topics in self.run.topics.items()
            for k, words in enumerate(topics)
            for rank, word in enumerate(words, 1)
        ]
        tables = {"topics": pd.DataFrame(rows)}
        language = next(iter(self.run.topics))
        for view, theta in self.run.theta.items():
            items_of = self._items(view)
            about = {
                "article": items_of["article_id"].to_numpy(),
                "name": names_of(items_of, language),
            }
            if view == PICTURES:
                about = {"picture": items_of["image_id"].to_numpy()} | about
            shares = pd.DataFrame(theta, columns=[f"topic_{k}" for k in range(theta.shape[1])])
            tables[f"theta_{view}"] = pd.concat([pd.DataFrame(about), shares], axis=1)
        return tables


def compare(a: Learnt, b: Learnt, moved: int = 5) -> "tuple[DataFrame, DataFrame]":
    """Two runs on the same test items: topics matched one to one, and the items that moved most.

    Topics are matched so that the shares of items correlate most (Kuhn 1955), over the views that
    both read. The first table has a row a matched pair: ``topic`` and ``other``, their
    ``correlation``, ``words`` and ``other words``. The second has the ``moved`` items of each view
    whose divergence between the two is largest once topics are matched: ``view``, ``name``,
    ``divergence`` in nats.

    Raises
    ------
    DataError
        They share no view, or are of other test items.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    from m3l.metrics.divergence import jensen_shannon

    views = [view for view in a.run.theta if view in b.run.theta]
    require(len(views) > 0, "the two runs share no view", DataError)
    for view in views:
        key = "image_id" if view == PICTURES else "article_id"
        of_a, of_b = (list(run._items(view)[key]) for run in (a, b))
        require(of_a == of_b, f"view {view!r}: the two runs are of other test items", DataError)
    x, y = (np.vstack([run.run.theta[view] for view in views]) for run in (a, b))
    unit = [(z - z.mean(axis=0)) / np.maximum(z.std(axis=0), 1e-12) for z in (x, y)]
    alike = unit[0].T @ unit[1] / len(x)
    own, other = linear_sum_assignment(-alike)
    language = next((name for name in a.run.topics if name in b.run.topics), None)
    require(language is not None, "the two runs have words of no common language", DataError)
    matched = pd.DataFrame(
        {
            "topic": own,
            "other": other,
            "correlation": alike[own, other],
            "words": [", ".join(a.run.topics[language][k][:6]) for k in own],
            "other words": [", ".join(b.run.topics[language][k][:6]) for k in other],
        }
    ).sort_values("correlation", ascending=False, ignore_index=True)
    rows = []
    for view in views:
        first, second = a.run.theta[view][:, own], b.run.theta[view][:, other]
        divergence = jensen_shannon(_normalised(first), _normalised(second))
        names = names_of(a._items(view), language)
        for item in np.argsort(-divergence, kind="stable")[:moved]:
            rows.append({"view": view, "name": names[item], "divergence": float(divergence[item])})
    return matched, pd.DataFrame(rows)


def _normalised(theta: np.ndarray) -> np.ndarray:
    """Rows that sum to 1: topics without a match take nothing with them."""
    return theta / np.maximum(theta.sum(axis=1, keepdims=True), 1e-12)
