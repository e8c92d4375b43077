"""Closing half a million series at once: microseconds a series, and the longest pause."""

from collections.abc import Iterator

import numpy as np

from benchmarks.results import Result
from benchmarks.state.process import result, say
from benchmarks.state.traffic import (
    CHUNK_EVENTS,
    START_MS,
    WINDOW_MS,
    Clock,
    open_partition,
    progress,
    random_ids,
    raw_key,
)
from streams.state.partition import Partition

SERIES = 500_000
WINDOWS = 6
"""From the third on all baselines have left the nursery: whole rows are judged and learned."""
GOAL_US = 1.0
GOAL_MS = 50.0


def fill(partition: Partition, keys: list[bytes], window: int) -> None:
    """Count one event to three of each key in a window, flushing as a worker does."""
    rng = np.random.default_rng(window)
    start_ms = START_MS + window * WINDOW_MS
    for _ in range(1 + window % 3):
        for begin in range(0, len(keys), CHUNK_EVENTS):
            raw = keys[begin : begin + CHUNK_EVENTS]
            times_ms = np.full(len(raw), start_ms + 1)
            for _ in partition.fold(raw, random_ids(rng, len(raw)), times_ms, [0] * len(raw)):
                pass
            if begin % (20 * CHUNK_EVENTS) == 0:
                partition.snapshot()


def detection(partition: Partition, window: int) -> Iterator[None]:
    """Close one more window of all series, as detection alone sees it."""
    series = np.arange(SERIES)
    calls = np.random.default_rng(window).poisson(3, SERIES) + 1
    start_ms = START_MS + window * WINDOW_MS
    yield from partition.watch.close(start_ms, series, calls, 0 * calls, lambda _: ())


def results(name: str, clock: Clock) -> list[Result]:
    """Return what a clock says of a close."""
    return [
        result(
            "close of 500,000 series", f"{name}: CPU a series",
            clock.seconds / SERIES * 1e6, "us", at_most=GOAL_US,
        ),
        result(
            "close of 500,000 series", f"{name}: longest pause",
            clock.longest * 1e3, "ms", at_most=GOAL_MS,
        ),
    ]  # fmt: skip


def main() -> None:
    """Measure a whole close, rows and counts included, and detection's part of one."""
    keys = [raw_key(number) for number in range(SERIES)]
    partition = open_partition()
    nursery, grown, watch = Clock(), Clock(), Clock()
    for window in range(WINDOWS):
        fill(partition, keys, window)
        clock = {0: nursery, WINDOWS - 1: grown}.get(window, Clock())
        clock.run(partition.fold(*progress(START_MS + (window + 1) * WINDOW_MS)))
        partition.snapshot()
    watch.run(detection(partition, WINDOWS))
    say(
        [
            *results("whole close, new series", nursery),
            *results("whole close, learned series", grown),
            *results("detection alone, learned series", watch),
        ]
    )


if __name__ == "__main__":
    main()
