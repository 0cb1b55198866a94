"""The schema in which every source returns its tuples, a row per tuple, and the parts of a corpus.

================  ==================================================================================
``tuple_id``      str, unique
``article_id``    str, equal for tuples that share an article (which may have several pictures)
``split``         ``"train"``, ``"validation"`` or ``"test"``; an article stands in one of them
``<lang>_title``  str, for the reader only
``<lang>_text``   str, or null where the tuple lacks the language; equal for tuples of an article
``image_id``      str, or null; equal for tuples that show the same picture
``category``      str, optional: a known label, never shown to a model
``row``           int, optional: the row of the user's table, whose header is row 1
``<view>_truth``  list of float, optional: known topic proportions of the view's item
================  ==================================================================================
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import require

if TYPE_CHECKING:
    from pandas import DataFrame

PICTURES = "image"
"""The name of the view of pictures in every corpus of the book."""

SPLITS = ("train", "validation", "test")
"""What is learnt from, what choices are made on, and what is read once."""


@dataclass
class Tuples:
    """Holds what a source returns: rows in the schema, and how to write the pictures they name.

    ``languages`` are the ISO 639-1 codes of the text views. ``write_images`` writes every picture
    of ``frame`` into a folder and returns {image_id: file name}. ``card`` is the data card:
    ``source``, ``licence``, ``biases``, ``notes``, whatever a reader must know. ``given`` are
    features of pictures that come with the source, by the name of their encoder: the ids of M
    pictures, all of ``frame``'s among them, and a row for each, float32 (M, D).
    """

    name: str
    frame: "DataFrame"
    languages: list[str]
    write_images: Callable[[Path], dict[str, str]] | None = None
    card: dict = field(default_factory=dict)
    given: dict[str, tuple[list[str], np.ndarray]] = field(default_factory=dict)


def validation_part(
    frame: "DataFrame", share: float, seed: int, illustrated: float | None = None
) -> None:
    """Move a share of the training articles to the split ``validation``, in place.

    It is a share of the articles without a picture and, unless ``illustrated`` is another, of those
    with one.

    Raises
    ------
    ParameterError
        A share is no share.
    """
    shares = {True: share if illustrated is None else illustrated, False: share}
    for value in shares.values():
        require(0 <= value < 1, f"validation={value}: expected 0 (none) or more, and below 1")
    training = frame[frame["split"] == "train"]
    has_picture = training.groupby("article_id", sort=False)["image_id"].first().notna()
    rng = np.random.default_rng([seed, 1])  # another stream than the one that draws the test part
    for group, part in shares.items():
        articles = has_picture.index[has_picture == group].to_numpy()
        drawn = rng.permutation(articles)[: int(part * len(articles))]
        frame.loc[frame["article_id"].isin(drawn), "split"] = "validation"


def draw_parts(
    frame: "DataFrame",
    test_fraction: float = 0.1,
    least_test: int = 20,
    validation: float = 0.1,
    seed: int = 0,
) -> None:
    """Put every article into a part, in place, by a hash of its id and ``seed``: an article stays
    in its part when others are added, but for those that a small corpus gives back.

    There is always an article to test on and one to train on.
    """
    articles = frame["article_id"].unique()
    share = test_fraction if test_fraction * len(articles) >= least_test else 0.25
    drawn = {article: _drawn(article, seed) for article in articles}
    ends = share, share + (1 - share) * validation  # of the test and the validation part
    named = ("test", "validation", "train")
    part = {article: named[sum(x >= end for end in ends)] for article, x in drawn.items()}
    order = sorted(drawn, key=drawn.get)
    part[order[0]] = "test"
    if len(order) > 1 and "train" not in part.values():
        part[order[-1]] = "train"
    frame["split"] = frame["article_id"].map(part)


def _drawn(article: str, seed: int) -> float:
    """A number in [0, 1) that depends on an id and a seed alone."""
    digest = hashlib.blake2b(f"{seed} {article}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
