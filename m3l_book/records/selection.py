"""Run records chosen: those of a folder, of a corpus, of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from m3l.corpus import Corpus
from m3l.errors import DataError, require

from ..data.prepared import assemble, embedding_card
from ..data.schema import PICTURES
from ..variants import Contender, contender_of
from .run import Run, load_run

MAIN = ("ZeroshotTM", "M3L-Contrast")
PAPER_MODELS = ("PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast")


def load_runs(folder: str | Path, names: Sequence[str] = ()) -> list[Run]:
    """The named run records in ``folder``, or all.

    Raises
    ------
    DataError
        There is none, or one is missing or broken.
    """
    names = list(names) or sorted(path.parent.name for path in Path(folder).glob("*/metrics.json"))
    advice = "train one with book/04-training.ipynb"
    require(len(names) > 0, f"runs={str(folder)!r}: no run record there; {advice}", DataError)
    return [load_run(f"{folder}/{name}") for name in names]


def with_variants(runs: Sequence[Run], variants: Mapping[str, Sequence[Mapping]]) -> list[Run]:
    """The runs, and each again in the further variants that it stands for.

    M3L-Contrast as the tables have it stands for the variant ``{"topics": 100}`` too.
    """
    names = {run.folder.name for run in runs}
    for name in variants:
        require(name in names, f"variants: no run is called {name!r}")
    every = []
    for run in runs:
        every.append(run)
        for variant in variants.get(run.folder.name, ()):
            every.append(replace(run, params={**run.params, "variant": dict(variant)}))
    return every


def main_runs(runs: Sequence[Run]) -> list[Run]:
    """The models of the paper as its tables have them: no variant of them, and no other model."""
    main = {Contender(model) for model in PAPER_MODELS}
    return [run for run in runs if contender_of(run.params) in main]


def corpus_of(run: Run) -> tuple:
    """What runs must share to be compared: corpus and encoders."""
    return run.params["corpus"], tuple(sorted(run.params["encoders"].items()))


def test_corpora(runs: Sequence[Run], data: str) -> dict[tuple, Corpus]:
    """The test corpus of each group of comparable runs, loaded once, by `corpus_of`.

    Raises
    ------
    DataError
        A run was made from other data than the folder holds now: its topics are of other items.
    """
    corpora: dict[tuple, Corpus] = {}
    prints: dict[tuple, str] = {}
    for run in runs:
        key, name = corpus_of(run), run.params["corpus"]
        if key not in corpora:
            prepared, embeddings = f"{data}/prepared/{name}", f"{data}/embeddings/{name}"
            corpora[key] = assemble(prepared, embeddings, run.params["encoders"])
            prints[key] = corpora[key].fingerprint()
        require(
            run.metrics["data"] == prints[key],
            f"{run.folder}: made from other data than {data} holds now; train it again, or leave "
            "it out with run_names",
            DataError,
        )
    return {key: corpus.part("test") for key, corpus in corpora.items()}


def home_of(run: Run) -> str:
    """The view whose network reads the others; "" for a joint model.

    A ZeroshotTM's is the one it was trained on, a student's its teacher's.
    """
    views, trained = list(run.params["encoders"]), run.params["train_views"]
    if run.params.get("teacher"):
        return next(view for view in views if view not in trained)
    return trained[0] if len(trained) == 1 else ""


def has_pictures(run: Run) -> bool:
    """Whether a run was trained with pictures."""
    return PICTURES in run.params["train_views"]


def setting_of(run: Run) -> str:
    """The setting of Section 4.2 that a joint model was trained in; "" for others, which have both.

    ``multilingual``, or ``multimodal`` if it was trained with pictures.
    """
    if home_of(run):
        return ""
    return "multimodal" if has_pictures(run) else "multilingual"


def roles(test: Corpus) -> dict[str, str]:
    """The part each view plays in the paper's terms.

    The first language is its ``en``, the second its ``de``; pictures are its ``image``.
    """
    languages = dict(zip(test.text_views, ("en", "de"), strict=False))
    return languages | dict.fromkeys(test.picture_views, "image")


def languages_of(role: Mapping[str, str]) -> list[str]:
    """The two views that play the paper's ``en`` and ``de``; ``role`` is `roles`'."""
    return [view for view, part in role.items() if part in ("en", "de")]


def widest(tests: Mapping[tuple, Corpus]) -> dict[str, Corpus]:
    """The test corpus with most views, by name; ``tests`` is `test_corpora`'s."""
    by_width = sorted(tests.items(), key=lambda entry: len(entry[1].views))
    return {corpus: test for (corpus, _), test in by_width}


def roles_by_corpus(tests: Mapping[tuple, Corpus]) -> dict[str, dict[str, str]]:
    """`roles` of each corpus, from the test corpus with most views."""
    return {corpus: roles(test) for corpus, test in widest(tests).items()}


def runs_of_texts(runs: Sequence[Run], corpus: str, model: str, language: str = "") -> list[Run]:
    """The runs of a model on a corpus as the main tables have it: of texts alone, or trained on
    ``language``.

    Raises
    ------
    DataError
        There is none.
    """
    chosen = []
    for run in runs:
        about, trained = run.params, run.params["train_views"]
        wanted = [language] if language else [v for v in about["encoders"] if v != PICTURES]
        same = (about["corpus"], about["model"], trained) == (corpus, model, wanted)
        if same and not about.get("variant"):
            chosen.append(run)
    nothing = f"corpus {corpus}: no run of {model} of {language or 'texts alone'} is there"
    require(len(chosen) > 0, nothing, DataError)
    return chosen


def comparable(
    runs: Sequence[Run], corpus: str, contenders: Sequence[Contender], seed: int
) -> list[Run]:
    """The records of one corpus and seed of these contenders, in their order.

    Of joint models it is the one with most views.
    """
    chosen = []
    for contender in contenders:
        same = [
            run
            for run in runs
            if contender_of(run.params) == contender
            and (run.params["corpus"], run.params["seed"]) == (corpus, seed)
        ]
        chosen += [run for run in same if home_of(run)]
        joint = [run for run in same if not home_of(run)]
        chosen += sorted(joint, key=lambda run: -len(run.theta))[:1]
    return chosen


def joint_model(runs: Sequence[Run], corpus: str) -> Run:
    """The M3L-Contrast of a corpus as its tables have it, of the most views; its first seed."""
    own = [
        run
        for run in main_runs(runs)
        if (run.params["corpus"], run.params["model"]) == (corpus, "M3L-Contrast")
    ]
    require(bool(own), f"corpus {corpus!r}: no run of M3L-Contrast is here", DataError)
    return max(own, key=lambda run: len(run.params["encoders"]))


def encoders_of(run: Run) -> str:
    """A run's encoders in a few words, each once, in the order of its views."""
    return " + ".join(dict.fromkeys(run.params["encoders"].values()))


def spaces_of(run: Run, data: str) -> dict[str, str]:
    """The space that each view of a run was encoded into: equal ones are aligned."""
    folder = f"{data}/embeddings/{run.params['corpus']}"
    encoders = run.params["encoders"].items()
    return {view: embedding_card(folder, view, encoder)["space"] for view, encoder in encoders}
