"""Reading a partition's state back: the changelog up to its last stable offset, last value wins."""

import asyncio
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.batches import batch_consumer
from streams.engine.client import client_config
from streams.engine.fetch import fetch_chunks
from streams.engine.job import Records
from streams.settings import Settings


@dataclass(slots=True)
class Contents:
    """What a changelog partition holds, as compaction would keep it."""

    end: int
    """Last stable offset: where the next committed record will stand, or after it."""
    rows: dict[bytes, bytes] = field(default_factory=dict, repr=False)
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
            chunks = await fetch_chunks(consumer, [tp], timeout_seconds=0.5, max_records=20_000)
            for chunk in chunks.values():
                _apply(chunk.records, contents)
            # What was fetched already comes without waiting: let others have the loop in between.
            await asyncio.sleep(0)
        return contents
    finally:
        await consumer.stop()


def _apply(records: Records, contents: Contents) -> None:
    keys, values = list(records.keys), list(records.values)
    contents.records += len(keys)
    rows = contents.rows
    rows.update(zip(keys, values, strict=True))  # type: ignore[arg-type]  # no key is None
    # A second look where some delete: most fetches delete nothing.
    if None in values:
        for key in [key for key, value in zip(keys, values, strict=True) if value is None]:
            if rows.get(key, b"") is None:  # type: ignore[arg-type]
                del rows[key]  # type: ignore[arg-type]


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    return batch_consumer(
        **client_config(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
    )
