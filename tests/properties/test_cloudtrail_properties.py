"""No input raises, nothing is lost, and a redelivery is recognized."""

import gzip
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.cloudtrail.activity import is_counted
from streams.cloudtrail.envelopes import RawRecord, read_object
from streams.cloudtrail.event_time import _parse, parse_instant
from streams.cloudtrail.header import read_leniently, read_strictly
from streams.cloudtrail.json_text import OBJECT
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Origin, Rejected, TrailRecord
from streams.cloudtrail.scan import values

ORIGIN = Origin("example", 0)
PUBLISHED_MS = 1_714_554_611_000
LIMIT = 1 << 20

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    [
        "eventTime", "eventName", "eventSource", "eventID", "eventId", "eventType", "eventCategory",
        "awsRegion", "sourceIPAddress", "userAgent", "errorCode", "recipientAccountId", "accountId",
        "userIdentity", "addendum", "managementEvent", "timeWindow", "insightDetails",
    ]
)  # fmt: skip
IDENTITY = st.dictionaries(
    st.sampled_from(
        ["type", "arn", "accountId", "principalId", "userName", "invokedBy", "sessionContext"]
    ),
    JSON
    | st.sampled_from(
        ["Root", "IAMUser", "AssumedRole", "WebIdentityUser", "SAMLUser", "AWSService"]
    ),
)
ODD_RECORDS = st.builds(
    lambda odd, sane, identity: {**sane, **odd, **identity},
    st.dictionaries(MEMBERS | TEXT, JSON, max_size=6),
    st.just({"eventTime": "2024-05-01T09:10:11Z", "eventName": "A"}),
    st.builds(lambda identity: {"userIdentity": identity}, IDENTITY | JSON),
)
RECORDS = st.builds(
    lambda event_id, name, account, extra: {
        **extra,
        "eventTime": "2024-05-01T09:10:11Z",
        "eventName": name,
        "recipientAccountId": account,
        **({"eventID": event_id} if event_id else {}),
    },
    st.none() | st.uuids().map(str),
    st.sampled_from(["GetMetricData", "PutRule"]),
    st.sampled_from(["111122223333", "444455556666"]),
    st.dictionaries(TEXT.filter(lambda name: name.lower()[:5] != "event"), JSON, max_size=3),
)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def envelopes(records: list[dict[str, Any]]) -> list[bytes]:
    lines = b"\n".join(map(compact, records))
    pretty = json.dumps({"Records": records}, indent=1, ensure_ascii=False).encode()
    return [
        compact({"Records": records}),
        pretty,
        lines,
        compact(records),
        gzip.compress(lines),
        gzip.compress(pretty),
    ]


def read(source: bytes) -> tuple[list[bytes], list[Any]]:
    items = list(read_object(source, "example", max_bytes=LIMIT))
    records = [bytes(item.raw) for item in items if isinstance(item, RawRecord)]
    return records, [item for item in items if not isinstance(item, RawRecord)]


@given(st.binary() | JSON.map(compact) | ODD_RECORDS.map(compact))
def test_parse_never_raises_and_always_decides(raw: bytes) -> None:
    parsed = parse(raw, ORIGIN, published_ms=PUBLISHED_MS)

    if isinstance(parsed, Rejected):
        assert parsed.raw == raw
        return
    assert all(isinstance(value, str) for value in parsed.activity)
    assert parsed.activity.principal
    assert parsed.activity.account_id
    assert isinstance(is_counted(parsed.activity), bool)
    for part in parsed.activity:
        part.encode()
    kept = {name: json.loads(bytes(value)) for name, value in parsed.fields.items()}
    assert kept == json.loads(raw)


@given(st.lists(RECORDS, min_size=1, max_size=5))
def test_a_redelivery_in_any_envelope_has_the_same_identity_and_key(
    records: list[dict[str, Any]],
) -> None:
    outcomes = []
    for envelope in envelopes(records):
        raws, others = read(envelope)
        assert not others
        parsed = [parse(raw, ORIGIN, published_ms=PUBLISHED_MS) for raw in raws]
        assert all(isinstance(one, TrailRecord) for one in parsed)
        outcomes.append(
            [(one.dedup_id, one.activity) for one in parsed if isinstance(one, TrailRecord)]
        )

    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(records) == len(outcomes[0])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x1f\x8b", b"{", b'{"Records":[', b"["]))
def test_no_bytes_make_reading_raise(tail: bytes, head: bytes) -> None:
    read(head + tail)
    read(gzip.compress(head + tail))


@given(st.text(alphabet='{}[]",:\\ \n1aN', max_size=60))
def test_nothing_of_an_almost_json_object_gets_lost(text: str) -> None:
    """Whatever is neither punctuation nor white space is in a record or in a rejection."""
    data = b'{"eventName":1}\n' + text.encode()

    records, others = read(data)

    found = b"".join(records) + b"".join(item.raw for item in others)
    for letter in b"aN":
        assert found.count(letter) - b"eventName".count(letter) >= text.count(chr(letter))


@given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
def test_a_cut_gzip_yields_its_first_records_and_one_rejection(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    packed = gzip.compress(compact({"Records": records}))
    cut = data.draw(st.integers(0, len(packed) - 1))

    found, others = read(packed[:cut])

    assert [compact(record) for record in records][: len(found)] == found
    assert [Rejected] == [type(item) for item in others]


@given(st.lists(JSON, max_size=6), st.sampled_from([b",", b" , ", b"\n,"]))
def test_scanning_finds_the_values_that_a_decoder_finds(items: list[Any], between: bytes) -> None:
    data = b"[" + between.join(map(compact, items)) + b"]"

    extents = list(values(data, 1, len(data)))

    assert items == [json.loads(data[extent.start : extent.end]) for extent in extents]
    assert all(extent.complete for extent in extents)


USUAL = st.fixed_dictionaries(
    {
        "eventTime": st.just("2024-05-01T09:10:11Z"),
        "eventName": st.sampled_from(["GetObject", "PutRule"]),
        "eventID": st.uuids().map(str),
        "sourceIPAddress": st.sampled_from(["192.0.2.1", "AWS Internal", "s3.amazonaws.com"]),
    },
    optional={
        "eventSource": TEXT,
        "eventType": st.sampled_from(["AwsApiCall", "AwsServiceEvent", "AwsVpceEvent"]),
        "eventCategory": st.sampled_from(["Management", "Data", "Insight"]),
        "awsRegion": TEXT,
        "userAgent": TEXT | st.sampled_from(["console.amazonaws.com", "Mozilla/5.0"]),
        "errorCode": TEXT,
        "recipientAccountId": TEXT,
        "managementEvent": st.booleans(),
        "sessionCredentialFromConsole": st.sampled_from(["true", "false"]),
        "userIdentity": IDENTITY | JSON,
        "addendum": st.builds(dict, reason=st.sampled_from(["UPDATED_DATA", "DELIVERY_DELAY"])),
        "requestParameters": JSON,
    },
)


@given(USUAL, st.booleans())
def test_the_quick_look_at_a_record_says_what_the_lenient_one_says(
    members: dict[str, Any], ascii_only: bool
) -> None:
    raw = json.dumps(members, ensure_ascii=ascii_only).encode()

    quick, lenient = read_strictly(raw), read_leniently(OBJECT.decode(raw))

    assert quick is not None
    for name in quick.__struct_fields__:
        one, other = getattr(quick, name), getattr(lenient, name)
        assert one == other or bytes(one) == bytes(other), name


@given(
    st.from_regex(r"\A20\d\d-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|z|\+0[01]:?00)?\Z")
    | st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z")
    | st.text("0123456789-:TZ+.", min_size=17, max_size=21)
)
def test_an_instant_by_its_minute_is_the_instant_read_as_a_whole(value: str) -> None:
    assert parse_instant(value) == _parse(value)
