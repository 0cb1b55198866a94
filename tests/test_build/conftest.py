"""The book of profile smoke, built once for all tests that look at it."""

import shutil

import pytest
from building import build_interrupted, copy_of_the_project
from filelock import FileLock


@pytest.fixture(scope="session")
def checkout(tmp_path_factory, worker_id):
    """A copy of the project, built, in a folder with a space, an apostrophe and a letter that is
    not ASCII.

    Of all processes that run tests the first one builds, and the others wait. Tests read it; those
    that change something take a `workshop`.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    folder, done = base / "it's a büch er" / "m3l", base / "book.done"
    with FileLock(base / "book.lock"):
        if not done.exists():
            assert not folder.exists(), "the book could not be built; see the first failure"
            copy_of_the_project(folder)
            build_interrupted(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def book(checkout):
    """The folder of the built pages."""
    return checkout / "build/smoke/html"


@pytest.fixture(scope="module")
def running(book):
    """A browser."""
    import browsing

    with browsing.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def workshop(checkout, tmp_path_factory):
    """A copy of the built checkout for tests that change it."""
    folder = tmp_path_factory.mktemp("workshop") / "m3l"
    shutil.copytree(checkout, folder, symlinks=True)
    return folder
