"""Create, correct and check the topics of the catalogue on a broker."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs re-export nothing
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from streams.errors import KafkaUnavailableError
from streams.settings import Settings
from streams.topics.catalogue import Topic, catalogue
from streams.topics.client import kafka_client_config

_ATTEMPTS = 4
_ATTEMPT_SECONDS = 2.0
"""4 x 2 s: a starting broker answers within them, and a person waits no longer."""
_REQUEST_SECONDS = 15.0
_SETTLE_SECONDS = 0.05
_MATTERS = ("cleanup.policy", "message.timestamp.type", "max.message.bytes")
"""What `check` insists on: with other values data is lost or refused. Retention is the owner's."""
_APPLY = "`trailstreams topics apply` creates and corrects topics"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """One topic of the catalogue as the broker has it."""

    topic: Topic
    partitions: int
    """0 where the topic is missing."""
    config: Mapping[str, str]

    @property
    def misshapen(self) -> bool:
        """Whether it is there with another number of partitions."""
        return self.partitions not in {0, self.topic.partitions}

    @property
    def wrong_config(self) -> dict[str, str]:
        """What the broker says of each property that differs from the catalogue."""
        wanted = self.topic.config
        return {
            name: self.config.get(name, "")
            for name, value in wanted.items()
            if self.partitions and _parts(self.config.get(name, "")) != _parts(value)
        }

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the topic from being used, a line each."""
        if not self.partitions:
            return (f"topic {self.topic.name} is missing",)
        lines = [
            f"topic {self.topic.name} has {name} {came}, not {self.topic.config[name]}"
            for name, came in self.wrong_config.items()
            if name in _MATTERS
        ]
        if self.misshapen:
            lines.append(_other_partitions(self))
        return tuple(lines)


def check(settings: Settings) -> None:
    """Raise KafkaUnavailableError naming, a line each, all that is missing or misshapen."""
    problems = [line for state in describe(settings) for line in state.problems]
    if problems:
        raise KafkaUnavailableError("\n".join((*problems, _APPLY)))


def describe(settings: Settings) -> tuple[TopicState, ...]:
    """Return every topic of the catalogue as the broker has it; raise KafkaUnavailableError."""
    with _Admin(settings) as admin:
        return admin.describe(catalogue(settings))


def apply(settings: Settings) -> dict[str, str]:
    """Create what is missing and correct what differs; return what was done, by topic.

    Raise KafkaUnavailableError, after all the rest is done, for another number of partitions:
    it cannot be changed without moving activities to other partitions.
    """
    with _Admin(settings) as admin:
        states = admin.describe(catalogue(settings))
        done: dict[str, str] = {}
        for state in states:
            if not state.partitions:
                done[state.topic.name] = admin.create(state.topic)
            elif wrong := state.wrong_config:
                admin.correct(state.topic, wrong)
                done[state.topic.name] = "corrected " + ", ".join(
                    f"{name} {came} -> {state.topic.config[name]}" for name, came in wrong.items()
                )
            else:
                done[state.topic.name] = "unchanged"
        admin.settle([state.topic for state in states])
    misshapen = [_other_partitions(state) for state in states if state.misshapen]
    if misshapen:
        raise KafkaUnavailableError("\n".join(misshapen))
    return done


def topic_ids(settings: Settings, topics: Iterable[str]) -> dict[str, str]:
    """Return the id Kafka gave each topic: a topic deleted and made again has another one.

    Raise KafkaUnavailableError where a topic is missing.
    """
    with _Admin(settings) as admin:
        return admin.ids(list(topics))


def topic_id(settings: Settings, topic: str) -> str:
    """Return the id of one topic; see `topic_ids`."""
    return topic_ids(settings, [topic])[topic]


def _other_partitions(state: TopicState) -> str:
    wanted = state.topic.partitions
    return (
        f"topic {state.topic.name} has {state.partitions} partitions, not {wanted}: "
        f"set TRAILSTREAMS_KAFKA_PARTITIONS={state.partitions}, or take a new "
        "TRAILSTREAMS_TOPIC_PREFIX and TRAILSTREAMS_APP_ID and replay"
    )


def _parts(value: str) -> frozenset[str]:
    return frozenset(part.strip() for part in value.split(","))


class _Admin:
    """An AdminClient with errors of one line, for the length of a context.

    It is let go at its end: a client takes 350 kB and some threads, it is part of a cycle with its
    callback, and an exception's traceback holds whoever used it. So it would wait for the garbage
    collector, which comes seldom where few objects are made.
    """

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._last: KafkaError | None = None
        try:
            self._client = AdminClient(
                kafka_client_config(settings) | {"error_cb": self._notice},
            )
        except KafkaException as error:
            raise KafkaUnavailableError(f"Kafka client settings: {error.args[0].str()}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._client

    def describe(self, topics: Sequence[Topic]) -> tuple[TopicState, ...]:
        there = self._partitions()
        configs = self._configs([topic.name for topic in topics if topic.name in there])
        # One broker may list a topic that another does not know yet: it is not there.
        return tuple(
            TopicState(
                topic=topic,
                partitions=there[topic.name] if topic.name in configs else 0,
                config=configs.get(topic.name, {}),
            )
            for topic in topics
        )

    def create(self, topic: Topic) -> str:
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=dict(topic.config),
        )
        (future,) = self._client.create_topics(
            [new], operation_timeout=_REQUEST_SECONDS, request_timeout=_REQUEST_SECONDS
        ).values()
        try:
            future.result()
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.TOPIC_ALREADY_EXISTS:
                return "created meanwhile by someone else"
            if code == KafkaError.INVALID_REPLICATION_FACTOR:
                raise KafkaUnavailableError(
                    f"{self._servers} has fewer than {topic.replication_factor} brokers: set "
                    "TRAILSTREAMS_KAFKA_REPLICATION_FACTOR to what it has"
                ) from error
            raise self._failure(f"creating topic {topic.name}", error.args[0]) from error
        return f"created with {topic.partitions} partitions"

    def correct(self, topic: Topic, names: Iterable[str]) -> None:
        entries = [
            ConfigEntry(
                name,
                topic.config[name],
                source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
                incremental_operation=AlterConfigOpType.SET,
            )
            for name in names
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
        futures = self._client.incremental_alter_configs(
            [resource], request_timeout=_REQUEST_SECONDS
        )
        self._results(f"configuring topic {topic.name}", futures)

    def settle(self, topics: Sequence[Topic]) -> None:
        """Wait until the broker says of the topics what its controller has decided already."""
        late = time.monotonic() + _REQUEST_SECONDS
        while any(state.problems and not state.misshapen for state in self.describe(topics)):
            if time.monotonic() > late:
                raise KafkaUnavailableError(
                    f"{self._servers} took the topics but does not show them within "
                    f"{_REQUEST_SECONDS:.0f} s: try `trailstreams topics check` later"
                )
            time.sleep(_SETTLE_SECONDS)

    def ids(self, topics: list[str]) -> dict[str, str]:
        self._partitions()
        futures = self._client.describe_topics(
            TopicCollection(topics), request_timeout=_REQUEST_SECONDS
        )
        described = self._results("describing topics", futures)
        return {name: str(topic.topic_id) for name, topic in described.items()}

    def _partitions(self) -> dict[str, int]:
        """Return the number of partitions of every topic there is: the first question asked."""
        for _ in range(_ATTEMPTS):
            try:
                topics = self._client.list_topics(timeout=_ATTEMPT_SECONDS).topics
            except KafkaException as error:
                # Not the exception, which holds this frame and the client's.
                failed: KafkaError = error.args[0]
                self._client.poll(0)
                if self._last is not None and self._last.code() in _HOPELESS:
                    break
            else:
                self._last = None
                return {name: len(topic.partitions) for name, topic in topics.items()}
        raise self._failure("no Kafka broker answers", failed)

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._client.describe_configs(resources, request_timeout=_REQUEST_SECONDS)
        described = self._results(
            "reading the topics' configuration",
            futures,
            left_out=KafkaError.UNKNOWN_TOPIC_OR_PART,
        )
        return {
            resource.name: {name: str(entry.value) for name, entry in entries.items()}
            for resource, entries in described.items()
        }

    def _results(
        self, what: str, futures: Mapping[Any, Future[Any]], *, left_out: int | None = None
    ) -> dict[Any, Any]:
        """Return what was answered, without the answers that are an error of this code."""
        results = {}
        for key, future in futures.items():
            try:
                results[key] = future.result()
            except KafkaException as error:
                if error.args[0].code() != left_out:
                    raise self._failure(what, error.args[0]) from error
        return results

    def _failure(self, what: str, error: KafkaError) -> KafkaUnavailableError:
        # A timeout explains nothing; the connection's last complaint does.
        reason = (self._last or error).str()
        return KafkaUnavailableError(f"{what} at {self._servers}: {reason}")

    def _notice(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
            self._last = error


_HOPELESS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001
