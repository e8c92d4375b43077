"""Made-up traffic with many keys, as columns, and the partition that folds it."""

import gc
import time
from collections.abc import Iterator, Mapping
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
FLUSH_EVENTS = 50_000
CHUNK_EVENTS = 2_500

Chunk = tuple[list[bytes], Ids, Integers, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Windows of events, each closed by a Progress record except the last."""

    name: str
    keys: int
    """Distinct keys: principals times 40 event names."""
    events_a_window: int
    windows: int
    in_turn: bool
    """Whether every key is called once before any is called again; else keys come at random."""


USUAL = Traffic(name="usual", keys=4_000, events_a_window=150_000, windows=6, in_turn=False)
"""40 events a row."""
HARD = Traffic(name="hard", keys=80_000, events_a_window=80_000, windows=6, in_turn=False)
"""2,000 principals and 40 event names: nearly every event makes a row."""
LIVE = Traffic(
    name="2,000 principals", keys=80_000, events_a_window=50_000, windows=20, in_turn=True
)
"""A million live rows of 80,000 keys."""
CHURN = Traffic(
    name="25,000 principals", keys=1_000_000, events_a_window=50_000, windows=20, in_turn=True
)
"""A million live rows, each of a key of its own: nobody makes a call twice."""


def raw_key(number: int) -> bytes:
    """Return the raw record key of one principal's call of one event name: about 160 bytes."""
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


def chunks(traffic: Traffic) -> Iterator[Chunk]:
    """Yield the events in chunks, and after each window but the last its Progress."""
    rng = np.random.default_rng(7)
    order = rng.permutation(traffic.keys)
    for window in range(traffic.windows):
        start_ms = START_MS + window * WINDOW_MS
        for begin in range(0, traffic.events_a_window, CHUNK_EVENTS):
            if traffic.in_turn:
                first = window * traffic.events_a_window + begin
                picked = order[np.arange(first, first + CHUNK_EVENTS) % traffic.keys]
            else:
                picked = rng.integers(0, traffic.keys, CHUNK_EVENTS)
            # Made anew, as a consumer hands them over: no hash is cached, nothing is identical.
            raw = [raw_key(number) for number in picked.tolist()]
            times_ms = np.sort(rng.integers(0, WINDOW_MS, CHUNK_EVENTS)) + start_ms
            yield raw, random_ids(rng, CHUNK_EVENTS), times_ms, [0] * CHUNK_EVENTS
        if window + 1 < traffic.windows:
            yield progress(start_ms + WINDOW_MS)


def random_ids(rng: np.random.Generator, number: int) -> Ids:
    """Return dedup ids, all different."""
    return rng.integers(0, 1 << 63, number).astype(np.uint64)


def progress(up_to_ms: int) -> Chunk:
    """Return the Progress record that closes what ends by then."""
    no_id = np.zeros(1, dtype=np.uint64)
    return [HEADER + encode_activity(MARKER)], no_id, np.array([up_to_ms]), [up_to_ms]


def open_partition(rows: Mapping[bytes, bytes] | None = None) -> Partition:
    """Open the partition under test, with the garbage collector as a worker sets it."""
    gc.set_threshold(50_000, 20, 100)
    return Partition(CONFIG, _decode_key, rows, decode_body=decode_activity)


def _decode_key(raw: bytes) -> tuple[bytes, Activity]:
    body = raw[len(HEADER) :]
    return body, decode_activity(body)


class Clock:
    """CPU seconds of some work, and of its longest uninterrupted slice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.longest = 0.0

    def run(self, slices: Iterator[None]) -> None:
        """Exhaust an iterator under the clock."""
        done = False
        while not done:
            begin = time.process_time()
            done = next(slices, self) is self
            spent = time.process_time() - begin
            self.seconds += spent
            self.longest = max(self.longest, spent)
