"""The rules from a record's header to the key it counts under, and to its identity."""

import json
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from streams.cloudtrail.header import Header
from streams.cloudtrail.identity import Identity, identity_of
from streams.cloudtrail.initiator import NOT_CALLS, Caller, Initiator, host_of, initiator_of
from streams.cloudtrail.json_text import ABSENT, members, text
from streams.cloudtrail.principal import UNKNOWN, principal_of
from streams.cloudtrail.record import Activity, Filtered

DEDUP_ID_BYTES: Final = 16
_CATEGORY_OF_TYPE: Final = {
    "AwsVpceEvent": "NetworkActivity",
    "AwsCloudTrailInsight": "Insight",
    "AwsAggregatedEvent": "Aggregated",
}
_FILTERED: Final = {"Insight": Filtered.INSIGHT, "Aggregated": Filtered.AGGREGATED}


class Actor(NamedTuple):
    """All that follows from `userIdentity` alone."""

    identity: Identity
    principal: str
    session_name: str


@lru_cache(16_384)
def actor_of(user_identity: bytes) -> Actor:
    """Read a `userIdentity` member, given as its valid JSON.

    Remembered, because a session's records all carry the same bytes.
    """
    identity = identity_of(user_identity)
    return Actor(identity, principal_of(identity), identity.session_name)


def activity_of(header: Header, actor: Actor) -> tuple[Activity, str]:
    """Return the key a record counts under and the name of the initiator rule that decided.

    The account is the record's own word, never the envelope's: two deliveries must agree.
    """
    identity = actor.identity
    category = event_category(header)
    initiator, rule = _initiator(header, identity, category)
    activity = Activity(
        header.recipient_account_id or identity.account_id or header.account_id or UNKNOWN,
        header.aws_region,
        header.event_source,
        header.event_name,
        category,
        initiator,
        identity.account_id,
        actor.principal,
        header.error_code,
    )
    return activity, rule


def event_category(header: Header) -> str:
    """Return the category; records older than `eventCategory` (1.07) say it in other members.

    An unknown category passes as it is.
    """
    if header.event_category:
        return header.event_category
    if header.management_event is not None:
        return "Management" if header.management_event else "Data"
    return _CATEGORY_OF_TYPE.get(header.event_type, "Management")


def _initiator(header: Header, identity: Identity, category: str) -> tuple[str, str]:
    if category in _FILTERED:
        return Initiator.NONE.value, _FILTERED[category].value
    if header.addendum and is_correction(header):
        return Initiator.CORRECTION.value, "addendum-updated-data"
    return initiator_of(
        Caller(
            header.event_source,
            header.event_type,
            identity.type,
            identity.named,
            identity.invoked_by,
            identity.issuer_arn,
            identity.web_session,
            host_of(header.source_ip_address),
            header.user_agent,
            header.session_credential_from_console == "true",
        )
    )


def is_correction(header: Header) -> bool:
    """Return whether the record corrects an earlier one, which has been counted already.

    Every other reason (`DELIVERY_DELAY`, `SERVICE_OUTAGE`, unknown ones) is a late first delivery.
    """
    return text(members(header.addendum).get("reason", ABSENT)) == "UPDATED_DATA"


def filtered_reason(activity: Activity) -> Filtered | None:
    """Return why a source does not publish this record, None if it does."""
    return _FILTERED.get(activity.event_category)


def is_counted(activity: Activity) -> bool:
    """Return whether one record under this key is one call.

    Network activity has its category in the key and so its own series; unknown categories count.
    """
    return activity.initiator not in NOT_CALLS and activity.event_category not in _FILTERED


def dedup_id(header: Header, raw: bytes) -> bytes:
    """Return 16 bytes that are equal for two deliveries of one event, whatever the envelope.

    `eventID` alone repeats: two accounts of one cross-account call, and documentation, share it.
    Without one, the whole record in canonical form stands in.
    """
    if not header.event_id:
        return blake2b(_canonical(raw), digest_size=DEDUP_ID_BYTES).digest()
    event_id, account, name = header.event_id, header.recipient_account_id, header.event_name
    # Lengths in front keep ("a", "bc") and ("ab", "c") apart whatever the parts hold.
    parts = f"{len(event_id)}:{event_id}{len(account)}:{account}{len(name)}:{name}"
    return blake2b((parts + header.event_time).encode(), digest_size=DEDUP_ID_BYTES).digest()


def _canonical(raw: bytes) -> bytes:
    # Integers stay text: CPython refuses to convert more than 4,300 digits.
    value = json.loads(raw, parse_int=str)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
