"""The engine alone on a real broker: how it refuses and ends; what it survives is tests/faults."""

import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.kafka import Group, create_topics, producer, read_all, wait_until
from helpers.workers import Workers

from streams.settings import Settings

KEYS = 2_000
Truth = Counter[tuple[int, bytes]]


def create_tally_topics(settings: Settings) -> None:
    compact = {"cleanup.policy": "compact"}
    create_topics(
        settings,
        {
            f"{settings.topic_prefix}records": {},
            f"{settings.topic_prefix}tallies": compact,
            settings.changelog_topic: compact,
        },
    )


@pytest.fixture
def tally(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    create_tally_topics(settings)
    script = Path(__file__).with_name("tally_worker.py")
    with Workers(settings, tmp_path, [sys.executable, str(script)]) as workers:
        yield workers


@pytest.fixture
def group(settings: Settings) -> Group:
    return Group(settings, f"{settings.topic_prefix}records")


def publish(settings: Settings, count: int, truth: Truth) -> None:
    client = producer(settings)
    for number in range(count):
        key = b"%d" % (number * 7919 % KEYS)
        partition = number % settings.kafka_partitions
        client.produce(f"{settings.topic_prefix}records", b"x" * 60, key, partition)
        truth[partition, key] += 1
    client.flush()


def derived(settings: Settings) -> Counter[tuple[int, bytes]]:
    final: Truth = Counter()
    for message in read_all(settings, f"{settings.topic_prefix}tallies"):
        count = struct.unpack("<q", message.value())[0]
        assert count > final[message.partition(), message.key()], "a count was emitted twice"
        final[message.partition(), message.key()] = count
    return final


def test_a_lost_changelog_is_refused_with_one_line(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 4_000, truth)
    tally.start("a")
    group.wait_for_end()
    assert tally.stop("a") == 0
    _recreate(settings, settings.changelog_topic)
    worker = tally.start("b")
    assert worker.wait(60) == 1
    assert "error: " in tally.log("b")
    assert "the changelog was lost" in tally.log("b")
    assert "Traceback" not in tally.log("b")


def test_a_bug_ends_the_worker_and_loses_nothing(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 4_000, truth)
    assert tally.start("a", TALLY_BUG="1").wait(60) == 1
    assert "ZeroDivisionError: a bug" in tally.log("a")
    tally.start("b")
    group.wait_for_end()
    assert derived(settings) == truth


def _recreate(settings: Settings, topic: str) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, 30, "the deletion")
    create_topics(settings, {topic: {"cleanup.policy": "compact"}})
