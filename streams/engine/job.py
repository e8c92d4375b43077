"""What the engine asks of an application: a fold per partition, and what it leaves behind."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from streams.packed import Integers, Strings, join, take

Row = tuple[bytes, bytes | None]
"""A changelog record: key and value; None deletes the row."""


class Record(NamedTuple):
    """One fetched record."""

    offset: int
    timestamp_ms: int
    """Append time, because every topic is `LogAppendTime`."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Records:
    """Fetched records as columns of equal length, in the order of their offsets."""

    offsets: Integers
    timestamps_ms: Integers
    """Append times, because every topic is `LogAppendTime`."""
    keys: Strings
    values: Strings

    @classmethod
    def joined(cls, parts: Sequence["Records"]) -> "Records":
        """Return the records of all parts as one."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return NO_RECORDS
        if len(filled) == 1:
            return filled[0]
        offsets = np.concatenate([part.offsets for part in filled])
        # At once, because keys and values of a part lie in one buffer, which is copied once.
        strings = join([part.keys for part in filled] + [part.values for part in filled])
        return cls(
            offsets,
            np.concatenate([part.timestamps_ms for part in filled]),
            strings[: len(offsets)],
            strings[len(offsets) :],
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, places: slice) -> "Records":
        return Records(
            self.offsets[places],
            self.timestamps_ms[places],
            self.keys[places],
            self.values[places],
        )

    def at(self, place: int) -> Record:
        """Return one record."""
        return Record(
            int(self.offsets[place]),
            int(self.timestamps_ms[place]),
            self.keys[place],
            self.values[place],
        )

    def take(self, places: Integers) -> "Records":
        """Return the records at these places."""
        return Records(
            self.offsets[places],
            self.timestamps_ms[places],
            take(self.keys, places),
            take(self.values, places),
        )


NO_RECORDS = Records(np.zeros(0, np.int64), np.zeros(0, np.int64), [], [])


class Chunk(NamedTuple):
    """What one fetch gave of one partition: all that stands at positions `[start, next)`.

    Transactional and compacted topics have offsets without records, so `next` may be more than one
    past the last record, and a chunk may have no record at all.
    """

    partition: int
    start: int
    next: int
    records: Records


class Output(NamedTuple):
    """What one partition has changed and has to say since the last flush."""

    rows: Collection[Row]
    """May be made while they are read, slice by slice: it is read once, outside of any lock."""
    messages: Mapping[str, Collection[tuple[bytes, bytes]]]
    """Derived records by topic, likewise; they go to the same partition number."""
    on_committed: Callable[[], None]
    """Called once when the transaction has been committed; metrics are counted here."""


class NotYetError(Exception):
    """Raise by `Fold.fold`, before it has changed anything, where a chunk has to wait.

    `ask` does what is missing: it blocks, in a thread of its own, and raises TrailstreamsError as
    long as the chunk cannot be folded. It is called again until it returns.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__()
        self.ask = ask


class Fold(Protocol):
    """The state of one partition and the function that moves it."""

    @property
    def dirty_rows(self) -> int:
        """How many rows the next snapshot will hold, roughly."""

    def fold(self, chunk: Chunk) -> Iterator[None]:
        """Apply a chunk; yield now and then, so that one chunk cannot stop the event loop.

        Raise NotYetError at the beginning where the chunk cannot be applied for now.
        """

    def snapshot(self) -> Output:
        """Return all that changed since the last call; the caller commits it or drops the fold."""

    def own(self) -> None:
        """Say (in metrics) that this worker owns the partition from now on."""

    def disown(self) -> None:
        """Take back all that `own` said; the state may be parked and owned again."""


class Job(Protocol):
    """One application on the engine."""

    @property
    def source_topic(self) -> str:
        """Topic that is counted."""

    @property
    def changelog_topic(self) -> str:
        """Topic that keeps the state; the same number of partitions."""

    @property
    def built_with(self) -> Mapping[str, str]:
        """What stored state depends on; state built with anything else is refused."""

    def open(self, partition: int, rows: Mapping[bytes, bytes]) -> Fold:
        """Rebuild a partition's state from its changelog rows."""


class Observer(Protocol):
    """Who wants to know how the engine does; durations in seconds."""

    def flushed(self, partition: int, seconds: float, rows: int) -> None:
        """Tell of one committed transaction."""

    def recovered(self, partition: int, seconds: float, rows: int) -> None:
        """Tell of one opened partition."""

    def lag(self, partition: int, records: int) -> None:
        """Tell how many records stand between the committed position and the end of the log."""

    def ready(self, ready: bool) -> None:
        """Tell whether the worker has joined and recovered all it was assigned."""
