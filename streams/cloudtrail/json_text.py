"""Read single values out of verbatim JSON without trusting their types.

CloudTrail's producers do not agree on types: a version may be a number, a flag the string `"true"`,
a user agent a list.
"""

from typing import Final

import msgspec

OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Decoder of one object whose values stay verbatim."""
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_STRING: Final = msgspec.json.Decoder(str)
ABSENT: Final = msgspec.Raw(b"")
"""Stand-in for a member that is not there."""


def text(value: msgspec.Raw) -> str:
    """Return a scalar as text: a string decoded, numbers and booleans verbatim, absent as empty.

    A list is its members joined by a comma and a space; `null` and an object are empty.
    The value must come out of an accepted record: it is valid JSON.
    """
    raw = bytes(value)
    match raw[:1]:
        case b'"':
            return _STRING.decode(raw)
        case b"[":
            return ", ".join(text(item) for item in _ARRAY.decode(raw))
        case b"{" | b"n":
            return ""
        case _:
            return raw.decode()


def members(value: msgspec.Raw | bytes) -> dict[str, msgspec.Raw]:
    """Return an object's members under lower-cased names; anything but an object has none.

    `principalId` and `principalid`, `arn` and `ARN` are both found in real records.
    """
    raw = bytes(value)
    return fold(OBJECT.decode(raw)) if raw.startswith(b"{") else {}


def fold(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Lower-case the names of members; of two that become equal the last one stays."""
    return {name.lower(): value for name, value in fields.items()}
