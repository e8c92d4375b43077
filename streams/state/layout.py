"""Keys and values of the changelog: a type byte and fixed packed bytes, big-endian in keys."""

import struct
from enum import IntEnum

import numpy as np

from streams.counting.watermark import SourceProgress, WatermarkState
from streams.errors import StateError


class RowType(IntEnum):
    """First byte of a changelog key; 0x00 is the engine's own row."""

    META = 0x01
    WINDOW_ROW = 0x02
    DEDUP_BLOCK = 0x03
    SERIES_BASELINE = 0x04
    OPEN_ANOMALY = 0x05
    DETECTION = 0x06


META_KEY = bytes((RowType.META,))

WINDOW_ROW = np.dtype([("count", "<i8"), ("revision", "<u4"), ("first", "<i4"), ("last", "<i4")])
"""Value of a window row; first and last event in milliseconds after the window's start."""

IDS = np.dtype("<u8")
"""Values of a dedup block."""

_BLOCK = struct.Struct(">BqI")
_WINDOW = struct.Struct(">Bq")
_META = struct.Struct("<qqqqI")
_SOURCE = struct.Struct("<qqH")
_NONE = -(1 << 63)

PREFIX_BYTES = _WINDOW.size
"""Bytes of a window row's key before the activity key's Avro body."""


def row_prefix(window_start_ms: int) -> bytes:
    """Return the beginning of the keys of a window's rows; the activity key's body follows."""
    return _WINDOW.pack(RowType.WINDOW_ROW, window_start_ms)


def block_key(window_start_ms: int, number: int) -> bytes:
    """Return the key of a window's dedup block."""
    return _BLOCK.pack(RowType.DEDUP_BLOCK, window_start_ms, number)


def split_block_key(key: bytes) -> tuple[int, int]:
    """Return window start and number of a dedup block; raise StateError for other bytes."""
    if len(key) != _BLOCK.size:
        raise StateError(f"a dedup block's key has {_BLOCK.size} bytes, not {len(key)}")
    _, window_start_ms, number = _BLOCK.unpack(key)
    return window_start_ms, number


def encode_meta(state: WatermarkState, purge_line_ms: int | None) -> bytes:
    """Return the value of the META row."""
    head = _META.pack(
        _NONE if state.watermark_ms is None else state.watermark_ms,
        _NONE if purge_line_ms is None else purge_line_ms,
        state.clock_ms,
        _NONE if state.last_append_ms is None else state.last_append_ms,
        len(state.sources),
    )
    return head + b"".join(
        _encode_source(instance_id, source) for instance_id, source in sorted(state.sources.items())
    )


def decode_meta(value: bytes) -> tuple[WatermarkState, int | None]:
    """Return watermark and purge line; raise StateError where the bytes are cut."""
    try:
        watermark, purge_line, clock, last_append, number = _META.unpack_from(value)
        sources, position = {}, _META.size
        for _ in range(number):
            up_to, heard_at, length = _SOURCE.unpack_from(value, position)
            position += _SOURCE.size + length
            instance_id = value[position - length : position].decode()
            sources[instance_id] = SourceProgress(up_to, heard_at)
    except (struct.error, UnicodeDecodeError) as error:
        raise StateError(f"the changelog's meta row is damaged: {error}") from error
    if position != len(value):
        raise StateError(
            f"the changelog's meta row is damaged: {position} bytes expected, {len(value)} came"
        )
    state = WatermarkState(
        watermark_ms=_or_none(watermark),
        clock_ms=clock,
        last_append_ms=_or_none(last_append),
        sources=sources,
    )
    return state, _or_none(purge_line)


def _encode_source(instance_id: str, source: SourceProgress) -> bytes:
    name = instance_id.encode()
    return _SOURCE.pack(source.up_to_ms, source.heard_at_ms, len(name)) + name


def _or_none(number: int) -> int | None:
    return None if number == _NONE else number
