"""The body of ActivityKey: nine strings, without a header.

The body alone names a row in memory and in the changelog, so these two functions need no schema;
a test holds them equal to fastavro.
"""

from streams.cloudtrail.record import Activity
from streams.codecs.varint import CodecError, decode_long, encode_long

_ONE_BYTE = 64
"""Lengths below it take one byte, the length doubled."""


def encode_activity(activity: Activity) -> bytes:
    """Return the Avro body of the key: equal activities give equal bytes, and only they."""
    body = bytearray()
    for member in activity:
        text = member.encode()
        if len(text) < _ONE_BYTE:
            body.append(2 * len(text))
        else:
            body += encode_long(len(text))
        body += text
    return bytes(body)


def decode_activity(body: bytes) -> Activity:
    """Return the key of an Avro body; raise CodecError where it is none."""
    activity, end = read_activity(body, 0)
    if end != len(body):
        raise CodecError(f"expected the end of an ActivityKey at byte {end}, not {len(body)}")
    return activity


def read_activity(raw: bytes, at: int) -> tuple[Activity, int]:
    """Return the key that begins at byte `at`, and where it ends; raise CodecError."""
    members: list[str] = []
    size = len(raw)
    for _ in Activity._fields:
        # Nearly every length is one byte, the length doubled.
        if at < size and raw[at] < 2 * _ONE_BYTE and not raw[at] & 1:
            length, at = raw[at] >> 1, at + 1
        else:
            length, at = decode_long(raw, at)
        if not 0 <= length <= size - at:
            raise CodecError(f"expected a string at byte {at} of {size}, not length {length}")
        try:
            members.append(raw[at : at + length].decode())
        except UnicodeDecodeError as error:
            raise CodecError(f"expected UTF-8 in a key at byte {at}: {error.reason}") from error
        at += length
    return Activity(*members), at
