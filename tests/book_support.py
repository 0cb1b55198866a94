"""Run records made up for tests of what is made from records, and chapters run in this process."""

import contextlib
import os
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import nbformat
import numpy as np

from m3l.metrics.assessment import evaluate
from m3l_book.records.run import Run

VIEWS = ("en", "fr", "image")
ROOT = Path(__file__).resolve().parents[1]


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
        for v, x in ((v, x[: len(test.views[v].item_ids)]) for v, x in raw.items())
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
    return Run(Path(name), params, metrics, [], theta, words)


class Page(dict):
    """The names that a chapter's cells have set.

    ``tables`` are its tables by the beginning of their captions, ``figures`` the captions of its
    figures, ``said`` its sentences.
    """

    tables: dict
    figures: list
    said: str

    def table(self, begins):
        """The frame of the table whose caption begins so."""
        (frame,) = (frame for about, frame in self.tables.items() if about.startswith(begins))
        return frame.data if hasattr(frame, "set_caption") else frame


def run_page(name, until="", changed=None, **parameters):
    """Run the code cells of a chapter in this process, up to the cell with the id ``until``.

    ``changed`` are names that are set after the cells that import.
    """
    page, tables, figures, said, begun = Page(__name__=name), {}, [], [], Path.cwd()

    def show(*shown):
        said.extend(getattr(one, "data", "") for one in shown)

    captions = "m3l_book.figures.captions"
    patches = [
        patch(f"{captions}.table", lambda shown, text, **_: tables.update({text: shown})),
        patch(f"{captions}.figure", lambda drawn, text: (plt.close(drawn), figures.append(text))),
        patch("IPython.display.display", show),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, begun)
        for one in patches:
            stack.enter_context(one)
        for cell in nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{name}, cell {cell.id}", "exec"), page)
                page |= parameters if "parameters" in cell.metadata.get("tags", []) else {}
                page |= changed or {} if "support" in cell.metadata.get("tags", []) else {}
            if cell.id == until:
                break
    page.tables, page.figures, page.said = tables, figures, "\n".join(map(str, said))
    return page
