"""What a changelog holds, out of its records."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.changelog import Contents, _apply
from streams.engine.job import Records
from streams.packed import Strings, pack

ROWS = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=3)))


def records(keys: Strings, values: Strings) -> Records:
    numbers = np.arange(len(keys))
    return Records(numbers, numbers, keys, values)


@given(st.lists(ROWS))
def test_the_last_value_wins_and_a_deletion_deletes(
    fetches: list[list[tuple[bytes, bytes]]],
) -> None:
    expected: dict[bytes, bytes] = {}
    contents = Contents(end=0)
    for rows in fetches:
        for key, value in rows:
            expected.pop(key, None)
            if value is not None:
                expected[key] = value
        keys, values = [key for key, _ in rows], [value for _, value in rows]
        _apply(records(pack(keys), pack(values)), contents)
    assert contents.rows == expected
    assert contents.records == sum(map(len, fetches))


def test_rows_are_not_printed() -> None:
    """asyncio.run takes repr() of what it returns: of a million rows that takes seconds."""
    assert "row" not in repr(Contents(end=1, rows={b"row": b"value"}))
