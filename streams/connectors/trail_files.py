"""Read log files on disk: the same way for the stream and for `scan`."""

import time
from collections.abc import Iterator

from streams.cloudtrail.activity import filtered_reason
from streams.cloudtrail.envelopes import RawRecord, read_object
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Skipped, TrailRecord
from streams.connectors.listing import TrailFile, unusable
from streams.connectors.outlet import Item
from streams.counting.reading import median_ms

_CHUNK_BYTES = 256 * 1024


def read_file(file: TrailFile, *, max_bytes: int) -> Iterator[Item]:
    """Yield what one file holds, in its order; raise InputError where it cannot be read.

    `max_bytes` bounds the file after decompression.
    """
    published_ms = int(time.time() * 1000)
    try:
        for item in read_object(_chunks(file.path), file.name, max_bytes=max_bytes):
            yield sift(item, published_ms) if isinstance(item, RawRecord) else item
    except OSError as error:
        unusable(file.path, error)


def sift(raw: RawRecord, published_ms: int) -> Item:
    """Parse one record; what is in order but no call (insights, summaries) is filtered."""
    item = parse(raw.raw, raw.origin, published_ms=published_ms)
    if isinstance(item, TrailRecord) and (reason := filtered_reason(item.activity)) is not None:
        return Skipped(reason=reason, origin=raw.origin)
    return item


def median_event_ms(file: TrailFile, *, max_bytes: int) -> int | None:
    """Read a whole file for its median event time, None where it has no record."""
    items = read_file(file, max_bytes=max_bytes)
    return median_ms([item.event_time_ms for item in items if isinstance(item, TrailRecord)])


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:  # noqa: PTH123
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
