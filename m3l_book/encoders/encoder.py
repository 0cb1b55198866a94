"""What an encoder is.

A *space* is what makes encoders comparable: vectors of the same space are aligned, others are not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m3l.errors import M3LError


class EncoderUnavailable(M3LError, RuntimeError):
    """An encoder's weights are not on this machine and cannot be fetched: the message names
    alternatives.
    """


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder, loaded.

    Attributes
    ----------
    name : str
    kind : {"text", "image"}
    space : str
        Encoders of one space are aligned with each other.
    identity : str
        Changes whenever the vectors could: package and weights, their versions, options.
    embed : function
        List of texts, or of picture paths, -> float32 (M, D).
    base : Encoder, optional
        Then ``adapt`` maps the base's vectors (M, D'), which are cached, and ``embed`` is not used.
    adapt : function of vectors, optional
    """

    name: str
    kind: str
    space: str
    identity: str
    embed: Callable[[list], np.ndarray] | None
    base: "Encoder | None" = None
    adapt: Callable[[np.ndarray], np.ndarray] | None = None
