"""The agent that counts: chunks of `records` in, exact counts and anomalies out."""

from typing import Any

import faust
from faust.types import AppT, Message, StreamT

from streams.engine.job import Chunk
from streams.engine.ownership import EngineApp

# Chunks that wait for the agent, over all partitions: this and the fetcher bound the prefetch.
WAITING_CHUNKS = 8


class RawChunks(faust.Schema):  # type: ignore[type-arg]
    """Hands the transport's chunks on as they are."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> None:
        """Return nothing: a chunk has many keys."""

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:  # noqa: ARG002
        """Return the chunk."""
        return message.value


def create_count_agent(app: EngineApp, records_topic: str) -> None:
    """Subscribe the counting agent to the records topic."""
    topic = app.topic(records_topic, schema=RawChunks(), maxsize=WAITING_CHUNKS)

    @app.agent(topic, name="count")
    async def count(chunks: StreamT[Chunk]) -> None:
        async for chunk in chunks:
            await app.runtime.process(chunk)
