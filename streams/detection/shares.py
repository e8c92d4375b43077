"""How a series' calls are usually divided among those who make them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from streams.cloudtrail.record import Activity
from streams.detection.baselines import Baselines
from streams.detection.series import Resolved


class BaselineShares:
    """Compares the baselines of finer series with that of the series they are part of."""

    def __init__(self, baselines: Baselines, resolve: Callable[[Activity], Resolved]) -> None:
        self._baselines = baselines
        self._resolve = resolve

    def of(
        self, index: int, window: int, breakdown: Sequence[tuple[Activity, int]]
    ) -> dict[str, dict[str, float]]:
        """Return the usual share, 0 to 1, by attribute and value, of the values in `breakdown`.

        Empty when nothing is known of the series. Error codes have no baseline of their own.
        """
        whole = self._expected(window, {index})
        if whole == 0:
            return {}
        return {
            attribute: {
                value: min(1.0, self._expected(window, indices) / whole)
                for value, indices in values.items()
            }
            for attribute, values in self._finer(index, breakdown).items()
        }

    def _finer(
        self, index: int, breakdown: Iterable[tuple[Activity, int]]
    ) -> dict[str, dict[str, set[int]]]:
        finer: dict[str, dict[str, set[int]]] = {}
        for activity, _ in breakdown:
            for attribute, value, part in self._parts(index, activity):
                finer.setdefault(attribute, {}).setdefault(value, set()).add(part)
        return finer

    def _parts(self, index: int, activity: Activity) -> Iterator[tuple[str, str, int]]:
        event, initiator, principal = self._resolve(activity)
        if index == event:
            yield "initiator", activity.initiator, initiator
        if index in (event, initiator):
            yield "principal", activity.principal, principal

    def _expected(self, window: int, indices: set[int]) -> float:
        # fsum: equal whatever indexes the series happen to have.
        return math.fsum(self._baselines.expected(window, np.array(sorted(indices))).tolist())
