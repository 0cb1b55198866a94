"""Errors that name what is wrong, where, and what was expected."""


class M3LError(Exception):
    """Base of every error this package raises on purpose."""


class DataError(M3LError, ValueError):
    """Data break the contract: the message names the file, view, row or column."""


class ParameterError(M3LError, ValueError):
    """A parameter is unknown, of the wrong type or out of range: the message names it and what is valid."""


class EncoderUnavailable(M3LError, RuntimeError):
    """An encoder's weights are not on this machine and cannot be fetched: the message names alternatives."""


class TrainingDiverged(M3LError, FloatingPointError):
    """A loss term stopped being finite: the message names the term and the epoch."""


def require(condition: bool, message: str, error: type[M3LError] = ParameterError) -> None:
    """Raise ``error(message)`` unless ``condition`` holds."""
    if not condition:
        raise error(message)


def choose(name: str, value, options) -> None:
    """Raise `ParameterError` naming the valid ``options`` unless ``value`` is one of them."""
    if value not in options:
        raise ParameterError(f"{name}={value!r} is unknown; valid: {', '.join(map(str, sorted(options)))}")
