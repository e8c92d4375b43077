"""The baselines of every series of a partition, looked at and learned from a window at a time."""

from collections.abc import Sequence

import numpy as np

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


class Baselines:
    """One row a series, addressed by the series' index."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.rows = fresh_rows(0)

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""
        self.rows = np.concatenate([self.rows, fresh_rows(capacity - len(self.rows))])

    def forget(self, index: int) -> None:
        """Make the row that of a series nothing is known about."""
        self.rows[index : index + 1] = fresh_rows(1)

    def look(self, window: int, indices: Indices, calls: Floats, errors: Floats) -> Picture:
        """Score one window's counts (all >= 1) without learning from them."""
        rows, moment = _some(self.rows, indices), Moment.of(window, self._pace)
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
        self.rows.view(OPAQUE)[picture.indices] = rows.view(OPAQUE)

    def usual(self, picture: Picture, some: Indices) -> Usual:
        """Return the expected calls of some elements of a picture, per window."""
        scored = Scored(*(column[some] for column in picture.scored))
        return usual(picture.rows[some], scored, self._pace)

    def expected(self, window: int, indices: Indices) -> Floats:
        """Return the average calls that would be usual in a window; 0 where none were learned."""
        nothing = np.ones(len(indices))
        picture = self.look(window, indices, nothing, nothing)
        return self.usual(picture, np.arange(len(indices))).average

    def packed(self, indices: Indices) -> list[bytes]:
        """Return the stored form of each row: of a series in the nursery only its beginning."""
        rows = _some(self.rows, indices)
        packed: list[bytes] = rows.view(OPAQUE).tolist()
        for at in np.flatnonzero(rows["seen"] < NURSERY_WINDOWS).tolist():
            packed[at] = packed[at][:NURSERY_BYTES]
        return packed

    def unpack(self, indices: Sequence[int], packed: Sequence[bytes]) -> None:
        """Restore rows; raise StateError when one has another format."""
        sizes = np.array([len(one) for one in packed])
        raw = b"".join(one.ljust(ROW.itemsize, b"\0") for one in packed)
        known = np.isin(sizes, (NURSERY_BYTES, ROW.itemsize))
        rows = np.frombuffer(raw, ROW).copy() if known.all() else fresh_rows(0)
        if not known.all() or (rows["format"] != FORMAT).any():
            raise StateError(
                f"a stored baseline is not of format {FORMAT} or not {NURSERY_BYTES} or "
                f"{ROW.itemsize} bytes long; reset the state with `trailstreams state reset`"
            )
        young = sizes == NURSERY_BYTES
        rows[young] = _nursery(_some(rows, young))
        self.rows.view(OPAQUE)[np.array(indices, np.int64)] = rows.view(OPAQUE)


def _some(rows: Rows, chosen: Indices | Bools) -> Rows:
    copies: Rows = rows.view(OPAQUE)[chosen].view(ROW)
    return copies


def _nursery(known: Rows) -> Rows:
    rows = fresh_rows(len(known))
    for name in ("first", "last", "seen"):
        rows[name] = known[name]
    return rows
