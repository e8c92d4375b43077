"""Byte strings in columns: a chunk's keys and values without a Python object of each.

What costs at a hundred thousand records a second is one object per record. `Packed` holds places
in the buffer that came from the broker, and a `KeyTable` gives each key a small number.
Where the package was installed with a C compiler both work on the buffer (`native.py`); elsewhere
strings are lists and the table is a dict (`pure.py`), and all results are the same.
"""

from collections.abc import Callable

from streams.packed.strings import Buffer, Integers, Packed, Strings, join, pack, take

Walk = Callable[[Buffer, int, int, int], tuple[Integers, Integers, Packed, Packed]]
"""Reads Kafka records in place, see `native.walk`."""

Checksum = Callable[[bytes, int, int], int]
"""CRC-32C of the bytes between two places."""

walk: Walk | None
crc32c: Checksum | None
"""Also None where the processor has no instruction for it."""
try:
    from streams.packed.native import KeyTable, crc32c, walk
except ImportError:
    from streams.packed.pure import KeyTable  # type: ignore[assignment]

    walk = crc32c = None

__all__ = [
    "Buffer",
    "Integers",
    "KeyTable",
    "Packed",
    "Strings",
    "Walk",
    "crc32c",
    "join",
    "pack",
    "take",
    "walk",
]
