import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import columns, make_corpus, same_weights

from m3l import (
    PRESETS,
    Corpus,
    DataError,
    Objective,
    ParameterError,
    TrainConfig,
    View,
    ViewSpec,
    fit,
    model_for,
)
from m3l.distillation import taught_part, teacher_prior
from m3l.fused import FusedStep
from m3l.loss import Batch, gaussian_kl
from m3l.metrics import jensen_shannon
from m3l.model import M3L

ZEROSHOT = PRESETS["zeroshot"]
TOPICS = 4  # as many as make_corpus plants


def config(epochs=3, **options):
    return TrainConfig(**{"epochs": epochs, "batch_size": 16, "device": "cpu", **options})


def untrained(corpus, view, topics=TOPICS, **options):
    return model_for(corpus.select([view]), topics, hidden=16, **options)


def train(model, corpus, prior=None, checkpoint=None, objective=ZEROSHOT, **options):
    return fit(
        model,
        corpus.select(list(model.views)),
        objective,
        config(**options),
        checkpoint,
        progress=False,
        prior=prior,
    )


@pytest.fixture(scope="module")
def lesson():
    """A corpus and a teacher that has learnt its English documents."""
    corpus = make_corpus(n=200, dimension=16)
    teacher = model_for(corpus.select(["en"]), TOPICS)
    train(teacher, corpus, epochs=40)
    return corpus, teacher


# the teacher's prior


def test_the_prior_is_the_teachers_posterior_of_each_tuples_document(lesson):
    corpus, teacher = lesson
    en = corpus.views["en"]
    index = np.random.default_rng(0).integers(50, size=200)
    index[:50] = np.arange(50)
    few = View("en", en.embeddings[:50], index, en.item_ids[:50], en.bow[:50], en.vocabulary)
    shared = Corpus(
        "shared", {**corpus.views, "en": few}, corpus.tuple_ids, corpus.article_ids, corpus.split
    )
    mean, log_variance = teacher_prior(teacher, shared, "en", floor=-np.inf)
    assert (
        mean.shape == log_variance.shape == (200, TOPICS)
        and mean.dtype == log_variance.dtype == np.float32
    )
    expected = teacher.posterior(en.embeddings[:50], "en")
    for row in range(200):
        np.testing.assert_array_equal(mean[row], expected[0][index[row]])
        np.testing.assert_array_equal(log_variance[row], expected[1][index[row]])


@pytest.mark.parametrize("floor", [-0.5, 0, None])
def test_a_floor_bounds_the_variance_of_the_prior_and_nothing_else(lesson, floor):
    corpus, teacher = lesson
    mean, log_variance = teacher.posterior(corpus.views["en"].embeddings, "en")
    actual = (
        teacher_prior(teacher, corpus, "en")
        if floor is None
        else teacher_prior(teacher, corpus, "en", floor)
    )
    least = -2.0 if floor is None else floor
    np.testing.assert_array_equal(actual[0], mean)
    np.testing.assert_array_equal(
        actual[1], np.where(log_variance < least, np.float32(least), log_variance)
    )
    assert (
        actual[1].dtype == np.float32
        and (floor is None or (log_variance < floor).any())
        and (log_variance > least).any()
    )


def test_a_floor_that_is_no_number_is_refused(lesson):
    corpus, teacher = lesson
    with pytest.raises(ParameterError, match="floor=nan"):
        teacher_prior(teacher, corpus, "en", floor=float("nan"))


def test_a_student_learns_from_the_tuples_that_it_and_its_teacher_can_read(lesson):
    corpus, teacher = lesson
    english, image = (corpus.views[v].index.copy() for v in ("en", "image"))
    english[:10] = -1
    image[5:50] = -1
    image[60] = image[61]  # one picture of two documents: the first document's prior counts
    views = {
        "en": replace(corpus.views["en"], index=english),
        "image": replace(corpus.views["image"], index=image),
        "de": corpus.views["de"],
    }
    some = Corpus("some", views, corpus.tuple_ids, corpus.article_ids, corpus.split)
    part, (mean, log_variance) = taught_part(teacher, some, "en", ["image"], floor=-2.0)
    assert list(part.views) == ["image"]
    kept = [i for i in range(50, 200) if i != 61]
    assert part.tuple_ids.tolist() == [f"t{i}" for i in kept]
    expected = teacher.posterior(corpus.views["en"].embeddings, "en")
    # a matrix product of other rows may round otherwise
    np.testing.assert_allclose(mean, expected[0][kept], rtol=1e-6, atol=1e-7)
    floored = np.maximum(expected[1][kept], np.float32(-2))
    np.testing.assert_allclose(log_variance, floored, rtol=1e-6, atol=1e-7)


def test_the_posterior_is_what_the_network_says_of_a_document_in_evaluation(lesson):
    corpus, teacher = lesson
    x = corpus.views["en"].embeddings
    with torch.no_grad():
        mean, log_variance = teacher.encode("en", torch.from_numpy(x))
    for batch_size in (1, 7, 1000):
        actual = teacher.posterior(x, "en", batch_size)
        np.testing.assert_allclose(actual[0], mean, atol=1e-5)
        np.testing.assert_allclose(actual[1], log_variance, atol=1e-5)
    assert [array.shape for array in teacher.posterior(x[:0], "en")] == [(0, TOPICS)] * 2


@pytest.mark.parametrize("training", [True, False])
def test_a_teachers_posterior_knows_no_dropout_and_leaves_the_teacher_as_it_was(lesson, training):
    corpus, _ = lesson
    teacher = untrained(corpus, "en", dropout=0.5)
    teacher.train(training)
    before, rng = {k: v.clone() for k, v in teacher.state_dict().items()}, torch.get_rng_state()
    first, second = (teacher.posterior(corpus.views["en"].embeddings, "en") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(
        first, teacher.eval().posterior(corpus.views["en"].embeddings, "en")
    )
    teacher.train(training)
    teacher_prior(teacher, corpus, "en")
    assert teacher.training == training and all(
        module.training == training for module in teacher.modules()
    )
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items()) and torch.equal(
        torch.get_rng_state(), rng
    )


def test_a_teacher_that_fails_is_left_in_its_mode(lesson):
    corpus, _ = lesson
    teacher = untrained(corpus, "en").train()
    with pytest.raises(DataError, match=r"view 'en': .* got float64"):
        teacher.posterior(corpus.views["en"].embeddings.astype(np.float64), "en")
    assert teacher.training


def test_tuples_without_the_teachers_view_are_refused_naming_the_first(lesson):
    corpus, teacher = lesson
    index = corpus.views["en"].index.copy()
    index[[4, 9]] = -1
    some = Corpus(
        "gaps",
        {**corpus.views, "en": replace(corpus.views["en"], index=index)},
        corpus.tuple_ids,
        corpus.article_ids,
        corpus.split,
    )
    with pytest.raises(DataError, match=r"corpus gaps: 2 tuples lack view 'en', .* row \[?4"):
        teacher_prior(teacher, some, "en")


def test_a_view_that_corpus_or_teacher_does_not_have_is_named(lesson):
    corpus, teacher = lesson
    with pytest.raises(ParameterError, match="view='fr' is unknown; valid: de, en, image"):
        teacher_prior(teacher, corpus, "fr")
    with pytest.raises(ParameterError, match="view='de' is unknown; valid: en"):
        teacher_prior(teacher, corpus, "de")


# learning from it


@pytest.mark.parametrize("view", ["image", "de"])
def test_a_student_learns_its_teachers_topics(lesson, view):
    corpus, teacher = lesson
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    student, prior = model_for(corpus.select([view]), TOPICS), teacher_prior(teacher, corpus, "en")
    aim = teacher.infer(corpus.views["en"].embeddings, "en", samples=100)

    def distance():
        return jensen_shannon(
            student.infer(corpus.views[view].embeddings, view, samples=100), aim
        ).mean()

    at_first = distance()
    history = train(student, corpus, prior, epochs=40)
    assert set(history[0]) == {"epoch", "seconds", "kl", "loss"} | (
        {"reconstruction"} if view == "de" else set()
    )
    assert history[-1]["kl"] < 0.5 * history[0]["kl"]
    assert distance() < 0.3 * at_first
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())
    for row in history:
        assert row["loss"] == pytest.approx(
            sum(row.get(name, 0) for name in ("kl", "reconstruction"))
        )


def test_topics_of_the_same_number_are_the_same_for_student_and_teacher(lesson):
    """A student without a teacher finds topics of its own, in an order of its own."""
    corpus, teacher = lesson
    aim = teacher.infer(corpus.views["en"].embeddings, "en").argmax(axis=1)
    agreement = {}
    for name, prior in (("student", teacher_prior(teacher, corpus, "en")), ("alone", None)):
        model = model_for(corpus.select(["de"]), TOPICS, seed=1)
        train(model, corpus, prior, epochs=40)
        agreement[name] = (
            model.infer(corpus.views["de"].embeddings, "de").argmax(axis=1) == aim
        ).mean()
    assert agreement["student"] > 0.8 > 0.6 > agreement["alone"]


def test_the_learnt_prior_of_a_student_is_left_alone(lesson):
    corpus, teacher = lesson
    student = untrained(corpus, "image")
    before = student.prior_mean.clone(), student.prior_log_variance.clone()
    train(student, corpus, teacher_prior(teacher, corpus, "en"))
    assert torch.equal(student.prior_mean, before[0]) and torch.equal(
        student.prior_log_variance, before[1]
    )


def test_a_student_of_several_views_trains_where_tuples_lack_them(lesson):
    corpus, teacher = lesson
    views = dict(corpus.views)
    for name, gone in (("de", range(60)), ("image", range(40, 100))):
        index = views[name].index.copy()
        index[list(gone)] = -1
        views[name] = replace(views[name], index=index)
    some = Corpus("gaps", views, corpus.tuple_ids, corpus.article_ids, corpus.split)
    prior = teacher_prior(teacher, some, "en")
    student = model_for(some.select(["en", "de", "image"]), TOPICS, hidden=16)
    history = train(
        student, some, prior, objective=replace(ZEROSHOT, contrastive_weight=1.0), epochs=5
    )
    assert set(history[0]) == {"epoch", "seconds", "reconstruction", "kl", "contrastive", "loss"}
    assert (
        all(np.isfinite(list(row.values())).all() for row in history)
        and history[-1]["kl"] < history[0]["kl"]
    )


# the term, by hand


def kl_by_hand(mean, log_variance, prior_mean, prior_log_variance):
    total = 0.0
    for m, s, pm, ps in zip(
        *(
            np.asarray(t, dtype=np.float64).ravel()
            for t in (mean, log_variance, prior_mean, prior_log_variance)
        ),
        strict=True,
    ):
        total += 0.5 * (np.exp(s) / np.exp(ps) + (m - pm) ** 2 / np.exp(ps) - 1 - s + ps)
    return total


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_each_view_is_held_against_the_prior_of_its_own_tuples(weight):
    torch.manual_seed(0)
    model = M3L(
        [ViewSpec("en", 5, 7), ViewSpec("de", 4), ViewSpec("image", 3)], 3, dropout=0.0
    ).train()
    present = {
        "de": torch.tensor([True, False, True, True, False]),
        "image": torch.tensor([False, False, True, True, True]),
    }
    x = {"en": torch.randn(5, 5), "de": torch.randn(3, 4), "image": torch.randn(3, 3)}
    prior = torch.randn(5, 3), torch.randn(5, 3)
    with torch.no_grad():
        encoded = {
            name: model.encode(name, value) for name, value in x.items()
        }  # in training: normalised over the same batch
    objective = replace(ZEROSHOT, kl_weight=weight)
    terms = objective(model, Batch(x, {}, present, prior))
    rows = {"en": [0, 1, 2, 3, 4], "de": [0, 2, 3], "image": [2, 3, 4]}
    expected = sum(gaussian_kl(*encoded[name], *(p[rows[name]] for p in prior)).sum() for name in x)
    assert set(terms) == {"kl"}
    torch.testing.assert_close(terms["kl"], weight * expected)
    by_hand = sum(kl_by_hand(*encoded[name], *(p[rows[name]] for p in prior)) for name in x)
    assert terms["kl"].item() == pytest.approx(weight * by_hand, rel=1e-5)
    terms["kl"].backward()
    assert model.prior_mean.grad is None and model.prior_log_variance.grad is None
    assert model.networks["image"].posterior.weight.grad.abs().sum() > 0


def test_the_models_own_prior_given_as_the_prior_is_the_same_term():
    torch.manual_seed(0)
    model = M3L([ViewSpec("en", 5, 7), ViewSpec("image", 3)], 3, dropout=0.0)
    present = {"image": torch.tensor([True, False, True, True])}
    x, bow = {"en": torch.randn(4, 5), "image": torch.randn(3, 3)}, {"en": torch.ones(4, 7)}
    own = tuple(p.detach().expand(4, 3) for p in (model.prior_mean, model.prior_log_variance))
    torch.testing.assert_close(
        ZEROSHOT(model, Batch(x, bow, present, own))["kl"],
        ZEROSHOT(model, Batch(x, bow, present))["kl"],
    )
    assert set(ZEROSHOT(model, Batch(x, bow, present, own))) == {"reconstruction", "kl"}


def test_a_student_that_says_what_its_teacher_says_has_no_divergence():
    torch.manual_seed(0)
    model = M3L([ViewSpec("image", 3)], 4, dropout=0.0)
    x = {"image": torch.randn(6, 3)}
    with torch.no_grad():
        itself = model.encode("image", x["image"])
    assert ZEROSHOT(model, Batch(x, {}, {}, itself))["kl"].item() == pytest.approx(0, abs=1e-5)


# checkpoints


@pytest.mark.parametrize("view", ["image", "de"])
def test_a_resumed_student_is_bit_identical_to_one_never_interrupted(
    tmp_path, monkeypatch, lesson, view
):
    corpus, teacher = lesson
    prior = teacher_prior(teacher, corpus, "en")
    options = {"epochs": 5, "checkpoint_every": 2}
    whole = untrained(corpus, view)
    history = train(whole, corpus, prior, **options)
    real, calls = FusedStep.__call__, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) > 13 * 3 + 5:  # 13 batches an epoch
            raise KeyboardInterrupt
        return real(self, *arguments)

    path = tmp_path / "c"
    with monkeypatch.context() as patch:
        patch.setattr(FusedStep, "__call__", failing)
        with pytest.raises(KeyboardInterrupt):
            train(untrained(corpus, view), corpus, prior, path, **options)
    assert path.exists()
    resumed = untrained(corpus, view)
    rest = train(resumed, corpus, prior, path, **options)
    assert columns(rest) == columns(history) and same_weights(resumed, whole)


def test_a_checkpoint_of_a_student_of_another_teacher_or_of_none_is_refused(tmp_path, lesson):
    corpus, teacher = lesson
    prior = teacher_prior(teacher, corpus, "en")
    other = prior[0].copy(), prior[1]
    other[0][3, 1] += 1e-3
    for name, first, second in (
        ("a", prior, other),
        ("b", prior, None),
        ("c", None, prior),
        ("d", prior, prior[::-1]),
    ):
        path = tmp_path / name
        train(untrained(corpus, "de"), corpus, first, path, epochs=1)
        with pytest.raises(DataError, match=rf"{re.escape(str(path))}: .*another run: its prior "):
            train(untrained(corpus, "de"), corpus, second, path, epochs=2)


# what cannot be trained


def test_views_without_words_need_a_teacher(lesson):
    corpus, teacher = lesson
    with pytest.raises(DataError, match=r"no view has words to learn from; .*teacher"):
        train(untrained(corpus, "image"), corpus)
    assert len(train(untrained(corpus, "image"), corpus, teacher_prior(teacher, corpus, "en"))) == 3


@pytest.mark.parametrize("objective", [PRESETS["book"], PRESETS["paper"], Objective(kl="gaussian")])
def test_an_objective_that_compares_views_has_no_use_for_a_prior(lesson, objective):
    corpus, teacher = lesson
    model = model_for(corpus, TOPICS)
    with pytest.raises(
        ParameterError, match=rf"objective\.kl='{objective.kl}' has no use for a prior; .*zeroshot"
    ):
        train(model, corpus, teacher_prior(teacher, corpus, "en"), objective=objective)


def spoilt(prior, how):
    mean, log_variance = (p.copy() for p in prior)
    if how == "NaN":
        mean[5, 2] = np.nan
    if how == "infinity":
        log_variance[5, 2] = -np.inf
    return {
        "a row short": (mean[:-1], log_variance[:-1]),
        "one row short": (mean, log_variance[1:]),
        "a topic more": tuple(np.hstack([p, p[:, :1]]) for p in (mean, log_variance)),
        "one for all": (mean[0], log_variance[0]),
        "float64": (mean.astype(np.float64), log_variance.astype(np.float64)),
        "lists": (mean.tolist(), log_variance.tolist()),
        "nothing": (),
        "three": (mean, log_variance, mean),
    }.get(how, (mean, log_variance))


@pytest.mark.parametrize(
    "how",
    [
        "NaN",
        "infinity",
        "a row short",
        "one row short",
        "a topic more",
        "one for all",
        "float64",
        "lists",
        "nothing",
        "three",
    ],
)
def test_a_prior_that_does_not_fit_is_refused(lesson, how):
    corpus, teacher = lesson
    with pytest.raises(
        DataError,
        match=(
            rf"prior: expected finite float32 of shape \(200, {TOPICS}\), .*the student's number of"
            r" topics"
        ),
    ):
        train(untrained(corpus, "image"), corpus, spoilt(teacher_prior(teacher, corpus, "en"), how))


# words lent


def test_pictures_borrow_the_words_of_their_first_tuples_document():
    corpus = make_corpus(n=6, views=("en", "de", "image"))
    views = dict(corpus.views)
    views["image"] = replace(
        views["image"],
        embeddings=views["image"].embeddings[:3],
        item_ids=["p", "q", "r"],
        index=np.array([2, 0, 2, -1, 1, 0]),
    )
    views["en"] = replace(views["en"], index=np.array([-1, 4, 3, 5, 0, 1]))
    corpus = Corpus("lent", views, corpus.tuple_ids, corpus.article_ids, corpus.split)
    lent = corpus.copy_words("en", "image")
    # picture 0: tuples 1 and 5, of documents 4 and 1; picture 1: tuple 4, document 0; picture 2:
    # tuple 0, without English, and 2, document 3
    np.testing.assert_array_equal(
        lent.views["image"].bow.toarray(), corpus.views["en"].bow.toarray()[[4, 0, 3]]
    )
    assert (
        lent.views["image"].vocabulary == corpus.views["en"].vocabulary
        and lent.views["image"].is_text
    )
    np.testing.assert_array_equal(lent.views["image"].embeddings, corpus.views["image"].embeddings)
    assert (
        lent.views["en"] is corpus.views["en"]
        and lent.text_views == ["en", "de", "image"]
        and not corpus.views["image"].is_text
    )
    assert lent.fingerprint() != corpus.fingerprint()


def test_a_model_of_pictures_trains_on_words_it_was_lent(lesson):
    corpus, _ = lesson
    lent = corpus.copy_words("en", "image").select(["image"])
    model = model_for(lent, TOPICS)
    history = train(model, lent, epochs=20)
    assert history[-1]["reconstruction"] < history[0]["reconstruction"]
    assert [len(words) for words in model.top_words("image")] == [10] * TOPICS


def test_a_picture_without_a_document_cannot_borrow_words():
    corpus = make_corpus(n=6, views=("en", "de", "image"))
    gone = replace(corpus.views["en"], index=np.array([0, 1, -1, 3, 4, -1]))
    some = Corpus(
        "gaps", {**corpus.views, "en": gone}, corpus.tuple_ids, corpus.article_ids, corpus.split
    )
    with pytest.raises(
        DataError, match="corpus gaps: item 'image-2' of view 'image' is in no tuple with 'en'"
    ):
        some.copy_words("en", "image")


@pytest.mark.parametrize(
    ("source", "to", "message"),
    [
        ("fr", "image", "view 'fr' is not in corpus small; it has: en, de, image"),
        ("en", "film", "view 'film' is not in corpus small"),
        ("image", "en", "'image' must have words and 'en' none"),
        ("en", "de", "'en' must have words and 'de' none"),
        ("image", "image", "'image' must have words and 'image' none"),
    ],
)
def test_lending_where_there_is_nothing_to_lend_is_refused(corpus, source, to, message):
    with pytest.raises(ParameterError, match=message):
        corpus.copy_words(source, to)
