"""TrailRecord and its form on the wire: typed where people filter, verbatim everywhere else."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import msgspec

from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs.varint import CodecError

Fields = Mapping[str, msgspec.Raw]

# Members of the original that a leading field repeats, with their bits in `key_members`.
_IN_KEY = {
    "eventTime": ("event_time", 1),
    "awsRegion": ("region", 2),
    "eventSource": ("event_source", 4),
    "eventName": ("event_name", 8),
    "eventCategory": ("event_category", 16),
    "errorCode": ("error_code", 32),
    "recipientAccountId": ("account_id", 64),
}
_TEXT = {
    "eventID": "event_id",
    "eventVersion": "event_version",
    "eventType": "event_type",
    "requestID": "request_id",
    "sharedEventID": "shared_event_id",
    "sourceIPAddress": "source_ip_address",
    "userAgent": "user_agent",
    "vpcEndpointId": "vpc_endpoint_id",
    "errorMessage": "error_message",
}
_FLAGS = {"readOnly": "read_only", "managementEvent": "management_event"}
_JSON = {
    "userIdentity": "user_identity",
    "requestParameters": "request_parameters",
    "responseElements": "response_elements",
    "additionalEventData": "additional_event_data",
    "resources": "resources",
    "tlsDetails": "tls_details",
}

_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_verbatim = cast("Callable[[msgspec.Raw], str]", partial(str, encoding="utf-8"))


class _Place(NamedTuple):
    """Where a member of the original goes, and how it is read."""

    field: str
    bit: int
    """For members of the key; 0 for fields of their own."""
    read: Callable[[msgspec.Raw], str | bool]


_PLACES = {
    **{member: _Place(field, bit, _text) for member, (field, bit) in _IN_KEY.items()},
    **{member: _Place(field, 0, _text) for member, field in _TEXT.items()},
    **{member: _Place(field, 0, _flag) for member, field in _FLAGS.items()},
    **{member: _Place(field, 0, _verbatim) for member, field in _JSON.items()},
}
_ABSENT: dict[str, object] = dict.fromkeys((*_TEXT.values(), *_JSON.values()), "") | dict.fromkeys(
    _FLAGS.values()
)


def trail_datum(record: TrailRecord) -> dict[str, object]:
    """Return the wire's form of a record.

    A member goes to its own field if it has the type the field wants, else verbatim to `rest`;
    so nothing is lost, whatever it looks like. Raise CodecError where a member is not UTF-8.
    """
    datum = _ABSENT | dict(zip(Activity._fields, record.activity, strict=True))
    # As text while members are compared with it.
    datum["event_time"] = _instant(record.event_time_ms)
    datum["key_members"], rest = _place_members(record.fields, datum)
    datum["dedup_id"] = record.dedup_id
    datum["event_time"] = record.event_time_ms
    datum["initiator_rule"] = record.initiator_rule
    datum["cross_account"] = record.cross_account
    datum["session_name"] = record.session_name
    datum["access_key_id"] = record.access_key_id
    datum["origin"], datum["origin_index"] = record.origin
    try:
        datum["rest"] = msgspec.json.encode(rest).decode() if rest else ""
    except UnicodeDecodeError as error:
        raise CodecError(f"expected UTF-8 in a record of {record.origin.object}") from error
    return datum


def _place_members(members: Fields, datum: dict[str, object]) -> tuple[int, dict[str, msgspec.Raw]]:
    """Put members into the fields of `datum`; return the bits of those in the key, and the rest."""
    in_key, rest = 0, {}
    for member, raw in members.items():
        if place := _PLACES.get(member):
            field, bit, read = place
            try:
                value = read(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
            else:
                if not bit and value != "":  # an empty text would read as absent
                    datum[field] = value
                    continue
                if bit and value == datum[field]:
                    in_key |= bit
                    continue
        rest[member] = raw
    return in_key, rest


@lru_cache(maxsize=4096)
def _instant(time_ms: int) -> str:
    """Return the time as CloudTrail writes it, to the second; empty outside the years 1 to 9999."""
    seconds, ms = divmod(time_ms, 1000)
    if ms or not -62_135_596_800 <= seconds <= 253_402_300_799:
        return ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def trail_record(datum: Mapping[str, Any]) -> TrailRecord:
    """Return the record of a decoded value; raise CodecError where its JSON is damaged."""
    try:
        members = dict(_rebuilt(datum)) | (_members(datum["rest"]) if datum["rest"] else {})
    except msgspec.MsgspecError as error:
        raise CodecError(f"expected JSON in the field rest: {error}") from error
    return TrailRecord(
        activity=Activity(*(datum[field] for field in Activity._fields)),
        dedup_id=datum["dedup_id"],
        event_time_ms=datum["event_time"],
        origin=Origin(datum["origin"], datum["origin_index"]),
        initiator_rule=datum["initiator_rule"],
        session_name=datum["session_name"],
        access_key_id=datum["access_key_id"],
        fields=members,
    )


def _rebuilt(datum: Mapping[str, Any]) -> list[tuple[str, msgspec.Raw]]:
    values: list[tuple[str, object]] = [
        (member, _instant(datum[field]) if field == "event_time" else datum[field])
        for member, (field, bit) in _IN_KEY.items()
        if datum["key_members"] & bit
    ]
    values += [(member, datum[field]) for member, field in _TEXT.items() if datum[field]]
    values += [
        (member, datum[field]) for member, field in _FLAGS.items() if datum[field] is not None
    ]
    verbatim = [(member, datum[field]) for member, field in _JSON.items() if datum[field]]
    return [(member, msgspec.Raw(msgspec.json.encode(value))) for member, value in values] + [
        (member, msgspec.Raw(text)) for member, text in verbatim
    ]


def record_text(record: TrailRecord) -> bytes:
    """Return the original record as JSON text, its members verbatim, in an order of our own."""
    return msgspec.json.encode(record.fields)


def record_json(record: TrailRecord) -> dict[str, Any]:
    """Return the original record as a JSON value, equal to what was read."""
    value: dict[str, Any] = json.loads(record_text(record))
    return value
