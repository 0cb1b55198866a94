"""Items of one part of a corpus that are nearly those of another: what a model has seen already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import regex

from m3l.text import WITHOUT_BLANKS

from ..pictures.reading import load_image
from .prepared import items
from .schema import PICTURES

if TYPE_CHECKING:
    from pandas import DataFrame

SHINGLE = 4
"""Words in a shingle, or letters of a script that writes no blanks between words."""

PIECE = regex.compile(rf"[{WITHOUT_BLANKS}]\p{{M}}*|[^\s{WITHOUT_BLANKS}]+")

ROWS = 1000
"""Texts that are compared at once with all of the others."""

SAME_TEXT = 0.5
"""Two texts are nearly the same from this share of common shingles on (Jaccard; Broder 1997)."""

THUMBNAIL, SAME_PICTURE = 12, 6.0
"""The side of the thumbnail that two pictures are compared by, and how far its values, of 0 to 255,
differ at most on average.
"""


def near_texts(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, float]]:
    """Find the pairs of a text of ``a`` and one of ``b`` that share half their shingles: the places
    of both, and their Jaccard similarity, most alike first.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    if not len(a) or not len(b):
        return []
    # two million buckets for some hundred thousand shingles; a text of fewer words has none
    options = {"n_features": 2**21, "binary": True, "norm": None, "alternate_sign": False}
    options |= {"tokenizer": PIECE.findall, "token_pattern": None}
    shingles = HashingVectorizer(ngram_range=(SHINGLE,) * 2, **options)
    x, y = shingles.transform(a), shingles.transform(b)
    size_x, size_y, found = x.getnnz(axis=1), y.getnnz(axis=1), []
    for begin in range(0, len(a), ROWS):  # most pairs of long texts have some shingle in common
        common = (x[begin : begin + ROWS] @ y.T).tocoo()
        both = size_x[begin + common.row] + size_y[common.col]
        alike = common.data / (both - common.data)
        for near in np.flatnonzero(alike >= SAME_TEXT):
            i, j = begin + int(common.row[near]), int(common.col[near])
            found.append((i, j, round(float(alike[near]), 3)))
    return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def near_pictures(a: Sequence[Path], b: Sequence[Path]) -> list[tuple[int, int, float]]:
    """Find the pairs of a picture of ``a`` and one of ``b`` whose thumbnails hardly differ: the
    places of both, and their mean difference of 0 to 255, nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    def thumbnail(path: Path) -> np.ndarray:
        """Read the colours of a picture, small: (3 · side²,) of 0 to 255."""
        small = load_image(path, 20 * THUMBNAIL).resize((THUMBNAIL, THUMBNAIL))
        return np.asarray(small, dtype=np.float32).reshape(-1)

    if not len(a) or not len(b):
        return []
    x, y = (np.stack([thumbnail(path) for path in paths]) for paths in (a, b))
    index = NearestNeighbors(radius=SAME_PICTURE * x.shape[1], metric="manhattan").fit(y)
    found = [
        (i, int(j), round(float(d) / x.shape[1], 3))
        for i, (near, there) in enumerate(zip(*index.radius_neighbors(x), strict=True))
        for d, j in zip(near, there, strict=True)
    ]
    return sorted(found, key=lambda pair: (pair[2], pair[:2]))


def near_duplicates(
    frame: "DataFrame", languages: Sequence[str], pictures: Mapping[str, Path]
) -> list[dict]:
    """Find items of training that are nearly items of the validation or test part.

    ``frame`` is in the schema of `m3l_book.data.schema`, ``pictures`` are files by image id. Pairs
    within one article are none.

    Returns
    -------
    A dictionary a pair of items: ``view``, ``split`` (of the second), ``train`` and ``other``
    (their articles), ``item`` (the first: its article, or its picture), ``likeness`` (Jaccard, or
    the mean difference of two thumbnails).
    """
    import pandas as pd

    pairs = []
    for view in [*languages, *([PICTURES] if pictures else [])]:
        parts = {split: items(part, view) for split, part in frame.groupby("split")}
        if "train" not in parts or len(parts) == 1:
            continue
        training = parts.pop("train")
        others = pd.concat(parts.values())
        if view == PICTURES:
            files = (rows["image_id"].map(pictures).tolist() for rows in (training, others))
            alike = near_pictures(*files)
        else:
            alike = near_texts(*(rows[f"{view}_text"].tolist() for rows in (training, others)))
        found = [
            {
                "view": view,
                "split": other["split"],
                "likeness": likeness,
                "train": one["article_id"],
                "other": other["article_id"],
                "item": one["image_id" if view == PICTURES else "article_id"],
            }
            for one, other, likeness in (
                (training.iloc[i], others.iloc[j], likeness) for i, j, likeness in alike
            )
            if one["article_id"] != other["article_id"]
        ]
        pairs += sorted(found, key=lambda pair: pair["split"])  # by part, and most alike first
    return pairs
