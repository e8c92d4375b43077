"""The two sources: one through the product's publisher, one in transactions of its own."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from confluent_kafka import KafkaException, Producer
from prometheus_client import CollectorRegistry

from faults.traffic import Delivery
from streams.codecs import Codecs, partition_of
from streams.connectors.publisher import Publisher
from streams.errors import KafkaUnavailableError
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import TopicNames

_TRANSACTION_SECONDS = 60
_UNREADABLE = b"\xc3\x01 no schema has this fingerprint, so no worker reads it"


class Source(Protocol):
    """One source of records."""

    def deliver(self, delivery: Delivery) -> None:
        """Publish all of a delivery and its Progress, however long Kafka is away."""


class PlainSource:
    """Publishes as `trailstreams source` does; dies when Kafka is away too long, and returns."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._publisher = self._begin()

    def _begin(self) -> Publisher:
        metrics = Metrics(CollectorRegistry(), max_series=100)
        return Publisher(
            self._settings, Codecs(), metrics, source_id=self._name, instance_id=self._name
        )

    def deliver(self, delivery: Delivery) -> None:
        """Publish a delivery; from its beginning again where it failed."""
        while True:
            try:
                for record in delivery.records:
                    self._publisher.publish(record)
                self._publisher.progress(delivery.up_to_ms)
                self._publisher.flush()
            except KafkaUnavailableError:
                self._publisher.close()
                self._publisher = self._begin()
            else:
                return


class TransactionalSource:
    """Publishes each delivery in a transaction, the third of them at the second attempt.

    What the first attempt wrote is aborted: offsets that nobody may count.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._codecs = Codecs()
        self._partitions = settings.kafka_partitions
        self._topic = TopicNames.of(settings).records
        self._name = name
        self._deliveries = 0
        self._config = {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "transactional.id": f"{settings.app_id}-source-{name}",
            "transaction.timeout.ms": _TRANSACTION_SECONDS * 1000,
            "log_level": 0,
        }
        self._producer: Producer | None = None

    def deliver(self, delivery: Delivery) -> None:
        """Publish a delivery in one transaction; in another one where its end is unknown."""
        self._deliveries += 1
        aborted = self._deliveries % 3 == 0
        while True:
            try:
                if aborted:
                    self._write(delivery).abort_transaction(_TRANSACTION_SECONDS)
                    aborted = False
                self._write(delivery).commit_transaction(_TRANSACTION_SECONDS)
            except (KafkaException, BufferError):
                # A new one aborts what this one left open.
                self._producer = None
            else:
                return

    def _write(self, delivery: Delivery) -> Producer:
        producer = self._producer
        if producer is None:
            producer = Producer(self._config)
            producer.init_transactions(_TRANSACTION_SECONDS)
            self._producer = producer
        producer.begin_transaction()
        for number, record in enumerate(delivery.records):
            key = self._codecs.activity_key(record.activity)
            partition = partition_of(record.activity, self._partitions)
            if number < delivery.unreadable:
                producer.produce(self._topic, _UNREADABLE, key, partition)
            producer.produce(self._topic, self._codecs.trail_record(record), key, partition)
        key, value = self._codecs.progress(self._name, delivery.up_to_ms)
        for partition in range(self._partitions):
            producer.produce(self._topic, value, key, partition)
        producer.flush(_TRANSACTION_SECONDS)
        return producer


class Feeder:
    """Delivers steps of traffic in a thread of its own, paced, while faults happen."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self._failure: BaseException | None = None

    def start(self, steps: Sequence[Sequence[Delivery]], pace_seconds: float) -> None:
        """Deliver the steps, pausing after each, then heartbeats; return at once."""
        self._hurry.clear()
        self._thread = threading.Thread(target=self._run, args=(steps, pace_seconds), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Deliver what is left without pauses; return when all is delivered."""
        self._hurry.set()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self, steps: Sequence[Sequence[Delivery]], pace_seconds: float) -> None:
        try:
            for step in steps:
                self._deliver(step)
                self._hurry.wait(pace_seconds)
            # As sources do while they wait for more: they repeat what they said last.
            heartbeat = [replace(said, records=(), unreadable=0) for said in steps[-1]]
            while not self._hurry.wait(pace_seconds):
                self._deliver(heartbeat)
        except BaseException as error:  # noqa: BLE001 - raised again by `finish`
            self._failure = error

    def _deliver(self, step: Iterable[Delivery]) -> None:
        for delivery in step:
            self._sources[delivery.source].deliver(delivery)
