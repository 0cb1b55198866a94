"""The arrays that a fused step works on."""

import numpy as np
import torch

from ..model import M3L
from .loops import f32


class Side:
    """What the terms that compare views need of one view: m tuples' samples, posteriors and room
    for their gradients.
    """

    def __init__(self, log_theta, theta, y, d, d_theta, d_log_theta):
        self.log_theta, self.theta, self.y = log_theta, theta, y
        self.d, self.d_theta, self.d_log_theta = d, d_theta, d_log_theta

    def gather(self, rows: np.ndarray) -> "Side":
        """A copy of some rows, with no gradient yet."""
        values = [array[rows] for array in (self.log_theta, self.theta, self.y)]
        room = [np.zeros((len(rows), a.shape[1]), f32) for a in (self.d, self.theta, self.theta)]
        return Side(*values, *room)

    def scatter(self, part: "Side", rows: np.ndarray) -> None:
        """Add the gradients of what `gather` gave for ``rows``, which are all different."""
        self.d[rows] += part.d
        self.d_theta[rows] += part.d_theta
        self.d_log_theta[rows] += part.d_log_theta


class Workspace:
    """The arrays of a batch of b tuples; those that hold random draws are seen by torch too.

    A view that only n of the tuples have uses the first n rows of its arrays.
    """

    def __init__(self, model: M3L, views: list[str], b: int):
        k, n = model.topics, len(views)
        hidden, sizes = model.config["hidden"], {v: model.views[v].embedding_size for v in views}
        self.dropped = {v: torch.ones(b, hidden) for v in views}
        self.noise = {v: torch.empty(b, k) for v in views}
        self.dropped_theta = {v: torch.ones(b, k) for v in model.beta}
        y = {v: np.empty((b, 2 * k), f32) for v in views}
        # x, h1, slope1, h2, slope2, y
        self.layers = {
            v: (
                np.empty((b, sizes[v]), f32),
                *(np.empty((b, hidden), f32) for _ in range(4)),
                y[v],
            )
            for v in views
        }
        self.inverse = {v: np.empty(2 * k, f32) for v in views}
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
        shared = self.log_theta, self.theta, self.d, self.d_theta, self.d_log_theta
        self.sides = {}
        for i, v in enumerate(views):
            log_theta, theta, d, d_theta, d_log_theta = (array[i] for array in shared)
            self.sides[v] = Side(log_theta, theta, y[v], d, d_theta, d_log_theta)
        self._slices: dict[tuple[str, int], tuple] = {}

    def of_view(self, v: str, n: int) -> tuple:
        """The first n rows of a view's arrays: its network's (`encode`), then noise, θ and log θ,
        and the gradients.
        """
        if (v, n) not in self._slices:
            side = self.sides[v]
            network = *(array[:n] for array in self.layers[v]), self.inverse[v]
            samples = self.noise[v][:n], side.log_theta[:n], side.theta[:n]
            gradients = side.d[:n], side.d_theta[:n], side.d_log_theta[:n]
            self._slices[v, n] = network, samples, gradients
        return self._slices[v, n]
