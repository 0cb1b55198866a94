"""A training loop put together as the paper's released code is, for comparison of speed:
`tuples_a_second`.

Nothing here trains a model of this book. What it keeps of that code (models/M3L_contrast.py at
commit afb8261) is where the work is done: a data loader that makes every item's dense bag of words
in worker processes, a network with two heads and two normalisations a view, a probability for every
word before its logarithm, InfoNCE pair by pair over a matrix of both views, Adam as it comes, and
the loss read back at every step.
"""

import os
import time
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from m3l import Corpus


class Items(Dataset):
    """A tuple at a time: stacked bags of words (L, V) and embeddings (L, D) of the texts, and a
    picture's embedding.
    """

    def __init__(self, corpus: Corpus):
        self.texts = [corpus.views[v] for v in corpus.text_views]
        self.picture = corpus.views["image"]

    def __len__(self) -> int:
        return len(self.picture)

    def __getitem__(self, i: int) -> dict:
        bags = [torch.tensor(view.bow[i].todense(), dtype=torch.float32)[0] for view in self.texts]
        return {
            "bow": torch.stack(bags),
            "text": torch.stack([torch.tensor(view.embeddings[i]) for view in self.texts]),
            "image": torch.tensor(self.picture.embeddings[i]),
        }


class Network(nn.Module):
    """An inference network with a head and a normalisation each for μ and log σ²."""

    def __init__(self, size: int, topics: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(size, 100), nn.Softplus(), nn.Linear(100, 100), nn.Softplus(), nn.Dropout(0.2)
        )
        self.mean, self.log_variance = (
            nn.Sequential(nn.Linear(100, topics), nn.BatchNorm1d(topics, affine=False))
            for _ in range(2)
        )

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.log_variance(h)


def contrast(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """InfoNCE over all 2B rows of two views, by cosine, with positives and negatives picked out by
    masks.
    """
    both, label = F.normalize(torch.cat([a, b])), torch.arange(len(a)).repeat(2)
    same = label[:, None] == label[None]
    itself = torch.eye(len(both), dtype=torch.bool)
    logits = both @ both.T / 0.07
    positive = logits[same & ~itself]
    negative = logits.masked_fill(same, -torch.inf)[torch.where(same & ~itself)[0]]
    joined = torch.cat([positive[:, None], negative], dim=1)
    return (joined.logsumexp(dim=1) - positive).mean()


def tuples_a_second(
    corpus: Corpus, topics: int = 100, batch_size: int = 32, epochs: int = 1
) -> float:
    """The speed of ``epochs`` epochs, after one to warm up; torch's own number of threads, a loader
    process a core.
    """
    torch.manual_seed(0)
    words = len(corpus.views[corpus.text_views[0]].vocabulary)
    networks = nn.ModuleList(
        Network(view.embeddings.shape[1], topics) for view in corpus.views.values()
    )
    beta = nn.Parameter(nn.init.xavier_uniform_(torch.empty(len(corpus.text_views), topics, words)))
    norm, drop = nn.BatchNorm1d(words, affine=False), nn.Dropout(0.2)
    optimizer = torch.optim.Adam([*networks.parameters(), beta], lr=2e-3, betas=(0.99, 0.99))
    loader = DataLoader(Items(corpus), batch_size, shuffle=True, num_workers=os.cpu_count() or 1)
    begun = 0.0
    for epoch in range(epochs + 1):
        if epoch == 1:
            begun = time.perf_counter()
        for batch in loader:
            optimizer.zero_grad()
            inputs = [*batch["text"].unbind(1), batch["image"]]
            thetas = []
            for network, x in zip(networks, inputs, strict=True):
                mean, log_variance = network(x)
                thetas.append(
                    F.softmax(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance), dim=1)
                )
            loss = torch.zeros(len(batch["image"]))
            for language, bow in enumerate(batch["bow"].unbind(1)):
                words_of = F.softmax(norm(drop(thetas[language]) @ beta[language]), dim=1)
                loss = loss - (bow * torch.log(words_of + 1e-10)).sum(dim=1)
            for a, b in combinations(thetas, 2):
                loss = loss + F.kl_div(a.log(), b, reduction="sum") + 50 * contrast(a, b)
            loss.sum().backward()
            optimizer.step()
            loss.sum().item()
    return len(corpus) * epochs / (time.perf_counter() - begun)
