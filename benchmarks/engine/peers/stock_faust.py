"""Stock Faust: a tumbling table in memory with a changelog, committed every second.

Usage: stock_faust.py BOOTSTRAP TOPIC GROUP OUTPUT; the counts are in the changelog, OUTPUT's
directory is Faust's. At least once; duplicates are not looked for.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
from event_time import event_ms

PARTITIONS = 4


def main() -> None:
    """Count until SIGTERM."""
    bootstrap, topic, group, output = sys.argv[1:]
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=str(Path(output).parent / "faust"),
        value_serializer="raw",
        key_serializer="raw",
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        table_standby_replicas=0,
        producer_linger=0.05,
        producer_max_batch_size=512 * 1024,
    )
    # Faust expires windows by the wall clock: what is shorter deletes them while they are counted.
    counts = app.Table(
        "counts", default=int, key_type=str, value_type=int, partitions=PARTITIONS,
    ).tumbling(300.0, expires=timedelta(days=36_500)).relative_to(_event_seconds)  # fmt: skip

    @app.agent(app.topic(topic))
    async def count(events: Any) -> None:
        async for event in events.events():
            counts[event.key.decode("latin-1")] += 1

    worker = faust.Worker(app, loglevel="WARNING", quiet=True)
    worker.execute_from_commandline()


def _event_seconds(event: Any) -> float:
    return event_ms(event.value) / 1000


if __name__ == "__main__":
    main()
