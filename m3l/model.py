"""The model: an inference network per view, a topic–word matrix per language (Section 3, Figure 1).

B tuples in a batch, D dimensions of an embedding, K topics, V words.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .corpus import Corpus
from .errors import DataError, require
from .networks import (
    Decoder,
    InferenceNetwork,
    InputScaling,
    Posterior,
    ViewSpec,
    check_model,
)
from .trained import TrainedModel


class M3L(TrainedModel):
    """M3L-Contrast for any views; with a single text view it is ZeroshotTM (Sections 3 and 4.3).

    Parameters
    ----------
    views : sequence of ViewSpec
        At least one. A model of views without words can be trained only towards a teacher's topics
        (`m3l.distillation`).
    topics : int
        K.
    hidden : int
        Width of the inference networks' hidden layers.
    dropout : float
        Rate, in the inference networks and on θ before decoding.
    share_text_network : bool
        One inference network for all text views: the hybrid that Section 5.2 leaves as future work.
    layers : {1, 2}
        Hidden layers of an inference network.

    Raises
    ------
    ParameterError
        A parameter is out of range, or two views share a name.
    """

    def __init__(
        self,
        views: Sequence[ViewSpec],
        topics: int = 100,
        hidden: int = 100,
        dropout: float = 0.2,
        share_text_network: bool = False,
        layers: int = 2,
    ):
        super().__init__()
        check_model(views, topics, hidden, dropout, share_text_network, layers)
        self.views = {view.name: view for view in views}
        self.topics, self.hidden, self.dropout = topics, hidden, dropout
        self.share_text_network, self.layers = share_text_network, layers
        self.vocabularies = {}
        self.make_networks()
        self.make_decoders()
        self.make_prior()

    def make_networks(self) -> None:
        """Make an input scaling and an inference network per view, or one network for all texts."""
        self.scaling, self.networks = nn.ModuleDict(), nn.ModuleDict()
        for name, view in self.views.items():
            key, size = self.network_of(name), view.embedding_size
            self.scaling[name] = InputScaling(size)
            if key not in self.networks:
                sizes = size, self.topics, self.hidden
                network = InferenceNetwork(*sizes, self.dropout, self.layers)
                self.networks[key] = network

    def network_of(self, name: str) -> str:
        """Return the key in ``networks`` of the inference network that reads view ``name``."""
        shared = self.share_text_network and self.views[name].vocabulary_size
        return "text" if shared else name

    def make_decoders(self) -> None:
        """Make a decoder per language."""
        self.decoders = nn.ModuleDict()
        for name, view in self.views.items():
            if view.vocabulary_size:
                size = view.vocabulary_size
                self.decoders[name] = Decoder(self.topics, size, self.dropout)

    def make_prior(self) -> None:
        """Make the prior of models that have one; it is learnt, as CTM does.

        It begins as Laplace's approximation to a symmetric Dirichlet(1) (Srivastava & Sutton 2017).
        """
        k = self.topics
        self.prior_mean = nn.Parameter(torch.zeros(k))
        self.prior_log_variance = nn.Parameter(torch.full((k,), 1 - 1 / k).log())

    def encode(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, D) of view ``name`` -> mean (B, K), log σ² (B, K)."""
        return self.networks[self.network_of(name)](self.scaling[name](x))

    def decode(self, name: str, theta: Tensor) -> Tensor:
        """θ (B, K) -> logits (B, V) of the words of language ``name``."""
        return self.decoders[name](theta)

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Posterior]:
        """Embeddings (B_v, D_v) by view -> a `Posterior` by view, with one sample of θ drawn."""
        posteriors = {}
        for name, embeddings in x.items():
            mean, log_variance = self.encode(name, embeddings)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()  # (B, K)
            posteriors[name] = Posterior(mean, log_variance, F.log_softmax(z, dim=1))
        return posteriors


def model_for(
    corpus: Corpus,
    topics: int,
    input_scaling: str = "standardize",
    seed: int = 0,
    kind: type[M3L] = M3L,
    **options,
) -> M3L:
    """Return an untrained `M3L`, or a subclass of that ``kind``, for the views of ``corpus``.

    Weights are drawn from ``seed``; the input scaling is that of the corpus's items. ``options``
    are those of `M3L`: ``hidden``, ``dropout``, ``share_text_network``, ``layers``.
    """
    specs = [
        ViewSpec(name, view.embeddings.shape[1], len(view.vocabulary or ()), input_scaling)
        for name, view in corpus.views.items()
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(specs, topics, **options)
    for name, view in corpus.views.items():
        if input_scaling != "none":
            nothing = f"view {name!r} has no item to take its input scaling from"
            require(len(view) > 0, nothing, DataError)
            x = torch.from_numpy(view.embeddings.astype(np.float64, order="C"))
            model.scaling[name].fit(x, input_scaling)
        if view.is_text:
            model.vocabularies[name] = list(view.vocabulary)
    return model
