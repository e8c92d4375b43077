"""Record batches of one chunk, uncompressed one after the other into one buffer.

Memory is what uncompressing costs: a buffer that grows as it fills, one more copy for `bytes` and
another to join the batches of a chunk take ten times as long as LZ4 itself.
"""

from collections.abc import Callable

import cramjam
import numpy as np
from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from streams.packed import Buffer

HEADER_BYTES = 61
"""Of a batch of message format v2, before its records (KIP-98)."""

_ATTRIBUTES_AT = 22
_CODEC = 0b111
_LZ4_HEADER_BYTES = 7  # without its optional parts
_LZ4_BLOCK_BYTES = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22}
_LZ4_MOST_RATIO = 255
# Of other compressions nobody says how long the records are; they are joined by copying.
_DECODERS: dict[int, Callable[[memoryview], bytes]] = {
    DefaultRecordBatch.CODEC_GZIP: codec.gzip_decode,
    DefaultRecordBatch.CODEC_SNAPPY: codec.snappy_decode,
    DefaultRecordBatch.CODEC_ZSTD: codec.zstd_decode,
}


def room_for(batch: memoryview) -> int:
    """Return the bytes of `Room` that a batch needs at most; it may be damaged."""
    if batch[_ATTRIBUTES_AT] & _CODEC != DefaultRecordBatch.CODEC_LZ4:
        return 0
    return HEADER_BYTES + _lz4_bound(batch[HEADER_BYTES:])


class Room:
    """Memory for the batches of a chunk, of the size that `room_for` gave for all of them."""

    def __init__(self, size: int) -> None:
        self._buffer = np.empty(size, np.uint8).data
        self._used = 0

    def plain(self, raw: bytes, begin: int, end: int) -> tuple[Buffer, int, int]:
        """Return buffer, begin and end of a batch like `raw[begin:end]`, but not compressed.

        Raise CorruptRecordException where it cannot be uncompressed.
        """
        compression = raw[begin + _ATTRIBUTES_AT] & _CODEC
        if compression == DefaultRecordBatch.CODEC_NONE:
            return raw, begin, end
        header = bytearray(raw[begin : begin + HEADER_BYTES])
        header[_ATTRIBUTES_AT] &= ~_CODEC
        body = memoryview(raw)[begin + HEADER_BYTES : end]
        try:
            if compression == DefaultRecordBatch.CODEC_LZ4:
                return self._put_lz4(header, body)
            plain = b"".join((header, _DECODERS[compression](body)))
        except (cramjam.DecompressionError, KeyError, OSError, ValueError) as error:
            raise CorruptRecordException(
                f"compression {compression} cannot be undone: {error!r}"
            ) from error
        return plain, 0, len(plain)

    def _put_lz4(self, header: bytearray, body: memoryview) -> tuple[Buffer, int, int]:
        begin, start = self._used, self._used + HEADER_BYTES
        self._buffer[begin:start] = header
        self._used = start + cramjam.lz4.decompress_into(body, self._buffer[start:])
        return self._buffer, begin, self._used


def _lz4_bound(frame: memoryview) -> int:
    """Return how long the content of a frame is at most (LZ4 Frame Format, 1.6.4).

    All its blocks but the last are full, so the bound is less than a block too high.
    """
    if len(frame) < _LZ4_HEADER_BYTES:
        return 0
    flags, block_size = frame[4], _LZ4_BLOCK_BYTES.get(frame[5] >> 4 & 7, 0)
    at = _LZ4_HEADER_BYTES + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    after_block = 4 if flags & 0x10 else 0
    blocks = 0
    while size := int.from_bytes(frame[at : at + 4], "little"):
        at += 4 + (size & 0x7FFF_FFFF) + after_block
        blocks += 1
    # Never more than the format allows, whatever a damaged frame says.
    return min(blocks * block_size, _LZ4_MOST_RATIO * len(frame))
