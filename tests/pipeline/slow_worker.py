"""The worker with small chunks and a delay before each: time enough to kill it where one wants."""

import os
import time
from collections.abc import Iterator

from streams.agents.fold import CountingFold
from streams.cli import main
from streams.engine import transport
from streams.engine.job import Chunk

CHUNK_RECORDS = 40
DELAY_SECONDS = float(os.environ.get("SLOW_WORKER_SECONDS", "0.05"))

fold_at_full_speed = CountingFold.fold


def fold(self: CountingFold, chunk: Chunk) -> Iterator[None]:
    time.sleep(DELAY_SECONDS)
    yield from fold_at_full_speed(self, chunk)


if __name__ == "__main__":
    transport.MAX_CHUNK_RECORDS = CHUNK_RECORDS
    CountingFold.fold = fold  # type: ignore[method-assign]
    main()
