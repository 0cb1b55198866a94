import ctypes
import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# the same cases each time, on however busy a machine; many of them with --thorough
ALWAYS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
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


if "PYTEST_XDIST_WORKER" in os.environ:
    # where several run tests each has a core: threads of more would wait for one another, busily
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.platform == "linux":
        # a process that runs tests ends with the one that started it, and so do its builds
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@pytest.fixture
def corpus():
    from support import make_corpus  # with torch, which who hands out the tests can do without

    return make_corpus()
