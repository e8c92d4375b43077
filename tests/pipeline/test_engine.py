"""The engine alone on a real broker: every key's count is exact, whatever happens to workers."""

import signal
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.kafka import Group, create_topics, producer, read_all, wait_until
from helpers.workers import Workers

from streams.broker import Broker
from streams.settings import Settings, load_settings

KEYS = 2_000
FAST = {
    "group.initial.rebalance.delay.ms": "0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}
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


def tally_workers(settings: Settings, directory: Path) -> Workers:
    script = Path(__file__).with_name("tally_worker.py")
    fast = settings.model_copy(update={"kafka_session_timeout_seconds": 6, "flush_seconds": 0.3})
    return Workers(fast, directory, [sys.executable, str(script)], {"TALLY_DELAY": "0.03"})


@pytest.fixture
def tally(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    create_tally_topics(settings)
    with tally_workers(settings, tmp_path) as workers:
        yield workers


@pytest.fixture
def group(settings: Settings) -> Group:
    return Group(settings, f"{settings.topic_prefix}records")


def publish(settings: Settings, count: int, truth: Truth, **config: object) -> None:
    client = producer(settings, **config)
    if config:
        client.init_transactions()
        client.begin_transaction()
    for number in range(count):
        key = b"%d" % (number * 7919 % KEYS)
        partition = number % settings.kafka_partitions
        client.produce(f"{settings.topic_prefix}records", b"x" * 60, key, partition)
        truth[partition, key] += 1
        if config and number % 500 == 499:
            client.commit_transaction()
            client.begin_transaction()
    if config:
        client.commit_transaction()
    client.flush()


def derived(settings: Settings) -> Counter[tuple[int, bytes]]:
    final: Truth = Counter()
    for message in read_all(settings, f"{settings.topic_prefix}tallies"):
        count = struct.unpack("<q", message.value())[0]
        assert count > final[message.partition(), message.key()], "a count was emitted twice"
        final[message.partition(), message.key()] = count
    return final


def changelog(settings: Settings) -> Counter[tuple[int, bytes]]:
    final: Truth = Counter()
    for message in read_all(settings, settings.changelog_topic):
        if message.key()[0] == 2:
            final[message.partition(), message.key()[1:]] = struct.unpack("<q", message.value())[0]
    return final


def test_counts_are_exact_through_three_crashes(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 120_000, truth)
    tally.start("a")
    for share in (0.2, 0.4, 0.6):
        group.wait_for(int(120_000 * share))
        tally.kill("a")
        tally.start("a")
    group.wait_for_end()
    assert tally.stop("a") == 0
    assert derived(settings) == truth
    assert changelog(settings) == truth


def test_counts_are_exact_from_one_worker_to_three_and_back(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 160_000, truth)
    tally.start("a")
    group.wait_for(30_000)
    for name in "bc":
        tally.start(name)
        wait_until(lambda name=name: "READY 1" in tally.log(name), 60, f"worker {name}")  # type: ignore[misc]
    publish(settings, 40_000, truth)
    assert tally.stop("a") == 0
    assert tally.stop("b") == 0
    group.wait_for_end()
    assert derived(settings) == truth
    assert changelog(settings) == truth


def test_a_frozen_worker_that_comes_back_spoils_nothing(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 120_000, truth)
    tally.start("a")
    group.wait_for(20_000)
    tally.signal("a", signal.SIGSTOP)
    tally.start("b")
    group.wait_for(70_000)
    tally.signal("a", signal.SIGCONT)
    publish(settings, 20_000, truth)
    group.wait_for_end()
    assert derived(settings) == truth
    assert changelog(settings) == truth


def test_a_killed_broker_costs_time_but_no_count(tmp_path: Path) -> None:
    with Broker(config=FAST) as own:
        settings = load_settings(
            {},
            app_id="killed",
            kafka_bootstrap_servers=own.bootstrap_servers,
            kafka_partitions=4,
            kafka_replication_factor=1,
            metrics_port=0,
        )
        topic = f"{settings.topic_prefix}records"
        create_tally_topics(settings)
        truth: Truth = Counter()
        publish(settings, 80_000, truth)
        group = Group(settings, topic)
        with tally_workers(settings, tmp_path) as workers:
            workers.start("a")
            for position in (15_000, 40_000):
                group.wait_for(position)
                own.kill()
                own.start()
            group.wait_for_end()
            assert workers.stop("a") == 0
        assert derived(settings) == truth
        assert changelog(settings) == truth


def test_offsets_without_records_are_no_hole(
    settings: Settings, tally: Workers, group: Group
) -> None:
    truth: Truth = Counter()
    publish(settings, 20_000, truth, **{"transactional.id": settings.app_id + "-source"})
    tally.start("a")
    group.wait_for_end()
    assert derived(settings) == truth


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
