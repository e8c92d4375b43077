"""From verdicts to anomalies: open, go on, end; early ones are confirmed or retracted.

Definitive anomalies are a fold over closed windows; nothing provisional ever changes one, except
its revision number and what was sampled for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Array, with_room
from streams.detection.anomaly import Anomaly, Evidence, Series, State
from streams.detection.episode import Episode, anomaly_id
from streams.detection.incidents import Incidents, coarseness
from streams.detection.pace import Pace
from streams.detection.registry import Detector, Judging, detector_of
from streams.detection.series_table import SeriesTable
from streams.detection.shares import BaselineShares
from streams.detection.tail import Indices
from streams.detection.tally import SAMPLES
from streams.errors import StateError

Breakdown = Callable[[int], Iterable[tuple[Activity, int]]]
"""Counts by activity of one series (by index) in the window at hand."""

ROW_TYPE = b"\x05"

_YIELD_EVERY = 50

Key = tuple[Judging, int]


class Finding(NamedTuple):
    """One judge's verdict about one series in one window."""

    judging: Judging
    at: int
    """The series' index."""
    calls: int
    score: float
    threshold: float
    hit: bool
    near: bool
    quiet: bool
    average: float
    """Of the baseline, calls a window; so are the two bounds."""
    low: float
    high: float
    baseline_windows: int


class Lifecycle:
    """The open anomalies of a partition."""

    def __init__(
        self,
        app: str,
        pace: Pace,
        table: SeriesTable,
        shares: BaselineShares,
        released: Callable[[Judging, int], None],
    ) -> None:
        self._app = app
        self._pace = pace
        self._table = table
        self._shares = shares
        self._released = released
        self._definitive: dict[Key, Episode] = {}
        self._provisional: dict[Key, Episode] = {}
        self._incidents = Incidents()
        self._emitted: list[Anomaly] = []
        self._dirty: dict[bytes, Episode | None] = {}
        self._view: tuple[Anomaly, ...] | None = None
        self.attention: dict[Judging, Array] = {
            judging: np.zeros(0, np.bool_) for judging in Judging
        }
        """By judge and series index: whether an anomaly is open."""
        self.sampling: Array = np.zeros(0, np.bool_)
        """By series index: whether records are wanted as samples."""

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""
        self.sampling = with_room(self.sampling, capacity)
        for judging, open_ones in self.attention.items():
            self.attention[judging] = with_room(open_ones, capacity)

    @property
    def open(self) -> Sequence[Anomaly]:
        """The open anomalies, each as of its last judged window."""
        if self._view is None:
            episodes = [*self._definitive.values(), *self._provisional.values()]
            self._view = tuple(episode.record(State.START) for episode in episodes)
        return self._view

    def open_indices(self) -> Indices:
        """Return the indexes of series with an open anomaly, ascending."""
        indices = {index for _, index in (*self._definitive, *self._provisional)}
        return np.array(sorted(indices), np.int64)

    def restore(self, index: int, episode: Episode) -> Judging:
        """Take in a stored open anomaly; raise StateError when no judge would have opened it."""
        for judging in Judging:
            detector = detector_of(judging, episode.series)
            if detector is not None and detector.name == episode.type:
                self._keep((judging, index), episode)
                return judging
        raise StateError(
            f"a stored open {episode.type} is of a series that it does not watch: "
            f"{episode.series}; reset the state with `trailstreams state reset`"
        )

    def close(
        self, window: int, findings: Iterable[Finding], breakdown: Breakdown
    ) -> Iterator[None]:
        """Judge a closed window; open anomalies without a finding had no calls."""
        found = {(finding.judging, finding.at): finding for finding in findings}
        for key in (*self._definitive, *self._provisional):
            found.setdefault(key, _nothing(key))
        for number, finding in enumerate(sorted(found.values(), key=self._order)):
            self._judge(window, finding, breakdown)
            if number % _YIELD_EVERY == _YIELD_EVERY - 1:
                yield
        self._view = None

    def open_early(self, window: int, findings: Iterable[Finding], breakdown: Breakdown) -> None:
        """Open provisional anomalies where none is open yet."""
        for finding in sorted(findings, key=self._order):
            if not self.attention[finding.judging][finding.at]:
                self._start(window, finding, breakdown, provisional=True)

    def add_sample(self, index: int, evidence: Evidence, user_agent: str, address: str) -> None:
        """Add a record to what a series' open anomalies say next."""
        for episode in self._episodes(index):
            episode.tally.sample(evidence, user_agent, address)
            self._dirty[_row_key(episode)] = episode
        self._update_flags(index)
        self._view = None

    def take_emitted(self) -> list[Anomaly]:
        """Return the records made since the last call, in order."""
        taken, self._emitted = self._emitted, []
        return taken

    def take_dirty(self) -> list[tuple[bytes, bytes | None]]:
        """Return the changelog rows changed since the last call; None is a tombstone."""
        taken, self._dirty = self._dirty, {}
        return [
            (key, None if episode is None else msgspec.msgpack.encode(episode))
            for key, episode in taken.items()
        ]

    def _order(self, finding: Finding) -> tuple[object, ...]:
        series = self._table[finding.at]
        return (*coarseness(_detector(finding.judging, series).name, series), series)

    def _judge(self, window: int, finding: Finding, breakdown: Breakdown) -> None:
        key = (finding.judging, finding.at)
        episode = self._definitive.get(key)
        if episode is not None:
            self._go_on(key, episode, finding, breakdown)
        elif finding.hit or finding.near:
            self._start(window, finding, breakdown, provisional=False)
        self._settle(key, window)

    def _start(
        self, window: int, finding: Finding, breakdown: Breakdown, *, provisional: bool
    ) -> None:
        key = (finding.judging, finding.at)
        episode = self._episode(window, finding, provisional=provisional)
        counts = list(breakdown(finding.at))
        episode.tally.add(counts)
        episode.tally.baseline = self._shares.of(finding.at, window, counts)
        early = self._provisional.get(key)
        if early is not None and early.anomaly_id == episode.anomaly_id:
            self._let_go(key, early)
            episode.revision = early.revision
            episode.tally.adopt_samples(early.tally)
        self._keep(key, episode)
        self._announce(episode)

    def _episode(self, window: int, finding: Finding, *, provisional: bool) -> Episode:
        series = self._table[finding.at]
        detector = _detector(finding.judging, series)
        start_ms = window * self._pace.window_ms
        end_ms = start_ms + self._pace.window_ms
        return Episode(
            anomaly_id=anomaly_id(self._app, detector.name, series, start_ms),
            type=detector.name,
            rule_version=detector.version,
            measure=detector.measure,
            series=series,
            window_ms=self._pace.window_ms,
            opened_ms=start_ms,
            active_until_ms=end_ms,
            judged_until_ms=end_ms,
            crossed_ms=start_ms if finding.hit else -1,
            provisional=provisional,
            revision=-1,
            parent_id="",
            score=finding.score,
            threshold=finding.threshold,
            limit=finding.threshold if finding.judging is Judging.THRESHOLD else None,
            usual=(finding.average, finding.low, finding.high),
            baseline_windows=finding.baseline_windows,
            calls=finding.calls,
            peak=finding.calls,
        )

    def _announce(self, episode: Episode) -> None:
        episode.parent_id = self._incidents.root_of(episode)
        self._emit(episode, State.START)
        for orphan in self._incidents.orphans_of(episode):
            orphan.parent_id = episode.anomaly_id
            self._dirty[_row_key(orphan)] = orphan
            # Nobody was told of a suppressed one; it says so when it crosses or ends.
            if not orphan.suppressed:
                self._emit(orphan, State.START)

    def _go_on(self, key: Key, episode: Episode, finding: Finding, breakdown: Breakdown) -> None:
        self._dirty[_row_key(episode)] = episode
        if finding.quiet:
            episode.calm_down(finding.calls)
            if episode.quiet >= self._pace.quiet:
                self._let_go(key, episode)
                self._released(*key)
                self._emit(episode, State.END)
            return
        episode.go_on(finding.calls, finding.score)
        episode.tally.add(breakdown(finding.at))
        if episode.suppressed and finding.hit:
            episode.crossed_ms = episode.judged_until_ms - self._pace.window_ms
            episode.threshold = finding.threshold
            self._announce(episode)

    def _settle(self, key: Key, window: int) -> None:
        # What was confirmed is no longer among the provisional ones.
        early, episode = self._provisional.get(key), self._definitive.get(key)
        if early is None:
            return
        if episode is not None or early.opened_ms <= window * self._pace.window_ms:
            self._let_go(key, early)
            superseded_by = "" if episode is None else episode.anomaly_id
            self._emit(early, State.RETRACTED, superseded_by)

    def _keep(self, key: Key, episode: Episode) -> None:
        (self._provisional if episode.provisional else self._definitive)[key] = episode
        self._incidents.add(episode)
        self._update_flags(key[1])
        self._view = None

    def _let_go(self, key: Key, episode: Episode) -> None:
        del (self._provisional if episode.provisional else self._definitive)[key]
        self._incidents.remove(episode)
        self._update_flags(key[1])
        self._view = None

    def _update_flags(self, index: int) -> None:
        for judging, flags in self.attention.items():
            key = (judging, index)
            flags[index] = key in self._definitive or key in self._provisional
        self.sampling[index] = any(
            episode.tally.sampled < SAMPLES for episode in self._episodes(index)
        )

    def _episodes(self, index: int) -> list[Episode]:
        return [
            opened[judging, index]
            for opened in (self._definitive, self._provisional)
            for judging in Judging
            if (judging, index) in opened
        ]

    def _emit(self, episode: Episode, state: State, superseded_by: str = "") -> None:
        episode.revision += 1
        self._emitted.append(episode.record(state, superseded_by))
        self._dirty[_row_key(episode)] = episode if state is State.START else None
        self._view = None


def _nothing(key: Key) -> Finding:
    return Finding(
        *key, calls=0, score=0.0, threshold=0.0, hit=False, near=False, quiet=True,
        average=0.0, low=0.0, high=0.0, baseline_windows=0,
    )  # fmt: skip


def _detector(judging: Judging, series: Series) -> Detector:
    detector = detector_of(judging, series)
    if detector is None:
        raise LookupError(f"{judging} judged a series that no detector watches: {series}")
    return detector


def _row_key(episode: Episode) -> bytes:
    return ROW_TYPE + bytes.fromhex(episode.anomaly_id)
