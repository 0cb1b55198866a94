"""The step at fixed shapes, which a GPU records: the same terms and gradients as `Objective`'s, and
nothing in it that would wait for the device. Here its body runs on the CPU.
"""

import numpy as np
import pytest
import torch
from support import ALL, CASES, incomplete, make_corpus
from torch.utils._python_dispatch import TorchDispatchMode

from m3l import Objective, TrainConfig, fit, model_for
from m3l.checkpoint import begun_with
from m3l.errors import DataError
from m3l.kernels import choice
from m3l.kernels.graph import GraphStep, masked_terms
from m3l.kernels.plain import Batches, PlainStep

CPU = torch.device("cpu")


def made(kind, corpus, objective, options=None, prior=None):
    """A model and its step."""
    model = model_for(corpus, 6, seed=3, **(options or {})).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=2e-3, betas=objective.betas, fused=True)
    return model, kind(model, Batches(corpus, CPU, prior), objective, optimizer)


def assert_alike(one, other, rtol=1e-4, atol=1e-5):
    for name, value in one.items():
        np.testing.assert_allclose(
            other[name].numpy(), value.numpy(), rtol=rtol, atol=atol, err_msg=name
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [17, 5])
def test_step_of_whole_tuples_is_the_plain_one(case, size):
    views, objective, options = CASES[case]
    corpus, results = make_corpus(views=views), []
    for kind in (PlainStep, GraphStep):
        model, step = made(kind, corpus, objective, options)
        torch.manual_seed(1)
        terms = step(torch.arange(5, 5 + size))
        results.append((terms, {k: v.clone() for k, v in model.state_dict().items()}))
    assert list(results[0][0]) == list(results[1][0])
    assert_alike(results[0][0], results[1][0])
    assert_alike(results[0][1], results[1][1])


def gradients_and_terms(kind, corpus, objective, options, tuples, prior=None):
    model, step = made(kind, corpus, objective, options, prior)
    if kind is PlainStep:
        terms = objective(model, *step.batches(tuples))
    else:
        terms = masked_terms(objective, model, *step.batches(tuples, whole=True))
    sum(terms.values()).backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    statistics = {n: v for n, v in model.state_dict().items() if "running" in n}
    return {n: v.detach() for n, v in terms.items()}, grads, statistics


@pytest.fixture
def still(monkeypatch):
    """No noise: rows of missing views would draw numbers too, and shift those of the others."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "tuples",
    [
        pytest.param(range(40), id="all"),
        pytest.param(range(10, 25), id="no picture at all"),
        pytest.param(range(9, 20), id="one picture"),
        pytest.param(range(24, 35), id="mixed"),
    ],
)
def test_views_that_tuples_lack_count_in_nothing(case, tuples, still):
    views, objective, options = CASES[case]
    corpus = incomplete(views)
    has_some = np.any([view.present for view in corpus.views.values()], axis=0)
    place = np.cumsum(has_some) - 1
    chosen = torch.from_numpy(place[[i for i in tuples if has_some[i]]])
    corpus, options = corpus.subset(has_some), {**options, "dropout": 0.0}
    plain, masked = (
        gradients_and_terms(kind, corpus, objective, options, chosen)
        for kind in (PlainStep, GraphStep)
    )
    assert_alike(plain[0], masked[0])
    scale = max(g.abs().max().item() for g in plain[1].values())
    assert set(plain[1]) <= set(masked[1])
    assert_alike(plain[1], masked[1], rtol=1e-3, atol=1e-4 * scale)
    for name in set(masked[1]) - set(plain[1]):
        assert masked[1][name].abs().max() <= 1e-4 * scale, name
    assert_alike(plain[2], masked[2])


def test_students_prior_is_that_of_the_tuples_that_have_the_view(still):
    corpus, rng = incomplete(("en", "image")), np.random.default_rng(0)
    corpus = corpus.subset(np.any([view.present for view in corpus.views.values()], axis=0))
    prior = tuple(rng.standard_normal((len(corpus), 6), dtype=np.float32) for _ in range(2))
    tuples = torch.arange(len(corpus))
    given = corpus, Objective.preset("zeroshot"), {"dropout": 0.0}, tuples, prior
    plain, masked = (gradients_and_terms(kind, *given) for kind in (PlainStep, GraphStep))
    assert_alike(plain[0], masked[0])


WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "item", "is_nonzero"}


class Watch(TorchDispatchMode):
    """Fails where a GPU would have to tell the processor a number before it could go on."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        assert name not in WAITS, name
        if name in ("index", "index_put", "index_put_"):
            kinds = [i.dtype for i in args[1] if i is not None]
            assert torch.bool not in kinds, "rows chosen by a mask: their number is waited for"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_nothing_in_a_step_waits_for_the_device(case):
    views, objective, options = CASES[case]
    corpus = incomplete(views)
    corpus = corpus.subset(np.any([view.present for view in corpus.views.values()], axis=0))
    _, step = made(GraphStep, corpus, objective, options)
    tuples = torch.arange(12)
    step(tuples)  # the optimizer makes its state
    step.optimizer.step = lambda: None  # Adam's own step, where captured, keeps its number there
    with Watch():
        step(tuples)
    _, plain = made(PlainStep, corpus, objective, options)
    plain.optimizer.step = lambda: None
    if len(views) > 1:
        with pytest.raises(AssertionError), Watch():
            plain(torch.arange(20, 30))


def trained(corpus, epochs=4, **options):
    config = TrainConfig(
        epochs=epochs, batch_size=9, device="cpu", kernel="graph", checkpoint_every=2
    )
    model = model_for(corpus, 6)
    history = fit(model, corpus, Objective.preset("book"), config, progress=False, **options)
    return history, model


def test_training_learns_and_is_the_same_when_it_is_resumed(tmp_path):
    corpus = incomplete()
    corpus = corpus.subset(np.any([view.present for view in corpus.views.values()], axis=0))
    history, model = trained(corpus, epochs=24)
    first, last = (np.mean([row["loss"] for row in part]) for part in (history[:5], history[-5:]))
    assert last < 0.9 * first
    trained(corpus, epochs=10, checkpoint=tmp_path / "c")
    resumed, again = trained(corpus, epochs=24, checkpoint=tmp_path / "c")
    assert [row["loss"] for row in resumed] == [row["loss"] for row in history]
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


def test_checkpoint_of_another_kernel_is_refused(tmp_path):
    corpus = make_corpus()
    trained(corpus, epochs=2, checkpoint=tmp_path / "c")
    config = TrainConfig(epochs=4, batch_size=9, device="cpu", kernel="plain")
    with pytest.raises(DataError, match="another run: its kernel is graph"):
        fit(
            model_for(corpus, 6),
            corpus,
            Objective.preset("book"),
            config,
            tmp_path / "c",
            progress=False,
        )


def test_a_gpu_gets_the_recorded_step_and_a_cpu_the_fused_one():
    assert choice.choose_kernel("auto", torch.device("cuda"), Objective()) == "graph"
    assert choice.choose_kernel("auto", CPU, Objective()) == "fused"
    assert choice.choose_kernel("graph", CPU, Objective()) == "graph"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("views", [ALL, ("en",)])
def test_recorded_step_trains_as_the_body_does_on_a_cpu(views, still):
    """With no noise and no dropout, so that the CPU's and the GPU's numbers can be compared."""
    corpus, results = incomplete(views), {}
    corpus = corpus.subset(np.any([view.present for view in corpus.views.values()], axis=0))
    objective = Objective.preset("book" if len(views) > 1 else "zeroshot")
    for device in ("cpu", "cuda"):
        model = model_for(corpus, 6, dropout=0.0)
        config = TrainConfig(epochs=3, batch_size=9, device=device, kernel="graph")
        results[device] = fit(model, corpus, objective, config, progress=False)[-1]["loss"]
    assert results["cuda"] == pytest.approx(results["cpu"], rel=1e-3)


def test_auto_takes_the_device_that_was_measured_to_be_faster(monkeypatch, tmp_path):
    """There is no GPU here: what a device takes is told by the test, and where it is trained."""
    corpus, model = make_corpus(), model_for(make_corpus(), 6)
    gpu, given = torch.device("cuda"), (corpus, Objective.preset("book"), 9, "auto", None)
    for slow, fast in (("cuda", "cpu"), ("cpu", "cuda")):
        times = {slow: 2e-3, fast: 1e-3}
        monkeypatch.setattr(choice, "seconds_a_step", lambda *a, times=times: times[a[5].type])
        assert choice.choose_device(gpu, None, model, *given).type == fast
        assert choice.choose_device(gpu, slow, model, *given).type == slow, "a run goes on there"
    fused = corpus, Objective.preset("book"), 9, "fused", None
    assert choice.choose_device(gpu, None, model, *fused).type == "cpu"


@pytest.mark.parametrize("kernel", ["graph", "plain", "fused"])
def test_measuring_a_step_leaves_model_and_random_numbers_as_they_were(kernel):
    corpus, model = make_corpus(), model_for(make_corpus(), 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    seconds = choice.seconds_a_step(model, corpus, Objective.preset("book"), 9, kernel, CPU, None)
    assert 0 < seconds < float("inf")
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_a_checkpoint_says_what_it_was_begun_with(tmp_path):
    assert begun_with(tmp_path / "none", "device") is None
    trained(make_corpus(), epochs=2, checkpoint=tmp_path / "c")
    assert begun_with(tmp_path / "c", "device") == "cpu"
