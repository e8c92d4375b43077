"""What cannot be gone on with under a running worker: one line, and its remedy gives exact counts.

What a worker finds at its start is in tests/pipeline/test_state_command.py.
"""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from helpers.commands import run, wait_for_end
from helpers.kafka import wait_until
from helpers.traffic import Traffic, activities, difference, final_counts
from helpers.workers import Workers
from sources import MINUTE_MS, NOON_MS

from streams.broker import Broker
from streams.connectors.state_log import places
from streams.settings import Settings, load_settings
from streams.topics import TopicNames, apply

HOUR_MS = 60 * MINUTE_MS
EVENTS = 2_000


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """Return settings of a deployment whose topics are there and whose workers flush often."""
    ours = settings.model_copy(update={"flush_seconds": 0.2, "kafka_session_timeout_seconds": 6})
    apply(ours)
    return ours


@pytest.fixture
def workers(ours: Settings, tmp_path: Path) -> Iterator[Workers]:
    with Workers(ours, tmp_path) as workers:
        yield workers


def publish_hours(traffic: Traffic, settings: Settings, *hours: int) -> None:
    """Publish half an hour of events in each of these hours after noon, and close its windows."""
    for hour in hours:
        traffic.events(activities(settings, 10), EVENTS, NOON_MS + hour * HOUR_MS)
        traffic.progress(NOON_MS + (hour + 1) * HOUR_MS)


def ended_with(workers: Workers, name: str) -> str:
    """Wait for a worker to end by itself; return the one line it leaves."""
    assert workers.running[name].wait(60) == 1, workers.log(name)
    assert "Traceback" not in workers.log(name)
    (line,) = [line for line in workers.log(name).splitlines() if line.startswith("error: ")]
    return line


def go_on(settings: Settings, workers: Workers, name: str) -> None:
    """Start a worker, let it count all there is, stop it."""
    workers.start(name)
    wait_for_end(settings)
    assert workers.stop(name) == 0


def recreate(settings: Settings, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, 30, "the deletion")
    apply(settings)


def delete_all_records(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    records = TopicNames.of(settings).records
    ends = [TopicPartition(records, p, at.source.end) for p, at in places(settings).items()]
    for future in admin.delete_records(ends).values():
        future.result(30)


def test_records_deleted_before_a_running_worker_read_them(
    ours: Settings, workers: Workers
) -> None:
    traffic = Traffic(ours)
    workers.start("a")
    publish_hours(traffic, ours, 0)
    wait_for_end(ours)
    workers.signal("a", signal.SIGSTOP)
    lost = Traffic(ours, seed=2)
    publish_hours(lost, ours, 2)
    delete_all_records(ours)
    workers.signal("a", signal.SIGCONT)
    line = ended_with(workers, "a")
    assert "records were deleted before they were counted" in line
    assert "trailstreams state" in line
    run(ours, "state", "seek", "--to", "earliest", "--yes")
    publish_hours(traffic, ours, 4)
    go_on(ours, workers, "b")
    counted = final_counts(ours)
    # An answer to the fetch that was under way may have been in the worker's socket.
    in_time = counted.keys() & lost.truth.keys()
    assert all(counted[key] <= lost.truth[key] for key in in_time)
    assert difference(counted, traffic.truth) == dict.fromkeys(in_time, ANY)


def test_the_records_topic_deleted_and_made_again_under_a_running_worker(
    ours: Settings, workers: Workers
) -> None:
    traffic = Traffic(ours)
    workers.start("a")
    publish_hours(traffic, ours, 0)
    wait_for_end(ours)
    recreate(ours, TopicNames.of(ours).records)
    # More than there was: the old positions lie within the new log.
    publish_hours(traffic, ours, 2, 4)
    line = ended_with(workers, "a")
    assert "deleted and made again" in line
    assert "trailstreams state" in line
    run(ours, "state", "seek", "--to", "earliest", "--yes")
    go_on(ours, workers, "b")
    assert difference(final_counts(ours), traffic.truth) == {}


def test_the_changelog_deleted_and_made_again_under_a_running_worker(
    ours: Settings, workers: Workers
) -> None:
    traffic = Traffic(ours)
    workers.start("a")
    publish_hours(traffic, ours, 0)
    wait_for_end(ours)
    recreate(ours, ours.changelog_topic)
    publish_hours(traffic, ours, 2)
    line = ended_with(workers, "a")
    assert "the changelog was lost" in line
    assert "trailstreams state" in line
    run(ours, "state", "reset", "--to", "earliest", "--yes")
    go_on(ours, workers, "b")
    assert difference(final_counts(ours, anew=True), traffic.truth) == {}


def test_a_full_disk_stops_the_broker_and_spoils_no_count(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka", config={"group.initial.rebalance.delay.ms": "0"}) as broker:
        ours = load_settings(
            {},
            kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_partitions=4,
            kafka_replication_factor=1,
            metrics_port=0,
            flush_seconds=0.2,
        )
        apply(ours)
        traffic = Traffic(ours)
        publish_hours(traffic, ours, 0)
        with Workers(ours, tmp_path) as workers:
            workers.start("a")
            wait_for_end(ours)
            workers.signal("a", signal.SIGSTOP)
            publish_hours(traffic, ours, 1, 2)
            # What was published can be read; the next write to the state fails as on a full disk.
            _forbid_growth(broker, tmp_path / "kafka/data" / f"{ours.changelog_topic}-0")
            workers.signal("a", signal.SIGCONT)
            broker.wait()
            broker.stop()
            broker.start()
            publish_hours(traffic, ours, 3)
            wait_for_end(ours)
            assert workers.stop("a") == 0
        assert difference(final_counts(ours), traffic.truth) == {}


def _forbid_growth(broker: Broker, partition: Path) -> None:
    """Let no file of the broker grow past the size that this partition's log has now."""
    size = max(file.stat().st_size for file in partition.glob("*.log"))
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (size, size))
