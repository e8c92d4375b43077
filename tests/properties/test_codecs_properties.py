"""Whatever the values: what is written is read back, and bytes of any kind never crash a reader."""

import json
from contextlib import suppress
from io import BytesIO

import fastavro
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
)
from streams.codecs.trail import trail_datum
from streams.counting.counts import ActivityCount

CODECS = Codecs()
KEY = load_schemas()["ActivityKey"].parsed
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=80)
ACTIVITIES = st.builds(Activity, *[TEXTS] * 9)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
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


RECORDS = st.builds(
    TrailRecord,
    activity=ACTIVITIES,
    dedup_id=st.binary(min_size=16, max_size=16),
    event_time_ms=LONGS,
    origin=st.builds(Origin, TEXTS, LONGS),
    initiator_rule=TEXTS,
    session_name=TEXTS,
    access_key_id=TEXTS,
    event_id=TEXTS,
    event_type=TEXTS,
    source_ip_address=TEXTS,
    user_agent=TEXTS,
    raw=st.dictionaries(TEXTS, VALUES, max_size=8).map(
        lambda members: json.dumps(members, ensure_ascii=False).encode()
    ),
)


@given(RECORDS)
def test_every_record_is_rebuilt_from_its_value(record: TrailRecord) -> None:
    assert CODECS.decode_trail_record(CODECS.trail_record(record)) == record


@given(RECORDS)
def test_values_put_together_of_known_bytes_are_fastavro_s(record: TrailRecord) -> None:
    """Two fields and the key in front of the rest: the same bytes as one record of all fields."""
    out = BytesIO()
    datum = {
        "dedup_id": record.dedup_id,
        "event_time": record.event_time_ms,
        **record.activity._asdict(),
        **trail_datum(record),
    }
    fastavro.schemaless_writer(out, load_schemas()["TrailRecord"].parsed, datum)
    assert CODECS.trail_record(record)[10:] == out.getvalue()


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
