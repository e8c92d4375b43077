"""What every Python peer reads of a value: the event time. The rest is never looked at."""

WINDOW_MS = 300_000


def event_ms(value: bytes) -> int:
    """Return the event time (ms): a six-byte Avro long after header (10) and dedup id (16)."""
    word = int.from_bytes(value[26:32], "little")
    zigzag = (
        (word & 0x7F)
        | (word >> 1 & 0x3F80)
        | (word >> 2 & 0x1F_C000)
        | (word >> 3 & 0xFE0_0000)
        | (word >> 4 & 0x7_F000_0000)
        | (word >> 5 & 0x3F8_0000_0000)
    )
    return zigzag >> 1
