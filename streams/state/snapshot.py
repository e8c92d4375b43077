"""What a partition hands over at a flush, and how it is gathered."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Integers, with_room
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly
from streams.state.keys import Keys
from streams.state.layout import IDS, WINDOW_ROW, block_key, row_prefix
from streams.state.window import Window

ChangelogRow = tuple[bytes, bytes | None]
"""Key and value; None deletes."""

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

    Rows and counts are in order: a later entry of the same key replaces an earlier one.
    """

    rows: list[ChangelogRow]
    counts: list[CountRow]
    anomalies: list[Anomaly]
    increments: Increments
    watermark_ms: int | None


class Changes:
    """Gathers changelog rows, counts and increments between two snapshots."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.rows: list[ChangelogRow] = []
        self.counts: list[CountRow] = []
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
        packed = np.empty(len(slots), dtype=WINDOW_ROW)
        for name in WINDOW_ROW.names or ():
            packed[name] = getattr(rows, name)[slots]
        values = packed.view(f"V{WINDOW_ROW.itemsize}").tolist()
        names = [prefix + body for body in self._keys.bodies(rows.key[slots])]
        self.rows.extend(zip(names, values, strict=True))

    def put_counts(self, window: Window, slots: Integers, end_ms: int) -> None:
        """Emit the counts of rows of a closed window, in the order of `slots`."""
        rows = window.rows
        counts = map(
            ActivityCount,
            repeat(end_ms),
            rows.count[slots].tolist(),
            rows.revision[slots].tolist(),
            (rows.first[slots] + np.int64(window.start_ms)).tolist(),
            (rows.last[slots] + np.int64(window.start_ms)).tolist(),
        )
        bodies = self._keys.bodies(rows.key[slots])
        self.counts.extend(zip(bodies, repeat(window.start_ms), counts))

    def put_blocks(self, window: Window) -> None:
        """Write a window's changed dedup blocks to the changelog."""
        for number, ids in window.blocks.save():
            value = None if ids is None else ids.astype(IDS).tobytes()
            self.rows.append((block_key(window.start_ms, number), value))

    def delete_rows(self, window: Window, slots: Integers) -> None:
        """Delete rows of a window from the changelog."""
        prefix = row_prefix(window.start_ms)
        bodies = self._keys.bodies(window.rows.key[slots])
        self.rows.extend((prefix + body, None) for body in bodies)

    def delete_blocks(self, window: Window) -> None:
        """Delete a window's dedup blocks from the changelog."""
        self.rows.extend(
            (block_key(window.start_ms, number), None) for number in window.blocks.numbers()
        )

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
        self.rows, self.counts, self._events = [], [], Counter()
        self.duplicates = self.late = self.too_late = 0
        return snapshot
