"""The upper tail of the negative binomial distribution, for whole arrays."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.int64]

_HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_LN10 = np.log(10.0)
_LOG10_HALF = -0.30103
# The tail's terms fall about geometrically beyond the mean; six are summed, the rest is bounded.
_TERMS = 6


def log_gamma(z: Floats) -> Floats:
    """Return ln Γ(z) for z > 0, to about 1e-11 of the larger of 1 and the result.

    Stirling's series at z + 8, carried back by the recurrence (Abramowitz and Stegun 6.1.41).
    """
    shifted = z + 8.0
    product = z * (z + 1.0) * (z + 2.0) * (z + 3.0) * (z + 4.0) * (z + 5.0) * (z + 6.0) * (z + 7.0)
    inverse = 1.0 / shifted
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    log: Floats = (shifted - 0.5) * np.log(shifted) - shifted + _HALF_LOG_TWO_PI + series
    return log - np.log(product)


_LOG_FACTORIALS = log_gamma(np.arange(1.0, 1025.0))


def _log_factorial(y: Floats) -> Floats:
    """Return ln y! of whole numbers: `log_gamma(y + 1)` to the bit, for less."""
    if y.max(initial=0.0) < len(_LOG_FACTORIALS):
        return _LOG_FACTORIALS[y.astype(np.intp)]
    return log_gamma(y + 1.0)


def log10_tail(y: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """Return log10 P(Y >= y) of a negative binomial of variance mean + dispersion * mean².

    All arrays have one length; mean and dispersion are > 0.
    At or below the mean, and never above, it is log10 of one half: nothing is surprising there.
    """
    size = 1.0 / dispersion
    q = mean / (size + mean)
    first = (
        log_gamma(y + size)
        - log_gamma(size)
        - _log_factorial(y)
        - size * np.log1p(mean * dispersion)
        + y * np.log(q)
    )
    total = np.ones_like(y)
    term = np.ones_like(y)
    for step in range(_TERMS):
        term = term * ((y + step + size) / (y + step + 1.0) * q)
        total += term
    last = y + _TERMS
    ratio = np.minimum(np.maximum((last + size) / (last + 1.0) * q, q), 0.9999)
    total += term * ratio / (1.0 - ratio)
    tail = np.minimum((first + np.log(total)) / _LN10, _LOG10_HALF)
    return np.where(y <= mean, _LOG10_HALF, tail)
