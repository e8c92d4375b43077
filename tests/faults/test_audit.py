"""The auditor sees what it is there for."""

import pytest

from faults.audit import Difference, Kind, _revisions, _transitions
from faults.truth import Counted
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, Level, Measure, State

TRUTH = Counted(at_close=2, calls=3, first_ms=10, last_ms=30)
BORN_CLOSED = Counted(at_close=None, calls=3, first_ms=10, last_ms=30)


def count(calls: int, revision: int, last_ms: int = 30) -> ActivityCount:
    return ActivityCount(900_000, calls, revision, 10, last_ms)


def kinds(differences: list[Difference]) -> list[Kind]:
    return [difference.kind for difference in differences]


@pytest.mark.parametrize(
    ("counts", "truth", "expected"),
    [
        ([count(2, 0, 20), count(3, 1)], TRUTH, []),
        ([count(3, 1)], BORN_CLOSED, []),
        ([count(2, 0, 20)], TRUTH, [Kind.LOST]),
        ([count(2, 0, 20), count(4, 1)], TRUTH, [Kind.WRONG]),
        ([count(2, 0, 20), count(3, 1, 29)], TRUTH, [Kind.WRONG]),
        ([count(1, 0, 20), count(3, 1)], TRUTH, [Kind.WRONG]),
        ([count(3, 0)], BORN_CLOSED, [Kind.WRONG]),
        ([count(2, 0, 20), count(3, 2)], TRUTH, [Kind.WRONG]),
        ([count(2, 0, 20), count(2, 0, 20), count(3, 1)], TRUTH, [Kind.REPEATED, Kind.WRONG]),
        ([count(2, 0, 20), count(3, 1), count(3, 2)], TRUTH, [Kind.WRONG]),
    ],
)
def test_every_way_a_row_can_be_amiss_is_told(
    counts: list[ActivityCount], truth: Counted, expected: list[Kind]
) -> None:
    assert kinds(list(_revisions("a row", counts, truth))) == expected


def anomaly(state: State, revision: int) -> Anomaly:
    return Anomaly(
        anomaly_id="example",
        type="ApiCallRate",
        state=state,
        revision=revision,
        provisional=False,
        level=Level.EVENT,
        measure=Measure.CALLS,
        parent_id="",
        account_id="111122223333",
        region="us-east-1",
        event_source="s3.amazonaws.com",
        event_name="GetObject",
        initiator="",
        caller_account_id="",
        principal="",
        window_start_ms=0,
        window_end_ms=900_000,
        baseline_average=1.0,
        baseline_low=0.0,
        baseline_high=2.0,
        baseline_duration_minutes=60,
        observed_average=9.0,
        observed_peak=9.0,
        duration_minutes=15,
        score=9.0,
        threshold=6.0,
        rule_version="ApiCallRate-1",
        suppressed=False,
        superseded_by="",
        attributions=(),
        evidence=(),
        sentence="",
        extra_dollars_per_day=0.0,
    )


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([anomaly(State.START, 0), anomaly(State.END, 1)], []),
        ([anomaly(State.START, 0), anomaly(State.START, 0)], [Kind.REPEATED]),
        ([anomaly(State.START, 0), anomaly(State.END, 2)], [Kind.WRONG]),
        ([anomaly(State.END, 0), anomaly(State.END, 1)], [Kind.WRONG]),
        ([anomaly(State.RETRACTED, 0), anomaly(State.START, 1)], [Kind.WRONG]),
    ],
)
def test_every_transition_of_an_anomaly_may_come_once(
    records: list[Anomaly], expected: list[Kind]
) -> None:
    assert kinds(list(_transitions("example", records))) == expected
