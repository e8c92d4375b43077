"""Where a number's row is: a two-level table, dense where the numbers are, empty elsewhere."""

import numpy as np

from streams.counting.columns import Array, Integers, distinct, with_room

_BITS = 4
_PAGE = 1 << _BITS
_MASK = _PAGE - 1


class SlotIndex:
    """Map small non-negative integers to slots, many at a time; -1 where there is none.

    A page of 16 costs 64 bytes and is made at its first use, so that a window holding a few of a
    million keys stays small; a lookup is two gathers.
    """

    __slots__ = ("_page_of", "_pages", "_used")

    def __init__(self) -> None:
        self._page_of: Array = np.zeros(0, dtype=np.int32)
        # Page 0 is the empty page that every unused entry refers to.
        self._pages: Array = np.full((1, _PAGE), -1, dtype=np.int32)
        self._used = 1

    def find(self, numbers: Integers) -> Integers:
        """Return the slot of each number, -1 where it has none."""
        if not len(numbers):
            return numbers
        highest = int(numbers.max()) >> _BITS
        if highest >= len(self._page_of):
            self._page_of = with_room(self._page_of, highest + 1)
        slots: Integers = self._pages[self._page_of[numbers >> _BITS], numbers & _MASK].astype(
            np.int64
        )
        return slots

    def put(self, numbers: Integers, first_slot: int) -> None:
        """Give different `numbers`, none of which has a slot, the slots from `first_slot` on."""
        if not len(numbers):
            return
        pages = distinct(numbers >> _BITS)
        self._page_of = with_room(self._page_of, int(pages[-1]) + 1)
        fresh = pages[self._page_of[pages] == 0]
        self._pages = with_room(self._pages, self._used + len(fresh), -1)
        self._page_of[fresh] = np.arange(self._used, self._used + len(fresh))
        self._used += len(fresh)
        self._pages[self._page_of[numbers >> _BITS], numbers & _MASK] = np.arange(
            first_slot, first_slot + len(numbers)
        )
