"""Habits as CloudTrail records: JSON rendered once, then spliced with each call's time and ids."""

from uuid import UUID

import msgspec

from streams.synthetic.habits import Habit
from streams.synthetic.words import Json, base32, fill, hexadecimal, iso

SESSION_MS = 6 * 3_600_000
"""How long a session's temporary credentials are used, aligned to the epoch."""

VARIANTS = 4
"""Instances, sessions, addresses and resources that one habit alternates between."""

# A session was created this long before the first call that may use it.
_SESSION_AGE_MS = 7 * 60_000
_BUCKETS = ("assets", "data-lake", "exports", "logs")
_WORDS = ("orders", "billing", "search", "reports")
_TIME, _REQUEST_ID, _EVENT_ID = "@time@", "@request-id@", "@event-id@"


def render(seed: int, habit: Habit, variant: int, session: int, *, failed: bool) -> bytes:
    """Return a record as a %-template of three byte strings: event time, request id, event id.

    `session` counts spans of SESSION_MS since the epoch.
    The same arguments give the same bytes; members are in the order in which AWS writes them.
    """
    words = _words(seed, habit, variant, session)
    text = msgspec.json.encode(fill(_record(habit, failed=failed), words))
    text = text.replace(b"%", b"%%")
    for placeholder in (_TIME, _REQUEST_ID, _EVENT_ID):
        text = text.replace(placeholder.encode(), b"%b", 1)
    return text


def _record(habit: Habit, *, failed: bool) -> dict[str, Json]:
    caller, api = habit.caller, habit.api
    record: dict[str, Json] = {
        "eventVersion": "1.11",
        "userIdentity": caller.identity,
        "eventTime": _TIME,
        "eventSource": api.event_source,
        "eventName": api.event_name,
        "awsRegion": habit.region,
        "sourceIPAddress": caller.address,
        "userAgent": caller.agent,
    }
    if failed:
        record["errorCode"], record["errorMessage"] = api.error
    record["requestParameters"] = api.request
    record["responseElements"] = None if failed else api.response
    if api.extra is not None:
        record["additionalEventData"] = api.extra
    record |= {"requestID": _REQUEST_ID, "eventID": _EVENT_ID, "readOnly": api.read_only}
    if api.resources:
        record["resources"] = [
            {"accountId": habit.account_id, "type": kind, "ARN": arn} for kind, arn in api.resources
        ]
    record |= {
        "eventType": "AwsApiCall",
        "managementEvent": api.category == "Management",
        "recipientAccountId": habit.account_id,
    }
    record["eventCategory"] = api.category
    if not caller.identity.get("invokedBy"):
        record["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": api.host,
        }
    if caller.console:
        record["sessionCredentialFromConsole"] = "true"
    return record


def _words(seed: int, habit: Habit, variant: int, session: int) -> dict[str, str]:
    """Return what templates may name: stable for the caller, its session, or this API's calls."""
    caller = (seed, habit.caller.principal)
    here = (*caller, habit.region, variant, session)
    call = (*caller, habit.account_id, habit.region, habit.api.event_name, variant)
    digits = hexadecimal(64, *call)
    return {
        "account": habit.account_id,
        "region": habit.region,
        "service": habit.api.service,
        "event": habit.api.event_name,
        "instance": f"i-0{hexadecimal(16, *caller, habit.region, variant)}",
        "octet": str(int(digits[:2], 16) % 254 + 1),
        "octet2": str(int(digits[2:4], 16) % 254 + 1),
        "unique_id": f"AROA{base32(17, *caller)}",
        "user_id": f"AIDA{base32(17, *caller)}",
        "user_key": f"AKIA{base32(9, *caller)}EXAMPLE",
        "key": f"ASIA{base32(9, *here)}EXAMPLE",
        "issued_key": f"ASIA{base32(9, *call, session)}EXAMPLE",
        "created": iso(session * SESSION_MS - _SESSION_AGE_MS),
        "ends": iso((session + 1) * SESSION_MS),
        "hex17": digits[:17],
        "hex64": digits,
        "uuid": str(UUID(hex=digits[:32], version=4)),
        "bucket": _BUCKETS[variant % len(_BUCKETS)],
        "word": _WORDS[variant % len(_WORDS)],
        "path": f"{_WORDS[variant % len(_WORDS)]}/part-{digits[:8]}.parquet",
    }
