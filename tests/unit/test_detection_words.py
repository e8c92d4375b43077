"""The sentence for people, the tally of who called, and the registry's lines."""

import pytest

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Evidence, Level, Series, State
from streams.detection.registry import Judging, detector_of
from streams.detection.sentence import sentence
from streams.detection.series import covers, from_identity, identity
from streams.detection.tally import Tally

API = ("111122223333", "us-east-1", "monitoring.amazonaws.com", "GetMetricData")
EVENT = Series(Level.EVENT, *API)
INTERNAL = Series(Level.INITIATOR, *API, "internal", "111122223333")
PRINCIPAL = Series(Level.PRINCIPAL, *API, "internal", "111122223333", "cloudwatch.amazonaws.com")
AT_MS = 1_767_571_200_000 + 14 * 3_600_000 + 5 * 60_000


def _activity(**changed: str) -> Activity:
    return Activity(*API, "Data", "internal", "111122223333", "example", "")._replace(**changed)


def test_the_sentence_names_api_place_caller_rate_and_time() -> None:
    said = sentence(
        INTERNAL, State.START, observed=48.0, usual=15.4, limit=None, start_ms=AT_MS, end_ms=AT_MS
    )
    assert said == (
        "GetMetricData in 111122223333/us-east-1 by AWS itself (internal): 48 calls a minute, "
        "3.1x the usual 15.4 (since 14:05 UTC)"
    )


def test_the_sentence_of_an_end_says_from_when_to_when() -> None:
    said = sentence(
        EVENT, State.END, observed=1234.0, usual=0.0, limit=300.0, start_ms=AT_MS,
        end_ms=AT_MS + 300_000,
    )  # fmt: skip
    assert said == (
        "GetMetricData in 111122223333/us-east-1: 1,234 calls a minute, "
        "over the fixed limit of 300 (14:05 to 14:10 UTC; over)"
    )


def test_the_sentence_names_a_principal_and_its_foreign_account() -> None:
    series = PRINCIPAL._replace(initiator="direct", caller_account_id="444455556666")
    said = sentence(
        series, State.RETRACTED, observed=0.5, usual=0.0, limit=None, start_ms=AT_MS, end_ms=AT_MS
    )
    assert said == (
        "GetMetricData in 111122223333/us-east-1 by cloudwatch.amazonaws.com, direct calls of "
        "account 444455556666: 0.50 calls a minute (14:05 UTC; retracted)"
    )


def test_shares_are_exact_and_sorted() -> None:
    tally = Tally()
    tally.add([(_activity(principal="a"), 1), (_activity(principal="b", error_code="Denied"), 3)])
    tally.baseline = {"principal": {"a": 0.75}}
    assert list(tally.attributions()) == [
        ("principal", "b", 0.75, None),
        ("principal", "a", 0.25, 0.75),
        ("initiator", "internal", 1.0, None),
        ("error_code", "Denied", 0.75, None),
    ]


def test_the_price_follows_the_category() -> None:
    tally = Tally()
    tally.add([(_activity(), 3), (_activity(event_category="Management"), 1)])
    assert tally.dollars_per_call() == pytest.approx(0.75 * 0.10 / 100_000)


def test_samples_stop_at_200_and_evidence_at_5() -> None:
    tally = Tally()
    tally.add([(_activity(), 1)])
    for number in range(300):
        agent = "aws-cli" if number < 150 else "Boto3"
        tally.sample(Evidence(str(number), "records", 0, number, "here"), agent, "")
    assert tally.sampled == 200
    assert [one.event_id for one in tally.evidence] == ["0", "1", "2", "3", "4"]
    sampled = [one for one in tally.attributions() if one.attribute == "user_agent"]
    assert [(one.value, one.share) for one in sampled] == [("aws-cli", 0.75), ("Boto3", 0.25)]


def test_a_tally_keeps_the_200_largest_values() -> None:
    tally = Tally()
    tally.add((_activity(principal=f"p{number}"), number + 1) for number in range(500))
    assert len(tally.exact["principal"]) == 200
    assert tally.attributions()[0].value == "p499"


def test_series_cover_what_is_part_of_them() -> None:
    assert covers(EVENT, INTERNAL)
    assert covers(INTERNAL, PRINCIPAL)
    assert covers(EVENT, EVENT)
    assert not covers(PRINCIPAL, EVENT)
    assert not covers(INTERNAL, PRINCIPAL._replace(initiator="direct"))
    assert not covers(INTERNAL._replace(caller_account_id=""), PRINCIPAL)


def test_an_identity_is_one_series_alone() -> None:
    one = Series(Level.EVENT, "a", "b\0c", "", "d")
    other = Series(Level.EVENT, "a", "b", "\0c", "d")
    assert identity(one) != identity(other)
    assert (one, other) == (from_identity(identity(one)), from_identity(identity(other)))


@pytest.mark.parametrize(
    ("series", "rate", "threshold"),
    [
        (EVENT, "ApiCallRate", None),
        (INTERNAL, "InternalCallRate", "Threshold"),
        (PRINCIPAL, "ApiCallRate", None),
        (INTERNAL._replace(initiator="console"), "ApiCallRate", None),
        (INTERNAL._replace(initiator="console", caller_account_id=""), "ApiCallRate", None),
        (
            INTERNAL._replace(initiator="service", caller_account_id="444455556666"),
            "InternalCallRate",
            "Threshold",
        ),
        (INTERNAL._replace(event_name="PutMetricAlarm"), "ApiCallRate", None),
    ],
)
def test_each_judge_names_a_series_once(series: Series, rate: str, threshold: str | None) -> None:
    named = [detector_of(judging, series) for judging in (Judging.RATE, Judging.THRESHOLD)]
    assert [rate, threshold] == [one and one.name for one in named]
