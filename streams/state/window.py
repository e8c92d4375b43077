"""One live window: its rows, the ids it has seen and, while it is open, its sums by series."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.counting.columns import Integers, distinct
from streams.counting.dedup import IdBlocks, Ids, IdSet
from streams.counting.rows import WindowRows
from streams.state.sums import SeriesSums


class Folded(NamedTuple):
    """What a batch of events did to a window."""

    fresh: npt.NDArray[np.bool_] | None
    """Which events were counted; None where all were: the others are duplicates."""
    new_keys: Integers
    """Keys that got a row, ascending."""


class Window:
    """Everything kept of one window until it is purged."""

    __slots__ = ("blocks", "ids", "rows", "start_ms", "sums")

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.rows = WindowRows()
        self.ids = IdSet()
        self.blocks = IdBlocks()
        self.sums = SeriesSums()
        """Meaningful while the window is open."""

    def fold(self, keys: Integers, ids: Ids, times_ms: Integers) -> Folded:
        """Count the events not seen before; all lie in this window."""
        fresh = self.ids.add(ids)
        if fresh is not None:
            keys, ids, times_ms = keys[fresh], ids[fresh], times_ms[fresh]
        new_keys = keys[:0]
        if len(keys):
            self.blocks.add(ids)
            slots = self.rows.find(keys)
            absent = slots < 0
            if absent.any():
                new_keys = distinct(keys[absent])
                self.rows.ensure(new_keys)
                slots = self.rows.find(keys)
            self.rows.add(slots, times_ms - self.start_ms)
        return Folded(fresh, new_keys)

    def settle(self) -> None:
        """Take the form of a closed window: little changes from now on."""
        self.sums = SeriesSums()
        self.rows.trim()
        self.ids.settle()
        self.blocks.tidy()
