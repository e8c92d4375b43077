"""Read a topic from outside any consumer group: for eyes, for positions, for tests."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs re-export nothing
    AdminClient,
    OffsetSpec,
)

from streams.connectors.outage import CONTACT_SECONDS, Outage
from streams.errors import KafkaUnavailableError
from streams.settings import Settings
from streams.topics import kafka_client_config

_BATCH = 500
_POLL_SECONDS = 0.1
_STALLED_SECONDS = 60.0
"""A reader that knows there is more and gets nothing for this long has lost its broker."""


class Message(NamedTuple):
    """One record of a topic as it is stored."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """Append time: when the broker took it."""
    key: bytes | None
    value: bytes | None
    """None is a tombstone."""


def read(  # noqa: PLR0913 - where to begin and when to stop
    settings: Settings,
    topic: str,
    *,
    spans: Mapping[int, tuple[int, int]] | None = None,
    from_beginning: bool = True,
    until_end: bool = False,
    until_idle_seconds: float | None = None,
) -> Iterator[Message]:
    """Yield committed messages of all partitions of a topic, each partition in its order.

    Nothing is committed and no group is joined, so any number may read beside each other.
    `until_end` stops at the present end of every partition, having waited for transactions that are
    open there: a committed one is until Kafka has written its markers, which it does after its
    writer went on. `until_idle_seconds` stops when nothing came for so long; with neither, reading
    goes on until the iterator is closed.
    `spans` are offsets `[start, end)` of the only partitions wanted, and waits for nothing.
    Raise KafkaUnavailableError when the broker is away or the topic is missing.
    """
    outage = Outage(settings.kafka_bootstrap_servers)
    consumer = _consumer(settings, outage)
    try:
        if spans is None:
            start = OFFSET_BEGINNING if from_beginning else OFFSET_END
            starts = dict.fromkeys(_partitions(consumer, topic, outage), start)
            unread = _ends(settings, topic, list(starts), outage) if until_end else {-1: 0}
        else:
            starts = {number: start for number, (start, _) in spans.items()}
            unread = {number: end for number, (_, end) in spans.items()}
            until_end = True
        consumer.assign([TopicPartition(topic, number, at) for number, at in starts.items()])
        patience = _STALLED_SECONDS if until_end else until_idle_seconds
        heard = time.monotonic()
        while unread and (patience is None or time.monotonic() - heard < patience):
            for message in _fetch(consumer, unread, outage):
                heard = time.monotonic()
                yield message
        if until_end and unread:
            raise outage.failure(f"reading {topic} stopped for {_STALLED_SECONDS:.0f} s")
    finally:
        consumer.close()


def latest(
    settings: Settings, topic: str, *, spans: Mapping[int, tuple[int, int]] | None = None
) -> Mapping[bytes, bytes]:
    """Return the last value of each key of a compacted topic, up to its present end."""
    values: dict[bytes, bytes] = {}
    for message in read(settings, topic, spans=spans, until_end=True):
        if message.key is None:
            continue
        if message.value is None:
            values.pop(message.key, None)
        else:
            values[message.key] = message.value
    return values


def _consumer(settings: Settings, outage: Outage) -> Consumer:
    return Consumer(
        kafka_client_config(settings)
        | {
            "group.id": f"{settings.app_id}-reader",  # librdkafka wants one; nothing joins it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 100,  # how long the broker holds back the news of an end
            "error_cb": outage.noticed,
        }
    )


def _partitions(consumer: Consumer, topic: str, outage: Outage) -> Sequence[int]:
    try:
        metadata = consumer.list_topics(topic, timeout=CONTACT_SECONDS).topics[topic]
    except KafkaException as error:
        raise outage.failure("no Kafka broker", error.args[0]) from error
    if metadata.error is not None:
        raise KafkaUnavailableError(
            f"topic {topic}: {metadata.error.str()}; `trailstreams topics apply` creates it"
        )
    return sorted(metadata.partitions)


def _ends(
    settings: Settings, topic: str, partitions: Sequence[int], outage: Outage
) -> dict[int, int]:
    """Return the end of each partition's log, open transactions included."""
    admin = AdminClient(kafka_client_config(settings) | {"error_cb": outage.noticed})
    end = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): end for number in partitions}
    futures = admin.list_offsets(
        asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=CONTACT_SECONDS
    )
    try:
        return {tp.partition: future.result().offset for tp, future in futures.items()}
    except KafkaException as error:
        raise outage.failure(f"cannot see the end of {topic}", error.args[0]) from error


def _fetch(consumer: Consumer, unread: dict[int, int], outage: Outage) -> Iterator[Message]:
    for raw in consumer.consume(_BATCH, timeout=_POLL_SECONDS):
        error = raw.error()
        if error is None:
            yield Message(
                cast("str", raw.topic()),
                cast("int", raw.partition()),
                cast("int", raw.offset()),
                raw.timestamp()[1],
                raw.key(),
                raw.value(),
            )
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            number = cast("int", raw.partition())
            if cast("int", raw.offset()) >= unread.get(number, 0):
                unread.pop(number, None)
        else:
            raise outage.failure(f"reading {raw.topic()} failed", error)
