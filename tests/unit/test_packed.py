"""Packed strings and both key tables: compiled and pure give the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.packed import Packed, join, pack, pure, take
from streams.packed.strings import _cut, _listed

native = pytest.importorskip(
    "streams.packed.native", reason="streams/packed was installed without a compiler"
)
TABLES = [native.KeyTable, pure.KeyTable]
STRINGS = st.lists(st.none() | st.binary(max_size=40))


@given(STRINGS)
def test_packed_strings_are_the_strings(strings: list[bytes | None]) -> None:
    packed = pack(strings)
    assert list(packed) == _listed(packed.buffer, packed.at, packed.size) == strings
    assert list(packed[::2]) == strings[::2]
    assert [packed[at] for at in range(len(packed))] == strings
    assert list(packed[1:]) == strings[1:]
    assert pack(packed) is packed


@given(STRINGS, st.data())
def test_taking_from_packed_and_listed_strings_is_the_same(
    strings: list[bytes | None], data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, max(len(strings) - 1, 0)))) if strings else []
    at = np.array(places, np.int64)
    assert list(take(pack(strings), at)) == list(take(strings, at)) == [strings[p] for p in places]


@given(STRINGS, STRINGS)
def test_joining_packed_listed_and_mixed_strings_is_the_same(
    first: list[bytes | None], second: list[bytes | None]
) -> None:
    one = pack(first + second)
    halves = [one[: len(first)], one[len(first) :]]
    for parts in ([first, second], [pack(first), pack(second)], [pack(first), second], halves):
        assert list(join(parts)) == first + second


def test_joining_takes_a_buffer_once_however_many_parts_lie_in_it() -> None:
    """Batches of a fetch that were compressed lie among others that were not."""
    fetched, unpacked = pack([b"abc", b"def", b"ghi"]), pack([b"xyz"])
    parts = [fetched[0:1], unpacked, fetched[1:2], fetched[2:3]]
    joined = join(parts)
    assert list(joined) == [b"abc", b"xyz", b"def", b"ghi"]
    assert isinstance(joined, Packed)
    assert len(joined.buffer) == 12
    assert join([fetched[0:1], fetched[2:3]]).buffer is fetched.buffer  # type: ignore[union-attr]


@given(st.lists(st.binary(max_size=12)), st.integers(1, 12))
def test_heads_are_the_beginnings_of_those_long_enough(strings: list[bytes], size: int) -> None:
    packed = pack(strings)
    rows, whole = packed.heads(size)
    in_numpy = np.zeros_like(rows)
    _cut(packed.buffer, packed.at, packed.size, in_numpy)
    assert (rows == in_numpy).all()
    assert rows.shape == (len(strings), size)
    assert whole.tolist() == [at for at, string in enumerate(strings) if len(string) >= size]
    assert [rows[at].tobytes() for at in whole] == [strings[at][:size] for at in whole]


@pytest.mark.parametrize("table", TABLES)
@given(entries=st.lists(st.binary(max_size=40)), asked=STRINGS)
def test_a_table_finds_what_was_put_last(
    table: type[Any], entries: list[bytes], asked: list[bytes | None]
) -> None:
    keys = table()
    for number, key in enumerate(entries):
        keys.put(key, number)
    expected = {key: number for number, key in enumerate(entries)}
    asked = [*asked, *entries]
    numbers = [expected.get(key or b"", -1) for key in asked]
    assert len(keys) == len(expected)
    assert keys.find(asked).tolist() == keys.find(pack(asked)).tolist() == numbers
    assert [keys.get(key) for key in entries] == [expected[key] for key in entries]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_grows_past_any_size(table: type[Any]) -> None:
    keys = table()
    names = [b"%d" % number for number in range(100_000)]
    for number, name in enumerate(names):
        keys.put(name, number)
    assert keys.find(names).tolist() == list(range(100_000))
    assert keys.find([b"x", None, b"-1"]).tolist() == [-1, -1, -1]


def test_keys_of_different_lengths_with_equal_zeros_are_different() -> None:
    keys = native.KeyTable()
    names = [bytes(length) for length in range(70)]
    for number, name in enumerate(names):
        keys.put(name, number)
    assert keys.find(names).tolist() == list(range(70))


def test_places_outside_the_buffer_are_refused() -> None:
    keys = native.KeyTable()
    for at, size in [(-1, 1), (4, 1), (0, 4), (3, 1 << 62)]:
        outside = Packed(b"abc", np.array([at]), np.array([size]))
        with pytest.raises(ValueError, match="within the buffer"):
            keys.find(outside)
        with pytest.raises(ValueError, match="within the buffer"):
            list(outside)
        with pytest.raises(ValueError, match="within the buffer"):
            outside.heads(1)
    with pytest.raises(TypeError):
        keys.get("text")


@given(st.binary(max_size=60), st.integers(0, 5), st.integers(0, 70), st.integers(0, 70))
def test_a_walk_over_any_bytes_ends_with_places_within_or_an_error(
    damaged: bytes, count: int, start: int, stop: int
) -> None:
    try:
        _, _, keys, values = native.walk(damaged, start, stop, count)
    except ValueError:
        return
    for strings in (keys, values):
        assert ((strings.at >= start) & (strings.at + strings.size <= stop)).all()
