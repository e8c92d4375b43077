"""Typed records to bytes on a topic, and back."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

import fastavro

from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs.activity import decode_activity, encode_activity, read_activity
from streams.codecs.chunk import Columns, columns
from streams.codecs.framing import (
    CONFLUENT,
    CONFLUENT_LENGTH,
    Framing,
    SingleObject,
    header_length,
    registry_id,
)
from streams.codecs.records import (
    DeadLetter,
    SourcePosition,
    anomaly_datum,
    anomaly_of,
    count_datum,
    count_of,
    dead_letter_datum,
    dead_letter_of,
    from_datum,
    to_datum,
)
from streams.codecs.schemas import Schema, load_schemas, make_schema
from streams.codecs.trail import tail_schema, trail_datum, trail_record
from streams.codecs.varint import CodecError, decode_long, encode_long
from streams.counting.counts import ActivityCount
from streams.counting.watermark import progress_activity
from streams.detection.anomaly import Anomaly
from streams.packed import Strings

logger = logging.getLogger(__name__)

MOST_IN_VAIN = 10_000
"""Headers remembered as unknown to the Schema Registry; past it all are asked for anew."""

_FROZEN = ("ActivityKey", "ActivityWindow")
_UNREADABLE = (EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What fastavro raises for bytes that are no body of the schema, and for schemas that disagree."""


class Codecs:
    """All codecs of one process; schemas are parsed here, once.

    Writers put the header of `framing` before each body. Readers take the header of any schema
    they know: those of `avro/`, what `learn` added, and what `registered` tells of an id: the
    schema's JSON, or None where there is none of Avro.
    Every `decode_*` raises CodecError, and what `registered` raises: it waits for its answer.
    """

    def __init__(
        self,
        framing: Framing | None = None,
        registered: Callable[[int], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self._schemas = load_schemas()
        self._trail_tail = tail_schema(self._schemas["TrailRecord"])
        # Few keys and seconds make up most records.
        self._body = lru_cache(65_536)(encode_activity)
        self._time = lru_cache(16_384)(encode_long)
        self._writers: dict[bytes, Schema] = {}
        self._trail_headers: set[bytes] = set()
        self._headers: dict[str, bytes] = {}
        self._registered = registered
        self._asked_in_vain: set[bytes] = set()
        for framed in (SingleObject(), framing or SingleObject()):
            for name, schema in self._schemas.items():
                self._headers[name] = framed.header(name, schema.fingerprint)
                self.learn(self._headers[name], schema)

    def learn(self, header: bytes, schema: Schema | Mapping[str, Any]) -> None:
        """Accept bodies behind `header` as written with `schema`: an older or a registry's one.

        Raise CodecError for another key than ours, and for a TrailRecord that does not begin with
        dedup_id and event_time: both are read without their schema.
        """
        known = schema if isinstance(schema, Schema) else make_schema(schema)
        if known.name in _FROZEN and known.fingerprint != self._schemas[known.name].fingerprint:
            raise CodecError(f"{known.name} is frozen: another key needs another topic")
        if known.name == "TrailRecord":
            _check_leading_fields(known)
            self._trail_headers.add(header)
        self._writers[header] = known

    def unknown(self, values: Iterable[bytes | None]) -> set[bytes]:
        """Return the headers of these values that the Schema Registry is still to be asked for."""
        if self._registered is None:
            return set()
        framed = (value for value in values if value is not None and value[:1] == CONFLUENT)
        headers = {value[:CONFLUENT_LENGTH] for value in framed if len(value) >= CONFLUENT_LENGTH}
        return headers - self._writers.keys() - self._asked_in_vain

    def ask(self, headers: Iterable[bytes]) -> None:
        """Learn from the Schema Registry who writes these `unknown` headers; it is waited for.

        A header that it does not know, or whose schema `learn` refuses, is not asked for again.
        Raise what `registered` raises.
        """
        if len(self._asked_in_vain) > MOST_IN_VAIN:
            self._asked_in_vain.clear()
        for header in headers:
            number = registry_id(header)
            definition = self._registered(number) if self._registered else None
            try:
                self.learn(header, definition or {})
            except CodecError as error:
                why = error if definition else "nobody registered it"
                logger.warning("schema %d of the Schema Registry is none of ours: %s", number, why)
                self._asked_in_vain.add(header)

    def columns(self, values: Strings) -> Columns:
        """Read ids and times of a chunk of TrailRecords; what is no such thing is in `bad`."""
        return columns(values, known=self._trail_headers, strict=False)

    def activity_key(self, activity: Activity) -> bytes:
        """Return the key of `records`."""
        return self._headers["ActivityKey"] + self._body(activity)

    def decode_activity_key(self, raw: bytes) -> Activity:
        """Return the activity of a key of `records`."""
        start = self._known("ActivityKey", raw)
        return decode_activity(raw[start:])

    def trail_record(self, record: TrailRecord) -> bytes:
        """Return the value of `records`; raise CodecError where a member is not UTF-8.

        The leading fields are put together from what is known already: the activity's bytes are
        the body of its key.
        """
        out = BytesIO()
        out.write(self._headers["TrailRecord"])
        out.write(record.dedup_id)
        out.write(self._time(record.event_time_ms))
        out.write(self._body(record.activity))
        fastavro.schemaless_writer(out, self._trail_tail, trail_datum(record))
        return out.getvalue()

    def decode_trail_record(self, raw: bytes) -> TrailRecord:
        """Return the record of a value of `records`, from the value alone."""
        return trail_record(self._decode("TrailRecord", raw))

    def progress(self, instance_id: str, up_to_ms: int) -> tuple[bytes, bytes]:
        """Return key and value of a Progress: nothing older will still come from the instance."""
        activity = progress_activity(instance_id)
        record = TrailRecord(
            activity=activity,
            dedup_id=bytes(16),
            event_time_ms=up_to_ms,
            origin=Origin("", -1),
            initiator_rule="",
            session_name="",
            access_key_id="",
            event_id="",
            event_type="",
            source_ip_address="",
            user_agent="",
            raw=b"{}",
        )
        return self.activity_key(activity), self.trail_record(record)

    def activity_window(self, body: bytes, window_start_ms: int) -> bytes:
        """Return the key of `activity-counts`, from the Avro body of an ActivityKey."""
        return self._headers["ActivityWindow"] + body + encode_long(window_start_ms)

    def decode_activity_window(self, raw: bytes) -> tuple[Activity, int]:
        """Return activity and window start (ms) of a key of `activity-counts`."""
        activity, at = read_activity(raw, self._known("ActivityWindow", raw))
        window_start_ms, end = decode_long(raw, at)
        if end != len(raw):
            raise CodecError(f"expected the end of an ActivityWindow at byte {end}, not {len(raw)}")
        return activity, window_start_ms

    def activity_count(self, count: ActivityCount) -> bytes:
        """Return the value of `activity-counts`."""
        return self._encode("ActivityCount", count_datum(count))

    def decode_activity_count(self, raw: bytes) -> ActivityCount:
        """Return the count of a value of `activity-counts`."""
        return count_of(self._decode("ActivityCount", raw))

    def anomaly(self, anomaly: Anomaly) -> bytes:
        """Return the value of `anomalies`; its key is `anomaly_id` as text."""
        return self._encode("Anomaly", anomaly_datum(anomaly))

    def decode_anomaly(self, raw: bytes) -> Anomaly:
        """Return the anomaly of a value of `anomalies`."""
        datum = self._decode("Anomaly", raw)
        try:
            return anomaly_of(datum)
        except ValueError as error:
            raise CodecError(f"expected an Anomaly: {error}; is the writer newer?") from error

    def dead_letter(self, letter: DeadLetter) -> bytes:
        """Return the value of `dead-letters`; its key is `letter.key`."""
        return self._encode("DeadLetter", dead_letter_datum(letter))

    def decode_dead_letter(self, raw: bytes) -> DeadLetter:
        """Return the dead letter of a value of `dead-letters`."""
        datum = self._decode("DeadLetter", raw)
        try:
            return dead_letter_of(datum)
        except ValueError as error:
            raise CodecError(f"expected a DeadLetter: {error}; is the writer newer?") from error

    def source_position(self, position: SourcePosition) -> bytes:
        """Return the value of `source-positions`; its key is `position.key`."""
        return self._encode("SourcePosition", to_datum(position))

    def decode_source_position(self, raw: bytes) -> SourcePosition:
        """Return the position of a value of `source-positions`."""
        return SourcePosition(**from_datum(SourcePosition, self._decode("SourcePosition", raw)))

    def _encode(self, name: str, datum: Mapping[str, Any]) -> bytes:
        out = BytesIO()
        out.write(self._headers[name])
        fastavro.schemaless_writer(out, self._schemas[name].parsed, datum)
        return out.getvalue()

    def _decode(self, name: str, raw: bytes) -> dict[str, Any]:
        """Decode a value into the current schema, whichever known schema wrote it."""
        body = BytesIO(raw)
        body.seek(self._known(name, raw))
        writer, reader = self._writer(raw).parsed, self._schemas[name].parsed
        try:
            datum = fastavro.schemaless_reader(body, writer, None if writer is reader else reader)
        except _UNREADABLE as error:
            raise CodecError(f"expected an Avro {name}: {error!r}") from error
        if body.tell() != len(raw):
            raise CodecError(f"expected the end of a {name} at byte {body.tell()}, not {len(raw)}")
        return cast("dict[str, Any]", datum)

    def _known(self, name: str, raw: bytes) -> int:
        """Return where the body begins; raise CodecError where a known `name` did not write it."""
        schema = self._writer(raw)
        if schema.name != name:
            raise CodecError(f"expected the schema {name}, not {schema.name}")
        return header_length(raw)

    def _writer(self, raw: bytes) -> Schema:
        header = raw[: header_length(raw)]
        if header not in self._writers:
            self.ask(self.unknown([raw]))
        if header not in self._writers:
            remedy = "upgrade this reader"
            if header[:1] == CONFLUENT and self._registered is None:
                remedy = "it is a Schema Registry's, set TRAILSTREAMS_SCHEMA_REGISTRY_URL"
            raise CodecError(f"written with the unknown schema {header.hex(' ')}: {remedy}")
        return self._writers[header]


def _check_leading_fields(schema: Schema) -> None:
    types = [item["type"] for item in schema.parsed["fields"][:2]]
    if not (types[1:] == ["long"] and isinstance(types[0], Mapping) and types[0].get("size") == 16):
        raise CodecError("expected a TrailRecord that begins with a fixed(16) and a long")
