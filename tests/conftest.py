import pytest
from hypothesis import settings
from support import make_corpus

# the same cases each time, on however busy a machine
settings.register_profile("m3l", deadline=None, derandomize=True, database=None)
settings.load_profile("m3l")


@pytest.fixture
def corpus():
    return make_corpus()
