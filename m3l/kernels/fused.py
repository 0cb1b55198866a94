"""The training step as fused loops on one CPU core: what `model` and `loss` say, with their
gradients, and Adam.

A small model spends much of a step of autograd on calling hundreds of small operations. Here a step
is a dozen compiled loops: the same arithmetic, from the same random draws in the same order, so
that a run differs from the plain loop's by rounding alone. `m3l.train.fit` takes it where it can,
on a CPU.
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
from .workspace import Side, Workspace


def _statistics(norm):
    return norm.running_mean.numpy(), norm.running_var.numpy(), f32(norm.momentum), f32(norm.eps)


class FusedStep:
    """One step of training after another, on the arrays of ``model`` and of ``optimizer``, which
    change in place.

    Parameters
    ----------
    model : M3L
        On the CPU, in training mode.
    corpus : Corpus
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
        self.present = {v: w.present for v, w in corpus.views.items() if not w.present.all()}
        self.bows = {
            v: (view.bow.data.astype(f32), view.bow.indices, view.bow.indptr)
            for v, view in corpus.views.items()
            if view.bow is not None
        }
        self.prior = None if prior is None else np.concatenate(prior, axis=1)  # (N, 2K)
        self.workspaces: dict[int, Workspace] = {}
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
        batch, b = tuples.numpy(), len(tuples)
        if b not in self.workspaces:
            self.workspaces[b] = Workspace(self.model, self.views, b)
        workspace = self.workspaces[b]
        present = {v: has[batch] for v, has in self.present.items()}
        rows = {v: batch[present[v]] if v in present else batch for v in self.views}
        for v in self.views:
            self._encode(v, rows[v], workspace)
        for array in (workspace.d, workspace.d_theta, workspace.d_log_theta):
            array.fill(0)
        terms = {}
        if self.bows:
            terms["reconstruction"] = sum(
                self._reconstruct(v, rows[v], workspace) for v in self.bows
            )
        if self.objective.kl == "prior":
            terms["kl"] = self._kl_to_prior(rows, workspace)
        terms |= self._compare(present, workspace, b)
        seen = set()
        for v in self.views:
            network, (noise, _, theta), (d, d_theta, d_log_theta) = workspace.of_view(
                v, len(rows[v])
            )
            sample_back(d_theta, d_log_theta, theta, noise.numpy(), network[5], d)
            key = self.key[v]
            (_, _, w2, _, w3, _), gradients = self.layers[key]
            encode_back(d, *network, w2, w3, *gradients, key not in seen)
            seen.add(key)
        return terms

    def _compare(self, present: dict, workspace: Workspace, b: int) -> dict[str, float]:
        """The terms between views, over the tuples of the batch that have both views of a pair."""
        pairs = list(combinations(self.views, 2))
        pairwise_kl = self.objective.kl != "prior"
        terms = dict.fromkeys(("kl",) if pairs and pairwise_kl else (), 0.0)
        if pairs and self.objective.contrastive_weight:
            terms["contrastive"] = 0.0
        sides, whole = workspace.sides, all(has.all() for has in present.values())
        if whole and "contrastive" in terms:
            thetas = (workspace.theta, workspace.d_theta)
            stacked = (array.reshape(-1, self.model.topics) for array in thetas)
            terms["contrastive"] = self._contrast(*stacked, len(self.views))
        if whole and "kl" in terms:
            terms["kl"] = sum(self._kl(sides[a], sides[z], b) for a, z in pairs)
        if whole:
            return terms
        everywhere = np.ones(b, bool)
        place = {v: np.cumsum(has) - 1 for v, has in present.items()}  # of a tuple, in its view
        for names in pairs:
            both = np.flatnonzero(np.logical_and(*(present.get(v, everywhere) for v in names)))
            if not len(both):
                continue
            rows = [place[v][both] if v in place else both for v in names]
            pair = [sides[v].gather(r) for v, r in zip(names, rows, strict=True)]
            if "kl" in terms:
                terms["kl"] += self._kl(*pair, len(both))
            if "contrastive" in terms:
                theta = np.concatenate([side.theta for side in pair])
                d_theta = np.zeros_like(theta)
                terms["contrastive"] += self._contrast(theta, d_theta, 2)
                for side, d in zip(pair, np.split(d_theta, 2), strict=True):
                    side.d_theta += d
            for v, side, r in zip(names, pair, rows, strict=True):
                sides[v].scatter(side, r)
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
        dropped = workspace.dropped[v][: len(rows)]
        if keep < 1:
            dropped.bernoulli_(keep)
        network, (noise, log_theta, theta), _ = workspace.of_view(v, len(rows))
        encode(
            rows,
            self.index[v],
            self.x[v],
            *layers,
            f32(keep),
            dropped.numpy(),
            *statistics,
            *network,
        )
        sample(network[5], noise.normal_().numpy(), log_theta, theta)

    def _reconstruct(self, v, rows, workspace):
        keep, beta, gradient, statistics = self.decoders[v]
        n = len(rows)
        dropped = workspace.dropped_theta[v][:n]
        if keep < 1:
            dropped.bernoulli_(keep)
        _, (_, _, theta), (_, d_theta, _) = workspace.of_view(v, n)
        return reconstruct(
            rows,
            self.index[v],
            *self.bows[v],
            theta,
            dropped.numpy(),
            f32(keep),
            beta,
            *statistics,
            workspace.logits[v][:n],
            workspace.d_logits[v][:n],
            gradient,
            d_theta,
        )

    def _kl(self, earlier: Side, later: Side, b: int) -> float:
        """The weighted KL of a pair of views, and its gradients."""
        weight = f32(self.objective.kl_weight * (b if self.objective.kl_times_batch else 1))
        total = self._divergence(later, earlier, weight)
        if self.objective.kl_order == "both":
            total += self._divergence(earlier, later, weight)
        return total

    def _divergence(self, p: Side, q: Side, weight) -> float:
        if self.objective.kl == "categorical":
            gradients = p.d_log_theta, q.d_log_theta
            return categorical(p.log_theta, p.theta, q.log_theta, weight, *gradients)
        return gaussian(p.y, q.y, weight, p.d, q.d)

    def _contrast(self, theta, d_theta, n: int) -> float:
        """The weighted InfoNCE of n views, stacked in θ (n B, K), and its gradient."""
        objective = self.objective
        share = 0.5 if objective.directions == "mean" else 1.0
        weight, temperature = f32(objective.contrastive_weight * share), f32(objective.temperature)
        cosine, both = objective.similarity == "cosine", objective.negatives == "both_views"
        return info_nce(theta, n, temperature, cosine, both, weight, d_theta)

    def _kl_to_prior(self, rows, workspace):
        k, weight, total = self.model.topics, f32(self.objective.kl_weight), 0.0
        for part in self.d_model_prior:
            part.fill(0)
        for v in self.views:
            n = len(rows[v])
            prior, d_prior = workspace.prior[:n], workspace.d_prior[:n]
            if self.prior is not None:
                np.take(self.prior, rows[v], axis=0, out=prior)
            else:
                prior[:, :k], prior[:, k:] = self.model_prior
            d_prior.fill(0)
            network, _, (d, _, _) = workspace.of_view(v, n)
            total += gaussian(network[5], prior, weight, d, d_prior)
            for part, gradient in enumerate(self.d_model_prior):
                gradient += d_prior[:, part * k : (part + 1) * k].sum(0)
        return total
