"""How a run is made and looked at: on which tuples it trains, which model reads which view, when it
is looked at on the way.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from m3l.corpus import Corpus
from m3l.errors import DataError, check_values, require
from m3l.loss import Objective
from m3l.metrics.assessment import evaluate, readers
from m3l.model import M3L
from m3l.variants import objective_for

from ..data.dictionary import title_dictionary
from ..data.prepared import views_of
from ..data.schema import PICTURES
from .run import Teacher, load_model

STUDENT = {"floor": -2.0, "words_of": ""}
PROTOCOL = {
    "whole_tuples": False,  # train on tuples that have every view alone
    "one_picture": False,  # train on one tuple of each article, drawn once for all runs
    "articles": 0,  # train on so many articles, drawn once for all runs; 0 for all
    "start": "",  # folder of a run whose weights training goes on from
    "samples": 20,  # of the posterior at inference
    "validate_every": 0,  # epochs between looks at the validation part; 0 for never
    "tokens": 1.0,  # share of its words that each document keeps
    "vocabulary": 0,  # how many of the most frequent words count; 0 for all
    "a_to_z": False,  # count only words that these letters spell, as the released code does
    "one_state": False,  # read PLTM off one state of its sampler
}
LEAST = {"articles": 0, "samples": 1, "validate_every": 0, "vocabulary": 0}


def student_options(given: Mapping) -> dict:
    """Complete what a student is taught with: ``floor`` of the prior's log-variance, ``words_of``
    the language that lends its words.
    """
    return STUDENT | check_values({name: type(of) for name, of in STUDENT.items()}, dict(given))


def protocol_options(given: Mapping) -> dict:
    """Complete what a run's ``protocol`` says with what it leaves out: `PROTOCOL`."""
    kinds = {name: type(usual) for name, usual in PROTOCOL.items()}
    chosen = PROTOCOL | check_values(kinds, dict(given))
    for name, least in LEAST.items():
        require(chosen[name] >= least, f"{name}={chosen[name]}: expected {least} or more")
    require(0 < chosen["tokens"] <= 1, f"tokens={chosen['tokens']}: expected above 0, at most 1")
    return chosen


def objective_of(name: str, changes: Mapping, folder: str) -> Objective:
    """Return a run's objective: a preset with changes. One that contrasts the words of a dictionary
    gets it from the titles of the prepared corpus in ``folder``.
    """
    chosen = objective_for(name, **changes)
    if not getattr(chosen, "words_weight", 0) or chosen.dictionary:
        return chosen
    languages = [view for view in views_of(folder) if view != PICTURES][:2]
    return replace(chosen, dictionary=tuple(title_dictionary(folder, languages)))


def words_read(corpus: Corpus, protocol: Mapping) -> Corpus:
    """Return the corpus with the words that a run may count, as ``protocol`` says.

    Tokens are drawn at random, once for all runs. A document that would be left without any keeps
    one token of its most frequent word.
    """
    if protocol["tokens"] == 1 and not protocol["vocabulary"] and not protocol["a_to_z"]:
        return corpus
    rng, views, train = np.random.default_rng(0), dict(corpus.views), corpus.part("train")
    for name in corpus.text_views:
        frequency = np.asarray(train.views[name].bow.sum(axis=0)).ravel()
        common = np.argsort(np.argsort(-frequency, kind="stable"), kind="stable")
        bow = views[name].bow.copy()
        kept = rng.binomial(bow.data, protocol["tokens"]).astype(bow.dtype)
        kept[common[bow.indices] >= (protocol["vocabulary"] or len(common))] = 0
        if protocol["a_to_z"]:
            plain = [re.fullmatch("[a-z]{2,}", word) is not None for word in views[name].vocabulary]
            kept[~np.array(plain)[bow.indices]] = 0
        for begin, end in zip(bow.indptr, bow.indptr[1:], strict=False):
            if not kept[begin:end].any():
                kept[begin + np.argmin(common[bow.indices[begin:end]])] = 1
        bow.data = kept
        bow.eliminate_zeros()
        views[name] = replace(views[name], bow=bow)
    return replace(corpus, views=views)


def training_part(train: Corpus, protocol: Mapping, views: Sequence[str]) -> Corpus:
    """Return the tuples of the training part that a run learns from; `ParameterError` if there are
    fewer articles than ``protocol`` asks for.
    """
    chosen = train.having(views) if protocol["whole_tuples"] else train
    if protocol["one_picture"]:
        order = np.random.default_rng(0).permutation(len(chosen))
        first = np.unique(chosen.article_ids[order], return_index=True)[1]
        chosen = chosen.subset(np.isin(np.arange(len(chosen)), order[first]))
    wanted = protocol["articles"]
    if not wanted:
        return chosen
    known = np.unique(chosen.article_ids)
    require(wanted <= len(known), f"articles={wanted}: the training part has {len(known)}")
    drawn = np.random.default_rng(0).permutation(known)[:wanted]
    return chosen.subset(np.isin(chosen.article_ids, drawn))


def begin_from(model: M3L, folder: str) -> None:
    """Give a new model the weights of a trained one, in place: its networks, its scaling of inputs,
    and β of the words that both know; words that are new keep what they were begun with.

    Nothing is done with ``folder`` "". `DataError` if that run has no such model, or one of other
    topics, hidden layers, or networks for languages.
    """
    if not folder:
        return
    trained = load_model(Path(folder) / "model.safetensors")
    alike = isinstance(trained, M3L) and trained.topics == model.topics
    alike = alike and (trained.layers, trained.hidden) == (model.layers, model.hidden)
    alike = alike and trained.share_text_network == model.share_text_network
    of_texts = "one for all languages" if model.share_text_network else "one for each language"
    networks = f"{of_texts}, of {model.layers} hidden layer{'s' if model.layers > 1 else ''}"
    networks += f" of {model.hidden}"
    expected = f"a run of M3L-Contrast with {model.topics} topics and networks {networks}"
    other = f"start={folder!r}: expected {expected}"
    require(alike, f"{other}; train it anew", DataError)
    before = trained.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            kind, _, rest = name.partition(".")
            view = rest.partition(".")[0]
            if name not in before:
                continue
            if kind == "decoders" and value.dim() and view in trained.vocabularies:
                known = {word: i for i, word in enumerate(trained.vocabularies[view])}
                words = enumerate(model.vocabularies[view])
                pairs = [(i, known[word]) for i, word in words if word in known]
                here, there = map(list, zip(*pairs, strict=True)) if pairs else ([], [])
                value[..., here] = before[name][..., there]
            elif name in before and before[name].shape == value.shape:
                value.copy_(before[name])


def readers_of(
    model: M3L, test: Corpus, trained: Sequence[str], teacher: Teacher | None
) -> dict[str, tuple[M3L, str]]:
    """Return which model reads each view of the test part, with the network of which view.

    A view's own network where there is one; a student's teacher reads its own view; any other view
    is read zero-shot, with the network of the first view that was trained on.
    """
    own = test if teacher is None else test.select([v for v in test.views if v != teacher.view])
    chosen = {view: (model, network) for view, network in readers(model, own, trained[0]).items()}
    return chosen if teacher is None else chosen | {teacher.view: (teacher.model, teacher.view)}


def topics_of(
    readers: Mapping[str, tuple[M3L, str]], part: Corpus, protocol: Mapping, seed: int
) -> dict[str, np.ndarray]:
    """Return θ of a part's items, (M, K) by view; ``readers`` are `readers_of`'s."""
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
    """Return what `m3l.fit` takes to look at the validation part on the way, as ``protocol`` says.

    A look gives the score of each ordered pair of views as ``query>item``.
    """
    if validation is None or not protocol["validate_every"]:
        return {}

    def validate(_: M3L) -> dict[str, float]:
        rows = evaluate(topics_of(readers, validation, protocol, seed), validation)
        return {f"{row['query']}>{row['item']}": row["score"] for row in rows}

    return {"validate": validate, "validate_every": protocol["validate_every"]}
