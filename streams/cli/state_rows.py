"""Rows of the changelog in words: what `trailstreams state` shows of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

import msgspec
import numpy as np

from streams.cli.rows import Row, anomaly_row, count_row, instant
from streams.codecs import CodecError, decode_activity
from streams.counting.counts import ActivityCount
from streams.counting.watermark import WatermarkState
from streams.counting.windows import Windows
from streams.detection.anomaly import State
from streams.detection.baselines import Baselines
from streams.detection.episode import decode_episode
from streams.detection.pace import Pace
from streams.detection.row import NURSERY_WINDOWS
from streams.detection.series import from_identity
from streams.engine import meta as engine
from streams.errors import StateError
from streams.state import layout
from streams.state.layout import IDS, PREFIX_BYTES, WINDOW_ROW, RowType, split_block_key

KINDS: Mapping[int, str] = {
    engine.META_KEY[0]: "engine_meta",
    RowType.META: "partition_meta",
    RowType.WINDOW_ROW: "window_row",
    RowType.DEDUP_BLOCK: "dedup_block",
    RowType.SERIES_BASELINE: "baseline",
    RowType.OPEN_ANOMALY: "open_anomaly",
    RowType.DETECTION: "detection",
}
"""Name of each type of row, by the first byte of its key."""


class Frame(NamedTuple):
    """What the rows of a partition are read by."""

    windows: Windows
    state: WatermarkState
    purge_line_ms: int | None
    damage: StateError | None = None
    """Why the partition's meta row cannot be read; it then seems to have no watermark."""

    @classmethod
    def of(cls, rows: Mapping[bytes, bytes], window_seconds: int) -> Self:
        """Take the watermark from the rows; `window_seconds` is what the state was built with."""
        windows = Windows(window_ms=window_seconds * 1000, amendment_ms=0)
        nothing = WatermarkState(sources={})
        value = rows.get(layout.META_KEY)
        if value is None:
            return cls(windows, nothing, None)
        try:
            return cls(windows, *layout.decode_meta(value))
        except StateError as error:
            return cls(windows, nothing, None, error)

    @property
    def first_open(self) -> int:
        """Number of the lowest window that is not closed."""
        return self.windows.first_open(self.state.watermark_ms)

    def standing(self, window_start_ms: int) -> str:
        """Return where a window stands in its life."""
        if self.purge_line_ms is not None and window_start_ms < self.purge_line_ms:
            return "purged"
        return "open" if window_start_ms >= self.windows.start_ms(self.first_open) else "closed"


def count_rows(rows: Mapping[bytes, bytes], frame: Frame) -> dict[str, int]:
    """Return the number of rows of each kind, window rows by where their window stands."""
    counted = Counter(
        f"{frame.standing(_window_start_ms(key))}_window_rows"
        if key[0] == RowType.WINDOW_ROW
        else _plural(key)
        for key in rows
    )
    kinds = ("open_window_rows", "closed_window_rows", "dedup_blocks", "baselines",
             "open_anomalies")  # fmt: skip
    return dict.fromkeys(kinds, 0) | dict(sorted(counted.items()))


def row_words(rows: Mapping[bytes, bytes], frame: Frame) -> Iterator[Row]:
    """Yield every row in words, by type and key; a damaged one as such, with its bytes."""
    baselines = _Baselines(rows, frame)
    for key in sorted(rows):
        kind = {"row": KINDS.get(key[0], f"type 0x{key[0]:02x}")}
        try:
            words = _words(key, rows[key], frame, baselines)
        except (StateError, CodecError, msgspec.DecodeError, ValueError, OverflowError) as error:
            words = {"unreadable": str(error), **_bytes(key, rows[key])}
        yield kind | words


def source_words(state: WatermarkState) -> list[dict[str, str]]:
    """Return what each live source instance said last, the one furthest behind first."""
    return [
        {"instance_id": name, "up_to": instant(source.up_to_ms)}
        for name, source in sorted(state.sources.items(), key=lambda item: item[1].up_to_ms)
    ]


def _words(key: bytes, value: bytes, frame: Frame, baselines: "_Baselines") -> Row:
    kind = key[0]
    if key == engine.META_KEY:
        return engine.decode_meta(value)._asdict()
    if kind == RowType.WINDOW_ROW:
        return _window_row(key, value, frame)
    if kind == RowType.DEDUP_BLOCK:
        return _dedup_block(key, value, frame)
    if kind == RowType.SERIES_BASELINE:
        return baselines.words(key)
    if kind == RowType.OPEN_ANOMALY:
        return anomaly_row(decode_episode(value).record(State.START))
    return _partition_meta(frame) if kind == RowType.META else _bytes(key, value)


def _bytes(key: bytes, value: bytes) -> Row:
    return {"key": key.hex(), "value": value.hex()}


def _partition_meta(frame: Frame) -> Row:
    if frame.damage is not None:
        raise frame.damage
    return {
        "watermark": instant_or_none(frame.state.watermark_ms),
        "purge_line": instant_or_none(frame.purge_line_ms),
        "sources": source_words(frame.state),
    }


def instant_or_none(time_ms: int | None) -> str | None:
    """Return an instant, or None where there is none yet."""
    return None if time_ms is None else instant(time_ms)


def _window_row(key: bytes, value: bytes, frame: Frame) -> Row:
    start_ms = _window_start_ms(key)
    activity = decode_activity(key[PREFIX_BYTES:])
    if len(value) != WINDOW_ROW.itemsize:
        raise StateError(f"a window row has {WINDOW_ROW.itemsize} bytes, not {len(value)}")
    count, revision, first, last = np.frombuffer(value, WINDOW_ROW)[0].tolist()
    end_ms = start_ms + frame.windows.window_ms
    said = ActivityCount(end_ms, count, revision, start_ms + first, start_ms + last)
    return {"standing": frame.standing(start_ms), **count_row(activity, start_ms, said)}


def _dedup_block(key: bytes, value: bytes, frame: Frame) -> Row:
    start_ms, number = split_block_key(key)
    if len(value) % IDS.itemsize:
        raise StateError(f"a dedup block holds ids of {IDS.itemsize} bytes, not {len(value)} bytes")
    return {
        "window_start": instant(start_ms),
        "standing": frame.standing(start_ms),
        "number": number,
        "events": len(value) // IDS.itemsize,
    }


def _window_start_ms(key: bytes) -> int:
    return int.from_bytes(key[1:PREFIX_BYTES], "big", signed=True)


def _plural(key: bytes) -> str:
    name = KINDS.get(key[0], "unknown_row")
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


class _Baselines:
    """All baselines of a partition at once, because what they expect is computed as columns."""

    def __init__(self, rows: Mapping[bytes, bytes], frame: Frame) -> None:
        self._window_ms = frame.windows.window_ms
        keys = [key for key in rows if key[0] == RowType.SERIES_BASELINE]
        self._index = {key: index for index, key in enumerate(keys)}
        self._damage: dict[bytes, StateError] = {}
        self._baselines = Baselines(Pace.of(self._window_ms))
        self._baselines.grow(len(keys))
        try:
            self._baselines.unpack(range(len(keys)), [rows[key] for key in keys])
        except StateError:
            # One at a time, to tell the damaged ones from the others.
            self._unpack_each(rows)
        self._expected = [0.0] * len(keys)
        # Baselines come with the first close: without a watermark the meta row is damaged.
        if keys and frame.state.watermark_ms is not None:
            everything = np.arange(len(keys))
            self._expected = self._baselines.expected(frame.first_open, everything).tolist()

    def _unpack_each(self, rows: Mapping[bytes, bytes]) -> None:
        for key, index in self._index.items():
            try:
                self._baselines.unpack([index], [rows[key]])
            except StateError as error:
                self._damage[key] = error

    def words(self, key: bytes) -> Row:
        if key in self._damage:
            raise self._damage[key]
        index = self._index[key]
        row = self._baselines.rows(np.array([index]))[0]
        seen, per_minute = int(row["seen"]), self._window_ms / 60_000
        return {
            **from_identity(key[1:])._asdict(),
            "stage": "nursery" if seen < NURSERY_WINDOWS else "learned",
            "first_window": self._instant(row["first"]),
            "last_window": self._instant(row["last"]),
            "windows_with_calls": seen,
            "expected_per_minute": round(self._expected[index] / per_minute, 3),
            "largest_per_minute_of_last_hour": round(float(row["hour_peak"]) / per_minute, 3),
        }

    def _instant(self, window: int) -> str:
        return instant(int(window) * self._window_ms)
