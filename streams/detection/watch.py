"""The detection state of one partition: what it watches, what is usual, what is open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly, Evidence, Series
from streams.detection.baselines import Baselines
from streams.detection.episode import decode_episode
from streams.detection.judge import Judge, Picture, Verdicts
from streams.detection.lifecycle import ROW_TYPE as OPEN_ROW
from streams.detection.lifecycle import Breakdown, Finding, Lifecycle
from streams.detection.pace import DAY_MS, Pace
from streams.detection.rate import Rates
from streams.detection.registry import Judging
from streams.detection.series import (
    UNWATCHED,
    Resolved,
    SeriesTable,
    from_identity,
    series_of,
)
from streams.detection.shares import BaselineShares
from streams.detection.tail import Bools, Indices
from streams.detection.threshold import DEFAULT_RULES, FixedRule, Thresholds

BASELINE_ROW = b"\x04"
IDLE_MS = 28 * DAY_MS
"""A series without calls for this long is forgotten."""

_SLICE = 4096
_SMALLEST_CAPACITY = 256
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
        # Watermark at which a series without a row was first seen.
        self._born_ms = np.zeros(0, np.int64)
        self._watermark_ms = 0
        self._dirty: dict[bytes, bytes | None] = {}
        self._counts: tuple[int, int] | None = None
        self.generation = 0
        """Grows when indexes were taken away: the caller resolves all its keys again."""
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

        All are -1 when it is not watched. Indexes hold until `generation` grows.
        """
        series = series_of(activity)
        if not series:
            return UNWATCHED
        event, initiator, principal = (self._index(one) for one in series)
        return event, initiator, principal

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
            picture = self._look(window, series[part], calls[part], errors[part])
            findings += self._judge_and_learn(picture)
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

    def take_dirty(self) -> list[tuple[bytes, bytes | None]]:
        """Return the changelog rows to write since the last call; None is a tombstone."""
        taken, self._dirty = self._dirty, {}
        rows = [(BASELINE_ROW + identity, packed) for identity, packed in taken.items()]
        return [*rows, *self._lifecycle.take_dirty()]

    def wants_evidence(self, series: Indices) -> Bools:
        """Tell for which series records are wanted by `add_sample`."""
        return self._lifecycle.sampling[series]

    def add_sample(
        self, series_index: int, evidence: Evidence, user_agent: str, address: str
    ) -> None:
        """Add one record of a series with an open anomaly; said with its next revision."""
        self._lifecycle.add_sample(series_index, evidence, user_agent, address)

    def expire(self, watermark_ms: int) -> None:
        """Forget series idle for 28 days, and the longest idle beyond `max_series`.

        A series with an open anomaly stays. Equal states forget equal series.
        """
        self._watermark_ms = max(self._watermark_ms, watermark_ms)
        index = np.fromiter(self._table, np.int64, len(self._table))
        rows = self._baselines.rows[index]
        stored = rows["seen"] > 0
        last_end_ms = (rows["last"].astype(np.int64) + 1) * self._pace.window_ms
        idle_since_ms = np.where(stored, last_end_ms, self._born_ms[index])
        closed = ~np.isin(index, self._lifecycle.open_indices())
        gone = closed & (idle_since_ms <= watermark_ms - IDLE_MS)
        self._forget(index[gone], stored[gone])
        surplus = int((stored & ~gone).sum()) - self._config.max_series
        if surplus > 0:
            left = np.flatnonzero(closed & stored & ~gone)
            by_age = sorted(
                left.tolist(), key=lambda at: (idle_since_ms[at], self._table[int(index[at])])
            )[:surplus]
            self._forget(index[by_age], stored[by_age])

    def _forget(self, indices: Indices, stored: Bools) -> None:
        for index, has_row in zip(indices.tolist(), stored.tolist(), strict=True):
            if has_row:
                self._dirty.update(zip(self._table.identities([index]), [None], strict=True))
            self._table.drop(index)
            self._baselines.forget(index)
        if len(indices):
            self.generation += 1
            self._counts = None

    def _index(self, series: Series) -> int:
        index = self._table.find(series)
        return self._admit(series) if index is None else index

    def _admit(self, series: Series) -> int:
        index = self._table.add(series)
        if index >= len(self._born_ms):
            self._grow(2 * index)
        self._born_ms[index] = self._watermark_ms
        for judge in self._judges:
            judge.admit(index, series)
        return index

    def _grow(self, capacity: int) -> None:
        capacity = max(_SMALLEST_CAPACITY, capacity)
        self._born_ms = np.resize(self._born_ms, capacity)
        parts: tuple[_Growing, ...] = (self._baselines, self._lifecycle, *self._judges)
        for part in parts:
            part.grow(capacity)

    def _look(self, window: int, index: Indices, calls: Indices, errors: Indices) -> Picture:
        return self._baselines.look(
            window, index, calls.astype(np.float64), errors.astype(np.float64)
        )

    def _judge_and_learn(self, picture: Picture) -> list[Finding]:
        verdicts = {judge.judging: judge.judge(picture) for judge in self._judges}
        findings: list[Finding] = []
        for judge in self._judges:
            own = verdicts[judge.judging]
            attention = self._lifecycle.attention[judge.judging][picture.indices]
            findings += self._findings(judge, picture, own, own.hit | own.near | attention)
        self._rates.learn(picture, verdicts[Judging.RATE])
        packed = self._baselines.packed(picture.indices)
        self._dirty.update(
            zip(self._table.identities(picture.indices.tolist()), packed, strict=True)
        )
        return findings

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
            rows = self._baselines.rows[np.fromiter(self._table, np.int64, len(self._table))]
            rows = rows[rows["seen"] > 0]
            latest = int(rows["last"].max(initial=0))
            mature = int(self._rates.mature(rows, latest + 1).sum())
            self._counts = (len(rows) - mature, mature)
        return self._counts

    def _restore(self, rows: Mapping[bytes, bytes]) -> None:
        baselines = {key: value for key, value in rows.items() if key[:1] == BASELINE_ROW}
        if baselines:
            self._grow(len(baselines))
            indices = [self._index(from_identity(key[1:])) for key in baselines]
            self._baselines.unpack(indices, [*baselines.values()])
        for key, value in rows.items():
            if key[:1] == OPEN_ROW:
                self._restore_open(value)

    def _restore_open(self, value: bytes) -> None:
        episode = decode_episode(value)
        index = self._index(episode.series)
        judging = self._lifecycle.restore(index, episode)
        if judging is Judging.RATE and not (episode.provisional or episode.suppressed):
            self._rates.hold(index, episode.crossed_ms // self._pace.window_ms)
