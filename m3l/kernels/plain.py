"""The training step by autograd."""

import numpy as np
import torch
from torch import Tensor

from ..corpus import Corpus
from ..loss import Objective
from ..model import M3L


class Batches:
    """A corpus, and a teacher's prior of its tuples if any, laid out once on the device."""

    def __init__(
        self, corpus: Corpus, device: torch.device, prior: tuple[np.ndarray, np.ndarray] | None
    ):
        self.prior = (
            None
            if prior is None
            else tuple(torch.from_numpy(np.ascontiguousarray(p)).to(device) for p in prior)
        )
        self.views = {}
        for name, view in corpus.views.items():
            bow = (
                None
                if view.bow is None
                else torch.from_numpy(view.bow.astype(np.float32).toarray()).to(device)
            )
            present = None if view.present.all() else torch.from_numpy(view.present).to(device)
            self.views[name] = (
                torch.from_numpy(view.embeddings).to(device),
                torch.from_numpy(view.index).to(device),
                bow,
                present,
            )

    def __call__(self, tuples: Tensor) -> tuple[dict, dict, dict, tuple | None]:
        """The tuples' embeddings, bags of words, presence and prior, as `Objective` takes them."""
        x, bows, presence = {}, {}, {}
        for name, (embeddings, index, bow, present) in self.views.items():
            items = index[tuples]
            if present is not None:
                presence[name] = present[tuples]
                items = items[presence[name]]
            x[name] = embeddings[items]
            if bow is not None:
                bows[name] = bow[items]
        prior = None if self.prior is None else tuple(p[tuples] for p in self.prior)
        return x, bows, presence, prior


class PlainStep:
    """A step of training by autograd; `m3l.kernels.fused` has the same in compiled loops."""

    def __init__(
        self, model: M3L, batches: Batches, objective: Objective, optimizer: torch.optim.Adam
    ):
        self.model, self.batches, self.objective, self.optimizer = (
            model,
            batches,
            objective,
            optimizer,
        )

    def __call__(self, tuples: Tensor) -> dict[str, Tensor]:
        """The terms of the loss of a batch of tuples, int64 (B,), before the step."""
        terms = self.objective(self.model, *self.batches(tuples))
        loss = sum(terms.values())
        self.optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
            self.optimizer.step()
        return {
            name: torch.as_tensor(value, device=tuples.device).detach().double()
            for name, value in terms.items()
        }
