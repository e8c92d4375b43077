"""The wire: Avro bodies behind a header that names their schema, and the typed records in them."""

from streams.codecs.activity import decode_activity, encode_activity
from streams.codecs.chunk import Columns, columns
from streams.codecs.codecs import Codecs
from streams.codecs.framing import ConfluentWire, Framing, SingleObject, header_length
from streams.codecs.partitioning import murmur2, partition_of
from streams.codecs.records import DeadLetter, SourcePosition
from streams.codecs.schemas import Schema, load_schemas, make_schema
from streams.codecs.trail import record_json
from streams.codecs.varint import CodecError

__all__ = [
    "CodecError",
    "Codecs",
    "Columns",
    "ConfluentWire",
    "DeadLetter",
    "Framing",
    "Schema",
    "SingleObject",
    "SourcePosition",
    "columns",
    "decode_activity",
    "encode_activity",
    "header_length",
    "load_schemas",
    "make_schema",
    "murmur2",
    "partition_of",
    "record_json",
]
