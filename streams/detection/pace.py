"""The baseline's constants, turned from time into windows of one length."""

from dataclasses import dataclass
from typing import NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# The rates were measured on windows of 300 s.
_MEASURED_WINDOW_MS = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a baseline learns and forgets; rates are shares per window, 0 to 1."""

    window_ms: int
    fast: float
    """Learning rate of the fast mean (a memory of 2 h)."""
    slow: float
    """Learning rate of the slow mean (a memory of 2 days)."""
    fast_adapting: float
    """The same two while an anomaly has been open for long: what goes on becomes usual."""
    slow_adapting: float
    dispersion: float
    """Learning rate of the dispersion (a memory of a day)."""
    season: float
    """Learning rate of one hour's factor."""
    occupancy: float
    """Forgetting rate of how often there is any call at all (a memory of a week)."""
    starts: float
    """Forgetting rate of the series' past starts (a memory of 5 days)."""
    day: int
    """Windows of one day."""
    hour: int
    """Windows of one hour."""
    freeze: int
    """Windows for which an open anomaly keeps its baseline frozen (2 h)."""
    quiet: int
    """Quiet windows that end an anomaly (15 minutes)."""

    @classmethod
    def of(cls, window_ms: int) -> "Pace":
        """Derive the constants for windows of `window_ms`, which divide an hour."""

        def rate(per_measured_window: float) -> float:
            share: float = (1.0 - per_measured_window) ** (window_ms / _MEASURED_WINDOW_MS)
            return 1.0 - share

        return cls(
            window_ms=window_ms,
            fast=rate(1 / 24),
            slow=rate(1 / 576),
            fast_adapting=rate(1 / 12),
            slow_adapting=rate(1 / 48),
            dispersion=rate(1 / 288),
            season=rate(0.03),
            occupancy=rate(1 / 2016),
            starts=rate(1 / 1440),
            day=DAY_MS // window_ms,
            hour=HOUR_MS // window_ms,
            freeze=2 * HOUR_MS // window_ms,
            quiet=max(1, -(-900_000 // window_ms)),
        )


class Moment(NamedTuple):
    """One window, and where it lies in the week (UTC, at its middle)."""

    window: int
    """Its number: its start divided by its length."""
    hour: float
    """Hour of the day with its fraction, 0 to 24."""
    weekend: bool
    pace: Pace

    @classmethod
    def of(cls, window: int, pace: Pace) -> "Moment":
        """Place a window in the week."""
        middle_ms = window * pace.window_ms + pace.window_ms // 2
        # 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
        weekday = (middle_ms // DAY_MS + 3) % 7
        return cls(window, middle_ms % DAY_MS / HOUR_MS, weekday >= 5, pace)
