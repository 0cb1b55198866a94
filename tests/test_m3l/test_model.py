import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import make_corpus

from m3l import M3L, DataError, ParameterError, ViewSpec, model_for, top_topics
from m3l.metrics.ranking import retrieval
from m3l.networks import BatchNorm, InferenceNetwork, InputScaling
from m3l.noise import item_keys, normal_of_items

VIEWS = [ViewSpec("en", 8, 30), ViewSpec("de", 8, 25), ViewSpec("image", 6)]


def make_model(views=VIEWS, topics=5, seed=0, **options):
    torch.manual_seed(seed)
    return M3L(views, topics, **options)


def embed(n=7, size=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, size)).astype(np.float32)


def inputs(n=7, views=VIEWS):
    return {
        v.name: torch.from_numpy(embed(n, v.embedding_size, seed)) for seed, v in enumerate(views)
    }


# shapes and distributions


def test_posteriors_and_logits_have_a_row_per_document():
    model = make_model()
    posteriors = model(inputs())
    assert list(posteriors) == ["en", "de", "image"]
    for q in posteriors.values():
        assert all(field.shape == (7, 5) for field in q)
        torch.testing.assert_close(q.log_theta.exp().sum(1), torch.ones(7))
    assert model.decode("de", posteriors["image"].log_theta.exp()).shape == (7, 25)
    assert set(model.beta) == {"en", "de"}


def test_views_may_have_different_numbers_of_rows():
    posteriors = make_model()(
        {"en": torch.from_numpy(embed(4)), "image": torch.from_numpy(embed(3, 6))}
    )
    assert posteriors["en"].mean.shape == (4, 5) and posteriors["image"].mean.shape == (3, 5)


def plain_norm(x):
    return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()


def test_training_forward_is_the_network_written_plainly():
    model, x = make_model(dropout=0.0), inputs()
    torch.manual_seed(3)
    posteriors = model(x)
    logits = model.decode("en", posteriors["en"].log_theta.exp())
    torch.manual_seed(3)
    for name, q in posteriors.items():
        w = {k: v.detach() for k, v in model.networks[name].named_parameters()}
        h = torch.log1p(torch.exp(x[name] @ w["layer1.weight"].T + w["layer1.bias"]))
        h = torch.log1p(torch.exp(h @ w["layer2.weight"].T + w["layer2.bias"]))
        mean = plain_norm(h @ w["posterior.weight"][:5].T + w["posterior.bias"][:5])
        log_variance = plain_norm(h @ w["posterior.weight"][5:].T + w["posterior.bias"][5:])
        theta = torch.softmax(mean + torch.randn(7, 5) * torch.sqrt(torch.exp(log_variance)), dim=1)
        torch.testing.assert_close(q.mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(q.log_variance, log_variance, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(q.log_theta.exp(), theta, rtol=1e-4, atol=1e-5)
        if name == "en":
            torch.testing.assert_close(
                logits, plain_norm(theta @ model.beta["en"]), rtol=1e-3, atol=1e-3
            )


def test_one_hidden_layer_is_the_first_alone():
    torch.manual_seed(0)
    network = InferenceNetwork(8, 4, hidden=16, layers=1).eval()
    x = torch.randn(5, 8)
    normal = network.norm(network.posterior(F.softplus(network.layer1(x))))
    torch.testing.assert_close(torch.cat(network(x), dim=1), normal)
    assert "layer2.weight" not in network.state_dict()


def test_evaluation_normalises_with_running_statistics():
    model, x = make_model(dropout=0.0), inputs()
    network = model.networks["en"]
    raw = network.posterior(F.softplus(network.layer2(F.softplus(network.layer1(x["en"])))))
    model(x)
    running_mean, running_variance = 0.1 * raw.mean(0), 0.9 + 0.1 * raw.var(0)
    expected = (raw - running_mean) / (running_variance + 1e-5).sqrt()
    model.eval()
    torch.testing.assert_close(
        torch.cat(model.encode("en", x["en"]), dim=1), expected, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        model.encode("en", x["en"][:1])[0], expected[:1, :5], rtol=1e-4, atol=1e-5
    )


def test_dropout_changes_training_and_not_evaluation():
    model, x = make_model(dropout=0.5), inputs()
    a, b = model.encode("en", x["en"])[0], model.encode("en", x["en"])[0]
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model.encode("en", x["en"])[0], model.encode("en", x["en"])[0])


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_of_one_or_none_is_finite_in_training(rows):
    model = make_model().train()
    x = {name: e[:rows].requires_grad_() for name, e in inputs().items()}
    posteriors = model(x)
    logits = model.decode("en", posteriors["en"].log_theta.exp())
    assert logits.shape == (rows, 30) and logits.isfinite().all()
    logits.logsumexp(1).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert all(b.isfinite().all() for b in model.buffers())


def test_batch_norm_has_no_learnt_scale():
    norm = BatchNorm(4)
    assert list(norm.parameters()) == []
    out = norm(torch.randn(50, 4) * 3 + 2)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_prior_starts_as_the_laplace_approximation():
    model = make_model(topics=5)
    assert model.prior_mean.tolist() == [0] * 5
    torch.testing.assert_close(model.prior_log_variance.exp(), torch.full((5,), 0.8))
    assert model.prior_mean.requires_grad and model.prior_log_variance.requires_grad


# inference


def test_inferred_topics_are_distributions():
    theta = make_model().infer(embed(9), "en")
    assert theta.shape == (9, 5) and theta.dtype == np.float32
    np.testing.assert_allclose(theta.sum(1), 1, atol=1e-5)
    assert (theta >= 0).all()
    assert make_model().infer(embed(0), "en").shape == (0, 5)


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_inference_does_not_depend_on_the_batch_size(batch_size):
    model = make_model()
    model(inputs(20))
    np.testing.assert_allclose(
        model.infer(embed(23), "en", batch_size=batch_size), model.infer(embed(23), "en"), atol=1e-6
    )


def test_inference_is_reproducible_and_draws_from_its_seed():
    model = make_model()
    np.testing.assert_array_equal(
        model.infer(embed(), "en", seed=1), model.infer(embed(), "en", seed=1)
    )
    assert (
        np.abs(model.infer(embed(), "en", seed=1) - model.infer(embed(), "en", seed=2)).max() > 1e-3
    )


def test_inference_touches_neither_mode_nor_global_randomness():
    model = make_model().train()
    before, buffers = torch.get_rng_state(), [b.clone() for b in model.buffers()]
    model.infer(embed(), "en")
    assert model.training and torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))


def test_inference_is_the_mean_over_samples_of_theta():
    model, x = make_model().eval(), embed(3)
    with torch.no_grad():
        mean, log_variance = (t.numpy() for t in model.encode("en", torch.from_numpy(x)))
    z = mean + np.exp(log_variance / 2) * np.random.default_rng(99).standard_normal((50_000, 3, 5))
    theta = np.exp(z - z.max(2, keepdims=True))
    expected = (theta / theta.sum(2, keepdims=True)).mean(0)
    np.testing.assert_allclose(model.infer(x, "en", samples=20_000), expected, atol=0.01)
    np.testing.assert_allclose(
        np.mean([model.infer(x, "en", samples=1, seed=s) for s in range(500)], axis=0),
        expected,
        atol=0.05,
    )
    assert np.abs(model.infer(x, "en", samples=1) - expected).max() > 0.05


def test_rows_of_two_views_share_no_noise():
    model = make_model([ViewSpec("en", 8, 30), ViewSpec("image", 8)])
    for network in model.networks.values():  # the embeddings then say nothing, and θ is noise alone
        torch.nn.init.zeros_(network.posterior.weight)
        torch.nn.init.zeros_(network.posterior.bias)
    en, pictures = embed(200), embed(200, seed=1)
    for theta in (model.infer(pictures, "image"), model.infer(pictures, "en")):
        scores = retrieval(model.infer(en, "en"), theta)
        assert scores["reciprocal_rank"].mean() < 2 * scores["chance_rr"]


def test_inference_takes_any_memory_layout():
    model, x = make_model(), embed(6)
    np.testing.assert_allclose(
        model.infer(np.asfortranarray(x), "en"), model.infer(x, "en"), atol=1e-6
    )
    np.testing.assert_allclose(
        model.infer(x[::-1], "en"), model.infer(x[::-1].copy(), "en"), atol=1e-6
    )


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (
            embed(size=9),
            r"view 'en': expected float32 embeddings of shape \(items, 8\), got float32 \(7, 9\)",
        ),
        (embed()[0], r"view 'en': .* got float32 \(8,\)"),
        (embed().astype(np.float64), "view 'en': .* got float64"),
        (embed().tolist(), "view 'en': .* got list"),
        (np.where(np.arange(8) == 3, np.nan, embed()).astype(np.float32), "view 'en': .*NaN"),
        (np.where(np.arange(8) == 3, np.inf, embed()).astype(np.float32), "view 'en': .*infinity"),
    ],
)
def test_bad_embeddings_name_the_view(embeddings, message):
    with pytest.raises(DataError, match=message):
        make_model().infer(embeddings, "en")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "fr"}, "view='fr' is unknown; valid: de, en, image"),
        ({"samples": 0}, "samples=0"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_bad_inference_parameters_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        make_model().infer(embed(), **{"view": "en", **options})


# input scaling


def scaled(scaling, train, new=None):
    layer = InputScaling(train.shape[1])
    if scaling != "none":
        layer.fit(torch.from_numpy(train), scaling)
    return layer(torch.from_numpy(train if new is None else new)).numpy()


def test_no_scaling_leaves_embeddings_as_they_are():
    x = 5 * embed(50) + 3
    np.testing.assert_array_equal(scaled("none", x), x)


def test_scale_is_one_factor_to_unit_typical_spread():
    x = (embed(200) * np.array([1, 2, 3, 4, 5, 6, 7, 8]) + 0.5).astype(np.float32)
    y = scaled("scale", x)
    ratio = y / x
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(((y - y.mean(0)) ** 2).mean()), 1, rtol=1e-5)


def test_standardize_gives_each_dimension_mean_0_and_spread_1():
    y = scaled("standardize", (embed(200) * np.arange(1, 9) + 7).astype(np.float32))
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.1, 300.0])
def test_a_constant_dimension_is_standardized_to_zero_and_scaled_to_a_constant(constant):
    x = embed(50)
    x[:, 2] = constant
    y = scaled("standardize", x)
    assert np.isfinite(y).all() and np.abs(y[:, 2]).max() < 1e-3
    y = scaled("scale", x)
    assert np.isfinite(y).all() and len(set(y[:, 2])) == 1


def test_a_view_all_of_whose_items_are_equal_stays_finite():
    for scaling in ("scale", "standardize"):
        assert np.isfinite(scaled(scaling, np.full((9, 8), 3.0, dtype=np.float32))).all()


def test_a_dimension_constant_in_training_does_not_drown_the_others_in_new_documents():
    x, new = embed(50), embed(20, seed=1)
    x[:, 2] = 0.1
    assert np.abs(scaled("standardize", x, new)).max() < 100


def test_scaling_reaches_encode_and_is_saved():
    corpus = make_corpus()
    model = model_for(corpus, 4, "standardize")
    other = model_for(corpus, 4, "none")
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(
        other.infer(corpus.views["en"].embeddings, "en"),
        model.infer(corpus.views["en"].embeddings, "en"),
    )
    plain = model_for(corpus, 4, "none")
    assert (
        np.abs(
            plain.infer(corpus.views["en"].embeddings, "en")
            - model.infer(corpus.views["en"].embeddings, "en")
        ).max()
        > 1e-3
    )
    assert list(model.scaling.parameters()) == []


# parameters


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_model(topics=0), "topics=0"),
        (lambda: make_model(topics=1), "topics=1"),
        (lambda: make_model(topics=2.5), r"topics=2\.5"),
        (lambda: make_model(topics="ten"), "topics='?ten"),
        (lambda: make_model(hidden=0), "hidden=0"),
        (lambda: make_model(dropout=-0.1), r"dropout=-0\.1"),
        (lambda: make_model(dropout=1.0), r"dropout=1\.0"),
        (lambda: make_model(dropout=float("nan")), "dropout=nan"),
        (lambda: make_model([]), "views: expected at least one"),
        (lambda: make_model([VIEWS[0], VIEWS[0]]), r"views: names must differ, got \['en', 'en'\]"),
        (lambda: ViewSpec("en", 0), "view 'en': embedding_size=0"),
        (lambda: ViewSpec("en", 8, -1), "view 'en': vocabulary_size=-1"),
        (
            lambda: ViewSpec("en", 8, 10, "whiten"),
            "input_scaling='whiten' is unknown; valid: none, scale, standardize",
        ),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_views_may_all_be_without_words():
    """Such a model learns from a teacher; `fit` refuses it without one (test_distillation)."""
    model = make_model([VIEWS[2]])
    assert len(model.beta) == 0 and model.infer(embed(size=6), "image").shape == (7, 5)


@pytest.mark.parametrize("name", ["to", "type", "en.wiki", "en/wiki", "日本語", "text"])
def test_a_view_may_have_any_name_or_is_refused_by_name(name):
    try:
        model = make_model([ViewSpec("en", 8, 30), ViewSpec(name, 8, 25)])
    except ParameterError as error:
        assert repr(name) in str(error)
    else:
        assert model.infer(embed(), name).shape == (7, 5)


# one network for all languages


def test_shared_text_network_has_one_set_of_parameters():
    model = make_model(share_text_network=True)
    assert len(model.networks) == 2
    np.testing.assert_array_equal(model.posterior(embed(), "en"), model.posterior(embed(), "de"))
    count = {m: sum(p.numel() for p in m.networks.parameters()) for m in (model, make_model())}
    assert count[model] < min(c for m, c in count.items() if m is not model)
    assert model.beta["en"].shape == (5, 30) and model.beta["de"].shape == (5, 25)


def test_separate_text_networks_differ():
    model = make_model()
    assert len(model.networks) == 3
    assert (
        np.abs(model.posterior(embed(), "en")[0] - model.posterior(embed(), "de")[0]).max() > 1e-3
    )


def test_shared_text_network_needs_one_embedding_size():
    with pytest.raises(ParameterError, match=r"share_text_network: .*\[8, 9\]"):
        make_model(
            [ViewSpec("en", 8, 30), ViewSpec("de", 9, 25), VIEWS[2]], share_text_network=True
        )


def test_pictures_never_share_the_text_network():
    try:
        model = make_model([*VIEWS[:2], ViewSpec("text", 8)], share_text_network=True)
    except ParameterError as error:
        assert "'text'" in str(error)
        return
    assert (
        np.abs(model.posterior(embed(), "en")[0] - model.posterior(embed(), "text")[0]).max() > 1e-3
    )


# topics


def test_top_words_are_the_heaviest_first_and_ties_by_column():
    model = make_model([ViewSpec("en", 8, 4)], topics=2)
    model.vocabularies["en"] = list("abcd")
    model.beta["en"].data = torch.tensor([[0.0, 3.0, -5.0, 1.0], [2.0, 7.0, 2.0, 7.0]])
    assert model.top_words("en", n=4) == [["b", "d", "a", "c"], ["b", "d", "a", "c"]]
    assert model.top_words("en", n=2) == [["b", "d"], ["b", "d"]]
    assert [len(words) for words in model.top_words("en")] == [4, 4]


def test_top_words_of_pictures_or_of_an_unknown_vocabulary_are_refused():
    with pytest.raises(ParameterError, match="view 'image' has no words; views with words: en, de"):
        make_model().top_words("image")
    with pytest.raises(DataError, match="view 'en': the model does not know its vocabulary"):
        make_model().top_words("en")


@pytest.mark.parametrize("name, words", [("en", 29), ("de", 26), ("image", 3), ("fr", 3)])
def test_a_saved_vocabulary_of_another_length_than_its_topics_is_refused(tmp_path, name, words):
    model, path = make_model(), tmp_path / "m.safetensors"
    model.vocabularies = {"en": [f"w{i}" for i in range(30)], "de": [f"w{i}" for i in range(25)]}
    model.save(path)
    assert M3L.load(path).vocabularies == model.vocabularies
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    columns = len(model.vocabularies.get(name, ()))
    model.vocabularies[name] = [f"w{i}" for i in range(words)]
    model.save(path)
    message = f"{words} words of view '{name}', whose topics have {columns}"
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: {message}"):
        M3L.load(path)


def test_top_topics_are_the_most_probable_first_and_ties_by_column():
    assert top_topics(np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]]), 2).tolist() == [[1, 2], [0, 2]]


def test_an_items_topics_do_not_depend_on_its_companions():
    model, x = make_model(), embed(23)
    whole = model.infer(x, "en", seed=3)
    some = np.array([7, 2, 19])
    np.testing.assert_allclose(model.infer(x[some], "en", seed=3), whole[some], atol=1e-6)
    for row in (0, 22):
        np.testing.assert_allclose(
            model.infer(x[row : row + 1], "en", seed=3)[0], whole[row], atol=1e-6
        )
    changed = x.copy()
    changed[5, 0] = np.nextafter(changed[5, 0], np.float32(9))
    others = np.arange(23) != 5
    np.testing.assert_array_equal(model.infer(changed, "en", seed=3)[others], whole[others])


def test_two_views_share_no_noise_even_for_the_same_vector():
    keys = item_keys([b"a", b"b"], "en", 0), item_keys([b"a", b"b"], "de", 0)
    assert len({key.tobytes() for pair in keys for key in pair}) == 4
    assert (item_keys([b"a"], "en", 1) != keys[0][0]).all()
    x = np.tile(embed(1), (400, 1)) + np.arange(400, dtype=np.float32)[:, None] * 1e-6
    noise = [normal_of_items(x, view, 0, (2, 3)).reshape(400, -1) for view in ("en", "de")]
    correlation = np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]
    assert abs(correlation) < 0.1 and abs(noise[0].mean()) < 0.1 and 0.9 < noise[0].std() < 1.1
