"""The catalogue of topics, how to reach Kafka, and the administration of both."""

from streams.topics.admin import (
    TopicState,
    apply,
    check,
    describe,
    topic_id,
    topic_ids,
)
from streams.topics.catalogue import (
    ACTIVITY_COUNTS,
    ANOMALIES,
    DEAD_LETTERS,
    RECORDS,
    SOURCE_POSITIONS,
    Topic,
    TopicNames,
    catalogue,
    topic_name,
    transactional_id,
)
from streams.topics.client import kafka_client_config
from streams.topics.schema_registry import (
    check_schemas,
    reading_codecs,
    register_schemas,
    writing_codecs,
)

__all__ = [
    "ACTIVITY_COUNTS",
    "ANOMALIES",
    "DEAD_LETTERS",
    "RECORDS",
    "SOURCE_POSITIONS",
    "Topic",
    "TopicNames",
    "TopicState",
    "apply",
    "catalogue",
    "check",
    "check_schemas",
    "describe",
    "kafka_client_config",
    "reading_codecs",
    "register_schemas",
    "topic_id",
    "topic_ids",
    "topic_name",
    "transactional_id",
    "writing_codecs",
]
