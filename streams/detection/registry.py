"""Every detector, declared once: what it watches, and which judge decides for it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from streams.detection.anomaly import Level, Measure, Series

INTERNALLY_CHARGED_APIS = frozenset(
    {
        ("monitoring.amazonaws.com", "GetMetricData"),
        ("monitoring.amazonaws.com", "GetMetricWidgetImage"),
    }
)
"""(event source, event name) of the CloudWatch calls that AWS makes on a customer's behalf: free in
CloudWatch, charged by CloudTrail as data events."""


class Judging(Enum):
    """The judges; a series is judged by each of them under at most one detector's name."""

    RATE = "rate"
    """Against the series' own baseline: `streams/detection/rate.py`."""
    THRESHOLD = "threshold"
    """Against a fixed count: `streams/detection/threshold.py`."""


def of_charged_internal_calls(series: Series) -> bool:
    """Tell whether AWS itself, or another account, makes these calls at this account's expense.

    Cross-account callers are included because CloudTrail does not document the shape of every
    internally initiated record: cross-account observability may show either way.
    """
    cross_account = series.caller_account_id not in ("", series.account_id)
    return (series.event_source, series.event_name) in INTERNALLY_CHARGED_APIS and (
        series.initiator == "internal" or cross_account
    )


def _everything(_: Series) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One kind of anomaly."""

    name: str
    """Becomes the anomaly's `type`."""
    version: str
    """Becomes its `rule_version`; changes whenever equal counts may give other anomalies."""
    judging: Judging
    levels: frozenset[Level]
    measure: Measure
    watches: Callable[[Series], bool]
    """Whether a series of one of `levels` is this detector's."""


DETECTORS: tuple[Detector, ...] = (
    # The order matters: of one judge's detectors the first that watches a series names it, and of
    # two open anomalies on one series the earlier one's is the parent.
    Detector(
        name="InternalCallRate",
        version="InternalCallRate-1",
        judging=Judging.RATE,
        levels=frozenset({Level.INITIATOR}),
        measure=Measure.CALLS,
        watches=of_charged_internal_calls,
    ),
    Detector(
        name="ApiCallRate",
        version="ApiCallRate-1",
        judging=Judging.RATE,
        levels=frozenset(Level),
        measure=Measure.CALLS,
        watches=_everything,
    ),
    Detector(
        name="Threshold",
        version="Threshold-1",
        judging=Judging.THRESHOLD,
        levels=frozenset({Level.INITIATOR}),
        measure=Measure.CALLS,
        watches=of_charged_internal_calls,
    ),
)


def detector_of(judging: Judging, series: Series) -> Detector | None:
    """Return the detector under whose name a judge decides about a series, if any."""
    for detector in DETECTORS:
        if (
            detector.judging is judging
            and series.level in detector.levels
            and detector.watches(series)
        ):
            return detector
    return None
