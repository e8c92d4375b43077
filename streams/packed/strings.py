"""Strings in one buffer, and the few things that are done with strings of either kind."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Buffer: TypeAlias = bytes | memoryview


def _listed(buffer: Buffer, at: Integers, size: Integers) -> list[bytes | None]:
    """Return the strings at these places, None where a size is below 0."""
    ends = (at + size).tolist()
    return [
        None if end < begin else bytes(buffer[begin:end])
        for begin, end in zip(at.tolist(), ends, strict=True)
    ]


def _cut(buffer: Buffer, at: Integers, size: Integers, out: npt.NDArray[np.uint8]) -> None:
    """Copy the first bytes of each string into its row, of those that have so many."""
    whole = np.flatnonzero(size >= out.shape[1])
    if len(whole):
        every = np.frombuffer(buffer, np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(every, out.shape[1])
        out[whole] = windows[at[whole]]


try:
    from streams.packed._native import heads as _heads
    from streams.packed._native import strings as _strings
except ImportError:
    _heads, _strings = _cut, _listed


class Packed(Sequence[bytes | None]):
    """Byte strings as places in one buffer; a string is made only when it is asked for.

    `at` and `size` are int64 arrays of equal length; a size below 0 stands for None.
    """

    __slots__ = ("at", "buffer", "size")

    def __init__(self, buffer: Buffer, at: Integers, size: Integers) -> None:
        self.buffer = buffer
        self.at = at
        self.size = size

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> "Packed": ...
    def __getitem__(self, place: int | slice) -> "bytes | Packed | None":
        if isinstance(place, slice):
            return Packed(self.buffer, self.at[place], self.size[place])
        at, size = int(self.at[place]), int(self.size[place])
        return None if size < 0 else bytes(self.buffer[at : at + size])

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(_strings(self.buffer, *self.places()))

    def heads(self, size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
        """Return the first `size` bytes of each string as a row, and which strings have so many.

        Rows of shorter strings are zeros.
        """
        rows = np.zeros((len(self), size), np.uint8)
        _heads(self.buffer, *self.places(), rows)
        return rows, np.flatnonzero(self.size >= size)

    def places(self) -> tuple[Integers, Integers]:
        """Return `at` and `size` as C reads them: a selection of a walk's may have gaps."""
        return np.ascontiguousarray(self.at), np.ascontiguousarray(self.size)


Strings = Sequence[bytes | None]
"""Byte strings or None: `Packed`, or any other sequence."""


def pack(strings: Strings) -> Packed:
    """Return the strings in one buffer."""
    if isinstance(strings, Packed):
        return strings
    size = np.fromiter((-1 if s is None else len(s) for s in strings), np.int64, len(strings))
    filled = np.maximum(size, 0)
    return Packed(b"".join([s or b"" for s in strings]), np.cumsum(filled) - filled, size)


def take(strings: Strings, places: npt.NDArray[np.intp]) -> Strings:
    """Return the strings at these places, in this order."""
    if isinstance(strings, Packed):
        return Packed(strings.buffer, strings.at[places], strings.size[places])
    return [strings[at] for at in places.tolist()]


def join(parts: Sequence[Strings]) -> Strings:
    """Return the strings of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    packed = [part for part in parts if isinstance(part, Packed)]
    if not packed or len(packed) < len(parts):
        return [string for part in parts for string in part]
    # Each buffer once: batches that were not compressed all lie in that of their fetch.
    begins: dict[int, int] = {}
    buffers: list[Buffer] = []
    end = 0
    for part in packed:
        if id(part.buffer) not in begins:
            begins[id(part.buffer)] = end
            buffers.append(part.buffer)
            end += len(part.buffer)
    return Packed(
        buffers[0] if len(buffers) == 1 else b"".join(buffers),
        np.concatenate([part.at + begins[id(part.buffer)] for part in packed]),
        np.concatenate([part.size for part in packed]),
    )
