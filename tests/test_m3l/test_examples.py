"""Examples in the library's docstrings are run."""

import doctest
import importlib
import pkgutil

import m3l

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_examples_in_docstrings_give_what_they_say():
    tried = 0
    for module in pkgutil.walk_packages(m3l.__path__, "m3l."):
        result = doctest.testmod(importlib.import_module(module.name), optionflags=FLAGS)
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried >= 20
