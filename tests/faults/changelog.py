"""Forcing Kafka to compact the changelog while it is written and read."""

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from faults.rig import Rig

_COMPACTED_SECONDS = 60.0
_EAGER = {
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "1",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "2000",
}


def compact(rig: Rig) -> None:
    """Make compaction eager for the rest of the run; return when it was at work."""
    topic = rig.settings.changelog_topic
    admin = AdminClient({"bootstrap.servers": rig.settings.kafka_bootstrap_servers})
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in _EAGER.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
    before = _cleaned(rig)
    rig.until(lambda: _cleaned(rig) > before, _COMPACTED_SECONDS, "compaction of the changelog")


def _cleaned(rig: Rig) -> int:
    """Return up to which offset the brokers have compacted the changelog, summed.

    Kafka notes it in a text file: a version, a number of lines, then topic, partition, offset.
    """
    topic, total = rig.settings.changelog_topic, 0
    for home in rig.broker_homes:
        checkpoint = home / "data/cleaner-offset-checkpoint"
        if checkpoint.exists():
            lines = (line.split() for line in checkpoint.read_text().splitlines())
            total += sum(int(words[2]) for words in lines if words[0] == topic)
    return total
