"""The state's changelog from outside the engine: where it stands, and rewriting it as its owner."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.connectors.outage import CONTACT_SECONDS, Outage
from streams.connectors.reader import latest
from streams.errors import KafkaUnavailableError, StateError
from streams.settings import Settings
from streams.topics import TopicNames, kafka_client_config, transactional_id

Row = tuple[bytes, bytes | None]
"""Key and value; None deletes the row."""
Rewrite = Callable[[Mapping[bytes, bytes]], Iterable[Row]]
"""From the rows that stand in the changelog to the rows to write."""

T = TypeVar("T")

_ATTEMPTS = 5
_COMMIT_SECONDS = 60.0
_MARKER_SECONDS = 0.02
_SETTLE_SECONDS = 0.1
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
"""What the producer hears when another one with its transactional id has come."""
_SETTLING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""What passes by itself: a broker or a topic just made may not know yet who leads what."""


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
    return _look(settings, lambda consumer: _places(consumer, names))


def read_state(settings: Settings, partition: int) -> Mapping[bytes, bytes]:
    """Return the rows of one changelog partition as compaction would keep them.

    What stands in a transaction still open is left out and not waited for.
    """
    topic = settings.changelog_topic
    log = _look(settings, lambda consumer: _log(consumer, topic, partition))
    return latest(settings, topic, spans={partition: log})


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
        self._settings = settings
        self._end = 0
        self._topic = names.changelog
        self._partition = partition
        self._outage = Outage(settings.kafka_bootstrap_servers)
        self.producer = Producer(
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
            self.producer.init_transactions(CONTACT_SECONDS)
        except KafkaException as error:
            raise self._failure(error) from error

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction, all or none; return when readers see them."""
        try:
            self.producer.begin_transaction()
            self.send(rows)
            self.producer.commit_transaction(_COMMIT_SECONDS)
        except KafkaException as error:
            raise self._failure(self._abort(error)) from error
        _look(self._settings, self._await_markers)

    def send(self, rows: Iterable[Row]) -> None:
        """Send rows within the open transaction."""
        for key, value in rows:
            while True:
                try:
                    self.producer.produce(self._topic, value, key, self._partition, self._sent)
                except BufferError:
                    self.producer.poll(0.1)  # the queue is bounded; wait until there is room
                else:
                    break

    def _abort(self, failure: KafkaException) -> KafkaException:
        """Abort where that is possible; return the reason of the failure."""
        error = failure.args[0]
        if not error.txn_requires_abort() and error.code() != KafkaError._FATAL:  # noqa: SLF001
            return failure
        try:
            self.producer.abort_transaction(CONTACT_SECONDS)
        except KafkaException as reason:
            # A producer that has failed for good says why only now; the next owner aborts.
            return reason
        return failure

    def _sent(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._end = (message.offset() or 0) + 1

    def _await_markers(self, consumer: Consumer) -> None:
        """Wait: Kafka writes the markers that make a transaction visible after its commit."""
        late = time.monotonic() + _COMMIT_SECONDS
        while _log(consumer, self._topic, self._partition).end < self._end:
            if time.monotonic() > late:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - see above
            time.sleep(_MARKER_SECONDS)

    def _failure(self, exception: KafkaException) -> KafkaUnavailableError | _TakenBackError:
        error = exception.args[0]
        if error.code() in _FENCED:
            return _TakenBackError()
        return self._outage.failure(f"writing {self._topic}-{self._partition}", error)


def _look(settings: Settings, ask: Callable[[Consumer], T]) -> T:
    """Ask the broker something with a consumer of the workers' group that never joins it."""
    outage = Outage(settings.kafka_bootstrap_servers)
    consumer = Consumer(
        kafka_client_config(settings)
        | {
            "group.id": settings.app_id,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "error_cb": outage.noticed,
        }
    )
    late = time.monotonic() + CONTACT_SECONDS
    try:
        while True:
            try:
                return ask(consumer)
            except KafkaException as error:
                if error.args[0].code() not in _SETTLING or time.monotonic() > late:
                    raise outage.failure("looking at the state", error.args[0]) from error
            time.sleep(_SETTLE_SECONDS)
    finally:
        consumer.close()


def _places(consumer: Consumer, names: TopicNames) -> dict[int, Place]:
    changelogs = _logs(consumer, names.changelog)
    sources = _logs(consumer, names.records)
    asked = [TopicPartition(names.records, number) for number in sources]
    committed = consumer.committed(asked, timeout=CONTACT_SECONDS)
    offsets = {each.partition: each.offset for each in committed if each.offset >= 0}
    return {
        number: Place(log, sources.get(number), offsets.get(number))
        for number, log in changelogs.items()
    }


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
