"""Every metric, once: its declaration as data, and the object that holds and exposes the values.

Half of this module is data: `METRICS` is what the documentation, the dashboards and
the alerts are checked against.
`Metrics` keeps plain numbers and is itself one Prometheus collector: so gauges that belong to a
partition vanish with it, a batch costs one addition a label set, and no `_created` series doubles
the exposition.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from streams.cloudtrail.prices import PRICES, dollars_per_event
from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly, State

OTHER = "other"
"""Stands for a label's value once `events_total` has reached its cap."""
ANOMALY_INFO_MAX = 100
_EVENT_LABELS = "account_id region event_source event_name event_category initiator outcome"
_ACTIVE_LABELS = "type account_id region event_source event_name initiator level"
_INFO_LABELS = "anomaly_id type account_id region event_name initiator principal"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DELIVERY_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)

Labels = tuple[str, ...]
Samples = Mapping[Labels, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One declared metric; `name` is complete, with its unit and `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, inclusive, ascending, without +Inf."""


def _counter(name: str, text: str, labels: str = "") -> Metric:
    return Metric(
        name=f"trailstreams_{name}_total", kind="counter", help=text, labels=tuple(labels.split())
    )


def _gauge(name: str, text: str, labels: str = "") -> Metric:
    return Metric(
        name=f"trailstreams_{name}", kind="gauge", help=text, labels=tuple(labels.split())
    )


def _histogram(name: str, text: str, buckets: tuple[float, ...] = _SECONDS) -> Metric:
    return Metric(name=f"trailstreams_{name}", kind="histogram", help=text, buckets=buckets)


# What CloudTrail said.
EVENTS = _counter("events", "CloudTrail events counted, each exactly once.", _EVENT_LABELS)
METRICS_CAPPED = _gauge(
    "metrics_capped", "1 once events_total reached its cap and folds new label sets into `other`."
)
PRICE = _gauge(
    "price_dollars_per_event",
    "What one event costs in US dollars where one trail delivers it; its first copy may be free.",
    "event_category",
)
DUPLICATES = _counter("duplicate_events", "Events delivered again and not counted again.")
LATE = _counter("late_events", "Events counted after their window closed, as amendments.")
TOO_LATE = _counter("too_late_events", "Events not counted: their window was purged.")

# What was found in it.
ANOMALIES = _counter(
    "anomalies",
    "Anomalies started: counted when definitive, never when suppressed or still provisional.",
    "type level",
)
ANOMALIES_ACTIVE = _gauge(
    "anomalies_active",
    "Anomalies open now, provisional ones included, without suppressed ones.",
    _ACTIVE_LABELS,
)
ANOMALY_INFO = _gauge(
    "anomaly_info",
    f"1 while the anomaly is open and not suppressed; at most {ANOMALY_INFO_MAX} a worker, "
    "whole incidents before their parts, older before newer. "
    "`principal` is the series' own or the one with the largest share.",
    _INFO_LABELS,
)
SERIES = _gauge(
    "series", "Watched series of the owned partitions; learning: by threshold only.", "state"
)

# How the data flows.
SOURCE_SEEN = _counter("source_records_seen", "Records a source read: published+filtered+rejected.")
SOURCE_PUBLISHED = _counter("source_records_published", "Records whose delivery Kafka confirmed.")
SOURCE_FILTERED = _counter(
    "source_records_filtered", "Objects that are no calls: insights, summaries, digests."
)
SOURCE_REJECTED = _counter("source_records_rejected", "Records that became dead letters.")
WATERMARK_LAG = _gauge(
    "watermark_lag_seconds",
    "Now minus the partition's watermark; counted from 1970 until a source has spoken.",
    "partition",
)
CONSUMER_LAG = _gauge(
    "consumer_lag_records", "Records of the partition not yet folded into its state.", "partition"
)
PARTITION_SHARE = _gauge(
    "partition_share_max", "Largest share of one owned partition in the records of all owned, 0-1."
)
EVENT_LATENCY = _histogram(
    "event_to_count_latency_seconds",
    "Event time to committed count, of the oldest record of each fetched chunk.",
    _DELIVERY_SECONDS,
)
PUBLISH_LATENCY = _histogram(
    "publish_to_count_latency_seconds",
    "Append time to committed count, of the oldest record of each fetched chunk.",
)
FLUSH_SECONDS = _histogram("flush_duration_seconds", "Duration of one partition's atomic flush.")
FLUSH_ROWS = _counter("flush_rows", "Changelog rows committed.")
RECOVERY_SECONDS = _histogram("recovery_seconds", "Duration of one partition's recovery.")
READY = _gauge("ready", "1 while every assigned partition is recovered and processed.")

METRICS: tuple[Metric, ...] = (
    EVENTS, METRICS_CAPPED, PRICE, DUPLICATES, LATE, TOO_LATE,
    ANOMALIES, ANOMALIES_ACTIVE, ANOMALY_INFO, SERIES,
    SOURCE_SEEN, SOURCE_PUBLISHED, SOURCE_FILTERED, SOURCE_REJECTED,
    WATERMARK_LAG, CONSUMER_LAG, PARTITION_SHARE,
    EVENT_LATENCY, PUBLISH_LATENCY, FLUSH_SECONDS, FLUSH_ROWS, RECOVERY_SECONDS, READY,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """What an owned partition shows; replaced as a whole, so that no part of it is stale."""

    open_anomalies: Sequence[Anomaly] = ()
    """Latest state of each open anomaly, suppressed and provisional ones included."""
    learning: int = 0
    """Series too young to be judged by anything but a threshold."""
    watching: int = 0
    watermark_ms: int = 0
    """Milliseconds since the epoch; 0 while no source has spoken."""
    lag_records: int = 0
    records: int = 0
    """Records folded since the partition was opened."""


class Metrics(Collector):
    """Hold the values of one process and expose them through `registry`.

    `max_series` caps the label sets of `events_total`: past it a new one is folded into
    `event_name="other"`, and past 1.1 x `max_series` every open-ended label becomes `other`.
    `clock` gives seconds since the epoch and is read at a scrape only. Call from one thread;
    a scrape may come from another.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        max_series: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_series = max_series
        self._clock = clock
        self._capped = False
        self._ready = False
        self._partitions: dict[int, PartitionStatus | None] = {}
        self._counters: dict[Metric, dict[Labels, float]] = {
            metric: {} if metric.labels else {(): 0.0}
            for metric in METRICS
            if metric.kind == "counter"
        }
        self._histograms = {
            metric: _Histogram(metric.buckets) for metric in METRICS if metric.kind == "histogram"
        }
        registry.register(self)

    # Domain counters: call after the commit that made the counts durable, never in recovery.

    def events(self, increments: Mapping[Activity, int]) -> None:
        """Add counted events; Progress and corrections are no events and must not be in it."""
        for activity, count in increments.items():
            self._add(EVENTS, count, self._within_cap(_event_labels(activity)))

    def duplicates(self, count: int) -> None:
        """Add events recognised as delivered before."""
        self._add(DUPLICATES, count)

    def late(self, count: int) -> None:
        """Add events that amended a closed window."""
        self._add(LATE, count)

    def too_late(self, count: int) -> None:
        """Add events older than the purge line."""
        self._add(TOO_LATE, count)

    def anomaly_started(self, anomaly: Anomaly) -> None:
        """Count an anomaly at its definitive, not suppressed Start; anything else changes nothing.

        An anomaly that is adopted by a coarser one starts again: the caller leaves that out.
        """
        if anomaly.state is State.START and not (anomaly.provisional or anomaly.suppressed):
            self._add(ANOMALIES, 1, (anomaly.type, anomaly.level))

    # Flow.

    def source(
        self, *, seen: int = 0, published: int = 0, filtered: int = 0, rejected: int = 0
    ) -> None:
        """Add what a source did; over time seen == published + filtered + rejected."""
        self._add(SOURCE_SEEN, seen)
        self._add(SOURCE_PUBLISHED, published)
        self._add(SOURCE_FILTERED, filtered)
        self._add(SOURCE_REJECTED, rejected)

    def counted(self, *, event_seconds: float, publish_seconds: float) -> None:
        """Observe one committed chunk by the latencies of its oldest record."""
        self._histograms[EVENT_LATENCY].observe(event_seconds)
        self._histograms[PUBLISH_LATENCY].observe(publish_seconds)

    def flushed(self, *, seconds: float, rows: int) -> None:
        """Observe one committed flush of a partition."""
        self._histograms[FLUSH_SECONDS].observe(seconds)
        self._add(FLUSH_ROWS, rows)

    def recovered(self, *, seconds: float) -> None:
        """Observe one finished recovery of a partition."""
        self._histograms[RECOVERY_SECONDS].observe(seconds)

    def ready(self, ready: bool) -> None:
        """Say whether the process is ready, as /readyz does."""
        self._ready = ready

    # Gauges that live and die with the ownership of a partition.

    def own(self, partition: int) -> None:
        """Accept a partition's status from now on; nothing of it is shown before the first one."""
        self._partitions[partition] = None

    def partition(self, partition: int, status: PartitionStatus) -> None:
        """Replace what an owned partition shows; ignored once it is disowned.

        A flush that ends after the revocation must not bring the partition back: two workers
        would report one anomaly for ever.
        """
        if partition in self._partitions:
            self._partitions[partition] = status

    def disown(self, partition: int) -> None:
        """Stop exposing a partition; unknown ones are ignored."""
        self._partitions.pop(partition, None)

    # Exposition.

    def describe(self) -> Iterator[Family]:
        """Yield every family without samples, so that a registry refuses a second instance."""
        for metric in METRICS:
            if metric.kind == "histogram":
                yield HistogramMetricFamily(metric.name, metric.help)
            else:
                yield _family(metric, {})

    def collect(self) -> Iterator[Family]:
        """Yield every family with its samples as they are now."""
        owned = self._partitions.copy().items()
        gauges = self._gauges([(p, status) for p, status in owned if status is not None])
        for metric in METRICS:
            if metric.kind == "histogram":
                yield self._histograms[metric].family(metric)
            elif metric.kind == "counter":
                yield _family(metric, self._counters[metric].copy())
            else:
                yield _family(metric, gauges[metric])

    def _add(self, metric: Metric, count: float, labels: Labels = ()) -> None:
        values = self._counters[metric]
        values[labels] = values.get(labels, 0.0) + count

    def _within_cap(self, labels: Labels) -> Labels:
        known = self._counters[EVENTS]
        if labels in known or len(known) < self._max_series:
            return labels
        self._capped = True
        account_id, region, event_source, _, *closed = labels
        by_source = (account_id, region, event_source, OTHER, *closed)
        if by_source in known or 10 * len(known) < 11 * self._max_series:
            return by_source
        return (OTHER, OTHER, OTHER, OTHER, *closed)

    def _gauges(self, owned: list[tuple[int, PartitionStatus]]) -> dict[Metric, Samples]:
        statuses = [status for _, status in owned]
        anomalies = [a for s in statuses for a in s.open_anomalies if not a.suppressed]
        now = self._clock()
        return {
            METRICS_CAPPED: {(): self._capped},
            PRICE: {(p.event_category,): dollars_per_event(p.event_category) for p in PRICES},
            ANOMALIES_ACTIVE: _tally(map(_active_labels, anomalies)),
            ANOMALY_INFO: _tally(
                map(_info_labels, sorted(anomalies, key=_rank)[:ANOMALY_INFO_MAX])
            ),
            SERIES: {
                ("learning",): sum(status.learning for status in statuses),
                ("watching",): sum(status.watching for status in statuses),
            },
            WATERMARK_LAG: {(str(p),): now - s.watermark_ms / 1000 for p, s in owned},
            CONSUMER_LAG: {(str(p),): s.lag_records for p, s in owned},
            PARTITION_SHARE: _largest_share([status.records for status in statuses]),
            READY: {(): self._ready},
        }


class _Histogram:
    """Counts per bucket, and the sum, of one histogram without labels."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, metric: Metric) -> Family:
        buckets, below = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            buckets.append((bound, below))
        family = HistogramMetricFamily(metric.name, metric.help)
        family.add_metric((), buckets=buckets, sum_value=self._sum)
        return family


def _family(metric: Metric, samples: Samples) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    else:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def _event_labels(activity: Activity) -> Labels:
    # The first six members of Activity are the first six labels, in this order.
    return (*activity[:6], "error" if activity.error_code else "ok")


def _active_labels(anomaly: Anomaly) -> Labels:
    a = anomaly
    return (
        a.type, a.account_id, a.region, a.event_source, a.event_name, a.initiator, a.level,
    )  # fmt: skip


def _info_labels(anomaly: Anomaly) -> Labels:
    a = anomaly
    return (
        a.anomaly_id, a.type, a.account_id, a.region, a.event_name, a.initiator, _who(anomaly),
    )  # fmt: skip


def _who(anomaly: Anomaly) -> str:
    """Name the principal: the series' own, else the one with the largest share, else nobody."""
    shares = [a for a in anomaly.attributions if a.attribute == "principal"]
    largest = max(shares, key=lambda attribution: attribution.share, default=None)
    return anomaly.principal or (largest.value if largest else "")


def _rank(anomaly: Anomaly) -> tuple[bool, int, str]:
    """Put whole incidents before their parts, then the oldest first: stable between scrapes."""
    return bool(anomaly.parent_id), anomaly.window_start_ms, anomaly.anomaly_id


def _tally(labels: Iterable[Labels]) -> Samples:
    counts: dict[Labels, float] = {}
    for label in labels:
        counts[label] = counts.get(label, 0.0) + 1
    return counts


def _largest_share(records: list[int]) -> Samples:
    total = sum(records)
    return {(): max(records) / total} if total else {}
