"""Train ZeroShotTM as its authors' package has it, for comparison: ``.venv.ctm/bin/python
benchmarks/ctm.py INPUT.npz OUTPUT.npz --topics K ...``

INPUT.npz holds ``train_embeddings`` float32 (N, D), the training documents' words as the parts of a
CSR matrix (N, V), ``bow_data``, ``bow_indices``, ``bow_indptr`` and ``bow_shape``, ``vocabulary``
(V) of strings, and any number of ``test_<view>`` float32 (M, D). OUTPUT.npz gets ``seconds`` of
training alone, ``documents`` (N), ``theta_<view>`` (M, K) of each test view, and ``topics``, the
ten words of each, (K, 10). Nothing of m3l is used here. The package takes a GPU whenever torch sees
one; CUDA_VISIBLE_DEVICES= hides it.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

WORDS = 10
SAMPLES = 20  # of a document's topics, averaged; the package's default


class InputError(Exception):
    """The input, or the environment, is not what is needed; the message says how."""


def need(condition: bool, message: str) -> None:
    """Raise `InputError` unless ``condition`` holds."""
    if not condition:
        raise InputError(message)


PARTS = "train_embeddings", "bow_data", "bow_indices", "bow_indptr", "bow_shape", "vocabulary"


def read(path: Path) -> tuple:
    """The training embeddings, the training words (csr_matrix), the vocabulary, and a dictionary of
    the test embeddings.
    """
    arrays = _load(path)
    lacking = [name for name in PARTS if name not in arrays]
    need(not lacking, f"lacks {', '.join(lacking)}; it has {', '.join(arrays) or 'nothing'}")
    train = arrays["train_embeddings"]
    tests = {name: array for name, array in arrays.items() if name.startswith("test_")}
    for name, array in {"train_embeddings": train, **tests}.items():
        _check_embeddings(name, array, train)
    bow = _words(arrays, len(train))
    vocabulary = arrays["vocabulary"]
    need(
        vocabulary.ndim == 1 and vocabulary.dtype.kind == "U",
        "vocabulary: expected strings in one dimension, this is"
        f" {vocabulary.dtype} {vocabulary.shape}",
    )
    need(
        bow.shape[1] == len(vocabulary),
        f"bow_shape: {bow.shape[1]} words, vocabulary has {len(vocabulary)}",
    )
    need(
        len(vocabulary) >= WORDS,
        f"vocabulary: {len(vocabulary)} words, a topic is described by {WORDS}",
    )
    by_view = {name.removeprefix("test_"): array for name, array in tests.items()}
    return train, bow, [str(word) for word in vocabulary], by_view


def _load(path: Path) -> dict:
    import numpy as np

    try:
        file = np.load(path, allow_pickle=False)
        need(isinstance(file, np.lib.npyio.NpzFile), "is a single array, not an .npz archive")
        arrays = {}
        with file:
            for name in file.files:
                try:
                    arrays[name] = file[name]
                except ValueError as error:
                    raise InputError(f"{name}: {error}") from error
        return arrays
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"cannot be read as .npz: {getattr(error, 'strerror', None) or error}"
        ) from error


def _check_embeddings(name: str, array, train) -> None:
    import numpy as np

    need(
        array.ndim == 2 and array.dtype == np.float32 and min(array.shape) > 0,
        f"{name}: expected float32 of two dimensions with a row or more, this is"
        f" {array.dtype} {array.shape}",
    )
    need(
        array.shape[1] == train.shape[1],
        f"{name}: {array.shape[1]} columns, train_embeddings has {train.shape[1]}",
    )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    need(len(bad) == 0, f"{name}: not finite in row {bad[:1]}")


def _words(arrays: dict, documents: int):
    import numpy as np
    import scipy.sparse as sp

    shape = arrays["bow_shape"]
    need(
        shape.shape == (2,) and shape.dtype.kind in "iu",
        f"bow_shape: expected two integers, this is {shape.dtype} {shape.shape}",
    )
    try:
        bow = sp.csr_matrix(
            (arrays["bow_data"], arrays["bow_indices"], arrays["bow_indptr"]),
            shape=tuple(int(n) for n in shape),
        )
        bow.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"bow_data, bow_indices, bow_indptr and bow_shape are not a CSR matrix: {error}"
        ) from error
    need(
        bow.dtype.kind in "iuf" and bool((bow.data >= 0).all() and np.isfinite(bow.data).all()),
        f"bow_data: expected counts, this is {bow.dtype} or has a negative one",
    )
    need(
        bow.shape[0] == documents,
        f"bow_shape: {bow.shape[0]} documents, train_embeddings has {documents}",
    )
    return bow


def train_and_infer(
    data: tuple, topics: int, epochs: int, batch_size: int, seed: int, threads: int
) -> dict:
    """What OUTPUT.npz holds."""
    import numpy as np
    import scipy.sparse as sp
    import torch
    from contextualized_topic_models.datasets.dataset import CTMDataset
    from contextualized_topic_models.models.ctm import ZeroShotTM

    train, bow, vocabulary, tests = data
    words = dict(enumerate(vocabulary))
    if threads:
        torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    model = ZeroShotTM(
        bow_size=len(vocabulary),
        contextual_size=train.shape[1],
        n_components=topics,
        num_epochs=epochs,
        batch_size=batch_size,
        num_data_loader_workers=0,
    )
    documents = CTMDataset(train, bow, words)
    start = time.perf_counter()
    model.fit(
        documents, do_train_predictions=False
    )  # the topics of the training documents are not part of training
    seconds = time.perf_counter() - start
    need(
        bool(torch.isfinite(model.best_components).all()),
        f"after {epochs} epochs the topics are not finite: training diverged",
    )

    arrays_out = {"seconds": np.float64(seconds), "documents": np.int64(len(train))}
    for view, embeddings in tests.items():
        # a seed of each view's own: with the same noise row i of two views would be aligned by it,
        # which flatters retrieval
        torch.manual_seed(seed + 1 + zlib.crc32(view.encode()))
        unseen = CTMDataset(
            embeddings, sp.csr_matrix((len(embeddings), len(vocabulary)), dtype=bow.dtype), words
        )
        theta = model.get_doc_topic_distribution(unseen, n_samples=SAMPLES)
        need(
            bool(np.isfinite(theta).all()),
            f"after {epochs} epochs theta_{view} is not finite: training diverged",
        )
        arrays_out[f"theta_{view}"] = theta
    arrays_out["topics"] = np.array(model.get_topic_lists(WORDS), dtype=str)
    return arrays_out


def write(path: Path, arrays: dict) -> None:
    """Write the .npz whole or not at all."""
    import numpy as np

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def at_least(least: int, most: int | None = None):
    """An argument's type: an integer in that range."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(
                f"{value}: expected {least} or more"
                + (f", {most} or less" if most is not None else "")
            )
        return value

    return integer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    # one topic has a prior without variance, and a batch of one document no variance to be
    # normalised by
    parser.add_argument("--topics", type=at_least(2), required=True)
    parser.add_argument("--epochs", type=at_least(1), required=True)
    parser.add_argument("--batch-size", type=at_least(2), required=True)
    parser.add_argument("--seed", type=at_least(0, 2**32 - 1), required=True)
    parser.add_argument(
        "--threads",
        type=at_least(0),
        default=0,
        help="CPU threads; 0, the default, leaves it to torch",
    )
    options = parser.parse_args(arguments)
    try:
        data = read(options.input)
        n = len(data[0])
        need(
            options.batch_size <= n,
            f"train_embeddings: {n} documents, less than one batch of {options.batch_size}; the"
            " package drops what does not fill a batch",
        )
        options.output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(
            dir=options.output.parent
        ).close()  # a folder that cannot be written to is known before training
        write(
            options.output,
            train_and_infer(
                data,
                options.topics,
                options.epochs,
                options.batch_size,
                options.seed,
                options.threads,
            ),
        )
    except ModuleNotFoundError as error:
        print(
            f"{error}; this script runs in an environment of its own: make .venv.ctm/ready, then"
            f" .venv.ctm/bin/python {sys.argv[0]}",
            file=sys.stderr,
        )
        return 1
    except InputError as error:
        print(f"{options.input}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.output}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
