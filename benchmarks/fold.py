"""Measure one partition's fold: microseconds an event, bytes a row, rows restored a second.

Run `python benchmarks/fold.py`; it prints a table. Times are CPU seconds of this process.
"""

import argparse
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streams.cloudtrail.record import Activity
from streams.codecs import decode_activity, encode_activity
from streams.counting.columns import Integers
from streams.counting.dedup import Ids
from streams.detection.watch import WatchConfig
from streams.state.partition import Partition, PartitionConfig

if TYPE_CHECKING:
    from streams.state.snapshot import Snapshot

WINDOW_MS = 300_000
START_MS = 1_700_000_100_000
HEADER = b"\xc3\x01" + bytes(8)
MARKER = Activity("", "", "trailstreams.internal", "Progress", "", "none", "", "example", "")
CONFIG = PartitionConfig(
    app="example",
    window_ms=WINDOW_MS,
    amendment_ms=6 * 3_600_000,
    watch=WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=1_000_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Traffic of one benchmark."""

    name: str
    principals: int
    event_names: int
    events_a_window: int
    windows: int


def activities(case: Case) -> list[Activity]:
    """Return every combination of the case's principals and event names."""
    return [
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
        for principal in range(case.principals)
        for name in range(case.event_names)
    ]


Chunk = tuple[list[bytes], Ids, Integers, list[int]]


def chunks(case: Case, size: int) -> Iterator[Chunk]:
    """Yield each window's events in chunks, then the Progress that closes it."""
    rng = np.random.default_rng(7)
    keys = [HEADER + encode_activity(activity) for activity in activities(case)]
    for window in range(case.windows):
        start_ms = START_MS + window * WINDOW_MS
        for _ in range(0, case.events_a_window, size):
            # Copies, as a consumer hands them over: no hash is cached, nothing is identical.
            raw = [bytes(bytearray(keys[at])) for at in rng.integers(0, len(keys), size)]
            ids = rng.integers(0, 1 << 63, size).astype(np.uint64)
            times = np.sort(rng.integers(0, WINDOW_MS, size)) + start_ms
            yield raw, ids, times, [0] * size
        marker = HEADER + encode_activity(MARKER)
        no_id = np.zeros(1, dtype=np.uint64)
        yield [marker], no_id, np.array([start_ms + WINDOW_MS]), [start_ms + WINDOW_MS]


def decode_key(raw: bytes) -> tuple[bytes, Activity]:
    """Split and decode a raw key."""
    body = raw[len(HEADER) :]
    return body, decode_activity(body)


def open_partition(rows: Mapping[bytes, bytes]) -> Partition:
    """Open the partition under test."""
    return Partition(CONFIG, decode_key, rows, decode_body=decode_activity)


def resident_bytes() -> int:
    """Return the largest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Clock:
    """CPU seconds by part of the work, and the longest uninterrupted slice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.longest = 0.0

    def run(self, part: str, slices: Iterator[None]) -> None:
        """Exhaust an iterator under the clock."""
        while True:
            begin = time.process_time()
            done = next(slices, self) is self
            spent = time.process_time() - begin
            self.seconds[part] = self.seconds.get(part, 0.0) + spent
            self.longest = max(self.longest, spent)
            if done:
                return


def measure(case: Case, size: int, flush_events: int) -> dict[bytes, bytes]:
    """Fold the case, flush as a worker would, print a line, return the changelog."""
    clock, events, since, emitted = Clock(), 0, 0, 0
    changelog: dict[bytes, bytes] = {}
    partition = open_partition({})
    taken: list[Snapshot] = []

    def flush() -> Iterator[None]:
        taken.append(partition.snapshot())
        yield

    for chunk in chunks(case, size):
        clock.run("close" if len(chunk[0]) == 1 else "fold", partition.fold(*chunk))
        events += len(chunk[0])
        since += len(chunk[0])
        if since >= flush_events or len(chunk[0]) == 1:
            since = 0
            clock.run("snapshot", flush())
            snapshot = taken.pop()
            emitted += len(snapshot.counts)
            for key, value in snapshot.rows:
                if value is None:
                    changelog.pop(key, None)
                else:
                    changelog[key] = value
    total = sum(clock.seconds.values())
    parts = "  ".join(f"{part} {s / events * 1e6:5.2f}" for part, s in clock.seconds.items())
    print(
        f"{case.name:8} {events:9,d} events  {partition.live_rows:9,d} rows  "
        f"{events / max(emitted, 1):5.1f} events/row  {total / events * 1e6:5.2f} us/event "
        f"({parts})  longest slice {clock.longest * 1e3:4.0f} ms"
    )
    return changelog


def measure_restore(changelog: Mapping[bytes, bytes]) -> None:
    """Restore, and print rows a second and bytes a row."""
    before, begin = resident_bytes(), time.process_time()
    partition = open_partition(changelog)
    seconds = time.process_time() - begin
    grown = resident_bytes() - before
    print(
        f"restore  {len(changelog):9,d} changelog rows  {len(changelog) / seconds:11,.0f} rows/s  "
        f"{grown / max(partition.live_rows, 1):5.0f} B/live row (keys and detection included)"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunk", type=int, default=2_500, help="events a fetched chunk")
    parser.add_argument("--flush", type=int, default=50_000, help="events a flush")
    arguments = parser.parse_args()
    usual = Case(name="usual", principals=100, event_names=40, events_a_window=150_000, windows=6)
    hard = Case(name="hard", principals=2000, event_names=40, events_a_window=80_000, windows=6)
    for case in (usual, hard):
        measure_restore(measure(case, arguments.chunk, arguments.flush))


if __name__ == "__main__":
    main()
