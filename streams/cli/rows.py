"""Counts and anomalies as rows of words and numbers, the same in every command."""

from dataclasses import asdict
from datetime import UTC, datetime

from streams.cloudtrail.record import Activity
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly

Row = dict[str, object]


def count_row(activity: Activity, window_start_ms: int, count: ActivityCount) -> Row:
    """Return one count of one window."""
    return {
        "window_start": instant(window_start_ms),
        "window_end": instant(count.window_end_ms),
        "count": count.count,
        "revision": count.revision,
        **activity._asdict(),
        "first_event_time": instant(count.first_event_ms),
        "last_event_time": instant(count.last_event_ms),
    }


def anomaly_row(anomaly: Anomaly) -> Row:
    """Return one state of one anomaly."""
    row = asdict(anomaly)
    start_ms, end_ms = row.pop("window_start_ms"), row.pop("window_end_ms")
    return row | {
        "window_start": instant(start_ms),
        "window_end": instant(end_ms),
        "standing": "provisional" if anomaly.provisional else "definitive",
        "attributions": [item._asdict() for item in anomaly.attributions],
        "evidence": [item._asdict() for item in anomaly.evidence],
    }


def instant(time_ms: int) -> str:
    """Return an instant as ISO 8601 in UTC, with milliseconds where there are any."""
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace(".000", "").replace("+00:00", "Z")
