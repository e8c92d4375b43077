"""The one loader of `avro/*.avsc`."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streams.codecs.varint import CodecError

NAMESPACE = "trailstreams"

_NO_SCHEMA = (AttributeError, KeyError, TypeError, ValueError, fastavro.schema.SchemaParseException)
"""What fastavro raises for JSON that is no schema; a type nobody defines is a ValueError."""


class Schema(NamedTuple):
    """One Avro record schema, ready to write and read with."""

    name: str
    """Without the namespace, for example `TrailRecord`."""
    definition: Mapping[str, Any]
    """The JSON of the file, with docs and logical types."""
    parsed: Any
    """What fastavro works with: times stay integers (ms), which is twice as fast and has no end
    at the year 9999."""
    fingerprint: bytes
    """CRC-64-AVRO of the Parsing Canonical Form, 8 bytes, little endian."""


def load_schemas() -> dict[str, Schema]:
    """Return the schemas of `avro/*.avsc` by name, parsed anew at each call.

    The installed package carries the files within; a checkout has them beside `streams`.
    """
    schemas = (make_schema(json.loads(file.read_text("utf-8"))) for file in _schema_files())
    return {schema.name: schema for schema in schemas}


def make_schema(definition: Mapping[str, Any]) -> Schema:
    """Parse one record schema; raise CodecError where it is none, or refers to another file's."""
    if definition.get("type") != "record":
        raise CodecError(f"expected an Avro record schema, not {definition.get('type')!r}")
    try:
        canonical = to_parsing_canonical_form(dict(definition))
        plain = fastavro.parse_schema(_without_logical_types(definition))
        name = str(definition["name"]).rpartition(".")[2]
    except _NO_SCHEMA as error:
        raise CodecError(f"expected an Avro record schema: {error!r}") from error
    return Schema(name, definition, plain, bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")))


def _schema_files() -> Iterator[Traversable]:
    installed = files("streams") / "avro"
    checkout = Path(__file__).parents[2] / "avro"
    folder = installed if installed.is_dir() else checkout
    return (file for file in folder.iterdir() if file.name.endswith(".avsc"))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        if "logicalType" in schema:
            return schema["type"]
        return {key: _without_logical_types(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema
