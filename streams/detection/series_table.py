"""Every series of a partition under a small index, in 20 bytes beside the names they share."""

from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from streams.cloudtrail.record import Activity
from streams.counting.columns import Array, Integers, distinct, with_room
from streams.counting.number_map import NumberMap
from streams.detection.anomaly import Level, Series
from streams.detection.series import from_identity, is_watched

_LEVELS = (Level.EVENT, Level.INITIATOR, Level.PRINCIPAL)
_EVENT, _INITIATOR = 0, 1
"""Leaves of the coarser levels: what a series' name ends with where it has no principal."""
_ENDS = (b"\xa0\xa0\xa0", b"\xa0")
_HEADS = tuple(b"\x98" + msgspec.msgpack.encode(level) for level in _LEVELS)
"""An identity is an array of eight strings; the first is the level."""
_UNWATCHED = (-1, -1, -1)
_LEAF_BITS = 32
_LEAF = (1 << _LEAF_BITS) - 1
_FEWEST_NAMES = 1024
_STRINGS = 7
"""Strings of an identity after its level."""
_FIXSTR, _STR8 = 0xA0, 0xD9
"""How MessagePack begins strings of up to 31 and of up to 255 bytes."""
_SLICE = 8_192


class SeriesTable:
    """Assigns indexes; a dropped series' index is given to another one.

    A series is a key: the number of its stem (API, and initiator and caller below the level of
    events) and of its leaf (the principal). Stems and principals are kept once each, as MessagePack
    holds them, so that an identity is three strings joined.
    """

    def __init__(self) -> None:
        self._index = NumberMap()
        self._keys: Array = np.zeros(0, dtype=np.int64)
        self._size = 0
        self._free: list[int] = []
        self._most_names = _FEWEST_NAMES
        self._forget_names()

    def _forget_names(self) -> None:
        self._names: list[bytes] = [*_ENDS]
        self._number_of: dict[bytes, int] = {}
        self._stem_of: dict[tuple[str, ...], int] = {}
        self._members_of: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return self._size - len(self._free)

    def __getitem__(self, index: int) -> Series:
        if not 0 <= index < self._size or self._keys[index] < 0:
            raise IndexError(f"no series has index {index}")
        return from_identity(self.identities(np.array([index]))()[0])

    def indices(self) -> Integers:
        """Return the indexes of all series, ascending."""
        return np.flatnonzero(self._keys[: self._size] >= 0)

    def of_apis(self, indices: Integers, apis: Container[tuple[str, str]]) -> Integers:
        """Return those of `indices` whose event source and event name are among `apis`."""
        stems = self._keys[indices] >> _LEAF_BITS
        wanted = [stem for stem in distinct(stems).tolist() if self._members_of[stem][2:4] in apis]
        return indices[np.isin(stems, wanted)]

    def keys_of(self, activities: Sequence[Activity]) -> Integers:
        """Return the keys of each activity's series by level, in rows; -1 where none is watched."""
        rows = [
            self._keys_of(activity) if is_watched(activity) else _UNWATCHED
            for activity in activities
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, len(_LEVELS))

    def key_of(self, series: Series) -> int:
        """Return the key of one series."""
        if series.level is Level.EVENT:
            return self._stem(series[1:5]) << _LEAF_BITS | _EVENT
        stem = self._stem(series[1:7]) << _LEAF_BITS
        return stem | (_INITIATOR if series.level is Level.INITIATOR else self._leaf(series[7]))

    def keys_from(self, identities: Sequence[bytes]) -> Integers:
        """Return the keys of series by their identities; raise StateError for other bytes."""
        stem_of: dict[bytes, int] = {}
        keys = np.empty(len(identities), dtype=np.int64)
        for at, (identity, end) in enumerate(
            zip(identities, _leaf_starts(identities), strict=True)
        ):
            stem = stem_of.get(identity[:end]) if end else None
            if stem is None:
                series = from_identity(identity)
                keys[at] = self.key_of(series)
                if end:
                    stem_of[identity[:end]] = int(keys[at]) & ~_LEAF
            else:
                keys[at] = stem | self._number(identity[end:])
        return keys

    def find(self, keys: Integers) -> Integers:
        """Return the index of each key, -1 where its series has none."""
        return self._index.find(keys)

    def add(self, keys: Integers) -> Integers:
        """Give series that have none an index each, and return these; keys are different."""
        again = [self._free.pop() for _ in range(min(len(self._free), len(keys)))]
        first, self._size = self._size, self._size + len(keys) - len(again)
        indices = np.array([*again, *range(first, self._size)], dtype=np.int64)
        self._keys = with_room(self._keys, self._size, -1)
        self._keys[indices] = keys
        self._index.put(keys, indices)
        return indices

    def drop(self, indices: Integers) -> None:
        """Take the indexes from their series."""
        self._index.drop(self._keys[indices])
        self._keys[indices] = -1
        self._free.extend(indices.tolist())

    def identities(self, indices: Integers, before: bytes = b"") -> Callable[[], list[bytes]]:
        """Return what will make the identities of these series, `before` put before each.

        What becomes of the series until it is called makes no difference.
        """
        return partial(_join, self._names, self._keys[indices], before)

    def ranks(self, indices: Integers) -> tuple[Integers, Integers, Integers]:
        """Return level, stem and principal of series as integers that sort as `Series` do."""
        keys = self._keys[indices]
        stem, leaf = keys >> _LEAF_BITS, keys & _LEAF
        return (
            np.minimum(leaf, len(_ENDS)),
            self._ranked(stem, self._members_of.__getitem__),
            self._ranked(leaf, self._principal),
        )

    def settle(self) -> Iterator[None]:
        """Forget names that no series bears any more, once they are many."""
        if len(self._names) <= self._most_names:
            return
        live = self.indices()
        stems, leaves = self._keys[live] >> _LEAF_BITS, self._keys[live] & _LEAF
        used = distinct(np.concatenate([stems, leaves, np.arange(len(_ENDS))]))
        names, members_of = self._names, self._members_of
        new_number = np.zeros(len(names), dtype=np.int64)
        new_number[used] = np.arange(len(used))
        self._forget_names()
        for begin in range(len(_ENDS), len(used), _SLICE):
            for number in used[begin : begin + _SLICE].tolist():
                if number in members_of:
                    self._enter_stem(members_of[number], names[number])
                else:
                    self._number(names[number])
            yield
        self._keys[live] = new_number[stems] << _LEAF_BITS | new_number[leaves]
        self._index = NumberMap()
        self._index.put(self._keys[live], live)
        self._most_names = max(_FEWEST_NAMES, 2 * len(self._names))

    def _keys_of(self, activity: Activity) -> tuple[int, int, int]:
        api = activity[:4]
        stem = self._stem(api + activity[5:7]) << _LEAF_BITS
        event = self._stem(api) << _LEAF_BITS | _EVENT
        return event, stem | _INITIATOR, stem | self._leaf(activity.principal)

    def _stem(self, members: tuple[str, ...]) -> int:
        stem = self._stem_of.get(members)
        if stem is None:
            stem = self._enter_stem(members, b"".join(map(msgspec.msgpack.encode, members)))
        return stem

    def _enter_stem(self, members: tuple[str, ...], name: bytes) -> int:
        stem = self._stem_of[members] = len(self._names)
        self._members_of[stem] = members
        self._names.append(name)
        return stem

    def _leaf(self, principal: str) -> int:
        return self._number(msgspec.msgpack.encode(principal))

    def _number(self, name: bytes) -> int:
        number = self._number_of.get(name)
        if number is None:
            number = self._number_of[name] = len(self._names)
            self._names.append(name)
        return number

    def _principal(self, leaf: int) -> str:
        return "" if leaf < len(_ENDS) else msgspec.msgpack.decode(self._names[leaf], type=str)

    def _ranked(self, numbers: Integers, name: Callable[[int], Any]) -> Integers:
        used = sorted(distinct(numbers).tolist(), key=name)
        ranks = np.zeros(len(self._names), dtype=np.int64)
        ranks[used] = np.arange(len(used))
        return ranks[numbers]


def _leaf_starts(identities: Sequence[bytes]) -> list[int]:
    """Return where the last string of each identity begins; 0 where it has no principal.

    All are read at once, a string at a time: whatever is not made as ours are gets a 0.
    """
    head = _HEADS[-1]
    sizes = np.fromiter(map(len, identities), np.int64, len(identities))
    joined = np.frombuffer(b"".join(identities) + bytes(len(head) + 2), np.uint8)
    begins = np.cumsum(sizes) - sizes
    ends = begins + sizes
    at = begins + len(head)
    good = (joined[begins[:, None] + np.arange(len(head))] == np.frombuffer(head, np.uint8)).all(1)
    starts = at
    for _ in range(_STRINGS):
        starts = np.minimum(at, ends)
        kind = joined[starts]
        short, long = (kind & 0xE0) == _FIXSTR, kind == _STR8
        good &= short | long
        at = starts + np.where(short, 1 + (kind & 0x1F), 2 + joined[starts + 1].astype(np.int64))
    good &= at == ends
    found: list[int] = np.where(good, starts - begins, 0).tolist()
    return found


def _join(names: list[bytes], keys: Integers, before: bytes) -> list[bytes]:
    heads = [before + head for head in _HEADS]
    leaves = keys & _LEAF
    levels = np.minimum(leaves, len(_ENDS)).tolist()
    return [
        heads[level] + names[stem] + names[leaf]
        for level, stem, leaf in zip(
            levels, (keys >> _LEAF_BITS).tolist(), leaves.tolist(), strict=True
        )
    ]
