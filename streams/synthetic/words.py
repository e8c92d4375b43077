"""Invented values: the same words for the same parts, and templates that are filled with them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TypeAlias

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

# RFC 4648 base 32: the alphabet of AWS access keys and unique ids.
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TOKEN = re.compile(r"<(\w+)>")


def digest(*parts: object) -> bytes:
    """Return 32 bytes that depend on the parts' text only."""
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=32).digest()


def hexadecimal(length: int, *parts: object) -> str:
    """Return `length` (at most 64) hexadecimal digits that depend on the parts only."""
    return digest(*parts).hex()[:length]


def base32(length: int, *parts: object) -> str:
    """Return `length` (at most 32) upper-case letters and digits that depend on the parts only."""
    return "".join(_BASE32[byte & 31] for byte in digest(*parts)[:length])


def iso(time_ms: int) -> str:
    """Return the instant as CloudTrail writes it, UTC to the second."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fill(template: Json, words: Mapping[str, str]) -> Json:
    """Return a copy of the template with each `<name>` in its strings replaced by that word.

    Raise KeyError for a name that is no word.
    """
    if isinstance(template, str):
        return _TOKEN.sub(lambda token: words[token[1]], template)
    if isinstance(template, dict):
        return {key: fill(value, words) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, words) for value in template]
    return template
