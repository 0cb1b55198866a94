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
    that change something take a `workshop`, or the folder `as_built`.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    built, done = base / "it's a büch er" / "m3l", base / "book.done"
    folder = built.with_name("to read")
    with FileLock(base / "book.lock"):
        if not done.exists():
            assert not built.exists(), "the book could not be built; see the first failure"
            copy_of_the_project(built)
            build_interrupted(built)
            shutil.copytree(built, folder, symlinks=True)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def as_built(checkout):
    """Where the book was built, for one file of tests: elsewhere Sphinx reads every page again."""
    return checkout.with_name("m3l")


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
