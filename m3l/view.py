"""A view: one language or modality of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class View:
    """One language or modality.

    Attributes
    ----------
    name : str
        ``"en"``, ``"image"``, ...
    embeddings : float32 (M, D)
        A row per item, from a frozen encoder.
    index : int64 (N,)
        The item of each tuple; -1 where the tuple lacks this view.
    item_ids : sequence of M str
        Unique names of the items.
    bow : sparse int32 (M, V) or None
        Bag of words of each item; ``None`` for a view without words (pictures).
    vocabulary : sequence of V str or None
        The words of ``bow``'s columns.
    """

    name: str
    embeddings: np.ndarray
    index: np.ndarray
    item_ids: Sequence[str]
    bow: sp.csr_matrix | None = None
    vocabulary: Sequence[str] | None = None

    @property
    def present(self) -> np.ndarray:
        """bool (N,): which tuples have this view."""
        return self.index >= 0

    @property
    def is_text(self) -> bool:
        """Whether the view has words."""
        return self.bow is not None

    def __len__(self) -> int:
        return len(self.item_ids)
