"""TrailRecord and its form on the wire: typed where people filter, and the record as it came."""

import json
from collections.abc import Mapping
from typing import Any

import fastavro
import msgspec

from streams.cloudtrail.json_text import OBJECT
from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs.schemas import Schema
from streams.codecs.varint import CodecError

LEADING = ("dedup_id", "event_time", *Activity._fields)
"""The first fields of every value. Those of the activity are, as bytes, the body of its key."""


def tail_schema(schema: Schema) -> Any:
    """Return the record of the fields after `LEADING`, as fastavro wants it.

    The body of an Avro record is the bodies of its fields, one after the other.
    """
    fields = schema.parsed["fields"]
    if [field["name"] for field in fields[: len(LEADING)]] != list(LEADING):
        raise CodecError(f"expected a TrailRecord that begins with {', '.join(LEADING)}")
    tail = {"type": "record", "name": "TrailRecordTail", "fields": fields[len(LEADING) :]}
    return fastavro.parse_schema(tail)


def trail_datum(record: TrailRecord) -> dict[str, object]:
    """Return the wire's form of the fields after `LEADING`; raise CodecError if it is not UTF-8."""
    origin, index = record.origin
    try:
        text = record.raw.decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"expected UTF-8 in record {index} of {origin}") from error
    return {
        "initiator_rule": record.initiator_rule,
        "cross_account": record.cross_account,
        "session_name": record.session_name,
        "access_key_id": record.access_key_id,
        "origin": origin,
        "origin_index": index,
        "event_id": record.event_id,
        "event_type": record.event_type,
        "source_ip_address": record.source_ip_address,
        "user_agent": record.user_agent,
        "record": text,
    }


def trail_record(datum: Mapping[str, Any]) -> TrailRecord:
    """Return the record of a decoded value; raise CodecError where its JSON is damaged."""
    raw = datum["record"].encode()
    try:
        OBJECT.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CodecError(f"expected a JSON object in the field record: {error}") from error
    return TrailRecord(
        activity=Activity(*(datum[field] for field in Activity._fields)),
        dedup_id=datum["dedup_id"],
        event_time_ms=datum["event_time"],
        origin=Origin(datum["origin"], datum["origin_index"]),
        initiator_rule=datum["initiator_rule"],
        session_name=datum["session_name"],
        access_key_id=datum["access_key_id"],
        event_id=datum["event_id"],
        event_type=datum["event_type"],
        source_ip_address=datum["source_ip_address"],
        user_agent=datum["user_agent"],
        raw=raw,
    )


def record_json(record: TrailRecord) -> dict[str, Any]:
    """Return the original record as a JSON value, equal to what was read."""
    value: dict[str, Any] = json.loads(record.raw)
    return value
