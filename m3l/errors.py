"""Errors that name what is wrong, where, and what was expected."""

from collections.abc import Callable, Collection


class M3LError(Exception):
    """Base of every error this package raises on purpose."""


class DataError(M3LError, ValueError):
    """Data break the contract: the message names the file, view, row or column."""


class ParameterError(M3LError, ValueError):
    """A parameter is unknown, of the wrong type or out of range: the message names it and what is
    valid.
    """


class TrainingDiverged(M3LError, FloatingPointError):
    """A loss term stopped being finite: the message names the term and the epoch."""


def require(condition: bool, message: str, error: type[M3LError] = ParameterError) -> None:
    """Raise ``error(message)`` unless ``condition`` holds."""
    if not condition:
        raise error(message)


def check_values(declared: dict[str, type], values: dict) -> dict:
    """The values by name, an int taken for a float; `ParameterError` if one is unknown or of the
    wrong type.

    A name declared with something other than str, int, float, bool, list or dict is not checked for
    its type.
    """
    checked = {}
    for name, value in values.items():
        choose("parameter", name, declared)
        kind = declared[name]
        if kind is float and type(value) is int:
            value = float(value)
        if kind in (str, int, float, bool, list, dict) and type(value) is not kind:
            raise ParameterError(
                f"{name}={value!r} is of type {type(value).__name__}, expected {kind.__name__}"
            )
        checked[name] = value
    return checked


def check_options(what: str, function: Callable, options: dict) -> dict:
    """``options`` for a call of ``function``, checked against its signature; `ParameterError`
    saying ``what`` is wrong.
    """
    from inspect import signature

    try:
        return check_values(
            {
                name: parameter.annotation
                for name, parameter in signature(function).parameters.items()
            },
            options,
        )
    except ParameterError as error:
        raise ParameterError(f"{what}: {error}") from None


def choose(name: str, value: object, options: Collection) -> None:
    """Raise `ParameterError` naming the valid ``options`` unless ``value`` is one of them."""
    if value not in options:
        raise ParameterError(
            f"{name}={value!r} is unknown; valid: {', '.join(map(str, sorted(options)))}"
        )
