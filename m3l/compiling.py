"""Functions compiled by numba and kept on disk, where there is a place to keep them.

What is kept is made anew when the file of the function changes, and not when a compiled function
changes that it calls: the two stand in one file.
"""

from collections.abc import Callable

from numba import njit


def compiled(**options: object) -> Callable[[Callable], Callable]:
    """Return a decorator as `numba.njit` is with these options, which keeps what it compiled; where
    no folder can be written to, each process compiles anew.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return njit(**options)(function)

    return decorate
