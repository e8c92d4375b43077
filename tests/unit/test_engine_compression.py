"""Compressed batches into one buffer: room enough, never much more, and damage is told."""

import cramjam
import pytest
from aiokafka.codec import lz4_encode
from aiokafka.errors import CorruptRecordException
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.compression import HEADER_BYTES, Room, room_for

LZ4, BLOCK = 3, 1 << 16


def batch(body: bytes, compression: int = LZ4) -> bytes:
    header = bytearray(HEADER_BYTES)
    header[22] = 0x10 | compression
    return bytes(header) + body


def uncompressed(batches: list[bytes]) -> list[bytes]:
    """Return what stands in the room for each, behind its header."""
    room, found = Room(sum(room_for(memoryview(one)) for one in batches)), []
    for one in batches:
        raw = b"before" + one + b"after"
        buffer, begin, end = room.plain(raw, 6, 6 + len(one))
        assert buffer[begin + 22] == 0x10
        found.append((buffer, begin, end))
    # Read at the end: nothing may have been overwritten.
    return [bytes(buffer[begin + HEADER_BYTES : end]) for buffer, begin, end in found]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 9_000)), min_size=1))
def test_batches_stand_one_after_the_other(parts: list[tuple[bytes, int]]) -> None:
    contents = [part * times for part, times in parts]
    assert uncompressed([batch(lz4_encode(content)) for content in contents]) == contents


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK + 7])
def test_the_room_is_less_than_a_block_too_large(size: int) -> None:
    # Not to be compressed: 255 times its length is no lower bound.
    content = bytes(range(256)) * (size // 256 + 1)
    room = room_for(memoryview(batch(lz4_encode(content[:size])))) - HEADER_BYTES
    assert size <= room < size + BLOCK


def test_frames_with_large_blocks_checksums_and_a_length_are_understood() -> None:
    """As other clients than librdkafka and Java's write them."""
    content = b"0123456789" * 300_000
    frame = cramjam.lz4.Compressor(level=1, content_checksum=True, block_linked=True)
    frame.compress(content)
    assert uncompressed([batch(bytes(frame.finish()))]) == [content]
    stored = cramjam.lz4.compress_block(content[:1_000], store_size=False)
    sized = bytes.fromhex("04224d18") + b"\x6c\x40" + (1_000).to_bytes(8, "little") + b"\0"
    whole = sized + len(stored).to_bytes(4, "little") + bytes(stored) + bytes(4)
    assert room_for(memoryview(batch(whole))) >= HEADER_BYTES + 1_000


@given(st.binary(max_size=200))
def test_any_damage_is_told_and_takes_little_memory(body: bytes) -> None:
    for damaged in (body, b"\x04\x22\x4d\x18\x40\x70" + body):
        one = batch(damaged)
        size = room_for(memoryview(one))
        assert size <= HEADER_BYTES + 255 * len(damaged)
        try:
            _, begin, end = Room(size).plain(one, 0, len(one))
        except CorruptRecordException:
            continue
        assert end - begin <= size


@pytest.mark.parametrize("compression", [1, 2, 4, 5, 7])
def test_what_is_no_such_compression_is_told(compression: int) -> None:
    one = batch(b"not compressed at all", compression)
    with pytest.raises(CorruptRecordException, match=f"compression {compression} cannot be undone"):
        Room(0).plain(one, 0, len(one))
