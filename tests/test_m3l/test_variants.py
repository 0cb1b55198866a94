"""Variants of the model and of its loss: each choice against its definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import make_corpus

from m3l import M3L, Objective, ParameterError, TrainConfig, fit
from m3l.loss import loss_terms
from m3l.networks import Posterior
from m3l.train import Batches, kernel_of, train_step
from m3l.variants import (
    Given,
    Variant,
    VariantModel,
    feature_loss,
    joint_elbo,
    model_for,
    objective_for,
    product_of_experts,
    topic_contrast,
    word_contrast,
)

CPU = torch.device("cpu")


@pytest.fixture
def corpus():
    made = make_corpus(n=24)
    made.views["image"].index[::3] = -1
    return made


def batch_of(corpus):
    return Batches(corpus, CPU).take(torch.arange(len(corpus)))


def terms_of(objective, model, batch):
    torch.manual_seed(5)
    return {name: value.item() for name, value in objective(model.train(), batch).items()}


def test_without_its_choices_a_variant_is_the_usual_loss(corpus):
    model, batch = model_for(corpus, 6), batch_of(corpus)
    assert type(model) is M3L
    usual = terms_of(Objective.preset("book"), model, batch)
    assert terms_of(Variant.preset("book"), model, batch) == pytest.approx(usual)
    off = terms_of(Variant.preset("book", contrastive_weight=0.0), model, batch)
    assert off == pytest.approx(
        terms_of(Objective.preset("book", contrastive_weight=0.0), model, batch)
    )


def test_a_product_of_experts_adds_precisions_and_leaves_out_views_that_are_not_there(corpus):
    model, batch = model_for(corpus, 6), batch_of(corpus)
    posteriors = model.eval()(batch.x)
    mean, log_variance = product_of_experts(model, posteriors, batch)
    prior = 1 / (1 - 1 / 6)
    there = np.flatnonzero(corpus.views["image"].present)
    for i in (0, 1):  # without a picture, and with one
        own = [("en", i), ("de", i), *(("image", there.tolist().index(i)) for _ in range(i))]
        precisions = [1 / posteriors[v].log_variance[r].exp() for v, r in own]
        total = prior + sum(precisions)
        middle = sum(p * posteriors[v].mean[r] for p, (v, r) in zip(precisions, own, strict=True))
        torch.testing.assert_close(log_variance[i], -total.log())
        torch.testing.assert_close(mean[i], middle / total)


def test_a_joint_posterior_of_one_sure_view_has_the_elbo_of_that_view():
    corpus = make_corpus(n=12, views=("en",))
    model, batch = model_for(corpus, 6).eval(), batch_of(corpus)
    sure = torch.full((12, 6), -30.0)
    mean = torch.randn(12, 6)
    one = {"en": Posterior(mean, sure, mean.log_softmax(1))}
    alone = loss_terms(Objective.preset("zeroshot"), Given(model, one), batch)
    joint = joint_elbo(model, one, batch)
    assert joint.item() == pytest.approx(sum(alone.values()).item(), rel=1e-4)


def test_features_are_decoded_from_the_topics_of_pictures_alone(corpus):
    model, batch = model_for(corpus, 6, features=True).eval(), batch_of(corpus)
    assert list(model.feature_decoders) == ["image"]
    posteriors = model(batch.x)
    theta = posteriors["image"].log_theta.exp()
    decoder = model.feature_decoders["image"]
    decoded = theta @ decoder.weight.T + decoder.bias
    true = model.scaling["image"](batch.x["image"])
    cosine = (F.normalize(decoded, dim=1) * F.normalize(true, dim=1)).sum(dim=1)
    expected = (1 - cosine).sum().item()
    assert feature_loss(model, posteriors, batch).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ParameterError, match="features_weight: the model decodes no features"):
        objective_for("book", features_weight=1.0)(model_for(corpus, 6), batch)


def test_words_of_a_dictionary_are_contrasted_by_their_columns(corpus):
    model, batch = model_for(corpus, 6), batch_of(corpus)
    chosen = ((0, 3), (1, 4), (7, 0))
    objective = objective_for("book", words_weight=2.0, dictionary=chosen)
    en, de = model.beta["en"].T, model.beta["de"].T
    cosine = F.normalize(en[[0, 1, 7]], dim=1) @ F.normalize(de[[3, 4, 0]], dim=1).T / 0.2
    rows = torch.arange(3)
    by_hand = (F.cross_entropy(cosine, rows) + F.cross_entropy(cosine.T, rows)) / 2
    assert word_contrast(objective, model).item() == pytest.approx(by_hand.item(), rel=1e-5)
    found = terms_of(objective, model, batch)["words"]
    assert found == pytest.approx(2 * 24 * by_hand.item(), rel=1e-5)
    with pytest.raises(ParameterError, match="the dictionary has no pair of words"):
        objective_for("book", words_weight=1.0)(model, batch)


def test_projected_topics_are_contrasted_by_their_number(corpus):
    model, batch = model_for(corpus, 6, projections=True).eval(), batch_of(corpus)
    assert list(model.projected) == ["en", "de"]
    rows = []
    for name, beta in model.beta.items():
        matrix = model.projected[name][0]
        rows.append(F.normalize(beta @ matrix.weight.T + matrix.bias, dim=1))
    cosine, own = rows[0] @ rows[1].T, torch.arange(6)
    by_hand = (F.cross_entropy(cosine, own) + F.cross_entropy(cosine.T, own)) / 2
    assert topic_contrast(model).item() == pytest.approx(by_hand.item(), rel=1e-5)
    found = objective_for("book", topics_weight=3.0)(model, batch)["topics"]
    assert found.item() == pytest.approx(3 * 24 * by_hand.item(), rel=1e-5)
    with pytest.raises(ParameterError, match="topics_weight: the model projects no topics"):
        objective_for("book", topics_weight=1.0)(model_for(corpus, 6), batch)


def test_base_rates_begin_at_the_logarithm_of_counts_and_rank_words_by_probability(corpus):
    model = model_for(corpus, 6, base_rate=True)
    counts = np.asarray(corpus.views["en"].bow.sum(axis=0)).ravel() + 1.0
    rate = model.decoders["en"].base_rate.detach().numpy()
    np.testing.assert_allclose(rate - rate[0], np.log(counts) - np.log(counts[0]), atol=1e-5)
    theta, plain = torch.full((5, 6), 1 / 6), model.eval().decoders["en"]
    without = plain.norm(theta @ plain.beta)
    torch.testing.assert_close(model.decode("en", theta), without + plain.base_rate)
    with torch.no_grad():
        plain.base_rate[3] = 100.0
    assert all(words[0] == "en3" for words in model.top_words("en"))
    assert not all(words[0] == "en3" for words in model_for(corpus, 6).top_words("en"))


PARTS = {
    "base rate": ({}, {"base_rate": True}),
    "joint": ({"joint_weight": 1.0}, {}),
    "features": ({"features_weight": 10.0}, {"features": True}),
    "words": ({"words_weight": 1.0, "dictionary": ((0, 0), (1, 1))}, {"share_text_network": True}),
    "topics": ({"topics_weight": 1.0}, {"projections": True}),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_variant_trains_by_the_plain_step_lowers_its_loss_and_is_read_back(
    corpus, tmp_path, name
):
    changes, options = PARTS[name]
    objective, model = objective_for("book", **changes), model_for(corpus, 6, **options)
    plain = kernel_of("auto", CPU, objective, model, train_step)
    assert plain == "plain"
    history = fit(model, corpus, objective, TrainConfig(40, 8), progress=False)
    assert history[-1]["loss"] < history[0]["loss"]
    model.save(tmp_path / "model.safetensors")
    again = type(model).load(tmp_path / "model.safetensors")
    for view in corpus.views:
        items = corpus.views[view].embeddings
        np.testing.assert_array_equal(again.infer(items, view), model.infer(items, view))
    assert isinstance(model, VariantModel) == bool(
        {"base_rate", "features", "projections"} & set(options)
    )


@pytest.mark.parametrize("part", ["words", "topics"])
def test_terms_of_the_words_count_tuples_and_need_two_languages(corpus, part):
    changes, options = PARTS[part]
    objective = objective_for("book", **changes)
    model = model_for(corpus, 6, **options, dropout=0.0)
    whole = terms_of(objective, model, batch_of(corpus))[part]
    for name, first in (("en", 0), ("de", 1), ("image", 0)):  # no view is in every tuple
        corpus.views[name].index[first::2] = -1
        corpus.views[name].index[2] = 2
    assert terms_of(objective, model, batch_of(corpus))[part] == pytest.approx(whole)
    alone = corpus.select(["en", "image"])
    with pytest.raises(ParameterError, match=f"{part}_weight: the model has fewer than two"):
        objective(model_for(alone, 6, **options), batch_of(alone))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint_weight": -1.0}, "joint_weight"),
        ({"words_temperature": 0.0}, "words_temperature"),
        ({"joint": 1.0}, "objective field"),
    ],
)
def test_a_bad_choice_is_named(change, message):
    with pytest.raises(ParameterError, match=message):
        objective_for("book", **change)
