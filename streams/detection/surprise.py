"""How surprising a count is: the tail of a hurdle negative binomial on two horizons, calibrated."""

from typing import NamedTuple

import numpy as np

from streams.detection.pace import Moment, Pace
from streams.detection.row import (
    BODY,
    LEAST_EXCESS,
    OPAQUE,
    PEAK_UNIT,
    ROW,
    Rows,
    dispersion,
    seasonal_lift,
)
from streams.detection.tail import Floats, log10_tail

_LN10 = np.log(10.0)
_LEAST_MEAN = 1e-3
_LARGEST_SURPRISE = 99.0
_RECURRENCE = np.log(1.25)
_RECURRING_SURPRISE = 2.5


class Scored(NamedTuple):
    """How surprising one window's counts are, and what was expected; one element a row."""

    surprise: Floats
    """-log10 of the calibrated tail probability; 0 at or below the mean."""
    raw: Floats
    """The same before calibration."""
    fast: Floats
    """Expected calls beyond the first in a window that has any, by the fast and slow mean."""
    slow: Floats
    lift: Floats
    """Factor of the hour of the day."""


def score(rows: Rows, calls: Floats, moment: Moment) -> Scored:
    """Judge the counts of one window against rows advanced to its eve; reads only."""
    lift, visits = seasonal_lift(rows, moment)
    fast = np.maximum(rows["fast"] * lift, _LEAST_MEAN)
    slow = np.maximum(rows["slow"] * lift, _LEAST_MEAN)
    surprise = np.zeros_like(calls)
    raw = np.zeros_like(calls)
    above = np.flatnonzero(calls - 1.0 > np.maximum(fast, slow))
    if above.size:
        some = rows.view(OPAQUE)[above].view(ROW)
        raw[above] = _raw_surprise(
            some, calls[above] - 1.0, (fast[above], slow[above]), visits[above], moment.pace
        )
        calibrated = _calibrated(some, raw[above])
        surprise[above] = _recurrence_gated(some, calls[above], calibrated, int(moment.hour) % 24)
    return Scored(surprise, raw, fast, slow, lift)


def _raw_surprise(
    rows: Rows, y: Floats, means: tuple[Floats, Floats], visits: Floats, pace: Pace
) -> Floats:
    fast, slow = means
    learned = rows["learned"].astype(np.float64)
    short = dispersion(rows["fast_variance"], rows["fast_square"], learned, pace)
    long = dispersion(rows["slow_variance"], rows["slow_square"], learned, pace)
    # A mean learned from few windows is itself uncertain: that widens the prediction.
    short += (1.0 / (fast + 0.5) + short) / (np.minimum(learned, 2.0 / pace.fast - 1.0) + 1.0)
    long += (1.0 / (slow + 0.5) + long) * (
        1.0 / (np.minimum(learned, 2.0 / pace.slow - 1.0) + 1.0) + 1.0 / (visits + 1.0)
    )
    both = np.minimum(-log10_tail(y, fast, short), -log10_tail(y, slow, long))
    return np.minimum(both, _LARGEST_SURPRISE)


def _calibrated(rows: Rows, raw: Floats) -> Floats:
    # A generalised Pareto tail by its moments: what passed before says what passing means.
    rate = np.maximum(rows["beyond"].astype(np.float64), 10.0**-BODY)
    mean = np.maximum(rows["excess"].astype(np.float64), LEAST_EXCESS)
    square = rows["excess_square"].astype(np.float64)
    variance = np.maximum(square - rows["excess"].astype(np.float64) ** 2, mean * mean * 0.5)
    shape = np.clip(0.5 * (1.0 - mean * mean / variance), 0.0, 0.5)
    scale = mean * (1.0 - shape)
    excess = np.maximum(raw - BODY, 0.0)
    light = excess / scale / _LN10
    heavy = np.log1p(shape * excess / scale) / _LN10 / np.maximum(shape, 0.01)
    tail = np.where(shape < 0.01, light, heavy) - np.log10(rate)
    calibrated = np.where(raw > BODY, tail, raw)
    rare = np.minimum(1.0, (rows["busy"] + 0.5) / (rows["windows"] + 1.0))
    return calibrated - np.log10(rare)


def _recurrence_gated(rows: Rows, calls: Floats, surprise: Floats, hour: int) -> Floats:
    # What came at this hour of the day before is no news, however far from the mean.
    peaks = rows["peaks"]
    highest = np.maximum(
        np.maximum(peaks[:, hour], peaks[:, (hour + 1) % 24]), peaks[:, (hour - 1) % 24]
    )
    recurring = np.log1p(calls) < highest / PEAK_UNIT + _RECURRENCE
    return np.where(recurring, np.minimum(surprise, _RECURRING_SURPRISE), surprise)
