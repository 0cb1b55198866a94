"""The page that defines code, training and tests each notice a change of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHANGES = {
    "the temperature": ("m3l/loss.py", "b.T / temperature  #", "b.T / (2 * temperature)  #"),
    "the order of the KL": (
        "m3l/loss.py",
        "divergence(later, earlier)",
        "divergence(earlier, later)",
    ),
    "a rule for ties": ("m3l/metrics/ranking.py", "distance < value", "distance <= value"),
}
TESTS = {
    "m3l/loss.py": "tests/test_m3l/test_loss.py",
    "m3l/metrics/ranking.py": "tests/test_m3l/test_metrics.py",
}
TRAINING = """
import sys
sys.path.insert(0, "tests")
import torch
from support import make_corpus
from m3l import Objective, TrainConfig, fit, model_for
from m3l.metrics import retrieval
from m3l.train import kernel_of
corpus = make_corpus()
model = model_for(corpus, 4)
kernel = kernel_of("auto", torch.device("cpu"), Objective(), model)
history = fit(model, corpus, Objective(), TrainConfig(epochs=3, batch_size=16), progress=False)
same = torch.full((5, 4), 0.25).numpy()  # all tied
print(kernel, [round(row["loss"], 3) for row in history], retrieval(same, same)["reciprocal_rank"])
"""


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, *arguments], **options)


@pytest.fixture(scope="module")
def as_it_is():
    return run(ROOT, "-c", TRAINING).stdout


@pytest.mark.thorough
@pytest.mark.parametrize("what", CHANGES)
def test_page_training_and_test_notice_a_change(what, tmp_path, as_it_is):
    left_out = shutil.ignore_patterns(".*", "build", "runs", "data", "__pycache__", "*.egg-info")
    copy = shutil.copytree(ROOT, tmp_path / "copy", ignore=left_out)
    name, before, after = CHANGES[what]
    code = (copy / name).read_text(encoding="utf-8")
    assert before in code
    (copy / name).write_text(code.replace(before, after, 1), encoding="utf-8")
    pytest_of = ["-m", "pytest", "-q", "-n0", "-x"]
    page = run(copy, *pytest_of, "tests/test_project.py", "-k", "what_a_chapter_defines")
    assert "test_what_a_chapter_defines_is_what_the_package_has[" in page.stdout and page.returncode
    assert run(copy, *pytest_of, TESTS[name]).returncode == 1
    changed = run(copy, "-c", TRAINING)
    assert changed.returncode == 0, changed.stderr
    assert changed.stdout != as_it_is
    if name == "m3l/loss.py":
        assert as_it_is.startswith("fused") and changed.stdout.startswith("plain")
