"""The training step as fused loops on one CPU core: what `model` and `loss` say, with their
gradients, and Adam.

A small model spends much of a step of autograd on calling hundreds of small operations. Here a step
is a dozen compiled loops: the same arithmetic, from the same random draws in the same order, so
that a run differs from the plain loop's by rounding alone. `m3l.train.fit` takes it where it can:
on a CPU, where every tuple has every view.
"""

from itertools import combinations

import numpy as np
import torch

from ..corpus import Corpus
from ..loss import Objective
from ..model import M3L
from .loops import (
    adam,
    categorical,
    encode,
    encode_back,
    f32,
    gaussian,
    info_nce,
    reconstruct,
    sample,
    sample_back,
)


def _statistics(norm):
    return norm.running_mean.numpy(), norm.running_var.numpy(), f32(norm.momentum), f32(norm.eps)


class _Workspace:
    """The arrays of a batch of b tuples; those that hold random draws are seen by torch too."""

    def __init__(self, model: M3L, views: list[str], b: int):
        k, n = model.topics, len(views)
        hidden, sizes = model.config["hidden"], {v: model.views[v].embedding_size for v in views}
        self.dropped = {v: torch.ones(b, hidden) for v in views}
        self.noise = {v: torch.empty(b, k) for v in views}
        self.dropped_theta = {v: torch.ones(b, k) for v in model.beta}
        self.y = {v: np.empty((b, 2 * k), f32) for v in views}
        # x, h1, slope1, h2, slope2, y, inverse
        self.of_view = {
            v: (
                np.empty((b, sizes[v]), f32),
                *(np.empty((b, hidden), f32) for _ in range(4)),
                self.y[v],
                np.empty(2 * k, f32),
            )
            for v in views
        }
        self.theta, self.log_theta = np.empty((n, b, k), f32), np.empty((n, b, k), f32)
        self.d, self.d_theta, self.d_log_theta = (
            np.empty((n, b, 2 * k), f32),
            np.empty((n, b, k), f32),
            np.empty((n, b, k), f32),
        )
        self.prior, self.d_prior = np.empty((b, 2 * k), f32), np.empty((b, 2 * k), f32)
        self.logits, self.d_logits = (
            {v: np.empty((b, model.views[v].vocabulary_size), f32) for v in model.beta}
            for _ in range(2)
        )


class FusedStep:
    """One step of training after another, on the arrays of ``model`` and of ``optimizer``, which
    change in place.

    Parameters
    ----------
    model : M3L
        On the CPU, in training mode.
    corpus : Corpus
        Every tuple has every view.
    objective : Objective
    optimizer : torch.optim.Adam
        Over the model's parameters; it may hold the state of steps already taken.
    prior : two arrays (N, K), optional
        As in `m3l.train.fit`.
    """

    def __init__(
        self,
        model: M3L,
        corpus: Corpus,
        objective: Objective,
        optimizer: torch.optim.Adam,
        prior: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.views = list(corpus.views)
        self.x = {
            v: (
                ((torch.from_numpy(view.embeddings) - model.shift[v]) * model.factor[v])
                .detach()
                .numpy()
            )
            for v, view in corpus.views.items()
        }
        self.index = {v: view.index for v, view in corpus.views.items()}
        self.bows = {
            v: (view.bow.data.astype(f32), view.bow.indices, view.bow.indptr)
            for v, view in corpus.views.items()
            if view.bow is not None
        }
        self.prior = None if prior is None else np.concatenate(prior, axis=1)  # (N, 2K)
        self.workspaces: dict[int, _Workspace] = {}
        self._take_parameters(prior is None and objective.kl == "prior")
        self._take_optimizer(optimizer)

    def _take_parameters(self, learns_prior: bool) -> None:
        """Arrays of the parameters and of their gradients, sharing the tensors' memory."""
        model = self.model
        layers = {
            key: [
                t for layer in (n.layer1, n.layer2, n.posterior) for t in (layer.weight, layer.bias)
            ]
            for key, n in model.networks.items()
        }
        priors = [model.prior_mean, model.prior_log_variance] if learns_prior else []
        betas = {v: model.beta[v] for v in self.bows}
        self.learnt = [t for tensors in layers.values() for t in tensors]
        self.learnt += [*betas.values(), *priors]
        self.gradient = {t: np.zeros(t.shape, f32) for t in self.learnt}
        self.layers = {
            key: ([t.detach().numpy() for t in tensors], [self.gradient[t] for t in tensors])
            for key, tensors in layers.items()
        }
        self.model_prior = tuple(t.detach().numpy() for t in priors)
        self.d_model_prior = tuple(self.gradient[t] for t in priors)
        self.key = {v: model.network_of(v) for v in self.views}
        networks = {v: model.networks[key] for v, key in self.key.items()}
        self.encoders = {
            v: (1 - n.dropout.p, self.layers[self.key[v]][0], _statistics(n.norm))
            for v, n in networks.items()
        }
        self.decoders = {
            v: (
                1 - model.dropout.p,
                beta.detach().numpy(),
                self.gradient[beta],
                _statistics(model.word_norm[v]),
            )
            for v, beta in betas.items()
        }

    def _take_optimizer(self, optimizer: torch.optim.Adam) -> None:
        """Flat arrays of each parameter, its gradient and its two moments."""
        self.count = next((state["step"] for state in optimizer.state.values()), torch.tensor(0.0))
        self.updates = []
        for t in self.learnt:
            state = optimizer.state[t] or {
                "exp_avg": torch.zeros_like(t),
                "exp_avg_sq": torch.zeros_like(t),
            }
            optimizer.state[t] = {**state, "step": self.count}
            moments = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()
            arrays = t.detach().numpy(), self.gradient[t], *moments
            self.updates.append([array.reshape(-1) for array in arrays])

    def gradients(self, tuples: torch.Tensor) -> dict[str, float]:
        """The terms of the loss of a batch, int64 (B,), as `Objective` gives them; their gradients
        are left in ``gradient``.
        """
        objective, rows, b = self.objective, tuples.numpy(), len(tuples)
        if b not in self.workspaces:
            self.workspaces[b] = _Workspace(self.model, self.views, b)
        workspace = self.workspaces[b]
        for i, v in enumerate(self.views):
            self._encode(v, rows, workspace)
            sample(
                workspace.y[v],
                workspace.noise[v].normal_().numpy(),
                workspace.log_theta[i],
                workspace.theta[i],
            )
        for array in (workspace.d, workspace.d_theta, workspace.d_log_theta):
            array.fill(0)
        terms = {}
        if self.bows:
            terms["reconstruction"] = sum(self._reconstruct(v, rows, workspace) for v in self.bows)
        pairs = list(combinations(range(len(self.views)), 2))
        if objective.kl == "prior":
            terms["kl"] = self._kl_to_prior(rows, workspace)
        elif pairs:
            weight = f32(objective.kl_weight * (b if objective.kl_times_batch else 1))
            ordered = [(later, earlier) for earlier, later in pairs] + (
                pairs if objective.kl_order == "both" else []
            )
            terms["kl"] = sum(self._kl(*pair, weight, workspace) for pair in ordered)
        if pairs and objective.contrastive_weight:
            weight = f32(
                objective.contrastive_weight * (0.5 if objective.directions == "mean" else 1.0)
            )
            cosine, both = objective.similarity == "cosine", objective.negatives == "both_views"
            theta, d_theta = (
                a.reshape(-1, self.model.topics) for a in (workspace.theta, workspace.d_theta)
            )
            terms["contrastive"] = info_nce(
                theta, len(self.views), f32(objective.temperature), cosine, both, weight, d_theta
            )
        seen = set()
        for i, v in enumerate(self.views):
            sample_back(
                workspace.d_theta[i],
                workspace.d_log_theta[i],
                workspace.theta[i],
                workspace.noise[v].numpy(),
                workspace.y[v],
                workspace.d[i],
            )
            key = self.key[v]
            (_, _, w2, _, w3, _), gradients = self.layers[key]
            encode_back(workspace.d[i], *workspace.of_view[v], w2, w3, *gradients, key not in seen)
            seen.add(key)
        return terms

    def __call__(self, tuples: torch.Tensor) -> dict[str, float]:
        """A step on a batch, int64 (B,): the terms of its loss, before the step."""
        terms = self.gradients(tuples)
        self.count += 1
        group, count = self.optimizer.param_groups[0], int(self.count)
        (beta1, beta2), eps = group["betas"], f32(group["eps"])
        rate, root2 = f32(group["lr"] / (1 - beta1**count)), f32((1 - beta2**count) ** 0.5)
        for update in self.updates:
            adam(*update, rate, f32(1 - beta1), f32(1 - beta2), root2, eps)
        return terms

    def _encode(self, v, rows, workspace):
        keep, layers, statistics = self.encoders[v]
        if keep < 1:
            workspace.dropped[v].bernoulli_(keep)
        encode(
            rows,
            self.index[v],
            self.x[v],
            *layers,
            f32(keep),
            workspace.dropped[v].numpy(),
            *statistics,
            *workspace.of_view[v],
        )

    def _reconstruct(self, v, rows, workspace):
        keep, beta, gradient, statistics = self.decoders[v]
        if keep < 1:
            workspace.dropped_theta[v].bernoulli_(keep)
        i, dropped = self.views.index(v), workspace.dropped_theta[v].numpy()
        return reconstruct(
            rows,
            self.index[v],
            *self.bows[v],
            workspace.theta[i],
            dropped,
            f32(keep),
            beta,
            *statistics,
            workspace.logits[v],
            workspace.d_logits[v],
            gradient,
            workspace.d_theta[i],
        )

    def _kl(self, p, q, weight, workspace):
        if self.objective.kl == "categorical":
            return categorical(
                workspace.log_theta[p],
                workspace.theta[p],
                workspace.log_theta[q],
                weight,
                workspace.d_log_theta[p],
                workspace.d_log_theta[q],
            )
        return gaussian(
            workspace.y[self.views[p]],
            workspace.y[self.views[q]],
            weight,
            workspace.d[p],
            workspace.d[q],
        )

    def _kl_to_prior(self, rows, workspace):
        k, weight = self.model.topics, f32(self.objective.kl_weight)
        if self.prior is not None:
            np.take(self.prior, rows, axis=0, out=workspace.prior)
        else:
            workspace.prior[:, :k], workspace.prior[:, k:] = self.model_prior
        workspace.d_prior.fill(0)
        total = sum(
            gaussian(workspace.y[v], workspace.prior, weight, workspace.d[i], workspace.d_prior)
            for i, v in enumerate(self.views)
        )
        for part, gradient in enumerate(self.d_model_prior):
            workspace.d_prior[:, part * k : (part + 1) * k].sum(0, out=gradient)
        return total
