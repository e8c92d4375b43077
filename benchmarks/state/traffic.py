"""Made-up traffic with many keys, as columns, and a partition to fold it into."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.counting.columns import Integers
from streams.counting.dedup import Ids
from streams.detection.watch import WatchConfig
from streams.state.partition import Partition, PartitionConfig

WINDOW_MS = 300_000
START_MS = 1_700_000_100_000
HEADER = b"\xc3\x01" + bytes(8)
MARKER = Activity("", "", "trailstreams.internal", "Progress", "", "none", "", "example", "")
CONFIG = PartitionConfig(
    app="example",
    window_ms=WINDOW_MS,
    amendment_ms=6 * 3_600_000,
    watch=WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=4_000_000),
)
EVENT_NAMES = 40

Chunk = tuple[list[bytes], Ids, Integers, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Windows of events, each window closed by a Progress record but for the last."""

    name: str
    keys: int
    """Distinct keys: principals times 40 event names."""
    events_a_window: int
    windows: int
    distinct: bool = False
    """Whether no key comes twice, as long as there are keys."""


def raw_key(number: int) -> bytes:
    """Return the raw record key of a principal's call: 165 bytes, as they are in production."""
    principal, name = divmod(number, EVENT_NAMES)
    return HEADER + encode_activity(
        Activity(
            "111122223333",
            "us-east-1",
            "monitoring.amazonaws.com",
            f"ExampleCall{name}",
            "Management",
            "direct",
            "111122223333",
            f"arn:aws:iam::111122223333:role/example-application-{principal}",
            "",
        )
    )


def chunks(traffic: Traffic, size: int = 2_500) -> Iterator[Chunk]:
    """Yield the events in chunks, and between windows the Progress that closes them."""
    rng = np.random.default_rng(7)
    order = rng.permutation(traffic.keys) if traffic.distinct else None
    for window in range(traffic.windows):
        start_ms = START_MS + window * WINDOW_MS
        for begin in range(0, traffic.events_a_window, size):
            first = window * traffic.events_a_window + begin
            picked = (
                rng.integers(0, traffic.keys, size)
                if order is None
                else order[np.arange(first, first + size) % traffic.keys]
            )
            # Made anew, as a consumer hands them over: no hash is cached, nothing is identical.
            raw = [raw_key(number) for number in picked.tolist()]
            ids = rng.integers(0, 1 << 63, size).astype(np.uint64)
            times_ms = np.sort(rng.integers(0, WINDOW_MS, size)) + start_ms
            yield raw, ids, times_ms, [0] * size
        if window + 1 < traffic.windows:
            yield progress(start_ms + WINDOW_MS)


def progress(up_to_ms: int) -> Chunk:
    """Return the Progress record that closes what ends by then."""
    no_id = np.zeros(1, dtype=np.uint64)
    return [HEADER + encode_activity(MARKER)], no_id, np.array([up_to_ms]), [up_to_ms]


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    """Split and decode a raw key."""
    body = raw[len(HEADER) :]
    return body, decode_activity(body)


def open_partition(rows: Mapping[bytes, bytes] | None = None) -> Partition:
    """Open the partition under test."""
    return Partition(CONFIG, decode_key, rows, decode_body=decode_activity)


def activities(numbers: Sequence[int]) -> list[Activity]:
    """Return what these keys stand for."""
    return [decode_activity(raw_key(number)[len(HEADER) :]) for number in numbers]
