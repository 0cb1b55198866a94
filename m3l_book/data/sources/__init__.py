"""Where corpora come from: every source is a function that returns `Tuples`.

``SOURCES`` maps names to functions; a further source is one more entry.
"""

from importlib import import_module
from inspect import signature
from pathlib import Path

from m3l.errors import check_options, choose

from ..schema import Tuples

SOURCES = {
    "vital": "m3l_book.data.sources.vital",
    "emoji": "m3l_book.data.sources.emoji",
    "table": "m3l_book.data.sources.table",
}


def load_source(name: str, cache: str | Path = "data/cache", **options) -> Tuples:
    """The tuples of a source.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    cache : path
        Folder of encoder outputs, for sources that need an encoder.
    options
        Of the source's function ``load``.

    Raises
    ------
    ParameterError
        The name or an option is unknown; the message lists the valid ones.
    """
    choose("corpus", name, SOURCES)
    function = import_module(SOURCES[name]).load
    if "cache" in signature(function).parameters:
        options = {"cache": cache, **options}
    return function(**check_options(f"options of corpus {name!r}", function, options))
