"""With a compiler: the same on packed strings, in C; importing raises ImportError without it."""

from collections.abc import Callable

import numpy as np

from streams.packed import _native
from streams.packed.strings import Buffer, Integers, Packed, Strings, pack

# Seeded as Python's own dict is (PYTHONHASHSEED): who chooses principals cannot choose collisions.
_SEED = hash("streams.packed") & (1 << 64) - 1

crc32c: Callable[[bytes, int, int], int] | None
crc32c = _native.crc32c if _native.has_crc32c else None


def walk(
    buffer: Buffer, start: int, stop: int, count: int
) -> tuple[Integers, Integers, Packed, Packed]:
    """Read `count` Kafka records of message format v2 (KIP-98) from `start` on, before `stop`.

    Return offsets and timestamps, both less their batch's first, keys and values.
    Raise ValueError where the bytes are cut or damaged.
    """
    columns = np.empty((6, count), np.int64)
    _native.walk(buffer, start, stop, count, columns)
    offsets, timestamps, key_at, key_size, value_at, value_size = columns
    return (
        offsets,
        timestamps,
        Packed(buffer, key_at, key_size),
        Packed(buffer, value_at, value_size),
    )


class KeyTable:
    """Numbers of byte strings; None is looked up as the empty string."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table = _native.KeyTable(_SEED)

    def __len__(self) -> int:
        return len(self._table)

    def put(self, key: bytes, number: int) -> None:
        """Enter a key, or give it a new number, from 0 to 2^31 - 1."""
        self._table.put(key, number)

    def get(self, key: bytes) -> int:
        """Return the key's number, -1 where it has none."""
        return self._table.get(key)

    def find(self, keys: Strings) -> Integers:
        """Return the number of each key, -1 where it has none."""
        packed = pack(keys)
        numbers = np.empty(len(packed), np.int64)
        self._table.find(packed.buffer, *packed.places(), numbers)
        return numbers
