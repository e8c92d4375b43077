"""The series of a partition, each under a small index that arrays are addressed by."""

from collections.abc import Iterable, Iterator

import msgspec

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Level, Series
from streams.errors import StateError

Resolved = tuple[int, int, int]
"""Series index by level: event, initiator, principal; -1 where nothing is watched."""

UNWATCHED: Resolved = (-1, -1, -1)

LEVELS = tuple(Level)
"""Coarsest first."""

# How many members of a Series tell its level's series apart, the level included.
_MEMBERS = {Level.EVENT: 5, Level.INITIATOR: 7, Level.PRINCIPAL: 8}

# Markers of the pipeline, no callers.
_UNWATCHED_INITIATORS = frozenset({"correction", "none"})
# A known limit: Series has no category. A NetworkActivity event repeats a Management or Data
# event, so that both in one series would count twice; it is counted, but not watched.
_UNWATCHED_CATEGORIES = frozenset({"NetworkActivity", "Insight", "Aggregated"})


def series_of(activity: Activity) -> tuple[Series, ...]:
    """Return the three series an activity is part of, coarsest first; none if it is not watched."""
    if (
        activity.initiator in _UNWATCHED_INITIATORS
        or activity.event_category in _UNWATCHED_CATEGORIES
    ):
        return ()
    api, caller = activity[:4], (activity.initiator, activity.caller_account_id)
    return (
        Series(Level.EVENT, *api),
        Series(Level.INITIATOR, *api, *caller),
        Series(Level.PRINCIPAL, *api, *caller, activity.principal),
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


class SeriesTable:
    """Assigns indexes; a dropped series' index is given to another one."""

    def __init__(self) -> None:
        self._index: dict[Series, int] = {}
        self._series: list[Series | None] = []
        # Kept, because a close of 100,000 series stores each of them.
        self._identities: list[bytes] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[int]:
        return iter(self._index.values())

    def __getitem__(self, index: int) -> Series:
        series = self._series[index]
        if series is None:
            raise IndexError(f"no series has index {index}")
        return series

    def find(self, series: Series) -> int | None:
        """Return the series' index, or None when it has none."""
        return self._index.get(series)

    def add(self, series: Series) -> int:
        """Give a series without an index one, and return it."""
        if self._free:
            index = self._free.pop()
            self._series[index] = series
            self._identities[index] = identity(series)
        else:
            index = len(self._series)
            self._series.append(series)
            self._identities.append(identity(series))
        self._index[series] = index
        return index

    def identities(self, indices: Iterable[int]) -> list[bytes]:
        """Return the identities of series by index."""
        identities = self._identities
        return [identities[index] for index in indices]

    def drop(self, index: int) -> None:
        """Take the index from its series."""
        del self._index[self[index]]
        self._series[index] = None
        self._free.append(index)
