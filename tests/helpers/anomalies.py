"""An anomaly for tests that need one and do not care which."""

import dataclasses

from streams.detection.anomaly import Anomaly, Level, Measure, State

ROLE = "arn:aws:iam::111122223333:role/example"


def anomaly(**changes: object) -> Anomaly:
    """Return the definitive start of an anomaly of one principal, with these members changed."""
    start = Anomaly(
        anomaly_id="0" * 32,
        type="InternalCallRate",
        state=State.START,
        revision=0,
        provisional=False,
        level=Level.PRINCIPAL,
        measure=Measure.CALLS,
        parent_id="",
        account_id="111122223333",
        region="eu-central-1",
        event_source="monitoring.amazonaws.com",
        event_name="GetMetricData",
        initiator="internal",
        caller_account_id="111122223333",
        principal=ROLE,
        window_start_ms=1_699_999_800_000,
        window_end_ms=1_700_000_100_000,
        baseline_average=1.0,
        baseline_low=0.0,
        baseline_high=4.0,
        baseline_duration_minutes=1440,
        observed_average=50.0,
        observed_peak=50.0,
        duration_minutes=5,
        score=9.0,
        threshold=6.0,
        rule_version="1",
        suppressed=False,
        superseded_by="",
        attributions=(),
        evidence=(),
        sentence="GetMetricData was called 50 times a minute, usually 1.",
        extra_dollars_per_day=1.0,
    )
    return dataclasses.replace(start, **changes)  # type: ignore[arg-type]
