"""Run records chosen: those of a folder, of a corpus, of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from m3l.corpus import Corpus
from m3l.errors import DataError, require

from ..data.prepared import assemble
from ..data.schema import PICTURES
from ..measured import Contender, contender_of
from .run import Run, load_run

MAIN = ("ZeroshotTM", "M3L-Contrast")
PAPER_MODELS = ("PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast")


def load_runs(folder: str | Path, names: Sequence[str] = ()) -> list[Run]:
    """Load the named run records in ``folder``, or all; `DataError` if there is none, or one is
    missing or broken.
    """
    names = list(names) or sorted(path.parent.name for path in Path(folder).glob("*/metrics.json"))
    advice = "train one with book/04-training.ipynb"
    require(len(names) > 0, f"runs={str(folder)!r}: no run record there; {advice}", DataError)
    return [load_run(f"{folder}/{name}") for name in names]


def with_variants(runs: Sequence[Run], variants: Mapping[str, Sequence[Mapping]]) -> list[Run]:
    """Return the runs, and each again in the further variants that it stands for: M3L-Contrast as
    the tables have it stands for the variant ``{"topics": 100}`` too.
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
    """Choose the models of the paper as its tables have them: no variant, and no other model."""
    main = {Contender(model) for model in PAPER_MODELS}
    return [run for run in runs if contender_of(run.params) in main]


def corpus_of(run: Run) -> tuple:
    """Return what runs must share to be compared: corpus and encoders."""
    return run.params["corpus"], tuple(sorted(run.params["encoders"].items()))


def test_corpora(runs: Sequence[Run], data: str) -> dict[tuple, Corpus]:
    """Load the test corpus of each group of comparable runs, by `corpus_of`; `DataError` if a run
    was made from other data than the folder holds now, so that its topics are of other items.
    """
    corpora: dict[tuple, Corpus] = {}
    prints: dict[tuple, str] = {}
    for run in runs:
        key, name = corpus_of(run), run.params["corpus"]
        if key not in corpora:
            prepared, embeddings = f"{data}/prepared/{name}", f"{data}/embeddings/{name}"
            corpora[key] = assemble(prepared, embeddings, run.params["encoders"])
            prints[key] = corpora[key].fingerprint()
        stale = f"{run.folder}: made from other data than {data} holds now"
        cure = "train it again, or leave it out with run_names"
        require(run.metrics["data"] == prints[key], f"{stale}; {cure}", DataError)
    return {key: corpus.part("test") for key, corpus in corpora.items()}


def home(trained: Sequence[str], views: Sequence[str], taught: bool) -> str:
    """Return the view whose network reads the others; "" for a joint model.

    A ZeroshotTM's is the one view it was ``trained`` on, that of a student (``taught``) its
    teacher's, which is the one of its ``views`` that it was not trained on.
    """
    if taught:
        return next(view for view in views if view not in trained)
    return trained[0] if len(trained) == 1 else ""


def home_of(run: Run) -> str:
    """Return `home` of a run."""
    params = run.params
    return home(params["train_views"], list(params["encoders"]), bool(params.get("teacher")))


def has_pictures(run: Run) -> bool:
    """Whether a run was trained with pictures."""
    return PICTURES in run.params["train_views"]


def roles(test: Corpus) -> dict[str, str]:
    """Return the part that each view plays in the paper's terms: its first language is ``en``, its
    second ``de``, pictures are ``image``.
    """
    languages = dict(zip(test.text_views, ("en", "de"), strict=False))
    return languages | dict.fromkeys(test.picture_views, "image")


def widest(tests: Mapping[tuple, Corpus]) -> dict[str, Corpus]:
    """Return the test corpus with most views, by name; ``tests`` is `test_corpora`'s."""
    by_width = sorted(tests.items(), key=lambda entry: len(entry[1].views))
    return {corpus: test for (corpus, _), test in by_width}


def roles_by_corpus(tests: Mapping[tuple, Corpus]) -> dict[str, dict[str, str]]:
    """Return `roles` of each corpus, from the test corpus with most views."""
    return {corpus: roles(test) for corpus, test in widest(tests).items()}


def runs_of_texts(runs: Sequence[Run], corpus: str, model: str, language: str = "") -> list[Run]:
    """Choose the runs of a model on a corpus as the main tables have it, of texts alone or trained
    on ``language``; `DataError` if there is none.
    """
    chosen = []
    for run in (run for run in runs if contender_of(run.params) == Contender(model)):
        wanted = [language] if language else [v for v in run.params["encoders"] if v != PICTURES]
        if (run.params["corpus"], run.params["train_views"]) == (corpus, wanted):
            chosen.append(run)
    nothing = f"corpus {corpus}: no run of {model} of {language or 'texts alone'} is there"
    require(len(chosen) > 0, nothing, DataError)
    return chosen


def seed_there(runs: Sequence[Run], corpus: str, seed: int) -> int:
    """Return the seed if a corpus has records of it, or else the least that it has."""
    seeds = {run.params["seed"] for run in runs if run.params["corpus"] == corpus}
    return seed if seed in seeds else min(seeds, default=seed)


def comparable(
    runs: Sequence[Run], corpus: str, contenders: Sequence[Contender], seed: int
) -> list[Run]:
    """Choose the records of one corpus and seed of these contenders, in their order; of joint
    models the one with most views.
    """
    own = [run for run in runs if (run.params["corpus"], run.params["seed"]) == (corpus, seed)]
    chosen = []
    for contender in contenders:
        same = [run for run in own if contender_of(run.params) == contender]
        chosen += [run for run in same if home_of(run)]
        joint = [run for run in same if not home_of(run)]
        chosen += sorted(joint, key=lambda run: -len(run.theta))[:1]
    return chosen


def joint_model(runs: Sequence[Run], corpus: str) -> Run:
    """Choose the M3L-Contrast of a corpus as its tables have it, the first of the most views."""
    who = Contender("M3L-Contrast")
    own = [r for r in runs if r.params["corpus"] == corpus and contender_of(r.params) == who]
    require(len(own) > 0, f"corpus {corpus!r}: no run of M3L-Contrast is here", DataError)
    return max(own, key=lambda run: len(run.params["encoders"]))
