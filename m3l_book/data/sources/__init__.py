"""Where corpora come from: every source is a module with a function ``load`` that returns `Tuples`.

A further source is one more entry of `SOURCES`.
"""

from importlib import import_module
from inspect import signature
from pathlib import Path

from m3l.errors import check_options, choose

from ..schema import Tuples

SOURCES = {name: f"{__name__}.{name}" for name in ("vital", "emoji", "table", "wikipedia")}


def load_source(name: str, cache: str | Path = "data/cache", **options) -> Tuples:
    """Load the tuples of a source.

    ``name`` is what the corpus is called, a key of `SOURCES` unless the option ``from`` names one;
    ``cache`` the folder of encoder outputs, for sources that need an encoder; the other options are
    those of the source's function ``load``.

    Raises
    ------
    ParameterError
        The name or an option is unknown; the message lists the valid ones.
    """
    kind = options.pop("from", name)
    choose("corpus", kind, SOURCES)
    function = import_module(SOURCES[kind]).load
    given = {"cache": cache} if "cache" in signature(function).parameters else {}
    tuples = function(**check_options(f"options of corpus {name!r}", function, given | options))
    tuples.name = name
    return tuples
