"""Training speed on this machine: tuples a second, and each row as a ratio to the first. ``make bench``"""

import argparse
import statistics

import numpy as np
import scipy.sparse as sp
import torch

from m3l import Corpus, Objective, TrainConfig, View, fit, model_for


def random_corpus(n: int, views: tuple[str, ...], dimension: int = 512, words: int = 2000) -> Corpus:
    """A corpus of the paper's shape with random content; random, since zeros would flatter."""
    rng = np.random.default_rng(0)
    built = {}
    for name in views:
        text = name != "image"
        bow = sp.csr_matrix(rng.poisson(0.03, size=(n, words)).astype(np.int32) + np.eye(n, words, dtype=np.int32)) if text else None
        built[name] = View(
            name,
            rng.standard_normal((n, dimension), dtype=np.float32),
            np.arange(n),
            [f"{name}{i}" for i in range(n)],
            bow,
            [f"w{i}" for i in range(words)] if text else None,
        )
    ids = [f"t{i}" for i in range(n)]
    return Corpus("random", built, ids, ids, ["train"] * n)


def speed(corpus: Corpus, objective: str, device: str, threads: int, batch_size: int, topics: int = 100, repeats: int = 3) -> float:
    """Median tuples a second over ``repeats`` epochs, after one to warm up."""
    config = TrainConfig(epochs=repeats + 1, batch_size=batch_size, device=device, threads=threads)
    history = fit(model_for(corpus, topics), corpus, Objective.preset(objective), config, progress=False)
    seconds = np.diff([row["seconds"] for row in history])
    return len(corpus) / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuples", type=int, default=6400)
    options = parser.parse_args()
    views = random_corpus(options.tuples, ("en", "de", "image"))
    cases = [
        ("M3L, 3 views", views, "book", 32),
        ("M3L, 2 views", views.select(["en", "de"]), "book", 32),
        ("ZeroshotTM", views.select(["en"]), "zeroshot", 64),
    ]
    places = [("cpu", 1), ("cpu", torch.get_num_threads())] + ([("cuda", 1)] if torch.cuda.is_available() else [])
    print(f"{'model':<16}{'batch':>6}{'device':>8}{'threads':>9}{'tuples/s':>11}{'ratio':>8}   (512 dimensions, 2,000 words, 100 topics)")
    first = None
    for name, corpus, objective, batch in cases:
        for device, threads in dict.fromkeys(places):
            rate = speed(corpus, objective, device, threads, batch)
            first = first or rate
            print(f"{name:<16}{batch:>6}{device:>8}{threads:>9}{rate:>11,.0f}{rate / first:>8.2f}")


if __name__ == "__main__":
    main()
