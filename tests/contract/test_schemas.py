"""The wire is a promise: keys never change, values only so that old data stays readable."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streams.cloudtrail.record import Activity
from streams.codecs import Codecs, load_schemas, make_schema
from streams.counting.counts import ActivityCount
from streams.detection.anomaly import Anomaly, Attribution, Evidence

FROZEN = Path(__file__).parent / "frozen"
SCHEMAS = load_schemas()
KEYS = ("ActivityKey", "ActivityWindow")
VALUES = ("TrailRecord", "ActivityCount", "Anomaly", "DeadLetter", "SourcePosition")
PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def frozen(name: str) -> dict[str, Any]:
    """Return the schema as it was first published; never edit these files."""
    definition: dict[str, Any] = json.loads((FROZEN / f"{name}.avsc").read_text("utf-8"))
    return definition


def broken_promises(writer: Any, reader: Any, where: str) -> list[str]:
    """Say what a reader with the schema `reader` cannot read of what `writer` wrote.

    The rules of the Avro specification, "Schema Resolution", as far as these schemas need them;
    a change of the logical type counts as broken too.
    """
    if isinstance(writer, list) or isinstance(reader, list):
        writers, readers = _branches(writer), _branches(reader)
        return [
            f"{where}: no branch for {one}"
            for one in writers
            if all(broken_promises(one, other, where) for other in readers)
        ]
    if isinstance(writer, Mapping) and isinstance(reader, Mapping):
        if writer["type"] != reader["type"]:
            return [f"{where}: {writer['type']} became {reader['type']}"]
        if writer["type"] == "record":
            return _broken_record(writer, reader, where)
        if writer["type"] == "array":
            return broken_promises(writer["items"], reader["items"], f"{where}[]")
        same = all(writer.get(key) == reader.get(key) for key in ("size", "name", "logicalType"))
        return [] if same else [f"{where}: {writer} became {reader}"]
    fine = writer == reader or (isinstance(writer, str) and reader in PROMOTED.get(writer, ()))
    return [] if fine else [f"{where}: {writer} became {reader}"]


def _branches(schema: Any) -> list[Any]:
    return schema if isinstance(schema, list) else [schema]


def _broken_record(writer: Mapping[str, Any], reader: Mapping[str, Any], where: str) -> list[str]:
    written = {field["name"]: field for field in writer["fields"]}
    broken = [f"{where}: renamed"] if writer["name"] != reader["name"] else []
    for field in reader["fields"]:
        name = f"{where}.{field['name']}"
        if field["name"] in written:
            broken += broken_promises(written[field["name"]]["type"], field["type"], name)
        elif "default" not in field:
            broken.append(f"{name}: new, without a default")
    return broken


def test_there_are_just_these_schemas() -> None:
    assert set(SCHEMAS) == {*KEYS, *VALUES}


@pytest.mark.parametrize(
    ("name", "crc", "sha256"),
    [
        (
            "ActivityKey",
            "f7ab7ee2908302f4",
            "4e031390c97bf8f087f1375a1395c98d5ba3b8490a431d92e0be2733b050e53a",
        ),
        (
            "ActivityWindow",
            "aee84fb0d671afe5",
            "1cf153565d1daa851d899d2345997fba1e50f1c24c1e021e8cc65ffafad4157e",
        ),
    ],
)
def test_keys_are_frozen_to_the_last_word(name: str, crc: str, sha256: str) -> None:
    """A registry fingerprints docs too, and rows are told apart by these bytes: never change them.

    A new key is a new topic, in a new prefix, with a replay.
    """
    text = json.dumps(SCHEMAS[name].definition, sort_keys=True, separators=(",", ":"))
    assert (SCHEMAS[name].fingerprint.hex(), hashlib.sha256(text.encode()).hexdigest()) == (
        crc,
        sha256,
    )


@pytest.mark.parametrize("name", VALUES)
def test_values_stay_readable_by_newer_readers(name: str) -> None:
    assert broken_promises(frozen(name), SCHEMAS[name].definition, name) == []


def test_the_compatibility_check_notices_what_breaks() -> None:
    old = frozen("Anomaly")
    new = json.loads(json.dumps(old))
    new["fields"][3]["type"] = "string"
    new["fields"].append({"name": "more", "type": "string"})
    new["fields"].append({"name": "fine", "type": "string", "default": ""})
    attribution = new["fields"][29]["type"]["items"]["fields"]
    attribution[3]["type"] = "double"
    assert broken_promises(old, new, "Anomaly") == [
        "Anomaly.revision: long became string",
        "Anomaly.attributions[].baseline_share: no branch for null",
        "Anomaly.more: new, without a default",
    ]


def test_a_value_of_an_older_writer_is_read_with_the_defaults_of_new_fields() -> None:
    """Take some fields away from today's schema: that is what an older one looks like."""
    older = json.loads(json.dumps(SCHEMAS["SourcePosition"].definition))
    older["fields"] = [field for field in older["fields"] if field["name"] != "etag"]
    schema = make_schema(older)
    codecs, header = Codecs(), b"\xc3\x01" + schema.fingerprint
    codecs.learn(header, schema)
    out = BytesIO(header)
    out.seek(0, 2)
    numbers = ("size_bytes", "modified", "seen", "published", "filtered", "rejected", "up_to")
    datum = {"source_id": "files", "object": "a", "finished": True, **dict.fromkeys(numbers, 1)}
    fastavro.schemaless_writer(out, schema.parsed, datum)
    position = codecs.decode_source_position(out.getvalue())
    assert (position.object, position.up_to_ms, position.etag) == ("a", 1, "")


@pytest.mark.parametrize("name", SCHEMAS)
def test_everything_is_documented(name: str) -> None:
    undocumented: list[str] = []

    def visit(schema: Any, where: str) -> None:
        for branch in _branches(schema):
            if isinstance(branch, Mapping) and branch["type"] == "record":
                undocumented.extend([where] * (not branch.get("doc")))
                for field in branch["fields"]:
                    inner = f"{where}.{field['name']}"
                    undocumented.extend([inner] * (not field.get("doc")))
                    visit(field["type"], inner)
            elif isinstance(branch, Mapping) and branch["type"] == "array":
                visit(branch["items"], where)

    visit(SCHEMAS[name].definition, name)
    assert undocumented == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_live_in_one_namespace_under_their_file_s_name(name: str) -> None:
    definition = SCHEMAS[name].definition
    assert (definition["namespace"], definition["name"]) == ("trailstreams", name)


@pytest.mark.parametrize("name", SCHEMAS)
def test_dropping_logical_types_leaves_the_fingerprint_alone(name: str) -> None:
    canonical = to_parsing_canonical_form(SCHEMAS[name].parsed)
    assert SCHEMAS[name].fingerprint.hex() == fingerprint(canonical, "CRC-64-AVRO")


def test_trail_records_begin_with_the_two_fields_that_are_read_unparsed() -> None:
    first, second = SCHEMAS["TrailRecord"].definition["fields"][:2]
    assert (first["name"], first["type"]["type"], first["type"]["size"]) == (
        "dedup_id",
        "fixed",
        16,
    )
    assert (second["name"], second["type"]["logicalType"]) == ("event_time", "timestamp-millis")


def test_the_schemas_have_the_fields_of_the_types() -> None:
    assert _names("ActivityKey") == list(Activity._fields)
    assert _names("ActivityWindow") == [*Activity._fields, "window_start"]
    assert _names("ActivityCount") == [name.removesuffix("_ms") for name in ActivityCount._fields]
    assert _names("Anomaly") == [field.name.removesuffix("_ms") for field in fields(Anomaly)]
    assert set(Activity._fields) < set(_names("TrailRecord"))
    nested = {field["name"]: field["type"] for field in SCHEMAS["Anomaly"].definition["fields"]}
    for name, kind in (("attributions", Attribution), ("evidence", Evidence)):
        assert [field["name"] for field in nested[name]["items"]["fields"]] == list(kind._fields)


def _names(schema: str) -> list[str]:
    return [field["name"] for field in SCHEMAS[schema].definition["fields"]]


def test_any_avro_reader_sees_times_as_times() -> None:
    """Downstream reads with the published file, logical types and all."""
    count = ActivityCount(1_700_000_400_000, 1, 0, 1_700_000_100_000, 1_700_000_399_999)
    body = BytesIO(Codecs().activity_count(count)[10:])
    schema = dict(SCHEMAS["ActivityCount"].definition)
    datum: Any = fastavro.schemaless_reader(body, schema, None)
    assert datum["window_end"].isoformat() == "2023-11-14T22:20:00+00:00"
