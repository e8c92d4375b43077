"""Unpack an object within bounds, and of a bad one what can be relied on.

A cut stream is right up to its end. A damaged one may go on for long, wrongly, before zlib or the
checksum notices: of its last member nothing can be believed, and a wrong record is worse than none.
"""

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
    damaged: bytes = b""
    """The packed bytes in which the damage was noticed, at most 64 KiB."""
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
    member, verified = zlib.decompressobj(_GZIP_WINDOW), 0
    for piece in _slices(chunks):
        pending = piece
        while pending:
            if member.eof:
                pending = pending.lstrip(b"\0")  # padding after a member is allowed
                if not pending:
                    break
                member, verified = zlib.decompressobj(_GZIP_WINDOW), len(data)
            try:
                data += member.decompress(pending, max_bytes + 1 - len(data))
            except zlib.error as error:
                return Unpacked(bytes(data[:verified]), str(error), pending)
            if len(data) > max_bytes:
                return Unpacked(bytes(data), too_large=True)
            pending = member.unused_data
    return Unpacked(bytes(data), "" if member.eof else "the stream is cut")


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            yield chunk[start : start + _SLICE_BYTES]
