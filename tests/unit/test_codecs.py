"""Codecs on the wire: framings, headers, keys, windows, derived records."""

import struct
from collections.abc import Callable

import msgspec
import pytest

from streams.cloudtrail.record import Activity, Origin, Reason, Rejected, TrailRecord
from streams.codecs import (
    CodecError,
    Codecs,
    ConfluentWire,
    DeadLetter,
    SourcePosition,
    decode_activity,
    encode_activity,
    header_length,
    load_schemas,
    murmur2,
    partition_of,
    record_json,
)
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, Attribution, Evidence, Level, Measure, State

IDS = {name: number for number, name in enumerate(load_schemas(), start=1)}
ACTIVITY = Activity(
    "111122223333",
    "eu-central-1",
    "monitoring.amazonaws.com",
    "GetMetricData",
    "Data",
    "internal",
    "444455556666",
    "arn:aws:iam::444455556666:role/example",
    "",
)
ANOMALY = Anomaly(
    anomaly_id="0" * 32,
    type="InternalCallRate",
    state=State.START,
    revision=1,
    provisional=True,
    level=Level.INITIATOR,
    measure=Measure.CALLS,
    parent_id="",
    account_id="111122223333",
    region="eu-central-1",
    event_source="monitoring.amazonaws.com",
    event_name="GetMetricData",
    initiator="internal",
    caller_account_id="444455556666",
    principal="",
    window_start_ms=1_700_000_100_000,
    window_end_ms=1_700_000_400_000,
    baseline_average=1.5,
    baseline_low=0.5,
    baseline_high=3.25,
    baseline_duration_minutes=10_080,
    observed_average=40.0,
    observed_peak=60.0,
    duration_minutes=5,
    score=9.75,
    threshold=6.0,
    rule_version="1",
    suppressed=False,
    superseded_by="",
    attributions=(
        Attribution("initiator", "internal", 1.0, 0.5),
        Attribution("user_agent", "AWS Internal", 0.75, None),
    ),
    evidence=(Evidence("example", "cloudtrail.records", 3, 17, "example.json.gz#4"),),
    sentence="An example.",
    extra_dollars_per_day=0.25,
)
LETTER = DeadLetter.of(
    Rejected(
        reason=Reason.NOT_JSON, error="no JSON", origin=Origin("a.json", 3), raw=b"{" * 70_000
    ),
    source_id="files",
    rejected_at_ms=1_700_000_000_000,
)
POSITION = SourcePosition(
    source_id="files",
    object="a.json",
    size_bytes=10,
    modified_ms=1_700_000_000_001,
    seen=6,
    published=3,
    filtered=2,
    rejected=1,
    up_to_ms=-1,
    finished=True,
)
COUNT = ActivityCount(1_700_000_400_000, 7, 0, 1_700_000_100_000, 1_700_000_399_999)


def trail(**fields: object) -> TrailRecord:
    return verbatim(msgspec.json.encode(fields))


def verbatim(raw: bytes) -> TrailRecord:
    return TrailRecord(
        activity=ACTIVITY,
        dedup_id=bytes(range(16)),
        event_time_ms=1_700_000_000_000,
        origin=Origin("example/AWSLogs/a.json.gz", 4),
        initiator_rule="invoked by AWS Internal",
        session_name="example",
        access_key_id="",
        event_id="",
        event_type="",
        source_ip_address="",
        user_agent="",
        raw=raw,
    )


@pytest.fixture(params=["single object", "registry"])
def codecs(request: pytest.FixtureRequest) -> Codecs:
    return Codecs() if request.param == "single object" else Codecs(ConfluentWire(IDS))


def test_single_object_header_is_marker_and_little_endian_fingerprint() -> None:
    """The CRC is the one of the Avro specification, written out here a second time."""
    canonical = (
        b'{"name":"trailstreams.ActivityCount","type":"record","fields":['
        b'{"name":"window_end","type":"long"},{"name":"count","type":"long"},'
        b'{"name":"revision","type":"long"},{"name":"first_event","type":"long"},'
        b'{"name":"last_event","type":"long"}]}'
    )
    assert Codecs().activity_count(COUNT)[:10] == b"\xc3\x01" + _crc_64_avro(canonical)


def test_crc_gives_the_specification_s_value_for_null() -> None:
    """Avro's schema-tests.txt: fingerprint of `"null"` is 7195948357588979594."""
    assert struct.pack("<q", 7195948357588979594) == _crc_64_avro(b'"null"')


def _crc_64_avro(data: bytes) -> bytes:
    empty = 0xC15D213AA4D7A795
    crc = empty
    for byte in data:
        low = (crc ^ byte) & 0xFF
        for _ in range(8):
            low = (low >> 1) ^ (empty if low & 1 else 0)
        crc = (crc >> 8) ^ low
    return crc.to_bytes(8, "little")


def test_registry_header_is_zero_and_big_endian_id() -> None:
    key = Codecs(ConfluentWire({**IDS, "ActivityKey": 258})).activity_key(ACTIVITY)
    assert key == b"\x00\x00\x00\x01\x02" + encode_activity(ACTIVITY)


def test_registry_framing_without_an_id_says_which_is_missing() -> None:
    with pytest.raises(CodecError, match="gave no id for"):
        Codecs(ConfluentWire({}))


@pytest.mark.parametrize(
    "raw", [b"", b"\xc3", b"\xc3\x01short", b"\x00\x01", b"{}", b"\xc3\x02" * 9]
)
def test_bytes_without_a_header_are_refused(raw: bytes) -> None:
    with pytest.raises(CodecError, match="C3 01 or 00"):
        header_length(raw)


@pytest.mark.parametrize("raw", [b"\xc3\x01" + bytes(8) + b"body", b"\x00\x00\x00\xff\xffbody"])
def test_an_unknown_schema_is_named_in_one_line(codecs: Codecs, raw: bytes) -> None:
    with pytest.raises(CodecError, match="unknown schema") as raised:
        codecs.decode_trail_record(raw)
    assert "\n" not in str(raised.value)


def test_a_value_of_another_record_is_refused(codecs: Codecs) -> None:
    with pytest.raises(CodecError, match="expected the schema Anomaly, not ActivityCount"):
        codecs.decode_anomaly(codecs.activity_count(COUNT))


def test_key_survives_and_its_body_follows_the_header(codecs: Codecs) -> None:
    key = codecs.activity_key(ACTIVITY)
    assert codecs.decode_activity_key(key) == ACTIVITY
    assert decode_activity(key[header_length(key) :]) == ACTIVITY


def test_window_key_is_the_key_s_body_and_the_start(codecs: Codecs) -> None:
    body = encode_activity(ACTIVITY)
    window = codecs.activity_window(body, 1_700_000_100_000)
    assert window[header_length(window) :].startswith(body)
    assert codecs.decode_activity_window(window) == (ACTIVITY, 1_700_000_100_000)


def test_derived_records_survive(codecs: Codecs) -> None:
    assert codecs.decode_activity_count(codecs.activity_count(COUNT)) == COUNT
    assert codecs.decode_anomaly(codecs.anomaly(ANOMALY)) == ANOMALY
    assert codecs.decode_dead_letter(codecs.dead_letter(LETTER)) == LETTER
    assert codecs.decode_source_position(codecs.source_position(POSITION)) == POSITION


def test_a_reader_takes_the_other_framing() -> None:
    registry, plain = Codecs(ConfluentWire(IDS)), Codecs()
    assert registry.decode_activity_key(plain.activity_key(ACTIVITY)) == ACTIVITY
    plain.learn(b"\x00" + IDS["Anomaly"].to_bytes(4, "big"), load_schemas()["Anomaly"])
    assert plain.decode_anomaly(registry.anomaly(ANOMALY)) == ANOMALY


def test_dead_letter_keeps_64_kib_and_the_hash_of_all() -> None:
    assert (len(LETTER.raw), LETTER.raw_length) == (65_536, 70_000)
    # sha256sum says so of 70,000 opening braces.
    assert LETTER.sha256 == "91310bc100dbd7873de6083d28a3597bb2316e45b84ed54b5559fcb578274a64"
    assert LETTER.key == b"a.json#3"


def test_source_position_is_keyed_by_source_and_object() -> None:
    assert POSITION.key == b"files\ta.json"


def test_progress_is_a_record_of_the_reserved_source(codecs: Codecs) -> None:
    key, value = codecs.progress("instance-1", 1_700_000_000_000)
    expected = Activity(
        "", "", "trailstreams.internal", "Progress", "", "none", "", "instance-1", ""
    )
    record = codecs.decode_trail_record(value)
    assert codecs.decode_activity_key(key) == expected
    assert (record.activity, record.dedup_id, record.event_time_ms) == (
        expected,
        bytes(16),
        1_700_000_000_000,
    )
    assert record.fields == {}


def test_trail_record_survives_with_every_derived_field(codecs: Codecs) -> None:
    record = trail(eventID="example", readOnly=True)
    assert codecs.decode_trail_record(codecs.trail_record(record)) == record


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"eventTime": "2023-11-14T22:13:20Z", "awsRegion": "eu-central-1", "errorCode": ""},
        {"eventTime": "2023-11-14T22:13:20.000Z", "awsRegion": "us-east-1", "eventSource": None},
        {
            "eventVersion": 1.08,
            "readOnly": "true",
            "managementEvent": None,
            "userAgent": ["a", "b"],
        },
        {"userAgent": "", "eventID": None, "requestParameters": "", "responseElements": None},
        {"key_members": 3, "rest": "{}", "dedup_id": "x", "event_time": 0, "": {"a b": {"c.d": 1}}},
        {
            "readOnly": False,
            "managementEvent": True,
            "number": 2**70,
            "text": '"\\/\u2028\U0001f600',
        },
        {
            "recipientAccountId": "111122223333",
            "eventCategory": "Data",
            "addendum": {"reason": "x"},
        },
    ],
)
def test_every_member_comes_back_whatever_its_type(fields: dict[str, object]) -> None:
    codecs = Codecs()
    value = codecs.trail_record(trail(**fields))
    assert record_json(codecs.decode_trail_record(value)) == fields


def test_the_record_comes_back_to_the_byte() -> None:
    codecs = Codecs()
    raw = rb'{ "tlsDetails":"\u00fc\/", "requestParameters": [1.0, -0, 1e400, 1E+2], "a":1,"a":2}'
    assert codecs.decode_trail_record(codecs.trail_record(verbatim(raw))).raw == raw


def test_a_record_that_is_not_utf8_is_refused_by_its_place() -> None:
    broken = verbatim(b'{"requestParameters":"\xff"}')
    with pytest.raises(CodecError, match=r"UTF-8 in record 4 of example/AWSLogs/a\.json\.gz"):
        Codecs().trail_record(broken)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":NaN}', "{} {}"])
def test_a_value_whose_record_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="JSON object in the field record"):
        Codecs().decode_trail_record(Codecs().trail_record(verbatim(text.encode())))


@pytest.mark.parametrize(
    ("decode", "value"),
    [
        (Codecs.decode_trail_record, Codecs().trail_record(trail(eventID="example"))),
        (Codecs.decode_activity_key, Codecs().activity_key(ACTIVITY)),
        (
            Codecs.decode_activity_window,
            Codecs().activity_window(encode_activity(ACTIVITY), 300_000),
        ),
        (Codecs.decode_activity_count, Codecs().activity_count(COUNT)),
        (Codecs.decode_anomaly, Codecs().anomaly(ANOMALY)),
        (Codecs.decode_dead_letter, Codecs().dead_letter(LETTER)),
        (Codecs.decode_source_position, Codecs().source_position(POSITION)),
    ],
)
def test_cut_or_longer_values_are_refused(
    decode: Callable[[Codecs, bytes], object], value: bytes
) -> None:
    codecs = Codecs()
    ends = range(len(value)) if len(value) < 1000 else (0, 9, 10, 50, len(value) - 1)
    for end in ends:
        with pytest.raises(CodecError):
            decode(codecs, value[:end])
    with pytest.raises(CodecError):
        decode(codecs, value + b"\x00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_is_the_java_client_s(text: str, expected: int) -> None:
    """Vectors of Apache Kafka's own UtilsTest."""
    assert murmur2(text.encode()) == expected & 0xFFFFFFFF


def test_partition_is_chosen_by_api_alone() -> None:
    text = b"111122223333|eu-central-1|monitoring.amazonaws.com|GetMetricData"
    expected = (murmur2(text) & 0x7FFFFFFF) % 12
    other = ACTIVITY._replace(principal="x", initiator="direct", error_code="y", event_category="z")
    assert partition_of(ACTIVITY, 12) == partition_of(other, 12) == expected
    assert len({partition_of(ACTIVITY._replace(region=str(n)), 12) for n in range(200)}) == 12
