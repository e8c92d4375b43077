"""One partition's transactional producer: fences the previous owner, writes all or nothing."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.engine.client import client_config
from streams.engine.job import Row
from streams.engine.meta import REMEDY
from streams.errors import StateError
from streams.settings import Settings
from streams.topics import transactional_id

logger = logging.getLogger(__name__)

# How long a dead owner's open transaction can block readers (KIP-98, transaction.timeout.ms).
TRANSACTION_TIMEOUT_SECONDS = 20
MAX_BATCH_BYTES = 512 * 1024
START_SECONDS = 60
STOP_SECONDS = 5
SLICE_ROWS = 2_000
"""Rows sent between two yields: they are made 8,192 at a time, at some 3 microseconds each."""


class PartitionWriter:
    """Writes of the owner of one partition; at most one transaction at a time."""

    def __init__(self, settings: Settings, source_topic: str, partition: int) -> None:
        self._partition = partition
        self._producer = AIOKafkaProducer(
            **client_config(settings),
            transactional_id=transactional_id(settings.app_id, source_topic, partition),
            transaction_timeout_ms=TRANSACTION_TIMEOUT_SECONDS * 1000,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=TRANSACTION_TIMEOUT_SECONDS * 1000,
        )

    async def start(self) -> None:
        """Fence whoever wrote before and abort the transaction it left open.

        Raise KafkaError, or TimeoutError after START_SECONDS.
        """
        async with asyncio.timeout(START_SECONDS):
            await self._producer.start()

    async def stop(self) -> None:
        """Close the connections; an unanswering broker is not waited for, whatever is open.

        The broker will abort it, and the next owner fences us in any case.
        """
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_SECONDS)
        except (KafkaError, TimeoutError) as error:
            # Left alone it would go on trying to reach the broker for ever.
            logger.info("partition %d: writing ended with %r", self._partition, error)
            if (sender := self._producer._sender.sender_task) is not None:
                sender.cancel()
            await self._producer.client.close()

    async def write(
        self, topics: Iterable[tuple[str, Iterable[Row]]], known_ends: Mapping[str, int]
    ) -> dict[str, int]:
        """Write the rows of all topics in one transaction and commit it.

        Return, per topic written, the offset after the transaction's own commit marker.
        Raise StateError, nothing being committed, when a topic ends before its known end.
        Raise KafkaError or TimeoutError when the outcome is a failure or unknown: the caller must
        forget its state and read it back.
        """
        ends: dict[str, int] = {}
        async with asyncio.timeout(TRANSACTION_TIMEOUT_SECONDS + 10):
            await self._producer.begin_transaction()
            for topic, rows in topics:
                if (end := await self._send(topic, rows, known_ends.get(topic, 0))) is not None:
                    ends[topic] = end
            await self._producer.commit_transaction()
        return ends

    async def _send(self, topic: str, rows: Iterable[Row], known_end: int) -> int | None:
        sent = []
        batch = self._producer.create_batch()
        for number, (key, value) in enumerate(rows, 1):
            if batch.append(key=key, value=value, timestamp=None) is None:
                sent.append(await self._send_batch(batch, topic))
                batch = self._producer.create_batch()
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise StateError(
                        f"{topic}-{self._partition}: a row of {len(value or b'')} bytes is larger "
                        f"than a batch of {MAX_BATCH_BYTES}"
                    )
            if number % SLICE_ROWS == 0:
                # Rows are made while they are read: let others have the loop in between.
                await asyncio.sleep(0)
        if batch.record_count():
            sent.append(await self._send_batch(batch, topic))
        # Every produce is awaited before EndTxn: else the broker backs off by 100 ms.
        written = await asyncio.gather(*(future for future, _ in sent))
        for metadata in written:
            # -1 where the broker no longer knows what it answered at first.
            if 0 <= metadata.offset < known_end:
                raise StateError(
                    f"{topic}-{self._partition} ended at {known_end} and now at {metadata.offset}: "
                    f"the changelog was lost; {REMEDY}"
                )
        return int(written[-1].offset) + sent[-1][1] + 1 if sent else None

    async def _send_batch(self, batch: Any, topic: str) -> tuple[asyncio.Future[Any], int]:
        count = batch.record_count()
        batch.close()
        return await self._producer.send_batch(batch, topic, partition=self._partition), count
