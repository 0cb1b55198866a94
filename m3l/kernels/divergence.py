"""Jensen–Shannon divergences as compiled loops: nearly all of their time is logarithms."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LN2 = np.log(2.0)
ROOT2 = np.sqrt(2.0)
EXPONENT_ONE = np.int64(0x3FF0000000000000)
MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
# a double whose low bits, as an integer, are a whole number added to 2 to the 52
WHOLE, TWO52 = np.int64(0x4330000000000000), 4503599627370496.0
A3, A5, A7, A9, A11, A13, A15, A17 = (1.0 / n for n in (3, 5, 7, 9, 11, 13, 15, 17))


def _bitcast(to, kind, of):
    def of_bits(typing_context, value):
        return to(of), lambda _, builder, __, given: builder.bitcast(given[0], kind)

    return intrinsic(of_bits)


_double = _bitcast(types.float64, ir.DoubleType(), types.int64)
_bits = _bitcast(types.int64, ir.IntType(64), types.float64)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def log(x):
    """log of a float64, 0 or more and normal, to 2e-15 of it or of 1, without a call, so that loops
    over it become vector instructions: log x = e log 2 + 2 artanh((m − 1)/(m + 1)), x = m 2^e.
    Of 0 it is some number.
    """
    bits = _bits(x)
    e = _double((bits >> np.int64(52)) | WHOLE) - TWO52 - 1023.0
    m = _double((bits & MANTISSA) | EXPONENT_ONE)  # 1 to 2
    large = m > ROOT2
    m = 0.5 * m if large else m
    e = e + 1.0 if large else e
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    tail = z * (A3 + z * (A5 + z * (A7 + z * (A9 + z * (A11 + z * (A13 + z * (A15 + z * A17)))))))
    return e * LN2 + 2.0 * s * (1.0 + tail)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def negative_entropies(p, out):
    """Σ p log p of the rows of p (N, K)."""
    for i in range(p.shape[0]):
        total = 0.0
        for k in range(p.shape[1]):
            total += p[i, k] * log(p[i, k])
        out[i] = total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def divergences(p, q, p_entropy, q_entropy, out):
    """Jensen–Shannon divergence of the rows of p (N, K) to those of q (M, K), into out (N, M)."""
    for i in range(p.shape[0]):
        for j in range(q.shape[0]):
            total = 0.0
            for k in range(p.shape[1]):
                m = 0.5 * (p[i, k] + q[j, k])
                total += m * log(m)
            out[i, j] = max(0.5 * (p_entropy[i] + q_entropy[j]) - total, 0.0)
