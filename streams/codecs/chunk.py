"""What the worker needs of a chunk of TrailRecords, without decoding one: ids and times.

Every TrailRecord begins with `dedup_id` (16 bytes) and `event_time` (a zigzag varint), whatever
follows; so both are read for a whole chunk at once, at about a 100th of the cost of decoding.
"""

from collections.abc import Container
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.codecs.framing import header_length
from streams.codecs.varint import CodecError, decode_long
from streams.packed import Packed, Strings

_HEAD = 36
"""Bytes of a value that are looked at: header 10, dedup id 16, longest varint 10."""
_ID = 16
_WORDS = 24
"""Bytes of three 64-bit words: both halves of the id, and the 8 bytes that hold the time."""
_SIX_BYTES = np.uint64(0x8080_8080_8080)
_ENDS_AT_SIX = np.uint64(0x0080_8080_8080)
_ROUNDS = 4
"""Distinct headers of a chunk that are read at once each: two while writers are upgraded."""


_Rows = npt.NDArray[np.intp]


class Columns(NamedTuple):
    """The leading fields of a chunk, by position in the chunk."""

    ids: npt.NDArray[np.uint64]
    """First 8 bytes of the dedup id, little endian; 0 at bad positions."""
    times_ms: npt.NDArray[np.int64]
    """Event time; 0 at bad positions."""
    bad: tuple[int, ...]
    """Positions, ascending, of values that are no TrailRecord of a known writer."""


def columns(
    values: Strings,
    *,
    known: Container[bytes] | None = None,
    strict: bool = True,
) -> Columns:
    """Read the leading fields of all values; None (a tombstone) is a bad one.

    `known` holds the headers whose schema is checked to begin with the two fields; None takes any
    well-formed header. Raise CodecError naming the first bad position if `strict`; otherwise the
    bad positions are in the result, for the caller to count and skip.
    """
    total = len(values)
    ids, times = np.zeros(total, np.uint64), np.zeros(total, np.int64)
    read = np.zeros(total, np.bool_)
    matrix, pending = _matrix(values)
    for _ in range(_ROUNDS):
        if not pending.size:
            break
        alike, pending = _split_by_header(matrix, pending, known)
        if alike.rows.size:
            ids[alike.rows], times[alike.rows] = alike.ids, alike.times_ms
            read[alike.rows] = True
    bad: list[int] = []
    for at in np.flatnonzero(~read).tolist():
        try:
            ids[at], times[at] = _read_one((values[at] or b"")[:_HEAD], known)
        except CodecError as error:
            if strict:
                raise CodecError(f"value {at} of {total} is no TrailRecord: {error}") from error
            bad.append(at)
    return Columns(ids, times, tuple(bad))


def _matrix(values: Strings) -> tuple[npt.NDArray[np.uint8], _Rows]:
    """Return the heads as rows, and the positions of those that are complete.

    Values of ours are all longer than a head; those that are shorter are read singly.
    """
    if isinstance(values, Packed):
        return values.heads(_HEAD)
    heads = [b"" if value is None else value[:_HEAD] for value in values]
    joined = b"".join(heads)
    whole = np.arange(len(heads))
    if len(joined) != _HEAD * len(heads):
        whole = np.flatnonzero(np.fromiter(map(len, heads), np.intp, len(heads)) == _HEAD)
        joined = b"".join(head.ljust(_HEAD, b"\0") for head in heads)
    return np.frombuffer(joined, np.uint8).reshape(len(heads), _HEAD), whole


class _Alike(NamedTuple):
    """Rows of one header and a six-byte time, read at once."""

    rows: _Rows
    ids: npt.NDArray[np.uint64]
    times_ms: npt.NDArray[np.int64]


_NONE = _Alike(np.zeros(0, np.intp), np.zeros(0, np.uint64), np.zeros(0, np.int64))


def _split_by_header(
    matrix: npt.NDArray[np.uint8], pending: _Rows, known: Container[bytes] | None
) -> tuple[_Alike, _Rows]:
    """Read the rows that share the first pending row's header; return the other pending rows."""
    try:
        start = _body_at(matrix[pending[0]].tobytes(), known)
    except CodecError:
        return _NONE, pending[1:]
    same = _same_beginning(matrix, pending, start)
    rows: _Rows = pending[same]
    words = matrix[rows, start : start + _WORDS].view("<u8")
    # Times between 1971 and 2038 take six bytes; any other length is read singly.
    six = (words[:, 2] & _SIX_BYTES) == _ENDS_AT_SIX
    words = words[six]
    return _Alike(rows[six], words[:, 0], _six_byte_times(words[:, 2])), pending[~same]


def _same_beginning(
    matrix: npt.NDArray[np.uint8], pending: _Rows, size: int
) -> npt.NDArray[np.bool_]:
    """Tell which pending rows begin with the same `size` bytes as the first, 4 bytes at a time."""
    mask = np.zeros(_HEAD, np.uint8)
    mask[:size] = 0xFF
    same = np.ones(len(pending), np.bool_)
    for column, bits in zip(matrix.view("<u4").T, mask.view("<u4").tolist(), strict=True):
        if bits:
            words = column[pending]
            same &= (words ^ words[0]) & np.uint32(bits) == 0
    return same


def _six_byte_times(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    zigzag = np.zeros(len(words), np.uint64)
    for byte in range(6):
        zigzag |= (words & np.uint64(0x7F << 8 * byte)) >> np.uint64(byte)
    sign = (zigzag & np.uint64(1)).astype(np.int64)
    return np.bitwise_xor((zigzag >> np.uint64(1)).astype(np.int64), -sign)


def _read_one(head: bytes, known: Container[bytes] | None) -> tuple[int, int]:
    start = _body_at(head, known)
    time_ms, _ = decode_long(head, start + _ID)
    return int.from_bytes(head[start : start + 8], "little"), time_ms


def _body_at(head: bytes, known: Container[bytes] | None) -> int:
    start = header_length(head)
    if known is not None and head[:start] not in known:
        raise CodecError(f"written with the unknown schema {head[:start].hex(' ')}")
    return start
