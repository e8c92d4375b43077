"""Find where JSON values begin and end without judging them.

The strict decoder refuses a whole document for one bad value; to lose only that value its extent
must be known. Only strings and brackets matter for that, so a scan survives NaN, invalid UTF-8,
any nesting, and a document that is cut.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(rb'"(?:[^"\\]+|\\.)*+"|["{}\[\]]', re.DOTALL)
_SCALAR: Final = re.compile(rb'"(?:[^"\\]+|\\.)*+"|[^\s",\[\]{}]+', re.DOTALL)
_BETWEEN: Final = re.compile(rb"[\s,]*")


class Extent(NamedTuple):
    """One value's place: `data[start:end]`."""

    start: int
    end: int
    complete: bool
    """Whether the value ends before the data does."""


def depth(data: bytes) -> int:
    """Return the deepest nesting of objects and arrays."""
    level = deepest = 0
    for token in _TOKEN.finditer(data):
        bracket = token[0]
        if bracket in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif bracket in b"}]":
            level -= 1
    return deepest


def value_at(data: bytes, start: int) -> Extent:
    """Return the extent of the value that begins at `start`; a cut one reaches to the end.

    A character that begins no value counts as one of one byte.
    """
    if data[start : start + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(data, start)
        if scalar is None:
            cut = data[start : start + 1] == b'"'
            return Extent(start, len(data) if cut else start + 1, not cut)
        return Extent(start, scalar.end(), scalar.end() < len(data) or scalar[0][:1] == b'"')
    level = 0
    for token in _TOKEN.finditer(data, start):
        bracket = token[0]
        if bracket in b"{[":
            level += 1
        elif bracket in b"}]":
            level -= 1
            if level == 0:
                return Extent(start, token.end(), complete=True)
        elif bracket == b'"':
            break
    return Extent(start, len(data), complete=False)


def values(data: bytes, start: int, end: int) -> Iterator[Extent]:
    """Yield the values of `data[start:end]`, which commas and white space separate.

    Stops before a closing bracket that none of them opened.
    """
    position = _after_gap(data, start)
    while position < end and data[position : position + 1] not in (b"]", b"}"):
        extent = value_at(data, position)
        yield extent
        position = _after_gap(data, extent.end)


def _after_gap(data: bytes, position: int) -> int:
    gap = _BETWEEN.match(data, position)
    return gap.end() if gap else position
