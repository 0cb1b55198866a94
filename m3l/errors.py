"""Errors that name what is wrong, where, and what was expected; and the checks that raise them."""

from collections.abc import Callable, Collection
from inspect import signature
from math import isfinite
from numbers import Integral, Real


class M3LError(Exception):
    """Base of every error that this package raises on purpose."""


class DataError(M3LError, ValueError):
    """Data break the contract: the message names the file, view, row or column."""


class ParameterError(M3LError, ValueError):
    """A parameter is unknown, of the wrong type or out of range: the message says what is valid."""


class TrainingDiverged(M3LError, FloatingPointError):
    """A loss term stopped being finite: the message names the term and the epoch."""


def require(condition: bool, message: str, error: type[M3LError] = ParameterError) -> None:
    """Raise ``error(message)`` unless ``condition`` holds."""
    if not condition:
        raise error(message)


def choose(name: str, value: object, options: Collection) -> None:
    """Raise `ParameterError` naming the valid ``options`` unless ``value`` is one of them."""
    valid = ", ".join(map(str, sorted(options)))
    require(value in options, f"{name}={value!r} is unknown; valid: {valid}")


def check_integer(name: str, value: object, least: int) -> None:
    """Raise `ParameterError` unless ``value`` is an integer, ``least`` or more."""
    integer = isinstance(value, Integral) and not isinstance(value, bool)
    expected = f"expected an integer, {least} or more"
    require(integer and value >= least, f"{name}={value!r}: {expected}")


def check_number(
    name: str, value: object, above_zero: bool = False, below: float = float("inf")
) -> None:
    """Raise `ParameterError` unless ``value`` is a finite number, 0 or more, and below ``below``.

    With ``above_zero`` it must not be 0.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    inside = number and (value > 0 if above_zero else value >= 0) and value < below
    bounds = "above 0" if above_zero else "0 or more"
    bounds += "" if below == float("inf") else f" and below {below:g}"
    require(inside, f"{name}={value!r}: expected a finite number, {bounds}")


def check_values(declared: dict[str, type], values: dict) -> dict:
    """Return the values by name, an int taken for a float.

    A name that is declared with something other than str, int, float, bool, list or dict is not
    checked for its type.

    Raises
    ------
    ParameterError
        A name is unknown, or its value is of another type than declared.
    """
    checked = {}
    for name, value in values.items():
        choose("parameter", name, declared)
        kind = declared[name]
        if kind is float and type(value) is int:
            value = float(value)
        if kind in (str, int, float, bool, list, dict) and type(value) is not kind:
            found = type(value).__name__
            raise ParameterError(f"{name}={value!r} is of type {found}, expected {kind.__name__}")
        checked[name] = value
    return checked


def check_options(what: str, function: Callable, options: dict) -> dict:
    """Return ``options`` for a call of ``function``, checked against its annotations.

    Raises
    ------
    ParameterError
        As `check_values`, beginning with ``what``.
    """
    parameters = signature(function).parameters.items()
    try:
        return check_values({name: value.annotation for name, value in parameters}, options)
    except ParameterError as error:
        raise ParameterError(f"{what}: {error}") from None
