"""The detection state of one partition: what it watches, what is usual, what is open."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Protocol

import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import distinct, smallest
from streams.counting.deferred import Deferred
from streams.detection.anomaly import Anomaly, Evidence
from streams.detection.baselines import Baselines, packed
from streams.detection.episode import decode_episode
from streams.detection.judge import Judge, Picture, Verdicts
from streams.detection.lifecycle import ROW_TYPE as OPEN_ROW
from streams.detection.lifecycle import Breakdown, Finding, Lifecycle
from streams.detection.pace import DAY_MS, Pace
from streams.detection.rate import Rates
from streams.detection.registry import Judging
from streams.detection.series import Resolved
from streams.detection.series_table import SeriesTable
from streams.detection.shares import BaselineShares
from streams.detection.tail import Bools, Indices
from streams.detection.threshold import DEFAULT_RULES, FixedRule, Thresholds

ChangelogRow = tuple[bytes, bytes | None]
BASELINE_ROW = b"\x04"
IDLE_MS = 28 * DAY_MS
"""A series without calls for this long is forgotten."""

_SLICE = 8_192
_NO_SERIES: Indices = np.zeros(0, dtype=np.int64)
_SMALLEST_CAPACITY = 256
_RESTORED_AT_ONCE = 65_536
_LONGEST_BASELINE_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """What detection depends on, beside the counts."""

    app: str
    """Part of every anomaly's id."""
    window_ms: int
    threshold: float
    """Score at which an anomaly opens."""
    max_series: int
    """Stored series of a partition; the longest idle are forgotten."""
    suppressed_from: float = 4.0
    """Score from which an anomaly is recorded, but suppressed."""
    rules: Sequence[FixedRule] = DEFAULT_RULES


class _Growing(Protocol):
    def grow(self, capacity: int) -> None: ...


class Watch:
    """Folds closed windows into baselines and anomalies; looks ahead into open ones.

    Pure: the same windows in the same order give the same definitive anomalies, however often the
    state was stored and restored between them.
    """

    def __init__(self, config: WatchConfig, rows: Mapping[bytes, bytes] | None = None) -> None:
        """Start afresh, or from changelog rows of the types 0x04 and 0x05.

        Raise StateError when a row cannot be read.
        """
        self._config = config
        self._pace = Pace.of(config.window_ms)
        self._table = SeriesTable()
        self._baselines = Baselines(self._pace)
        self._rates = Rates(
            self._baselines,
            self._pace,
            config.threshold,
            min(config.suppressed_from, config.threshold),
        )
        self._judges: tuple[Judge, ...] = (self._rates, Thresholds(config.rules, config.window_ms))
        self._lifecycle = Lifecycle(
            config.app,
            self._pace,
            self._table,
            BaselineShares(self._baselines, self.resolve),
            self._released,
        )
        self._capacity = 0
        self._watermark_ms = 0
        self._dirty: Deferred[ChangelogRow] = Deferred()
        self._counts: tuple[int, int] | None = None
        self._forgotten: list[Indices] = []
        self._restore(rows or {})

    @property
    def open(self) -> Sequence[Anomaly]:
        """The open anomalies, each as of its last judged window."""
        return self._lifecycle.open

    @property
    def learning(self) -> int:
        """Stored series still too young for their baseline: judged by fixed thresholds only."""
        return self._count()[0]

    @property
    def watching(self) -> int:
        """Stored series judged against their baseline."""
        return self._count()[1]

    def resolve(self, activity: Activity) -> Resolved:
        """Return the indexes of an activity's series by level (event, initiator, principal).

        All are -1 when it is not watched. Indexes hold until `take_forgotten` names them.
        """
        event, initiator, principal = self.resolve_all([activity])[0].tolist()
        return event, initiator, principal

    def resolve_all(self, activities: Sequence[Activity]) -> Indices:
        """Return what `resolve` does of each activity, in rows."""
        keys = self._table.keys_of(activities)
        watched = keys >= 0
        indices = np.full(keys.shape, -1, dtype=np.int64)
        indices[watched] = self._indices(keys[watched])
        return indices

    def close(
        self,
        window_start_ms: int,
        series: Indices,
        calls: Indices,
        errors: Indices,
        breakdown: Breakdown,
    ) -> Iterator[None]:
        """Judge and learn one closed window; exhaust the iterator before anything else.

        Takes the revision-0 sums of the window by distinct series. Windows come in order, each
        once, empty ones too while anomalies are open. Yields between slices of up to 50 ms.
        """
        window = window_start_ms // self._pace.window_ms
        busy = calls > 0
        series, calls, errors = series[busy], calls[busy], errors[busy]
        findings: list[Finding] = []
        for start in range(0, len(series), _SLICE):
            part = slice(start, start + _SLICE)
            findings += self._close_slice(window, series[part], calls[part], errors[part])
            yield
        yield from self._lifecycle.close(window, findings, breakdown)
        self._watermark_ms = max(self._watermark_ms, window_start_ms + self._pace.window_ms)
        self._counts = None

    def early(
        self,
        window_start_ms: int,
        series: Indices,
        calls: Indices,
        errors: Indices,
        breakdown: Breakdown,
    ) -> None:
        """Open provisional anomalies from the partial sums of a window that is still open.

        At most one a series and type, and only while none is open; windows come oldest first.
        """
        window = window_start_ms // self._pace.window_ms
        findings: list[Finding] = []
        for judge in self._judges:
            worth = judge.screen(window, series, calls) & (calls > 0)
            worth &= ~self._lifecycle.attention[judge.judging][series]
            if worth.any():
                picture = self._look(window, series[worth], calls[worth], errors[worth])
                verdicts = judge.judge(picture)
                findings += self._findings(judge, picture, verdicts, verdicts.hit)
        if findings:
            self._lifecycle.open_early(window, findings, breakdown)

    def take_emitted(self) -> list[Anomaly]:
        """Return the anomaly records made since the last call, in order."""
        return self._lifecycle.take_emitted()

    def take_dirty(self) -> Deferred[ChangelogRow]:
        """Return the changelog rows to write since the last call; None is a tombstone."""
        taken, self._dirty = self._dirty, Deferred()
        for row in self._lifecycle.take_dirty():
            taken.append(row)
        return taken

    def wants_evidence(self, series: Indices) -> Bools:
        """Tell for which series records are wanted by `add_sample`."""
        return self._lifecycle.sampling[series]

    def add_sample(
        self, series_index: int, evidence: Evidence, user_agent: str, address: str
    ) -> None:
        """Add one record of a series with an open anomaly; said with its next revision."""
        self._lifecycle.add_sample(series_index, evidence, user_agent, address)

    def expire(self, watermark_ms: int) -> Iterator[None]:
        """Forget series idle for 28 days, and the longest idle beyond `max_series`.

        A series with an open anomaly stays. Equal states forget equal series. Exhaust the iterator
        before anything else; it yields between slices of up to 50 ms.
        """
        self._watermark_ms = max(self._watermark_ms, watermark_ms)
        index = self._table.indices()
        stored = self._baselines.seen[index] > 0
        idle_since_ms = (self._baselines.last[index].astype(np.int64) + 1) * self._pace.window_ms
        closed = np.ones(len(index), dtype=np.bool_)
        closed[np.searchsorted(index, self._lifecycle.open_indices())] = False
        gone = closed & (idle_since_ms <= watermark_ms - IDLE_MS)
        surplus = int((stored & ~gone).sum()) - self._config.max_series
        yield
        if surplus > 0:
            left = np.flatnonzero(closed & stored & ~gone)
            order = (idle_since_ms[left], *self._table.ranks(index[left]))
            yield
            gone[left[smallest(order, surplus)]] = True
        yield from self._forget(index[gone], stored[gone])

    def take_forgotten(self) -> Indices:
        """Return the indexes taken away since the last call: resolve their activities again."""
        taken, self._forgotten = self._forgotten, []
        return np.concatenate(taken) if taken else _NO_SERIES

    def _forget(self, indices: Indices, stored: Bools) -> Iterator[None]:
        if not len(indices):
            return
        for begin in range(0, len(indices), _SLICE):
            part = slice(begin, begin + _SLICE)
            having = indices[part][stored[part]]
            names = self._table.identities(having, BASELINE_ROW)
            self._dirty.add(len(having), partial(_tombstones, names))
            self._baselines.forget(indices[part])
            yield
        self._table.drop(indices)
        self._forgotten.append(indices)
        self._counts = None
        yield from self._table.settle()

    def _indices(self, keys: Indices) -> Indices:
        indices = self._table.find(keys)
        absent = indices < 0
        if absent.any():
            self._admit(distinct(keys[absent]))
            indices[absent] = self._table.find(keys[absent])
        return indices

    def _admit(self, keys: Indices) -> None:
        indices = self._table.add(keys)
        highest = int(indices.max())
        if highest >= self._capacity:
            self._capacity = max(_SMALLEST_CAPACITY, highest + highest // 4)
            parts: tuple[_Growing, ...] = (self._baselines, self._lifecycle, *self._judges)
            for part in parts:
                part.grow(self._capacity)
        self._baselines.last[indices] = self._watermark_ms // self._pace.window_ms - 1
        for judge in self._judges:
            judge.admit(indices, self._table)

    def _look(self, window: int, index: Indices, calls: Indices, errors: Indices) -> Picture:
        return self._baselines.look(
            window, index, calls.astype(np.float64), errors.astype(np.float64)
        )

    def _close_slice(
        self, window: int, series: Indices, calls: Indices, errors: Indices
    ) -> list[Finding]:
        # Most principals are in the nursery, where there is nothing to judge and little to learn.
        silent = self._baselines.stays_young(series)
        for judge in self._judges:
            attention = self._lifecycle.attention[judge.judging]
            silent &= judge.ignores_young(series) & ~attention[series]
        self._baselines.pass_nursery(window, series[silent])
        self._mark_dirty(series[silent], self._baselines.nursery_rows(series[silent]))
        judged = ~silent
        if not judged.any():
            return []
        picture = self._look(window, series[judged], calls[judged], errors[judged])
        return self._judge_and_learn(picture)

    def _judge_and_learn(self, picture: Picture) -> list[Finding]:
        verdicts = {judge.judging: judge.judge(picture) for judge in self._judges}
        findings: list[Finding] = []
        for judge in self._judges:
            own = verdicts[judge.judging]
            attention = self._lifecycle.attention[judge.judging][picture.indices]
            findings += self._findings(judge, picture, own, own.hit | own.near | attention)
        self._rates.learn(picture, verdicts[Judging.RATE])
        self._mark_dirty(picture.indices, partial(packed, picture.rows))
        return findings

    def _mark_dirty(self, indices: Indices, packed: Callable[[], list[bytes]]) -> None:
        names = self._table.identities(indices, BASELINE_ROW)
        self._dirty.add(len(indices), partial(_baseline_rows, names, packed))

    def _findings(
        self, judge: Judge, picture: Picture, verdicts: Verdicts, wanted: Bools
    ) -> list[Finding]:
        some = np.flatnonzero(wanted)
        if not some.size:
            return []
        age = picture.moment.window - picture.rows["first"][some]
        average, low, high = self._baselines.usual(picture, some)
        columns = (
            picture.indices[some],
            picture.calls[some].astype(np.int64),
            *(column[some] for column in verdicts),
            average,
            low,
            high,
            np.minimum(age, _LONGEST_BASELINE_MS // self._pace.window_ms),
        )
        # tolist: plain numbers from here on, as they are stored and shown.
        return [
            Finding(judge.judging, *row)
            for row in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _released(self, judging: Judging, index: int) -> None:
        if judging is Judging.RATE:
            self._rates.release(index)

    def _count(self) -> tuple[int, int]:
        if self._counts is None:
            index = self._table.indices()
            index = index[self._baselines.seen[index] > 0]
            latest = int(self._baselines.last[index].max(initial=0))
            mature = int(self._rates.is_mature(index, latest + 1).sum())
            self._counts = (len(index) - mature, mature)
        return self._counts

    def _restore(self, rows: Mapping[bytes, bytes]) -> None:
        names = [key for key in rows if key[:1] == BASELINE_ROW]
        for begin in range(0, len(names), _RESTORED_AT_ONCE):
            self._restore_baselines(names[begin : begin + _RESTORED_AT_ONCE], rows)
        for key, value in rows.items():
            if key[:1] == OPEN_ROW:
                self._restore_open(value)

    def _restore_baselines(self, names: list[bytes], rows: Mapping[bytes, bytes]) -> None:
        indices = self._indices(self._table.keys_from([name[1:] for name in names]))
        self._baselines.unpack(indices, [rows[name] for name in names])

    def _restore_open(self, value: bytes) -> None:
        episode = decode_episode(value)
        index = int(self._indices(np.array([self._table.key_of(episode.series)]))[0])
        judging = self._lifecycle.restore(index, episode)
        if judging is Judging.RATE and not (episode.provisional or episode.suppressed):
            self._rates.hold(index, episode.crossed_ms // self._pace.window_ms)


_Strings = Callable[[], list[bytes]]


def _baseline_rows(names: _Strings, packed: _Strings) -> Iterable[ChangelogRow]:
    return zip(names(), packed(), strict=True)


def _tombstones(names: _Strings) -> Iterable[ChangelogRow]:
    return zip(names(), repeat(None))
