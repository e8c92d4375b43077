"""Partitions on a real broker, opened, spoiled and taken away by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from helpers.kafka import create_topics, read_all

from streams.engine.job import Chunk, Output
from streams.engine.meta import META_KEY, decode_meta
from streams.engine.partition import SLICE_SECONDS, OwnedPartition, SourceLog
from streams.engine.runtime import RevokedError, Runtime
from streams.errors import KafkaUnavailableError
from streams.settings import Settings

LOG = SourceLog(start=0, end=1_000, topic_id="the-topic", group_offset=None)


class Job:
    """One row a chunk, and a pause in each; its own Fold, because it has one partition."""

    def __init__(self, settings: Settings) -> None:
        self.source_topic = f"{settings.topic_prefix}records"
        self.changelog_topic = settings.changelog_topic
        self.built_with = {"example": "1"}
        self.dirty_rows = 0
        self._rows: list[tuple[bytes, bytes]] = []

    def open(self, partition: int, rows: Mapping[bytes, bytes]) -> "Job":  # noqa: ARG002
        return self

    def fold(self, chunk: Chunk) -> Iterator[None]:
        self._rows.append((b"\x02%d" % chunk.start, b"first half"))
        time.sleep(2 * SLICE_SECONDS)
        yield
        self._rows.append((b"\x02%d" % chunk.start, b"whole"))

    def snapshot(self) -> Output:
        rows, self._rows = self._rows, []
        return Output(rows=rows, messages={}, on_committed=lambda: None)

    def own(self) -> None:
        pass

    def disown(self) -> None:
        pass

    def flushed(self, partition: int, seconds: float, rows: int) -> None:
        pass

    def recovered(self, partition: int, seconds: float, rows: int) -> None:
        pass

    def lag(self, partition: int, records: int) -> None:
        pass

    def ready(self, ready: bool) -> None:
        pass


class Source:
    """A consumer's twin in memory: a member of its group until told otherwise."""

    def __init__(self) -> None:
        self.is_member = True
        self.unavailable = 0
        self.log = LOG
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def positions(self) -> dict[int, int]:
        return {}

    def log_ends(self) -> dict[int, int]:
        return {}

    async def seek_source(self, partition: int, position: int) -> None:
        pass

    async def source_log(self, partition: int) -> SourceLog:  # noqa: ARG002
        if self.unavailable:
            self.unavailable -= 1
            raise KafkaUnavailableError("no Kafka broker answers")
        log = self.log
        if self.meanwhile is not None:
            await self.meanwhile()
        return log

    async def commit_positions(self, positions: dict[int, int]) -> bool:  # noqa: ARG002
        return self.is_member


def chunk(start: int, partition: int = 0) -> Chunk:
    return Chunk(partition, start, start + 10, [])


def rows(settings: Settings) -> dict[bytes, bytes]:
    return {m.key(): m.value() for m in read_all(settings, settings.changelog_topic)}


def position(settings: Settings) -> int:
    return decode_meta(rows(settings)[META_KEY]).position


@pytest.fixture
def topics(settings: Settings) -> Settings:
    create_topics(settings, {settings.changelog_topic: {"cleanup.policy": "compact"}})
    return settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[OwnedPartition]:
    owned = OwnedPartition(settings, Job(settings), 0)
    try:
        await owned.fence()
        await owned.open(LOG, None)
        yield owned
    finally:
        await owned.close(park=False)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Runtime, Source]]:
    job, source = Job(settings), Source()
    runtime = Runtime(settings, job, job)
    runtime.attach(source)
    try:
        yield runtime, source
    finally:
        await runtime.release(park=False)


async def fails(awaitable: Awaitable[Any]) -> None:
    with pytest.raises(KafkaTimeoutError):
        await awaitable


def break_writes(owned: OwnedPartition, until: asyncio.Event) -> None:
    async def write(_: object, __: object) -> dict[str, int]:
        await until.wait()
        raise KafkaTimeoutError("the answer never came")

    owned._writer.write = write  # type: ignore[method-assign]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


def test_a_flush_that_waited_for_one_that_failed_writes_nothing(topics: Settings) -> None:
    async def scenario() -> None:
        async with opened(topics) as owned:
            write, failing = owned._writer.write, asyncio.Event()
            break_writes(owned, failing)
            await owned.process(chunk(0))
            first = asyncio.ensure_future(owned.flush())
            await asyncio.sleep(0)
            # More comes while the first flush is under way, and a second one waits for it.
            await owned.process(chunk(10))
            second = asyncio.ensure_future(owned.flush())
            failing.set()
            await fails(first)
            owned._writer.write = write  # type: ignore[method-assign]
            assert await second is False
            assert await owned.flush() is False
            assert await owned.close(park=True) is None

    run(scenario)
    # The second alone would have moved the position past rows that were never written.
    assert position(topics) == 0


def test_a_fold_that_was_cancelled_halfway_is_never_written(topics: Settings) -> None:
    async def scenario() -> None:
        async with opened(topics) as owned:
            await owned.process(chunk(0))
            halfway = asyncio.ensure_future(owned.process(chunk(10)))
            await asyncio.sleep(0)
            halfway.cancel()
            with pytest.raises(asyncio.CancelledError):
                await halfway
            assert await owned.flush() is False
            # What comes now must not be folded on top of it either.
            await owned.process(chunk(10))
            assert await owned.flush() is False
            assert await owned.close(park=True) is None

    run(scenario)
    assert position(topics) == 0
    assert rows(topics).keys() == {META_KEY}


def test_a_partition_spoiled_by_a_cancelled_fold_is_read_back(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, _):
            runtime.granted()
            await runtime.open([0])
            before = runtime.owned[0]
            halfway = asyncio.ensure_future(runtime.process(chunk(0)))
            await asyncio.sleep(0)
            halfway.cancel()
            await asyncio.gather(halfway, return_exceptions=True)
            assert 0 not in runtime.owned
            await asyncio.wait_for(runtime._lost[0], 30)
            assert runtime.owned[0] is not before
            await runtime.process(chunk(0))
            await runtime.flush()

    run(scenario)
    assert position(topics) == 10


def test_a_partition_whose_last_flush_fails_is_not_regained(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, _):
            runtime.granted()
            await runtime.open([0])
            failing = asyncio.Event()
            failing.set()
            break_writes(runtime.owned[0], failing)
            await runtime.process(chunk(0))
            await runtime.release(park=True)
            assert not runtime._lost
            assert not runtime._parked
            assert not runtime.owned

    run(scenario)
    assert position(topics) == 0


def test_nothing_is_opened_between_a_revocation_and_the_next_assignment(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, _):
            runtime.granted()
            await runtime.open([0])
            await runtime.release(park=True)
            with pytest.raises(RevokedError):
                await runtime.open([0])
            assert not runtime.owned
            runtime.granted()
            await runtime.open([0])
            assert runtime.owned.keys() == {0}

    run(scenario)


def test_what_is_not_assigned_any_more_is_let_go(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, _):
            runtime.granted()
            await runtime.open([0, 1])
            await runtime.open([1])
            assert runtime.owned.keys() == {1}

    run(scenario)


def test_a_worker_that_is_no_member_waits_before_it_fences(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, source):
            runtime.granted()
            await runtime.open([0])
            failing = asyncio.Event()
            failing.set()
            break_writes(runtime.owned[0], failing)
            source.is_member = False
            await runtime.process(chunk(0))
            await runtime.flush()
            assert runtime._lost
            # Another owner comes; nobody fences it as long as the group does not know us.
            async with opened(topics) as other:
                await other.process(chunk(0))
                assert await other.flush() is True
                assert 0 not in runtime.owned

    run(scenario)
    assert position(topics) == 10


def test_a_broker_that_is_away_while_a_partition_is_opened_is_waited_for(topics: Settings) -> None:
    async def scenario() -> None:
        async with running(topics) as (runtime, source):
            source.unavailable = 2
            runtime.granted()
            await runtime.open([0])
            assert runtime.owned.keys() == {0}
            assert runtime.failure is None

    run(scenario)


def test_an_owner_may_go_on_until_it_is_fenced(topics: Settings) -> None:
    async def scenario() -> None:
        async with opened(topics) as other, running(topics) as (runtime, source):

            async def go_on() -> None:
                with suppress(KafkaError):
                    await other.process(chunk(0))
                    await other.flush()

            # The log grows to 10 after it was looked at, and its owner counts what is new.
            source.log = SourceLog(start=0, end=0, topic_id="the-topic", group_offset=None)
            source.meanwhile = go_on
            runtime.granted()
            await runtime.open([0])
            assert runtime.owned[0].position == 0

    run(scenario)
    assert position(topics) == 0
