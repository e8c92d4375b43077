"""The typed forms of a CloudTrail record: what it counts as, and what it carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from streams.cloudtrail.json_text import OBJECT


class Activity(NamedTuple):
    """Who called which API, where: the key every count is kept under.

    All members are strings; an absent one is empty, except where the parser's rules name a word
    for it (`unknown`).
    Field order is the field order of `avro/ActivityKey.avsc` and is frozen.
    """

    account_id: str
    region: str
    event_source: str
    event_name: str
    event_category: str
    initiator: str
    caller_account_id: str
    principal: str
    error_code: str


class Origin(NamedTuple):
    """Where a record came from: an object's name (path, or `bucket/key`) and its index in it."""

    object: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an origin
    """Position among the object's records, from 0; -1 for the object as a whole."""


class Reason(StrEnum):
    """Why a record was rejected: the closed set of `dead-letters`."""

    TRUNCATED = "truncated"
    """The object ends in the middle: a cut gzip stream or a cut JSON text."""
    TOO_LARGE = "too_large"
    """The object unpacks to more than the allowed number of bytes, or the record is over 1 MiB."""
    NOT_JSON = "not_json"
    """Not JSON as RFC 8259 defines it; `NaN` and `Infinity` are not JSON."""
    NOT_UTF8 = "not_utf8"
    NOT_A_RECORD = "not_a_record"
    """JSON, but no object, or no CloudTrail record: nothing that names an event."""
    NO_EVENT_TIME = "no_event_time"
    BAD_EVENT_TIME = "bad_event_time"
    """`eventTime` is no ISO 8601 instant, or lies before 1971 or after 2038."""
    FUTURE_EVENT_TIME = "future_event_time"
    """`eventTime` is more than 24 h ahead of publication."""
    UNREADABLE = "unreadable"
    """A record on the records topic that no known Avro schema reads."""


class Filtered(StrEnum):
    """Why an input that is in order is not published: it is no call. A closed set."""

    INSIGHT = "insight"
    """CloudTrail's own finding about calls."""
    AGGREGATED = "aggregated"
    """A five-minute summary of calls that may also be logged one by one."""
    DIGEST = "digest"
    """A digest file: hashes of the log files delivered in an hour."""


class TrailRecord(NamedTuple):
    """One accepted CloudTrail record.

    `raw` is the whole JSON object, verbatim, so that nothing is lost and nothing is parsed that
    nobody asks for.
    """

    activity: Activity
    dedup_id: bytes
    """16 bytes; equal for two deliveries of one event."""
    event_time_ms: int
    """Milliseconds since 1970-01-01T00:00:00Z."""
    origin: Origin
    initiator_rule: str
    """Name of the initiator rule that matched."""
    session_name: str
    access_key_id: str
    event_id: str
    event_type: str
    source_ip_address: str
    user_agent: str
    raw: bytes

    @property
    def fields(self) -> Mapping[str, msgspec.Raw]:
        """Every top-level member, its value as JSON text; separated anew at each call."""
        return OBJECT.decode(self.raw)

    @property
    def cross_account(self) -> bool:
        """Whether the caller's account is known and is not the account the call was made in."""
        caller = self.activity.caller_account_id
        return bool(caller) and caller != self.activity.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One input that is no countable record, with the reason: it becomes a dead letter."""

    reason: Reason
    error: str
    """One sentence: what was expected and what came."""
    origin: Origin
    raw: bytes
    """The rejected bytes, or as many of them as were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An object of a trail's folder that holds no records by its nature."""

    reason: Filtered
    origin: Origin
