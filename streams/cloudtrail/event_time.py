"""Event time: when the call was made, in UTC, from the record alone."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from streams.cloudtrail.record import Reason

EARLIEST_MS: Final = 31_536_000_000
"""1971-01-01T00:00:00Z, inclusive: from here on a zigzag varint has six bytes (until 2039-09)."""
END_MS: Final = 2_177_452_800_000
"""2039-01-01T00:00:00Z, exclusive."""
FUTURE_MS: Final = 86_400_000
"""How far ahead of its publication an event may claim to be: 24 h, inclusive."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Narrower than datetime.fromisoformat, whose idea of ISO 8601 changes between Python versions.
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_SECONDS_MS: Final = {f"{second:02}Z": second * 1000 for second in range(60)}


def parse_instant(value: str) -> int | None:
    """Return an ISO 8601 instant in ms since the epoch, None if it is none; no zone means UTC.

    Parts of a millisecond are cut off.
    """
    # `2024-05-01T09:10:11Z`, as CloudTrail writes it: a minute seen before, and one of 60 seconds.
    second_ms = _SECONDS_MS.get(value[17:])
    minute_ms = None if second_ms is None else _parse(value[:17] + "00Z")
    if second_ms is not None and minute_ms is not None:
        return minute_ms + second_ms
    return _parse(value)


@lru_cache(16_384)
def _parse(value: str) -> int | None:
    if not _INSTANT.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def objection(event_time_ms: int | None, published_ms: int) -> Reason | None:
    """Return why this event time cannot be counted under, None if it can."""
    if event_time_ms is None or not EARLIEST_MS <= event_time_ms < END_MS:
        return Reason.BAD_EVENT_TIME
    if event_time_ms > published_ms + FUTURE_MS:
        return Reason.FUTURE_EVENT_TIME
    return None
