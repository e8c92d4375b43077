"""The worker as it is, looking for orders in its transactions.

Usage: python worker.py; FAULTS_ORDERS is their folder, settings come from TRAILSTREAMS_*.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

# Run by path, it finds its own folder there; its package is one above.
sys.path[0] = str(Path(__file__).parents[1])

from aiokafka import AIOKafkaProducer  # noqa: E402

from faults.orders import Moment, Obedience  # noqa: E402
from faults.timing import quick_deaths  # noqa: E402
from streams.cli import main  # noqa: E402
from streams.engine import consumer_thread, writer  # noqa: E402


def obey(obedience: Obedience) -> None:
    """Have everything that writes look for orders."""
    begin, commit = AIOKafkaProducer.begin_transaction, AIOKafkaProducer.commit_transaction

    async def begin_transaction(self: AIOKafkaProducer) -> None:
        await begin(self)
        obedience.at(Moment.BEGUN)

    async def commit_transaction(self: AIOKafkaProducer) -> None:
        obedience.at(Moment.ACKED)
        obedience.during(Moment.ENDING)
        await commit(self)
        obedience.at(Moment.ENDED)

    AIOKafkaProducer.begin_transaction = begin_transaction
    AIOKafkaProducer.commit_transaction = commit_transaction
    partition_writer: Any = writer.PartitionWriter
    partition_writer.start = _then(partition_writer.start, obedience, Moment.FENCED)
    partition_writer._send = _then(partition_writer._send, obedience, Moment.WRITTEN)


def _then(
    method: Callable[..., Awaitable[Any]], obedience: Obedience, moment: Moment
) -> Callable[..., Awaitable[Any]]:
    async def then(self: object, *arguments: Any) -> Any:
        result = await method(self, *arguments)
        obedience.at(moment)
        return result

    return then


if __name__ == "__main__":
    obey(Obedience(Path(os.environ["FAULTS_ORDERS"])))
    writer.TRANSACTION_TIMEOUT_SECONDS = int(os.environ["FAULTS_TRANSACTION_SECONDS"])
    # Small chunks: more ends of chunks for a fault to fall between.
    consumer_thread.MAX_CHUNK_RECORDS = 200
    sys.argv[1:] = ["worker"]
    with quick_deaths():
        main()
