"""A million changelog rows on a real broker: reading them, restoring from them, and both."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from benchmarks.state.play import Play
from benchmarks.state.process import result, say
from benchmarks.state.traffic import LIVE, open_partition
from streams import topics
from streams.broker import Broker
from streams.engine.changelog import Contents, read_changelog
from streams.engine.writer import PartitionWriter
from streams.settings import Settings, load_settings

GOAL_ROWS = 500_000
TRANSACTION_ROWS = 50_000


class Cost:
    """Seconds of this process and of the clock on the wall."""

    cpu = 0.0
    wall = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block."""
    cost = Cost()
    cpu, wall = time.process_time(), time.monotonic()
    yield cost
    cost.cpu, cost.wall = time.process_time() - cpu, time.monotonic() - wall


async def write(settings: Settings, rows: dict[bytes, bytes]) -> None:
    """Write rows as a worker does: in transactions."""
    writer = PartitionWriter(settings, topics.TopicNames.of(settings).records, 0)
    await writer.start()
    left = iter(rows.items())
    while part := list(islice(left, TRANSACTION_ROWS)):
        await writer.write([(settings.changelog_topic, part)], {})
    await writer.stop()


def read(settings: Settings) -> Contents:
    """Read all back, as a worker does that opens a partition."""
    return asyncio.run(read_changelog(settings, settings.changelog_topic, 0))


def main() -> None:
    """Fill a changelog, then measure."""
    play = Play(open_partition())
    play.run(LIVE, keep=True)
    stored = play.changelog
    del play
    with Broker() as broker:
        settings = load_settings(
            {}, app_id="recovery", kafka_bootstrap_servers=broker.bootstrap_servers,
            kafka_partitions=1, kafka_replication_factor=1, metrics_port=0,
        )  # fmt: skip
        topics.apply(settings)
        asyncio.run(write(settings, stored))
        number = len(stored)
        del stored
        gc.collect()
        with measured() as reading:
            contents = read(settings)
    if len(contents.rows) != number:
        raise SystemExit(f"{number} rows were written, {len(contents.rows)} were read")
    with measured() as restoring:
        partition = open_partition(contents.rows)
    both = Cost()
    both.cpu, both.wall = reading.cpu + restoring.cpu, reading.wall + restoring.wall
    case = f"recovery of {number:,} rows"
    results = []
    for name, cost in (("read", reading), ("restore", restoring), ("read and restore", both)):
        goal = {"at_least": GOAL_ROWS} if cost is both else {}
        note = f"{cost.wall:.2f} s on the wall"
        rate = number / cost.cpu
        results.append(result(case, f"{name}: rows per CPU-second", rate, "1/s", note=note, **goal))
    if partition.live_rows != LIVE.windows * LIVE.events_a_window:
        raise SystemExit(f"{partition.live_rows} live rows came back")
    say(results)


if __name__ == "__main__":
    main()
