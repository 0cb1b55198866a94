import pytest
from support import make_corpus


@pytest.fixture
def corpus():
    return make_corpus()
