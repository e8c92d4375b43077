"""Which partition an activity goes to: chosen by API, with Kafka's own hash."""

from functools import lru_cache

from streams.cloudtrail.record import Activity

_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


def partition_of(activity: Activity, partitions: int) -> int:
    """Return the partition of an activity, 0 to `partitions` - 1.

    Only account, Region, source and name take part: every series of one API shares a partition.
    """
    return _api_hash("|".join(activity[:4])) % partitions


@lru_cache(maxsize=65_536)
def _api_hash(api: str) -> int:
    # The hash takes some 15 µs in Python; a deployment calls thousands of APIs, not millions.
    return murmur2(api.encode()) & 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of Kafka's Java client (`Utils.murmur2`), unsigned."""
    value = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MIX & _WORD
        word = (word ^ word >> 24) * _MIX & _WORD
        value = (value * _MIX & _WORD) ^ word
    if tail := data[whole:]:
        value = (value ^ int.from_bytes(tail, "little")) * _MIX & _WORD
    value = (value ^ value >> 13) * _MIX & _WORD
    return value ^ value >> 15
