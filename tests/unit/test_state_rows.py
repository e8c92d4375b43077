"""Changelog rows in words: what `trailstreams state export` makes of what a partition stores."""

from collections import Counter

import numpy as np
import pytest

from streams.cli.state_rows import Frame, count_rows, row_words
from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.counting.watermark import progress_activity
from streams.detection.watch import WatchConfig
from streams.engine.meta import FORMAT, META_KEY, Meta, encode_meta
from streams.state.partition import Partition, PartitionConfig

WINDOW_MS = 300_000
NOON_MS = 1_767_614_400_000
HEADER = b"\xc3\x01" + bytes(8)
SPIKE = 20_000
INTERNAL = Activity(
    "111122223333", "us-east-1", "monitoring.amazonaws.com", "GetMetricData", "Data", "internal",
    "111122223333", "monitoring.amazonaws.com", "",
)  # fmt: skip
USER = INTERNAL._replace(
    event_name="PutMetricAlarm", initiator="direct", principal="arn:aws:iam::111122223333:user/ex"
)


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    return raw[len(HEADER) :], decode_activity(raw[len(HEADER) :])


@pytest.fixture(scope="module")
def rows() -> dict[bytes, bytes]:
    """Return the changelog of five windows: the last has a spike, and the one after is open."""
    config = PartitionConfig(
        app="example",
        window_ms=WINDOW_MS,
        amendment_ms=2 * WINDOW_MS,
        watch=WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=100),
    )
    partition = Partition(config, decode_key, decode_body=decode_activity)
    stored = {META_KEY: encode_meta(Meta(FORMAT, 77, "id", {"window_seconds": "300"}))}
    ids = iter(range(1_000_000))

    def fold(activity: Activity, time_ms: int, number: int) -> None:
        keys = [HEADER + encode_activity(activity)] * number
        given = np.array([next(ids) for _ in keys], dtype=np.uint64)
        for _ in partition.fold(keys, given, np.full(number, time_ms), [time_ms] * number):
            pass
        for key, value in partition.snapshot().rows:
            stored.pop(key, None)
            if value is not None:
                stored[key] = value

    for window in range(5):
        start = NOON_MS + window * WINDOW_MS
        fold(USER, start + 1000, 30)
        fold(INTERNAL, start + 2000, SPIKE if window == 4 else 10)
        fold(progress_activity("files"), start + WINDOW_MS, 1)
    fold(USER, NOON_MS + 5 * WINDOW_MS + 60_000, 3)
    return stored


def test_rows_are_counted_by_kind_and_by_where_their_window_stands(
    rows: dict[bytes, bytes],
) -> None:
    """Windows 0 to 2 are purged at 12:25 with 10 minutes of amendment; 3 and 4 are kept."""
    counts = count_rows(rows, Frame.of(rows, 300))
    assert counts == {
        "open_window_rows": 1,
        "closed_window_rows": 4,
        "dedup_blocks": 3,
        "baselines": 6,
        "open_anomalies": counts["open_anomalies"],
        "engine_metas": 1,
        "partition_metas": 1,
    }
    assert counts["open_anomalies"] > 0


def test_every_row_is_told_in_words(rows: dict[bytes, bytes]) -> None:
    words = list(row_words(rows, Frame.of(rows, 300)))
    assert len(words) == len(rows)
    assert not [row for row in words if "unreadable" in row]
    assert words[:2] == [
        {
            "row": "engine_meta",
            "format": FORMAT,
            "position": 77,
            "topic_id": "id",
            "built_with": {"window_seconds": "300"},
        },
        {
            "row": "partition_meta",
            "watermark": "2026-01-05T12:25:00Z",
            "purge_line": "2026-01-05T12:15:00Z",
            "sources": [{"instance_id": "files", "up_to": "2026-01-05T12:25:00Z"}],
        },
    ]
    window_rows = {
        (row["window_start"], row["event_name"]): (row["standing"], row["count"])
        for row in words
        if row["row"] == "window_row"
    }
    assert window_rows == {
        ("2026-01-05T12:15:00Z", "PutMetricAlarm"): ("closed", 30),
        ("2026-01-05T12:15:00Z", "GetMetricData"): ("closed", 10),
        ("2026-01-05T12:20:00Z", "PutMetricAlarm"): ("closed", 30),
        ("2026-01-05T12:20:00Z", "GetMetricData"): ("closed", SPIKE),
        ("2026-01-05T12:25:00Z", "PutMetricAlarm"): ("open", 3),
    }
    blocks = Counter[object]()
    for row in words:
        if row["row"] == "dedup_block":
            blocks[row["window_start"]] += int(str(row["events"]))
    assert blocks == {
        "2026-01-05T12:15:00Z": 40,
        "2026-01-05T12:20:00Z": 30 + SPIKE,
        "2026-01-05T12:25:00Z": 3,
    }


def test_baselines_and_open_anomalies_name_their_series(rows: dict[bytes, bytes]) -> None:
    words = list(row_words(rows, Frame.of(rows, 300)))
    (baseline,) = [
        row
        for row in words
        if (row["row"], row.get("level"), row.get("event_name"))
        == ("baseline", "principal", "PutMetricAlarm")
    ]
    assert baseline["principal"] == USER.principal
    assert baseline["stage"] == "learned"
    assert (baseline["first_window"], baseline["last_window"]) == (
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:20:00Z",
    )
    assert baseline["windows_with_calls"] == 5
    assert baseline["expected_per_minute"] == pytest.approx(6, rel=0.3)
    anomalies = [row for row in words if row["row"] == "open_anomaly"]
    assert {(row["event_name"], row["window_start"]) for row in anomalies} == {
        ("GetMetricData", "2026-01-05T12:20:00Z")
    }
    assert "Threshold" in {row["type"] for row in anomalies}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (b"\x00meta", "engine_meta"),
        (b"\x01", "partition_meta"),
        (b"\x02" + bytes(8) + encode_activity(USER), "window_row"),
        (b"\x02", "window_row"),
        (b"\x03short", "dedup_block"),
        (b"\x03" + bytes(12), "dedup_block"),
        (b"\x04\xff", "baseline"),
        (b"\x05" + bytes(16), "open_anomaly"),
    ],
)
def test_a_damaged_row_is_told_as_such_beside_the_others(
    rows: dict[bytes, bytes], key: bytes, kind: str
) -> None:
    damaged = rows | {key: b"\xc1"}
    words = list(row_words(damaged, Frame.of(damaged, 300)))
    assert len(words) == len(damaged)
    (told,) = [row for row in words if "unreadable" in row]
    assert (told["row"], told["key"], told["value"]) == (kind, key.hex(), "c1")
    count_rows(damaged, Frame.of(damaged, 300))


def test_rows_of_a_type_not_known_are_shown_as_bytes() -> None:
    rows = {b"\x06x": b"y", b"\x7fx": b"y"}
    assert list(row_words(rows, Frame.of(rows, 300))) == [
        {"row": "detection", "key": "0678", "value": "79"},
        {"row": "type 0x7f", "key": "7f78", "value": "79"},
    ]
