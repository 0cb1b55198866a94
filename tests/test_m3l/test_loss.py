import math
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import Independent, Normal, kl_divergence

from m3l import M3L, PRESETS, Objective, ParameterError, ViewSpec
from m3l.loss import Batch, categorical_kl, gaussian_kl, info_nce, reconstruction
from m3l.networks import Posterior


def normal(*shape, seed=0, scale=1.0):
    return scale * torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def log_simplex(*shape, seed=0, scale=1.0):
    return normal(*shape, seed=seed, scale=scale).log_softmax(-1)


# pure functions


def test_reconstruction_is_minus_counts_times_log_softmax():
    logits, bow = normal(6, 9), normal(6, 9, seed=1).abs().mul(3).round()
    z, w = logits.numpy(), bow.numpy()
    expected = -(w * (z - np.log(np.exp(z).sum(1, keepdims=True)))).sum(1)
    np.testing.assert_allclose(reconstruction(logits, bow).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(
        reconstruction(logits.float(), bow.float()).numpy(), expected, rtol=1e-5
    )


def test_gaussian_kl_is_that_of_torch_distributions():
    m, v, n, w = (normal(6, 5, seed=s) for s in range(4))
    expected = kl_divergence(
        Independent(Normal(m, (v / 2).exp()), 1), Independent(Normal(n, (w / 2).exp()), 1)
    )
    torch.testing.assert_close(gaussian_kl(m, v, n, w), expected, rtol=1e-12, atol=1e-12)
    prior = n[0], w[0]
    expected = kl_divergence(
        Independent(Normal(m, (v / 2).exp()), 1),
        Independent(Normal(prior[0], (prior[1] / 2).exp()), 1),
    )
    torch.testing.assert_close(gaussian_kl(m, v, *prior), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gaussian_kl(m, v, m, v), torch.zeros(6, dtype=torch.float64))


def test_categorical_kl_is_relative_entropy():
    p, q = log_simplex(6, 5), log_simplex(6, 5, seed=1)
    expected = scipy.stats.entropy(p.exp().numpy(), q.exp().numpy(), axis=1)
    np.testing.assert_allclose(categorical_kl(p, q).numpy(), expected, rtol=1e-12)
    assert not np.allclose(expected, categorical_kl(q, p))


def nce_by_definition(a, b, temperature, similarity, negatives):
    """One (2, B) table of -log(positive / (positive + negatives)) by loops, and the number of
    negatives of each anchor.
    """

    def close(x, y):
        value = x @ y if similarity == "dot" else x @ y / math.sqrt((x @ x) * (y @ y))
        return math.exp(value / temperature)

    a, b, rows, counts = np.float64(a), np.float64(b), [], []
    for anchors, others in ((a, b), (b, a)):
        for i in range(len(a)):
            against = [close(anchors[i], others[j]) for j in range(len(a)) if j != i]
            if negatives == "both_views":
                against += [close(anchors[i], anchors[j]) for j in range(len(a)) if j != i]
            positive = close(anchors[i], others[i])
            rows.append(-math.log(positive / (positive + sum(against))))
            counts.append(len(against))
    return np.array(rows).reshape(2, -1), counts


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("negatives", ["cross_view", "both_views"])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_is_its_definition(similarity, negatives, temperature):
    n = 6
    a, b = log_simplex(n, 4).exp(), log_simplex(n, 4, seed=1).exp()
    expected, counts = nce_by_definition(a, b, temperature, similarity, negatives)
    np.testing.assert_allclose(
        info_nce(a, b, temperature, similarity, negatives).numpy(), expected, rtol=1e-10
    )
    if negatives == "cross_view":
        assert sum(counts[:n]) == sum(counts[n:]) == n**2 - n
    else:
        assert counts == [2 * n - 2] * (2 * n)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("n", [1, 2, 5, 32])
def test_info_nce_counts_the_negatives_it_should(similarity, n):
    same = torch.full(
        (n, 4), 0.25, dtype=torch.float64
    )  # every similarity is equal, so each row is log(1 + negatives)
    for negatives, count in (("cross_view", n - 1), ("both_views", 2 * n - 2)):
        torch.testing.assert_close(
            info_nce(same, same, 0.07, similarity, negatives),
            torch.full((2, n), math.log(1 + count), dtype=torch.float64),
        )


def gradcheck(function, *inputs):
    assert torch.autograd.gradcheck(function, [x.clone().requires_grad_() for x in inputs])


def test_gradients_of_the_pure_functions():
    bow = normal(4, 6, seed=9).abs().round()
    gradcheck(lambda z: reconstruction(z, bow), normal(4, 6))
    gradcheck(gaussian_kl, *(normal(4, 3, seed=s) for s in range(4)))
    gradcheck(gaussian_kl, normal(4, 3), normal(4, 3, seed=1), normal(3, seed=2), normal(3, seed=3))
    gradcheck(
        lambda p, q: categorical_kl(p.log_softmax(1), q.log_softmax(1)),
        normal(4, 3),
        normal(4, 3, seed=1),
    )
    for similarity in ("dot", "cosine"):
        for negatives in ("cross_view", "both_views"):
            gradcheck(
                lambda a, b, s=similarity, n=negatives: info_nce(a, b, 0.5, s, n),
                normal(4, 3).abs(),
                normal(4, 3, seed=1).abs(),
            )


def test_huge_logits_give_finite_values_and_gradients():
    z, other = (normal(5, 7, seed=s, scale=1e4).float().requires_grad_() for s in range(2))
    bow = normal(5, 7, seed=2).abs().mul(3).round().float()
    p, q = z.log_softmax(1), other.log_softmax(1)
    values = [reconstruction(z, bow), categorical_kl(p, q)]
    for similarity in ("dot", "cosine"):
        values += [
            info_nce(p.exp(), q.exp(), 0.07, similarity, negatives)
            for negatives in ("cross_view", "both_views")
        ]
    for value in values:
        assert value.isfinite().all()
        for gradient in torch.autograd.grad(
            value.sum(), [z, other], retain_graph=True, allow_unused=True
        ):
            assert gradient is None or gradient.isfinite().all()


# presets and parameters


def test_presets_differ_as_documented():
    book = asdict(Objective())
    changes = {
        name: {k: v for k, v in asdict(o).items() if v != book[k]} for name, o in PRESETS.items()
    }
    assert changes == {
        "paper": {
            "kl_order": "both",
            "similarity": "dot",
            "negatives": "cross_view",
            "directions": "sum",
            "betas": (0.9, 0.999),
        },
        "released": {"kl_times_batch": True},
        "released_gaussian": {"kl": "gaussian", "kl_weight": 0.01},
        "released_head": {"kl": "prior", "contrastive_weight": 100.0},
        "book": {},
        "recommended": {"contrast_on": "means"},
        "zeroshot": {"kl": "prior", "contrastive_weight": 0.0},
    }
    assert (book["contrastive_weight"], book["temperature"], book["kl"], book["betas"]) == (
        50.0,
        0.07,
        "categorical",
        (0.99, 0.99),
    )


def test_the_book_trains_with_what_the_ledger_says():
    book = Objective.preset("book")
    assert book == Objective() and (book.kl, book.kl_weight) == ("categorical", 1.0)
    assert (book.kl_order, book.kl_times_batch) == ("later_earlier", False)
    assert (book.similarity, book.negatives, book.directions) == ("cosine", "both_views", "mean")
    assert (book.contrastive_weight, book.temperature) == (50.0, 0.07)
    assert (book.learning_rate, book.betas) == (2e-3, (0.99, 0.99))


def test_a_preset_takes_changes_and_stays_as_it_was():
    assert asdict(Objective.preset("paper", temperature=0.5)) == {
        **asdict(PRESETS["paper"]),
        "temperature": 0.5,
    }
    assert PRESETS["paper"].temperature == 0.07
    assert Objective(betas=[0.5, 0.6]).betas == (0.5, 0.6)


def test_unknown_preset_or_field_is_named_with_the_valid_ones():
    with pytest.raises(
        ParameterError,
        match="objective='ours' is unknown; valid: book, paper, recommended, released, rel",
    ):
        Objective.preset("ours")
    with pytest.raises(ParameterError, match=r"'tau' is unknown; valid: .*temperature"):
        Objective.preset("book", tau=0.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kl", "renyi"),
        ("kl_order", "earlier_later"),
        ("contrast_on", "medians"),
        ("similarity", "euclidean"),
        ("negatives", "none"),
        ("directions", "max"),
        ("kl_weight", -1.0),
        ("kl_weight", math.nan),
        ("contrastive_weight", math.inf),
        ("contrastive_weight", -50),
        ("temperature", 0.0),
        ("temperature", -0.07),
        ("temperature", math.nan),
        ("temperature", "hot"),
        ("learning_rate", 0.0),
        ("learning_rate", math.inf),
        ("betas", (0.9,)),
        ("betas", (0.9, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("betas", (math.nan, 0.9)),
        ("betas", 0.9),
        ("betas", ("a", "b")),
    ],
)
def test_a_bad_value_is_named(field, value):
    with pytest.raises(ParameterError, match=field):
        Objective(**{field: value})
    with pytest.raises(ParameterError, match=field):
        Objective.preset("paper", **{field: value})


# the objective over a batch


def make_model(dropout=0.0, topics=4):
    torch.manual_seed(0)
    return M3L(
        [ViewSpec("en", 6, 12), ViewSpec("de", 6, 9), ViewSpec("image", 5)],
        topics,
        hidden=16,
        dropout=dropout,
    )


def make_batch(rows):
    """A batch of 8 tuples: embeddings, counts and presence of views that stand in ``rows`` (None:
    in all).
    """
    x, bow, present = {}, {}, {}
    for seed, (name, size, words) in enumerate((("en", 6, 12), ("de", 6, 9), ("image", 5, 0))):
        here = list(range(8)) if rows.get(name) is None else rows[name]
        x[name] = normal(8, size, seed=seed).float()[here]
        if words:
            bow[name] = normal(8, words, seed=10 + seed).abs().mul(3).round().float()[here]
        if rows.get(name) is not None:
            present[name] = torch.isin(torch.arange(8), torch.tensor(here, dtype=torch.long))
    return Batch(x, bow, present)


def terms_by_hand(objective, model, x, bow, rows):
    """The terms as sums over tuples and pairs of views, with the posteriors of the same draw."""
    torch.manual_seed(7)
    posteriors = model(x)
    here = {name: list(range(8)) if rows.get(name) is None else rows[name] for name in x}
    expected = {"reconstruction": 0.0}
    for name, counts in bow.items():
        raw = posteriors[name].log_theta.exp() @ model.beta[name]
        logits = (raw - raw.mean(0)) / (raw.var(0, correction=0) + 1e-5).sqrt()
        expected["reconstruction"] -= float((counts * logits.log_softmax(1)).sum())
    kl, contrastive = 0.0, 0.0

    def divergence(p, q):
        if objective.kl == "categorical":
            return float((p.log_theta.exp() * (p.log_theta - q.log_theta)).sum())
        return float(
            kl_divergence(
                Normal(p.mean, (p.log_variance / 2).exp()),
                Normal(q.mean, (q.log_variance / 2).exp()),
            ).sum()
        )

    for earlier, later in combinations(["en", "de", "image"], 2):
        both = [t for t in range(8) if t in here[earlier] and t in here[later]]
        a = Posterior(*(f[[here[earlier].index(t) for t in both]] for f in posteriors[earlier]))
        b = Posterior(*(f[[here[later].index(t) for t in both]] for f in posteriors[later]))
        if objective.kl != "prior":
            pair = divergence(b, a) + (divergence(a, b) if objective.kl_order == "both" else 0.0)
            kl += pair * (len(both) if objective.kl_times_batch else 1)
        means = objective.contrast_on == "means"
        theta_a, theta_b = (q.mean.softmax(1) if means else q.log_theta.exp() for q in (a, b))
        table, _ = nce_by_definition(
            theta_a,
            theta_b,
            objective.temperature,
            objective.similarity,
            objective.negatives,
        )
        contrastive += table.sum() / (2 if objective.directions == "mean" else 1)
    if objective.kl == "prior":
        prior = Normal(model.prior_mean, (model.prior_log_variance / 2).exp())
        kl = sum(
            float(kl_divergence(Normal(q.mean, (q.log_variance / 2).exp()), prior).sum())
            for q in posteriors.values()
        )
    expected["kl"] = objective.kl_weight * kl
    if objective.contrastive_weight:
        expected["contrastive"] = objective.contrastive_weight * contrastive
    return expected


OBJECTIVES = {
    **PRESETS,
    "gaussian": Objective(kl="gaussian", kl_order="both", kl_weight=0.3),
    "gaussian, one order": Objective(kl="gaussian", temperature=0.5),
    "both orders": Objective(kl_order="both"),
    "dot": Objective(similarity="dot", directions="sum", contrastive_weight=2.0),
    "no contrast": Objective(contrastive_weight=0.0),
}
PRESENCE = {
    "all": {},
    "some": {"de": [0, 1, 3, 4, 7], "image": [1, 2, 4, 6, 7]},
    "one view whole": {"image": [0, 5]},
    "no tuple in common": {"en": [0, 1, 2, 3], "de": [4, 5, 6, 7], "image": [0, 1, 6, 7]},
}


@pytest.mark.parametrize("presence", PRESENCE)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_are_sums_over_tuples_and_pairs_of_views_that_are_there(name, presence):
    objective, model, rows = OBJECTIVES[name], make_model(), PRESENCE[presence]
    batch = make_batch(rows)
    with torch.no_grad():
        expected = terms_by_hand(objective, model, batch.x, batch.bow, rows)
        torch.manual_seed(7)
        terms = objective(model, batch)
    assert {k: float(v) for k, v in terms.items()} == pytest.approx(expected, rel=2e-4, abs=1e-4)


def test_choices_change_the_terms_by_their_factor():
    model = make_model()
    batch = make_batch({})

    def terms(**changes):
        torch.manual_seed(7)
        return {k: v.item() for k, v in Objective(**changes)(model, batch).items()}

    base = terms()
    assert terms(kl_times_batch=True)["kl"] == pytest.approx(8 * base["kl"])
    assert terms(directions="sum")["contrastive"] == pytest.approx(2 * base["contrastive"])
    assert terms(kl_weight=3.0)["kl"] == pytest.approx(3 * base["kl"])
    assert terms(contrastive_weight=25.0)["contrastive"] == pytest.approx(base["contrastive"] / 2)
    assert terms(kl_order="both")["kl"] > base["kl"]
    assert set(terms(contrastive_weight=0.0)) == {"reconstruction", "kl"}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"image": []},
        {"en": []},
        {"en": [], "de": []},
        {"en": [0], "de": [0], "image": [0]},
        {"en": [0], "de": [1], "image": [2]},
    ],
    ids=["all", "no picture", "no English", "pictures alone", "one tuple", "one view a tuple"],
)
def test_loss_and_gradients_are_finite_whatever_is_missing(name, rows):
    model = make_model(dropout=0.2).train()
    terms = OBJECTIVES[name](model, make_batch(rows))
    loss = sum(terms.values())
    assert all(torch.as_tensor(value).isfinite() for value in terms.values())
    if torch.is_tensor(loss) and loss.requires_grad:
        loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert all(b.isfinite().all() for b in model.buffers())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_batch_of_one_tuple_with_all_views_is_finite(name):
    model = make_model().train()
    x, bow = ({k: v[:1] for k, v in part.items()} for part in make_batch({})[:2])
    terms = OBJECTIVES[name](model, Batch(x, bow))
    assert all(value.isfinite() for value in terms.values())
    if "contrastive" in terms:
        assert terms["contrastive"].item() == pytest.approx(0, abs=1e-3)
    sum(terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_weights_of_ten_thousand_give_finite_loss_and_gradients(name):
    model = make_model().train()
    with torch.no_grad():
        for beta in model.beta.values():
            beta.mul_(1e4)
        for network in model.networks.values():
            network.posterior.weight.mul_(1e4)
    terms = OBJECTIVES[name](model, make_batch({}))
    assert all(value.isfinite() for value in terms.values())
    sum(terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_contrast_pulls_the_views_of_a_tuple_together():
    model = make_model().train()
    batch = make_batch({})
    optimizer = torch.optim.Adam(model.networks.parameters(), 0.01)
    values = []
    torch.manual_seed(0)
    for _ in range(150):
        terms = Objective()(model, batch)
        values.append(terms["contrastive"].item())
        optimizer.zero_grad()
        terms["contrastive"].backward()
        optimizer.step()
    assert np.mean(values[-20:]) < 0.8 * np.mean(values[:20])
