"""Calls and errors by series in one open window, fed by the growth of its rows."""

import numpy as np

from streams.counting.columns import Array, Integers, distinct, with_room
from streams.counting.rows import WindowRows
from streams.counting.slots import SlotIndex
from streams.state.keys import Keys

_LEVELS = 3


class SeriesSums:
    """Sums over the rows of one window; exact for the rows that `add` has been told of."""

    __slots__ = ("_counted", "_size", "_slots", "calls", "errors", "series")

    def __init__(self) -> None:
        self._slots = SlotIndex()
        self._size = 0
        self._counted: Array = np.zeros(0, dtype=np.int64)
        self.series: Array = np.zeros(0, dtype=np.int64)
        self.calls: Array = np.zeros(0, dtype=np.int64)
        self.errors: Array = np.zeros(0, dtype=np.int64)

    def add(self, rows: WindowRows, row_slots: Integers, keys: Keys) -> Integers:
        """Add what `row_slots` grew by since the last call; return the sums that changed.

        The keys of these rows are resolved.
        """
        self._counted = with_room(self._counted, rows.size)
        growth = rows.count[row_slots] - self._counted[row_slots]
        self._counted[row_slots] = rows.count[row_slots]
        key = rows.key[row_slots]
        error_growth = np.where(keys.is_error[key], growth, 0)
        changed = []
        for level in range(_LEVELS):
            series = keys.series[key, level].astype(np.int64)
            watched = series >= 0
            at = self._places(series[watched])
            np.add.at(self.calls, at, growth[watched])
            np.add.at(self.errors, at, error_growth[watched])
            changed.append(at)
        return distinct(np.concatenate(changed))

    def has_any(self, series: Integers) -> bool:
        """Tell whether any of `series`, ascending, has a sum."""
        return bool((self._slots.find(series) >= 0).any())

    def at(self, places: Integers | slice) -> tuple[Integers, Integers, Integers]:
        """Return series, calls and errors at these places."""
        return (
            self.series[: self._size][places],
            self.calls[: self._size][places],
            self.errors[: self._size][places],
        )

    def _places(self, series: Integers) -> Integers:
        places = self._slots.find(series)
        absent = places < 0
        if not absent.any():
            return places
        new = distinct(series[absent])
        first, self._size = self._size, self._size + len(new)
        self._slots.put(new, first)
        self.series = with_room(self.series, self._size)
        self.calls = with_room(self.calls, self._size)
        self.errors = with_room(self.errors, self._size)
        self.series[first : self._size] = new
        return self._slots.find(series)
