"""The state's changelog from outside the engine: where it stands, and rewriting it as its owner."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.connectors.outage import CONTACT_SECONDS, Outage
from streams.connectors.reader import latest
from streams.errors import KafkaUnavailableError, StateError
from streams.settings import Settings
from streams.topics import TopicNames, kafka_client_config, transactional_id

Row = tuple[bytes, bytes | None]
"""Key and value; None deletes the row."""
Rewrite = Callable[[Mapping[bytes, bytes]], Iterable[Row]]
"""From the rows that stand in the changelog to the rows to write."""

_ATTEMPTS = 5
_COMMIT_SECONDS = 60.0
_TRANSACTION_SECONDS = 600
"""Longer than deleting millions of rows takes, within the 15 minutes that brokers allow
(`transaction.max.timeout.ms`). Whoever dies within blocks nobody: the next owner aborts it."""
_FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - its public name
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)


class Log(NamedTuple):
    """What a partition holds: offsets `[start, end)`, `end` being the last stable offset."""

    start: int
    end: int


class Place(NamedTuple):
    """Where one partition stands in Kafka."""

    changelog: Log
    source: Log | None
    """None where the records topic has no such partition."""
    group_offset: int | None
    """What the consumer group has committed; None when it never did."""


class _TakenBackError(Exception):
    """Raise when another producer with the same transactional id has fenced this one."""


def places(settings: Settings) -> dict[int, Place]:
    """Return where every partition of the changelog, its source and the group stand.

    Raise KafkaUnavailableError when the broker is away or a topic is missing.
    """
    names = TopicNames.of(settings)
    outage = Outage(settings.kafka_bootstrap_servers)
    consumer = Consumer(
        kafka_client_config(settings)
        | {
            "group.id": settings.app_id,  # asked about, never joined
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "error_cb": outage.noticed,
        }
    )
    try:
        changelogs = _logs(consumer, names.changelog)
        sources = _logs(consumer, names.records)
        asked = [TopicPartition(names.records, number) for number in sources]
        committed = consumer.committed(asked, timeout=CONTACT_SECONDS) if asked else []
    except KafkaException as error:
        raise outage.failure("looking at the state", error.args[0]) from error
    finally:
        consumer.close()
    offsets = {each.partition: each.offset for each in committed if each.offset >= 0}
    return {
        number: Place(log, sources.get(number), offsets.get(number))
        for number, log in changelogs.items()
    }


def read_state(settings: Settings, partition: int) -> Mapping[bytes, bytes]:
    """Return the rows of one changelog partition as compaction would keep them."""
    return latest(settings, settings.changelog_topic, partition=partition)


def rewrite(settings: Settings, partition: int, change: Rewrite) -> None:
    """Change one partition's state as its owner: fence, read, write all in one transaction.

    A running worker is fenced too: it reads the new state back at its next flush, and what it had
    not committed is counted again from the new position. Dying at any moment changes nothing.
    Raise what `change` raises, StateError when a worker keeps taking the partition back, and
    KafkaUnavailableError.
    """
    for _ in range(_ATTEMPTS):
        try:
            owner = Owner(settings, partition)
            owner.write(change(read_state(settings, partition)))
        except _TakenBackError:
            continue
        else:
            return
    raise StateError(
        f"partition {partition}: a worker took it back {_ATTEMPTS} times, nothing was changed: "
        "stop the workers and try again"
    )


class Owner:
    """The one writer of a partition's changelog, until somebody else becomes it."""

    def __init__(self, settings: Settings, partition: int) -> None:
        """Fence whoever wrote before and abort the transaction it left open."""
        names = TopicNames.of(settings)
        self._topic = names.changelog
        self._partition = partition
        self._outage = Outage(settings.kafka_bootstrap_servers)
        self._producer = Producer(
            kafka_client_config(settings)
            | {
                "transactional.id": transactional_id(settings.app_id, names.records, partition),
                "transaction.timeout.ms": _TRANSACTION_SECONDS * 1000,
                "message.timeout.ms": int(_COMMIT_SECONDS * 1000),
                "compression.type": "lz4",
                "error_cb": self._outage.noticed,
            }
        )
        try:
            self._producer.init_transactions(CONTACT_SECONDS)
        except KafkaException as error:
            raise self._failure(error) from error

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction, all or none."""
        try:
            self._producer.begin_transaction()
            self.send(rows)
            self._producer.commit_transaction(_COMMIT_SECONDS)
        except KafkaException as error:
            raise self._failure(self._abort() or error) from error

    def send(self, rows: Iterable[Row]) -> None:
        """Send rows within the open transaction."""
        for key, value in rows:
            while True:
                try:
                    self._producer.produce(self._topic, value, key, self._partition)
                except BufferError:
                    self._producer.poll(0.1)  # the queue is bounded; wait until there is room
                else:
                    break

    def _abort(self) -> KafkaException | None:
        """Abort; return the error that ended the producer, which is the true reason."""
        try:
            self._producer.abort_transaction(CONTACT_SECONDS)
        except KafkaException as error:
            return error
        return None

    def _failure(self, exception: KafkaException) -> KafkaUnavailableError | _TakenBackError:
        error = exception.args[0]
        if error.code() in _FENCED:
            return _TakenBackError()
        return self._outage.failure(f"writing {self._topic}-{self._partition}", error)


def _logs(consumer: Consumer, topic: str) -> dict[int, Log]:
    metadata = consumer.list_topics(topic, timeout=CONTACT_SECONDS).topics[topic]
    if metadata.error is not None:
        raise KafkaUnavailableError(
            f"topic {topic}: {metadata.error.str()}; `trailstreams topics apply` creates it"
        )
    return {number: _log(consumer, topic, number) for number in sorted(metadata.partitions)}


def _log(consumer: Consumer, topic: str, partition: int) -> Log:
    where = TopicPartition(topic, partition)
    ends = consumer.get_watermark_offsets(where, timeout=CONTACT_SECONDS)
    if ends is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its public name
    return Log(*ends)
