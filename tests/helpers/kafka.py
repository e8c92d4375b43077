"""Looking at Kafka from outside, with a client the product does not use for it."""

import time
from collections.abc import Callable, Iterator, Mapping

import stamina
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from streams.settings import Settings

QUIET = {"log_level": 0}


def create_topics(settings: Settings, names: Mapping[str, dict[str, str]]) -> None:
    """Create topics with the settings' partition count."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers} | QUIET)
    topics = [NewTopic(n, settings.kafka_partitions, 1, config=c) for n, c in names.items()]
    for future in admin.create_topics(topics).values():
        future.result(30)


def producer(settings: Settings, **config: object) -> Producer:
    """Return a producer with large buffers."""
    return Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "queue.buffering.max.messages": 2_000_000,
            "linger.ms": 20,
            **QUIET,
            **config,
        }
    )


def read_all(settings: Settings, topic: str) -> Iterator[Message]:
    """Yield every committed record of a topic, from the start to the end as it is now."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": "tests-read-all",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **QUIET,
        }
    )
    partitions = len(consumer.list_topics(topic, 10).topics[topic].partitions)
    wait_until(lambda: not open_transactions(settings, topic), 30, f"{topic}: open transactions")
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    try:
        while partitions:
            message = consumer.poll(20)
            assert message is not None, f"{topic}: no answer"
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                partitions -= 1
    finally:
        consumer.close()


def open_transactions(settings: Settings, topic: str) -> set[int]:
    """Return the partitions whose log goes on after the last stable offset.

    A committed transaction is among them until the broker has written its markers, which it does
    after it has answered the producer.
    """
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers} | QUIET)
    tps = [TopicPartition(topic, p) for p in range(settings.kafka_partitions)]
    stable, last = (
        {
            tp.partition: future.result(10).offset
            for tp, future in admin.list_offsets(
                {tp: OffsetSpec.latest() for tp in tps}, isolation_level=level
            ).items()
        }
        for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    )
    return {partition for partition, offset in last.items() if stable[partition] < offset}


class Group:
    """What a consumer group has committed."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._partitions = [TopicPartition(topic, p) for p in range(settings.kafka_partitions)]
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap_servers,
                "group.id": settings.app_id,
                # A dead leader is to be forgotten at once, not after five minutes.
                "topic.metadata.refresh.interval.ms": 1_000,
                **QUIET,
            }
        )

    def committed(self) -> dict[int, int]:
        """Return the committed offset per partition; 0 where there is none."""
        tps = self._committed()
        return {tp.partition: max(0, tp.offset) for tp in tps}

    # A young broker has no group coordinator yet; one whose broker restarts has none for a moment.
    @stamina.retry(on=KafkaException, attempts=None, timeout=60)
    def _committed(self) -> list[TopicPartition]:
        return self._consumer.committed(self._partitions, timeout=5)

    def lag(self) -> int:
        """Return how many offsets stand between the group and the end of the log."""
        committed = self.committed()
        return sum(end - committed[partition] for partition, end in self.ends().items())

    @stamina.retry(on=KafkaException, attempts=None, timeout=60)
    def ends(self) -> dict[int, int]:
        """Return the end of each partition's log, as a `read_committed` reader sees it."""
        return {
            tp.partition: self._consumer.get_watermark_offsets(tp, timeout=5)[1]
            for tp in self._partitions
        }

    def wait_for(self, offsets: int, seconds: float = 60) -> None:
        """Return when the group has committed at least so many offsets in all."""
        wait_until(lambda: sum(self.committed().values()) >= offsets, seconds, "the group's commit")

    def wait_for_end(self, seconds: float = 120) -> None:
        """Return when the group has no lag."""
        wait_until(lambda: self.lag() == 0, seconds, "the end of the log")


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
