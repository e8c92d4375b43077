"""All partitions a worker owns: opening, folding, flushing, losing and getting them back."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, Protocol

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from streams.engine.aside import aside
from streams.engine.job import Chunk, Job, NotYetError, Observer
from streams.engine.meta import check_topic_id
from streams.engine.partition import OwnedPartition, Parked, SourceLog
from streams.errors import KafkaUnavailableError, TrailstreamsError
from streams.settings import Settings

logger = logging.getLogger(__name__)

# Waiting does not mend these.
REFUSED = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
PARKED_SECONDS = 60
BACKOFF_SECONDS = (0.2, 0.5, 1, 2, 5, 10, 20, 30)
GIVE_UP_SECONDS = 600
# A worker that holds more than this many times `flush_rows` waits for a flush before it folds on.
DIRTY_CAP = 2


class RevokedError(Exception):
    """Raise when partitions were taken away while they were being opened."""


class Source(Protocol):
    """The group consumer, as the runtime needs it (see engine/transport.py)."""

    def positions(self) -> dict[int, int]:
        """Return the next fetch position of every owned partition that has one."""

    def log_ends(self) -> dict[int, int]:
        """Return the end of the log of every owned partition, as the last fetch told it."""

    async def seek_source(self, partition: int, position: int) -> None:
        """Fetch from this position next."""

    async def source_log(self, partition: int) -> SourceLog:
        """Look at the source partition."""

    async def topic_id(self) -> str:
        """Ask for Kafka's id of the source topic."""

    async def changelog_ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Ask for the last stable offset of these partitions' changelogs."""

    async def commit_positions(self, positions: dict[int, int]) -> bool:
        """Commit group offsets; False when the group no longer knows this member's generation.

        Raise KafkaError or TimeoutError where that cannot be told.
        """


class Runtime:
    """The partitions of one worker; lives in the worker's event loop."""

    def __init__(self, settings: Settings, job: Job, observer: Observer) -> None:
        self.settings = settings
        self.job = job
        self._observer = observer
        self._source: Source | None = None
        self._owned: dict[int, OwnedPartition] = {}
        self._lost: dict[int, asyncio.Task[None]] = {}
        self._opening: list[asyncio.Task[None]] = []
        self._parked: dict[int, Parked] = {}
        self._early: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._revoked = False
        self._chunks_taken = 0
        self._taken_at_last_check = -1
        self._ahead: dict[int, tuple[int, int]] = {}
        self._group_offsets: dict[int, int] = {}
        self._topic_id = ""
        self.failed = asyncio.Event()
        self.failure: TrailstreamsError | None = None
        self.ready = False
        self._has_joined = False

    def attach(self, source: Source) -> None:
        """Bind the runtime to its consumer."""
        self._source = source

    @property
    def source(self) -> Source:
        """The attached consumer."""
        if self._source is None:
            raise RuntimeError("the runtime has no consumer yet")
        return self._source

    @property
    def owned(self) -> dict[int, OwnedPartition]:
        """Partitions that are open and move."""
        return self._owned

    def fail(self, error: TrailstreamsError) -> None:
        """End the worker with this error."""
        if self.failure is None:
            self.failure = error
            self.failed.set()

    # -- ownership ---------------------------------------------------------------------------

    def granted(self) -> None:
        """Note that the group has assigned partitions: they may be opened until `release`."""
        self._revoked = False

    async def open(self, partitions: Collection[int]) -> None:
        """Open every assigned partition; return when all are recovered and sought.

        Raise RevokedError when `release` came before the end, and what kept one from opening.
        """
        await self._close_all(park=True)
        if self._revoked:
            # An assignment of before: opening it would fence whoever it belongs to now.
            raise RevokedError
        self._drop_old_parked()
        self._group_offsets.clear()
        self._opening = [asyncio.ensure_future(self._open_until_done(p)) for p in partitions]
        try:
            if self._opening:
                await asyncio.wait(self._opening, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await _cancel([task for task in self._opening if not task.done()])
        finished = [task for task in self._opening if not task.cancelled()]
        # Of all, before the first is raised: asyncio prints those that nobody asked for.
        errors = [task.exception() for task in finished]
        for error in errors:
            if error is not None:
                raise error
        if len(finished) < len(self._opening):
            raise RevokedError

    async def _open_until_done(self, partition: int) -> None:
        """Open one partition, with back-off, until it succeeds or nothing more can be done."""
        started = time.monotonic()
        for pause_seconds in _pauses():
            try:
                await self._open(partition)
                break
            except REFUSED as error:
                self.fail(KafkaUnavailableError(f"Kafka refuses this worker: {error!r}"))
                raise
            except (KafkaError, KafkaUnavailableError, OSError, TimeoutError) as error:
                logger.warning("partition %d: cannot open yet: %r", partition, error)
                if time.monotonic() - started > GIVE_UP_SECONDS:
                    self.fail(
                        KafkaUnavailableError(
                            f"partition {partition} could not be opened in {GIVE_UP_SECONDS} s: "
                            f"{error!r}"
                        )
                    )
                    raise
            except TrailstreamsError as error:
                self.fail(error)
                raise
            await asyncio.sleep(pause_seconds)

    async def _open(self, partition: int) -> None:
        started = time.monotonic()
        owned = OwnedPartition(self.settings, self.job, partition)
        try:
            await owned.fence()
            log = await self.source.source_log(partition)
            self.check_source(log.topic_id)
            await owned.open(log, self._parked.pop(partition, None))
            await self.source.seek_source(partition, owned.position)
        except BaseException:
            await owned.close(park=False)
            raise
        self._owned[partition] = owned
        seconds = time.monotonic() - started
        logger.info(
            "partition %d open at %d: %d changelog records in %.2f s",
            partition,
            owned.position,
            owned.recovered_records,
            seconds,
        )
        self._observer.recovered(partition, seconds, owned.recovered_records)

    def check_source(self, topic_id: str) -> None:
        """Raise StateError when the source topic is no longer the one this worker began with.

        A topic that is gone is owned by nobody; whoever waits for its return goes on in another.
        """
        self._topic_id = self._topic_id or topic_id
        check_topic_id(self.job.source_topic, self._topic_id, topic_id)

    def _drop_old_parked(self) -> None:
        now = time.monotonic()
        for partition, parked in list(self._parked.items()):
            if now - parked.parked_at > PARKED_SECONDS:
                del self._parked[partition]

    async def release(self, *, park: bool) -> None:
        """Flush and close every partition; keep committed state for a quick return."""
        self._revoked = True
        self._has_joined = False
        self.tell_ready()
        await self._close_all(park=park)

    async def _close_all(self, *, park: bool) -> None:
        # Taken out first: one that fails from now on is closed with the others, not regained; its
        # next owner may be another worker.
        owned, self._owned = self._owned, {}
        # What is being opened would be owned after the revocation: two workers would show it.
        await _cancel([*self._opening, *self._lost.values(), *self._waiting])
        self._lost.clear()
        await self._flush_and_tell(owned)
        for partition, parked in zip(
            owned, await _gather([p.close(park=park) for p in owned.values()]), strict=True
        ):
            if parked is not None:
                self._parked[partition] = parked

    # -- data --------------------------------------------------------------------------------

    async def process(self, chunk: Chunk) -> None:
        """Fold one fetched chunk; a chunk of a partition that is not open is left for later."""
        self._chunks_taken += 1
        owned = self._owned.get(chunk.partition)
        if owned is None:
            return
        try:
            contiguous = await owned.process(chunk)
        except NotYetError as not_yet:
            self._keep(self._waiting, self._wait(owned, not_yet))
            return
        except TrailstreamsError as error:
            self.fail(error)
            return
        except BaseException as error:
            # Cancelled or failed halfway.
            self.lose(owned, f"folding failed: {error!r}")
            raise
        if not contiguous:
            # Fetched records vanished on the way (a rebalance clears queues): fetch them again.
            await self.source.seek_source(chunk.partition, owned.position)
        if owned.dirty_rows >= DIRTY_CAP * self.settings.flush_rows:
            await self._flush(owned)
        elif owned.dirty_rows >= self.settings.flush_rows and not owned.flushing:
            self._keep(self._early, self._flush(owned))

    def _keep(self, tasks: set[asyncio.Task[None]], coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it as a task that is in the set until its end; a bug in it ends the worker."""

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                logger.error("a task failed", exc_info=error)
                self.fail(TrailstreamsError(f"a task failed: {error!r}"))

        task = asyncio.ensure_future(coroutine)
        tasks.add(task)
        task.add_done_callback(ended)

    async def _wait(self, owned: OwnedPartition, not_yet: NotYetError) -> None:
        """Leave a partition where it is until its next chunk can be folded; then fetch it again.

        What comes of it meanwhile is let go: so its log's end, and with it the lag, is known.
        """
        for pause_seconds in _pauses():
            if self._owned.get(owned.partition) is not owned:
                return
            try:
                await aside(not_yet.ask)
                break
            except TrailstreamsError as error:
                logger.warning(
                    "partition %d waits at %d: %s", owned.partition, owned.position, error
                )
            await asyncio.sleep(pause_seconds)
        owned.waiting = False
        await self.source.seek_source(owned.partition, owned.position)

    async def flush(self) -> None:
        """Flush every open partition, tell the group, and say how far behind each is."""
        self._drop_old_parked()
        await self._flush_and_tell(dict(self._owned))
        for partition, end in self.source.log_ends().items():
            if (owned := self._owned.get(partition)) is not None:
                self._observer.lag(partition, max(0, end - owned.committed_position))

    async def _flush_and_tell(self, partitions: Mapping[int, OwnedPartition]) -> None:
        await _gather([self._flush(owned) for owned in partitions.values()])
        try:
            await self._commit_group_offsets(partitions)
        except REFUSED as error:
            self.fail(KafkaUnavailableError(f"Kafka refuses this worker: {error!r}"))
        except (KafkaError, OSError, TimeoutError) as error:
            logger.info("the group's offsets could not be committed: %r", error)

    async def _flush(self, owned: OwnedPartition) -> None:
        # Shielded: a cancelled flush would leave a transaction with an unknown end.
        await asyncio.shield(self._flush_to_the_end(owned))

    async def _flush_to_the_end(self, owned: OwnedPartition) -> None:
        started = time.monotonic()
        try:
            flushed = await owned.flush()
        except TrailstreamsError as error:
            self.fail(error)
        except (KafkaError, OSError, TimeoutError) as error:
            self.lose(owned, f"flush failed: {error!r}")
        else:
            if flushed:
                seconds = time.monotonic() - started
                self._observer.flushed(owned.partition, seconds, owned.flushed_rows)

    async def _commit_group_offsets(self, partitions: Mapping[int, OwnedPartition]) -> None:
        """Commit positions to the group: for lag tools only, nothing is ever read from them."""
        offsets = {
            partition: owned.committed_position
            for partition, owned in partitions.items()
            if owned.committed_position != self._group_offsets.get(partition)
        }
        if offsets and await self.source.commit_positions(offsets):
            self._group_offsets.update(offsets)

    # -- loss --------------------------------------------------------------------------------

    def lose(self, owned: OwnedPartition, why: str) -> None:
        """Forget a partition and read it back: what Kafka holds is the truth, not our memory."""
        partition = owned.partition
        if self._owned.get(partition) is not owned:
            return
        logger.warning("partition %d: reading state back: %s", partition, why)
        del self._owned[partition]
        self._lost[partition] = asyncio.ensure_future(self._regain(owned))

    async def _regain(self, owned: OwnedPartition) -> None:
        await asyncio.shield(owned.close(park=False))
        partition = owned.partition
        for pause_seconds in _pauses():
            await asyncio.sleep(pause_seconds)
            # Only a member the group still knows may fence: a zombie would fence the true owner.
            if await self._is_member(partition, owned.committed_position):
                await self._open_until_done(partition)
                break
        self._lost.pop(partition, None)

    async def _is_member(self, partition: int, position: int) -> bool:
        try:
            return await self.source.commit_positions({partition: position})
        except (KafkaError, OSError, TimeoutError):
            return False

    async def check_tails(self) -> None:
        """Seek back where the fetch position is past ours and nothing is on its way.

        Chunks wait in a queue that is Faust's own; but while one waits, the agent takes one. So
        when none was taken since the last check, what is missing is lost.
        """
        idle = self._chunks_taken == self._taken_at_last_check
        self._taken_at_last_check = self._chunks_taken
        ahead = {
            partition: (position, owned.position)
            for partition, position in self.source.positions().items()
            if (owned := self._owned.get(partition)) is not None
            and not (owned.busy or owned.waiting)
            and position > owned.position
        }
        lost = ahead.items() & self._ahead.items() if idle else set()
        self._ahead = ahead
        for partition, (_, position) in lost:
            logger.warning("partition %d: records lost at the tail, fetching again", partition)
            await self.source.seek_source(partition, position)

    def joined(self) -> None:
        """Note that the group has assigned partitions, perhaps none, and all are open."""
        self._has_joined = True
        self.tell_ready()

    def tell_ready(self) -> None:
        """Say whether the worker has joined and all its partitions move: none is lost or waits."""
        self.ready = self._has_joined and not (self._lost or self._waiting)
        self._observer.ready(self.ready)


def _pauses() -> Iterator[float]:
    """Yield how long to wait before each next try, for ever."""
    return chain(BACKOFF_SECONDS, repeat(BACKOFF_SECONDS[-1]))


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have let go of what they held."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _gather(coroutines: Collection[Coroutine[Any, Any, Any]]) -> list[Any]:
    return list(await asyncio.gather(*coroutines))
