"""How long a book of a user's corpus will take, before it is begun."""

from collections.abc import Mapping
from itertools import combinations

from ..data.schema import PICTURES
from .inspecting import Facts

# of texts of some two hundred words, or of pictures, a second on two cores without a GPU; an
# encoder that is not listed is taken for a large one
ITEMS_A_SECOND = {"use-multilingual": 60, "minilm-en": 40, "e5-multilingual": 12, "words-fr": 400}
ITEMS_A_SECOND |= {"efficientnet-lite0": 25, "pocket-clip": 12}
SLOW, TRAINED_HERE = 4, 500
UPDATE = 0.0022  # seconds a view, in batches of 32
TOKENS = 4e6  # that the Gibbs sampler visits a second
COMPARED = 5e-9  # seconds for a topic of two items
FIRST_PAGE, PAGES = 45, 40  # seconds: reading, notebooks, the HTML of the first page; of the rest


def seconds_of(facts: Facts, profile: Mapping) -> dict[str, float]:
    """Reckon the seconds of each part of a book, by what it is called, on two cores."""
    (corpus,) = profile["corpora"].values()
    encoding = []
    for view, (encoder, *_) in corpus["encoders"].items():
        items = facts.pictures if view == PICTURES else facts.texts[view]
        usual = TRAINED_HERE if encoder.startswith("corpus-") else SLOW
        encoding.append(items / ITEMS_A_SECOND.get(encoder, usual))
    first, others = [], []
    for run in profile["runs"]:
        one = _training(facts, run)
        first += [one for seed in run["seeds"] if f"{run['name']}-s{seed}" in profile["first"]]
        others += [one for seed in run["seeds"] if f"{run['name']}-s{seed}" not in profile["first"]]
    # the browser of each joint model compares all items of a view with all of each other
    views = [facts.pictures if v == PICTURES else facts.texts[v] for v in corpus["encoders"]]
    pairs = sum(a * b for a, b in combinations(views, 2))
    topics = max((run["topics"] for run in profile["runs"]), default=0)
    browser = pairs * topics * COMPARED
    base = {run["name"]: run for run in profile["runs"]}
    for grid in profile["grids"]:
        points = len(grid["points"])
        others += [_training(facts, base[n]) for n in grid["of"] for _ in base[n]["seeds"]] * points
    # two views, and two runs, at a time
    return {
        "encoding": max(max(encoding, default=0.0), sum(encoding) / 2),
        "the first models": max(max(first, default=0), sum(first) / 2),
        "the first page": FIRST_PAGE + len(first) * browser,
        "the other models": sum(others) / 2,
        "the other pages": PAGES + len(profile["runs"]) * browser,
    }


def _training(facts: Facts, run: Mapping) -> float:
    """Reckon the seconds of one run on one core."""
    train = 0.8 * facts.articles
    if run["model"] == "PLTM":
        tokens = sum(facts.length[v] * facts.texts[v] * 0.8 for v in run["train_views"])
        return tokens * run["sweeps"] / TOKENS
    updates = run["epochs"] * max(1, train / run["batch_size"])
    return updates * UPDATE * len(run["train_views"]) * max(1, run["batch_size"] / 32)


def in_words(seconds: Mapping[str, float]) -> str:
    """Say how long it will take, in minutes, and what of."""
    first = seconds["encoding"] + seconds["the first models"] + seconds["the first page"]
    parts = ", ".join(f"{_minutes(x)} for {what}" for what, x in seconds.items() if x >= 15)
    whole = _minutes(sum(seconds.values()))
    return (
        f"about {_minutes(first)} to your first topics and {whole} in all, on two cores ({parts})"
    )


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
