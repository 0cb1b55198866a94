import ctypes
import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings
from support import make_corpus

# the same cases each time, on however busy a machine
settings.register_profile(
    "m3l",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("m3l")

if "PYTEST_XDIST_WORKER" in os.environ and sys.platform == "linux":
    # a process that runs tests ends with the one that started it, and so do its builds
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@pytest.fixture
def corpus():
    return make_corpus()
