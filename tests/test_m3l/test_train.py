import os
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from support import columns, make_corpus, same_weights

from m3l import (
    PRESETS,
    DataError,
    Objective,
    ParameterError,
    TrainConfig,
    TrainingDiverged,
    fit,
    model_for,
    progress,
)
from m3l import train as training
from m3l.fused import FusedStep
from m3l.metrics.ranking import retrieval

BOOK = Objective()


def config(epochs=3, **options):
    return TrainConfig(**{"epochs": epochs, "batch_size": 16, "device": "cpu", **options})


def train(
    corpus,
    objective=BOOK,
    checkpoint=None,
    topics=4,
    input_scaling="standardize",
    hidden=16,
    **options,
):
    model = model_for(corpus, topics, input_scaling, hidden=hidden)
    return model, fit(model, corpus, objective, config(**options), checkpoint, progress=False)


def with_view(corpus, name, **fields):
    return replace(corpus, views={**corpus.views, name: replace(corpus.views[name], **fields)})


def lacking(corpus, **rows):
    """The corpus with each named view taken away from the given tuples."""
    for name, gone in rows.items():
        index = corpus.views[name].index.copy()
        index[gone] = -1
        corpus = with_view(corpus, name, index=index)
    return corpus.subset(np.arange(len(corpus)))


# learning


def test_training_lowers_the_loss_and_aligns_the_views():
    corpus = make_corpus(n=200, dimension=16, topics=8)
    model, history = train(corpus, epochs=40, batch_size=32, topics=10, hidden=100)
    assert [row["epoch"] for row in history] == list(range(1, 41))
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    for row in history:
        assert row["loss"] == pytest.approx(row["reconstruction"] + row["kl"] + row["contrastive"])

    def better_than_chance(model, a, b):
        theta = [model.infer(corpus.views[name].embeddings, name) for name in (a, b)]
        scores = retrieval(*theta)
        return scores["reciprocal_rank"].mean() / scores["chance_rr"]

    untrained = model_for(corpus, 10)
    for pair in (("en", "de"), ("en", "image"), ("image", "de")):
        assert better_than_chance(model, *pair) > 3 > 2 > better_than_chance(untrained, *pair)


def test_losses_are_per_tuple(corpus):
    double = replace(make_corpus(n=80), name="double")
    few, many = (
        train(c, epochs=1, batch_size=16)[1][0]["reconstruction"] for c in (corpus, double)
    )
    assert few == pytest.approx(many, rel=0.1)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(corpus, name):
    model, history = train(corpus, PRESETS[name])
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert not model.training
    assert np.isfinite(model.infer(corpus.views["image"].embeddings, "image")).all()


def test_one_view_trains_as_zeroshot(corpus):
    model, history = train(corpus.select(["en"]), PRESETS["zeroshot"], epochs=40)
    assert set(history[0]) == {"epoch", "seconds", "reconstruction", "kl", "loss"}
    assert history[-1]["loss"] < history[0]["loss"]
    assert model.infer(corpus.views["de"].embeddings, "en").shape == (40, 4)


@pytest.mark.parametrize("n", [33, 17])
def test_a_last_batch_of_one_works(n):
    model, history = train(make_corpus(n=n))
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert all(p.isfinite().all() for p in model.state_dict().values())


# determinism


def test_the_same_seed_gives_the_same_numbers(corpus):
    (a, first), (b, second), (c, third) = train(corpus), train(corpus), train(corpus, seed=1)
    assert columns(first) == columns(second) and same_weights(a, b)
    assert columns(first) != columns(third) and not same_weights(a, c)


def test_initial_weights_are_drawn_from_their_seed(corpus):
    torch.manual_seed(5)
    a = model_for(corpus, 4)
    torch.manual_seed(6)
    assert same_weights(a, model_for(corpus, 4))
    assert not same_weights(a, model_for(corpus, 4, seed=1))


def test_global_randomness_and_threads_are_untouched(corpus):
    torch.manual_seed(11)
    before, numpy_before, threads = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        torch.get_num_threads(),
    )
    train(corpus, epochs=1, threads=threads + 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert torch.get_num_threads() == threads


# checkpoints


def interrupted(monkeypatch, corpus, checkpoint, batches, **options):
    """Train until Ctrl-C after that many batches."""
    fused = options.get("kernel") != "plain"
    place, name = (FusedStep, "__call__") if fused else (training.Batches, "take")
    real, calls = getattr(place, name), []

    def failing(self, *args):
        calls.append(1)
        if len(calls) > batches:
            raise KeyboardInterrupt
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, failing)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, checkpoint=checkpoint, **options)


@pytest.mark.parametrize("kernel", ["plain", "fused"])
def test_looking_on_the_way_is_kept_and_changes_no_number(tmp_path, corpus, kernel):
    plain, expected = train(corpus, epochs=5, kernel=kernel)
    model, seen = model_for(corpus, 4, "standardize", hidden=16), []

    def look(given):
        theta = given.infer(corpus.views["en"].embeddings, "en")
        seen.append(float(theta.max()))
        given.eval()
        return {"en>de": seen[-1]}

    options = {"validate": look, "validate_every": 2, "progress": False}
    objective = Objective.preset("book")
    history = fit(model, corpus, objective, config(epochs=5, kernel=kernel), **options)
    assert [row["epoch"] for row in history if "en>de" in row] == [2, 4, 5]
    assert [row["en>de"] for row in history if "en>de" in row] == seen
    rest = [{k: v for k, v in row.items() if k != "en>de"} for row in history]
    assert columns(rest) == columns(expected) and same_weights(model, plain)


def test_seconds_of_short_epochs_add_up(corpus, monkeypatch):
    ticks = count()
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(ticks) * 0.0003)
    _, history = train(corpus, epochs=30)
    assert history[-1]["seconds"] == pytest.approx(30 * 0.0003)


def test_looks_must_be_some_epochs_apart(corpus):
    with pytest.raises(ParameterError, match="validate_every=0: expected an integer, 1 or more"):
        fit(
            model_for(corpus, 4),
            corpus,
            Objective.preset("book"),
            config(),
            progress=False,
            validate_every=0,
        )


@pytest.mark.parametrize("kernel", ["plain", "fused"])
@pytest.mark.parametrize("batches", [1, 6, 10, 14])  # 3 an epoch, a checkpoint every 2 epochs
def test_a_resumed_run_is_bit_identical_to_one_never_interrupted(
    tmp_path, monkeypatch, corpus, batches, kernel
):
    path = tmp_path / "a b ü.safetensors"
    options = {"epochs": 5, "checkpoint_every": 2, "kernel": kernel}
    whole, history = train(corpus, **options)
    interrupted(monkeypatch, corpus, path, batches, **options)
    assert path.exists() == (batches >= 6)
    resumed, rest = train(corpus, checkpoint=path, **options)
    assert columns(rest) == columns(history) and same_weights(resumed, whole)
    assert rest[-1]["seconds"] >= rest[0]["seconds"]
    assert os.listdir(tmp_path) == [path.name]


def test_an_interruption_between_epochs_resumes_too(tmp_path, monkeypatch, corpus):
    class Interrupting(progress.tqdm):
        def update(self, n=1):
            super().update(n)
            if self.n == 4 or self.disable:
                raise KeyboardInterrupt

    options = {"epochs": 5, "checkpoint_every": 1}
    whole, history = train(corpus, **options)
    with monkeypatch.context() as patch:
        patch.setattr(progress, "tqdm", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            fit(
                model_for(corpus, 4, hidden=16),
                corpus,
                BOOK,
                config(**options),
                tmp_path / "c",
                progress=True,
            )
    resumed, rest = train(corpus, checkpoint=tmp_path / "c", **options)
    assert columns(rest) == columns(history) and same_weights(resumed, whole)


def test_a_checkpoint_changes_no_number_and_is_continued_to_more_epochs(tmp_path, corpus):
    whole, history = train(corpus, epochs=5)
    train(corpus, checkpoint=tmp_path / "c", epochs=3)
    longer, rest = train(corpus, checkpoint=tmp_path / "c", epochs=5)
    assert columns(rest) == columns(history) and same_weights(longer, whole)
    again, same = train(corpus, checkpoint=tmp_path / "c", epochs=5)
    assert same == rest and same_weights(again, whole) and not again.training


def test_numbers_of_numpy_and_torch_are_numbers(tmp_path, corpus):
    plain, history = train(corpus, Objective(contrastive_weight=20), epochs=2)
    settings = config(np.int64(2), batch_size=np.int64(16), seed=np.int64(0))
    objective = Objective(contrastive_weight=np.int64(20))
    more = {"progress": False, "validate": lambda _: {"a": np.float32(0.5), "b": torch.tensor(2)}}
    for _ in ("trained", "resumed"):
        model = model_for(corpus, np.int64(4), hidden=np.int64(16))
        found = fit(model, corpus, objective, settings, tmp_path / "c", **more)
        assert (found[-1].pop("a"), found[-1].pop("b")) == (0.5, 2)
        assert columns(found) == columns(history) and same_weights(model, plain)
    model.save(tmp_path / "m")
    assert same_weights(type(model).load(tmp_path / "m"), plain)


def test_a_checkpoint_beyond_the_epochs_asked_for_is_not_passed_off_as_the_run(tmp_path, corpus):
    train(corpus, checkpoint=tmp_path / "c", epochs=4)
    with pytest.raises(DataError, match="after 4 epochs or sweeps, more than this run's 2"):
        train(corpus, checkpoint=tmp_path / "c", epochs=2)


def test_a_folder_in_place_of_a_checkpoint_is_not_said_to_be_one_to_delete(tmp_path, corpus):
    with pytest.raises(DataError, match=r"a folder, expected a checkpoint's file$"):
        train(corpus, checkpoint=tmp_path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch, corpus):
    import safetensors.torch

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "c"
    train(corpus, checkpoint=path, epochs=2)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(OSError, match=re.escape(str(path))):
            train(corpus, checkpoint=path, epochs=4)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("damage", ["empty", "truncated", "header", "text", "payload"])
def test_a_broken_checkpoint_is_named(tmp_path, corpus, damage):
    path = tmp_path / "c.safetensors"
    train(corpus, checkpoint=path, epochs=2)
    data = path.read_bytes()
    middle = len(data) * 3 // 4
    path.write_bytes(
        {
            "empty": b"",
            "truncated": data[:-100],
            "header": b"\xff" * 16 + data[16:],
            "text": b"not a checkpoint",
            "payload": (
                data[:middle]
                + bytes(b ^ 0x55 for b in data[middle : middle + 64])
                + data[middle + 64 :]
            ),
        }[damage]
    )
    with pytest.raises(DataError, match=re.escape(str(path))):
        train(corpus, checkpoint=path, epochs=4)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"objective": PRESETS["paper"]}, "objective"),
        ({"objective": Objective(temperature=0.5)}, "objective"),
        ({"seed": 1}, "seed"),
        ({"batch_size": 8}, "batch_size"),
        ({"topics": 5}, "model"),
        ({"corpus": make_corpus(seed=1)}, "data"),
        ({"input_scaling": "none"}, "model|input_scaling"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_naming_what_differs(tmp_path, corpus, change, part):
    path = tmp_path / "c"
    train(corpus, checkpoint=path, epochs=2)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: .*another run: its ({part}) "):
        train(**{"corpus": corpus, "checkpoint": path, "epochs": 4, **change})


class Doubled(Objective):
    def __call__(self, model, batch):
        return {name: 2 * value for name, value in super().__call__(model, batch).items()}


def own_step(model, batch, objective, optimizer):
    return training.train_step(model, batch, objective, optimizer)


@pytest.mark.parametrize("change", [{"step": own_step}, {"objective": Doubled()}])
def test_a_checkpoint_of_another_step_or_loss_is_refused(tmp_path, corpus, change):
    path = tmp_path / "c"

    def train_so(epochs, objective=BOOK, **options):
        kernel = config(epochs=epochs, kernel="plain")
        model = model_for(corpus, 4)
        return fit(model, corpus, objective, kernel, path, progress=False, **options)

    train_so(2)
    before = path.read_bytes()
    message = rf"{re.escape(str(path))}: .*another run: its code of step and loss is \w+, this run"
    with pytest.raises(DataError, match=message):
        train_so(4, **change)
    assert path.read_bytes() == before
    path.unlink()
    train_so(2, **change)
    assert len(train_so(4, **change)) == 4, "their own checkpoint is theirs"
    with pytest.raises(DataError, match=message):
        train_so(4)


def test_another_process_goes_on_from_the_checkpoint_of_a_step_of_ones_own(tmp_path, monkeypatch):
    script = """
import sys
sys.path[:0] = sys.argv[1:2]
from support import make_corpus
import m3l
from m3l.train import train_step
def own(model, batch, objective, optimizer):
    return train_step(model, batch, objective, optimizer)
config = m3l.TrainConfig(epochs=int(sys.argv[3]), batch_size=16, device="cpu")
corpus = make_corpus()
model = m3l.model_for(corpus, 4)
fitted = m3l.fit(model, corpus, m3l.Objective(), config, sys.argv[2], progress=False, step=own)
print(len(fitted))
"""
    own, tests = tmp_path / "own.py", Path(__file__).parents[1]
    own.write_text(script, encoding="utf-8")
    arguments = [str(own), str(tests), str(tmp_path / "c")]
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", [*arguments, "2"])
    runpy.run_path(str(own))
    # the order of sets is another there
    around = {**os.environ, "PYTHONHASHSEED": "3", "PYTHONPATH": str(tests.parent)}
    command = [sys.executable, *arguments, "3"]
    done = subprocess.run(command, env=around, capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr[-3000:]


# what cannot be trained


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 1.5}, r"epochs=1\.5"),
        ({"epochs": True}, "epochs=True"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": -4}, "batch_size=-4"),
        ({"threads": 0}, "threads=0"),
        ({"checkpoint_every": 0}, "checkpoint_every=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, r"seed=0\.5"),
        ({"seed": 2**63}, f"seed={2**63}"),
        ({"device": "gpu"}, "device='gpu' is unknown; valid: auto, cpu, cuda"),
        ({"device": "cuda:99"}, "device='cuda:99': this machine has"),
        ({"device": "meta"}, "device='meta'"),
        ({"device": ""}, "device=''"),
        ({"device": None}, "device=None"),
    ],
)
def test_a_bad_parameter_is_named(options, name):
    with pytest.raises(ParameterError, match=name):
        TrainConfig(**options)


def test_a_batch_larger_than_the_corpus_is_refused(corpus):
    with pytest.raises(
        ParameterError, match="batch_size=41 is larger than the 40 tuples of corpus small"
    ):
        train(corpus, batch_size=41)
    assert len(train(corpus, batch_size=40)[1]) == 3


def test_one_tuple_is_refused():
    with pytest.raises(DataError, match="corpus small: training needs 2 tuples or more, it has 1"):
        train(make_corpus(n=1), batch_size=1)


@pytest.mark.parametrize("name", ["book", "paper", "released"])
def test_comparing_views_needs_two(corpus, name):
    apart, views = np.arange(len(corpus)) < 20, {}
    for view, has in (("en", apart), ("de", ~apart)):
        own = corpus.views[view]
        views[view] = replace(own, index=np.where(has, own.index, -1))
    for part in (corpus.select(["en"]), replace(corpus, views=views)):
        with pytest.raises(
            ParameterError,
            match=r"objective\.kl='categorical' compares views and no tuple has two; .*zeroshot",
        ):
            train(part, PRESETS[name])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda c: c.select(["en", "de"]),
            r"model has views \['de', 'en', 'image'\], corpus small has \['de', 'en'\]",
        ),
        (lambda c: make_corpus(dimension=9), "view 'en': .* size 9 .* expects 8"),
        (lambda c: make_corpus(words=31), "view 'en': .* 31 words, .* 30"),
        (
            lambda c: with_view(c, "en", vocabulary=c.views["en"].vocabulary[::-1]),
            "view 'en': the corpus has other words than the model",
        ),
        (
            lambda c: with_view(
                c, "image", bow=c.views["en"].bow, vocabulary=c.views["en"].vocabulary
            ),
            "view 'image': .* 30 words, .* 0",
        ),
    ],
)
def test_views_that_do_not_match_the_model_are_named(corpus, other, message):
    with pytest.raises(DataError, match=message):
        fit(model_for(corpus, 4), other(corpus), BOOK, config(), progress=False)


@pytest.mark.parametrize("cause", ["learning rate", "scale of the embeddings"])
def test_divergence_names_the_term_and_the_epoch(tmp_path, corpus, cause):
    path = tmp_path / "c"
    objective = Objective(learning_rate=1e30) if cause == "learning rate" else BOOK
    if cause == "scale of the embeddings":
        corpus = with_view(
            corpus, "en", embeddings=corpus.views["en"].embeddings * np.float32(1e37)
        )
    with pytest.raises(
        TrainingDiverged, match=r"epoch 1: reconstruction.*not finite.*learning_rate"
    ):
        train(corpus, objective, path, input_scaling="none")
    assert not path.exists()


def test_divergence_in_the_last_step_is_not_returned_as_a_model(corpus):
    with pytest.raises(
        TrainingDiverged, match="epoch 1"
    ):  # its weights are infinite, its one loss was not
        train(corpus, Objective(learning_rate=1e39), epochs=1, batch_size=40)


# missing views


@pytest.mark.parametrize("name", PRESETS)
def test_tuples_that_lack_views_train(corpus, name):
    some = lacking(
        corpus, image=[0, 1, 2, 10, 39], de=[0, 5, 6], en=[3, 39]
    )  # tuple 0 has English alone, 39 German alone
    model, history = train(some, PRESETS[name], batch_size=3, epochs=4)
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert all(p.isfinite().all() for p in model.state_dict().values())


def test_views_that_never_meet_train(corpus):
    apart = lacking(corpus, image=range(20), en=range(20, 40), de=range(40 - 1))
    model, history = train(apart, batch_size=4)
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert all(p.isfinite().all() for p in model.state_dict().values())


def test_a_view_without_any_item_is_refused_or_gives_finite_topics(corpus):
    pictures = corpus.views["image"].embeddings
    none = lacking(corpus, image=range(40))
    try:
        model, _ = train(none)
    except DataError as error:
        assert "image" in str(error)
    else:
        assert np.isfinite(model.infer(pictures, "image")).all()


def test_text_shared_by_tuples_counts_once_for_each(corpus):
    shared = with_view(corpus, "en", index=np.minimum(corpus.views["en"].index, 30)).subset(
        np.arange(40)
    )
    assert len(shared.views["en"]) == 31
    assert np.isfinite(train(shared)[1][-1]["loss"])


# what the package needs


def test_training_needs_torch_numpy_scipy_tqdm_and_safetensors_alone():
    script = """
import importlib.metadata, sys
needed, todo = set(), ["torch", "numpy", "scipy", "tqdm", "safetensors"]
while todo:  # these five and what they themselves need
    name = todo.pop()
    if name in needed:
        continue
    needed.add(name)
    try:
        requirements = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        continue
    import re
    required = [r for r in requirements if "extra ==" not in r]
    todo += [re.match(r"[\\w.-]+", r)[0].lower().replace("-", "_") for r in required]
normal = {n.lower().replace("-", "_") for n in needed}
blocked = set()
for top, owners in importlib.metadata.packages_distributions().items():
    if not normal & {o.lower().replace("-", "_") for o in owners}:
        blocked.add(top)
blocked |= {"pandas", "sklearn", "gensim", "PIL", "matplotlib", "transformers"}
blocked -= {"m3l"}

class Installed:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in blocked else self.finder.find_spec(name, path, target)

sys.meta_path = [Installed(finder) for finder in sys.meta_path]
import numpy as np, scipy.sparse as sp
import m3l
rng = np.random.default_rng(0)
e = rng.standard_normal((20, 6)).astype("float32")
bow = sp.csr_matrix(rng.poisson(1.0, (20, 9)).astype("int32") + 1)
words = [f"w{i}" for i in range(9)]
ids = [str(i) for i in range(20)]
views = {n: m3l.View(n, e, np.arange(20), ids, bow, words) for n in ("en", "de")}
corpus = m3l.Corpus("c", views, ids, ids, ["train"] * 20)
model = m3l.model_for(corpus, 3)
config = m3l.TrainConfig(epochs=2, batch_size=8, device="cpu")
history = m3l.fit(model, corpus, m3l.Objective(), config)
theta = model.infer(e, "en")
assert np.isfinite(theta).all() and len(history) == 2 and len(model.top_words("en")) == 3
from m3l import metrics
metrics.retrieval(theta, theta)
assert not {"pandas", "sklearn", "gensim", "PIL", "matplotlib"} & set(sys.modules)
print("trained")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("trained\n")
