"""One partition's counting and detection: fetched chunks in, what changed out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Integers, distinct
from streams.counting.dedup import Ids
from streams.counting.windows import NEVER, Windows
from streams.detection.watch import Watch, WatchConfig
from streams.packed import Strings
from streams.state.keys import BodyDecoder, KeyDecoder, Keys, Kind
from streams.state.layout import META_KEY, encode_meta
from streams.state.restore import restore
from streams.state.snapshot import SLICE, Changes, Snapshot, parts
from streams.state.sums import SeriesSums
from streams.state.window import Window

_MOST_EVIDENCE = 200
_MOST_EMPTY_WINDOWS = 8_064
"""Empty windows in a row that detection steps through while an anomaly is open: 28 days of five
minutes, after which a series is forgotten anyway."""

_FEWEST_KEYS = 20_000
"""Interned keys below this number are not worth a search for unused ones."""

_NOTHING: Integers = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionConfig:
    """What a partition's state depends on; `window_ms` may not change under a changelog."""

    app: str
    window_ms: int
    amendment_ms: int
    watch: WatchConfig


class Partition:
    """Exact event-time counts of one partition, its changelog rows, and its detection.

    All time comes from the records. Any chunking of the same records gives the same state; only
    the number of an amended row's revisions depends on when snapshots are taken.
    """

    def __init__(
        self,
        config: PartitionConfig,
        decode_key: KeyDecoder,
        rows: Mapping[bytes, bytes] | None = None,
        *,
        decode_body: BodyDecoder,
        open_watch: Callable[[WatchConfig, Mapping[bytes, bytes]], Watch] = Watch,
    ) -> None:
        """Restore from the changelog's rows, less the engine's own; raise StateError if damaged."""
        self._windows = Windows(window_ms=config.window_ms, amendment_ms=config.amendment_ms)
        self._keys = Keys(decode_key, decode_body)
        restored = restore(rows or {}, self._windows, self._keys)
        self._watermark = restored.watermark
        self._first_kept = restored.first_kept
        self._first_open = self._windows.first_open(restored.watermark.value_ms)
        self._live: dict[int, Window] = restored.windows
        self._touched: set[int] = set()
        """Windows that may hold what the next snapshot takes; most are closed and rest."""
        self._changes = Changes(self._keys)
        self._meta_changed = False
        self._release_at = _FEWEST_KEYS
        self.watch = open_watch(config.watch, restored.detection_rows)
        self.evidence_wanted: list[tuple[int, int]] = []
        """Positions in the last chunk, and series, of events that open anomalies want to see."""
        self.unreadable: list[int] = []
        """Positions in the last chunk of records whose key cannot be read."""
        self._anomalies_open = bool(self.watch.open)
        for _ in self._sum_again(self._open_windows()):
            pass

    @property
    def watermark_ms(self) -> int | None:
        """The watermark, milliseconds since the epoch; None before the first Progress record."""
        return self._watermark.value_ms

    @property
    def dirty_rows(self) -> int:
        """How many changelog rows the next snapshot will hold, about."""
        touched = self._touched & self._live.keys()
        changed = sum(self._live[number].rows.dirty_count() for number in touched)
        return changed + len(self._changes.rows)

    @property
    def live_rows(self) -> int:
        """How many window rows are held."""
        return sum(window.rows.size for window in self._live.values())

    def fold(
        self, keys: Strings, ids: Ids, times_ms: Integers, append_ms: Sequence[int] | Integers
    ) -> Iterator[None]:
        """Take one chunk of records in log order; run the iterator to its end before anything else.

        It yields between slices of at most about 50 ms. `append_ms` is read at Progress records
        only. Raises what the key decoder raises.
        """
        numbers = self._keys.lookup(keys)
        kinds = self._keys.kind[numbers]
        self.unreadable = np.flatnonzero(kinds == Kind.UNREADABLE).tolist()
        self.evidence_wanted = []
        begin = 0
        for at in np.flatnonzero(kinds == Kind.PROGRESS).tolist():
            instance_id = self._keys.instance_id(int(numbers[at]))
            watermark_ms = self._watermark.observe(
                instance_id, int(times_ms[at]), int(append_ms[at])
            )
            self._meta_changed = True
            if self._moves(watermark_ms):
                yield from self._count(begin, numbers[begin:at], ids[begin:at], times_ms[begin:at])
                yield from self._advance(watermark_ms)
                begin = at + 1
        yield from self._count(begin, numbers[begin:], ids[begin:], times_ms[begin:])
        if len(self._keys) > self._release_at:
            yield from self._release_keys()

    def snapshot(self) -> Snapshot:
        """Return what changed since the last snapshot, having looked at the open windows early."""
        for number in sorted(self._touched & self._live.keys()):
            window = self._live[number]
            if number >= self._first_open:
                self._look_early(window)
            else:
                self._amend(number, window)
            self._changes.put_blocks(window)
        self._touched.clear()
        self._anomalies_open = bool(self.watch.open)
        anomalies = self.watch.take_emitted()
        self._changes.rows.extend(self.watch.take_dirty())
        if self._meta_changed:
            self._changes.rows.append((META_KEY, self._meta()))
            self._meta_changed = False
        return self._changes.take(anomalies, self.watermark_ms)

    # Counting.

    def _count(self, begin: int, keys: Integers, ids: Ids, times_ms: Integers) -> Iterator[None]:
        for first in range(0, len(keys), SLICE):
            part = slice(first, first + SLICE)
            if first:
                yield
            self._count_slice(begin + first, keys[part], ids[part], times_ms[part])

    def _count_slice(self, begin: int, keys: Integers, ids: Ids, times_ms: Integers) -> None:
        numbers = times_ms // self._windows.window_ms
        counted = self._keys.kind[keys] == Kind.COUNTED
        kept = counted & (numbers >= self._first_kept)
        self._changes.too_late += int(np.count_nonzero(counted) - np.count_nonzero(kept))
        for number in distinct(numbers[kept]).tolist():
            at = np.flatnonzero(kept & (numbers == number))
            self._count_window(number, begin + at, keys[at], ids[at], times_ms[at])

    def _count_window(
        self, number: int, positions: Integers, keys: Integers, ids: Ids, times_ms: Integers
    ) -> None:
        window = self._live.get(number)
        if window is None:
            window = self._live[number] = Window(self._windows.start_ms(number))
        self._touched.add(number)
        folded = window.fold(keys, ids, times_ms)
        if folded.fresh is not None:
            self._changes.duplicates += int(len(keys) - np.count_nonzero(folded.fresh))
            positions, keys = positions[folded.fresh], keys[folded.fresh]
        self._changes.count_events(keys)
        if number < self._first_open:
            self._changes.late += len(keys)
            return
        self._resolve(folded.new_keys)
        if self._anomalies_open:
            self._want_evidence(positions, keys)

    def _want_evidence(self, positions: Integers, keys: Integers) -> None:
        for level in range(self._keys.series.shape[1]):
            room = _MOST_EVIDENCE - len(self.evidence_wanted)
            series = self._keys.series[keys, level].astype(np.int64)
            watched = np.flatnonzero(series >= 0)
            wanted = watched[self.watch.wants_evidence(series[watched])][:room]
            self.evidence_wanted.extend(
                zip(positions[wanted].tolist(), series[wanted].tolist(), strict=True)
            )

    # Closing and purging.

    def _moves(self, watermark_ms: int) -> bool:
        return (
            self._windows.first_open(watermark_ms) > self._first_open
            or self._windows.first_kept(watermark_ms) > self._first_kept
        )

    def _advance(self, watermark_ms: int) -> Iterator[None]:
        """Do every close, in window order, and every purge that the watermark causes."""
        first_open = self._windows.first_open(watermark_ms)
        cursor = self._first_open
        for number in sorted(self._live):
            if self._first_open <= number < first_open:
                yield from self._close_empty(cursor, number)
                yield from self._close(number, self._live[number])
                cursor = self._first_open = number + 1
        yield from self._close_empty(cursor, first_open)
        self._first_open = first_open
        self._first_kept = max(self._first_kept, self._windows.first_kept(watermark_ms))
        for number in sorted(self._live):
            if number < self._first_kept:
                yield from self._purge(number, self._live.pop(number))
        yield from self.watch.expire(watermark_ms)
        self._anomalies_open = bool(self.watch.open)
        yield from self._forget_series()

    def _forget_series(self) -> Iterator[None]:
        """Resolve again what was part of a series that detection has forgotten."""
        gone = self.watch.take_forgotten()
        if not len(gone):
            return
        self._keys.forget_series(gone)
        # Their indexes are given to other series: no sum may be left under them.
        stale = [window for window in self._open_windows() if window.sums.has_any(gone)]
        for window in stale:
            window.sums = SeriesSums()
        for window in self._open_windows():
            for slots in parts(np.arange(window.rows.size)):
                self._resolve(window.rows.key[slots].astype(np.int64))
                yield
        yield from self._sum_again(stale)

    def _open_windows(self) -> list[Window]:
        return [window for number, window in self._live.items() if number >= self._first_open]

    def _close(self, number: int, window: Window) -> Iterator[None]:
        rows = window.rows
        self._touched.add(number)
        for slots in parts(rows.dirty_slots()):
            window.sums.add(rows, slots, self._keys)
            self._changes.put_rows(window, slots)
            rows.dirty[slots] = False
            yield
        for slots in self._keys.in_order(rows.key[: rows.size], SLICE):
            self._changes.put_counts(window, slots, self._windows.end_ms(number))
            yield
        series, calls, errors = window.sums.at(slice(None))
        yield from self.watch.close(window.start_ms, series, calls, errors, self._breakdown(window))
        window.settle()

    def _close_empty(self, begin: int, end: int) -> Iterator[None]:
        """Let detection see empty windows while it has an anomaly that they may end.

        Provisional ones are left out: they depend on when snapshots were taken, and end with a
        window that has rows.
        """
        if begin == NEVER:
            return
        for number in range(begin, min(end, begin + _MOST_EMPTY_WINDOWS)):
            if all(anomaly.provisional for anomaly in self.watch.open):
                return
            yield from self.watch.close(
                self._windows.start_ms(number), _NOTHING, _NOTHING, _NOTHING, _no_breakdown
            )

    def _purge(self, number: int, window: Window) -> Iterator[None]:
        self._amend(number, window)
        for slots in parts(np.arange(window.rows.size)):
            self._changes.delete_rows(window, slots)
            yield
        self._changes.delete_blocks(window)

    def _amend(self, number: int, window: Window) -> None:
        """Write and emit, with the next revision, the rows that late events changed."""
        rows = window.rows
        dirty = rows.dirty_slots()
        if not len(dirty):
            return
        rows.dirty[dirty] = False
        rows.revision[dirty] += np.uint32(1)
        self._changes.put_rows(window, dirty)
        for order in self._keys.in_order(rows.key[dirty], SLICE):
            self._changes.put_counts(window, dirty[order], self._windows.end_ms(number))

    # Detection.

    def _look_early(self, window: Window) -> None:
        rows = window.rows
        dirty = rows.dirty_slots()
        if not len(dirty):
            return
        self._changes.put_rows(window, dirty)
        rows.dirty[dirty] = False
        changed = window.sums.add(rows, dirty, self._keys)
        series, calls, errors = window.sums.at(changed)
        self.watch.early(window.start_ms, series, calls, errors, self._breakdown(window))

    def _breakdown(self, window: Window) -> Callable[[int], Iterator[tuple[Activity, int]]]:
        def breakdown(series: int) -> Iterator[tuple[Activity, int]]:
            keys = window.rows.key[: window.rows.size]
            members = np.flatnonzero((self._keys.series[keys] == series).any(axis=1))
            # In an order of their own: slots are numbered as the events came.
            for order in self._keys.in_order(keys[members], SLICE):
                for slot in members[order].tolist():
                    yield self._keys.activity(int(keys[slot])), int(window.rows.count[slot])

        return breakdown

    def _resolve(self, keys: Integers) -> None:
        self._keys.resolve(self._keys.unresolved(keys), self.watch.resolve_all)

    def _sum_again(self, windows: list[Window]) -> Iterator[None]:
        """Sum windows by series that have no sums."""
        for window in windows:
            for slots in parts(np.arange(window.rows.size)):
                self._resolve(window.rows.key[slots].astype(np.int64))
                window.sums.add(window.rows, slots, self._keys)
                yield

    # Housekeeping.

    def _release_keys(self) -> Iterator[None]:
        """Forget the keys that no live row refers to; nothing else changes."""
        used = np.zeros(len(self._keys), dtype=np.bool_)
        for window in self._live.values():
            used[window.rows.key[: window.rows.size]] = True
        live = np.flatnonzero(used)
        if 2 * len(live) <= len(self._keys):
            self._changes.settle_events()
            new_numbers = self._keys.release(live)
            yield
            for window in self._live.values():
                window.rows.renumber(new_numbers)
                yield
        self._release_at = max(_FEWEST_KEYS, 2 * len(self._keys))

    def _meta(self) -> bytes:
        purge_line_ms = (
            None if self._first_kept == NEVER else self._windows.start_ms(self._first_kept)
        )
        return encode_meta(self._watermark.state(), purge_line_ms)


def _no_breakdown(_series: int) -> Iterator[tuple[Activity, int]]:
    return iter(())
