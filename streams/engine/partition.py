"""One owned partition: state and position move together, and are committed together."""

import asyncio
import time
from collections.abc import Mapping
from itertools import chain

import numpy as np

from streams.engine.changelog import last_stable_offset, read_changelog
from streams.engine.job import Chunk, Fold, Job, NotYetError, Output
from streams.engine.meta import FORMAT, META_KEY, REMEDY, Meta, check_meta, decode_meta, encode_meta
from streams.engine.writer import PartitionWriter
from streams.errors import StateError
from streams.settings import Settings

SLICE_SECONDS = 0.02


class Parked:
    """State kept after a revoke, true as long as the changelog ends where we left it."""

    __slots__ = ("changelog_end", "fold", "parked_at", "position", "topic_id")

    def __init__(self, fold: Fold, position: int, changelog_end: int, topic_id: str) -> None:
        self.fold = fold
        self.position = position
        self.changelog_end = changelog_end
        self.topic_id = topic_id
        self.parked_at = time.monotonic()

    def fits(self, log: "SourceLog", changelog_end: int) -> bool:
        """Tell whether nothing has happened that opening from the changelog would show."""
        return (
            changelog_end == self.changelog_end
            and log.topic_id == self.topic_id
            and log.start <= self.position <= log.end
        )


class SourceLog:
    """What the source partition looks like when it is opened."""

    __slots__ = ("end", "group_offset", "start", "topic_id")

    def __init__(self, *, start: int, end: int, topic_id: str, group_offset: int | None) -> None:
        self.start = start
        self.end = end
        self.topic_id = topic_id
        self.group_offset = group_offset


class OwnedPartition:
    """The open state of one partition in the worker that owns it.

    Invariant: `position` is the next source offset that `fold` has not seen; both change in one
    step under `_folding`, and only what was snapshot under it is ever committed.
    Where a step was left halfway (a fold cancelled or failed, a flush failed or of unknown
    outcome), the memory is `_spoiled`: it neither folds nor writes again, and is to be read back.
    """

    def __init__(self, settings: Settings, job: Job, partition: int) -> None:
        self.partition = partition
        self.position = 0
        self.committed_position = -1
        self.recovered_records = 0
        self.flushed_rows = 0
        self._settings = settings
        self._job = job
        self._writer = PartitionWriter(settings, job.source_topic, partition)
        self._topic_id = ""
        self._changelog_end = 0
        self._fold: Fold | None = None
        self._spoiled = False
        self.waiting = False
        self._folding = asyncio.Lock()
        self._flushing = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a chunk is being folded right now."""
        return self._folding.locked()

    @property
    def flushing(self) -> bool:
        """Whether a flush is under way or waiting."""
        return self._flushing.locked()

    @property
    def changelog_end(self) -> int:
        """Where the changelog ended when this worker last wrote or read it."""
        return self._changelog_end

    @property
    def dirty_rows(self) -> int:
        """Rows the next flush will write, roughly."""
        return self._fold.dirty_rows if self._fold else 0

    async def fence(self) -> None:
        """Keep the previous owner from writing on; what it committed is what there is.

        Raise KafkaError, or TimeoutError where Kafka does not answer.
        """
        await self._writer.start()

    async def open(self, log: SourceLog, parked: Parked | None) -> None:
        """Recover the state, or take the parked one back.

        `log` was looked at after `fence`: until then the previous owner may go on, past an end
        that was seen sooner.
        Raise StateError where the state contradicts the log or the settings.
        """
        self._topic_id = log.topic_id
        topic = self._job.changelog_topic
        if parked is not None:
            end = await last_stable_offset(self._settings, topic, self.partition)
            if parked.fits(log, end):
                self._fold, self._changelog_end = parked.fold, end
                self.position = self.committed_position = parked.position
                self._fold.own()
                return
        contents = await read_changelog(self._settings, topic, self.partition)
        self._changelog_end = contents.end
        self.recovered_records = contents.records
        value = contents.rows.pop(META_KEY, None)
        if value is None:
            self._check_first_open(contents.rows, log)
            self.position = log.start
        else:
            self.position = self.committed_position = self._checked(decode_meta(value), log)
        # A million rows take a second or two: in a thread, so that heartbeats go on.
        try:
            self._fold = await asyncio.to_thread(self._job.open, self.partition, contents.rows)
        except StateError as error:
            raise StateError(f"{topic}-{self.partition}: {error}; {REMEDY}") from error
        self._fold.own()
        # A new partition commits where it starts before it consumes anything.
        await self.flush()

    def _checked(self, meta: Meta, log: SourceLog) -> int:
        check_meta(
            meta,
            where=f"{self._job.source_topic}-{self.partition}",
            topic_id=log.topic_id,
            built_with=self._job.built_with,
            log=(log.start, log.end),
        )
        return meta.position

    def _check_first_open(self, rows: Mapping[bytes, bytes], log: SourceLog) -> None:
        where = f"{self._job.changelog_topic}-{self.partition}"
        if rows:
            raise StateError(f"{where}: state without a meta row; {REMEDY}")
        if log.group_offset is not None:
            raise StateError(
                f"{where} is empty, but the group has committed offset {log.group_offset}: "
                f"the changelog was lost; {REMEDY}"
            )

    async def process(self, chunk: Chunk) -> bool:
        """Fold a chunk, or what of it is new; return False when records before it are missing.

        Raise NotYetError where it has to wait: nothing has changed then, and nothing is folded
        until the caller resets `waiting`.
        """
        async with self._folding:
            if self._fold is None or self._spoiled or self.waiting or chunk.next <= self.position:
                return True
            if chunk.start > self.position:
                return False
            if chunk.start < self.position:
                first = int(np.searchsorted(chunk.records.offsets, self.position))
                chunk = chunk._replace(start=self.position, records=chunk.records[first:])
            self._spoiled = True
            sliced_at = time.monotonic()
            try:
                for _ in self._fold.fold(chunk):
                    if time.monotonic() - sliced_at > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        sliced_at = time.monotonic()
            except NotYetError:
                self._spoiled, self.waiting = False, True
                raise
            self.position = chunk.next
            self._spoiled = False
            return True

    async def flush(self) -> bool:
        """Commit what has changed; return whether anything had.

        Raise KafkaError or TimeoutError when the outcome is a failure or unknown.
        """
        async with self._flushing:
            async with self._folding:
                unmoved = self.position == self.committed_position
                if self._fold is None or self._spoiled or unmoved:
                    return False
                output = self._fold.snapshot()
                position = self.position
            try:
                await self._commit(output, position)
            except BaseException:
                # What was in the snapshot is in no later one: nothing may be committed after it.
                self._spoiled = True
                raise
            return True

    async def _commit(self, output: Output, position: int) -> None:
        topic = self._job.changelog_topic
        meta = Meta(FORMAT, position, self._topic_id, self._job.built_with)
        rows = chain(output.rows, [(META_KEY, encode_meta(meta))])
        # A changelog made anew would take the rows that changed, and lack all others.
        ends = await self._writer.write(
            [(topic, rows), *output.messages.items()], {topic: self._changelog_end}
        )
        self._changelog_end = ends[topic]
        self.committed_position = position
        self.flushed_rows = len(output.rows) + 1
        output.on_committed()

    async def close(self, *, park: bool) -> Parked | None:
        """Stop writing; keep the state where it is all committed and may come back."""
        async with self._flushing, self._folding:
            fold, self._fold = self._fold, None
            await self._writer.stop()
        if fold is None:
            return None
        fold.disown()
        if park and not self._spoiled and self.position == self.committed_position:
            return Parked(fold, self.position, self._changelog_end, self._topic_id)
        return None
