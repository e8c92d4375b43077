"""Which events of a window were counted: 8 bytes each, in memory and in the changelog."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from streams.counting.columns import Array, distinct

Ids = npt.NDArray[np.uint64]

BLOCK_IDS = 32_000
"""Ids in a full changelog block: 256,000 bytes, below the 256 KiB a block may have."""

_MOST_SMALL_BLOCKS = 64
_NO_IDS: Ids = np.zeros(0, dtype=np.uint64)


class IdSet:
    """The ids seen in one window, as a few sorted runs, each much longer than the next.

    A run is merged into the one before it when that is less than 8 times as long, so that an id
    is copied a logarithmic number of times and looked up in a logarithmic number of runs.
    """

    __slots__ = ("_runs",)

    def __init__(self, ids: Ids = _NO_IDS) -> None:
        self._runs: list[Ids] = [distinct(ids)] if len(ids) else []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, ids: Ids) -> npt.NDArray[np.bool_] | None:
        """Add ids and return which of them are new: the first of each not seen before.

        None says that all are, which is the ordinary case.
        """
        ordered = np.sort(ids)
        repeated = bool((ordered[1:] == ordered[:-1]).any())
        if not repeated and not self._known(ordered).any():
            self._append(ordered)
            return None
        different, first = np.unique(ids, return_index=True)
        unknown = ~self._known(different)
        new = np.zeros(len(ids), dtype=np.bool_)
        new[first[unknown]] = True
        self._append(different[unknown])
        return new

    def settle(self) -> None:
        """Merge all into one run: few ids come to a closed window."""
        if len(self._runs) > 1:
            self._runs = [_merged(self._runs)]

    def _known(self, ordered: Ids) -> npt.NDArray[np.bool_]:
        known = np.zeros(len(ordered), dtype=np.bool_)
        for run in self._runs:
            known |= run.take(np.searchsorted(run, ordered), mode="clip") == ordered
        return known

    def _append(self, run: Ids) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) < 8 * len(run):
            run = _merged((self._runs.pop(), run))
        self._runs.append(run)


class IdBlocks:
    """The changelog blocks of one window's ids: numbered, at most BLOCK_IDS ids each.

    What came since the last `save` becomes a new block; small blocks are kept at hand and
    rewritten as one when they are many, or when the window closes.
    """

    __slots__ = ("_full", "_next", "_small", "_tidy", "_unsaved")

    def __init__(self, blocks: Iterable[tuple[int, Ids]] = ()) -> None:
        self._full: list[int] = []
        self._small: dict[int, Ids] = {}
        self._unsaved: list[Ids] = []
        self._tidy = False
        self._next = 0
        for number, ids in blocks:
            self._keep(number, ids)
            self._next = max(self._next, number + 1)

    def add(self, ids: Ids) -> None:
        """Note ids that no block holds yet."""
        self._unsaved.append(ids)

    def tidy(self) -> None:
        """Have the next `save` rewrite the small blocks as full ones."""
        self._tidy = len(self._small) + len(self._unsaved) > 1

    @property
    def changed(self) -> bool:
        """Whether `save` has something to write."""
        return self._tidy or bool(self._unsaved)

    def save(self) -> list[tuple[int, Ids | None]]:
        """Return the blocks to write, None for one to delete."""
        parts, self._unsaved = self._unsaved, []
        gone: list[int] = []
        if self._tidy or len(self._small) >= _MOST_SMALL_BLOCKS:
            gone = list(self._small)
            parts = [*self._small.values(), *parts]
            self._small = {}
            self._tidy = False
        ids = np.concatenate(parts) if parts else _NO_IDS
        written: list[tuple[int, Ids | None]] = []
        for begin in range(0, len(ids), BLOCK_IDS):
            block = ids[begin : begin + BLOCK_IDS]
            written.append((self._next, block))
            self._keep(self._next, block)
            self._next += 1
        return [*written, *((number, None) for number in gone)]

    def numbers(self) -> list[int]:
        """Return the numbers of all blocks in the changelog."""
        return [*self._full, *self._small]

    def _keep(self, number: int, ids: Ids) -> None:
        if len(ids) == BLOCK_IDS:
            self._full.append(number)
        else:
            self._small[number] = ids


def _merged(runs: Sequence[Ids]) -> Ids:
    # A stable sort (timsort) of sorted runs is a linear merge.
    joined: Array = np.concatenate(runs)
    joined.sort(kind="stable")
    return joined
