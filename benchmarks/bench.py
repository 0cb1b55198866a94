"""Speed on this machine, each row as a ratio to the first of its model or table. ``make bench``

Training step by step of what makes it fast, beside a loop put together as the released code is;
training of each model, tuples per second; the Gibbs sampler, tokens per second; and ZeroshotTM
against contextualized-topic-models' on the same data, where a build has prepared it,
in that package's own environment. ``--steps FILE`` measures the first alone and writes it, for
the book.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from shapes import random_corpus

from m3l import Corpus, Objective, TrainConfig, View, fit, model_for
from m3l.files import write_json
from m3l_book.data.prepared import assemble
from m3l_book.records.run import environment

VIEWS = ("en", "de", "image")


def tokens_a_second(corpus: Corpus, topics: int = 100, sweeps: int = 200) -> tuple[float, int]:
    """Of the PLTM sampler on the text views, compiled beforehand; and how many tokens there are."""
    from m3l import gibbs, pltm

    beta = dict.fromkeys(corpus.text_views, 0.01)
    sampler = gibbs.Sampler(pltm.documents(corpus), np.full(topics, 0.1), beta)
    sampler.sweep()
    begun = time.perf_counter()
    for _ in range(sweeps):
        sampler.sweep()
    return len(sampler.z) * sweeps / (time.perf_counter() - begun), len(sampler.z)


def against_ctm(
    python: Path, corpus: Corpus, home: str, topics: int, epochs: int, batch_size: int, seeds: int
) -> list[tuple[str, float, list[float]]]:
    """Documents a second and MRR from ``home`` to the other language: CTM's ZeroshotTM, ours on the
    same inputs, and ours with them standardised.
    """
    from m3l.metrics.ranking import relevance, retrieval

    train, test = corpus.part("train").select([home]), corpus.part("test")
    view, (a, b) = train.views[home], [home, next(v for v in test.text_views if v != home)]

    relevant = relevance(test.article_of_items(a), test.article_of_items(b))

    def mrr(theta):
        return float(retrieval(theta[a], theta[b], relevant)["reciprocal_rank"].mean())

    rates, scores = [], []
    for seed in range(seeds):
        options = {"topics": topics, "epochs": epochs, "batch-size": batch_size, "seed": seed}
        tests = {v: test.views[v].embeddings for v in (a, b)}
        out = _run_ctm(python, view, tests, options)
        rates.append(len(view.embeddings) * epochs / float(out["seconds"]))
        scores.append(mrr({v: out[f"theta_{v}"] for v in (a, b)}))
    results = [("contextualized-topic-models 2.6.1", statistics.median(rates), scores)]
    for scaling in ("none", "standardize"):
        rates, scores = [], []
        for seed in range(seeds):
            model = model_for(train, topics, scaling, seed)
            history = fit(
                model,
                train,
                Objective.preset("zeroshot"),
                TrainConfig(epochs=epochs, batch_size=batch_size, seed=seed, device="cpu"),
                progress=False,
            )
            rates.append(len(train) * epochs / history[-1]["seconds"])
            scores.append(
                mrr({v: model.infer(test.views[v].embeddings, home, seed=seed) for v in (a, b)})
            )
        results.append((f"m3l, input_scaling={scaling!r}", statistics.median(rates), scores))
    return results


def _run_ctm(python: Path, view: View, tests: dict, options: dict) -> dict:
    """The arrays that ``ctm.py`` returns, run on one thread without a GPU."""
    bow = {name: getattr(view.bow, name) for name in ("data", "indices", "indptr", "shape")}
    arrays = {f"bow_{name}": np.asarray(value) for name, value in bow.items()}
    arrays |= {f"test_{name}": embeddings for name, embeddings in tests.items()}
    arrays["train_embeddings"] = view.embeddings
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/in.npz", f"{folder}/out.npz"
        np.savez(source, **arrays)
        command = [python, Path(__file__).parent / "ctm.py", source, target]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        alone = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=alone)
        with np.load(target, allow_pickle=False) as out:
            return dict(out)


def speed(
    corpus: Corpus,
    objective: str,
    device: str,
    threads: int,
    batch_size: int,
    kernel: str,
    topics: int = 100,
    repeats: int = 3,
) -> float:
    """Median tuples per second over ``repeats`` epochs, after one to warm up."""
    config = TrainConfig(
        epochs=repeats + 1, batch_size=batch_size, device=device, threads=threads, kernel=kernel
    )
    history = fit(
        model_for(corpus, topics), corpus, Objective.preset(objective), config, progress=False
    )
    seconds = np.diff([row["seconds"] for row in history])
    return len(corpus) / statistics.median(seconds)


def at_once(numbers: list[int], tuples: int, rounds: int = 5) -> dict[int, float]:
    """Tuples a second of so many trainings at the same time, together, each in a process of one
    thread: medians of rounds that take each number in turn.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import bench;"
        f" bench.job({tuples})"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(max(numbers))
    ]
    for process in processes:
        process.stdout.readline()  # it has warmed up
    rates = {number: [] for number in numbers}
    for number in numbers * rounds:
        for process in processes[:number]:
            print("go", file=process.stdin, flush=True)
        rates[number].append(
            sum(float(process.stdout.readline()) for process in processes[:number])
        )
    for process in processes:
        process.communicate()
    return {number: statistics.median(values) for number, values in rates.items()}


def job(tuples: int) -> None:
    """What `at_once` starts: warm up, say so, then train and say how fast for each line that is
    read.
    """
    corpus = random_corpus(tuples, VIEWS)
    print(speed(corpus, "book", "cpu", 1, 32, "fused", repeats=1), flush=True)
    for _ in sys.stdin:
        print(speed(corpus, "book", "cpu", 1, 32, "fused", repeats=4), flush=True)


def steps(tuples: int = 1600) -> list[dict]:
    """What makes training fast, step by step: ``what``, ``cores`` it takes, ``views``,
    ``tuples_per_second``, and ``kernel`` of one process or number of ``jobs``.
    """
    import released_loop

    corpus = random_corpus(tuples, VIEWS)
    cores = os.cpu_count() or 1
    rows = [
        {
            "what": "put together as the released code is",
            "cores": cores,
            "views": 3,
            "tuples_per_second": released_loop.tuples_a_second(corpus),
        }
    ]
    for what, threads, kernel in (
        (f"this book's plain loop, {cores} threads", cores, "plain"),
        ("one thread", 1, "plain"),
        ("the step in compiled loops", 1, "fused"),
    ):
        rate = speed(corpus, "book", "cpu", threads, 32, kernel, repeats=6)
        rows.append(
            {
                "what": what,
                "cores": threads,
                "views": 3,
                "kernel": kernel,
                "tuples_per_second": rate,
            }
        )
    for jobs, rate in at_once(sorted({1, 2, cores}), tuples).items():
        what = f"{jobs} jobs at once" if jobs > 1 else "the same as a job of its own"
        rows.append(
            {"what": what, "cores": jobs, "views": 3, "jobs": jobs, "tuples_per_second": rate}
        )
    for views, objective, batch in ((["en", "de"], "book", 32), (["en"], "zeroshot", 64)):
        rate = speed(corpus.select(views), objective, "cpu", 1, batch, "fused")
        rows.append(
            {
                "what": f"{len(views)} of the views",
                "cores": 1,
                "views": len(views),
                "kernel": "fused",
                "tuples_per_second": rate,
            }
        )
    return rows


def print_steps(rows: list[dict]) -> None:
    """What each step of making training fast has given."""
    title = "M3L-Contrast, 3 views of 512 dimensions, batch 32"
    print(f"{title:<52}{'cores':>6}{'tuples/s':>11}{'ratio':>8}   (2,000 words, 100 topics)")
    first = rows[0]["tuples_per_second"]
    for row in rows:
        rate = row["tuples_per_second"]
        print(f"{row['what']:<52}{row['cores']:>6}{rate:>11,.0f}{rate / first:>8.1f}")


def print_models(corpus: Corpus) -> None:
    """How fast each model trains, by device, threads and kernel."""
    cases = [
        ("M3L, 3 views", corpus, "book", 32),
        ("M3L, 2 views", corpus.select(["en", "de"]), "book", 32),
        ("ZeroshotTM", corpus.select(["en"]), "zeroshot", 64),
    ]
    places = [("cpu", 1, "plain"), ("cpu", torch.get_num_threads(), "plain"), ("cpu", 1, "fused")]
    places += [("cuda", 1, "plain")] if torch.cuda.is_available() else []
    head = f"{'model':<16}{'batch':>6}{'device':>8}{'threads':>9}{'kernel':>8}"
    print(f"\n{head}{'tuples/s':>11}{'ratio':>8}   (512 dimensions, 2,000 words, 100 topics)")
    for name, part, objective, batch in cases:
        first = 0.0
        for device, threads, kernel in dict.fromkeys(places):
            rate = speed(part, objective, device, threads, batch, kernel)
            first = first or rate
            about = f"{name:<16}{batch:>6}{device:>8}{threads:>9}{kernel:>8}"
            print(f"{about}{rate:>11,.0f}{rate / first:>8.2f}")


def print_sampler(corpora: dict[str, Corpus]) -> None:
    """How fast the Gibbs sampler is."""
    print(f"\n{'PLTM, 100 topics, one core':<40}{'tokens':>10}{'tokens/s':>14}")
    for name, corpus in corpora.items():
        rate, tokens = tokens_a_second(corpus)
        print(f"{name:<40}{tokens:>10,}{rate:>14,.0f}")


def print_comparison(python: Path, corpus: Corpus, epochs: int, seeds: int) -> None:
    """ZeroshotTM here against that of contextualized-topic-models."""
    title = f"ZeroshotTM on vital, 100 topics, batch 64, {epochs} epochs"
    print(f"\n{title:<56}{'documents/s':>12}{'ratio':>8}  MRR en → fr")
    rows = against_ctm(python.absolute(), corpus, "en", 100, epochs, 64, seeds)
    for name, rate, scores in rows:
        values = ", ".join(f"{score:.3f}" for score in scores)
        print(f"{name:<56}{rate:>12,.0f}{rate / rows[0][1]:>8.2f}  {values}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuples", type=int, default=6400)
    parser.add_argument("--data", default="data/laptop", help="folder that holds the corpus vital")
    ctm = "Python of the environment that has contextualized-topic-models"
    parser.add_argument("--ctm", default=".venv.ctm/bin/python", help=ctm)
    parser.add_argument("--epochs", type=int, default=20, help="of the comparison with it")
    parser.add_argument("--seeds", type=int, default=2, help="of the comparison with it")
    steps_alone = "measure what makes training fast, write it as JSON, and no more"
    parser.add_argument("--steps", type=Path, metavar="FILE", help=steps_alone)
    parser.add_argument("--step-tuples", type=int, default=1600, help="of what is measured so")
    options = parser.parse_args()
    measured = steps(options.step_tuples)
    print_steps(measured)
    if options.steps:
        shape = "512 dimensions, 2,000 words, 100 topics, batches of 32"
        about = {"shape": shape, "rows": measured, "environment": environment()}
        write_json(options.steps, about)
        return
    views = random_corpus(options.tuples, VIEWS)
    print_models(views)
    corpora = {"random words": views}
    prepared = Path(options.data, "prepared", "vital")
    if (prepared / "card.json").is_file():
        encoders = {"en": "use-multilingual", "fr": "use-multilingual"}
        vital = assemble(prepared, f"{options.data}/embeddings/vital", encoders)
        corpora["vital"] = vital.part("train")
    print_sampler(corpora)
    if "vital" in corpora and Path(options.ctm).exists():
        print_comparison(Path(options.ctm), vital, options.epochs, options.seeds)
    else:
        print(
            "\nno comparison with contextualized-topic-models: it needs "
            f"{prepared} (make book) and {options.ctm} (make bench makes it)"
        )


if __name__ == "__main__":
    main()
