"""Leading fields of a chunk, read at once."""

import numpy as np
import pytest

from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs import CodecError, Codecs, ConfluentWire, columns, load_schemas

IDS = {name: number for number, name in enumerate(load_schemas(), start=1)}
PLAIN = Codecs()
REGISTRY = Codecs(ConfluentWire(IDS))


def value(time_ms: int, *, first: int = 1, codecs: Codecs = PLAIN) -> bytes:
    return codecs.trail_record(
        TrailRecord(
            activity=Activity("111122223333", *[""] * 8),
            dedup_id=first.to_bytes(8, "little") + b"\xff" * 8,
            event_time_ms=time_ms,
            origin=Origin("", -1),
            initiator_rule="",
            session_name="",
            access_key_id="",
            event_id="",
            event_type="",
            source_ip_address="",
            user_agent="",
            raw=b"{}",
        )
    )


def test_ids_and_times_of_a_chunk_in_order() -> None:
    times = [31_536_000_000 + 7 * n for n in range(1000)]
    read = PLAIN.columns([value(time, first=2**63 + at) for at, time in enumerate(times)])
    assert read.ids.dtype == np.uint64
    assert read.times_ms.dtype == np.int64
    assert read.times_ms.tolist() == times
    assert read.ids.tolist() == [2**63 + at for at in range(1000)]
    assert read.bad == ()


def test_an_empty_chunk_is_empty_columns() -> None:
    assert PLAIN.columns([]).times_ms.tolist() == []


@pytest.mark.parametrize(
    "time_ms",
    [0, 1, -1, 63, 64, 2**34 - 1, 2**34, 2**41 - 1, 2**41, -(2**34), 2**63 - 1, -(2**63)],
)
def test_times_of_every_length(time_ms: int) -> None:
    """Six bytes hold 2^34 to 2^41 - 1; the edges and the extremes take other lengths."""
    read = PLAIN.columns([value(1_700_000_000_000), value(time_ms)])
    assert read.times_ms.tolist() == [1_700_000_000_000, time_ms]


def test_both_framings_in_one_chunk() -> None:
    mixed = [
        value(1_700_000_000_000 + at, first=at, codecs=REGISTRY if at % 3 else PLAIN)
        for at in range(50)
    ]
    read = REGISTRY.columns(mixed)
    assert read.ids.tolist() == list(range(50))
    assert read.times_ms.tolist() == [1_700_000_000_000 + at for at in range(50)]


def test_bad_values_are_reported_by_position_and_the_others_read() -> None:
    good = value(1_700_000_000_000, first=9)
    values = [None, good, b"", b"{}" * 40, good[:30], good, b"\xc3\x01" + bytes(60), good[:20]]
    # Bytes 26 to 35 hold the time: ten that all say "more follows" never end.
    values.append(good[:26] + b"\xff" * 10 + good[36:])
    read = PLAIN.columns(values)
    assert read.bad == (0, 2, 3, 4, 6, 7, 8)
    assert read.ids.tolist() == [0, 9, 0, 0, 0, 9, 0, 0, 0]
    assert read.times_ms.tolist() == [0, 1_700_000_000_000, 0, 0, 0, 1_700_000_000_000, 0, 0, 0]


def test_a_chunk_of_garbage_is_all_bad() -> None:
    values = [bytes([at % 256]) * 50 for at in range(1, 1000)]
    assert PLAIN.columns(values).bad == tuple(range(999))


def test_strict_names_the_first_bad_position() -> None:
    good = value(1_700_000_000_000)
    with pytest.raises(CodecError, match="value 2 of 4 is no TrailRecord"):
        columns([good, good, b"\x07" * 50, None])


def test_an_unknown_writer_is_bad_only_where_known_ones_are_given() -> None:
    foreign = value(1_700_000_000_000, codecs=REGISTRY)
    assert PLAIN.columns([foreign]).bad == (0,)
    assert columns([foreign]).times_ms.tolist() == [1_700_000_000_000]


def test_learning_a_trail_record_without_the_leading_fields_is_refused() -> None:
    other = {
        "type": "record",
        "name": "trailstreams.TrailRecord",
        "fields": [{"name": "event_time", "type": "long"}, {"name": "more", "type": "long"}],
    }
    with pytest.raises(CodecError, match=r"begins with a fixed\(16\) and a long"):
        PLAIN.learn(b"\x00\x00\x00\x00\x63", other)


def test_learning_another_key_is_refused() -> None:
    definition = dict(load_schemas()["ActivityKey"].definition)
    definition["fields"] = definition["fields"][:-1]
    with pytest.raises(CodecError, match="ActivityKey is frozen"):
        PLAIN.learn(b"\x00\x00\x00\x00\x63", definition)
