"""Learn what is usual for a series: a hurdle negative binomial with two horizons.

State is an array of rows of the exact type that is stored, so that a restart changes no result:
every function computes in double precision from stored rows and stores the result back.
A window without calls is the hurdle: it only lowers the occupancy, in closed form when the next
count arrives, and is never learned from otherwise.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.detection.pace import Moment, Pace
from streams.detection.row import (
    BODY,
    PEAK_UNIT,
    SEASON_UNIT,
    VISIT_UNIT,
    Rows,
    dispersion,
    neighbours,
)
from streams.detection.surprise import Scored
from streams.detection.tail import Bools, Floats

_LARGEST_EXCESS = 6.0
_CLIP_SIGMAS = 3.0
_SURE_AFTER = 10
_SEASON_LIMIT = 7.99
_LONGEST_MEMORY_HOURS = 168


def advance(rows: Rows, moment: Moment) -> None:
    """Bring rows from their last window with calls to the eve of the moment's window."""
    window, pace = moment.window, moment.pace
    elapsed = window - rows["last"].astype(np.int64)
    gapped = np.flatnonzero(elapsed > 1)
    if gapped.size:
        keep = (1.0 - pace.occupancy) ** (elapsed[gapped] - 1)
        rows["windows"][gapped] = rows["windows"][gapped] * keep + (1.0 - keep) / pace.occupancy
        rows["busy"][gapped] = rows["busy"][gapped] * keep
    started = np.flatnonzero(rows["starts"] > 0)
    if started.size:
        rows["starts"][started] *= (1.0 - pace.starts) ** elapsed[started]
    hour = window // pace.hour
    turned = np.flatnonzero(rows["last"] // pace.hour < hour)
    if turned.size:
        _turn_hour(rows, turned, hour, pace)


def _turn_hour(rows: Rows, turned: npt.NDArray[np.intp], hour: int, pace: Pace) -> None:
    # The hour of `last` is over: remember its peak, half of a rise and a quarter of a fall.
    # Hours without a call since then let theirs fall by a quarter each.
    last_hour = rows["last"][turned] // pace.hour
    of_day = last_hour % 24
    peaks = rows["peaks"][turned].astype(np.float64)
    at = np.arange(turned.size)
    change = np.log1p(rows["hour_peak"][turned]) * PEAK_UNIT - peaks[at, of_day]
    peaks[at, of_day] += np.where(change > 0, 0.5, 0.25) * change
    empty = np.minimum(hour - last_hour - 1, _LONGEST_MEMORY_HOURS)
    if empty.any():
        behind = (np.arange(24) - of_day[:, None] - 1) % 24
        times = empty[:, None] // 24 + (behind < empty[:, None] % 24)
        peaks *= 0.75**times
    rows["peaks"][turned] = np.minimum(np.rint(peaks), 255)
    rows["hour_peak"][turned] = 0


def pass_window(rows: Rows, calls: Floats, moment: Moment) -> None:
    """Record that a window had calls; a frozen baseline learns no more than this."""
    window, pace = moment.window, moment.pace
    rows["windows"] = rows["windows"] * (1.0 - pace.occupancy) + 1.0
    rows["busy"] = rows["busy"] * (1.0 - pace.occupancy) + 1.0
    rows["hour_peak"] = np.maximum(rows["hour_peak"], calls)
    rows["seen"] += 1
    rows["last"] = window


def learn(rows: Rows, calls: Floats, scored: Scored, adapting: Bools, moment: Moment) -> None:
    """Learn the level, season, dispersion and tail from one window's counts (all >= 1).

    `adapting` marks series whose anomaly has been open for so long that it becomes usual.
    """
    pace, learned = moment.pace, rows["learned"].astype(np.float64)
    y = calls - 1.0
    clipped = ~adapting & (learned > _SURE_AFTER)
    horizons = (
        ("fast", scored.fast, pace.fast, pace.fast_adapting),
        ("slow", scored.slow, pace.slow, pace.slow_adapting),
    )
    own = 1.0 / (learned + 1.0)
    seen = y
    for name, mean, usual, quick in horizons:
        variance, square = rows[f"{name}_variance"], rows[f"{name}_square"]
        spread = mean + dispersion(variance, square, learned, pace) * mean * mean
        seen = np.where(clipped, np.minimum(y, mean + _CLIP_SIGMAS * np.sqrt(spread) + 1.0), y)
        # The very first window has no mean to differ from.
        step = np.where(learned > 0, np.maximum(pace.dispersion, own), 0.0)
        variance += step * ((seen - mean) ** 2 - mean - variance)
        square += step * (mean * mean - square)
        rate = np.maximum(np.where(adapting, max(usual, quick), usual), own)
        rows[name] += rate * (np.minimum(seen / scored.lift, 1e9) - rows[name])
    _learn_season(rows, seen, scored.slow, moment)
    rows["learned"] += 1.0
    _learn_tail(rows, scored.raw, clipped)


def _learn_season(rows: Rows, seen: Floats, mean: Floats, moment: Moment) -> None:
    ready = rows["learned"] >= 3
    error = np.where(ready, np.clip((seen - mean) / (mean + 1.0), -1.0, 2.0), 0.0)
    for hour, weight in neighbours(moment):
        offset = 24 * moment.weekend + hour
        season = rows["season"][:, offset].astype(np.float64)
        visits = rows["visits"][:, offset] / VISIT_UNIT
        if moment.weekend:
            season = np.where(visits > 0, season, rows["season"][:, hour])
        step = weight * np.maximum(moment.pace.season, 1.0 / (visits + 3.0)) * error
        changed = np.clip(season / SEASON_UNIT + step, -_SEASON_LIMIT, _SEASON_LIMIT)
        rows["season"][:, offset] = np.rint(changed * SEASON_UNIT)
        counted = np.rint(np.minimum((visits + weight * ready) * VISIT_UNIT, 255))
        rows["visits"][:, offset] = counted


def _learn_tail(rows: Rows, raw: Floats, trusted: Bools) -> None:
    beyond = trusted & (raw > BODY)
    rate = np.where(trusted, np.maximum(1e-3, 1.0 / (rows["judged"] + 1.0)), 0.0)
    rows["beyond"] += rate * (beyond - rows["beyond"])
    rows["judged"] += trusted
    some = np.flatnonzero(beyond)
    if some.size:
        excess = np.minimum(raw[some] - BODY, _LARGEST_EXCESS)
        step = np.maximum(1 / 200, 1.0 / (rows["excesses"][some] + 1.0))
        rows["excess"][some] += step * (excess - rows["excess"][some])
        rows["excess_square"][some] += step * (excess**2 - rows["excess_square"][some])
        rows["excesses"][some] += 1.0


class Usual(NamedTuple):
    """What would have been usual in one window; calls a window, one element a row."""

    average: Floats
    low: Floats
    high: Floats


def usual(rows: Rows, scored: Scored, pace: Pace) -> Usual:
    """Return the expected calls and a band of two standard deviations around them."""
    busy = np.minimum(1.0, rows["busy"] / np.maximum(rows["windows"], 1.0))
    learned = rows["learned"].astype(np.float64)
    known = np.minimum(learned, 1.0)
    spread = dispersion(rows["slow_variance"], rows["slow_square"], learned, pace)
    sigma = np.sqrt(scored.slow + spread * scored.slow**2)
    calls = 1.0 + scored.slow
    # Where windows without a call are ordinary, none at all is within the band.
    low = np.where(busy < 0.95, 0.0, np.maximum(0.0, calls - 2.0 * sigma))
    return Usual(known * busy * calls, known * low, known * (calls + 2.0 * sigma))
