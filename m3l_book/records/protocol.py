"""How a run is made and looked at: on which tuples it trains, which model reads which view, when it
is looked at on the way.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import check_values, require
from m3l.metrics.assessment import evaluate, readers
from m3l.model import M3L

from .run import Teacher


def student_options(given: Mapping) -> dict:
    """What a student is taught with: ``floor`` of the prior's log-variance, and ``words_of``."""
    checked = check_values({"floor": float, "words_of": str}, dict(given))
    return {"floor": -2.0, "words_of": "", **checked}


def protocol_options(given: Mapping) -> dict:
    """What a run's ``protocol`` says, with what it leaves out.

    ``whole_tuples``: train on tuples that have every view alone. ``articles``: train on so many
    articles, drawn once for all runs; 0 for all. ``samples`` of the posterior at inference.
    ``validate_every`` so many epochs; 0 for never.
    """
    kinds = {"whole_tuples": bool, "articles": int, "samples": int, "validate_every": int}
    checked = check_values(kinds, dict(given))
    chosen = {"whole_tuples": False, "articles": 0, "samples": 20, "validate_every": 0, **checked}
    for name, least in (("articles", 0), ("samples", 1), ("validate_every", 0)):
        require(chosen[name] >= least, f"{name}={chosen[name]}: expected {least} or more")
    return chosen


def training_part(train: Corpus, protocol: Mapping, views: Sequence[str]) -> Corpus:
    """The tuples of the training part that a run learns from; ``protocol`` is
    `protocol_options`'.

    Raises
    ------
    ParameterError
        More articles are asked for than there are.
    """
    chosen = train.having(views) if protocol["whole_tuples"] else train
    wanted = protocol["articles"]
    if not wanted:
        return chosen
    known = np.unique(chosen.article_ids)
    require(wanted <= len(known), f"articles={wanted}: the training part has {len(known)}")
    drawn = np.random.default_rng(0).permutation(known)[:wanted]
    return chosen.subset(np.isin(chosen.article_ids, drawn))


def readers_of(
    model: M3L, test: Corpus, trained: Sequence[str], teacher: Teacher | None
) -> dict[str, tuple[M3L, str]]:
    """Which model reads each view of the test part, and with the network of which view.

    A view's own network where there is one; a student's teacher reads its own view; any other view
    is read zero-shot, with the network of the first view that was trained on.
    """
    own = test if teacher is None else test.select([v for v in test.views if v != teacher.view])
    chosen = {view: (model, network) for view, network in readers(model, own, trained[0]).items()}
    return chosen if teacher is None else chosen | {teacher.view: (teacher.model, teacher.view)}


def topics_of(
    readers: Mapping[str, tuple[M3L, str]], part: Corpus, protocol: Mapping, seed: int
) -> dict[str, np.ndarray]:
    """θ of a part's items, (M, K) by view; ``readers`` are `readers_of`'s, ``protocol`` is
    `protocol_options`'.
    """
    return {
        view: readers[view][0].infer(items.embeddings, readers[view][1], protocol["samples"], seed)
        for view, items in part.views.items()
    }


def looks(
    readers: Mapping[str, tuple[M3L, str]],
    validation: Corpus | None,
    protocol: Mapping,
    seed: int,
) -> dict:
    """What `m3l.fit` takes to look at the validation part on the way, as ``protocol`` says.

    A look gives the score of each ordered pair of views as ``query>item``.
    """
    if validation is None or not protocol["validate_every"]:
        return {}

    def validate(_: M3L) -> dict[str, float]:
        rows = evaluate(topics_of(readers, validation, protocol, seed), validation)
        return {f"{row['query']}>{row['item']}": row["score"] for row in rows}

    return {"validate": validate, "validate_every": protocol["validate_every"]}
