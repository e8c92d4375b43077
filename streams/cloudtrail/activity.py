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


class Meaning(NamedTuple):
    """All that follows from a record's `Grounds`."""

    activity: Activity
    """The key the record counts under."""
    initiator_rule: str
    """Name of the initiator rule that decided."""
    session_name: str
    access_key_id: str


class Grounds(NamedTuple):
    """The members that decide what a record means: whatever tells no caller or API apart is out."""

    event_source: str
    event_name: str
    event_type: str
    event_category: str
    aws_region: str
    source_host: str
    """`sourceIPAddress` where it is a name."""
    user_agent: str
    error_code: str
    recipient_account_id: str
    account_id: str
    management_event: bool | None
    session_credential_from_console: str
    user_identity: bytes
    addendum: bytes


def meaning_of(header: Header) -> Meaning:
    """Return what a record counts as, and who called."""
    return _meaning_of(
        Grounds(
            header.event_source,
            header.event_name,
            header.event_type,
            header.event_category,
            header.aws_region,
            host_of(header.source_ip_address),
            header.user_agent,
            header.error_code,
            header.recipient_account_id,
            header.account_id,
            header.management_event,
            header.session_credential_from_console,
            bytes(header.user_identity),
            bytes(header.addendum),
        )
    )


def reckon(grounds: Grounds) -> Meaning:
    """Decide by the rules what a record means.

    The account is the record's own word, never the envelope's: two deliveries must agree.
    """
    actor = actor_of(grounds.user_identity)
    identity = actor.identity
    category = _category(grounds)
    initiator, rule = _initiator(grounds, identity, category)
    activity = Activity(
        grounds.recipient_account_id or identity.account_id or grounds.account_id or UNKNOWN,
        grounds.aws_region,
        grounds.event_source,
        grounds.event_name,
        category,
        initiator,
        identity.account_id,
        actor.principal,
        grounds.error_code,
    )
    return Meaning(activity, rule, actor.session_name, identity.access_key_id)


# A caller repeats itself: most records have the grounds of an earlier one.
_meaning_of = lru_cache(16_384)(reckon)


def _category(grounds: Grounds) -> str:
    """Return the category; records older than `eventCategory` (1.07) say it in other members.

    An unknown category passes as it is.
    """
    if grounds.event_category:
        return grounds.event_category
    if grounds.management_event is not None:
        return "Management" if grounds.management_event else "Data"
    return _CATEGORY_OF_TYPE.get(grounds.event_type, "Management")


def _initiator(grounds: Grounds, identity: Identity, category: str) -> tuple[str, str]:
    if category in _FILTERED:
        return Initiator.NONE.value, _FILTERED[category].value
    if grounds.addendum and _is_correction(grounds.addendum):
        return Initiator.CORRECTION.value, "addendum-updated-data"
    return initiator_of(
        Caller(
            grounds.event_source,
            grounds.event_type,
            identity.type,
            identity.named,
            identity.invoked_by,
            identity.issuer_arn,
            identity.web_session,
            grounds.source_host,
            grounds.user_agent,
            grounds.session_credential_from_console == "true",
        )
    )


def _is_correction(addendum: bytes) -> bool:
    """Return whether the record corrects an earlier one, which has been counted already.

    Every other reason (`DELIVERY_DELAY`, `SERVICE_OUTAGE`, unknown ones) is a late first delivery.
    """
    return text(members(addendum).get("reason", ABSENT)) == "UPDATED_DATA"


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
