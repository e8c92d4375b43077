"""Tumbling windows: epoch-aligned, half-open `[start, end)`, numbered from the epoch."""

from dataclasses import dataclass

from streams.errors import ConfigurationError

_HOUR_MS = 3_600_000

NEVER = -(1 << 62)
"""A window number below every other: nothing is closed or purged yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The division of event time; window number `n` is `[n * window_ms, (n + 1) * window_ms)`.

    Raises ConfigurationError where `window_ms` does not divide an hour or the amendment horizon
    is negative.
    """

    window_ms: int
    amendment_ms: int
    """How long after its end a window still takes late events."""

    def __post_init__(self) -> None:
        if self.window_ms <= 0 or _HOUR_MS % self.window_ms:
            raise ConfigurationError(
                f"window_ms must be positive and divide {_HOUR_MS}, not {self.window_ms}"
            )
        if self.amendment_ms < 0:
            raise ConfigurationError(f"amendment_ms must not be negative, not {self.amendment_ms}")

    def start_ms(self, number: int) -> int:
        """Return the first millisecond of a window, inclusive."""
        return number * self.window_ms

    def end_ms(self, number: int) -> int:
        """Return the end of a window, exclusive."""
        return (number + 1) * self.window_ms

    def first_open(self, watermark_ms: int | None) -> int:
        """Return the lowest window that is not closed: one closes at watermark >= its end."""
        return NEVER if watermark_ms is None else watermark_ms // self.window_ms

    def first_kept(self, watermark_ms: int | None) -> int:
        """Return the lowest window not purged: one goes at watermark >= its end + amendment."""
        if watermark_ms is None:
            return NEVER
        return (watermark_ms - self.amendment_ms) // self.window_ms
