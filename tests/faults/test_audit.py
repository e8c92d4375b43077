"""The auditor sees what it is there for."""

import pytest
from helpers.anomalies import anomaly

from faults.audit import Difference, Kind, _revisions, _transitions
from faults.truth import Counted
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, State

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


def change(state: State, revision: int) -> Anomaly:
    return anomaly(state=state, revision=revision)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([change(State.START, 0), change(State.END, 1)], []),
        ([change(State.START, 0), change(State.START, 0)], [Kind.REPEATED]),
        ([change(State.START, 0), change(State.END, 2)], [Kind.WRONG]),
        ([change(State.END, 0), change(State.END, 1)], [Kind.WRONG]),
        ([change(State.RETRACTED, 0), change(State.START, 1)], [Kind.WRONG]),
    ],
)
def test_every_transition_of_an_anomaly_may_come_once(
    records: list[Anomaly], expected: list[Kind]
) -> None:
    assert kinds(list(_transitions("example", records))) == expected
