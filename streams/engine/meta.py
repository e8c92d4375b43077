"""The engine's own changelog row: the position the other rows are true for, and what built them."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streams.errors import StateError

META_KEY = b"\x00meta"
FORMAT = 1
REMEDY = "see `trailstreams state --help`"


class Meta(NamedTuple):
    """Row 0 of a partition's changelog; written by every flush, in the same transaction."""

    format: int
    position: int
    """Next offset of the source partition to fold."""
    topic_id: str
    """Kafka's id of the source topic: a topic deleted and made again has another (KIP-516)."""
    built_with: Mapping[str, str]


def encode_meta(meta: Meta) -> bytes:
    """Return the row's value: a JSON object, because people read it with `state show`."""
    return msgspec.json.encode(meta._asdict())


def decode_meta(value: bytes) -> Meta:
    """Read the row's value; raise StateError where it is not one of ours."""
    try:
        return Meta(**msgspec.json.decode(value))
    except (msgspec.DecodeError, TypeError) as error:
        raise StateError(f"the changelog's meta row is not readable: {error}; {REMEDY}") from error


def check_topic_id(where: str, built: str, found: str) -> None:
    """Raise StateError with one line unless the source topic is the one the state is of."""
    if built != found:
        raise StateError(f"{where}: the source topic was deleted and made again; {REMEDY}")


def check_meta(
    meta: Meta, *, where: str, topic_id: str, built_with: Mapping[str, str], log: tuple[int, int]
) -> None:
    """Raise StateError with one line unless the state fits the source topic and the settings.

    `log` is the source partition's `(start, end)`; a position must lie within, ends included.
    """
    if meta.format != FORMAT:
        raise StateError(f"{where}: state has format {meta.format}, not {FORMAT}; {REMEDY}")
    for name, value in built_with.items():
        if meta.built_with.get(name) != value:
            was = meta.built_with.get(name, "unset")
            raise StateError(f"{where}: state was built with {name}={was}, not {value}; {REMEDY}")
    check_topic_id(where, meta.topic_id, topic_id)
    if not log[0] <= meta.position <= log[1]:
        raise StateError(
            f"{where}: position {meta.position} is outside the source log "
            f"[{log[0]}, {log[1]}]: records were deleted before they were counted; {REMEDY}"
        )
