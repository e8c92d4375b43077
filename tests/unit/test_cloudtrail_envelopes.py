"""Objects as they come, and what is yielded of each: nothing is lost, nothing raises."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from streams.cloudtrail.envelopes import EXCERPT_BYTES, RawRecord, read_object
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Filtered, Origin, Reason, Rejected, Skipped, TrailRecord

LIMIT = 1_000_000
NAME = "bucket/AWSLogs/example.json.gz"
PUBLISHED_MS = 1_714_554_611_000


def record(number: int) -> bytes:
    members = {
        "eventTime": "2024-05-01T09:10:11Z",
        "eventName": f"Get{number}",
        "eventID": str(number),
    }
    return json.dumps(members, separators=(",", ":")).encode()


def gzipped(content: bytes) -> bytes:
    """Compress without the time of day: a test has one name in all processes."""
    return gzip.compress(content, mtime=0)


A, B, C = record(1), record(2), record(3)
LOG = b'{"Records":[' + b",".join((A, B, C)) + b"]}"
DIGEST = b'{"awsAccountId":"111122223333","digestStartTime":"a","digestEndTime":"b","logFiles":[]}'


def read(source: bytes | Iterable[bytes]) -> tuple[list[bytes], list[Rejected | Skipped]]:
    records: list[bytes] = []
    others: list[Rejected | Skipped] = []
    for item in read_object(source, NAME, max_bytes=LIMIT):
        if isinstance(item, RawRecord):
            assert Origin(NAME, len(records)) == item.origin
            assert not others, "records come first"
            records.append(bytes(item.raw))
        else:
            assert Origin(NAME, -1) == item.origin
            others.append(item)
    return records, others


def reason_of(others: list[Rejected | Skipped]) -> Reason | Filtered:
    (only,) = others
    return only.reason


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(LOG, id="plain log file"),
        pytest.param(gzipped(LOG), id="gzip"),
        pytest.param(gzipped(LOG[:40]) + gzipped(LOG[40:]), id="two members"),
        pytest.param(gzipped(LOG) + b"\0" * 512, id="padding"),
        pytest.param(b"\xef\xbb\xbf" + LOG, id="byte order mark"),
        pytest.param(json.dumps(json.loads(LOG), indent=2).encode(), id="pretty"),
        pytest.param(b'{"Source":"x","Records":' + LOG[11:], id="other member first"),
        pytest.param(b"[" + b",".join((A, B, C)) + b"]", id="array"),
        pytest.param(b"\n".join((A, B, C)), id="lines"),
        pytest.param(b"\r\n\r\n".join((A, B, C)) + b"\n", id="lines with gaps"),
        pytest.param(gzipped(A + b"\n") + gzipped(B + b"\n" + C), id="gzipped lines"),
        pytest.param(A + B + C, id="one after the other"),
        pytest.param(
            b'{"Records":[' + A + b']}{"Records":[' + B + b"," + C + b"]}", id="logs joined"
        ),
        pytest.param(
            b'{"Records":[' + A + b']}\n{"Records":[' + B + b"," + C + b"]}\n", id="logs by line"
        ),
    ],
)
def test_every_envelope_yields_the_same_records(source: bytes) -> None:
    records, others = read(source)

    assert [json.loads(raw) for raw in (A, B, C)] == [json.loads(raw) for raw in records]
    assert not others


def test_a_single_record_is_an_object_of_one() -> None:
    assert read(A) == ([A], [])


def test_chunks_are_as_good_as_bytes() -> None:
    packed = gzipped(LOG)

    assert read(LOG) == read(packed[i : i + 1] for i in range(len(packed)))
    assert read(LOG) == read([b"", LOG[:5], b"", LOG[5:]])


@pytest.mark.parametrize("source", [b'{"Records":[]}', gzipped(b'{"Records": []}'), b"[]"])
def test_no_records_yield_nothing(source: bytes) -> None:
    assert read(source) == ([], [])


def test_a_digest_is_skipped_and_said() -> None:
    records, others = read(gzipped(DIGEST))

    assert not records
    assert [Skipped(reason=Filtered.DIGEST, origin=Origin(NAME, -1))] == others


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", Reason.TRUNCATED),
        (b" \n", Reason.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Reason.NOT_JSON),
        (b"some text\nmore text\n", Reason.NOT_JSON),
        (b"123", Reason.NOT_A_RECORD),
        (b'{"name": "package", "version": "1"}', Reason.NOT_A_RECORD),
        (b'{"level":"info"}\n{"level":"warn"}\n', Reason.NOT_A_RECORD),
        (b'[{"a":1},{"b":2}]', Reason.NOT_A_RECORD),
        (b'{"Records":[{"Sns":{}}]}', Reason.NOT_A_RECORD),
        (b"[" * 100_000, Reason.TRUNCATED),
        (gzipped(b"text"), Reason.NOT_JSON),
        (b"\x1f", Reason.NOT_JSON),
        (b"\x1f\x8b", Reason.TRUNCATED),
    ],
)
def test_what_is_no_trail_is_one_rejection(source: bytes, reason: Reason) -> None:
    records, others = read(source)

    assert not records
    assert reason == reason_of(others)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"eventName": NaN}',
        b'{"eventName": "\xff"}',
        b'{"eventName": "\x01"}',
        b'{"eventName" 1}',
        b'{"eventName": [1,]}',
        b'{"eventName":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'"eventName"',
    ],
)
@pytest.mark.parametrize(
    ("head", "between", "tail"),
    [(b'{"Records":[', b",", b"]}"), (b"[", b", ", b"]"), (b"", b"\n", b"\n")],
)
def test_one_bad_record_leaves_the_good_ones(
    bad: bytes, head: bytes, between: bytes, tail: bytes
) -> None:
    records, others = read(head + between.join((A, bad, C)) + tail)

    assert [A, bad, C] == records
    assert not others
    parsed = [parse(raw, Origin("", 0), published_ms=PUBLISHED_MS) for raw in records]
    assert [TrailRecord, Rejected, TrailRecord] == [type(one) for one in parsed]


def test_a_line_that_ends_too_early_does_not_swallow_the_next() -> None:
    records, others = read(A + b"\n" + B[:-5] + b"\n" + C)

    assert [A, B[:-5], C] == records
    assert not others


@pytest.mark.parametrize("cut", range(1, len(LOG)))
def test_a_cut_log_file_yields_its_whole_records_and_the_rest_as_one_rejection(cut: int) -> None:
    records, others = read(LOG[:cut])

    assert [A, B, C][: len(records)] == records
    assert LOG[:cut].count(b"}") - LOG[:cut].count(b"]}") == len(records)
    assert reason_of(others) == Reason.TRUNCATED
    (rest,) = others
    assert isinstance(rest, Rejected)
    assert LOG[:cut].endswith(rest.raw)


def test_the_last_line_may_be_cut() -> None:
    records, others = read(A + b"\n" + B + b"\n" + C[:-3])

    assert records == [A, B]
    assert reason_of(others) == Reason.TRUNCATED


@pytest.mark.parametrize("damage", [b"garbage", gzipped(C)[:-9], b"\x1f\x8b\xff"])
def test_damage_after_a_whole_member_is_said_and_costs_no_record(damage: bytes) -> None:
    records, others = read(gzipped(b"\n".join((A, B)) + b"\n") + damage)

    assert records[:2] == [A, B]
    assert reason_of(others) == Reason.TRUNCATED


def test_records_of_a_damaged_member_are_not_believed() -> None:
    """A flipped bit gives wrong text long before an error: better no record than a wrong one."""
    lines = [record(number) for number in range(5_000)]
    packed = bytearray(gzipped(b"\n".join(lines)))
    packed[len(packed) // 2] ^= 0xFF

    records, others = read(gzipped(A + b"\n" + B + b"\n") + bytes(packed))

    assert records == [A, B]
    assert reason_of(others) == Reason.TRUNCATED
    (rest,) = others
    assert isinstance(rest, Rejected)
    assert rest.raw
    assert rest.raw in bytes(packed)


def test_text_after_the_last_document_is_said() -> None:
    records, others = read(LOG + b" trailing text")

    assert records == [A, B, C]
    assert reason_of(others) == Reason.NOT_JSON


def test_an_object_just_within_the_limit_is_read_and_one_byte_more_is_not() -> None:
    fits = LOG + b" " * (LIMIT - len(LOG))

    for pack in (bytes, gzip.compress):
        assert read(pack(fits)) == ([A, B, C], [])
        records, others = read(pack(fits + b" "))
        assert not records
        assert reason_of(others) == Reason.TOO_LARGE


def test_a_gzip_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = gzipped(bytes(200 * LIMIT))
    tracemalloc.start()

    records, others = read(bomb)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not records
    (only,) = others
    assert isinstance(only, Rejected)
    assert only.reason == Reason.TOO_LARGE
    assert len(only.raw) == EXCERPT_BYTES
    assert peak < 5 * LIMIT


def test_an_endless_source_is_read_only_to_the_limit() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b" " * 1_000

    _, others = read(endless())

    assert reason_of(others) == Reason.TOO_LARGE
    assert taken == LIMIT // 1_000 + 1
