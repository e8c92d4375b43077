"""Unpack an object within bounds, and as much of a damaged one as there is."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

GZIP_MAGIC: Final = b"\x1f\x8b"
_SLICE_BYTES: Final = 64 * 1024
_GZIP_WINDOW: Final = 31  # zlib: 15 bits of window, 16 for the gzip header


class Unpacked(NamedTuple):
    """An object's plain bytes, never more than one over the limit."""

    data: bytes
    damage: str = ""
    """What is wrong with the gzip stream after `data`; empty if nothing is."""
    too_large: bool = False


def unpack(source: bytes | Iterable[bytes], max_bytes: int) -> Unpacked:
    """Return the plain bytes of an object, gunzipped if its first two bytes say gzip.

    File names lie: CloudTrail objects called `.gz` are sometimes plain.
    Reads and unpacks no further than one byte past `max_bytes`.
    """
    chunks = iter([source] if isinstance(source, bytes) else source)
    head = b""
    while len(head) < len(GZIP_MAGIC):
        chunk = next(chunks, None)
        if chunk is None:
            break
        head += chunk
    whole = chain([head], chunks)
    return _gunzip(whole, max_bytes) if head.startswith(GZIP_MAGIC) else _join(whole, max_bytes)


def _join(chunks: Iterable[bytes], max_bytes: int) -> Unpacked:
    data = bytearray()
    for chunk in chunks:
        data += chunk[: max_bytes + 1 - len(data)]
        if len(data) > max_bytes:
            return Unpacked(bytes(data), too_large=True)
    return Unpacked(bytes(data))


def _gunzip(chunks: Iterable[bytes], max_bytes: int) -> Unpacked:
    data = bytearray()
    member = zlib.decompressobj(_GZIP_WINDOW)
    for piece in _slices(chunks):
        pending = piece
        while pending:
            if member.eof:
                pending = pending.lstrip(b"\0")  # padding after a member is allowed
                if not pending:
                    break
                member = zlib.decompressobj(_GZIP_WINDOW)
            before, room = member.copy(), max_bytes + 1 - len(data)
            try:
                data += member.decompress(pending, room)
            except zlib.error as error:
                data += _until_error(before, pending, room)
                return Unpacked(bytes(data), str(error), len(data) > max_bytes)
            if len(data) > max_bytes:
                return Unpacked(bytes(data), too_large=True)
            pending = member.unused_data
    return Unpacked(bytes(data), "" if member.eof else "the gzip stream is cut")


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            yield chunk[start : start + _SLICE_BYTES]


def _until_error(member: "zlib._Decompress", pending: bytes, room: int) -> bytes:
    """Unpack byte by byte what zlib throws away when an error comes later in the same call."""
    data = bytearray()
    for position in range(len(pending)):
        try:
            data += member.decompress(pending[position : position + 1], room - len(data))
        except zlib.error:
            break
        if len(data) >= room:
            break
    return bytes(data)
