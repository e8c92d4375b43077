"""Counting and detection together: what a partition emits of a spike, whatever the flushes."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.detection.anomaly import Anomaly, State
from streams.detection.watch import WatchConfig
from streams.state.partition import Partition, PartitionConfig

WINDOW_MS = 300_000
HEADER = b"\xc3\x01" + bytes(8)
CONFIG = PartitionConfig(
    app="example",
    window_ms=WINDOW_MS,
    amendment_ms=600_000,
    watch=WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=1000),
)
INTERNAL = Activity(
    "111122223333",
    "us-east-1",
    "monitoring.amazonaws.com",
    "GetMetricData",
    "Data",
    "internal",
    "111122223333",
    "monitoring.amazonaws.com",
    "",
)
PROGRESS = Activity("", "", "trailstreams.internal", "Progress", "", "none", "", "one", "")
SPIKE_CALLS = 20_000
QUIET_WINDOWS = 6


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    return raw[len(HEADER) :], decode_activity(raw[len(HEADER) :])


def open_partition(rows: dict[bytes, bytes]) -> Partition:
    return Partition(CONFIG, decode_key, rows, decode_body=decode_activity)


Part = tuple[list[bytes], np.ndarray, np.ndarray, list[int]]


def spike() -> Iterator[Part]:
    """Yield one window with far too many internal calls in two chunks, then quiet ones."""
    ids = count()
    for window in range(QUIET_WINDOWS + 1):
        for half in range(2):
            calls = SPIKE_CALLS // 2 if window == 0 else 1
            start = window * WINDOW_MS + half * WINDOW_MS // 2
            yield (
                [HEADER + encode_activity(INTERNAL)] * calls,
                np.array([next(ids) for _ in range(calls)], dtype=np.uint64),
                np.full(calls, start, dtype=np.int64),
                [start] * calls,
            )
        end = (window + 1) * WINDOW_MS
        marker = [HEADER + encode_activity(PROGRESS)]
        yield marker, np.zeros(1, dtype=np.uint64), np.array([end]), [end]


def anomalies(*, flush_every: int, restart: bool) -> list[Anomaly]:
    changelog: dict[bytes, bytes] = {}
    partition, emitted = open_partition(changelog), []
    for number, part in enumerate(spike(), 1):
        for _ in partition.fold(*part):
            pass
        if number % flush_every == 0:
            snapshot = partition.snapshot()
            emitted += snapshot.anomalies
            for key, value in snapshot.rows:
                changelog.pop(key, None)
                if value is not None:
                    changelog[key] = value
            if restart:
                partition = open_partition(changelog)
    return emitted


def definitive(emitted: list[Anomaly]) -> list[tuple[object, ...]]:
    return [
        (one.anomaly_id, one.type, one.state, one.series, one.window_start_ms, one.score)
        for one in emitted
        if not one.provisional
    ]


def test_a_spike_is_seen_in_its_open_window_confirmed_at_the_close_and_ended() -> None:
    emitted = anomalies(flush_every=1, restart=False)
    assert [(one.state, one.provisional) for one in emitted] == [
        (State.START, True),
        (State.START, False),
        (State.END, False),
    ]
    assert {one.anomaly_id for one in emitted} == {emitted[0].anomaly_id}
    assert emitted[1].observed_peak == SPIKE_CALLS / 5


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("flush_every", [1, 3, 21])
def test_flushes_and_restarts_change_no_definitive_anomaly(
    flush_every: int,
    restart: bool,
) -> None:
    plain = definitive(anomalies(flush_every=1, restart=False))
    assert plain == definitive(anomalies(flush_every=flush_every, restart=restart))


def test_evidence_is_wanted_once_the_spike_is_known() -> None:
    partition = open_partition({})
    parts = spike()
    for _ in range(2):
        for _ in partition.fold(*next(parts)):
            pass
        if not partition.evidence_wanted:
            partition.snapshot()
    assert len(partition.evidence_wanted) == 200
