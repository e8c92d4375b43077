"""What a partition hands over at a flush, and how it is gathered."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Array, Integers, with_room
from streams.counting.counts import ActivityCount
from streams.counting.deferred import Deferred
from streams.detection.anomaly import Anomaly
from streams.detection.watch import ChangelogRow
from streams.state.keys import Keys
from streams.state.layout import IDS, WINDOW_ROW, block_key, row_prefix
from streams.state.window import Window

SLICE = 8_192
"""Rows or events worked on between two yields: 50 ms at 6 microseconds each."""

CountRow = tuple[bytes, int, ActivityCount]
"""Avro body of the activity key, window start in milliseconds, count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Increments:
    """What counters go up by once the snapshot is committed."""

    events: Mapping[Activity, int]
    """Events counted, by activity without caller and principal (both empty)."""
    duplicates: int
    late: int
    """Events that amended a closed window; they are in `events` too."""
    too_late: int
    """Events of purged windows: not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that changed since the last snapshot, to be committed as one.

    Rows and counts are in order: a later entry of the same key replaces an earlier one. They are
    made while they are read, of what was taken at the time of the snapshot.
    """

    rows: Deferred[ChangelogRow]
    counts: Deferred[CountRow]
    anomalies: list[Anomaly]
    increments: Increments
    watermark_ms: int | None


class Changes:
    """Gathers changelog rows, counts and increments between two snapshots."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.rows: Deferred[ChangelogRow] = Deferred()
        self.counts: Deferred[CountRow] = Deferred()
        self.duplicates = 0
        self.late = 0
        self.too_late = 0
        self._events: Counter[Activity] = Counter()
        self._by_outcome = np.zeros(0, dtype=np.int64)

    def count_events(self, keys: Integers) -> None:
        """Note one counted event for each of `keys`."""
        self._by_outcome = with_room(self._by_outcome, len(self._keys.outcomes))
        np.add.at(self._by_outcome, self._keys.outcome[keys], 1)

    def settle_events(self) -> None:
        """Turn the noted events into activities, before keys are numbered anew."""
        for place in np.flatnonzero(self._by_outcome).tolist():
            self._events[self._keys.outcomes[place]] += int(self._by_outcome[place])
        self._by_outcome[:] = 0

    def put_rows(self, window: Window, slots: Integers) -> None:
        """Write rows of a window to the changelog."""
        rows, prefix = window.rows, row_prefix(window.start_ms)
        for part in parts(slots):
            packed = np.empty(len(part), dtype=WINDOW_ROW)
            for name in WINDOW_ROW.names or ():
                packed[name] = getattr(rows, name)[part]
            held = self._keys.held(rows.key[part])
            self.rows.add(len(part), partial(_rows, prefix, held, packed))

    def put_counts(self, window: Window, slots: Integers, end_ms: int) -> None:
        """Emit the counts of rows of a closed window, in the order of `slots`."""
        rows = window.rows
        for part in parts(slots):
            columns = [
                column[part] for column in (rows.count, rows.revision, rows.first, rows.last)
            ]
            held = self._keys.held(rows.key[part])
            self.counts.add(len(part), partial(_counts, window.start_ms, end_ms, held, columns))

    def put_blocks(self, window: Window) -> None:
        """Write a window's changed dedup blocks to the changelog."""
        for number, ids in window.blocks.save():
            value = None if ids is None else ids.astype(IDS).tobytes()
            self.rows.append((block_key(window.start_ms, number), value))

    def delete_rows(self, window: Window, slots: Integers) -> None:
        """Delete rows of a window from the changelog."""
        prefix = row_prefix(window.start_ms)
        held = self._keys.held(window.rows.key[slots])
        self.rows.add(len(slots), lambda: zip(_names(prefix, held), repeat(None)))

    def delete_blocks(self, window: Window) -> None:
        """Delete a window's dedup blocks from the changelog."""
        for number in window.blocks.numbers():
            self.rows.append((block_key(window.start_ms, number), None))

    def take(self, anomalies: list[Anomaly], watermark_ms: int | None) -> Snapshot:
        """Return what was gathered and begin anew."""
        self.settle_events()
        snapshot = Snapshot(
            rows=self.rows,
            counts=self.counts,
            anomalies=anomalies,
            increments=Increments(
                events=self._events,
                duplicates=self.duplicates,
                late=self.late,
                too_late=self.too_late,
            ),
            watermark_ms=watermark_ms,
        )
        self.rows, self.counts, self._events = Deferred(), Deferred(), Counter()
        self.duplicates = self.late = self.too_late = 0
        return snapshot


def parts(slots: Array) -> Iterator[Integers]:
    """Yield slots in parts that are worked on between two yields."""
    for first in range(0, len(slots), SLICE):
        yield slots[first : first + SLICE]


_Held = tuple[list[bytes], list[int]]


def _names(prefix: bytes, held: _Held) -> list[bytes]:
    return [prefix + raw[size:] for raw, size in zip(*held, strict=True)]


def _rows(prefix: bytes, held: _Held, packed: Array) -> Iterable[ChangelogRow]:
    values = packed.view(f"V{WINDOW_ROW.itemsize}").tolist()
    return zip(_names(prefix, held), values, strict=True)


def _counts(start_ms: int, end_ms: int, held: _Held, columns: list[Array]) -> Iterable[CountRow]:
    count, revision, first, last = columns
    counts = map(
        ActivityCount,
        repeat(end_ms),
        count.tolist(),
        revision.tolist(),
        (first + np.int64(start_ms)).tolist(),
        (last + np.int64(start_ms)).tolist(),
    )
    return zip(_names(b"", held), repeat(start_ms), counts)
