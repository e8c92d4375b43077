"""The worker with small chunks and a delay before each: time enough to kill it where one wants.

SLOW_WORKER_SECONDS before each chunk, SLOW_OPEN_SECONDS in each partition's recovery.
"""

import os
import time
from collections.abc import Iterator, Mapping

from streams.agents.fold import CountingFold
from streams.agents.job import CountingJob
from streams.cli import main
from streams.engine import consumer_thread
from streams.engine.job import Chunk

CHUNK_RECORDS = 40
DELAY_SECONDS = float(os.environ.get("SLOW_WORKER_SECONDS", "0.05"))
OPEN_SECONDS = float(os.environ.get("SLOW_OPEN_SECONDS", "0"))

fold_at_full_speed = CountingFold.fold
open_at_full_speed = CountingJob.open


def fold(self: CountingFold, chunk: Chunk) -> Iterator[None]:
    time.sleep(DELAY_SECONDS)
    yield from fold_at_full_speed(self, chunk)


def open_slowly(self: CountingJob, partition: int, rows: Mapping[bytes, bytes]) -> CountingFold:
    print(f"opening {partition}", flush=True)
    time.sleep(OPEN_SECONDS)
    return open_at_full_speed(self, partition, rows)


if __name__ == "__main__":
    consumer_thread.MAX_CHUNK_RECORDS = CHUNK_RECORDS
    CountingFold.fold = fold  # type: ignore[method-assign]
    CountingJob.open = open_slowly  # type: ignore[method-assign]
    main()
