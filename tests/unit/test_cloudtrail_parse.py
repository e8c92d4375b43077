"""A record becomes a TrailRecord, or a Rejected with a reason from the closed set."""

import json

import pytest

from streams.cloudtrail.event_time import END_MS, FUTURE_MS, parse_instant
from streams.cloudtrail.parse import MAX_DEPTH, MAX_RECORD_BYTES, parse
from streams.cloudtrail.record import Origin, Reason, Rejected, TrailRecord

ORIGIN = Origin("bucket/key.json.gz", 3)
TIME = "2024-05-01T09:10:11Z"
TIME_MS = 1_714_554_611_000


def record(**changes: object) -> bytes:
    """Build a minimal record; a member set to `...` is left out."""
    members: dict[str, object] = {
        "eventTime": TIME,
        "eventName": "ListBuckets",
        "eventSource": "s3.amazonaws.com",
        "eventID": "5e5e5e5e-1111-4222-8333-000000000001",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "192.0.2.1",
    }
    members.update(changes)
    return json.dumps({name: v for name, v in members.items() if v is not ...}).encode()


def accepted(raw: bytes, published_ms: int = TIME_MS) -> TrailRecord:
    parsed = parse(raw, ORIGIN, published_ms=published_ms)
    assert isinstance(parsed, TrailRecord), parsed
    return parsed


def rejected(raw: bytes, published_ms: int = TIME_MS) -> Reason:
    parsed = parse(raw, ORIGIN, published_ms=published_ms)
    assert isinstance(parsed, Rejected), parsed
    assert parsed.origin == ORIGIN
    assert parsed.error
    assert raw.startswith(parsed.raw)
    return parsed.reason


def test_every_member_is_kept_verbatim() -> None:
    raw = b'{"eventName":"A","eventTime":"2024-05-01T09:10:11Z","x":[1.50, 1e400,"\\u00fc\\/"]}'

    fields = accepted(raw).fields

    assert bytes(fields["x"]) == b'[1.50, 1e400,"\\u00fc\\/"]'
    assert list(fields) == ["eventName", "eventTime", "x"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.NOT_A_RECORD),
        (b"null", Reason.NOT_A_RECORD),
        (b"[]", Reason.NOT_A_RECORD),
        (b'"text"', Reason.NOT_A_RECORD),
        (b"{}", Reason.NOT_A_RECORD),
        (b'{"name":"package"}', Reason.NOT_A_RECORD),
        (b'{"eventName":"A","eventTime":', Reason.NOT_JSON),
        (b'{"eventName":NaN}', Reason.NOT_JSON),
        (record(x=float("nan")), Reason.NOT_JSON),
        (record(x={"deep": [float("-inf")]}), Reason.NOT_JSON),
        (record() + b" x", Reason.NOT_JSON),
        (record(x="?").replace(b"?", b"\xff"), Reason.NOT_UTF8),
        (record(x="?").replace(b"?", b"\xed\xa0\x80"), Reason.NOT_UTF8),
        (record(x="?").replace(b"?", b"\x01"), Reason.NOT_JSON),
        (record(eventSource="aws:s3", eventName="ObjectCreated:Put"), Reason.NOT_A_RECORD),
        (record(eventName=...), Reason.NOT_A_RECORD),
        (record(eventTime=...), Reason.NO_EVENT_TIME),
        (record(eventTime=None), Reason.NO_EVENT_TIME),
        (record(eventTime="yesterday"), Reason.BAD_EVENT_TIME),
        (record(eventTime="2024-05-01"), Reason.BAD_EVENT_TIME),
        (record(eventTime="2024-02-30T00:00:00Z"), Reason.BAD_EVENT_TIME),
        (record(eventTime=1714554611), Reason.BAD_EVENT_TIME),
        (record(eventTime="1970-12-31T23:59:59Z"), Reason.BAD_EVENT_TIME),
        (record(eventTime="2039-01-01T00:00:00Z"), Reason.BAD_EVENT_TIME),
        (record(eventTime="2024-05-02T09:10:12Z"), Reason.FUTURE_EVENT_TIME),
    ],
)
def test_what_cannot_be_counted_is_rejected_with_its_reason(raw: bytes, reason: Reason) -> None:
    assert reason == rejected(raw)


def test_bounds_of_event_time_are_inclusive() -> None:
    assert accepted(record(eventTime="1971-01-01T00:00:00Z")).event_time_ms == 31_536_000_000
    last = accepted(record(eventTime="2038-12-31T23:59:59Z"), published_ms=END_MS)
    assert last.event_time_ms == END_MS - 1000
    assert accepted(record(), published_ms=TIME_MS - FUTURE_MS).event_time_ms == TIME_MS
    assert rejected(record(), published_ms=TIME_MS - FUTURE_MS - 1) == Reason.FUTURE_EVENT_TIME


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("2024-05-01T09:10:11Z", TIME_MS),
        ("2024-05-01T09:10:11z", TIME_MS),
        ("2024-05-01T09:10:11", TIME_MS),
        ("2024-05-01 09:10:11", TIME_MS),
        ("2024-05-01T11:10:11+02:00", TIME_MS),
        ("2024-05-01T11:10:11+0200", TIME_MS),
        ("2024-05-01T09:10:11.999999999Z", TIME_MS + 999),
        ("2024-05-01T09:10Z", TIME_MS - 11_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-05-01T24:00:00Z", None),
        ("2024-05-01T09:10:60Z", None),
        ("2024-05-01T09:10:11+99:99", None),
        ("20240501T091011Z", None),
        ("٢٠٢٤-05-01T09:10:11Z", None),
        ("0001-01-01T00:00:00+23:00", -62_135_679_600_000),
        ("", None),
    ],
)
def test_instants(value: str, milliseconds: int | None) -> None:
    assert milliseconds == parse_instant(value)


@pytest.mark.parametrize("levels", [200, MAX_DEPTH - 1])
def test_deep_nesting_is_accepted(levels: int) -> None:
    nested = b"[" * levels + b"]" * levels

    assert nested == bytes(accepted(record(x=0)[:-2] + nested + b"}").fields["x"])


@pytest.mark.parametrize("levels", [MAX_DEPTH, 1_000, 100_000])
def test_deeper_nesting_is_rejected_without_recursion(levels: int) -> None:
    arrays = b"[" * levels + b"]" * levels
    objects = b'{"a":' * levels + b"1" + b"}" * levels

    assert rejected(record(x=0)[:-2] + arrays + b"}") == Reason.NOT_JSON
    assert rejected(record(x=0)[:-2] + objects + b"}") == Reason.NOT_JSON


def test_many_shallow_brackets_and_brackets_in_strings_are_no_depth() -> None:
    accepted(record(x=[[]] * 1000, y="[{" * 1000, z='"[\\' * 1000))


def test_a_record_of_one_mebibyte_is_accepted_and_a_larger_one_not() -> None:
    room = MAX_RECORD_BYTES - len(record(x=""))

    accepted(record(x="a" * room))
    assert rejected(record(x="a" * (room + 1))) == Reason.TOO_LARGE


def test_odd_types_and_spellings_give_the_same_activity() -> None:
    usual = accepted(record(userIdentity={"type": "IAMUser", "arn": "a", "accountId": "1"}))
    odd = accepted(
        record(
            eventVersion=1.08,
            userIdentity={"Type": "IAMUser", "ARN": "a", "accountID": 1},
            requestParameters="text",
            recipientAccountId=111122223333,
            eventID=...,
            eventId="5e5e5e5e-1111-4222-8333-000000000001",
            sourceIPAddress=...,
            sourceIpAddress="192.0.2.1",
            managementEvent="true",
        )
    )

    assert usual.activity == odd.activity
    assert usual.dedup_id == odd.dedup_id


def test_the_usual_spelling_of_a_member_wins_over_another() -> None:
    assert accepted(record(eventName="usual", eventname="odd")).activity.event_name == "usual"


@pytest.mark.parametrize("member", ["eventName", "errorCode", "awsRegion", "userAgent"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, ["a", 1], {"a": 1}])
def test_no_type_of_a_member_is_a_surprise(member: str, value: object) -> None:
    parse(record(**{member: value}), ORIGIN, published_ms=TIME_MS)


@pytest.mark.parametrize(
    "value", [None, 1, "text", [], {}, {"sessionContext": []}, {"type": None, "arn": ["a"]}]
)
def test_no_shape_of_an_identity_is_a_surprise(value: object) -> None:
    assert accepted(record(userIdentity=value)).activity.principal


def test_account_is_the_recipient_then_the_caller_then_unknown() -> None:
    identity = {"accountId": "444455556666"}

    assert accepted(record(userIdentity=identity)).activity.account_id == "111122223333"
    caller = accepted(record(userIdentity=identity, recipientAccountId=...))
    assert caller.activity.account_id == "444455556666"
    assert accepted(record(recipientAccountId=...)).activity.account_id == "unknown"


@pytest.mark.parametrize(
    ("members", "category"),
    [
        ({"eventCategory": "Data", "managementEvent": True}, "Data"),
        ({"managementEvent": False}, "Data"),
        ({"managementEvent": True}, "Management"),
        ({"managementEvent": "false"}, "Data"),
        ({"eventType": "AwsVpceEvent"}, "NetworkActivity"),
        ({"eventType": "AwsCloudTrailInsight"}, "Insight"),
        ({}, "Management"),
    ],
)
def test_category_of_records_old_and_new(members: dict[str, object], category: str) -> None:
    assert category == accepted(record(**members)).activity.event_category


def test_dedup_id_joins_its_parts_unambiguously() -> None:
    first = record(eventID="ab", recipientAccountId="c")
    second = record(eventID="a", recipientAccountId="bc")

    assert accepted(first).dedup_id != accepted(second).dedup_id


@pytest.mark.parametrize("member", ["eventID", "recipientAccountId", "eventName"])
def test_dedup_id_depends_on_what_names_the_event(member: str) -> None:
    assert accepted(record()).dedup_id != accepted(record(**{member: "other"})).dedup_id


def test_dedup_id_is_stable_across_versions() -> None:
    """Deduplication state outlives a deployment: this value may never change."""
    assert accepted(record()).dedup_id.hex()[:16] == "b8fd6e8e9dd4c494"


def test_without_an_event_id_the_whole_record_in_any_order_is_the_identity() -> None:
    raw = record(eventID=..., x={"a": 1, "b": 2.50})
    reordered = json.dumps(dict(reversed(json.loads(raw).items())), indent=2).encode()

    assert accepted(raw).dedup_id == accepted(reordered).dedup_id
    assert accepted(raw).dedup_id != accepted(record(eventID=..., x={"a": 1})).dedup_id


def test_without_an_event_id_huge_integers_are_no_surprise() -> None:
    accepted(record(eventID=..., x=0)[:-2] + b"9" * 5_000 + b"}")
