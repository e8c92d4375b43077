"""The group consumer's own thread: everything that touches the consumer runs in its event loop."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import aiokafka
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.batches import batch_consumer
from streams.engine.client import client_config
from streams.engine.fetch import fetch_chunks
from streams.engine.job import Chunk

MAX_CHUNK_RECORDS = 5_000
MAX_PARTITION_FETCH_BYTES = 4 << 20
FETCH_WAIT_MS = 250
# aiokafka repeats a commit for as long as no coordinator answers; flushes do not wait for that.
COMMIT_SECONDS = 5


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer, fetches chunks, and answers what `Consumer` asks from another thread."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = self.app.assignor
        return batch_consumer(
            **client_config(transport.runtime.settings),
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            # No offset reset policy: a position outside the log is an error, never a guess.
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=MAX_PARTITION_FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    async def _fetch_records(  # type: ignore[override]
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP] | None,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, Chunk]:
        if not self.consumer.flow_active:
            return {}
        if consumer._closed:
            raise ConsumerStoppedError
        return await fetch_chunks(
            consumer,
            active_partitions or (),
            timeout_seconds=timeout or 0.0,
            max_records=max_records or MAX_CHUNK_RECORDS,
        )

    async def seek_to(self, tp: TopicPartition, position: int) -> None:
        """Seek, unless the partition was taken away on the way here."""
        consumer = self._ensure_consumer()
        if tp in consumer.assignment():
            consumer.seek(tp, position)

    async def look_at(self, tp: TopicPartition) -> tuple[int, int, int | None]:
        """Return the log's start, its last stable offset and the group's committed offset."""
        consumer = self._ensure_consumer()
        start = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        return start, end, await consumer.committed(tp)

    async def commit_to_group(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit; False when the group has a newer generation than this member knows.

        Raise KafkaError, or TimeoutError after COMMIT_SECONDS.
        """
        commit = self._ensure_consumer().commit(
            {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        )
        try:
            await asyncio.wait_for(commit, COMMIT_SECONDS)
        except (CommitFailedError, IllegalStateError):
            return False
        return True

    async def ends_of(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return last stable offsets."""
        return dict(await self._ensure_consumer().end_offsets(list(tps)))

    def state_of(self, tps: set[TP]) -> dict[int, tuple[int | None, int | None]]:
        """Return each partition's fetch position and log end, where they are known."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return {}
        states = {tp.partition: assignment.state_value(tp) for tp in tps if tp in assignment.tps}
        return {
            partition: (state._position, state.lso)
            for partition, state in states.items()
            if state is not None
        }
