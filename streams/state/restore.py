"""A partition's state out of its compacted changelog: joined bytes, read as columns."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from streams.counting.columns import Array
from streams.counting.dedup import IdBlocks, Ids, IdSet
from streams.counting.watermark import Watermark
from streams.counting.windows import NEVER, Windows
from streams.errors import StateError
from streams.state.keys import Keys
from streams.state.layout import (
    IDS,
    META_KEY,
    PREFIX_BYTES,
    WINDOW_ROW,
    RowType,
    decode_meta,
    split_block_key,
)
from streams.state.window import Window

_PREFIX = np.dtype([("type", "u1"), ("start", ">i8")])


class Restored(NamedTuple):
    """What the changelog says."""

    watermark: Watermark
    first_kept: int
    """Lowest window not purged; rows below it were dropped."""
    windows: dict[int, Window]
    detection_rows: dict[bytes, bytes]


def restore(rows: Mapping[bytes, bytes], windows: Windows, keys: Keys) -> Restored:
    """Rebuild a partition's windows; raise StateError where rows are damaged.

    `keys` are fresh. Nearly all is done for all rows at once: there may be millions.
    """
    types = np.frombuffer(bytes(map(itemgetter(0), rows)), dtype=np.uint8)
    watermark, first_kept = _meta(rows.get(META_KEY), windows)
    live = _load_rows(_of_type(rows, types == RowType.WINDOW_ROW), windows, first_kept, keys)
    _load_blocks(*_of_type(rows, types == RowType.DEDUP_BLOCK), windows, live)
    known = (RowType.META, RowType.WINDOW_ROW, RowType.DEDUP_BLOCK)
    return Restored(
        watermark,
        first_kept,
        {number: live[number] for number in sorted(live) if number >= first_kept},
        dict(zip(*_of_type(rows, ~np.isin(types, known)), strict=True)),
    )


def _of_type(rows: Mapping[bytes, bytes], chosen: Array) -> tuple[list[bytes], list[bytes]]:
    selectors = chosen.tolist()
    return list(compress(rows, selectors)), list(compress(rows.values(), selectors))


def _meta(value: bytes | None, windows: Windows) -> tuple[Watermark, int]:
    if value is None:
        return Watermark(), NEVER
    state, purge_line_ms = decode_meta(value)
    return Watermark(state), NEVER if purge_line_ms is None else purge_line_ms // windows.window_ms


def _load_rows(
    chosen: tuple[list[bytes], list[bytes]], windows: Windows, first_kept: int, keys: Keys
) -> dict[int, Window]:
    row_keys, row_values = chosen
    prefixes = np.frombuffer(b"".join([key[:PREFIX_BYTES] for key in row_keys]), dtype=_PREFIX)
    numbers = prefixes["start"].astype(np.int64) // windows.window_ms
    joined = b"".join(row_values)
    if len(joined) != len(row_keys) * WINDOW_ROW.itemsize:
        raise StateError(f"a window row of the changelog has not {WINDOW_ROW.itemsize} bytes")
    values = np.frombuffer(joined, dtype=WINDOW_ROW)
    kept = numbers >= first_kept
    if not kept.all():
        # What is below the purge line gets no key.
        numbers, values = numbers[kept], values[kept]
        row_keys = list(compress(row_keys, kept.tolist()))
    key_numbers = keys.restore(key[PREFIX_BYTES:] for key in row_keys)
    live: dict[int, Window] = {}
    for number, members in _groups(numbers):
        window = live[number] = Window(windows.start_ms(number))
        part = values[members]
        window.rows.load(
            key_numbers[members],
            count=part["count"],
            revision=part["revision"],
            first=part["first"],
            last=part["last"],
        )
    return live


def _groups(numbers: Array) -> list[tuple[int, Array]]:
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    ends = [*starts[1:].tolist(), len(order)]
    return [
        (int(ordered[start]), order[start:end])
        for start, end in zip(starts.tolist(), ends, strict=False)
    ]


def _load_blocks(
    block_keys: list[bytes], values: list[bytes], windows: Windows, live: dict[int, Window]
) -> None:
    blocks: defaultdict[int, list[tuple[int, Ids]]] = defaultdict(list)
    for key, value in zip(block_keys, values, strict=True):
        start_ms, number = split_block_key(key)
        if len(value) % IDS.itemsize:
            raise StateError(f"a dedup block holds ids of 8 bytes, not {len(value)} bytes")
        ids = np.frombuffer(value, dtype=IDS).astype(np.uint64)
        blocks[start_ms // windows.window_ms].append((number, ids))
    for window_number, held in blocks.items():
        window = live.setdefault(window_number, Window(windows.start_ms(window_number)))
        window.ids = IdSet(np.concatenate([ids for _, ids in held]))
        window.blocks = IdBlocks(sorted(held, key=lambda block: block[0]))
