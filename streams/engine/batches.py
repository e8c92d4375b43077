"""Fetched record batches as columns; replaces aiokafka's reader of single records.

aiokafka builds a `ConsumerRecord` (3-4 µs) for each record and says nothing of the offsets that
held none. Here a batch is read at once: in place by `streams/packed` where that is compiled,
through aiokafka's own `DefaultRecordBatch` where it is not.
"""

import struct
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, conn
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from streams.engine.compression import HEADER_BYTES, Room, room_for
from streams.engine.frames import FrameConnection
from streams.engine.job import NO_RECORDS, Records
from streams.packed import Buffer, Walk, crc32c, walk

_LENGTH = struct.Struct(">8xi")
_MAGIC_AT = 16
_COUNT = struct.Struct(">57xi")
_CRC_COVERS_FROM = 21
_LOG_APPEND_TIME = 1


def batch_consumer(**config: Any) -> AIOKafkaConsumer:
    """Return a consumer whose records are taken by `fetch_chunks`, and by nothing else.

    From then on every connection and fetcher of this process is ours: aiokafka looks the names up.
    """
    conn.AIOKafkaConnection = FrameConnection
    fetcher.MemoryRecords = FetchedBatches
    fetcher.PartitionRecords = BatchRecords
    return AIOKafkaConsumer(**config)


class FetchedBatches:
    """What one fetch brought of one partition: the bytes, and where the next batch begins."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def size_in_bytes(self) -> int:
        """Return the bytes fetched."""
        return len(self.raw)

    def has_next(self) -> bool:
        """Whether another whole batch follows; a fetch may end within one."""
        return self._end(self.at) <= len(self.raw)

    def next_batch(self) -> DefaultRecordBatch:
        """Return the next batch and move past it."""
        begin, self.at = self.at, self._end(self.at)
        if self.raw[begin + _MAGIC_AT] != 2:
            raise CorruptRecordException(
                "expected message format v2, which Kafka 3 and later write"
            )
        return DefaultRecordBatch(memoryview(self.raw)[begin : self.at])

    def look_ahead(self, most: int) -> tuple[int, Room]:
        """Return how many batches, one at least, hold at most `most` records; and room for them.

        Raise CorruptRecordException where what follows is too short for a batch.
        """
        view, at, count, batches, size = memoryview(self.raw), self.at, 0, 0, 0
        while (end := self._end(at)) <= len(view):
            if end - at < HEADER_BYTES:
                raise CorruptRecordException(f"a record batch of {end - at} bytes")
            count += _COUNT.unpack_from(view, at)[0]
            if batches and count > most:
                break
            size += room_for(view[at:end])
            batches += 1
            at = end
        return batches, Room(size)

    def _end(self, at: int) -> int:
        if at + _LENGTH.size > len(self.raw):
            return len(self.raw) + 1
        return at + _LENGTH.size + int(_LENGTH.unpack_from(self.raw, at)[0])


class BatchRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """The batches of one fetch, taken as columns; aborted and control batches are left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A generator that holds `self`: this cycle kept every fetch until the garbage collector
        # came, which is seldom where few objects are made.
        self._records_iterator = None
        self.next_fetch_offset: int
        self._rest: Records | None = None
        self._end_offset = self.next_fetch_offset

    def has_more(self) -> bool:
        """Whether anything is left to take, if only offsets without records."""
        return self._rest is not None or self._records.has_next()

    def take(self, most: int) -> Records:
        """Return at most `most` records; `next_fetch_offset` moves past them.

        Raise CorruptRecordException where a batch is damaged.
        """
        rest, self._rest = self._rest, None
        records = self._take_batches(most) if rest is None else rest
        self.next_fetch_offset = self._end_offset
        if len(records) > most:
            self._rest, records = records[most:], records[:most]
            self.next_fetch_offset = int(self._rest.offsets[0])
        return records

    def _take_batches(self, most: int) -> Records:
        batches, room = self._records.look_ahead(most)
        return Records.joined([self._next(room) for _ in range(batches)])

    def _next(self, room: Room) -> Records:
        raw, begin = self._records.raw, self._records.at
        batch = self._records.next_batch()
        end = self._records.at
        if self._check_crcs and not _is_intact(batch, raw, begin, end):
            raise CorruptRecordException(f"{self._tp}: a record batch has a wrong CRC")
        start, self._end_offset = self._end_offset, batch.next_offset
        if self._is_left_out(batch):
            return NO_RECORDS
        records = read_batch(batch, *room.plain(raw, begin, end))
        # The broker sends whole batches: the first may begin before what was asked for.
        first = int(np.searchsorted(records.offsets, start))
        return records[first:] if first else records

    def _is_left_out(self, batch: DefaultRecordBatch) -> bool:
        """Whether a batch holds no record for us; as `PartitionRecords._unpack_records` does."""
        if self._isolation_level == fetcher.READ_COMMITTED:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)


def _is_intact(batch: DefaultRecordBatch, raw: bytes, begin: int, end: int) -> bool:
    if crc32c is None:
        return bool(batch.validate_crc())
    return bool(crc32c(raw, begin + _CRC_COVERS_FROM, end) == batch.crc)


def read_batch(batch: DefaultRecordBatch, buffer: Buffer, begin: int, end: int) -> Records:
    """Return the records of a batch that is, not compressed, `buffer[begin:end]`."""
    if walk is None:
        return _read_listed(DefaultRecordBatch(memoryview(buffer)[begin:end]))
    return _read_packed(walk, batch, buffer, begin, end)


def _read_listed(batch: DefaultRecordBatch) -> Records:
    records = list(batch)
    return Records(
        np.array([record.offset for record in records], np.int64),
        np.array([record.timestamp for record in records], np.int64),
        [record.key for record in records],
        [record.value for record in records],
    )


def _read_packed(
    walk: Walk, batch: DefaultRecordBatch, buffer: Buffer, begin: int, end: int
) -> Records:
    (count,) = _COUNT.unpack_from(buffer, begin)
    try:
        offsets, timestamps_ms, keys, values = walk(buffer, begin + HEADER_BYTES, end, count)
    except ValueError as error:
        raise CorruptRecordException(f"batch at offset {batch.base_offset}: {error}") from error
    if batch.timestamp_type == _LOG_APPEND_TIME:
        timestamps_ms = np.full(count, batch.max_timestamp)
    else:
        timestamps_ms = timestamps_ms + batch.first_timestamp
    return Records(offsets + batch.base_offset, timestamps_ms, keys, values)
