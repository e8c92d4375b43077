"""What of an activity is watched, and the identity under which a series is stored."""

import msgspec

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Level, Series
from streams.errors import StateError

Resolved = tuple[int, int, int]
"""Series index by level: event, initiator, principal; -1 where nothing is watched."""

LEVELS = tuple(Level)
"""Coarsest first."""

# How many members of a Series tell its level's series apart, the level included.
_MEMBERS = {Level.EVENT: 5, Level.INITIATOR: 7, Level.PRINCIPAL: 8}

# Markers of the pipeline, no callers.
_UNWATCHED_INITIATORS = frozenset({"correction", "none"})
# A known limit: Series has no category. A NetworkActivity event repeats a Management or Data
# event, so that both in one series would count twice; it is counted, but not watched.
_UNWATCHED_CATEGORIES = frozenset({"NetworkActivity", "Insight", "Aggregated"})


def is_watched(activity: Activity) -> bool:
    """Tell whether an activity is part of any series."""
    return not (
        activity.initiator in _UNWATCHED_INITIATORS
        or activity.event_category in _UNWATCHED_CATEGORIES
    )


def covers(coarse: Series, fine: Series) -> bool:
    """Tell whether every call of `fine` is one of `coarse` too; a series covers itself."""
    members = _MEMBERS[coarse.level]
    return _MEMBERS[fine.level] >= members and coarse[1:members] == fine[1:members]


def identity(series: Series) -> bytes:
    """Return bytes that belong to this series alone: the members as a MessagePack array."""
    return msgspec.msgpack.encode(series)


def from_identity(raw: bytes) -> Series:
    """Return the series of an identity; raise StateError for other bytes."""
    try:
        return msgspec.msgpack.decode(raw, type=Series)
    except msgspec.DecodeError as error:
        raise StateError(
            f"a stored baseline's key names no series ({error}); "
            "reset the state with `trailstreams state reset`"
        ) from error
