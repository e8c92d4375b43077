"""Taking what aiokafka has fetched: columns of records, with the positions they cover."""

import asyncio
from collections.abc import Collection, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import NoOffsetForPartitionError

from streams.engine.job import Chunk


async def fetch_chunks(
    consumer: AIOKafkaConsumer,
    partitions: Collection[TopicPartition],
    *,
    timeout_seconds: float,
    max_records: int,
) -> dict[TopicPartition, Chunk]:
    """Return at most one chunk per partition, waiting for the first up to `timeout_seconds`.

    Must run in the consumer's own event loop.
    Raise the aiokafka error of a partition whose fetch failed (OffsetOutOfRangeError, ...).
    """
    fetcher = consumer._fetcher
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    with fetcher._subscriptions.fetch_context():
        while True:
            if fetcher._subscriptions.reassignment_in_progress:
                return {}
            chunks = dict(_take(fetcher, partitions, max_records))
            remaining = deadline - loop.time()
            if chunks or remaining <= 0:
                return chunks
            waiter = fetcher._create_fetch_waiter()
            try:
                await asyncio.wait([waiter], timeout=remaining)
            finally:
                waiter.cancel()


def _take(
    fetcher: Any, partitions: Collection[TopicPartition], max_records: int
) -> Iterator[tuple[TopicPartition, Chunk]]:
    for tp in [tp for tp in fetcher._records if tp in partitions]:
        result = fetcher._records[tp]
        if not isinstance(result, FetchResult):
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
            # Between assignment and our seek a partition has no position: the seek mends that.
            if not isinstance(result._error, NoOffsetForPartitionError):
                result.check_raise()
            continue
        chunk = _take_chunk(result, tp, max_records)
        if not result.has_more():
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if chunk is not None:
            yield tp, chunk


def _take_chunk(result: Any, tp: TopicPartition, max_records: int) -> Chunk | None:
    if not result.has_more() or not result.check_assignment(tp):
        return None
    position = result._assignment.state_value(tp)
    start = position.position
    batches = result._partition_records
    records = batches.take(max_records)
    result._update_position()
    if not batches.has_more():
        result._partition_records = None
    if position.position == start:
        return None
    # Only control, aborted or compacted records: no record, but the position has moved.
    return Chunk(tp.partition, start, position.position, records)
