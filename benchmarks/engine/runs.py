"""One run of one engine on one input: start, watch, stop, compare with the truth."""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.engine.engines import Engine, Place
from benchmarks.engine.inputs import PARTITIONS, START_MS, WINDOW_MS, Input
from benchmarks.engine.outputs import Cell
from benchmarks.engine.process import Pinned, cores
from streams import topics
from streams.settings import PREFIX, Settings, environment, load_settings

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 300
"""Longer than the slowest peer works before its first and only commit."""
_QUIET = {"log_level": 0}


Sample = tuple[float, float, int]
"""Wall and CPU seconds since the start, and the offsets committed by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one run gave."""

    engine: str
    input: str
    round: int
    records: int
    cpu_seconds: float
    """Of the process and its children, from its start until all input was committed."""
    wall_seconds: float
    """The same span on the clock."""
    late_records: int
    """Committed after the half of the input was: by then what warms up is warm."""
    late_cpu_seconds: float
    peak_bytes: int
    wrong_windows: int
    """Windowed keys with another count than the truth, missing and surplus ones included."""

    @property
    def per_cpu_second(self) -> float:
        """Events per CPU-second over the whole run."""
        return self.records / self.cpu_seconds

    @property
    def late_per_cpu_second(self) -> float:
        """Events per CPU-second of the last half; 0 for an engine that commits but once."""
        return self.late_records / self.late_cpu_seconds if self.late_records else 0.0


class EngineFailedError(Exception):
    """Raise when an engine ends by itself or does not come to the end."""


def run(
    engine: Engine, given: Input, bootstrap_servers: str, directory: Path, *, number: int
) -> Measured:
    """Run an engine once; raise EngineFailedError with its last lines where it fails."""
    name = f"{engine.name}-{given.name}-{number}"
    shutil.rmtree(directory / name, ignore_errors=True)
    (directory / name).mkdir(parents=True)
    place = Place(
        bootstrap_servers=bootstrap_servers,
        topic_prefix=given.topic_prefix,
        group=f"benchmark-{name}-{os.getpid()}",
        output=directory / name / "counts.pickle",
        directory=directory / name,
    )
    before = _topics(bootstrap_servers)
    if engine.ours:
        topics.apply(_settings(place))
    log = directory / f"{name}.log"
    with Pinned(engine.command(place), _environment(engine, place), log, cores()[0]) as process:
        samples = _watch(process, place, given.topic)
        peak = process.peak_bytes()
        process.stop()
    try:
        wrong = wrong_windows(given, engine.counts(place))
    finally:
        _delete(bootstrap_servers, _topics(bootstrap_servers) - before)
        shutil.rmtree(place.directory)
    wall, cpu, _ = samples[-1]
    late_records, late_cpu = _late(samples)
    return Measured(
        engine=engine.name,
        input=given.name,
        round=number,
        records=given.records,
        cpu_seconds=cpu,
        wall_seconds=wall,
        late_records=late_records,
        late_cpu_seconds=late_cpu,
        peak_bytes=peak,
        wrong_windows=wrong,
    )


def _late(samples: list[Sample]) -> tuple[int, float]:
    """Return records and CPU seconds of the last half, warmed up; 0 where one sample saw it all."""
    _, cpu_end, end = samples[-1]
    _, cpu_half, half = next(sample for sample in samples if sample[2] >= end / 2)
    return end - half, cpu_end - cpu_half


def settings(bootstrap_servers: str, topic_prefix: str, app_id: str) -> Settings:
    """Return our worker's settings: the defaults, but for names and one broker."""
    return load_settings(
        {},
        app_id=app_id,
        topic_prefix=topic_prefix,
        kafka_bootstrap_servers=bootstrap_servers,
        kafka_partitions=PARTITIONS,
        kafka_replication_factor=1,
        metrics_port=0,
    )


def create(bootstrap_servers: str, topic: topics.Topic) -> None:
    """Create a topic as our catalogue has it."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers} | _QUIET)
    new = NewTopic(
        topic.name, topic.partitions, topic.replication_factor, config=dict(topic.config)
    )
    for future in admin.create_topics([new]).values():
        future.result(30)


def wrong_windows(given: Input, cells: Iterable[Cell]) -> int:
    """Count the windowed keys that differ from the truth; Progress is not looked at."""
    found = np.zeros_like(given.truth)
    surplus = 0
    for key, window_start_ms, count in cells:
        number = given.key_numbers.get(key)
        window = (window_start_ms - START_MS) // WINDOW_MS
        if number is None:
            surplus += b"trailstreams.internal" not in key
        elif 0 <= window < given.windows:
            found[number, window] = count
        else:
            surplus += 1
    return int(np.count_nonzero(found != given.truth)) + surplus


def _watch(process: Pinned, place: Place, topic: str) -> list[Sample]:
    """Watch the group until it has committed all there is; return what was seen.

    Raise EngineFailedError where the process ends, or commits nothing for _PATIENCE_SECONDS.
    """
    consumer = Consumer(
        {"bootstrap.servers": place.bootstrap_servers, "group.id": place.group} | _QUIET
    )
    partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    end = sum(consumer.get_watermark_offsets(each, timeout=10)[1] for each in partitions)
    samples, moved_at = [(0.0, 0.0, 0)], 0.0
    try:
        while samples[-1][2] < end:
            if process.ended() or samples[-1][0] - moved_at > _PATIENCE_SECONDS:
                raise EngineFailedError(
                    f"{place.group} came to {samples[-1][2]} of {end}:\n{process.last_lines()}"
                )
            time.sleep(_POLL_SECONDS)
            committed = _committed(consumer, partitions)
            elapsed = time.monotonic() - process.started
            if committed > samples[-1][2]:
                moved_at = elapsed
            samples.append((elapsed, process.cpu_seconds(), committed))
    finally:
        consumer.close()
    return samples


def _committed(consumer: Consumer, partitions: list[TopicPartition]) -> int:
    try:
        return sum(max(0, each.offset) for each in consumer.committed(partitions, timeout=10))
    except KafkaException:
        # A young broker has no group coordinator yet.
        return 0


def _environment(engine: Engine, place: Place) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ours = environment(_settings(place)) if engine.ours else {}
    return clean | ours | dict(engine.environment)


def _settings(place: Place) -> Settings:
    return settings(place.bootstrap_servers, place.topic_prefix, place.group)


def _topics(bootstrap_servers: str) -> set[str]:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers} | _QUIET)
    return {name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")}


def _delete(bootstrap_servers: str, names: set[str]) -> None:
    """Delete what a run has made, so that the next one finds the broker as this one did."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers} | _QUIET)
    for future in admin.delete_topics(sorted(names)).values() if names else ():
        future.result(30)
    while _topics(bootstrap_servers) & names:
        time.sleep(_POLL_SECONDS)
