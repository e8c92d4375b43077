"""Record batches read in place and through aiokafka: the same records, whatever wrote them."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import batches
from streams.engine.batches import BatchRecords, FetchedBatches
from streams.engine.job import Records
from streams.packed import Packed

TP = TopicPartition("records", 0)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Pairs = list[tuple[bytes | None, bytes | None]]
PAIRS = st.lists(
    st.tuples(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=300)), min_size=1
)


@pytest.fixture(params=["packed", "listed"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read batches in one of the two ways."""
    if request.param == "listed":
        monkeypatch.setattr(batches, "walk", None)
    elif batches.walk is None:
        pytest.skip("streams/packed was installed without a compiler")
    return str(request.param)


def batch(
    pairs: Pairs,
    *,
    base: int = 0,
    codec: int = 0,
    producer_id: int = -1,
    transactional: bool = False,
    append_ms: int | None = None,
) -> bytes:
    """Return a batch as a broker would send it: at `base`, with append time where it is given."""
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer_id, 0, 0, 1 << 20)
    for at, (key, value) in enumerate(pairs):
        builder.append(at, 1_700_000_000_000 + at, key, value, [("a header", b"x" * at)])
    raw = bytearray(builder.build())
    raw[:8] = base.to_bytes(8, "big")
    if append_ms is not None:
        raw[22] |= 8
        raw[35:43] = append_ms.to_bytes(8, "big")
        raw[17:21] = _crc(raw).to_bytes(4, "big")
    return bytes(raw)


def control(kind: int, *, base: int, producer_id: int) -> bytes:
    """Return a commit (1) or abort (0) marker (KIP-98)."""
    raw = bytearray(
        batch([(b"\0\0\0" + bytes([kind]), b"\0\0\0\0\0\0")], base=base, producer_id=producer_id)
    )
    raw[22] |= 0x30
    raw[17:21] = _crc(raw).to_bytes(4, "big")
    return bytes(raw)


def _crc(raw: bytes | bytearray) -> int:
    return calc_crc32c(bytes(raw[21:]))


def fetched(raw: bytes, *, offset: int = 0, aborted: list[tuple[int, int]] | None = None) -> Any:
    return BatchRecords(TP, FetchedBatches(raw), aborted, offset, None, None, True, READ_COMMITTED)


def pairs_of(records: Records) -> Pairs:
    return list(zip(records.keys, records.values, strict=True))


@pytest.mark.parametrize("codec", CODECS)
def test_records_of_every_compression_are_read(reader: str, codec: str) -> None:
    del reader
    pairs: Pairs = [(b"key %d" % n, b"value" * n) for n in range(200)] + [(None, b""), (b"", None)]
    records = fetched(batch(pairs, base=70, codec=CODECS[codec]), offset=70).take(1000)
    assert pairs_of(records) == pairs
    assert records.offsets.tolist() == list(range(70, 272))
    assert records.timestamps_ms.tolist() == [1_700_000_000_000 + n for n in range(202)]


@given(st.lists(PAIRS, min_size=1, max_size=4), st.integers(1, 7), st.booleans())
def test_both_readers_give_the_same_in_any_portions(
    written: list[Pairs], most: int, compressed: bool
) -> None:
    if batches.walk is None:
        pytest.skip("streams/packed was installed without a compiler")
    raw, base = b"", 5
    for number, pairs in enumerate(written):
        codec = CODECS["lz4"] if compressed and number % 2 else 0
        raw += batch(pairs, base=base, codec=codec, append_ms=1_800_000_000_000 + number)
        base += len(pairs) + 2
    packed = portions(raw, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "walk", None)
        listed = portions(raw, most)
    assert packed == listed
    assert [pair for portion in packed for pair in portion[2]] == [
        p for pairs in written for p in pairs
    ]


def portions(raw: bytes, most: int) -> list[tuple[list[int], list[int], Pairs, int]]:
    source, taken = fetched(raw, offset=5), []
    while source.has_more():
        records = source.take(most)
        assert len(records) <= most
        taken.append(
            (
                records.offsets.tolist(),
                records.timestamps_ms.tolist(),
                pairs_of(records),
                source.next_fetch_offset,
            )
        )
    return taken


def test_the_strings_of_a_chunk_lie_in_one_buffer() -> None:
    """Nothing is copied to join batches: that cost more than all else (benchmarks/engine)."""
    if batches.walk is None:
        pytest.skip("streams/packed was installed without a compiler")
    sizes, raw = (40, 30, 30, 50), b""
    for number, size in enumerate(sizes):
        pairs: Pairs = [(b"key", b"value %d" % number)] * size
        raw += batch(pairs, base=sum(sizes[:number]), codec=CODECS["lz4"])
    source, taken = fetched(raw), []
    while source.has_more():
        taken.append(source.take(100))
    # Whole batches: the rest of one would have to be copied to the next ones.
    assert [len(records) for records in taken] == [100, 50]
    for records in taken:
        assert isinstance(records.keys, Packed)
        assert isinstance(records.values, Packed)
        assert records.keys.buffer is records.values.buffer
        assert isinstance(records.keys.buffer, memoryview)


@pytest.mark.parametrize("length", [-(1 << 31), -100, -12, 0, 48])
def test_a_batch_shorter_than_its_header_is_told(reader: str, length: int) -> None:
    del reader
    raw = bytearray(batch([(b"a", b"1")]) * 2)
    raw[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(CorruptRecordException, match="a record batch of"):
        fetched(bytes(raw)).take(10)


def test_a_fetch_begins_within_a_batch_and_ends_within_another(reader: str) -> None:
    del reader
    raw = batch([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], base=10)
    cut = batch([(b"d", b"4")], base=13)[:-1]
    source = fetched(raw + cut, offset=11)
    assert pairs_of(source.take(10)) == [(b"b", b"2"), (b"c", b"3")]
    assert source.next_fetch_offset == 13
    assert not source.has_more()


def test_aborted_and_control_batches_move_the_position_only(reader: str) -> None:
    del reader
    raw = (
        batch([(b"a", b"lost")], base=0, producer_id=7, transactional=True)
        + batch([(b"b", b"kept")], base=1, producer_id=8, transactional=True)
        + control(0, base=2, producer_id=7)
        + batch([(b"c", b"kept")], base=3, producer_id=7, transactional=True)
        + control(1, base=4, producer_id=7)
    )
    source = fetched(raw, aborted=[(7, 0)])
    assert pairs_of(source.take(10)) == [(b"b", b"kept"), (b"c", b"kept")]
    assert source.next_fetch_offset == 5


def test_a_damaged_batch_is_an_error(reader: str) -> None:
    del reader
    raw = bytearray(batch([(b"key", b"value")]))
    raw[-3] ^= 1
    with pytest.raises(CorruptRecordException, match="wrong CRC"):
        fetched(bytes(raw)).take(10)


def test_an_old_message_format_is_an_error(reader: str) -> None:
    del reader
    raw = bytearray(batch([(b"key", b"value")]))
    raw[16] = 1
    with pytest.raises(CorruptRecordException, match="format v2"):
        fetched(bytes(raw)).take(10)


def test_append_time_is_the_time_of_every_record(reader: str) -> None:
    del reader
    raw = batch([(b"a", b"1"), (b"b", b"2")], append_ms=1_800_000_000_000)
    assert fetched(raw).take(10).timestamps_ms.tolist() == [1_800_000_000_000] * 2
    assert DefaultRecordBatch(raw).validate_crc()
