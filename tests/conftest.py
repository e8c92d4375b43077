"""A real Kafka for all tests, and settings that keep the tests apart on it."""

import uuid
from collections.abc import Iterator

import pytest

from streams.broker import Broker
from streams.settings import Settings, load_settings

FAST = {
    # A group of one member starts consuming at once instead of after 3 s.
    "group.initial.rebalance.delay.ms": "0",
    # A transaction that outlived its timeout is aborted at once instead of within 10 s.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # Retention looks every second: whatever it would delete wrongly is gone before a test ends.
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "1000",
}


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Yield one running broker for the whole session."""
    with Broker(config=FAST) as broker:
        yield broker


@pytest.fixture
def settings(kafka: Broker) -> Settings:
    """Return settings with names of this test's own on the shared broker."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    return load_settings(
        {},
        app_id=name,
        topic_prefix=f"{name}.",
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_partitions=4,
        kafka_replication_factor=1,
        metrics_port=0,
    )
