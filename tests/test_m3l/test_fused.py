"""The fused step against autograd over model and objective, from the same random draws."""

import copy

import numpy as np
import pytest
import torch
from support import CASES, incomplete, make_corpus

from m3l import M3L, PRESETS, Objective, TrainConfig, fit, model_for
from m3l.code import WRITTEN_FOR, code_of_a_step
from m3l.errors import DataError, ParameterError
from m3l.fused import FusedStep
from m3l.loops import exp
from m3l.loss import Batch, categorical_kl, loss_terms
from m3l.train import Batches, kernel_of, train_step

CPU = torch.device("cpu")


def both_steps(corpus, objective, options, prior=None):
    """Two models alike in every number: one with its batches, the other with its fused step."""
    models = [model_for(corpus, 6, seed=3, **options).train() for _ in range(2)]
    rate, betas = objective.learning_rate, objective.betas
    optimizer = torch.optim.Adam(models[1].parameters(), rate, betas)
    step = FusedStep(models[1], corpus, objective, optimizer, prior)
    return models[0], Batches(corpus, CPU, prior), models[1], step


def gradients_of(model):
    return {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(corpus, objective, options, tuples, prior=None):
    plain, batches, fused, step = both_steps(corpus, objective, options, prior)
    torch.manual_seed(1)
    expected = objective(plain, batches.take(tuples))
    sum(expected.values()).backward()
    after = torch.rand(1)
    torch.manual_seed(1)
    actual = step.gradients(tuples)
    assert torch.rand(1) == after, "the fused step takes as many random numbers as the plain one"
    assert list(actual) == list(expected)
    values = {name: value.item() for name, value in expected.items()}
    assert actual == pytest.approx(values, rel=2e-5, abs=1e-4)
    gradients, ours = gradients_of(plain), gradients_of(fused)
    assert set(ours) == set(gradients)
    scale = max(np.abs(g).max() for g in gradients.values())
    for name, gradient in ours.items():
        near = {"rtol": 1e-3, "atol": 5e-5 * scale, "err_msg": name}
        np.testing.assert_allclose(gradient, gradients[name], **near)
    for name, value in plain.state_dict().items():
        other = fused.state_dict()[name].numpy()
        np.testing.assert_allclose(other, value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_exp_is_right_to_four_parts_in_ten_million():
    x = np.linspace(-87, 88, 20_001, dtype=np.float32)
    np.testing.assert_allclose([exp(v) for v in x], np.exp(x.astype(np.float64)), rtol=4e-7)
    assert np.isnan(exp(np.float32("nan"))) and exp(np.float32("-inf")) < 1e-37


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [17, 5])
def test_gradients_are_those_of_autograd(case, size):
    views, objective, options = CASES[case]
    assert_same_gradients(make_corpus(views=views), objective, options, torch.arange(5, 5 + size))


@pytest.mark.parametrize("views", [("en",), ("image",)])
def test_gradients_of_a_student_are_those_of_autograd(views):
    corpus, rng = make_corpus(views=views), np.random.default_rng(0)
    prior = tuple(rng.standard_normal((40, 6), dtype=np.float32) for _ in range(2))
    assert_same_gradients(corpus, Objective.preset("zeroshot"), {}, torch.arange(9, 20), prior)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [17, 2])
def test_gradients_are_as_near_to_those_of_double_precision_as_autograds(case, size, monkeypatch):
    """Batch normalisation of two rows cancels nearly everything, so there only the error against
    exact gradients tells right from wrong.
    """
    views, objective, options = CASES[case]
    plain, batches, fused, step = both_steps(make_corpus(views=views), objective, options)
    tuples = torch.arange(5, 5 + size)
    batch, double = batches.take(tuples), copy.deepcopy(plain).double()
    torch.manual_seed(1)
    sum(objective(plain, batch).values()).backward()
    torch.manual_seed(1)
    step.gradients(tuples)
    rooms = step.rooms[size].values()
    noise = iter([room.noise for room in rooms])
    masks = iter([room.dropped for room in rooms] + [room.dropped_theta for room in rooms])
    monkeypatch.setattr(torch, "randn_like", lambda _: next(noise).double())
    monkeypatch.setattr(
        torch.nn.Dropout, "forward", lambda self, h: h * next(masks).double() / (1 - self.p)
    )
    exact = [{v: t.double() for v, t in part.items()} for part in batch[:2]]
    sum(objective(double, Batch(*exact, batch.present)).values()).backward()
    right, rounded, ours = (gradients_of(model) for model in (double, plain, fused))
    assert set(right) == set(ours)
    floor = 1e-6 * max(np.abs(g).max() for g in right.values())
    for name, gradient in right.items():
        error = np.linalg.norm(ours[name] - gradient)
        assert error <= 10 * np.linalg.norm(rounded[name] - gradient) + 10 * floor, name


def test_bias_before_batch_normalisation_stays_where_it_is(corpus):
    """Its gradient is zero; Adam would make steps of what rounding leaves of it, which running
    means follow late.
    """
    model = model_for(corpus, 6)
    before = {v: network.posterior.bias.detach().clone() for v, network in model.networks.items()}
    fit(
        model,
        corpus,
        Objective.preset("book"),
        TrainConfig(epochs=5, batch_size=10, device="cpu", kernel="fused"),
        progress=False,
    )
    assert all(
        torch.equal(network.posterior.bias, before[v]) for v, network in model.networks.items()
    )


def test_batch_of_one_uses_the_running_statistics():
    assert_same_gradients(
        make_corpus(views=("en",)), Objective.preset("zeroshot"), {}, torch.tensor([4])
    )


def test_an_item_may_belong_to_several_tuples():
    corpus = make_corpus()
    corpus.views["image"].index[:] = np.arange(40) // 2
    assert_same_gradients(corpus, Objective.preset("book"), {}, torch.arange(16))


def test_training_of_either_kernel_gives_the_same_history(corpus):
    """Rounding grows with every step, so a few epochs alone can be compared number by number."""
    histories = []
    for kernel in ("plain", "fused"):
        model = model_for(corpus, 6)
        histories.append(
            fit(
                model,
                corpus,
                Objective.preset("book"),
                TrainConfig(epochs=3, batch_size=9, device="cpu", kernel=kernel),
                progress=False,
            )
        )
    for a, b in zip(*histories, strict=True):
        for term in ("reconstruction", "kl", "contrastive", "loss"):
            assert a[term] == pytest.approx(b[term], rel=2e-3), (a["epoch"], term)


def test_checkpoint_of_the_other_kernel_is_refused(corpus, tmp_path):
    def train(kernel):
        config = TrainConfig(
            epochs=2, batch_size=9, device="cpu", checkpoint_every=1, kernel=kernel
        )
        fit(
            model_for(corpus, 6),
            corpus,
            Objective.preset("book"),
            config,
            tmp_path / "c",
            progress=False,
        )

    train("plain")
    with pytest.raises(DataError, match="another run: its kernel is plain"):
        train("fused")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "tuples",
    [
        pytest.param(range(40), id="all"),
        pytest.param(range(10, 25), id="no picture at all"),
        pytest.param(range(9, 20), id="one picture"),
        pytest.param(range(24, 35), id="mixed"),
        pytest.param((12, 3, 27, 25, 39), id="another order"),
    ],
)
def test_gradients_of_incomplete_tuples_are_those_of_autograd(case, tuples):
    views, objective, options = CASES[case]
    corpus = incomplete(views)
    has_some = np.any([view.present for view in corpus.views.values()], axis=0)
    chosen = [i for i in tuples if has_some[i]]
    corpus = corpus.subset(has_some)
    place = np.cumsum(has_some) - 1
    assert_same_gradients(corpus, objective, options, torch.from_numpy(place[chosen]))


def test_incomplete_tuples_train_alike_on_both_kernels():
    corpus, trained = incomplete(), {}
    for kernel in ("auto", "fused", "plain"):
        model = model_for(corpus, 6)
        config = TrainConfig(epochs=2, batch_size=9, device="cpu", kernel=kernel)
        history = fit(model, corpus, Objective.preset("book"), config, progress=False)
        trained[kernel] = (history[-1]["loss"], model.state_dict())
    assert trained["fused"][0] == pytest.approx(trained["plain"][0], rel=1e-3)
    assert all(
        torch.equal(value, trained["fused"][1][name]) for name, value in trained["auto"][1].items()
    )


def test_the_fused_step_was_written_for_the_loss_as_it_is(corpus):
    """Whoever changes the loss or the model changes the fused step too, or gives it up."""
    for name in PRESETS:
        model, objective = model_for(corpus, 6), Objective.preset(name)
        assert code_of_a_step(train_step, objective, model) == WRITTEN_FOR
        assert kernel_of("auto", CPU, objective, model) == "fused"


def doubled(*arguments, **options):
    return 2 * categorical_kl(*arguments, **options)


class Doubled(Objective):
    def __call__(self, model, batch):
        terms = loss_terms(self, model, batch)
        return terms | {"contrastive": 2 * terms["contrastive"]}


class Sharper(M3L):
    def decode(self, name, theta):
        return 2 * super().decode(name, theta)


def own_step(model, batch, objective, optimizer):
    terms = train_step(model, batch, objective, optimizer)
    return {name: 2 * value for name, value in terms.items()}


def losses(corpus, objective, model, kernel="auto", **options):
    config = TrainConfig(epochs=1, batch_size=10, device="cpu", kernel=kernel)
    return fit(model, corpus, objective, config, progress=False, **options)[0]


def test_a_loss_or_a_step_that_somebody_changed_is_the_one_that_trains(corpus, monkeypatch):
    book, model = Objective.preset("book"), model_for(corpus, 6)
    before = losses(corpus, book, model_for(corpus, 6))
    assert kernel_of("auto", CPU, Doubled(), model) == "plain"
    own = losses(corpus, Doubled(), model_for(corpus, 6))
    assert own["contrastive"] > 1.5 * before["contrastive"]
    assert isinstance(Doubled.preset("book"), Doubled), "a preset is of the class that is asked"
    own = losses(corpus, book, model_for(corpus, 6), step=own_step)
    assert own["kl"] > 1.5 * before["kl"]
    monkeypatch.setattr("m3l.loss.categorical_kl", doubled)
    assert kernel_of("auto", CPU, book, model) == "plain"
    own = losses(corpus, book, model_for(corpus, 6))
    assert own["kl"] > 1.5 * before["kl"]
    with pytest.raises(ParameterError, match="'fused': the step, the loss or the model is not"):
        losses(corpus, book, model_for(corpus, 6), "fused")


def test_a_model_that_somebody_changed_is_the_one_that_trains(corpus):
    model = model_for(corpus, 6)
    assert kernel_of("auto", CPU, Objective(), model) == "fused"
    model.__class__ = Sharper
    assert kernel_of("auto", CPU, Objective(), model) == "plain"


@pytest.mark.parametrize("kernel", ["auto", "plain"])
def test_weights_that_somebody_froze_stay_and_double_precision_stays(corpus, kernel):
    model = model_for(corpus, 6)
    frozen = model.decoders["en"].beta.requires_grad_(False).clone()
    losses(corpus, Objective(), model, kernel)
    assert torch.equal(model.beta["en"], frozen)
    double = model_for(corpus, 6).double()
    losses(corpus, Objective(), double, kernel)
    assert double.beta["en"].dtype == torch.float64
    with pytest.raises(ParameterError, match="'fused': it learns all of a model's weights"):
        losses(corpus, Objective(), model, "fused")


def test_unknown_kernel_is_refused():
    with pytest.raises(ParameterError, match="kernel='fast' is unknown; valid: auto, fused, plain"):
        TrainConfig(kernel="fast")
