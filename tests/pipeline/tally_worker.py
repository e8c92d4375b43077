"""A worker that only counts keys: the engine with nothing of CloudTrail on it, for its tests.

Usage: python tally_worker.py (settings from TRAILSTREAMS_*, fold delay from TALLY_DELAY seconds).
"""

import asyncio
import logging
import os
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from streams.app import create_app, run_until_stopped
from streams.engine import consumer_thread
from streams.engine.job import Chunk, Output
from streams.engine.runtime import Runtime
from streams.settings import Settings, load_settings


class TallyFold:
    def __init__(self, rows: Mapping[bytes, bytes], topic: str, delay: float) -> None:
        self._counts = {key[1:]: struct.unpack("<q", value)[0] for key, value in rows.items()}
        self._dirty: set[bytes] = set()
        self._topic = topic
        self._delay = delay

    @property
    def dirty_rows(self) -> int:
        return len(self._dirty)

    def fold(self, chunk: Chunk) -> Iterator[None]:
        if os.environ.get("TALLY_BUG"):
            raise ZeroDivisionError("a bug")
        for key, count in Counter(chunk.records.keys).items():
            self._counts[key] = self._counts.get(key, 0) + count
            self._dirty.add(key)
        time.sleep(self._delay)
        yield

    def snapshot(self) -> Output:
        rows = [(key, struct.pack("<q", self._counts[key])) for key in self._dirty]
        self._dirty.clear()
        return Output(
            rows=[(b"\x02" + key, value) for key, value in rows],
            messages={self._topic: rows},
            on_committed=lambda: None,
        )

    def own(self) -> None:
        pass

    def disown(self) -> None:
        pass


class TallyJob:
    def __init__(self, settings: Settings) -> None:
        self.source_topic = f"{settings.topic_prefix}records"
        self.changelog_topic = settings.changelog_topic
        self.built_with = {"tally": "1"}
        self._derived = f"{settings.topic_prefix}tallies"

    def open(self, partition: int, rows: Mapping[bytes, bytes]) -> TallyFold:  # noqa: ARG002
        return TallyFold(rows, self._derived, float(os.environ.get("TALLY_DELAY", "0")))

    def flushed(self, partition: int, seconds: float, rows: int) -> None:
        pass

    def recovered(self, partition: int, seconds: float, rows: int) -> None:
        pass

    def lag(self, partition: int, records: int) -> None:
        pass

    def ready(self, ready: bool) -> None:
        print(f"READY {int(ready)}", flush=True)


# Small, so that a delay before each leaves time to do something to the worker in between.
consumer_thread.MAX_CHUNK_RECORDS = 1_000


async def main() -> None:
    settings = load_settings()
    runtime = Runtime(settings, TallyJob(settings), TallyJob(settings))
    app = create_app(settings, runtime)
    app.topic_id = lambda _: "the-topic"
    await run_until_stopped(app, runtime)
    if runtime.failure:
        raise SystemExit(f"error: {runtime.failure}")


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("TALLY_LOG", "INFO"))
    asyncio.run(main())
