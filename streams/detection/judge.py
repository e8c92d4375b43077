"""What passes between the baselines, the judges and the life-cycle: whole arrays of series."""

from typing import NamedTuple, Protocol

from streams.detection.pace import Moment
from streams.detection.registry import Judging
from streams.detection.row import Rows
from streams.detection.series_table import SeriesTable
from streams.detection.surprise import Scored
from streams.detection.tail import Bools, Floats, Indices


class Picture(NamedTuple):
    """One window of some series, beside what was known of them on its eve."""

    moment: Moment
    indices: Indices
    calls: Floats
    """Calls in the window, all >= 1."""
    errors: Floats
    rows: Rows
    """Baselines, advanced to the window's eve; copies."""
    scored: Scored


class Verdicts(NamedTuple):
    """One judge's decision about each series of a picture."""

    score: Floats
    threshold: Floats
    """What `score` has to reach, except where a judge says otherwise."""
    hit: Bools
    """An anomaly opens, or goes on."""
    near: Bools
    """An anomaly opens suppressed: worth keeping, not worth telling."""
    quiet: Bools
    """Back to usual; some of these in a row end an anomaly."""


class Judge(Protocol):
    """Decides which series are anomalous; one array element a series."""

    judging: Judging

    def grow(self, capacity: int) -> None:
        """Make room for series up to `capacity`, exclusive."""

    def admit(self, indices: Indices, table: SeriesTable) -> None:
        """Begin to judge series under free indexes."""

    def ignores_young(self, indices: Indices) -> Bools:
        """Tell of series in the nursery, without an anomaly open, which are never judged."""

    def screen(self, window: int, indices: Indices, calls: Indices) -> Bools:
        """Pick the series of a still open window worth a picture; never misses one that hits."""

    def judge(self, picture: Picture) -> Verdicts:
        """Decide; changes nothing."""
