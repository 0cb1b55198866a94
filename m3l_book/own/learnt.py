"""To use what a run learnt: every document and new ones placed, typical items, tables, two runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l import text as words_of_text
from m3l.corpus import Corpus
from m3l.errors import DataError, ParameterError, choose, require
from m3l.files import atomic, read_array, read_sparse
from m3l.model import M3L
from m3l.pltm import PLTM
from m3l.text import bag_of_words
from m3l.trained import top_documents

from ..data.prepared import (
    assemble,
    cutting,
    embedding_card,
    embedding_path,
    items,
    read_tuples,
    tokens_of,
    training_texts,
    vocabulary,
)
from ..data.schema import PICTURES
from ..encoders.cache import encode
from ..encoders.registry import get_encoder
from ..encoders.trained import corpus_encoder, is_corpus_encoder
from ..pictures.reading import load_image
from ..records.run import Run, load_model, load_run, load_teacher
from ..tables.shared import names_of
from .editing import Edits, edits_of
from .table import has_table, own_table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(repr=False)
class Learnt:
    """A run and all that is needed to ask it something.

    ``run`` is its record, with θ of the test items and topics in words; ``edits`` are the topics
    that the user merged and named, of which ``run`` has those already; ``prepared`` is the folder
    of the corpus that it was trained on, ``cache`` that of the encoders' outputs.
    """

    run: Run
    edits: Edits
    prepared: Path
    cache: Path = Path("data/cache")

    @classmethod
    def load(cls, folder: str | Path, data: str | Path = "", profile: str | Path = "") -> "Learnt":
        """Load the run of a folder such as ``runs/mine/mine-m3l-k20-s0``.

        ``data`` is the folder of the prepared corpora, by default the one that is called as the
        folder of the runs, or where the run found them;
        ``profile`` the file that says which topics were merged and named, by default the one that
        the folder of the runs is called after.
        """
        run = load_run(folder)
        runs = Path(folder).resolve().parent
        own = Path(profile or runs.parent.parent / "workflow" / "profiles" / f"{runs.name}.yaml")
        require(not profile or own.is_file(), f"profile={str(profile)!r}: no such file", DataError)
        edits = edits_of(run, own)
        found = Path(run.params["data"])
        kept = found.with_name(runs.name)
        place = Path(data) if data else kept if (kept / "prepared").is_dir() else found
        prepared = place / "prepared" / run.params["corpus"]
        return cls(edits.applied(run), edits, prepared)

    def __repr__(self) -> str:
        model, languages = self.run.params.get("model", "a model"), ", ".join(self.run.topics)
        counted = ", ".join(f"{len(theta):,} in {view}" for view, theta in self.run.theta.items())
        about = f"{len(self.names)} topics in {languages}; test items: {counted}"
        return f"{self.run.folder.name}: {model}, {about}"

    @property
    def embeddings(self) -> Path:
        """The folder of the corpus's embeddings."""
        return self.prepared.parent.parent / "embeddings" / self.prepared.name

    @property
    def numbers(self) -> list[int]:
        """The number of each topic as it was learnt; of topics that were merged, the least."""
        return [group[0] for group in self.edits.groups]

    @property
    def names(self) -> list[str]:
        """What each topic is called: the user's name for it, or its number."""
        return self.edits.names

    @cached_property
    def model(self) -> M3L | PLTM:
        """The trained model, of the topics as they were learnt."""
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
        new = [new] if isinstance(new, str) else list(new)
        choose("view", view, self.run.params["encoders"])
        require(len(new) > 0, "nothing to place: expected a text or picture or more", DataError)
        if not isinstance(self.model, M3L):
            if view not in self.model.vocabularies:
                raise ParameterError(f"view={view!r}: PLTM reads words of its languages alone")
            empty = "nothing to place: a text is empty"
            require(all(isinstance(t, str) and t.strip() for t in new), empty, DataError)
            tokens = tokens_of(new, view, **cutting(self.prepared))
            return self._read(bag_of_words(tokens, self.model.vocabularies[view]), view)
        if view == PICTURES:
            for path in new:
                load_image(path, 32)
        return self._read(encode(self._encoder(view), new, self.cache, progress=False), view)

    def _read(self, content, view: str) -> np.ndarray:
        """Find the topics of bags of words, or of an encoder's vectors: (N, K)."""
        params, model = self.run.params, self.model
        if not isinstance(model, M3L):
            one_state = params.get("protocol", {}).get("one_state", False)
            how = {"seed": params["seed"], "one_state": one_state}
            return self.edits.sums(model.infer(content, view, **how))
        network = view if view in model.views else params["train_views"][0]
        teacher = load_teacher(self.run.folder.parent, params.get("teacher", ""))
        if teacher is not None and view == teacher.view:
            model, network = teacher.model, view
        samples = params.get("protocol", {}).get("samples", 20)
        return self.edits.sums(model.infer(content, network, samples, params["seed"]))

    def _encoder(self, view: str):
        """Return the encoder of a view, as the run's own items were encoded."""
        name = self.run.params["encoders"][view]
        card = embedding_card(self.embeddings, view, name)
        tokens = card.get("max_tokens", 128)
        if view != PICTURES and is_corpus_encoder(name):
            texts, blanks = training_texts(self.prepared, view), cutting(self.prepared)["segmented"]
            encoder = corpus_encoder(name, view, texts, tokens, blanks)
        else:
            encoder = get_encoder(name, "image" if view == PICTURES else "text", tokens)
        changed = f"encoder {name}: here it is {encoder.identity}, the run's was {card['identity']}"
        require(encoder.identity == card["identity"], changed, DataError)
        return encoder

    @cached_property
    def placed(self) -> dict[str, np.ndarray]:
        """Topics of every item of each view that the run reads, of all parts of the corpus: (M, K)
        by view, in the order of `items`.
        """
        frame, placed = read_tuples(self.prepared), {}
        for view, known in self.run.theta.items():
            rows = items(frame, view)
            theta = self._read(self._content(view), view)
            test = (rows["split"] == "test").to_numpy()
            same = test.sum() == len(known) and len(theta) == len(rows)
            require(same, f"{self.prepared}: not the corpus of {self.run.folder}", DataError)
            theta[test] = known
            placed[view] = theta
        return placed

    def _content(self, view: str):
        """Return what the model reads of every item of a view."""
        if isinstance(self.model, M3L):
            encoder = self.run.params["encoders"][view]
            return read_array(embedding_path(self.embeddings, view, encoder))
        bags = read_sparse(self.prepared / f"bow_{view}.npz")
        place = {word: i for i, word in enumerate(vocabulary(self.prepared, view))}
        return bags.tocsc()[:, [place[w] for w in self.model.vocabularies[view]]].tocsr()

    def whole(self) -> tuple[Run, Corpus]:
        """Return the run with θ of every item, and the whole corpus: as pages that show all
        documents take them.
        """
        corpus = assemble(self.prepared, self.embeddings, self.run.params["encoders"])
        return self.whole_run(), corpus

    def whole_run(self) -> Run:
        """Return the run with θ of every item, of all parts."""
        return replace(self.run, theta=self.placed)

    def words(self, topic: int, n: int = 10) -> dict[str, list[str]]:
        """Return the top words of a topic in every language that it has."""
        known = len(next(iter(self.run.topics.values())))
        require(0 <= topic < known, f"topic={topic}: expected 0 to {known - 1}")
        return {language: topics[topic][:n] for language, topics in self.run.topics.items()}

    def typical(self, view: str, topic: int, n: int = 5) -> "DataFrame":
        """Return the ``n`` items of a view, of all parts, with the largest share of a topic.

        Columns are those of `items`, and ``share``.
        """
        choose("view", view, self.run.theta)
        theta = self.placed[view]
        known = theta.shape[1]
        require(0 <= topic < known, f"topic={topic}: expected 0 to {known - 1}")
        best = top_documents(theta, n)[topic]
        table = self.items(view).iloc[best]
        return table.assign(share=theta[best, topic]).reset_index(drop=True)

    def items(self, view: str) -> "DataFrame":
        """Return all items of a view in the order of `placed`: ``picture`` (the file of one),
        ``article``, ``name`` (its title in the view's language, or its id) and ``part``.
        """
        import pandas as pd

        rows = items(read_tuples(self.prepared), view)
        names = names_of(rows, view if view != PICTURES else next(iter(self.run.topics)))
        about = {"article": rows["article_id"], "name": names, "part": rows["split"]}
        table = pd.DataFrame({name: list(values) for name, values in about.items()})
        if view == PICTURES:
            table.insert(0, "picture", rows["image_id"].to_numpy())
        return table

    def reliability(
        self, view: str, lengths: Sequence[int] = (5, 10, 20, 40), n: int = 200
    ) -> "DataFrame":
        """Measure how far topics of short texts can be trusted, on shortened documents of her own.

        Up to ``n`` documents of a language that the model did not learn from, of more words than
        the most of ``lengths``, keep their first words alone. Columns: ``words``, ``documents``,
        ``same topic`` (the share whose largest topic is that of the whole document) and
        ``evenness`` (the mean entropy of θ over its largest possible: 0 one topic, 1 all alike).
        """
        import pandas as pd

        choose("view", view, self.run.topics)
        rows = items(read_tuples(self.prepared), view)
        texts, unread = rows[f"{view}_text"].to_numpy(), (rows["split"] != "train").to_numpy()
        long = [i for i in np.flatnonzero(unread) if _length(texts[i]) > max(lengths)][:n]
        more = f"more than {max(lengths)} words"
        few = f"{self.prepared}: no document of {view} outside training has {more}"
        require(len(long) > 0, few, DataError)
        whole, lines = self.placed[view][long].argmax(axis=1), []
        for length in sorted(lengths):
            theta = self.place([_beginning(texts[i], length) for i in long], view)
            same = float((theta.argmax(axis=1) == whole).mean())
            lines.append([length, len(long), same, float(evenness(theta).mean())])
        return pd.DataFrame(lines, columns=["words", "documents", "same topic", "evenness"])

    def export(self, folder: str | Path, kind: str = "csv") -> list[Path]:
        """Write what the run says as tables, and return the files.

        ``topics`` has a row per topic, language and word; ``theta_<view>`` a row an item of any
        part, its article, name, part and share of each topic; and, of a corpus that was made of a
        table, ``documents`` has the table's own rows and columns, and for each view the largest
        topic and its share, empty where a row was left out; there is none if the table has
        changed since. Topics have the numbers that they were learnt with. ``kind`` is ``csv`` or
        ``parquet``.
        """
        import pandas as pd

        choose("kind", kind, ("csv", "parquet"))
        rows = [
            (self.numbers[k], self.names[k], language, rank, word)
            for language, topics in self.run.topics.items()
            for k, words in enumerate(topics)
            for rank, word in enumerate(words, 1)
        ]
        columns = ["topic", "name", "language", "rank", "word"]
        tables = {"topics": pd.DataFrame(rows, columns=columns)}
        for view, theta in self.placed.items():
            shares = pd.DataFrame(theta, columns=[f"topic_{k}" for k in self.numbers])
            tables[f"theta_{view}"] = pd.concat([self.items(view), shares], axis=1)
        if has_table(self.prepared):
            tables["documents"] = _of_one_kind(self.documents())
        paths = {name: Path(folder) / f"{name}.{kind}" for name in tables}
        for name, table in tables.items():
            with atomic(paths[name]) as temporary:
                write = table.to_csv if kind == "csv" else table.to_parquet
                write(temporary, index=False)
        return list(paths.values())

    def documents(self) -> "DataFrame":
        """Return the user's table, row by row, with the largest topic of each row's text and first
        picture: columns ``<view>_topic``, ``<view>_topic_name`` and ``<view>_share``.
        """
        table, every = own_table(self.prepared), read_tuples(self.prepared)
        frame = every.drop_duplicates("row").set_index("row")
        for view, theta in self.placed.items():
            key = "image_id" if view == PICTURES else "article_id"
            number = {item: i for i, item in enumerate(items(every, view)[key])}
            there = frame[frame["image_id" if view == PICTURES else f"{view}_text"].notna()]
            place = there[key].map(number)
            best = theta[place].argmax(axis=1)
            about = {"topic": [self.numbers[k] for k in best], "share": theta[place, best].round(4)}
            about["topic_name"] = [self.names[k] for k in best]
            for what in ("topic", "topic_name", "share"):
                own = dict(zip(there.index, about[what], strict=True))
                table[f"{view}_{what}"] = table.index.map(own)
            table[f"{view}_topic"] = table[f"{view}_topic"].astype("Int64")
        return table


def _of_one_kind(table: "DataFrame") -> "DataFrame":
    """Write the cells of columns that hold values of several kinds as text, as Parquet needs."""
    for column in table.columns:
        if table[column].dtype == object and table[column].dropna().map(type).nunique() > 1:
            texts = table[column].map(str)
            table[column] = texts.where(table[column].notna(), None)
    return table


def evenness(theta: np.ndarray) -> np.ndarray:
    """Compute the entropy of each item's topics (M, K) over ln K: (M,) in [0, 1]."""
    entropy = -(theta * np.log(np.maximum(theta, 1e-12))).sum(axis=1)
    return entropy / np.log(max(2, theta.shape[1]))


def _length(text: str) -> int:
    """Count the words of a text; of one without blanks, two letters for a word."""
    return len(text) // 2 if words_of_text.UNSPACED.search(text) else len(text.split())


def _beginning(text: str, words: int) -> str:
    """Take the first words of a text, counted as `_length` does."""
    if words_of_text.UNSPACED.search(text):
        return text[: 2 * words]
    return " ".join(text.split()[:words])


def compare(a: Learnt, b: Learnt, moved: int = 5) -> "tuple[DataFrame, DataFrame]":
    """Match the topics of two runs one to one, on the items that both have placed, and find the
    items that moved most.

    Topics are matched so that the shares of items correlate most (Kuhn 1955), over the views that
    both read. The first table has a row a matched pair; the second the ``moved`` items of each view
    whose divergence between the two, in nats, is largest once topics are matched. `DataError` if
    the runs share no view, no language, or fewer than two items.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    from m3l.metrics import jensen_shannon

    views = [view for view in a.run.theta if view in b.run.theta]
    require(len(views) > 0, "the two runs share no view", DataError)
    names, shares = {}, {}
    for view in views:
        key = "picture" if view == PICTURES else "article"
        of_a, of_b = a.items(view).reset_index(), b.items(view).reset_index()
        both = of_a.merge(of_b, on=key, suffixes=("", "_b"))
        names[view] = both["name"]
        shares[view] = a.placed[view][both["index"]], b.placed[view][both["index_b"]]
    x, y = (np.vstack([shares[view][place] for view in views]) for place in (0, 1))
    require(len(x) > 1, "the two runs have placed fewer than two items in common", DataError)
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
        both = [theta[:, chosen] for theta, chosen in zip(shares[view], (own, other), strict=True)]
        first, second = (s / np.maximum(s.sum(axis=1, keepdims=True), 1e-12) for s in both)
        divergence = jensen_shannon(first, second)
        for item in np.argsort(-divergence, kind="stable")[:moved]:
            moved_item = {"view": view, "name": names[view][item]}
            rows.append(moved_item | {"divergence": float(divergence[item])})
    return matched, pd.DataFrame(rows)
