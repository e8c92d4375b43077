"""Measure `source files`: gzip log files to a topic of a real Kafka, records a CPU-second.

Run `python -m benchmarks.source`. CPU seconds are those of the source's process, all threads,
librdkafka's included, from the listing of the files to the last delivery; the start of Python and
the reading of positions are left out. The shares are measured in the same run, stage by stage on
the same records, because timers around each record would be a cost of their own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Event

from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from benchmarks import trails
from benchmarks.engine.process import cpu_seconds_of
from benchmarks.results import ROOT, Result, write
from streams.broker import Broker
from streams.cloudtrail.envelopes import RawRecord, read_object
from streams.cloudtrail.gunzip import unpack
from streams.cloudtrail.record import Activity, TrailRecord
from streams.codecs import Codecs, partition_of
from streams.connectors import running
from streams.connectors.files import FilesOptions
from streams.connectors.listing import by_delivery, find
from streams.connectors.processes import usable_processors
from streams.connectors.publisher import PRODUCER
from streams.connectors.registry import SOURCES
from streams.connectors.trail_files import sift
from streams.metrics import Metrics
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

GOAL_RECORDS_A_CPU_SECOND = 15_000
GOAL_OF_TWO = 1.8
"""Times the throughput of one process that two of them reach, where two processors are free."""
ROUNDS = 3
MAX_BYTES = 1 << 28


def cpu_seconds() -> float:
    """Return the CPU time of this process so far, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def settings_for(bootstrap_servers: str, prefix: str) -> Settings:
    """Return settings with topics of their own."""
    return load_settings(
        {},
        topic_prefix=f"{prefix}.",
        kafka_bootstrap_servers=bootstrap_servers,
        kafka_replication_factor=1,
        metrics_port=0,
    )


def publish(bootstrap_servers: str, prefix: str, source_id: str, paths: Sequence[str]) -> None:
    """Be one source: say when ready, publish when told, print what it took as JSON."""
    settings = settings_for(bootstrap_servers, prefix)
    options = FilesOptions(paths=tuple(paths), complete=True)
    connector = running.prepare(
        SOURCES["files"], options, settings, source_id=source_id, advance=lambda _done, _total: None
    )
    metrics = Metrics(CollectorRegistry(), max_series=100)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, began = cpu_seconds(), time.monotonic()
    tally = running.run(connector, settings, metrics, Event(), source_id=source_id)
    spent = {"cpu": cpu_seconds() - cpu, "wall": time.monotonic() - began}
    print(json.dumps({"published": tally.published, **spent}))


def sources(
    bootstrap_servers: str, prefix: str, shares: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Run one source for each share of the files at the same time; return what they took."""
    apply(settings_for(bootstrap_servers, prefix))
    children = []
    for number, paths in enumerate(shares):
        words = ["--publish", bootstrap_servers, prefix, f"files-{number}", *paths]
        command = [sys.executable, "-m", "benchmarks.source", *words]
        children.append(
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = [json.loads(out) for out in _tell(children)]
    return {
        "published": sum(one["published"] for one in said),
        "cpu": sum(one["cpu"] for one in said),
        "wall": max(one["wall"] for one in said),
    }


def _tell(children: Sequence["subprocess.Popen[str]"]) -> list[str]:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    return [child.communicate()[0] for child in children]


def best(work: Callable[[], Iterable[object]]) -> float:
    """Return the least CPU seconds of three runs; results are dropped as they come."""
    spent = []
    for _ in range(3):
        before = cpu_seconds()
        deque(work(), maxlen=0)
        spent.append(cpu_seconds() - before)
    return min(spent)


def stages(bootstrap_servers: str, folder: Path) -> tuple[int, dict[str, float]]:
    """Return how many records there are, and each stage's CPU seconds for all of them."""
    files = find([str(folder)])
    packed = [Path(file.path).read_bytes() for file in files]
    plain = [unpack(data, MAX_BYTES).data for data in packed]
    now_ms = int(time.time() * 1000)

    def parsed() -> Iterable[TrailRecord]:
        for file, data in zip(files, plain, strict=True):
            for raw in read_object(data, file.name, max_bytes=MAX_BYTES):
                item = sift(raw, now_ms) if isinstance(raw, RawRecord) else raw
                if isinstance(item, TrailRecord):
                    yield item

    records = list(parsed())
    codecs = Codecs()
    settings = settings_for(bootstrap_servers, "stages")
    apply(settings)
    routes = {record.activity: route(codecs, settings, record.activity) for record in records}
    messages = [(*routes[record.activity], codecs.trail_record(record)) for record in records]
    spent = {
        "gunzip": best(lambda: (unpack(data, MAX_BYTES) for data in packed)),
        "JSON": best(parsed),
        "Avro": best(lambda: map(codecs.trail_record, records)),
        "produce": best(lambda: produce(settings, messages)),
    }
    return len(records), spent


def route(codecs: Codecs, settings: Settings, activity: Activity) -> tuple[bytes, int]:
    """Return key and partition, as the publisher remembers them."""
    return codecs.activity_key(activity), partition_of(activity, settings.kafka_partitions)


def produce(settings: Settings, messages: Sequence[tuple[bytes, int, bytes]]) -> Iterable[None]:
    """Publish encoded messages with the product's configuration, and wait for their delivery."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers} | PRODUCER)
    topic, failed = TopicNames.of(settings).records, []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(error)

    for number, (key, partition, value) in enumerate(messages):
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 256 == 0:
            producer.poll(0)
        yield
    producer.flush()
    assert not failed, failed[0]


def measure(trail: trails.Trail, broker: Broker, rounds: int) -> list[Result]:
    """Return a trail's figures: one process, two, and where the time goes."""
    folder = trails.make(trail)
    paths = [file.path for file in by_delivery(find([str(folder)]), lambda _: None)]
    shares = {1: [[str(folder)]], 2: [paths[::2], paths[1::2]]}
    runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for number in range(rounds):
        for processes, given in shares.items():
            prefix = f"{trail.name}-{number}-{processes}"
            before = cpu_seconds_of(broker.pid)
            took = sources(broker.bootstrap_servers, prefix, given)
            runs[processes].append(took | {"broker": cpu_seconds_of(broker.pid) - before})
    records, spent = stages(broker.bootstrap_servers, folder)
    assert all(run["published"] == records for run in runs[1] + runs[2]), "records are missing"
    case = f"{trail.name} files: {trail.description}"
    a_cpu_second = statistics.median(run["published"] / run["cpu"] for run in runs[1])
    least_cpu = min(run["cpu"] for run in runs[1])
    two = statistics.median(
        one["wall"] / both["wall"] for one, both in zip(runs[1], runs[2], strict=True)
    )
    two_cpu = statistics.median(
        one["cpu"] / both["cpu"] for one, both in zip(runs[1], runs[2], strict=True)
    )
    at_most = statistics.median(2 * run["cpu"] / (run["cpu"] + run["broker"]) for run in runs[1])
    found = [
        result(case, "records a CPU-second", a_cpu_second, "1/s", GOAL_RECORDS_A_CPU_SECOND),
        result(case, "records a CPU-second, best round", records / least_cpu, "1/s"),
        result(case, "two processes: times the throughput of one", two, "", GOAL_OF_TWO),
        result(case, "two processes beside the broker on two processors: at most", at_most, ""),
        result(case, "two processes: times the records a CPU-second of one", two_cpu, ""),
    ]
    found += [
        result(case, f"CPU a record: {name}", 1e6 * seconds / records, "us")
        for name, seconds in spent.items()
    ]
    rest = least_cpu - sum(spent.values())
    found.append(result(case, "CPU a record: files, Progress, rest", 1e6 * rest / records, "us"))
    return found


def result(
    case: str, measure: str, value: float, unit: str, at_least: float | None = None
) -> Result:
    """Return a result of this benchmark."""
    return Result(
        benchmark="source", case=case, measure=measure, value=value, unit=unit, at_least=at_least
    )


def main() -> None:
    """Measure, print, and keep the results; or be one source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publish", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if given.publish:
        bootstrap_servers, prefix, source_id, *paths = given.publish
        publish(bootstrap_servers, prefix, source_id, paths)
        return
    began = time.monotonic()
    with Broker() as broker:
        found = [
            one
            for trail in (trails.SMALL, trails.LARGE)
            for one in measure(trail, broker, given.rounds)
        ]
    for one in found:
        met = "" if one.met is None else "  met" if one.met else "  missed"
        print(f"{one.case:40} {one.measure:55} {one.value:12,.1f} {one.unit}{met}")
    write(
        "source",
        found,
        seconds=time.monotonic() - began,
        remarks=(
            "Log files on disk to a topic of 12 partitions on a broker of the same machine.",
            f"Medians of {given.rounds} rounds; one process and two take turns.",
            "Two processes publish every other file each, under source ids of their own.",
            "At most is 2 c / (c + b): c the CPU of one source, b that of the broker for it.",
            "CPU is that of the source's process, librdkafka's threads included.",
            "The shares are the least of three runs of each stage by itself on the same records.",
            "The rest is what the best round took beyond them.",
            f"{usable_processors()} processors; load average at the end {os.getloadavg()[0]:.1f}.",
            "Where the load is beyond the processors, wall time measures the neighbors too.",
        ),
    )


if __name__ == "__main__":
    main()
