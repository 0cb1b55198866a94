"""Run records chosen: those of a folder, of a corpus, of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from m3l.corpus import Corpus
from m3l.errors import DataError, require

from ..data.prepared import assemble, embedding_card
from .run import Run, load_run

MAIN = ("ZeroshotTM", "M3L-Contrast")


PAPER_MODELS = ("PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast")


def load_runs(folder, names: Sequence[str] = ()) -> list[Run]:
    """The named run records in ``folder``, or all; `DataError` if there is none."""
    names = list(names) or sorted(path.parent.name for path in Path(folder).glob("*/metrics.json"))
    require(
        len(names) > 0,
        f"runs={str(folder)!r}: no run record there; train one with chapter 4",
        DataError,
    )
    return [load_run(f"{folder}/{name}") for name in names]


def with_labels(runs: Sequence[Run], labels: Mapping[str, Sequence[str]]) -> list[Run]:
    """The runs, and each again under the other names that ``labels`` gives it: "M3L-Contrast, 100
    topics" is M3L-Contrast as the tables have it.
    """
    for name in labels:
        require(any(run.folder.name == name for run in runs), f"labels: no run is called {name!r}")
    return [
        named
        for run in runs
        for named in (
            run,
            *(
                replace(run, params={**run.params, "model": label})
                for label in labels.get(run.folder.name, [])
            ),
        )
    ]


def corpus_of(run: Run) -> tuple:
    """What runs must share to be compared: corpus and encoders."""
    return run.params["corpus"], tuple(sorted(run.params["encoders"].items()))


def test_corpora(runs: Sequence[Run], data: str) -> dict[tuple, Corpus]:
    """The test corpus of each group of comparable runs, loaded once, by `corpus_of`.

    A run made from other data than the folder holds now is a `DataError`: its topics are of other
    items.
    """
    found, now = {}, {}
    for run in runs:
        if corpus_of(run) not in found:
            name = run.params["corpus"]
            found[corpus_of(run)] = assemble(
                f"{data}/prepared/{name}", f"{data}/embeddings/{name}", run.params["encoders"]
            )
            now[corpus_of(run)] = found[corpus_of(run)].fingerprint()
        require(
            run.metrics["data"] == now[corpus_of(run)],
            f"{run.folder}: made from other data than {data} holds now; train it again, or leave it"
            " out with run_names",
            DataError,
        )
    return {key: corpus.part("test") for key, corpus in found.items()}


def home_of(run: Run) -> str:
    """The view whose network reads the others: a ZeroshotTM's own, of a student its teacher's; ""
    for a joint model.
    """
    views, trained = list(run.params["encoders"]), run.params["train_views"]
    if run.params.get("teacher"):
        return next(v for v in views if v not in trained)
    return trained[0] if len(trained) == 1 else ""


def roles(test: Corpus) -> dict[str, str]:
    """The part each view plays in the paper's terms: the first language is its ``en``, the second
    its ``de``.
    """
    return dict(zip(test.text_views, ("en", "de"), strict=False)) | {
        v: v for v in test.views if v == "image"
    }


def widest(tests: Mapping[tuple, Corpus]) -> dict[str, Corpus]:
    """The test corpus with most views, by name; ``tests`` is `test_corpora`'s."""
    return {
        corpus: test
        for (corpus, _), test in sorted(tests.items(), key=lambda entry: len(entry[1].views))
    }


def roles_by_corpus(tests: Mapping[tuple, Corpus]) -> dict[str, dict[str, str]]:
    """`roles` of each corpus, from the test corpus with most views."""
    return {corpus: roles(test) for corpus, test in widest(tests).items()}


def comparable(runs: Sequence[Run], corpus: str, models: Sequence[str], seed: int) -> list[Run]:
    """The records of one corpus and seed of these models, in the models' order; of joint models
    those with most views.
    """
    found = []
    for model in models:
        same = [
            run
            for run in runs
            if (run.params["corpus"], run.params["model"], run.params["seed"])
            == (corpus, model, seed)
        ]
        joint = [run for run in same if not home_of(run)]
        found += [run for run in same if home_of(run)] + sorted(
            joint, key=lambda run: -len(run.theta)
        )[:1]
    return found


def trained_with_pictures(runs: Sequence[Run], corpus: str) -> list[Run]:
    """The M3L-Contrast models of a corpus that were trained with pictures, a network a view,
    whatever their encoders.
    """
    return [
        run
        for run in runs
        if run.params["corpus"] == corpus
        and run.params["model"].partition(",")[0] == "M3L-Contrast"
        and "image" in run.params["train_views"]
        and not run.params.get("share_text_network")
    ]


def encoders_of(run: Run) -> str:
    """A run's encoders in a few words, each once, in the order of its views."""
    return " + ".join(dict.fromkeys(run.params["encoders"].values()))


def spaces_of(run: Run, data: str) -> dict[str, str]:
    """The space that each view of a run was encoded into: equal ones are aligned."""
    name = run.params["corpus"]
    return {
        view: embedding_card(f"{data}/embeddings/{name}", view, encoder)["space"]
        for view, encoder in run.params["encoders"].items()
    }


def training_tuples(run: Run) -> int:
    """How many tuples a run was trained on."""
    return round(
        run.metrics["tuples_per_second"]
        * run.metrics["seconds"]
        / run.params.get("epochs", run.params.get("sweeps"))
    )
