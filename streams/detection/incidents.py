"""Which open anomalies belong together: one incident has one root."""

from collections.abc import Callable, Iterator

from streams.detection.anomaly import Measure, Series
from streams.detection.episode import Episode
from streams.detection.registry import DETECTORS
from streams.detection.series import LEVELS, covers

_Api = tuple[Measure, tuple[str, ...]]
_RANK = {detector.name: rank for rank, detector in enumerate(DETECTORS)}


def coarseness(kind: str, series: Series) -> tuple[int, int]:
    """Order anomalies of one API: coarser levels first, then as the detectors are declared."""
    return LEVELS.index(series.level), _RANK[kind]


class Incidents:
    """The open anomalies by API."""

    def __init__(self) -> None:
        self._open: dict[_Api, list[Episode]] = {}

    def add(self, episode: Episode) -> None:
        """Take in an anomaly that opens."""
        self._open.setdefault(_api(episode), []).append(episode)

    def remove(self, episode: Episode) -> None:
        """Let go of an anomaly that ends or is retracted."""
        siblings = self._open[_api(episode)]
        siblings[:] = [one for one in siblings if one is not episode]
        if not siblings:
            del self._open[_api(episode)]

    def root_of(self, episode: Episode) -> str:
        """Return the id of the coarsest open anomaly that this one is part of; empty if it is none.

        A suppressed anomaly is nobody's parent: nobody is told of it. A provisional one is the
        parent of provisional ones only, so that early detection leaves definitive records alone.
        """
        rank = coarseness(episode.type, episode.series)
        candidates = [
            other
            for other in self._siblings(episode, lambda other: covers(other.series, episode.series))
            if not other.suppressed
            and (episode.provisional or not other.provisional)
            and coarseness(other.type, other.series) < rank
        ]
        if not candidates:
            return ""
        return min(candidates, key=lambda one: coarseness(one.type, one.series)).anomaly_id

    def orphans_of(self, episode: Episode) -> list[Episode]:
        """Return the open anomalies that opened before their parent `episode` did."""
        if episode.suppressed or episode.parent_id:
            return []
        rank = coarseness(episode.type, episode.series)
        found = [
            other
            for other in self._siblings(episode, lambda other: covers(episode.series, other.series))
            if coarseness(other.type, other.series) > rank
            and other.provisional == episode.provisional
            and other.parent_id != episode.anomaly_id
        ]
        return sorted(found, key=lambda one: (*coarseness(one.type, one.series), one.series))

    def _siblings(self, episode: Episode, wanted: Callable[[Episode], bool]) -> Iterator[Episode]:
        for other in self._open.get(_api(episode), ()):
            if other is not episode and wanted(other):
                yield other


def _api(episode: Episode) -> _Api:
    return episode.measure, episode.series[1:5]
