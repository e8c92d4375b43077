"""Threshold: more calls in one window than a fixed number, from a series' first minute on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.counting.columns import Array, with_room
from streams.detection.judge import Picture, Verdicts
from streams.detection.registry import Judging, detector_of
from streams.detection.series_table import SeriesTable
from streams.detection.tail import Bools, Indices

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRule:
    """A fixed limit for the series of one API that the Threshold detector watches."""

    event_source: str
    event_name: str
    calls_per_minute: float
    """Sustained over one window; reached is exceeded."""


DEFAULT_RULES: tuple[FixedRule, ...] = (
    # 300 a minute is thirty console dashboards of ten widgets, each refreshing once a minute: more
    # than an on-call team has open. Left alone it is 13 million data events, 13 dollars, a month.
    FixedRule(
        event_source="monitoring.amazonaws.com",
        event_name="GetMetricData",
        calls_per_minute=300.0,
    ),
    FixedRule(
        event_source="monitoring.amazonaws.com",
        event_name="GetMetricWidgetImage",
        calls_per_minute=300.0,
    ),
)
"""For calls by AWS itself and calls from other accounts alike (`registry.DETECTORS`)."""


class Thresholds:
    """Judges the series that a rule applies to."""

    judging = Judging.THRESHOLD

    def __init__(self, rules: Sequence[FixedRule], window_ms: int) -> None:
        # A rule applies to few series: all others have place 0.
        self._limits = np.array(
            [np.inf, *(rule.calls_per_minute * window_ms / _MINUTE_MS for rule in rules)]
        )
        self._place_of = {
            (rule.event_source, rule.event_name): place for place, rule in enumerate(rules, 1)
        }
        self._place: Array = np.zeros(0, np.int16)

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""
        self._place = with_room(self._place, capacity)

    def admit(self, indices: Indices, table: SeriesTable) -> None:
        """Begin to judge series under free indexes."""
        self._place[indices] = 0
        for index in table.of_apis(indices, self._place_of).tolist():
            series = table[index]
            if detector_of(self.judging, series) is not None:
                self._place[index] = self._place_of[series.event_source, series.event_name]

    def ignores_young(self, indices: Indices) -> Bools:
        """Tell of series in the nursery which are not judged: those without a limit."""
        ignored: Bools = self._place[indices] == 0
        return ignored

    def screen(self, window: int, indices: Indices, calls: Indices) -> Bools:  # noqa: ARG002 - at all times
        """Pick the series beyond their limit."""
        beyond: Bools = calls >= self._limits[self._place[indices]]
        return beyond

    def judge(self, picture: Picture) -> Verdicts:
        """Decide; the score is calls over the limit, `threshold` the limit in calls a window."""
        limit = self._limits[self._place[picture.indices]]
        hit = picture.calls >= limit
        return Verdicts(
            score=picture.calls / limit,
            threshold=limit,
            hit=hit,
            near=np.zeros_like(hit),
            quiet=~hit,
        )
