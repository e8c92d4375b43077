"""What an event costs, counted in Python calls: no clock, so a busy machine changes nothing."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from prometheus_client import CollectorRegistry

from streams import packed
from streams.agents.fold import CountingFold
from streams.cloudtrail.record import Activity
from streams.codecs import Codecs
from streams.codecs.varint import encode_long
from streams.engine import batches
from streams.engine.batches import BatchRecords, FetchedBatches
from streams.engine.job import Chunk
from streams.metrics import Metrics
from streams.packed import pure
from streams.settings import load_settings
from streams.state import keys

CHUNKS = 4
RECORDS = 2_500
BATCH = 250
KEYS = 200
START_MS = 1_767_614_400_000
SETTINGS = load_settings({}, kafka_partitions=1)

# Calls for each 1,000 events, of Python and of C: measured, and a tenth more for other versions of
# Python. A change that raises one of them slows every worker: it needs a reason, written here.
MOST = {"packed": 385, "listed": 1_470}


def count_calls(work: Callable[[], object]) -> int:
    """Return how many functions were called, as `sys.setprofile` sees them."""
    calls = 0

    def note(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture(scope="module")
def fetched() -> list[bytes]:
    """Return what fetches would bring: events of one window, a batch of them at a time."""
    codecs, rng = Codecs(), np.random.default_rng(5)
    names = [f"example-{number}" for number in range(KEYS)]
    keys = [codecs.activity_key(Activity("111122223333", *[name] * 7, "")) for name in names]
    head, tail = codecs.progress("", START_MS)[1][:10], bytes(200)

    def batch(base: int) -> bytes:
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
        for at in range(BATCH):
            time = encode_long(START_MS + int(rng.integers(300_000)))
            value = head + rng.bytes(16) + time + tail
            builder.append(at, START_MS, keys[rng.integers(KEYS)], value, [])
        return base.to_bytes(8, "big") + bytes(builder.build()[8:])

    return [b"".join(map(batch, range(0, RECORDS, BATCH))) for _ in range(CHUNKS)]


def read(raw: bytes) -> Chunk:
    """Take a fetch as the worker does."""
    tp = TopicPartition("records", 0)
    source = BatchRecords(tp, FetchedBatches(raw), None, 0, None, None, True, READ_COMMITTED)
    return Chunk(0, 0, RECORDS, source.take(RECORDS))


@pytest.mark.parametrize("kind", MOST)
def test_calls_for_a_thousand_events_do_not_grow(
    kind: str, fetched: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "listed":
        monkeypatch.setattr(batches, "walk", None)
        monkeypatch.setattr(keys, "KeyTable", pure.KeyTable)
    elif packed.walk is None:
        pytest.skip("streams/packed was installed without a compiler")
    metrics = Metrics(CollectorRegistry(), max_series=1_000)
    fold = CountingFold(0, {}, settings=SETTINGS, codecs=Codecs(), metrics=metrics)
    first, *others = fetched
    for _ in fold.fold(read(first)):
        pass
    fold.snapshot()

    def work() -> None:
        for raw in others:
            for _ in fold.fold(read(raw)):
                pass
        fold.snapshot()

    calls = count_calls(work)
    assert calls / (len(others) * RECORDS / 1_000) <= MOST[kind], kind
