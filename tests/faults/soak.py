"""A worker's memory at a high rate with churning principals: flat, and capped in an outage.

Run `make soak` (30 minutes), or with ARGS="--minutes 5 --outage-seconds 60" and the like.
Event time runs far ahead of the clock, so that windows are closed, purged and forgotten all the
time, and series pass the 28 days after which they are dropped. Half of all principals are new in
each window. In the first half the worker is frozen for some seconds and has to catch up: the
allocators keep what that took, and one that was never behind would creep up to it for hours.

It prints a line a minute and a verdict, and exits with 1 when one of these is broken:

- over the second half of the run, the line of least squares through the resident set rises by less
  than 10 % of its mean an hour, and its maximum is less than 1.15 times its median;
- or, in a run with an outage of the broker: during the outage, and until its backlog is caught up
  with, the resident set grows by less than `outage_cap_bytes`, which follows from the settings;
- at the end, each event that was published is counted: none twice, none lost.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression, mean, median
from typing import NamedTuple

from helpers.commands import wait_for_end
from helpers.kafka import Group
from helpers.probes import metrics, wait_ready
from helpers.processes import resident_bytes
from helpers.traffic import ACTIVITY, Traffic
from helpers.workers import Workers
from sources import NOON_MS

from streams.agents.count import WAITING_CHUNKS
from streams.broker import Broker
from streams.broker.probe import free_port
from streams.cloudtrail.record import Activity
from streams.engine.consumer_thread import MAX_CHUNK_RECORDS, MAX_PARTITION_FETCH_BYTES
from streams.engine.runtime import DIRTY_CAP
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

WINDOW_SECONDS = 3600
APIS = 20
PRINCIPALS = 100
EVENTS_A_WINDOW = 4_000
FALL_BEHIND_SECONDS = 10
MOST_LAG = 100_000
"""Records the worker may be behind before publishing waits: what is published is soon deleted."""
RISE_AN_HOUR = 0.10
PEAK_TO_MEDIAN = 1.15
RECORD_BYTES = 2_000
"""A record of this traffic in memory: value, key, tuple and the objects around them."""
ROW_BYTES = 2_000
"""A dirty row on its way into a transaction: packed, in a batch, and in the request."""
BROKER = {
    "group.initial.rebalance.delay.ms": "0",
    "log.retention.bytes": str(256 << 20),
    "log.segment.bytes": str(32 << 20),
    "log.retention.check.interval.ms": "10000",
}


class Sample(NamedTuple):
    """What was seen of the worker at one moment."""

    seconds: float
    resident_bytes: int
    published: int
    lag: float
    outage: bool


def outage_cap_bytes(settings: Settings) -> int:
    """Return by how much an outage may grow a worker: what it fetched ahead, and dirty rows."""
    partitions = settings.kafka_partitions
    chunks = WAITING_CHUNKS + 1 + partitions
    fetched = chunks * MAX_CHUNK_RECORDS * RECORD_BYTES + partitions * MAX_PARTITION_FETCH_BYTES
    return fetched + partitions * DIRTY_CAP * settings.flush_rows * ROW_BYTES


def window_activities(window: int) -> list[Activity]:
    """Return the activities of a window: half of the principals are in no other window."""
    base = ACTIVITY.principal
    usual = [f"{base}-{n}" for n in range(PRINCIPALS // 2)]
    new = [f"{base}-{window}-{n}" for n in range(PRINCIPALS // 2)]
    return [
        ACTIVITY._replace(event_name=f"GetObject{api}", principal=principal)
        for principal in usual + new
        for api in range(APIS)
    ]


class Source(threading.Thread):
    """Publishes window after window until it is told to stop."""

    def __init__(self, settings: Settings, rate: int) -> None:
        super().__init__(daemon=True)
        self.traffic = Traffic(settings, keep_truth=False, **{"compression.type": "lz4"})
        self.stop = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.windows = 0
        self._rate = rate

    def run(self) -> None:
        while not self.stop.is_set():
            self.go.wait()
            started = time.monotonic()
            self._publish_window()
            self.stop.wait(started + EVENTS_A_WINDOW / self._rate - time.monotonic())
        self.traffic.progress(self._start_ms() + 4 * WINDOW_SECONDS * 1000)

    def _publish_window(self) -> None:
        chosen = window_activities(self.windows)
        start_ms = self._start_ms()
        for number in range(EVENTS_A_WINDOW):
            offset_ms = number * WINDOW_SECONDS * 1000 // EVENTS_A_WINDOW
            self.traffic.event(chosen[number % len(chosen)], start_ms + offset_ms)
        self.windows += 1
        self.traffic.progress(self._start_ms())

    def _start_ms(self) -> int:
        return NOON_MS + self.windows * WINDOW_SECONDS * 1000


def watch(
    source: Source, broker: Broker, pid: int, port: int, run: argparse.Namespace
) -> list[Sample]:
    """Sample once a second; freeze the worker in the first half, the broker in the second."""
    samples: list[Sample] = []
    started = time.monotonic()
    behind_at, outage_at = (run.minutes * 60 * part for part in (0.25, 0.55))
    minute, was_behind, frozen = 0, False, False
    while (seconds := time.monotonic() - started) < run.minutes * 60:
        if seconds >= behind_at and not was_behind:
            fall_behind(pid)
            was_behind = True
        outage = outage_at <= seconds < outage_at + run.outage_seconds
        if outage != frozen:
            (broker.pause if outage else broker.resume)()
            frozen = outage
        seen = metrics(port)
        lag = sum(seen.get("trailstreams_consumer_lag_records", {}).values())
        samples.append(Sample(seconds, resident_bytes(pid), source.traffic.published, lag, outage))
        (source.go.set if lag < MOST_LAG and not outage else source.go.clear)()
        if seconds >= minute * 60:
            minute += 1
            tell(samples, source.windows, seen)
        time.sleep(1 - (time.monotonic() - started) % 1)
    return samples


def fall_behind(pid: int) -> None:
    """Freeze the worker while the source goes on."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(FALL_BEHIND_SECONDS)
    os.kill(pid, signal.SIGCONT)


def tell(
    samples: list[Sample], windows: int, seen: dict[str, dict[tuple[str, ...], float]]
) -> None:
    """Print a line on the last minute."""
    last = [s for s in samples if s.seconds > samples[-1].seconds - 60]
    rate = (last[-1].published - last[0].published) / max(1.0, last[-1].seconds - last[0].seconds)
    series = sum(seen.get("trailstreams_series", {}).values())
    print(
        f"{samples[-1].seconds / 60:5.1f} min  {windows / 24:6.1f} d of events  {rate:7,.0f}/s  "
        f"lag {samples[-1].lag:8,.0f}  series {series:7,.0f}  "
        f"RSS {max(s.resident_bytes for s in last) / 1e6:6.1f} MB"
        + ("  outage" if samples[-1].outage else ""),
        flush=True,
    )


def verdicts(samples: list[Sample], cap_bytes: int) -> Iterator[tuple[bool, str]]:
    """Yield, for each rule, whether it holds and the figures."""
    outage = next((s.seconds for s in samples if s.outage), None)
    if outage is not None:
        before = next(s.resident_bytes for s in reversed(samples) if s.seconds < outage)
        after = max(s.resident_bytes for s in samples if s.seconds >= outage)
        grown = f"{(after - before) / 1e6:.1f} MB, cap {cap_bytes / 1e6:.0f} MB"
        yield after - before < cap_bytes, f"grew through the outage by {grown}"
        return
    half = [s for s in samples if s.seconds > samples[-1].seconds / 2]
    resident = [s.resident_bytes for s in half]
    slope, _ = linear_regression([s.seconds for s in half], resident)
    rise = slope * 3600 / mean(resident)
    yield rise < RISE_AN_HOUR, f"rises by {rise:.1%} an hour over the second half"
    peak = max(resident) / median(resident)
    yield peak < PEAK_TO_MEDIAN, f"its maximum is {peak:.2f} of its median"


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--outage-seconds", type=float, default=0.0, help="freeze the broker so long"
    )
    parser.add_argument("--rate", type=int, default=20_000, help="most events a second")
    run = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Broker(config=BROKER) as broker:
        settings = load_settings(
            {},
            kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_partitions=4,
            kafka_replication_factor=1,
            window_seconds=WINDOW_SECONDS,
            amendment_seconds=2 * WINDOW_SECONDS,
            flush_rows=5_000,
            max_series=5_000,
            metrics_port=free_port(),
        )
        apply(settings)
        source = Source(settings, run.rate)
        with Workers(settings, Path(folder)) as workers:
            worker = workers.start("soaked")
            wait_ready(settings.metrics_port)
            source.start()
            samples = watch(source, broker, worker.pid, settings.metrics_port, run)
            source.stop.set()
            source.go.set()
            source.join()
            wait_for_end(settings, 300)
            Group(settings, TopicNames.of(settings).records).wait_for_end()
            counted = sum(metrics(settings.metrics_port)["trailstreams_events_total"].values())
            assert workers.stop("soaked") == 0
        rules = [*verdicts(samples, outage_cap_bytes(settings))]
    published = source.traffic.published
    rules.append((counted == published, f"counted {counted:,.0f} of {published:,} events"))
    for holds, words in rules:
        print("ok    " if holds else "BROKEN", words)
    return 0 if all(holds for holds, _ in rules) else 1


if __name__ == "__main__":
    sys.exit(main())
