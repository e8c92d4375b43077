"""Reading a partition's state back: the changelog up to its last stable offset, last value wins."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

from streams.engine.client import client_config
from streams.settings import Settings

WAIT_SECONDS = 0.5
SLICE_SECONDS = 0.02

_Pair = tuple[bytes, bytes | None]


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
            await _apply_fetched(consumer, tp, contents)
        return contents
    finally:
        await consumer.stop()


async def _apply_fetched(
    consumer: AIOKafkaConsumer, tp: TopicPartition, contents: Contents
) -> None:
    """Apply all of what one fetch has brought, or wait for it; let others have the loop between."""
    fetcher = consumer._fetcher
    result = fetcher._records.get(tp)
    if result is None:
        waiter = fetcher._create_fetch_waiter()
        await asyncio.wait([waiter], timeout=WAIT_SECONDS)
        waiter.cancel()
        return
    if isinstance(result, FetchResult):
        sliced_at = time.monotonic()
        for pairs in _batches(result._partition_records):
            contents.records += len(pairs)
            _apply(pairs, contents.rows)
            if time.monotonic() - sliced_at > SLICE_SECONDS:
                await asyncio.sleep(0)
                sliced_at = time.monotonic()
        result._update_position()
    del fetcher._records[tp]
    fetcher._notify(fetcher._wait_consume_future)
    if not isinstance(result, FetchResult):
        result.check_raise()


def _batches(fetched: PartitionRecords) -> Iterator[list[_Pair]]:
    """Yield key and value of the committed records of each batch.

    What `PartitionRecords._unpack_records` does, without a generator's step and an object a record.
    """
    records = fetched._records
    while records.has_next():
        batch = records.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"a batch at {fetched.next_fetch_offset} is damaged")
        first = fetched.next_fetch_offset
        if not _is_aborted(fetched, batch) and not batch.is_control_batch:
            if batch.base_offset >= first:
                yield [(record.key, record.value) for record in batch]
            else:
                yield [(record.key, record.value) for record in batch if record.offset >= first]
        fetched.next_fetch_offset = batch.next_offset


def _is_aborted(fetched: PartitionRecords, batch: Any) -> bool:
    if batch.producer_id is None:
        return False
    fetched._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and fetched._contains_abort_marker(batch):
        fetched._aborted_producers.discard(batch.producer_id)
    return batch.is_transactional and batch.producer_id in fetched._aborted_producers


def _apply(pairs: list[_Pair], rows: dict[bytes, bytes]) -> None:
    # One call for all, and a second look where some delete: deletions are few.
    rows.update(pairs)  # type: ignore[arg-type]  # None goes below
    for key in [key for key, value in pairs if value is None]:
        if rows.get(key, b"") is None:
            del rows[key]


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **client_config(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
    )
