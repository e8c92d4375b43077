"""The rows of one window as columns: one slot a key, some 35 bytes each, counted by the chunk."""

import numpy as np

from streams.counting.columns import Array, Integers, with_room
from streams.counting.slots import SlotIndex

# Offsets within a window fit 32 bits: a window is an hour at most.
_LATEST = np.iinfo(np.int32).max


class WindowRows:
    """Counts of one window by key index; a column's first `size` values are in use.

    `revision` is the last one emitted. `dirty` marks rows changed since they were last taken.
    """

    __slots__ = ("_slots", "count", "dirty", "first", "key", "last", "revision", "size")

    def __init__(self) -> None:
        self._slots = SlotIndex()
        self.size = 0
        self.key: Array = np.zeros(0, dtype=np.int32)
        self.count: Array = np.zeros(0, dtype=np.int64)
        self.revision: Array = np.zeros(0, dtype=np.uint32)
        self.first: Array = np.zeros(0, dtype=np.int32)
        """First event, milliseconds after the window's start."""
        self.last: Array = np.zeros(0, dtype=np.int32)
        """Last event, milliseconds after the window's start."""
        self.dirty: Array = np.zeros(0, dtype=np.bool_)

    def find(self, keys: Integers) -> Integers:
        """Return the slot of each key, -1 where it has no row."""
        return self._slots.find(keys)

    def ensure(self, keys: Integers) -> None:
        """Make rows with count 0 for different keys, none of which has one."""
        first, self.size = self.size, self.size + len(keys)
        self._grow()
        self._slots.put(keys, first)
        self.key[first : self.size] = keys

    def add(self, slots: Integers, offsets_ms: Array) -> None:
        """Count one event for each of `slots`, which may repeat."""
        offsets_ms = offsets_ms.astype(np.int32)
        np.add.at(self.count, slots, 1)
        np.minimum.at(self.first, slots, offsets_ms)
        np.maximum.at(self.last, slots, offsets_ms)
        self.dirty[slots] = True

    def load(
        self, keys: Integers, *, count: Array, revision: Array, first: Array, last: Array
    ) -> None:
        """Append restored rows of different keys, none of which has one; they are not dirty."""
        begin = self.size
        self.ensure(keys)
        self.count[begin : self.size] = count
        self.revision[begin : self.size] = revision
        self.first[begin : self.size] = first
        self.last[begin : self.size] = last

    def dirty_slots(self) -> Integers:
        """Return the slots changed since they were last taken, ascending."""
        return np.flatnonzero(self.dirty[: self.size])

    def dirty_count(self) -> int:
        """Return how many rows changed since they were last taken."""
        return int(np.count_nonzero(self.dirty[: self.size]))

    def trim(self) -> None:
        """Give back the room ahead: few rows come to a closed window."""
        for name in ("key", "count", "revision", "first", "last", "dirty"):
            setattr(self, name, getattr(self, name)[: self.size].copy())

    def renumber(self, new_numbers: Integers) -> None:
        """Replace each key index `k` by `new_numbers[k]`."""
        self.key[: self.size] = new_numbers[self.key[: self.size]]
        self._slots = SlotIndex()
        self._slots.put(self.key[: self.size].astype(np.int64), 0)

    def _grow(self) -> None:
        if self.size <= len(self.key):
            return
        self.key = with_room(self.key, self.size)
        self.count = with_room(self.count, self.size)
        self.revision = with_room(self.revision, self.size)
        self.first = with_room(self.first, self.size, _LATEST)
        self.last = with_room(self.last, self.size, -1)
        self.dirty = with_room(self.dirty, self.size)
