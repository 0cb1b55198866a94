"""Functions compiled by numba and kept on disk, where there is a place to keep them."""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

f32 = np.float32
LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
E2, E3, E4 = f32(5.0000001201e-1), f32(1.6666665459e-1), f32(4.1665795894e-2)
E5, E6, E7 = f32(8.3334519073e-3), f32(1.3981999507e-3), f32(1.9875691500e-4)


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


# reassociated sums vectorise; NaN and infinity keep their meaning, since `fit` looks for them
loops = compiled(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@intrinsic
def _float_of_bits(typing_context, bits):
    def bitcast(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), bitcast


@loops
def exp(x):
    """exp of a float32 to 4e-7, without a call, so that loops use vector instructions (Cephes)."""
    clipped = min(max(x, f32(-87.0)), f32(88.0))
    k = np.floor(clipped * LOG2E + f32(0.5))
    r = clipped - k * LN2_HIGH - k * LN2_LOW
    p = ((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2
    power = _float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
    return (p * r * r + r + f32(1)) * power if x == x else x
