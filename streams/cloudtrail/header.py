"""The few top-level members that decide what a record counts as."""

from typing import Final

import msgspec

from streams.cloudtrail.json_text import ABSENT, fold, members, text


class Header(msgspec.Struct, rename="camel"):
    """Top-level members as text, empty when absent; the two that are objects verbatim.

    Source: CloudTrail User Guide, "CloudTrail record contents".
    """

    event_time: str = ""
    event_source: str = ""
    event_name: str = ""
    event_type: str = ""
    event_category: str = ""
    event_id: str = msgspec.field(default="", name="eventID")
    aws_region: str = ""
    source_ip_address: str = msgspec.field(default="", name="sourceIPAddress")
    user_agent: str = ""
    error_code: str = ""
    recipient_account_id: str = ""
    account_id: str = ""
    """Aggregated records name their account here."""
    management_event: bool | None = None
    session_credential_from_console: str = ""
    user_identity: msgspec.Raw = ABSENT
    addendum: msgspec.Raw = ABSENT


_STRICT: Final = msgspec.json.Decoder(Header)
_TEXT_FIELDS: Final = tuple(
    (field.name, field.encode_name) for field in msgspec.structs.fields(Header) if field.type is str
)
_USUAL_NAMES: Final = tuple(field.encode_name for field in msgspec.structs.fields(Header))


def read_strictly(raw: bytes) -> Header | None:
    """Read the header of a record as CloudTrail writes it today, None of any other bytes.

    Other types, other spellings, and records that keep name and time elsewhere (Insight,
    Aggregated) are for `read_leniently`.
    """
    try:
        header = _STRICT.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    if header.event_time and header.event_name and header.event_id and header.source_ip_address:
        return header
    return None


def read_leniently(fields: dict[str, msgspec.Raw]) -> Header:
    """Read the header of a record's separated members, whatever their types and spelling."""
    # The usual spelling wins over another one of the same name.
    usual = {name: fields[name] for name in _USUAL_NAMES if name in fields}
    folded = fold(fields) | fold(usual)
    header = Header(
        **{name: text(folded.get(key.lower(), ABSENT)) for name, key in _TEXT_FIELDS},
        user_identity=folded.get("useridentity", ABSENT),
        addendum=folded.get("addendum", ABSENT),
        management_event=_flag(text(folded.get("managementevent", ABSENT))),
    )
    insight = members(folded.get("insightdetails", ABSENT))
    # An insight is about an API; an aggregated record spans many, and its type says what it is.
    header.event_name = (
        header.event_name or text(insight.get("eventname", ABSENT)) or header.event_type
    )
    header.event_source = header.event_source or text(insight.get("eventsource", ABSENT))
    header.event_time = header.event_time or text(
        members(folded.get("timewindow", ABSENT)).get("windowstart", ABSENT)
    )
    return header


def _flag(value: str) -> bool | None:
    return {"true": True, "false": False}.get(value.lower())
