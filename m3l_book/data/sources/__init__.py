"""Where corpora come from: every source is a function that returns `Tuples`.

``SOURCES`` maps names to functions; a further source is one more entry.
"""

from importlib import import_module

from m3l.errors import check_options, choose

from ..schema import Tuples

SOURCES = {
    "vital": "m3l_book.data.sources.vital",
    "emoji": "m3l_book.data.sources.emoji",
    "table": "m3l_book.data.sources.table",
}


def load_source(name: str, **options) -> Tuples:
    """The tuples of source ``name``; an unknown name or option is a `ParameterError` that lists the
    valid ones.
    """
    choose("corpus", name, SOURCES)
    function = import_module(SOURCES[name]).load
    return function(**check_options(f"options of corpus {name!r}", function, options))
