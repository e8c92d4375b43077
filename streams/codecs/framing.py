"""The header before each Avro body: which schema wrote it."""

from collections.abc import Mapping
from typing import Protocol

from streams.codecs.varint import CodecError

SINGLE_OBJECT = b"\xc3\x01"
"""Avro specification, "Single-object encoding": then 8 bytes of fingerprint, little endian."""
CONFLUENT = b"\x00"
"""Confluent wire format: then 4 bytes of Schema Registry id, big endian."""
SINGLE_OBJECT_LENGTH = 10
CONFLUENT_LENGTH = 5


def header_length(raw: bytes) -> int:
    """Return where the Avro body begins: 10 or 5; raise CodecError where no header is."""
    length = 10 if raw[:2] == SINGLE_OBJECT else 5 if raw[:1] == CONFLUENT else 0
    if not length or len(raw) < length:
        raise CodecError(
            f"expected bytes that begin with C3 01 or 00, not {raw[:2].hex(' ') or 'nothing'!r}: "
            "this is no Avro of ours"
        )
    return length


def registry_id(header: bytes) -> int:
    """Return the Schema Registry id of a header of the Confluent wire format."""
    return int.from_bytes(header[1:CONFLUENT_LENGTH], "big")


class Framing(Protocol):
    """How a writer names its schemas; readers accept every framing."""

    def header(self, name: str, fingerprint: bytes) -> bytes:
        """Return the header of bodies written with the schema of that name and fingerprint."""


class SingleObject:
    """Name schemas by fingerprint: the files under `avro/` are all a reader needs."""

    def header(self, name: str, fingerprint: bytes) -> bytes:  # noqa: ARG002 - the seam's shape
        """Return C3 01 and the fingerprint."""
        return SINGLE_OBJECT + fingerprint


class ConfluentWire:
    """Name schemas by the ids a Schema Registry gave them, by name of the schema."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = dict(ids)

    def header(self, name: str, fingerprint: bytes) -> bytes:  # noqa: ARG002 - the seam's shape
        """Return 00 and the id; raise CodecError where the registry gave none."""
        if name not in self._ids:
            raise CodecError(f"the Schema Registry gave no id for {name}: register its schema")
        return CONFLUENT + self._ids[name].to_bytes(4, "big")
