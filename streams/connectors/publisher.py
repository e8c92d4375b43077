"""The Kafka side of every source: encode, partition, publish, and count what arrived."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.cloudtrail.record import Activity, Reason, Rejected, TrailRecord
from streams.codecs import Codecs, DeadLetter, SourcePosition, partition_of
from streams.connectors.outage import Outage
from streams.connectors.outlet import Item, Tally
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import (
    DEAD_LETTERS,
    RECORDS,
    SOURCE_POSITIONS,
    kafka_client_config,
    topic_name,
)

HEARTBEAT_SECONDS = 30.0
DELIVERY_SECONDS = 120.0
"""How long Kafka may be away: longer than a restart, short enough that someone still looks."""
MESSAGE_BYTES = 2 * 1024 * 1024
"""`max.message.bytes` of the topics; the batch around a record takes some of it."""
_OVERHEAD_BYTES = 4096
_SERVE_EVERY = 256
_ROUTES = 65_536
PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 25,
    "message.max.bytes": MESSAGE_BYTES,
    "batch.size": 512 * 1024,
    "queue.buffering.max.messages": 50_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    # Its own partitions are named; only dead letters and positions fall to the partitioner.
    "partitioner": "murmur2_random",
}


class Publisher:
    """Publishes to Kafka with an idempotent producer; one thread, one source instance.

    Delivery is at least once towards the topic: a failed one raises, nothing is dropped in
    silence. Use as a context manager; leaving it flushes.
    `delivery_seconds` is how long Kafka may be away; `clock` paces the heartbeats.
    """

    def __init__(  # noqa: PLR0913 - a client of everything below it
        self,
        settings: Settings,
        codecs: Codecs,
        metrics: Metrics,
        *,
        source_id: str,
        instance_id: str,
        delivery_seconds: float = DELIVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._codecs = codecs
        self._metrics = metrics
        self._source_id = source_id
        self._instance_id = instance_id
        self._clock = clock
        self._partitions = settings.kafka_partitions
        self._records = topic_name(settings, RECORDS)
        self._dead_letters = topic_name(settings, DEAD_LETTERS)
        self._positions = topic_name(settings, SOURCE_POSITIONS)
        self._outage = Outage(settings.kafka_bootstrap_servers)
        self._producer = Producer(
            kafka_client_config(settings)
            | PRODUCER
            | {
                "message.timeout.ms": int(delivery_seconds * 1000),
                "error_cb": self._outage.noticed,
            }
        )
        self._route = lru_cache(_ROUTES)(self._route_of)
        self._seen = self._published = self._filtered = self._rejected = 0
        self._told = Tally()
        self._failure: KafkaError | None = None
        self._up_to_ms: int | None = None
        self._said_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def tally(self) -> Tally:
        """What became of the records so far."""
        return Tally(
            seen=self._seen,
            published=self._published,
            filtered=self._filtered,
            rejected=self._rejected,
        )

    @property
    def up_to_ms(self) -> int | None:
        """The last Progress said, milliseconds since the epoch; None before the first."""
        return self._up_to_ms

    def publish(self, item: Item) -> None:
        """Take one record, dead letter or filtered input; waits while too much is under way."""
        self._seen += 1
        if isinstance(item, TrailRecord):
            self._accept(item)
        elif isinstance(item, Rejected):
            self._reject(item)
        else:
            self._filtered += 1
        if self._seen % _SERVE_EVERY == 0:
            self._producer.poll(0)
            self._check()
            self._report()

    def progress(self, up_to_ms: int) -> None:
        """Write Progress to every partition, after all before it was delivered."""
        self.flush()
        self._up_to_ms = up_to_ms
        self._say_progress(up_to_ms)

    def heartbeat(self) -> None:
        """Repeat the last Progress once it is 30 s old; say nothing before the first.

        What was said stays true of everything after it, so nothing needs to be flushed first.
        """
        if self._up_to_ms is None or self._clock() - self._said_seconds < HEARTBEAT_SECONDS:
            return
        self._say_progress(self._up_to_ms)

    def remember(self, position: SourcePosition) -> None:
        """Store a position; the caller has flushed what it speaks of."""
        value = self._codecs.source_position(position)
        self._produce(self._positions, position.key, value, self._delivered)

    def flush(self) -> None:
        """Wait until everything handed over is delivered; raise if one of it was not."""
        while self._producer.flush(1.0):
            self._check()
        self._check()
        self._report()

    def close(self) -> None:
        """Deliver what is left; after a failure let go of it, as waiting would only repeat it."""
        if self._failure is None:
            self.flush()
        else:
            self._producer.purge()
            self._producer.flush(1.0)

    def _accept(self, record: TrailRecord) -> None:
        key, partition = self._route(record.activity)
        value = self._codecs.trail_record(record)
        if len(key) + len(value) > MESSAGE_BYTES - _OVERHEAD_BYTES:
            error = f"the record is encoded in {len(value)} bytes, more than a topic takes"
            self._reject(
                Rejected(reason=Reason.TOO_LARGE, error=error, origin=record.origin, raw=value)
            )
            return
        self._produce(self._records, key, value, self._record_delivered, partition)

    def _reject(self, item: Rejected) -> None:
        letter = DeadLetter.of(
            item, source_id=self._source_id, rejected_at_ms=int(time.time() * 1000)
        )
        self._produce(
            self._dead_letters,
            letter.key,
            self._codecs.dead_letter(letter),
            self._dead_letter_delivered,
        )

    def _route_of(self, activity: Activity) -> tuple[bytes, int]:
        return self._codecs.activity_key(activity), partition_of(activity, self._partitions)

    def _say_progress(self, up_to_ms: int) -> None:
        key, value = self._codecs.progress(self._instance_id, up_to_ms)
        for partition in range(self._partitions):
            self._produce(self._records, key, value, self._delivered, partition)
        self._said_seconds = self._clock()

    def _produce(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        delivered: Callable[[KafkaError | None, Any], None],
        partition: int = -1,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=delivered)
            except BufferError:
                # The queue is full: back-pressure, until deliveries make room or time out.
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                raise self._outage.failure(f"cannot publish to {topic}", error.args[0]) from error
            else:
                return

    def _record_delivered(self, error: KafkaError | None, message: Any) -> None:
        self._delivered(error, message)
        self._published += error is None

    def _dead_letter_delivered(self, error: KafkaError | None, message: Any) -> None:
        self._delivered(error, message)
        self._rejected += error is None

    def _delivered(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    def _check(self) -> None:
        if self._failure is not None:
            raise self._outage.failure("not everything could be published", self._failure)

    def _report(self) -> None:
        now = self.tally
        self._metrics.source(**asdict(now.since(self._told)))
        self._told = now
