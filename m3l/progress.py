"""Progress bars, in a terminal or a notebook."""

import os
from collections.abc import Iterable

from tqdm.auto import tqdm


def silenced() -> bool:
    """Whether the environment says that no bar is wanted: TQDM_DISABLE=1."""
    return os.environ.get("TQDM_DISABLE", "") not in ("", "0")


def progress_bar(iterable: Iterable | None = None, show: bool = True, **options) -> tqdm:
    """A tqdm bar; none unless ``show``, and none when the environment says TQDM_DISABLE=1, which
    tqdm's own bars in notebooks ignore.
    """
    return tqdm(iterable, disable=silenced() or not show, **options)
