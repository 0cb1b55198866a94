"""Parts of a corpus: what is learnt from, what choices are made on, and what is read once."""

from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import require

if TYPE_CHECKING:
    from pandas import DataFrame

SPLITS = ("train", "validation", "test")


def set_aside(frame: "DataFrame", split: str, articles: np.ndarray) -> None:
    """Put every tuple of some articles into ``split``, in place."""
    frame.loc[frame["article_id"].isin(articles), "split"] = split


def validation_part(
    frame: "DataFrame", share: float, seed: int, illustrated: float | None = None
) -> None:
    """Move a share of the training articles to the split ``validation``, in place.

    Parameters
    ----------
    frame : pandas.DataFrame
        In the schema of `m3l_book.data.schema`.
    share : float
        Of the articles without a picture and, unless ``illustrated`` is another, of those with one.
    seed : int
    illustrated : float, optional

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
        set_aside(frame, "validation", rng.permutation(articles)[: int(part * len(articles))])
