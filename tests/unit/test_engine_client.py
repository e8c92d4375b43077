import asyncio
from unittest.mock import AsyncMock

import pytest
from aiokafka import client as aiokafka_client
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataResponse_v1

from streams.engine.batches import batch_consumer
from streams.engine.client import Client, client_config
from streams.engine.writer import PartitionWriter
from streams.settings import load_settings

SETTINGS = load_settings({}, kafka_bootstrap_servers="localhost:9")


def test_consumers_and_producers_get_our_client() -> None:
    async def check() -> None:
        consumer = batch_consumer(**client_config(SETTINGS))
        writer = PartitionWriter(SETTINGS, "records", 0)
        assert type(consumer._client) is type(writer._producer.client) is Client
        await consumer.stop()
        await writer.stop()

    asyncio.run(check())


def test_a_cluster_without_a_live_broker_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = AsyncMock()
    connection.send.return_value = MetadataResponse_v1([], 1, [])
    monkeypatch.setattr(aiokafka_client, "create_conn", AsyncMock(return_value=connection))

    async def check() -> None:
        writer = PartitionWriter(SETTINGS, "records", 0)
        with pytest.raises(KafkaConnectionError, match="no broker is alive"):
            await writer.start()
        await writer.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(check())
    connection.close.assert_awaited()
