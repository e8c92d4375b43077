"""Every topic, once: name, schemas, partitions, configuration."""

from collections.abc import Mapping
from typing import NamedTuple

from streams.settings import Settings

RECORDS = "records"
ACTIVITY_COUNTS = "activity-counts"
ANOMALIES = "anomalies"
DEAD_LETTERS = "dead-letters"
SOURCE_POSITIONS = "source-positions"

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS
_MIB = 1024 * 1024


class Topic(NamedTuple):
    """One topic as it has to be."""

    name: str
    key_schema: str
    """Name of the Avro schema; empty for UTF-8 text, and for the changelog's own layout."""
    value_schema: str
    """Name of the Avro schema; empty for the changelog's own layout."""
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


class TopicNames(NamedTuple):
    """The full names of one deployment's topics."""

    records: str
    counts: str
    anomalies: str
    dead_letters: str
    source_positions: str
    changelog: str

    @classmethod
    def of(cls, settings: Settings) -> "TopicNames":
        """Return the names under the prefix and the application's name of the settings."""
        return cls(*(topic.name for topic in catalogue(settings)))


def topic_name(settings: Settings, topic: str) -> str:
    """Return the full name of one of the topics above, for example `cloudtrail.records`."""
    return settings.topic_prefix + topic


def transactional_id(app_id: str, source_topic: str, partition: int) -> str:
    """Return the transactional id of whoever writes a partition's state: one writer at a time."""
    return f"{app_id}-{source_topic}-{partition}"


def catalogue(settings: Settings) -> tuple[Topic, ...]:
    """Return every topic in the order of `TopicNames`, the changelog last.

    All have the same number of partitions: what is derived from partition n of `records` stays on
    partition n.
    """
    return (
        _topic(settings, RECORDS, "ActivityKey", "TrailRecord", _deleted(7)),
        _topic(settings, ACTIVITY_COUNTS, "ActivityWindow", "ActivityCount", _compacted(30)),
        _topic(settings, ANOMALIES, "", "Anomaly", _compacted(90)),
        _topic(settings, DEAD_LETTERS, "", "DeadLetter", _deleted(30)),
        _topic(settings, SOURCE_POSITIONS, "", "SourcePosition", {"cleanup.policy": "compact"}),
        _topic(settings, "", "", "", _CHANGELOG)._replace(name=settings.changelog_topic),
    )


_EVERY = {
    # Publish time. With event time, retention deletes a replayed backlog within seconds, and one
    # record two hours ahead fails its whole batch.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(2 * _MIB),
}
_CHANGELOG = {
    # Small segments and eager cleaning: recovery reads the whole topic.
    "cleanup.policy": "compact",
    "segment.bytes": str(64 * _MIB),
    "segment.ms": str(10 * _MINUTE_MS),
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": str(30 * _MINUTE_MS),
    "delete.retention.ms": str(10 * _MINUTE_MS),
}


def _topic(
    settings: Settings, name: str, key_schema: str, value_schema: str, config: Mapping[str, str]
) -> Topic:
    return Topic(
        topic_name(settings, name),
        key_schema,
        value_schema,
        settings.kafka_partitions,
        settings.kafka_replication_factor,
        {**_EVERY, **config},
    )


def _deleted(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}


def _compacted(days: int) -> dict[str, str]:
    return {"cleanup.policy": "compact,delete", "retention.ms": str(days * _DAY_MS)}
