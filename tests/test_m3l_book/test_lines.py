"""The method on one page: it needs torch and numpy alone, and trains what the library trains."""

import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from m3l import Corpus, Objective, ParameterError, TrainConfig, View, fit, model_for
from m3l.loss import Batch
from m3l.metrics import retrieval
from m3l_book.apparatus.generated import without_the_book
from m3l_book.apparatus.small_world import small_world

PAGE = Path(__file__).resolve().parents[2] / "book" / "m3l-in-150-lines.ipynb"
SHORT = "epochs=60"


def code():
    cells = nbformat.read(PAGE, as_version=4).cells
    hidden = {"support", "parameters"}
    shown = [
        c for c in cells if c.cell_type == "code" and not hidden & set(c.metadata.get("tags", []))
    ]
    return "\n\n".join(cell.source for cell in shown)


@pytest.fixture(scope="module")
def page():
    """What the page defines, after three epochs in place of sixty."""
    text = code()
    assert text.count(SHORT) == 1
    names = {}
    exec(compile(text.replace(SHORT, "epochs=3"), str(PAGE), "exec"), names)
    return names


@pytest.fixture(scope="module")
def corpus(page):
    n = page["N"]
    ids, split = (
        np.arange(n).astype(str),
        np.where(np.arange(n) < len(page["train"]), "train", "test"),
    )
    views = {}
    for name, embeddings in page["x"].items():
        bow = page["bow"][name].numpy().astype(np.int32) if name in page["WORDS"] else None
        words = (None, None) if bow is None else (sp.csr_matrix(bow), page["WORDS"][name])
        views[name] = View(name, embeddings.numpy(), np.arange(n), ids, *words)
    return Corpus("small", views, ids, ids, split)


def test_it_has_at_most_150_lines_and_imports_torch_and_numpy_alone():
    text = code()
    assert len([line for line in text.splitlines() if line.strip()]) <= 150
    imports = {line.split()[1].split(".")[0] for line in text.splitlines() if "import " in line}
    assert imports == {"numpy", "torch"}


def test_its_loss_is_the_books(page, corpus):
    model, rows = page["new_model"](seed=3).eval(), torch.arange(40)
    library = model_for(corpus.part("train"), page["K"], seed=3).eval()
    x = {view: own[rows] for view, own in page["x"].items()}
    batch = Batch(x, {view: own[rows] for view, own in page["bow"].items()})
    for s in (0.0, 50.0):
        torch.manual_seed(5)
        mine = page["loss"](model, rows, s)
        torch.manual_seed(5)
        terms = Objective(contrastive_weight=s)(library, batch)
        torch.testing.assert_close(mine, sum(terms.values()), rtol=1e-5, atol=1e-3)


def test_it_trains_what_the_library_trains(page, corpus):
    library = model_for(corpus.part("train"), page["K"], seed=0)
    config = TrainConfig(3, batch_size=32, seed=0, kernel="plain")
    fit(library, corpus.part("train"), Objective(), config, progress=False)
    for language, decoder in page["model"]["decoders"].items():
        torch.testing.assert_close(
            decoder.beta, library.decoders[language].beta, rtol=1e-3, atol=1e-3
        )
    theta = {}
    for view in page["VIEWS"]:
        theta[view] = page["topics_of"](page["model"], view, page["test"], samples=2000)
        other = library.infer(corpus.part("test").views[view].embeddings, view, samples=2000)
        np.testing.assert_allclose(theta[view], other, atol=0.02)
    torch.manual_seed(0)
    mine = page["mrr"](page["model"], "en", "de")
    torch.manual_seed(0)
    theta = [page["topics_of"](page["model"], view, page["test"]).numpy() for view in ("en", "de")]
    assert mine == pytest.approx(retrieval(*theta)["reciprocal_rank"].mean(), abs=1e-6)


@pytest.mark.thorough
def test_trained_to_its_end_it_says_what_the_page_says():
    """Topics of one theme each, in both languages, and contrast that helps."""
    done = subprocess.run([sys.executable, "-c", code()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *topics, languages, pictures = done.stdout.splitlines()
    assert len(topics) == 8
    for line, direction in ((languages, "en → de"), (pictures, "en → image")):
        assert line.startswith(direction)
        ours, without, chance = (float(part.rpartition(" ")[2]) for part in line.split(","))
        assert ours > without > chance


def test_the_notebook_beside_the_page_needs_no_book():
    alone = without_the_book(nbformat.read(PAGE, as_version=4))
    nbformat.validate(alone)
    text = "\n".join(cell.source for cell in alone.cells)
    assert "m3l_book" not in text and "{glue" not in text and "{doc}" not in text
    assert "*03-model* of the book" in text and "def contrast(" in text
    assert not any(cell.get("outputs") for cell in alone.cells)


def test_the_small_world_has_as_many_themes_as_asked():
    for themes in (2, 8):
        corpus, mixtures = small_world(tuples=50, themes=themes)
        assert mixtures.shape == (50, themes)
        assert len(corpus.views["en"].vocabulary) <= 8 * themes
    with pytest.raises(ParameterError, match="themes=9: expected 2 to 8"):
        small_world(themes=9)
