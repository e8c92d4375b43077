"""What counting needs of whole files: keys, ids and times as columns, and nothing else."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.cloudtrail.record import Rejected, TrailRecord
from streams.codecs import encode_activity
from streams.connectors.listing import TrailFile
from streams.connectors.trail_files import read_file

_body_of = lru_cache(65_536)(encode_activity)
"""One object for each key: within a message between processes it is written once."""


class FileColumns(NamedTuple):
    """One file's records in their order, and what else was in it."""

    bodies: tuple[bytes, ...]
    """Avro bodies of the distinct keys, in the order of their first record."""
    keys: npt.NDArray[np.uint32]
    """Of each record, the place of its key in `bodies`."""
    ids: npt.NDArray[np.uint64]
    """First 8 bytes of each record's dedup id, little endian."""
    times_ms: npt.NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    filtered: int


def read_columns(file: TrailFile, *, max_bytes: int) -> FileColumns:
    """Read one file to its end; raise InputError where it cannot be read."""
    places: dict[bytes, int] = {}
    keys: list[int] = []
    ids: list[bytes] = []
    times_ms: list[int] = []
    rejected: list[Rejected] = []
    filtered = 0
    for item in read_file(file, max_bytes=max_bytes):
        if isinstance(item, TrailRecord):
            keys.append(places.setdefault(_body_of(item.activity), len(places)))
            ids.append(item.dedup_id[:8])
            times_ms.append(item.event_time_ms)
        elif isinstance(item, Rejected):
            rejected.append(item)
        else:
            filtered += 1
    return FileColumns(
        tuple(places),
        np.array(keys, np.uint32),
        np.frombuffer(b"".join(ids), "<u8"),
        np.array(times_ms, np.int64),
        tuple(rejected),
        filtered,
    )


def read_all(files: tuple[TrailFile, ...], max_bytes: int) -> tuple[FileColumns, ...]:
    """Read several files to their ends; raise InputError where one cannot be read."""
    return tuple(read_columns(file, max_bytes=max_bytes) for file in files)


def portions(
    files: tuple[TrailFile, ...], *, most_bytes: int, most_files: int
) -> Iterator[tuple[TrailFile, ...]]:
    """Divide files, in their order, into runs of bounded size; a larger file is a run by itself."""
    first = size_bytes = 0
    for number, file in enumerate(files):
        is_full = size_bytes + file.size_bytes > most_bytes or number - first >= most_files
        if is_full and number > first:
            yield files[first:number]
            first, size_bytes = number, 0
        size_bytes += file.size_bytes
    if first < len(files):
        yield files[first:]
