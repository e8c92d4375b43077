"""Signals: each query once, under a name, for the panel and the alert that use it."""

from dataclasses import dataclass

from streams.metrics import (
    ANOMALIES_ACTIVE,
    ANOMALY_INFO,
    DUPLICATES,
    EVENTS,
    LATE,
    PRICE,
    PUBLISH_LATENCY,
    SERIES,
    TOO_LATE,
    WATERMARK_LAG,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One PromQL query with what it means."""

    name: str
    description: str
    unit: str
    """A Grafana unit id."""
    query: str
    legend: str = ""
    """Grafana's legend format; empty where the query has one series."""


EVENT_RATE = Signal(
    name="Events by initiator",
    description="CloudTrail events counted per second, by who initiated the call.",
    unit="cps",
    query=f"sum by (initiator) (rate({EVENTS.name}[5m]))",
    legend="{{initiator}}",
)
COST = Signal(
    name="CloudTrail cost a day, at this rate",
    description="What a trail charges a day for events at the rate of the last 5 minutes.",
    unit="currencyUSD",
    query=(
        f"86400 * sum by (initiator) (rate({EVENTS.name}[5m])"
        f" * on (event_category) group_left () max by (event_category) ({PRICE.name}))"
    ),
    legend="{{initiator}}",
)
OPEN_ANOMALIES = Signal(
    name="Open anomalies",
    description="Anomalies open now, by type and level; suppressed ones are left out.",
    unit="short",
    query=f"sum by (type, level) ({ANOMALIES_ACTIVE.name})",
    legend="{{type}} {{level}}",
)
WHO = Signal(
    name="Who",
    description="The open anomalies and who causes them.",
    unit="short",
    query=(
        f"max by (type, account_id, region, event_name, initiator, principal) ({ANOMALY_INFO.name})"
    ),
    legend="{{event_name}} {{principal}}",
)
INTERNAL_GET_METRIC_DATA = Signal(
    name="Internal GetMetricData anomalies",
    description="Open anomalies of GetMetricData that AWS itself calls, by the principal named.",
    unit="short",
    # Without anomaly_id and type: the anomaly of all internal calls and the one of its principal
    # name the same culprit and are one incident.
    query=(
        "max by (account_id, region, initiator, principal)"
        f' ({ANOMALY_INFO.name}{{event_name="GetMetricData", initiator="internal"}})'
    ),
    legend="{{account_id}} {{region}} {{principal}}",
)
WATERMARK = Signal(
    name="Watermark lag",
    description="How far the slowest partition's watermark is behind the clock.",
    unit="s",
    query=f"max({WATERMARK_LAG.name})",
)
WATERMARK_STANDSTILL = Signal(
    name="Watermark lag growth in 20 minutes",
    description="Seconds by which each partition's lag grew in 20 minutes; 1,200: it stands still.",
    unit="s",
    # The least lag of those that report a partition is its owner's, and a partition that moved to
    # another worker stays one series.
    query=f"delta(min by (partition) ({WATERMARK_LAG.name})[20m:1m])",
    legend="partition {{partition}}",
)
NOT_COUNTED = Signal(
    name="Late, too late and duplicate events",
    description="Events a second that amended a closed window, came after its purge, or twice.",
    unit="cps",
    query=(
        f'label_replace(sum(rate({LATE.name}[5m])), "fate", "late", "", "")'
        f' or label_replace(sum(rate({TOO_LATE.name}[5m])), "fate", "too late", "", "")'
        f' or label_replace(sum(rate({DUPLICATES.name}[5m])), "fate", "duplicate", "", "")'
    ),
    legend="{{fate}}",
)
LATENCY = Signal(
    name="Published to counted, p95",
    description="Time from a record's append to its committed count, of each chunk's oldest.",
    unit="s",
    query=f"histogram_quantile(0.95, sum by (le) (rate({PUBLISH_LATENCY.name}_bucket[5m])))",
)
LEARNING = Signal(
    name="Series",
    description="Watched series; those still learning are judged by threshold only.",
    unit="short",
    query=f"sum by (state) ({SERIES.name})",
    legend="{{state}}",
)
