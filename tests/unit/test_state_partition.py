"""One partition's life: what it holds, gives back, steps through and refuses."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.counting.deferred import Deferred
from streams.detection.watch import Watch, WatchConfig
from streams.errors import StateError
from streams.state.keys import UNREADABLE
from streams.state.layout import META_KEY, RowType
from streams.state.partition import Partition, PartitionConfig
from streams.state.snapshot import Snapshot

WINDOW_MS = 300_000
HEADER = b"\xc3\x01" + bytes(8)
YEAR_MS = 365 * 86_400_000
WATCH = WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=1000)


def config(amendment_ms: int = 600_000) -> PartitionConfig:
    return PartitionConfig(
        app="example", window_ms=WINDOW_MS, amendment_ms=amendment_ms, watch=WATCH
    )


def call(principal: str = "example", event_name: str = "GetMetricData") -> Activity:
    return Activity(
        "111122223333",
        "us-east-1",
        "monitoring.amazonaws.com",
        event_name,
        "Data",
        "direct",
        "111122223333",
        f"arn:aws:iam::111122223333:user/{principal}",
        "",
    )


PROGRESS = Activity("", "", "trailstreams.internal", "Progress", "", "none", "", "one", "")


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    body = raw[len(HEADER) :]
    return body, decode_activity(body)


class QuietWatch(Watch):
    """Detection with a given number of open anomalies; notes the windows it is stepped through."""

    def __init__(self, open_for: int = 0, provisional: bool = False) -> None:
        self.stepped: list[int] = []
        self.open_for = open_for
        self.provisional = provisional

    @property
    def open(self) -> Sequence[Any]:
        return [SimpleNamespace(provisional=self.provisional)] * (self.open_for > 0)

    def resolve(self, activity: Activity) -> tuple[int, int, int]:
        return (-1, 3, 4) if activity.principal.endswith("wanted") else (-1, -1, -1)

    def resolve_all(self, activities: Sequence[Activity]) -> np.ndarray:
        return np.array([self.resolve(activity) for activity in activities])

    def close(self, window_start_ms: int, *_: object) -> Iterator[None]:
        self.stepped.append(window_start_ms // WINDOW_MS)
        self.open_for -= 1
        yield

    def early(self, *_: object) -> None:
        pass

    def wants_evidence(self, series: np.ndarray) -> np.ndarray:
        wanted: np.ndarray = series == 3
        return wanted

    def take_emitted(self) -> list[Any]:
        return []

    def take_dirty(self) -> Deferred[tuple[bytes, bytes | None]]:
        return Deferred()

    def expire(self, watermark_ms: int) -> Iterator[None]:  # noqa: ARG002
        return iter(())

    def take_forgotten(self) -> np.ndarray:
        return np.zeros(0, dtype=np.int64)


def partition(
    rows: Mapping[bytes, bytes] | None = None,
    *,
    amendment_ms: int = 600_000,
    watch: QuietWatch | None = None,
    decode: Callable[[bytes], tuple[bytes, Activity]] = decode_key,
) -> Partition:
    def open_watch(_config: WatchConfig, _rows: Mapping[bytes, bytes]) -> Watch:
        return watch or QuietWatch()

    return Partition(
        config(amendment_ms), decode, rows, decode_body=decode_activity, open_watch=open_watch
    )


def fold(state: Partition, *records: tuple[Activity, int]) -> None:
    """Fold records of their own ids; id and append time are the event time."""
    times = np.array([time_ms for _, time_ms in records], dtype=np.int64)
    keys = [HEADER + encode_activity(activity) for activity, _ in records]
    for _ in state.fold(keys, times.astype(np.uint64), times, times.tolist()):
        pass


def apply(changelog: dict[bytes, bytes], snapshot: Snapshot) -> dict[bytes, bytes]:
    for key, value in snapshot.rows:
        if value is None:
            changelog.pop(key, None)
        else:
            changelog[key] = value
    return changelog


def test_churning_principals_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, ids, keys and changelog hold what the amendment horizon holds, however long it runs."""
    monkeypatch.setattr("streams.state.partition._FEWEST_KEYS", 50)
    state = partition()
    changelog: dict[bytes, bytes] = {}
    state._release_at = 50
    held = []
    for window in range(60):
        start = window * WINDOW_MS
        fold(state, *[(call(f"{window}-{n}"), start + n) for n in range(20)])
        fold(state, (PROGRESS, start))
        apply(changelog, state.snapshot())
        held.append((state.live_rows, len(state._keys) <= 4 * state.live_rows, len(changelog)))
    # The open window, the two behind it that may be amended, the new one; a block each.
    assert held[-1] == held[20] == (60, True, 60 + 3 + 1)


def test_a_snapshot_right_after_another_is_empty() -> None:
    state = partition()
    fold(state, (call(), 5), (PROGRESS, WINDOW_MS), (call(), 6))
    state.snapshot()
    assert state.dirty_rows == 0
    again = state.snapshot()
    assert (list(again.rows), list(again.counts)) == ([], [])
    assert dict(again.increments.events) == {}


def test_events_are_reported_by_activity_without_who_called() -> None:
    state = partition()
    fold(state, (call("a"), 5), (call("b"), 6), (call("a", "PutRule"), 7), (call("a"), 5))
    increments = state.snapshot().increments
    nobody = {"principal": "", "caller_account_id": ""}
    assert {
        call()._replace(**nobody): 2,
        call(event_name="PutRule")._replace(**nobody): 1,
    } == increments.events
    assert increments.duplicates == 1


def test_a_closed_row_is_written_once_and_its_close_only_emitted() -> None:
    """Whether a row is closed follows from the watermark in the meta row."""
    state = partition()
    fold(state, (call(), 5))
    state.snapshot()
    fold(state, (PROGRESS, WINDOW_MS))
    snapshot = state.snapshot()
    assert [key for key, _ in snapshot.rows] == [META_KEY]
    assert [count.revision for _, _, count in snapshot.counts] == [0]


def test_an_amendment_just_before_the_purge_is_emitted() -> None:
    state = partition()
    fold(state, (call(), 5), (PROGRESS, WINDOW_MS), (call(), 6), (PROGRESS, 10 * WINDOW_MS))
    counts = [(count.revision, count.count) for _, _, count in state.snapshot().counts]
    assert counts == [(0, 1), (1, 2)]
    assert state.live_rows == 0


def test_empty_windows_are_stepped_through_while_an_anomaly_is_open() -> None:
    watch = QuietWatch()
    state = partition(watch=watch)
    fold(state, (call(), 5), (PROGRESS, WINDOW_MS))
    watch.open_for = 3
    fold(state, (call(), 5 * WINDOW_MS), (PROGRESS, 6 * WINDOW_MS))
    assert watch.stepped == [0, 1, 2, 3, 5]


def test_years_of_empty_windows_are_jumped() -> None:
    watch = QuietWatch()
    state = partition(watch=watch)
    fold(state, (PROGRESS, 0), (call(), 5), (PROGRESS, 50 * YEAR_MS))
    watch.open_for = 10**9
    fold(state, (PROGRESS, 100 * YEAR_MS))
    assert len(watch.stepped) == 1 + 8_064


def test_a_provisional_anomaly_does_not_step_empty_windows() -> None:
    """It depends on when flushes came; definitive detection must not."""
    watch = QuietWatch(open_for=10**9, provisional=True)
    state = partition(watch=watch)
    fold(state, (PROGRESS, 0), (call(), 50 * WINDOW_MS), (PROGRESS, 60 * WINDOW_MS))
    assert watch.stepped == [50]


def test_evidence_is_wanted_of_new_events_in_open_windows_only() -> None:
    watch = QuietWatch(open_for=10**9)
    state = partition(watch=watch)
    fold(
        state,
        (PROGRESS, WINDOW_MS),
        (call("other"), WINDOW_MS + 1),
        (call("wanted"), WINDOW_MS + 2),
        (call("wanted"), WINDOW_MS + 2),
        (call("wanted"), 3),
        (call("wanted"), WINDOW_MS + 4),
    )
    assert state.evidence_wanted == [(2, 3), (5, 3)]
    fold(state, *[(call("wanted"), WINDOW_MS + 10 + n) for n in range(500)])
    assert len(state.evidence_wanted) == 200


def test_rows_below_the_purge_line_are_dropped_at_restore_and_never_come_back() -> None:
    state = partition()
    fold(state, (call(), 5), (PROGRESS, WINDOW_MS))
    old_rows = apply({}, state.snapshot())
    fold(state, (PROGRESS, 10 * WINDOW_MS))
    changelog = old_rows | apply({}, state.snapshot())
    restored = partition(changelog)
    assert restored.live_rows == 0
    fold(restored, (call(), 7))
    assert restored.snapshot().increments.too_late == 1
    assert restored.live_rows == 0


def test_a_longer_amendment_horizon_does_not_move_the_purge_line_back() -> None:
    state = partition()
    fold(state, (PROGRESS, 10 * WINDOW_MS))
    restored = partition(apply({}, state.snapshot()), amendment_ms=YEAR_MS)
    fold(restored, (call(), 6 * WINDOW_MS), (call(), 8 * WINDOW_MS))
    assert (restored.snapshot().increments.too_late, restored.live_rows) == (1, 1)


def test_a_shorter_amendment_horizon_purges_at_the_next_progress() -> None:
    state = partition()
    fold(state, (call(), 5), (PROGRESS, 2 * WINDOW_MS))
    changelog = apply({}, state.snapshot())
    restored = partition(changelog, amendment_ms=0)
    assert restored.live_rows == 1
    fold(restored, (PROGRESS, 2 * WINDOW_MS))
    assert list(apply(changelog, restored.snapshot())) == [META_KEY]


def test_records_whose_key_cannot_be_read_are_named_and_not_counted() -> None:
    def decode(raw: bytes) -> tuple[bytes, Activity]:
        return decode_key(raw) if raw.startswith(HEADER) else (b"", UNREADABLE)

    state = partition(decode=decode)
    good = HEADER + encode_activity(call())
    times = np.arange(4)
    for _ in range(2):
        keys = [good, None, b"x" * 1000, good]
        for _ in state.fold(keys, times.astype(np.uint64), times, [0] * 4):
            pass
        assert state.unreadable == [1, 2]
        times = times + 4
    fold(state, (call(), 8))
    assert state.unreadable == []
    assert sum(state.snapshot().increments.events.values()) == 5


def test_a_record_of_another_partition_stops_the_fold() -> None:
    def refuse(_raw: bytes) -> tuple[bytes, Activity]:
        raise StateError("PutRule belongs to partition 3")

    with pytest.raises(StateError, match="partition 3"):
        fold(partition(decode=refuse), (call(), 5))


@pytest.mark.parametrize("kind", [RowType.META, RowType.WINDOW_ROW, RowType.DEDUP_BLOCK])
def test_damaged_rows_are_refused_in_one_line(kind: RowType) -> None:
    state = partition()
    fold(state, (call(), 5), (PROGRESS, 0))
    changelog = apply({}, state.snapshot())
    key = next(key for key in changelog if key[0] == kind)
    changelog[key] = changelog[key][:-1]
    with pytest.raises(StateError):
        partition(changelog)


def test_large_closes_are_done_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.state.partition.SLICE", 10)
    monkeypatch.setattr("streams.state.snapshot.SLICE", 10)
    state = partition()
    fold(state, *[(call(str(n)), n) for n in range(95)])
    times = np.array([WINDOW_MS], dtype=np.int64)
    marker = [HEADER + encode_activity(PROGRESS)]
    slices = sum(1 for _ in state.fold(marker, times.astype(np.uint64), times, [0]))
    assert slices >= 2 * 95 / 10
    snapshot = state.snapshot()
    assert len(snapshot.counts) == 95
    assert len({body for body, _, _ in snapshot.counts}) == 95
