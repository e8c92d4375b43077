"""How far a source has read: `up_to`, a function of the input alone.

A source that reads whole objects moves `up_to` at an object's end and nowhere else, so that the
stream and `scan` close the same windows at the same places of the same input.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

DAY_MS = 24 * 3600 * 1000


class Standing(NamedTuple):
    """What a source must remember of all it has read; the start value stands for nothing read."""

    newest_stamp_ms: int = 0
    """Newest delivery stamp, or what stood for it."""
    newest_event_ms: int = 0
    """Newest event time not more than 24 h past the newest stamp."""
    up_to_ms: int = 0
    """Nothing older than this will still come, as far as lateness is allowed; 0 is no statement."""


class Reading:
    """Moves `up_to` as objects are read to their ends.

    `window_ms` and `lateness_ms` as in the settings; `standing` is where an earlier process
    stopped.
    """

    def __init__(
        self, *, window_ms: int, lateness_ms: int, standing: Standing | None = None
    ) -> None:
        self._window_ms = window_ms
        self._lateness_ms = lateness_ms
        self._standing = standing or Standing()
        self._said_ms = self._standing.up_to_ms
        # Events far ahead of the newest stamp so far, one per window: a newer stamp may admit them.
        self._ahead: set[int] = set()

    @property
    def standing(self) -> Standing:
        """Where the source stands after the last finished object."""
        return self._standing

    def finish(self, event_times_ms: Sequence[int], *, stamp_ms: int | None) -> int | None:
        """Take an object's end: its event times and the delivery stamp in its name.

        Without a stamp the median event time stands for it.
        Return `up_to` in milliseconds where it passed a window's end and is to be published.
        """
        stand_in = median_ms(event_times_ms) if stamp_ms is None else stamp_ms
        stamp = max(self._standing.newest_stamp_ms, stand_in or 0)
        up_to = max(self._standing.up_to_ms, stamp - self._lateness_ms)
        self._standing = Standing(stamp, self._newest(event_times_ms, stamp + DAY_MS), up_to)
        return self._say(up_to)

    def complete(self) -> int | None:
        """End the input: nothing will follow, so close the window of the newest event.

        Events more than 24 h past the newest stamp are no measure of the end.
        Return `up_to` where it moved.
        """
        newest = self._standing.newest_event_ms
        if not newest:
            return None
        end = newest - newest % self._window_ms + self._window_ms
        up_to = max(self._standing.up_to_ms, end)
        self._standing = self._standing._replace(up_to_ms=up_to)
        return self._say(up_to)

    def _newest(self, event_times_ms: Iterable[int], limit_ms: int) -> int:
        newest = self._standing.newest_event_ms
        ahead: dict[int, int] = {}
        for time in self._ahead.union(event_times_ms):
            if time <= limit_ms:
                newest = max(newest, time)
            else:
                window = time // self._window_ms
                ahead[window] = max(time, ahead.get(window, 0))
        self._ahead = set(ahead.values())
        return newest

    def _say(self, up_to_ms: int) -> int | None:
        if up_to_ms // self._window_ms <= self._said_ms // self._window_ms:
            return None
        self._said_ms = up_to_ms
        return up_to_ms


def median_ms(event_times_ms: Sequence[int]) -> int | None:
    """Return the lower median of event times, None of none."""
    if not event_times_ms:
        return None
    return sorted(event_times_ms)[(len(event_times_ms) - 1) // 2]
