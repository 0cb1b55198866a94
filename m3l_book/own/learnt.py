"""To use what a run learnt: new documents and pictures placed, typical items, tables, two runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, ParameterError, choose, require
from m3l.files import atomic
from m3l.model import M3L
from m3l.pltm import PLTM
from m3l.text import bag_of_words
from m3l.trained import top_documents

from ..data.prepared import cutting, embedding_card, items, read_tuples, tokens_of, training_texts
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

    ``run`` is its record, with θ of the test items and topics in words; ``prepared`` the folder of
    the corpus that it was trained on, ``cache`` that of the encoders' outputs.
    """

    run: Run
    prepared: Path
    cache: Path = Path("data/cache")

    @classmethod
    def load(cls, folder: str | Path, data: str | Path = "") -> "Learnt":
        """Load the run of a folder such as ``runs/mine/mine-m3l-s0``.

        ``data`` is the folder of the prepared corpora, by default where the run found them.
        """
        run = load_run(folder)
        return cls(run, Path(data or run.params["data"]) / "prepared" / run.params["corpus"])

    @cached_property
    def model(self) -> M3L | PLTM:
        """The trained model."""
        return load_model(self.run.folder / "model.safetensors")

    def place(self, new: Sequence, view: str) -> np.ndarray:
        """Return topics of new documents of a language, or of new pictures by path: (N, K).

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
        params, new = self.run.params, list(new)
        choose("view", view, params["encoders"])
        require(len(new) > 0, "nothing to place: expected a text or picture or more", DataError)
        if not isinstance(self.model, M3L):
            if view not in self.model.vocabularies:
                raise ParameterError(f"view={view!r}: PLTM reads words of its languages alone")
            tokens = tokens_of(new, view, **cutting(self.prepared))
            bags = bag_of_words(tokens, self.model.vocabularies[view])
            return self.model.infer(bags, view, seed=params["seed"])
        if view == PICTURES:
            for path in new:
                load_image(path, 32)
        vectors = encode(self._encoder(view), new, self.cache, progress=False)
        model = self.model
        network = view if view in model.views else params["train_views"][0]
        teacher = load_teacher(self.run.folder.parent, params.get("teacher", ""))
        if teacher is not None and view == teacher.view:
            model, network = teacher.model, view
        samples = params.get("protocol", {}).get("samples", 20)
        return model.infer(vectors, network, samples, params["seed"])

    def _encoder(self, view: str):
        """Return the encoder of a view, as the run's own items were encoded."""
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

    def words(self, topic: int, n: int = 10) -> dict[str, list[str]]:
        """Return the top words of a topic in every language that it has."""
        known = len(next(iter(self.run.topics.values())))
        require(0 <= topic < known, f"topic={topic}: expected 0 to {known - 1}")
        return {language: topics[topic][:n] for language, topics in self.run.topics.items()}

    def typical(self, view: str, topic: int, n: int = 5) -> "DataFrame":
        """Return the ``n`` test items of a view with the largest share of a topic.

        Columns ``picture`` (the file of one), ``article``, ``name`` (title, or id) and ``share``.
        """
        choose("view", view, self.run.theta)
        theta = self.run.theta[view]
        best = top_documents(theta, n)[topic]
        table = self.items(view).iloc[best]
        return table.assign(share=theta[best, topic]).reset_index(drop=True)

    def items(self, view: str) -> "DataFrame":
        """Return the test items of a view in θ's order: ``picture``, ``article`` and ``name``."""
        import pandas as pd

        frame = read_tuples(self.prepared)
        rows = items(frame[frame["split"] == "test"], view)
        same = len(rows) == len(self.run.theta[view])
        require(same, f"{self.prepared}: not the corpus of {self.run.folder}", DataError)
        names = names_of(rows, next(iter(self.run.topics)))
        table = pd.DataFrame({"article": rows["article_id"].to_numpy(), "name": names})
        if view == PICTURES:
            table.insert(0, "picture", rows["image_id"].to_numpy())
        return table

    def export(self, folder: str | Path, kind: str = "csv") -> list[Path]:
        """Write what the run says as tables: ``topics``, a row per topic and word, and
        ``theta_<view>``, a row a test item, its id, name and share of each topic.

        ``kind`` is ``csv`` or ``parquet``. Returns the files.
        """
        import pandas as pd

        choose("kind", kind, ("csv", "parquet"))
        rows = [
            {"topic": k, "language": language, "rank": rank, "word": word}
            for language, topics in self.run.topics.items()
            for k, words in enumerate(topics)
            for rank, word in enumerate(words, 1)
        ]
        tables = {"topics": pd.DataFrame(rows)}
        for view, theta in self.run.theta.items():
            shares = pd.DataFrame(theta, columns=[f"topic_{k}" for k in range(theta.shape[1])])
            tables[f"theta_{view}"] = pd.concat([self.items(view), shares], axis=1)
        paths = {name: Path(folder) / f"{name}.{kind}" for name in tables}
        for name, table in tables.items():
            with atomic(paths[name]) as temporary:
                write = table.to_csv if kind == "csv" else table.to_parquet
                write(temporary, index=False)
        return list(paths.values())


def compare(a: Learnt, b: Learnt, moved: int = 5) -> "tuple[DataFrame, DataFrame]":
    """Match the topics of two runs on the same test items one to one, and find the items that moved
    most.

    Topics are matched so that the shares of items correlate most (Kuhn 1955), over the views that
    both read. The first table has a row a matched pair; the second the ``moved`` items of each view
    whose divergence between the two, in nats, is largest once topics are matched. `DataError` if
    the runs share no view, or are of other test items.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    from m3l.metrics import jensen_shannon

    views = [view for view in a.run.theta if view in b.run.theta]
    require(len(views) > 0, "the two runs share no view", DataError)
    for view in views:
        key = "picture" if view == PICTURES else "article"
        same = list(a.items(view)[key]) == list(b.items(view)[key])
        require(same, f"view {view!r}: the two runs are of other test items", DataError)
    x, y = (np.vstack([run.run.theta[view] for view in views]) for run in (a, b))
    unit = [(z - z.mean(axis=0)) / np.maximum(z.std(axis=0), 1e-12) for z in (x, y)]
    alike = unit[0].T @ unit[1] / len(x)
    own, other = linear_sum_assignment(-alike)
    language = next((name for name in a.run.topics if name in b.run.topics), None)
    require(language is not None, "the two runs have words of no common language", DataError)
    matched = pd.DataFrame({"topic": own, "other": other, "correlation": alike[own, other]})
    for head, run, chosen in (("words", a.run, own), ("other words", b.run, other)):
        matched[head] = [", ".join(run.topics[language][k][:6]) for k in chosen]
    matched = matched.sort_values("correlation", ascending=False, ignore_index=True)
    rows = []
    for view in views:
        # topics without a match take nothing with them
        shares = (a.run.theta[view][:, own], b.run.theta[view][:, other])
        first, second = (s / np.maximum(s.sum(axis=1, keepdims=True), 1e-12) for s in shares)
        divergence = jensen_shannon(first, second)
        names = a.items(view)["name"]
        for item in np.argsort(-divergence, kind="stable")[:moved]:
            rows.append({"view": view, "name": names[item], "divergence": float(divergence[item])})
    return matched, pd.DataFrame(rows)
