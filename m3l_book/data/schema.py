"""The schema in which every source returns its tuples, a row per tuple, and the parts of a corpus.

================  ==================================================================================
``tuple_id``      str, unique
``article_id``    str, equal for tuples that share an article (which may have several pictures)
``split``         ``"train"``, ``"validation"`` or ``"test"``; an article stands in one of them
``<lang>_title``  str, for the reader only
``<lang>_text``   str, or null where the tuple lacks the language; equal for tuples of an article
``image_id``      str, or null; equal for tuples that show the same picture
``category``      str, optional: a known label, never shown to a model
``<view>_truth``  list of float, optional: known topic proportions of the view's item
================  ==================================================================================
"""

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
