"""A map from large integers to small ones, many at a time, without a Python object per entry."""

import numpy as np

from streams.counting.columns import Array, Integers

_Run = tuple[Integers, Array]


class NumberMap:
    """Map integers of up to 63 bits to places of 31 bits: 12 bytes an entry.

    A few sorted runs, each much longer than the next, as in `IdSet`: an entry is copied and
    looked for a logarithmic number of times, and the map never stands still to grow.
    """

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def find(self, keys: Integers) -> Integers:
        """Return the place of each key, -1 where it has none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        order = np.argsort(keys)
        ordered = keys[order]
        for run, places in self._runs:
            at = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            hit = np.flatnonzero(run[at] == ordered)
            found[order[hit]] = places[at[hit]]
        return found

    def put(self, keys: Integers, places: Integers) -> None:
        """Give different `keys`, none of which has a place, one each."""
        if not len(keys):
            return
        order = np.argsort(keys)
        run: _Run = keys[order], places[order].astype(np.int32)
        while self._runs and len(self._runs[-1][0]) < 8 * len(run[0]):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def drop(self, keys: Integers) -> None:
        """Take the places of `keys` away."""
        ordered = np.sort(keys)
        kept = []
        for run, places in self._runs:
            at = np.minimum(np.searchsorted(ordered, run), len(ordered) - 1)
            keep = ordered[at] != run if len(ordered) else np.ones(len(run), dtype=np.bool_)
            if keep.any():
                kept.append((run[keep], places[keep]))
        self._runs = kept


def _merged(longer: _Run, shorter: _Run) -> _Run:
    at = np.searchsorted(longer[0], shorter[0])
    return np.insert(longer[0], at, shorter[0]), np.insert(longer[1], at, shorter[1])
