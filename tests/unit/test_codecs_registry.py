"""Codecs that ask a Schema Registry who wrote what they do not know."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from helpers.traffic import template

from streams.codecs import CodecError, Codecs, ConfluentWire, load_schemas
from streams.counting.counts import ActivityCount
from streams.errors import RegistryUnavailableError

COUNT = ActivityCount(
    window_end_ms=1_700_000_300_000,
    count=1,
    revision=0,
    first_event_ms=1_700_000_000_000,
    last_event_ms=1_700_000_000_000,
)
IDS = {name: number for number, name in enumerate(load_schemas(), start=1)}
WRITER = Codecs(ConfluentWire(IDS))


class Registered:
    """What a Schema Registry would say, and what it was asked."""

    def __init__(self, schemas: Mapping[int, Mapping[str, Any]]) -> None:
        self._schemas = schemas
        self.is_down = False
        self.asked: list[int] = []

    def __call__(self, number: int) -> Mapping[str, Any] | None:
        if self.is_down:
            raise RegistryUnavailableError("down")
        self.asked.append(number)
        return self._schemas.get(number)


@pytest.fixture
def registered() -> Registered:
    return Registered({number: load_schemas()[name].definition for name, number in IDS.items()})


def test_a_reader_asks_once_for_an_id_and_then_knows_it(registered: Registered) -> None:
    codecs = Codecs(registered=registered)
    for _ in range(3):
        assert codecs.decode_activity_count(WRITER.activity_count(COUNT)) == COUNT
    assert registered.asked == [IDS["ActivityCount"]]


def test_a_reader_passes_on_that_the_registry_is_down_and_asks_again(
    registered: Registered,
) -> None:
    codecs = Codecs(registered=registered)
    registered.is_down = True
    with pytest.raises(RegistryUnavailableError):
        codecs.decode_activity_count(WRITER.activity_count(COUNT))
    registered.is_down = False
    assert codecs.decode_activity_count(WRITER.activity_count(COUNT)) == COUNT


def test_only_what_the_registry_can_tell_is_unknown(registered: Registered) -> None:
    codecs = Codecs(registered=registered)
    framed = WRITER.activity_count(COUNT)
    values = [None, b"", b"\x00\x01", b"no Avro", Codecs().activity_count(COUNT), framed, framed]
    assert codecs.unknown(values) == {framed[:5]}
    codecs.ask({framed[:5]})
    assert codecs.unknown(values) == set()
    assert Codecs().unknown(values) == set()


def test_without_a_registry_the_message_names_the_setting() -> None:
    with pytest.raises(CodecError, match="set TRAILSTREAMS_SCHEMA_REGISTRY_URL"):
        Codecs().decode_activity_count(WRITER.activity_count(COUNT))


FROZEN = copy.deepcopy(dict(load_schemas()["ActivityKey"].definition))
FROZEN["fields"].pop()


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"type": "string"},
        {"type": "record"},
        {"type": "record", "name": "TrailRecord"},
        {"type": "record", "name": "Odd", "fields": "none"},
        {"type": "record", "name": "Odd", "fields": [1]},
        {"type": "record", "name": "Refers", "fields": [{"name": "a", "type": "Elsewhere"}]},
        {"type": "record", "name": "TrailRecord", "fields": []},
        {"type": "record", "name": "TrailRecord", "fields": [{"name": "a", "type": "long"}] * 2},
        {
            "type": "record",
            "name": "TrailRecord",
            "fields": [
                {"name": "a", "type": {"type": "array", "items": "long"}},
                {"name": "b", "type": "long"},
            ],
        },
        FROZEN,
    ],
    ids=repr,
)
def test_what_is_no_schema_of_ours_is_asked_for_once_and_stays_unknown(
    definition: dict[str, Any],
) -> None:
    registered = Registered({500: definition})
    codecs = Codecs(registered=registered)
    value = b"\x00\x00\x00\x01\xf4" + b"x" * 60
    codecs.ask(codecs.unknown([value]))
    assert codecs.unknown([value]) == set()
    with pytest.raises(CodecError, match="unknown schema"):
        codecs.decode_trail_record(value)
    assert codecs.columns([value]).bad == (0,)
    assert registered.asked == [500]


def test_a_learned_writer_s_records_are_read_as_columns(registered: Registered) -> None:
    codecs = Codecs(registered=registered)
    value = WRITER.trail_record(template()._replace(event_time_ms=1_700_000_000_123))
    assert codecs.columns([value]).bad == (0,)
    codecs.ask(codecs.unknown([value]))
    columns = codecs.columns([value])
    assert columns.bad == ()
    assert columns.times_ms.tolist() == [1_700_000_000_123]
