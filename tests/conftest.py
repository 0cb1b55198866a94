import pytest
from hypothesis import settings
from support import make_corpus

# the same cases each time, on however busy a machine; many of them with --thorough
ALWAYS = {"deadline": None, "derandomize": True, "database": None}
settings.register_profile("m3l", max_examples=15, **ALWAYS)
settings.register_profile("thorough", max_examples=200, **ALWAYS)


def pytest_addoption(parser):
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the tests marked thorough too, and properties on many more examples",
    )


def pytest_configure(config):
    settings.load_profile("thorough" if config.getoption("thorough") else "m3l")


def pytest_collection_modifyitems(config, items):
    """Leave out what takes long, unless it is asked for."""
    if not config.getoption("thorough"):
        long = [item for item in items if item.get_closest_marker("thorough")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@pytest.fixture
def corpus():
    return make_corpus()
