"""Whatever the values: what is written is read back, and bytes of any kind never crash a reader."""

import json
from contextlib import suppress
from io import BytesIO

import fastavro
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs import (
    CodecError,
    Codecs,
    decode_activity,
    encode_activity,
    header_length,
    load_schemas,
    record_json,
)
from streams.counting.counts import ActivityCount

CODECS = Codecs()
KEY = load_schemas()["ActivityKey"].parsed
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=80)
ACTIVITIES = st.builds(Activity, *[TEXTS] * 9)
NAMES = st.sampled_from(
    [
        "eventTime",
        "awsRegion",
        "errorCode",
        "recipientAccountId",
        "eventID",
        "userAgent",
        "readOnly",
        "userIdentity",
        "resources",
        "rest",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["", "a", "1970-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(ACTIVITIES)
def test_key_bodies_are_fastavro_s_both_ways(activity: Activity) -> None:
    out = BytesIO()
    fastavro.schemaless_writer(out, KEY, activity._asdict())
    assert encode_activity(activity) == out.getvalue()
    assert decode_activity(out.getvalue()) == activity


@given(ACTIVITIES, LONGS)
def test_window_keys_are_fastavro_s(activity: Activity, start_ms: int) -> None:
    key = CODECS.activity_window(encode_activity(activity), start_ms)
    out = BytesIO()
    schema = load_schemas()["ActivityWindow"].parsed
    fastavro.schemaless_writer(out, schema, {**activity._asdict(), "window_start": start_ms})
    assert key[10:] == out.getvalue()
    assert CODECS.decode_activity_window(key) == (activity, start_ms)


@given(
    st.dictionaries(NAMES | TEXTS, VALUES, max_size=8),
    st.builds(Activity, *[st.sampled_from(["", "a"])] * 9),
    st.sampled_from([0, 1, -1, 10**15, -(10**15), 2**63 - 1]),
)
def test_every_record_is_rebuilt_from_its_value(
    members: dict[str, object], activity: Activity, time_ms: int
) -> None:
    record = TrailRecord(
        activity=activity,
        dedup_id=bytes(16),
        event_time_ms=time_ms,
        origin=Origin("example", 0),
        initiator_rule="",
        session_name="",
        access_key_id="",
        fields={name: msgspec.Raw(json.dumps(item).encode()) for name, item in members.items()},
    )
    decoded = CODECS.decode_trail_record(CODECS.trail_record(record))
    assert record_json(decoded) == members
    assert (decoded.activity, decoded.event_time_ms) == (activity, time_ms)


@given(st.builds(ActivityCount, *[LONGS] * 5))
def test_counts_survive(count: ActivityCount) -> None:
    assert CODECS.decode_activity_count(CODECS.activity_count(count)) == count


DECODERS = (
    ("ActivityKey", CODECS.decode_activity_key),
    ("ActivityWindow", CODECS.decode_activity_window),
    ("ActivityCount", CODECS.decode_activity_count),
    ("TrailRecord", CODECS.decode_trail_record),
    ("Anomaly", CODECS.decode_anomaly),
    ("DeadLetter", CODECS.decode_dead_letter),
    ("SourcePosition", CODECS.decode_source_position),
)


@given(st.sampled_from(DECODERS), st.binary(max_size=200))
def test_bytes_of_any_kind_decode_or_are_refused(decoder: tuple[str, object], body: bytes) -> None:
    name, decode = decoder
    for raw in (body, b"\xc3\x01" + load_schemas()[name].fingerprint + body):
        # Any other exception fails the test.
        with suppress(CodecError):
            decode(raw)  # type: ignore[operator]


@given(
    st.lists(st.none() | st.binary(max_size=60).map(lambda tail: b"\xc3\x01" + tail), max_size=9)
)
def test_columns_agree_with_reading_each_value_by_itself(values: list[bytes | None]) -> None:
    known = CODECS.progress("", 5)[1][:10]
    values = [raw and known + raw[2:] for raw in values]
    read = CODECS.columns(values)
    for at, raw in enumerate(values):
        single = CODECS.columns([raw])
        assert (read.ids[at], read.times_ms[at], at in read.bad) == (
            single.ids[0],
            single.times_ms[0],
            single.bad == (0,),
        )
    assert all(header_length(raw) == 10 for raw in values if raw)
