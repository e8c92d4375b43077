"""How long things take: as in production, or as short as a test of a few minutes needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from streams.counting import watermark


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of everything that faults outlast."""

    session_seconds: int
    transaction_seconds: int
    pause_seconds: float
    """How long a broker is frozen: longer than a transaction may be open."""
    window_pace_seconds: float
    """Between two windows of traffic."""

    @property
    def beyond_session_seconds(self) -> float:
        """Longer than a silent worker keeps its partitions."""
        return self.session_seconds + 2.5

    @property
    def beyond_transaction_seconds(self) -> float:
        """Longer than that, and longer than its transaction stays open."""
        return max(self.session_seconds, self.transaction_seconds) + 2.5


LONG = Timing(session_seconds=6, transaction_seconds=20, pause_seconds=30, window_pace_seconds=0.5)
SHORT = Timing(session_seconds=3, transaction_seconds=5, pause_seconds=8, window_pace_seconds=0.25)


@contextmanager
def quick_deaths() -> Iterator[None]:
    """Take a source for dead after 6 s of the others' Progress, in steps of at most 1 s.

    Five minutes of it in steps of at most one, as in production, would outlast a run.
    """
    with (
        mock.patch.object(watermark, "DEAD_AFTER_MS", 6_000),
        mock.patch.object(watermark, "LONGEST_STEP_MS", 1_000),
    ):
        yield
