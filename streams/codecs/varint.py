"""Avro's integers: zigzag, then 7 bits a byte, least significant first."""

from streams.errors import TrailstreamsError

_LONGEST = 10
"""Bytes of a 64-bit integer at 7 bits a byte."""


class CodecError(TrailstreamsError):
    """Raise when bytes are not what the wire format says: one line with what came instead."""


def encode_long(value: int) -> bytes:
    """Return the Avro body of a `long`; `value` fits 64 bits, signed."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def decode_long(raw: bytes, at: int) -> tuple[int, int]:
    """Return the `long` that begins at byte `at`, and where the next value begins.

    Raise CodecError where the bytes end too early or the integer does not fit 64 bits.
    """
    total = 0
    for shift, byte in enumerate(raw[at : at + _LONGEST]):
        total |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if total >> 64:
                break
            return (total >> 1) ^ -(total & 1), at + shift + 1
    raise CodecError(f"expected an Avro integer at byte {at} of {len(raw)}: cut off or too long")
