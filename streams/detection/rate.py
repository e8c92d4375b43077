"""ApiCallRate and InternalCallRate: more calls than the series' own baseline can explain."""

import numpy as np

from streams.counting.columns import Array, with_room
from streams.detection.baselines import Baselines
from streams.detection.judge import Picture, Verdicts
from streams.detection.pace import Moment, Pace
from streams.detection.registry import Judging
from streams.detection.row import Rows, seasonal_lift
from streams.detection.series_table import SeriesTable
from streams.detection.tail import Bools, Floats, Indices

LEAST_CALLS = 5.0
"""Calls in one window below which nothing is an anomaly."""
LEAST_RATIO = 1.5
"""Times the larger expected count below which nothing is an anomaly."""
LEAST_WINDOWS = 8
"""Windows with calls a series must have had; it must be a day old as well."""
_QUIET_SCORE = 2.0
_QUIET_RATIO = 1.275
_START_PENALTY = 0.5
_NOT_OPEN = -1


class Rates:
    """Judges every series against its baseline, and says how each baseline may learn."""

    judging = Judging.RATE

    def __init__(self, baselines: Baselines, pace: Pace, threshold: float, floor: float) -> None:
        self._baselines = baselines
        self._pace = pace
        self._threshold = threshold
        self._floor = floor
        self._open_since: Array = np.zeros(0, np.int32)
        # Smallest count in the hour after the last close that is worth a look; rounded, but far
        # less than it is lowered by.
        self._screen: Array = np.zeros(0, np.float32)

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""
        self._open_since = with_room(self._open_since, capacity, _NOT_OPEN)
        self._screen = with_room(self._screen, capacity, LEAST_CALLS)

    def admit(self, indices: Indices, table: SeriesTable) -> None:  # noqa: ARG002 - all alike
        """Begin to judge series under free indexes."""
        self._open_since[indices] = _NOT_OPEN
        self._screen[indices] = LEAST_CALLS

    def ignores_young(self, indices: Indices) -> Bools:
        """Tell of series in the nursery which are not judged: none is."""
        return np.ones(len(indices), np.bool_)

    def hold(self, index: int, window: int) -> None:
        """Take note that a series' anomaly is open since `window`: its baseline freezes."""
        self._open_since[index] = window

    def release(self, index: int) -> None:
        """Take note that a series' anomaly has ended."""
        self._open_since[index] = _NOT_OPEN

    def screen(self, window: int, indices: Indices, calls: Indices) -> Bools:
        """Pick the series whose partial count could open an anomaly."""
        current = window - self._baselines.last[indices] <= self._pace.hour
        worth: Bools = calls >= np.where(current, self._screen[indices], LEAST_CALLS)
        return worth

    def judge(self, picture: Picture) -> Verdicts:
        """Decide about each series of a picture; changes nothing."""
        rows, calls, score = picture.rows, picture.calls, picture.scored.surprise
        expected = np.maximum(picture.scored.fast, picture.scored.slow) + 1.0
        threshold = self._threshold + _START_PENALTY * rows["starts"]
        possible = (
            self.mature(rows, picture.moment.window)
            & (calls >= LEAST_CALLS)
            & (calls >= LEAST_RATIO * expected)
        )
        return Verdicts(
            score=score,
            threshold=threshold,
            hit=possible & (score >= threshold),
            near=possible & (score >= self._floor) & (score < threshold),
            quiet=(score < _QUIET_SCORE) | (calls < _QUIET_RATIO * expected),
        )

    def mature(self, rows: Rows, window: int) -> Bools:
        """Tell which series are old enough to be judged against their baseline."""
        return self._old_enough(rows["first"], rows["seen"], window)

    def is_mature(self, indices: Indices, window: int) -> Bools:
        """Tell the same of series by index."""
        first, seen = self._baselines.first[indices], self._baselines.seen[indices]
        return self._old_enough(first, seen, window)

    def learn(self, picture: Picture, verdicts: Verdicts) -> None:
        """Let the baselines learn a closed window: frozen for 2 h of an anomaly, then fast."""
        since = self._open_since[picture.indices].astype(np.int64)
        starting = verdicts.hit & (since == _NOT_OPEN)
        since = np.where(starting, picture.moment.window, since)
        is_open = since != _NOT_OPEN
        frozen = is_open & (picture.moment.window - since < self._pace.freeze)
        picture.rows["starts"] += starting
        self._baselines.learn(picture, frozen, is_open & ~frozen)
        self._open_since[picture.indices] = since
        self._screen[picture.indices] = self._smallest_possible(picture)

    def _old_enough(self, first: Array, seen: Array, window: int) -> Bools:
        old: Bools = (window - first >= self._pace.day) & (seen >= LEAST_WINDOWS)
        return old

    def _smallest_possible(self, picture: Picture) -> Floats:
        # Seasons bend once within an hour; a tenth of slack covers the bend.
        rows, window = picture.rows, picture.moment.window
        lift = np.minimum(
            *(
                seasonal_lift(rows, Moment.of(window + ahead, self._pace))[0]
                for ahead in (1, self._pace.hour)
            )
        )
        level = np.maximum(rows["fast"], rows["slow"]) * lift
        smallest: Floats = np.maximum(LEAST_CALLS, 0.9 * LEAST_RATIO * (level + 1.0))
        return smallest
