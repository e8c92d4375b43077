"""Reading back what engines counted: raw record key, window start (ms), count."""

import pickle
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.codecs import Codecs

if TYPE_CHECKING:
    from benchmarks.engine.engines import Place

Cell = tuple[bytes, int, int]

_BATCH = 10_000
_PATIENCE_SECONDS = 0.2
_ANSWER_SECONDS = 30.0


def activity_counts(place: "Place") -> Iterator[Cell]:
    """Yield the counts of closed windows, as our worker publishes them."""
    codecs = Codecs()
    for message in read_topic(place.bootstrap_servers, f"{place.topic_prefix}activity-counts"):
        activity, window_start_ms = codecs.decode_activity_window(message.key())
        count = codecs.decode_activity_count(message.value()).count
        yield codecs.activity_key(activity), window_start_ms, count


def kafka_streams(place: "Place") -> Iterator[Cell]:
    """Yield the rows of a window store's changelog, later ones of the same key after earlier ones.

    The key ends with the window's start and a sequence number (WindowKeySchema of Kafka Streams).
    """
    for message in read_topic(place.bootstrap_servers, f"{place.group}-counts-changelog"):
        key, value = message.key(), message.value()
        yield key[:-12], int.from_bytes(key[-12:-4], "big"), int.from_bytes(value or b"", "big")


def quix_streams(place: "Place") -> Iterator[Cell]:
    """Yield the window rows of Quix Streams' changelog: key, start and end, with bars between."""
    (topic,) = _topics_with(place, "changelog__")
    for message in read_topic(place.bootstrap_servers, topic):
        # Other column families hold Quix's own marks; a window it expires is deleted later on.
        if message.value() is not None and ("__column_family__", b"default") in message.headers():
            key = message.key()
            count = msgspec.json.decode(message.value())["count/Count"]
            yield key[:-18], int.from_bytes(key[-17:-9], "big"), count


def stock_faust(place: "Place") -> Iterator[Cell]:
    """Yield the changelog rows of Faust's windowed table: JSON of key and window, and a number."""
    for message in read_topic(place.bootstrap_servers, f"{place.group}-counts-changelog"):
        key, (start, _) = msgspec.json.decode(message.key())
        yield key.encode("latin-1"), int(start * 1000), int(message.value())


def _topics_with(place: "Place", prefix: str) -> list[str]:
    names = AdminClient({"bootstrap.servers": place.bootstrap_servers}).list_topics(timeout=10)
    return [name for name in names.topics if name.startswith(prefix) and place.group in name]


def pickled(place: "Place") -> Iterator[Cell]:
    """Yield the counts of an engine that keeps them in memory and writes them at its end."""
    with place.output.open("rb") as file:
        counts: dict[tuple[bytes, int], int] = pickle.load(file)  # noqa: S301 - written by us
    for (key, window_start_ms), count in counts.items():
        yield key, window_start_ms, count


def read_topic(bootstrap_servers: str, topic: str) -> Iterator[Message]:
    """Yield every committed record of a topic, from its start to its end as it is now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "benchmark-reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        waiting = set(consumer.list_topics(topic, 10).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in waiting])
        heard = time.monotonic()
        while waiting:
            # It returns early only with a full batch.
            messages = consumer.consume(_BATCH, _PATIENCE_SECONDS)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() > heard + _ANSWER_SECONDS:
                raise SystemExit(f"error: {topic}: no answer within {_ANSWER_SECONDS:.0f} s")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    waiting.discard(message.partition())
    finally:
        consumer.close()
