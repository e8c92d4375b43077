"""One CloudTrail record from JSON to its typed form, or the reason why not."""

from typing import Final

import msgspec

from streams.cloudtrail.activity import dedup_id, meaning_of
from streams.cloudtrail.event_time import objection, parse_instant
from streams.cloudtrail.header import Header, read_leniently, read_strictly
from streams.cloudtrail.json_text import OBJECT
from streams.cloudtrail.record import Origin, Reason, Rejected, TrailRecord
from streams.cloudtrail.scan import depth

MAX_RECORD_BYTES: Final = 1024 * 1024
"""Enriched records reach about 1 MB; a Kafka message of ours must hold one."""
MAX_DEPTH: Final = 256
"""Levels of nesting; a limit of our own, as the interpreter's depends on who called."""
_QUOTED_CHARACTERS: Final = 80


class _Objection(Exception):  # noqa: N818  an internal way out, never seen by a caller
    def __init__(self, reason: Reason, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def parse(raw: msgspec.Raw | bytes, origin: Origin, *, published_ms: int) -> TrailRecord | Rejected:
    """Turn one record's JSON into a TrailRecord, or say why it cannot be counted.

    `published_ms` is the time of publication in ms since the epoch: no event may claim to be more
    than 24 h ahead of it.
    Never raises on any bytes.
    """
    data = bytes(raw)
    try:
        _check_bounds(data)
        header = read_strictly(data) or read_leniently(_members(data))
        event_time_ms = _event_time(header, published_ms)
    except _Objection as objected:
        kept = data[:MAX_RECORD_BYTES]
        return Rejected(reason=objected.reason, error=str(objected), origin=origin, raw=kept)
    activity, rule, session_name, access_key_id = meaning_of(header)
    return TrailRecord(
        activity,
        dedup_id(header, data),
        event_time_ms,
        origin,
        rule,
        session_name,
        access_key_id,
        header.event_id,
        header.event_type,
        header.source_ip_address,
        header.user_agent,
        data,
    )


def _check_bounds(data: bytes) -> None:
    """Refuse what no decoder should see: too long, not UTF-8, nested too deep."""
    if len(data) > MAX_RECORD_BYTES:
        raise _Objection(
            Reason.TOO_LARGE, f"expected at most {MAX_RECORD_BYTES} bytes, got {len(data)}"
        )
    try:
        data.decode()  # msgspec does not look into the strings it keeps verbatim
    except UnicodeDecodeError as error:
        raise _Objection(Reason.NOT_UTF8, f"expected UTF-8, got {error}") from None
    # Counting brackets is a tenth of a full look and settles nearly every record.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and depth(data) > MAX_DEPTH:
        raise _Objection(Reason.NOT_JSON, f"expected at most {MAX_DEPTH} levels of nesting")


def _members(data: bytes) -> dict[str, msgspec.Raw]:
    """Separate the top-level members; what stays verbatim is valid UTF-8 and valid JSON."""
    try:
        return OBJECT.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _not_an_object(data, str(error)) from None


def _not_an_object(data: bytes, error: str) -> _Objection:
    if data.lstrip()[:1] != b"{":
        return _Objection(Reason.NOT_A_RECORD, f"expected a JSON object, got {_quote(data)}")
    return _Objection(Reason.NOT_JSON, f"expected a JSON object: {error}")


def _event_time(header: Header, published_ms: int) -> int:
    """Return the event time in ms, once it is clear that the header names an event."""
    # An S3 or SNS notification looks like a record: its source is `aws:s3`, not a host name.
    if not header.event_name or header.event_source.startswith("aws:"):
        raise _Objection(Reason.NOT_A_RECORD, "expected an eventName of a CloudTrail event")
    if not header.event_time:
        raise _Objection(Reason.NO_EVENT_TIME, "expected an eventTime, got none")
    event_time_ms = parse_instant(header.event_time)
    reason = objection(event_time_ms, published_ms)
    if event_time_ms is None or reason is not None:
        raise _Objection(
            reason or Reason.BAD_EVENT_TIME,
            "expected an eventTime in 1971 to 2038 and at most 24 h ahead of publication, "
            f"got {_quote(header.event_time.encode())}",
        )
    return event_time_ms


def _quote(value: bytes) -> str:
    return repr(value[:_QUOTED_CHARACTERS].decode(errors="replace"))
