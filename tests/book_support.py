"""Run records made up for tests of what is made from records."""

from types import SimpleNamespace

import numpy as np

from m3l.metrics.assessment import evaluate
from m3l_book.records.run import Run

VIEWS = ("en", "fr", "image")


def record(
    test, model, trained, views=None, seed=0, teacher="", quality=3.0, npmi=None, k=6, variant=None
):
    """A run record whose θ of each view is a shared truth and noise; the larger ``quality``, the
    less noise.
    """
    rng = np.random.default_rng(
        [
            seed,
            len(model),
            len(trained),
            int(10 * quality),
            sum(map(ord, "".join(trained) + teacher)),
        ]
    )
    views, truth = (
        views or list(test.views),
        np.random.default_rng(7).standard_normal((len(test), k)),
    )
    raw = {v: quality * truth + rng.standard_normal((len(test), k)) for v in views}
    theta = {
        v: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)).astype(np.float32)
        for v, x in raw.items()
    }
    params = {
        "corpus": "small",
        "model": model,
        "variant": variant or {},
        "seed": seed,
        "encoders": dict.fromkeys(views, "x"),
        "train_views": list(trained),
        "teacher": teacher,
        "topics": k,
        "epochs": 10,
        "batch_size": 32,
    }
    words = {
        v: [[f"{v}{j}" for j in range(10 * t, 10 * t + 10)] for t in range(k)]
        for v in trained
        if v != "image"
    }
    coherence = {v: npmi if npmi is not None else rng.normal(0.1, 0.02, k) for v in words}
    metrics = {
        **{
            "scores": evaluate(theta, test.select(views)),
            "npmi_of_topics": {v: list(x) for v, x in coherence.items()},
        },
        **{
            "npmi": {v: float(np.mean(x)) for v, x in coherence.items()},
            "diversity": dict.fromkeys(words, 1.0),
            "recovery": {},
            "seconds": 10.0 + seed,
            "training_tuples": 615,
            "data": "made up",
        },
    }
    name = (
        f"{model}-{'-'.join(trained)}-s{seed}" if not teacher else f"{teacher} teaches {trained[0]}"
    )
    return Run(SimpleNamespace(name=name), params, metrics, [], theta, words)
