"""Faust's transport `chunks://`: one message per fetched chunk, seeks and commits by our positions.

Faust's acknowledgements decide nothing here: a chunk is folded when the runtime says so, and its
position is committed with the state, in the changelog.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.engine.aside import aside
from streams.engine.consumer_thread import ConsumerThread
from streams.engine.job import Chunk
from streams.engine.meta import REMEDY
from streams.engine.partition import SourceLog
from streams.engine.runtime import Runtime
from streams.errors import StateError


class Consumer(driver.Consumer):
    """Delivers chunks to Faust's conductor, and the group's will to the runtime."""

    transport: "Transport"
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runtime.attach(self)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def runtime(self) -> Runtime:
        """The runtime of the application on this transport."""
        return self.transport.runtime

    # -- delivery ----------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self._deliver_next()
        except OffsetOutOfRangeError as error:
            self.runtime.fail(
                StateError(
                    f"position {error} is no longer in the source log: records were deleted "
                    f"before they were counted; {REMEDY}"
                )
            )
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _deliver_next(self) -> None:
        records, _ = await self._wait_next_records(1.0)
        # Read after the wait, which may have spanned a rebalance.
        generation = self.app.consumer_generation_id
        chunks: dict[TP, Chunk] = records or {}  # type: ignore[assignment]
        if not chunks:
            await asyncio.sleep(0)
            return
        for tp, chunk in chunks.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                # What is dropped here is fetched again: the runtime sees the hole.
                return
            message = _message(tp, chunk, generation)
            await self.wait_first(self.callback(message), self.suspend_flow.wait())

    # -- commits -----------------------------------------------------------------------------

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Flush all partitions: this is what Faust's commit timer does here."""
        self._forget_acks()
        await self.runtime.flush()
        if self.flow_active and not self.app.rebalancing and not self.app.in_recovery:
            await self.runtime.check_tails()
            self.runtime.tell_ready()
        return True

    def _forget_acks(self) -> None:
        for tp in list(self._acked):
            self._acked[tp].clear()
            self._acked_index[tp].clear()

    async def wait_empty(self) -> None:
        """Flush; what agents still hold is refused by the runtime when it comes."""
        await self.commit()

    async def verify_all_partitions_active(self) -> None:
        """Leave out Faust's livelock check: it looks at acknowledgements, which mean nothing."""

    # -- ownership ---------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, commit, stop writing; then let Faust do the rest."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self.maybe_wait_for_commit_to_finish()
        await self.runtime.release(park=True)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Let the runtime open what is assigned now; then let Faust do the rest."""
        self.runtime.granted()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the runtime's positions, not to the group's."""
        topic = self.runtime.job.source_topic
        positions = {TP(topic, p): owned.position for p, owned in self.runtime.owned.items()}
        for tp, position in positions.items():
            await self.seek_source(tp.partition, position)
        return positions

    async def on_stop(self) -> None:
        """Flush, stop writing, leave."""
        await super().on_stop()
        await self.runtime.release(park=False)

    # -- engine/runtime.py: Source -----------------------------------------------------------

    def _source_tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.runtime.job.source_topic, partition)

    def _source_tps(self) -> set[TP]:
        topic = self.runtime.job.source_topic
        return {tp for tp in ensure_TPset(self.assignment()) if tp.topic == topic}

    def positions(self) -> dict[int, int]:
        """Return the fetch position of every assigned source partition."""
        state = self._thread.state_of(self._source_tps())
        return {p: position for p, (position, _) in state.items() if position is not None}

    def log_ends(self) -> dict[int, int]:
        """Return the last stable offset of every assigned source partition."""
        state = self._thread.state_of(self._source_tps())
        return {p: end for p, (_, end) in state.items() if end is not None}

    async def seek_source(self, partition: int, position: int) -> None:
        """Seek in the consumer's thread: from any other it can kill the fetcher."""
        await self._thread.call_thread(self._thread.seek_to, self._source_tp(partition), position)

    async def source_log(self, partition: int) -> SourceLog:
        """Ask the broker for the source partition's ends and the group's offset."""
        tp = self._source_tp(partition)
        start, end, committed = await self._thread.call_thread(self._thread.look_at, tp)
        topic_id = await self.topic_id()
        return SourceLog(start=start, end=end, topic_id=topic_id, group_offset=committed)

    async def topic_id(self) -> str:
        """Ask with another client: aiokafka does not know of topic ids."""
        topic = self.runtime.job.source_topic
        return await aside(lambda: self.transport.topic_id(topic))

    async def changelog_ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Ask the broker for the ends of changelog partitions."""
        topic = self.runtime.job.changelog_topic
        tps = [TopicPartition(topic, partition) for partition in partitions]
        ends = await self._thread.call_thread(self._thread.ends_of, tps)
        return {tp.partition: end for tp, end in ends.items()}

    async def commit_positions(self, positions: dict[int, int]) -> bool:
        """Commit to the group."""
        offsets = {self._source_tp(p): position for p, position in positions.items()}
        return bool(await self._thread.call_thread(self._thread.commit_to_group, offsets))


def _message(tp: TP, chunk: Chunk, generation: int) -> ConsumerMessage:
    return ConsumerMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=chunk.start,
        timestamp=0.0,
        timestamp_type=1,
        headers=[],
        key=None,
        value=chunk,  # type: ignore[arg-type]  # Faust passes it on untouched
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=TP(*tp),
        generation_id=generation,
    )


class Transport(driver.Transport):
    """Bound by `app.create_app`: Faust makes transports by URL and can hand over nothing else."""

    Consumer: ClassVar[type[Consumer]] = Consumer

    runtime: Runtime
    topic_id: Callable[[str], str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runtime = self.app.runtime  # type: ignore[attr-defined]
        self.topic_id = self.app.topic_id  # type: ignore[attr-defined]
