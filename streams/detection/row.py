"""One baseline: its stored form, and what is read from it in more than one place."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streams.detection.pace import Moment, Pace
from streams.detection.tail import Floats

Rows: TypeAlias = npt.NDArray[np.void]

NURSERY_WINDOWS = 3
"""A baseline is learned and stored whole from this many windows with calls on."""

ROW = np.dtype(
    [
        ("format", "u1"),
        # Window numbers fit 32 bits even for windows of a second, until 2038.
        ("first", "<i4"),
        ("last", "<i4"),
        ("seen", "<u4"),  # windows with calls, ever
        ("starts", "<f4"),  # past starts, decayed
        ("learned", "<f4"),  # windows learned from
        ("fast", "<f4"),
        ("slow", "<f4"),
        ("fast_variance", "<f4"),
        ("fast_square", "<f4"),
        ("slow_variance", "<f4"),
        ("slow_square", "<f4"),
        ("busy", "<f4"),  # windows with calls, decayed
        ("windows", "<f4"),  # windows, decayed
        ("beyond", "<f4"),  # how often the raw surprise passes BODY
        ("judged", "<f4"),
        ("excess", "<f4"),  # mean excess over BODY, and mean square
        ("excess_square", "<f4"),
        ("excesses", "<f4"),
        ("hour_peak", "<f4"),  # largest count of the hour of `last`
        ("season", "<i2", 48),  # log factors, 24 hours of weekdays and 24 of weekends, in 1/4096
        ("visits", "u1", 48),  # how often each was learned, in 1/7
        ("peaks", "u1", 24),  # log(1 + largest count) an hour of the day, in 1/15
    ]
)
NURSERY_BYTES = 13
"""The leading `format`, `first`, `last` and `seen`: all there is of a series in the nursery."""
FORMAT = 1

OPAQUE = np.dtype((np.void, ROW.itemsize))
"""A row as so many bytes: numpy copies these ten times faster than rows with fields."""

SEASON_UNIT, VISIT_UNIT, PEAK_UNIT = 4096.0, 7.0, 15.0
"""What 1 is in the small integers of `season`, `visits` and `peaks`."""

BODY = 0.7
"""Raw surprise up to which the distribution is believed; beyond, its tail is calibrated."""
LEAST_EXCESS = 0.4343
"""Mean excess of an exponential tail, in log10 units: none is believed to be lighter."""

_PRIOR_DISPERSION = 0.2
_PRIOR_WEIGHT = 8.0
_LEAST_DISPERSION = 0.002


def fresh_rows(number: int) -> Rows:
    """Return rows of series that nothing is known about."""
    rows = np.zeros(number, ROW)
    rows["format"] = FORMAT
    rows["beyond"] = 0.1
    rows["judged"] = 50.0
    rows["excess"] = LEAST_EXCESS
    rows["excess_square"] = 2.0 * LEAST_EXCESS**2
    rows["excesses"] = 30.0
    return rows


def dispersion(variance: Floats, square: Floats, learned: Floats, pace: Pace) -> Floats:
    """Return the dispersion that variance and mean square show, shrunk towards a prior."""
    weight = np.minimum(learned, 1.0 / pace.dispersion)
    square = np.maximum(square.astype(np.float64), 1e-9)
    shrunk = (weight * np.maximum(variance, 0.0) + _PRIOR_WEIGHT * _PRIOR_DISPERSION * square) / (
        (weight + _PRIOR_WEIGHT) * square
    )
    return np.maximum(shrunk, _LEAST_DISPERSION)


def seasonal_lift(rows: Rows, moment: Moment) -> tuple[Floats, Floats]:
    """Return the factor of the hour, and how often that hour was learned.

    Linear between the middles of the two nearest hours.
    """
    values, visits = [], []
    for hour, _ in neighbours(moment):
        offset = 24 * moment.weekend + hour
        value = rows["season"][:, offset] / SEASON_UNIT
        if moment.weekend:
            weekday = rows["season"][:, hour] / SEASON_UNIT
            value = np.where(rows["visits"][:, offset] > 0, value, weekday)
        values.append(value)
        visits.append(rows["visits"][:, offset] / VISIT_UNIT)
    (_, left), (_, right) = neighbours(moment)
    return (
        np.exp(left * values[0] + right * values[1]),
        np.minimum(np.maximum(visits[0], visits[1]), 1.0 / moment.pace.season),
    )


def neighbours(moment: Moment) -> tuple[tuple[int, float], tuple[int, float]]:
    """Return the two hours whose middles are nearest, each with its weight."""
    position = moment.hour - 0.5
    hour = int(np.floor(position))
    right = position - hour
    return (hour % 24, 1.0 - right), ((hour + 1) % 24, right)
