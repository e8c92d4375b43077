"""The baselines of every series of a partition, looked at and learned from a window at a time."""

from collections.abc import Callable, Sequence

import numpy as np

from streams.counting.columns import Array, with_room
from streams.detection.baseline import Usual, advance, learn, pass_window, usual
from streams.detection.judge import Picture
from streams.detection.pace import Moment, Pace
from streams.detection.row import (
    FORMAT,
    NURSERY_BYTES,
    NURSERY_WINDOWS,
    OPAQUE,
    ROW,
    Rows,
    fresh_rows,
)
from streams.detection.surprise import Scored, score
from streams.detection.tail import Bools, Floats, Indices
from streams.errors import StateError

_NURSERY = -1
_LEAST_ROOM = 16
_HEAD = np.dtype([(name, ROW[name]) for name in ("format", "first", "last", "seen")])

_DAMAGED = StateError(
    f"a stored baseline is not of format {FORMAT} or not {NURSERY_BYTES} or {ROW.itemsize} bytes "
    "long; reset the state with `trailstreams state reset`"
)


class Baselines:
    """One row a series, addressed by the series' index.

    A series in the nursery has its three leading numbers only; most principals never leave it.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.first: Array = np.zeros(0, dtype=np.int32)
        """First window with calls."""
        self.last: Array = np.zeros(0, dtype=np.int32)
        """Last window with calls; of a series that has no row, the window before its birth."""
        self.seen: Array = np.zeros(0, dtype=np.uint32)
        """Windows with calls, ever; 0 for a series that has no row yet."""
        # Where the row of a grown series is, -1 in the nursery.
        self._place: Array = np.zeros(0, dtype=np.int32)
        self._grown = fresh_rows(0)
        self._used = 0
        self._free: list[int] = []

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""
        self.first = with_room(self.first, capacity)
        self.last = with_room(self.last, capacity)
        self.seen = with_room(self.seen, capacity)
        self._place = with_room(self._place, capacity, _NURSERY)

    def forget(self, indices: Indices) -> None:
        """Make the rows those of series nothing is known about."""
        places = self._place[indices]
        self._free.extend(places[places != _NURSERY].tolist())
        self._place[indices] = _NURSERY
        for column in (self.first, self.last, self.seen):
            column[indices] = 0

    def rows(self, indices: Indices) -> Rows:
        """Return copies of rows."""
        places = self._place[indices]
        grown = places != _NURSERY
        if grown.all():
            return _some(self._grown, places)
        rows = fresh_rows(len(indices))
        rows.view(OPAQUE)[grown] = self._grown.view(OPAQUE)[places[grown]]
        for name in ("first", "last", "seen"):
            rows[name] = getattr(self, name)[indices]
        return rows

    def look(self, window: int, indices: Indices, calls: Floats, errors: Floats) -> Picture:
        """Score one window's counts (all >= 1) without learning from them."""
        rows, moment = self.rows(indices), Moment.of(window, self._pace)
        newborn = np.flatnonzero(rows["seen"] == 0)
        if newborn.size:
            rows["first"][newborn] = window
            rows["last"][newborn] = window - 1
        advance(rows, moment)
        scored = score(rows, calls, moment)
        return Picture(moment, indices, calls, errors, rows, scored)

    def learn(self, picture: Picture, frozen: Bools, adapting: Bools) -> None:
        """Learn a closed window; consumes the picture's rows.

        Frozen series only take note that there were calls; adapting ones learn fast.
        """
        rows, moment = picture.rows, picture.moment
        pass_window(rows, picture.calls, moment)
        young = rows["seen"] < NURSERY_WINDOWS
        learning = ~(frozen | young)
        if learning.all():
            learn(rows, picture.calls, picture.scored, adapting, moment)
        elif learning.any():
            some = _some(rows, learning)
            scored = Scored(*(column[learning] for column in picture.scored))
            learn(some, picture.calls[learning], scored, adapting[learning], moment)
            rows.view(OPAQUE)[learning] = some.view(OPAQUE)
        if young.any():
            # What is stored of a young series is what is kept of it, nothing more.
            rows[young] = _nursery(rows[young])
        self._store(picture.indices, rows)

    def stays_young(self, indices: Indices) -> Bools:
        """Tell which series will be in the nursery still after one more window with calls."""
        young: Bools = self.seen[indices] < NURSERY_WINDOWS - 1
        return young

    def pass_nursery(self, window: int, indices: Indices) -> None:
        """Learn a closed window for series that stay in the nursery: all there is to learn."""
        newborn = indices[self.seen[indices] == 0]
        self.first[newborn] = window
        self.last[indices] = window
        self.seen[indices] += np.uint32(1)

    def usual(self, picture: Picture, some: Indices) -> Usual:
        """Return the expected calls of some elements of a picture, per window."""
        scored = Scored(*(column[some] for column in picture.scored))
        return usual(picture.rows[some], scored, self._pace)

    def expected(self, window: int, indices: Indices) -> Floats:
        """Return the average calls that would be usual in a window; 0 where none were learned."""
        nothing = np.ones(len(indices))
        picture = self.look(window, indices, nothing, nothing)
        return self.usual(picture, np.arange(len(indices))).average

    def nursery_rows(self, indices: Indices) -> Callable[[], list[bytes]]:
        """Return what will make the stored form of rows in the nursery, as they are now."""
        heads = np.empty(len(indices), dtype=_HEAD)
        heads["format"] = FORMAT
        for name in ("first", "last", "seen"):
            heads[name] = getattr(self, name)[indices]
        stored: Callable[[], list[bytes]] = heads.view(f"V{_HEAD.itemsize}").tolist
        return stored

    def unpack(self, indices: Sequence[int] | Indices, packed: Sequence[bytes]) -> None:
        """Restore rows; raise StateError when one has another format."""
        indices = np.asarray(indices, dtype=np.int64)
        sizes = np.fromiter(map(len, packed), np.int64, len(packed))
        young = sizes == NURSERY_BYTES
        if not (young | (sizes == ROW.itemsize)).all():
            raise _DAMAGED
        heads = np.frombuffer(b"".join([one[:NURSERY_BYTES] for one in packed]), _HEAD)
        if (heads["format"] != FORMAT).any():
            raise _DAMAGED
        for name in ("first", "last", "seen"):
            getattr(self, name)[indices] = heads[name]
        grown = np.flatnonzero(~young)
        raw = b"".join([packed[at] for at in grown.tolist()])
        self._store(indices[grown], np.frombuffer(raw, ROW))

    def _store(self, indices: Indices, rows: Rows) -> None:
        for name in ("first", "last", "seen"):
            getattr(self, name)[indices] = rows[name]
        grown = rows["seen"] >= NURSERY_WINDOWS
        # Places first: they may move what is viewed.
        places = self._places(indices[grown])
        if grown.all():
            self._grown.view(OPAQUE)[places] = rows.view(OPAQUE)
        else:
            self._grown.view(OPAQUE)[places] = rows.view(OPAQUE)[grown]

    def _places(self, indices: Indices) -> Array:
        places = self._place[indices]
        without = np.flatnonzero(places == _NURSERY)
        if without.size:
            again = [self._free.pop() for _ in range(min(len(self._free), without.size))]
            first, self._used = self._used, self._used + without.size - len(again)
            self._make_room()
            self._place[indices[without]] = [*again, *range(first, self._used)]
            places = self._place[indices]
        return places

    def _make_room(self) -> None:
        room = len(self._grown)
        if self._used > room:
            # In place: large blocks are mapped elsewhere, not copied (mremap).
            room = max(self._used, room + room // 4, _LEAST_ROOM)
            self._grown.resize(room, refcheck=False)


def _some(rows: Rows, chosen: Indices | Bools) -> Rows:
    copies: Rows = rows.view(OPAQUE)[chosen].view(ROW)
    return copies


def _nursery(known: Rows) -> Rows:
    rows = fresh_rows(len(known))
    for name in ("first", "last", "seen"):
        rows[name] = known[name]
    return rows


def packed(rows: Rows) -> list[bytes]:
    """Return the stored form of each row: of a series in the nursery only its beginning."""
    stored: list[bytes] = rows.view(OPAQUE).tolist()
    for at in np.flatnonzero(rows["seen"] < NURSERY_WINDOWS).tolist():
        stored[at] = stored[at][:NURSERY_BYTES]
    return stored
