"""What the paper's whole experiment costs, and what lies beyond it, reckoned from speeds that were
measured.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from m3l.errors import DataError, require
from m3l.files import read_json

if TYPE_CHECKING:
    from pandas import DataFrame

TOKENS = 128
"""Tokens that a text encoder reads of a document (Appendix)."""

# weights that each token of a document, or patch of a picture, goes through, in millions: of the
# transformers' layers, embeddings aside; layers × 12 × width²
WEIGHTS = {
    "clip-ViT-B-32-multilingual-v1": 6 * 12 * 768**2 / 1e6,
    "paraphrase-multilingual-mpnet-base-v2": 12 * 12 * 768**2 / 1e6,
    "all-mpnet-base-v2": 12 * 12 * 768**2 / 1e6,
    "german-roberta-sentence-transformer-v2": 12 * 12 * 768**2 / 1e6,
    "clip-ViT-B-32": 12 * 12 * 768**2 / 1e6,
}
PATCHES = 50
"""Of a picture of 224 pixels, in patches of 32, and the one that stands for the whole."""


def read_measured(path: str | Path) -> dict:
    """What a script under ``benchmarks/`` measured; empty if that is not there yet."""
    return read_json(path) if str(path) and Path(path).is_file() else {}


def items_a_second(scale: Mapping, encoder: str) -> float:
    """How fast a paper's encoder would read here, reckoned from a smaller one that was measured.

    Time is taken to go with weights times tokens, which flatters neither: larger matrices use a
    processor somewhat better.
    """
    known = [row for row in scale["encoders"] if row.get("parameters_a_token")]
    require(bool(known), "scale: no encoder of known size was measured", DataError)
    rate, millions = known[0]["items_per_second"], known[0]["parameters_a_token"] / 1e6
    tokens = PATCHES if encoder == "clip-ViT-B-32" else TOKENS
    return rate * millions * TOKENS / (WEIGHTS[encoder] * tokens)


def bill(
    grid: "DataFrame",
    scale: Mapping,
    gpu: Mapping,
    seeds: int,
    training: int,
    documents: int,
    pictures: int,
    nodes: int = 16,
) -> "DataFrame":
    """The paper's experiment step by step: hours on this machine's cores, on a GPU where that was
    measured, and on a cluster of ``nodes`` such machines.

    Parameters
    ----------
    grid : DataFrame
        `m3l_book.tables.costs.paper_grid`'s.
    scale, gpu : mappings
        What ``benchmarks/scale.py`` and ``benchmarks/gpu.py`` wrote; ``gpu`` may be empty.
    seeds : int
    training : int
        Training tuples.
    documents, pictures : int
        To be encoded, of all parts and languages.
    nodes : int
    """
    import pandas as pd

    cores = 2
    encoding = sum(
        (pictures if name == "clip-ViT-B-32" else documents / (1 if "multi" in name else 2))
        / items_a_second(scale, name)
        for name in WEIGHTS
    )
    classical = grid["model"] == "PLTM"
    neural = float(grid.loc[~classical, "core-hours here"].sum()) * seeds
    sampling = float(grid.loc[classical, "hours, as the paper says"].sum()) * seeds
    parsing = sum(1e3 / row["mb_per_second"] for row in scale["parsers"][:2]) / 3600
    on_gpu = gpu_hours(grid, gpu, training) * seeds if gpu else float("nan")
    rows = [
        ("texts and pages read, a gigabyte of each", parsing, parsing, parsing),
        ("encoding by five encoders", encoding / 3600, float("nan"), encoding / 3600 / nodes),
        ("training, neural models", neural / cores, on_gpu, neural / cores / nodes),
        ("training, PLTM", sampling / cores, float("nan"), sampling / cores / nodes),
    ]
    names = ["step", f"hours, {cores} cores", "hours, a GPU", f"hours, {nodes} machines"]
    return pd.DataFrame(rows, columns=names)


def gpu_hours(grid: "DataFrame", gpu: Mapping, articles: int) -> float:
    """Hours of a GPU for a seed of the grid's neural runs, by the speeds measured on one."""
    rates = {row["views"]: row["tuples_per_second"] for row in gpu["rows"] if _of_whole_tuples(row)}
    neural = grid[grid["model"] != "PLTM"]
    seconds = neural["runs a seed"] * articles * 100 / neural["views"].map(rates)
    return float(seconds.sum()) / 3600


def _of_whole_tuples(row: Mapping) -> bool:
    return "without a picture" not in row["what"]


def gpu_table(gpu: Mapping) -> "DataFrame":
    """What was measured on a GPU: a row a training."""
    import pandas as pd

    columns = {"what": "what", "epochs": "epochs", "seconds": "seconds"}
    rows = [{new: row[old] for old, new in columns.items()} for row in gpu["rows"]]
    rates = [row["tuples_per_second"] for row in gpu["rows"]]
    return pd.DataFrame(rows).assign(**{"tuples a second": rates})


def gpu_line(gpu: Mapping) -> str:
    """Where a GPU's table is from, or that none was measured yet, in a sentence of Markdown."""
    if not gpu:
        return (
            "**No GPU was measured yet.** How fast a step is on a card is open:"
            " `python benchmarks/gpu.py data/results/gpu.json` measures it."
        )
    gone = gpu["parity"]["relative"]
    return (
        f"Measured on {gpu['device']} with PyTorch {gpu['torch']}, {gpu['measured']}. After an"
        f" epoch without noise its loss differs from a processor's by {gone:.0e} of it (tolerance"
        f" {gpu['tolerance']:.0e}). The run took {gpu['memory_mb']:,} MiB of the card."
    )


def beyond(
    scale: Mapping, pairs: int, languages: int, topics: int = 100, words: int = 2000
) -> dict[str, float]:
    """What more data would take: ``documents``, ``encode_days`` on this machine with the paper's
    multilingual encoder, ``machines`` for a night of 12 hours, GB of ``embeddings``, of bags of
    words ``dense`` and ``sparse`` (100 different words a document), and ``distances``, days for all
    pairs of one language with another.
    """
    documents = pairs * languages
    days = documents / items_a_second(scale, "paraphrase-multilingual-mpnet-base-v2") / 86400
    blocks = [row for row in scale["distances"] if " × " in row["what"]]
    n, m = (int(part.replace(",", "")) for part in blocks[-1]["what"].split(" × "))
    return {
        "documents": documents,
        "encode_days": days,
        "machines": days * 2,
        "embeddings": documents * 768 * 4 / 1e9,
        "dense": documents * words * 4 / 1e9,
        "sparse": documents * 100 * 8 / 1e9,
        "distances": blocks[-1]["seconds"] / (n * m) * pairs * pairs / 86400,
    }
