"""Reading a partition's state back: the changelog up to its last stable offset, last value wins."""

from collections.abc import Collection
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.batches import batch_consumer
from streams.engine.client import client_config
from streams.engine.fetch import fetch_chunks
from streams.settings import Settings


@dataclass(slots=True)
class Contents:
    """What a changelog partition holds, as compaction would keep it."""

    end: int
    """Last stable offset: where the next committed record will stand, or after it."""
    rows: dict[bytes, bytes] = field(default_factory=dict)
    records: int = 0
    """Records read, replaced ones included."""


async def last_stable_offset(settings: Settings, topic: str, partition: int) -> int:
    """Return the changelog partition's last stable offset."""
    tp = TopicPartition(topic, partition)
    consumer = _consumer(settings)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([tp]))[tp])
    finally:
        await consumer.stop()


async def read_changelog(settings: Settings, topic: str, partition: int) -> Contents:
    """Read one partition's changelog, read_committed, by position.

    The caller has fenced every other writer, so nothing is added meanwhile.
    """
    tp = TopicPartition(topic, partition)
    consumer = _consumer(settings)
    await consumer.start()
    try:
        consumer.assign([tp])
        contents = Contents(end=(await consumer.end_offsets([tp]))[tp])
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < contents.end:
            await _apply_next(consumer, [tp], contents)
        return contents
    finally:
        await consumer.stop()


async def _apply_next(
    consumer: AIOKafkaConsumer, tps: Collection[TopicPartition], contents: Contents
) -> None:
    chunks = await fetch_chunks(consumer, tps, timeout_seconds=0.5, max_records=20_000)
    rows = contents.rows
    for chunk in chunks.values():
        contents.records += len(chunk.records)
        for key, value in zip(chunk.records.keys, chunk.records.values, strict=True):
            if value is None:
                rows.pop(key, None)  # type: ignore[arg-type]  # we write no record without a key
            else:
                rows[key] = value  # type: ignore[index]


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    return batch_consumer(
        **client_config(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
    )
