"""What callers do: who calls which API, where, how often and in which rhythm."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from streams.synthetic.apis import Api
from streams.synthetic.callers import Caller

STEP_MS = 300_000
"""Length of one step of the simulation: a rate holds for a step, aligned to the epoch."""

_STEPS_A_DAY = 86_400_000 // STEP_MS
_STEPS_AN_HOUR = 3_600_000 // STEP_MS
_BURST_SHARE = 0.08
_NIGHT_STEPS = 3
# 1970-01-01 was a Thursday; days are counted from Monday.
_EPOCH_WEEKDAY = 3


class Rhythm(StrEnum):
    """How a rate varies with time; every rhythm's mean over a week is about 1."""

    STEADY = "steady"
    DAILY = "daily"
    """More by day than by night, as what customers cause."""
    OFFICE = "office"
    """People: working hours, little at night and at weekends."""
    HOURLY = "hourly"
    """A job once an hour, all its calls within one step."""
    NIGHTLY = "nightly"
    """A job at 02:00 UTC, all its calls within a quarter of an hour."""
    BURSTY = "bursty"
    """On for one step in twelve, at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One caller that uses one API in one account and Region."""

    caller: Caller
    api: Api
    account_id: str
    """Account the call is made in: `recipientAccountId`."""
    region: str
    rate: float
    """Mean calls in a step of 300 s."""
    rhythm: Rhythm = Rhythm.STEADY
    error_share: float = 0.0
    """Share of calls that fail, 0 to 1."""
    dispersion: float = 0.005
    """Variance of the rate from step to step over its square; 0 is Poisson."""


def _steady(step: int) -> float:  # noqa: ARG001 - all rhythms share one signature
    return 1.0


def _daily(step: int) -> float:
    return 1 + 0.3 * math.cos((_hour(step) - 14) / 24 * 2 * math.pi)


def _office(step: int) -> float:
    if (step // _STEPS_A_DAY + _EPOCH_WEEKDAY) % 7 >= 5:
        return 0.3
    return 0.3 + 3.9 * max(0.0, math.cos((_hour(step) - 13) / 24 * 2 * math.pi)) ** 2


def _hourly(step: int) -> float:
    return float(_STEPS_AN_HOUR) if step % _STEPS_AN_HOUR == 1 else 0.0


def _nightly(step: int) -> float:
    since = step % _STEPS_A_DAY - 2 * _STEPS_AN_HOUR
    return _STEPS_A_DAY / _NIGHT_STEPS if 0 <= since < _NIGHT_STEPS else 0.0


def _hour(step: int) -> float:
    return step % _STEPS_A_DAY / _STEPS_AN_HOUR


_FACTORS: Mapping[Rhythm, Callable[[int], float]] = {
    Rhythm.STEADY: _steady,
    Rhythm.DAILY: _daily,
    Rhythm.OFFICE: _office,
    Rhythm.HOURLY: _hourly,
    Rhythm.NIGHTLY: _nightly,
    # Bursts are drawn, see Rates.
    Rhythm.BURSTY: _steady,
}


class Rates:
    """The rates of all habits as columns, so that a step costs a few array operations."""

    def __init__(self, habits: Sequence[Habit]) -> None:
        rhythms = list(Rhythm)
        self._rate = np.array([habit.rate for habit in habits])
        self._rhythm = np.array([rhythms.index(habit.rhythm) for habit in habits], dtype=np.intp)
        self._bursty = np.array([habit.rhythm is Rhythm.BURSTY for habit in habits], dtype=bool)
        self._shape = 1 / np.array([max(habit.dispersion, 1e-6) for habit in habits])

    def draw(
        self, rng: np.random.Generator, step: int, factors: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return each habit's number of calls in a step; `factors` multiply the rates."""
        rhythm = np.array([_FACTORS[rhythm](step) for rhythm in Rhythm])
        mean = self._rate * rhythm[self._rhythm] * factors
        bursts = rng.random(len(mean)) < _BURST_SHARE
        mean *= np.where(self._bursty, bursts / _BURST_SHARE, 1.0)
        noise = rng.gamma(self._shape, 1 / self._shape)
        counts: NDArray[np.int64] = rng.poisson(mean * noise)
        return counts
