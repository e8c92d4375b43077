"""A slow obvious count beside Partition, over any events, chunks, flushes and restarts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.counting.counts import ActivityCount
from streams.counting.deferred import Deferred
from streams.detection.anomaly import Anomaly
from streams.detection.watch import Watch, WatchConfig
from streams.state.partition import Partition, PartitionConfig
from streams.state.snapshot import Snapshot

WINDOW_MS = 300_000
AMENDMENT_MS = 600_000
HEADERS = (b"\xc3\x01" + bytes(range(8)), b"\x00\x00\x00\x00\x07")
CONFIG = PartitionConfig(
    app="example",
    window_ms=WINDOW_MS,
    amendment_ms=AMENDMENT_MS,
    watch=WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=1000),
)


def activity(event_name: str, principal: str, **other: str) -> Activity:
    return Activity(
        account_id="111122223333",
        region="us-east-1",
        event_source="monitoring.amazonaws.com",
        event_name=event_name,
        event_category="Management",
        initiator=other.get("initiator", "direct"),
        caller_account_id="111122223333",
        principal=principal,
        error_code=other.get("error_code", ""),
    )


ACTIVITIES = (
    activity("GetMetricData", "arn:aws:iam::111122223333:user/example"),
    activity("GetMetricData", "arn:aws:iam::111122223333:role/example", initiator="internal"),
    activity("PutRule", "arn:aws:iam::111122223333:user/example", error_code="AccessDenied"),
    activity("PutRule", "arn:aws:iam::111122223333:user/example"),
    activity("PutRule", "arn:aws:iam::111122223333:user/example", initiator="correction"),
)


class Record(NamedTuple):
    """A record as the topic holds it: an event, or the Progress of an instance."""

    activity: Activity
    time_ms: int
    append_ms: int = 0
    header: int = 0

    @property
    def raw_key(self) -> bytes:
        return HEADERS[self.header] + encode_activity(self.activity)

    @property
    def dedup_id(self) -> int:
        name = f"{self.activity}{self.time_ms}".encode()
        return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")

    @property
    def is_progress(self) -> bool:
        return self.activity.event_source == "trailstreams.internal"


def progress(instance: str, up_to_ms: int, append_ms: int) -> Record:
    marker = Activity("", "", "trailstreams.internal", "Progress", "", "none", "", instance, "")
    return Record(marker, up_to_ms, append_ms)


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    header = next(header for header in HEADERS if raw.startswith(header))
    body = raw[len(header) :]
    return body, decode_activity(body)


def series_names(of: Activity) -> tuple[tuple[str, ...], ...]:
    return (of[:4], (*of[:4], of.initiator), (*of[:4], of.initiator, of.principal))


Sums = dict[tuple[str, ...], tuple[int, int]]


@dataclass
class Seen:
    """What detection was shown, by name."""

    closed: list[tuple[int, Sums]] = field(default_factory=list)
    early: list[tuple[int, Sums]] = field(default_factory=list)


class Recorder(Watch):
    """Detection that only notes what it is shown; series indexes differ at every start."""

    def __init__(self, seen: Seen, first_index: int) -> None:
        self.seen = seen
        self.names: list[tuple[str, ...]] = [()] * first_index
        self.gone: list[int] = []

    @property
    def open(self) -> Sequence[Anomaly]:
        return ()

    def resolve(self, activity: Activity) -> tuple[int, int, int]:
        for name in series_names(activity):
            if name not in self.names:
                self.names.append(name)
        event, initiator, principal = map(self.names.index, series_names(activity))
        return event, initiator, principal

    def resolve_all(self, activities: Sequence[Activity]) -> np.ndarray:
        return np.array([self.resolve(activity) for activity in activities])

    def close(
        self,
        window_start_ms: int,
        series: np.ndarray,
        calls: np.ndarray,
        errors: np.ndarray,
        breakdown: Callable[[int], Iterable[tuple[Activity, int]]],
    ) -> Iterator[None]:
        self.seen.closed.append((window_start_ms, self._named(series, calls, errors, breakdown)))
        yield

    def early(
        self,
        window_start_ms: int,
        series: np.ndarray,
        calls: np.ndarray,
        errors: np.ndarray,
        breakdown: Callable[[int], Iterable[tuple[Activity, int]]],
    ) -> None:
        self.seen.early.append((window_start_ms, self._named(series, calls, errors, breakdown)))

    def _named(
        self,
        series: np.ndarray,
        calls: np.ndarray,
        errors: np.ndarray,
        breakdown: Callable[[int], Iterable[tuple[Activity, int]]],
    ) -> Sums:
        assert len(set(series.tolist())) == len(series)
        columns = zip(series.tolist(), calls.tolist(), errors.tolist(), strict=True)
        named = {}
        for index, called, failed in columns:
            parts = list(breakdown(index))
            assert sum(count for _, count in parts) == called
            assert sum(count for part, count in parts if part.error_code) == failed
            named[self.names[index]] = (called, failed)
        return named

    def take_emitted(self) -> list[Anomaly]:
        return []

    def take_dirty(self) -> Deferred[tuple[bytes, bytes | None]]:
        return Deferred()

    def expire(self, watermark_ms: int) -> Iterator[None]:  # noqa: ARG002
        # As if every series had been forgotten and numbered anew, each time.
        self.gone += range(len(self.names))
        self.names = [(), *self.names]
        yield

    def take_forgotten(self) -> np.ndarray:
        gone, self.gone = self.gone, []
        return np.array(gone, dtype=np.int64)


@dataclass
class Row:
    count: int = 0
    revision: int = 0
    first: int = 1 << 60
    last: int = -1
    dirty: bool = False


class Oracle:
    """Counts as the design says it, one record at a time, with nothing clever."""

    def __init__(self) -> None:
        self.rows: defaultdict[int, dict[Activity, Row]] = defaultdict(dict)
        self.ids: defaultdict[int, set[int]] = defaultdict(set)
        self.log: list[Record] = []
        self.watermark: int | None = None
        self.emitted: list[tuple[Activity, int, ActivityCount]] = []
        self.closed: list[tuple[int, Sums]] = []
        self.events: Counter[Activity] = Counter()
        self.duplicates = self.late = self.too_late = 0

    def take(self, record: Record) -> None:
        if record.is_progress:
            self.log.append(record)
            self._advance()
        elif record.activity.initiator not in ("correction", "none"):
            self._count(record)

    def flush(self) -> None:
        for window in sorted(self.rows):
            if self._is_closed(window):
                self._amend(window)

    def sums(self, window: int) -> Sums:
        sums: defaultdict[tuple[str, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
        for of, row in self.rows[window].items():
            for name in series_names(of):
                calls, errors = sums[name]
                sums[name] = calls + row.count, errors + row.count * bool(of.error_code)
        return dict(sums)

    def _is_closed(self, window: int) -> bool:
        return self.watermark is not None and self.watermark >= window + WINDOW_MS

    def _is_purged(self, window: int) -> bool:
        return self.watermark is not None and self.watermark >= window + WINDOW_MS + AMENDMENT_MS

    def _count(self, record: Record) -> None:
        window = record.time_ms // WINDOW_MS * WINDOW_MS
        if self._is_purged(window):
            self.too_late += 1
            return
        if record.dedup_id in self.ids[window]:
            self.duplicates += 1
            return
        self.ids[window].add(record.dedup_id)
        row = self.rows[window].setdefault(record.activity, Row())
        row.count += 1
        row.first, row.last = min(row.first, record.time_ms), max(row.last, record.time_ms)
        row.dirty = True
        self.events[record.activity._replace(principal="", caller_account_id="")] += 1
        self.late += self._is_closed(window)

    def _advance(self) -> None:
        before = {window for window in self.rows if self._is_closed(window)}
        latest: dict[str, int] = {}
        heard: dict[str, int] = {}
        clocks = accumulate(
            min(max(later.append_ms - earlier.append_ms, 0), 60_000)
            for earlier, later in zip([self.log[0], *self.log], self.log, strict=False)
        )
        now = 0
        for record, now in zip(self.log, clocks, strict=True):
            name = record.activity.principal
            if now - heard.get(name, now) >= 300_000:
                del latest[name]
            latest[name] = max(record.time_ms, latest.get(name, record.time_ms))
            heard[name] = now
        live = [latest[name] for name in latest if now - heard[name] < 300_000]
        self.watermark = max(min(live), min(live) if self.watermark is None else self.watermark)
        for window in sorted(self.rows):
            if self._is_closed(window) and window not in before:
                self.closed.append((window, self.sums(window)))
                for of, row in self.rows[window].items():
                    row.dirty = False
                    self._emit(of, window, row)
        for window in sorted(self.rows):
            if self._is_purged(window):
                self._amend(window)
                del self.rows[window], self.ids[window]

    def _amend(self, window: int) -> None:
        for of, row in self.rows[window].items():
            if row.dirty:
                row.dirty = False
                row.revision += 1
                self._emit(of, window, row)

    def _emit(self, of: Activity, window: int, row: Row) -> None:
        count = ActivityCount(window + WINDOW_MS, row.count, row.revision, row.first, row.last)
        self.emitted.append((of, window, count))


class Run:
    """A Partition, and what it has emitted, over restarts."""

    def __init__(self) -> None:
        self.changelog: dict[bytes, bytes] = {}
        self.seen = Seen()
        self.starts = 0
        self.snapshots: list[Snapshot] = []
        self.start()

    def start(self) -> None:
        def watch(_config: WatchConfig, _rows: Mapping[bytes, bytes]) -> Watch:
            return Recorder(self.seen, self.starts)

        self.starts += 1
        self.partition = Partition(
            CONFIG, decode_key, self.changelog, decode_body=decode_activity, open_watch=watch
        )
        self.partition._release_at = 0

    def fold(self, records: Sequence[Record]) -> None:
        chunk = self.partition.fold(
            [record.raw_key for record in records],
            np.array([record.dedup_id for record in records], dtype=np.uint64),
            np.array([record.time_ms for record in records], dtype=np.int64),
            [record.append_ms for record in records],
        )
        for _ in chunk:
            pass

    def flush(self) -> Snapshot:
        snapshot = self.partition.snapshot()
        for key, value in snapshot.rows:
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        self.snapshots.append(snapshot)
        return snapshot

    @property
    def emitted(self) -> list[tuple[Activity, int, ActivityCount]]:
        return [
            (decode_activity(body), start, count)
            for snapshot in self.snapshots
            for body, start, count in snapshot.counts
        ]

    def total(self, name: str) -> int:
        return sum(getattr(snapshot.increments, name) for snapshot in self.snapshots)

    @property
    def events(self) -> Counter[Activity]:
        return sum((Counter(s.increments.events) for s in self.snapshots), Counter())


# Coarse times, so that windows' edges, equal events (duplicates) and amendments are frequent.
times = st.integers(0, 40).map(lambda step: step * 100_000 - 1 + step % 2)
events = st.builds(
    Record, st.sampled_from(ACTIVITIES), times, st.just(0), st.integers(0, len(HEADERS) - 1)
)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Events in any order among Progress of two instances on a clock that jumps and stumbles."""
    records: list[Record] = []
    now = 1_000_000
    for _ in range(draw(st.integers(1, 12))):
        records += draw(st.lists(events, max_size=8))
        now += draw(st.sampled_from((-5_000, 0, 30_000, 59_999, 100_000, 10_000_000)))
        instance = draw(st.sampled_from(("a", "a", "b")))
        records.append(progress(instance, draw(times), now))
    return records + draw(st.lists(events, max_size=8))


class Plan(NamedTuple):
    """Where to cut chunks, flush and restart: positions in the log."""

    cuts: frozenset[int]
    flushes: frozenset[int]
    restarts: frozenset[int]


positions = st.frozensets(st.integers(1, 120), max_size=12)
plans = st.builds(Plan, positions, positions, positions)


def play(log: Sequence[Record], plan: Plan) -> tuple[Run, Oracle]:
    """Feed both, and compare them at every flush."""
    run, oracle = Run(), Oracle()
    stops = sorted({*plan.cuts, *plan.flushes, *plan.restarts, len(log)})
    begin = 0
    for stop in stops:
        part = log[begin:stop]
        begin = stop
        run.fold(part)
        for record in part:
            oracle.take(record)
        if stop in plan.flushes or stop in plan.restarts or stop >= len(log):
            compare_flush(run, oracle)
        if stop in plan.restarts:
            run.start()
    return run, oracle


def compare_flush(run: Run, oracle: Oracle) -> None:
    earlier = len(oracle.emitted)
    del run.seen.early[:]
    run.flush()
    oracle.flush()
    assert sorted(oracle.emitted) == sorted(run.emitted), earlier
    assert oracle.closed == run.seen.closed
    for window, sums in run.seen.early:
        assert sums.items() <= oracle.sums(window).items()
    assert oracle.watermark == run.partition.watermark_ms
    assert oracle.events == run.events
    assert (oracle.duplicates, oracle.late, oracle.too_late) == (
        run.total("duplicates"),
        run.total("late"),
        run.total("too_late"),
    )
    held = sum(map(len, oracle.rows.values()))
    assert held == run.partition.live_rows
    assert held == sum(key[0] == 0x02 for key in run.changelog)
    assert run.partition.dirty_rows == 0


@settings(deadline=None, max_examples=60)
@given(logs(), plans)
def test_partition_counts_what_the_oracle_counts(log: list[Record], plan: Plan) -> None:
    play(log, plan)


@settings(deadline=None, max_examples=60)
@given(logs(), positions, positions)
def test_chunking_changes_nothing_not_even_the_order(
    log: list[Record], cuts: frozenset[int], flushes: frozenset[int]
) -> None:
    whole, _ = play(log, Plan(frozenset(), flushes, frozenset()))
    cut, _ = play(log, Plan(cuts, flushes, frozenset()))
    single, _ = play(log, Plan(frozenset(range(len(log))), flushes, frozenset()))
    assert whole.emitted == cut.emitted == single.emitted


@settings(deadline=None, max_examples=60)
@given(logs(), positions)
def test_a_restart_after_any_flush_changes_nothing(
    log: list[Record], stops: frozenset[int]
) -> None:
    plain, _ = play(log, Plan(frozenset(), stops, frozenset()))
    restarted, _ = play(log, Plan(frozenset(), stops, stops))
    assert plain.emitted == restarted.emitted
    assert plain.changelog == restarted.changelog


@settings(deadline=None, max_examples=60)
@given(st.lists(events, max_size=40), st.randoms(use_true_random=False))
def test_order_and_redelivery_change_no_final_count(
    delivered: list[Record], random: object
) -> None:
    """Provided that nothing is too late: here all comes before the first close."""
    shuffled = [*delivered, *delivered]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    finals = []
    for order in (delivered, shuffled):
        run, _ = play([*order, progress("a", 10_000_000, 0)], Plan(*[frozenset()] * 3))
        finals.append(run.emitted)
    assert finals[0] == finals[1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(ACTIVITIES[:4]), st.integers(0, 299_999)), min_size=1))
def test_late_events_end_in_the_counts_of_timely_ones(
    wanted: list[tuple[Activity, int]],
) -> None:
    """Amendments after the close, one flush each, add up to what would have been counted before."""
    in_window = [Record(of, time_ms) for of, time_ms in wanted]
    timely, _ = play([*in_window, progress("a", 300_000, 0)], Plan(*[frozenset()] * 3))
    late_log = [progress("a", 300_000, 0), *in_window]
    late, _ = play(late_log, Plan(frozenset(), frozenset(range(len(late_log))), frozenset()))
    assert late.seen.closed == []

    def finals(run: Run) -> dict[Activity, tuple[int, int, int]]:
        return {
            of: (count.count, count.first_event_ms, count.last_event_ms)
            for of, _, count in run.emitted
        }

    assert finals(timely) == finals(late)
    assert {count.revision for _, _, count in timely.emitted} <= {0}
    assert min((count.revision for _, _, count in late.emitted), default=1) == 1
