"""The training step at fixed shapes, for a GPU: nothing in it waits for a number of the device, so
that it is recorded once and then played again (CUDA graphs).

A view that some tuples lack has a row for each of them all the same; a mask keeps it out of every
statistic and every term. On a CPU the same body runs as it is.
"""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from ..loss import Objective, gaussian_kl, reconstruction
from ..model import M3L
from .plain import Batches

WARM_UP = 3
"""Steps before a graph is recorded, in which libraries choose their algorithms."""


def masked_terms(
    objective: Objective,
    model: M3L,
    x: Mapping[str, Tensor],
    bow: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    prior: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The terms of the loss as `Objective` gives them, of a batch with a row for every tuple.

    Parameters
    ----------
    x : view -> (B, D_v)
    bow : view -> (B, V_v)
    present : view -> bool (B,)
        Of views that some tuples of the corpus lack.
    prior : two tensors (B, K), optional
    """

    def total(rows: Tensor, mask: Tensor | None) -> Tensor:
        return (rows if mask is None else torch.where(mask, rows, 0.0)).sum()

    posteriors, terms = model(x, present), {}
    if bow:
        logits = {v: model.decode(v, posteriors[v].log_theta.exp(), present.get(v)) for v in bow}
        terms["reconstruction"] = sum(
            total(reconstruction(logits[v], bow[v]), present.get(v)) for v in bow
        )
    if objective.kl == "prior":
        base = prior or (model.prior_mean, model.prior_log_variance)
        terms["kl"] = objective.kl_weight * sum(
            total(gaussian_kl(q.mean, q.log_variance, *base), present.get(v))
            for v, q in posteriors.items()
        )
    kl, nce = [], []
    for earlier, later in combinations(posteriors, 2):
        a, b, both = posteriors[earlier], posteriors[later], _and(present, earlier, later)
        if objective.kl != "prior":
            times = (
                1 if not objective.kl_times_batch else len(a.mean) if both is None else both.sum()
            )
            kl.append(total(objective.pairwise_kl(a, b), both) * times)
        if objective.contrastive_weight:
            nce.append(total(objective.contrastive(a, b, both), both))
    if kl:
        terms["kl"] = objective.kl_weight * sum(kl)
    if nce:
        terms["contrastive"] = objective.contrastive_weight * sum(nce)
    return terms


def _and(present: Mapping[str, Tensor], a: str, b: str) -> Tensor | None:
    """Which tuples have both views; None if all have."""
    masks = [present[view] for view in (a, b) if view in present]
    return None if not masks else masks[0] if len(masks) == 1 else masks[0] & masks[1]


class GraphStep:
    """A step of training at fixed shapes; one graph for each size of batch.

    What it gives is overwritten by the next step of that size.
    """

    def __init__(
        self, model: M3L, batches: Batches, objective: Objective, optimizer: torch.optim.Adam
    ):
        self.model, self.batches = model, batches
        self.objective, self.optimizer = objective, optimizer
        self.recorded: dict[int, tuple] = {}

    def __call__(self, tuples: Tensor) -> dict[str, Tensor]:
        """The terms of the loss of a batch of tuples, int64 (B,), before the step."""
        if tuples.device.type != "cuda":
            return self.body(tuples)
        if len(tuples) not in self.recorded:
            self.recorded[len(tuples)] = self._record(tuples)
        graph, place, terms = self.recorded[len(tuples)]
        place.copy_(tuples)
        graph.replay()
        return terms

    def body(self, tuples: Tensor) -> dict[str, Tensor]:
        """What a graph records."""
        terms = masked_terms(self.objective, self.model, *self.batches(tuples, whole=True))
        self.optimizer.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        self.optimizer.step()
        return {name: value.detach().double() for name, value in terms.items()}

    def _record(self, tuples: Tensor) -> tuple:
        """The graph of a step, where its tuples are put, and where its terms come out.

        Warming up is training too: weights, moments and random numbers are put back, in place,
        since a graph that was recorded before knows where they are.
        """
        place, device = tuples.clone(), tuples.device
        generator = torch.cuda.get_rng_state(device)
        weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        moments = {
            parameter: {name: value.clone() for name, value in state.items()}
            for parameter, state in self.optimizer.state.items()
        }
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.body(place)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            terms = self.body(place)
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                value.copy_(weights[name])
            for parameter, state in self.optimizer.state.items():
                for name, value in state.items():
                    before = moments.get(parameter, {}).get(name)
                    value.zero_() if before is None else value.copy_(before)
        torch.cuda.set_rng_state(generator, device)
        return graph, place, terms
