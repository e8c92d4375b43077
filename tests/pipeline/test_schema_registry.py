"""A real Schema Registry: what is registered, who reads it, and what waits while it is away."""

import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from faults.netproxy import CUT, FAIR, Proxy
from helpers.commands import run, stored_positions, wait_for_end
from helpers.kafka import producer, read_all, wait_until
from helpers.probes import get, is_ready, samples, wait_ready
from helpers.schema_registry import SchemaRegistry, url_at
from helpers.traffic import ACTIVITY, Traffic, activities, difference, final_counts, template
from helpers.workers import Workers, settings_environment
from sources import MINUTE_MS, NOON_MS

from streams.broker.probe import free_port
from streams.codecs import header_length, load_schemas, partition_of
from streams.settings import Settings
from streams.topics import TopicNames, apply, catalogue, register_schemas, writing_codecs

FIXTURES = Path(__file__).parents[1] / "fixtures/cloudtrail"
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaRegistry]:
    with SchemaRegistry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def network(registry: SchemaRegistry) -> Iterator[Proxy]:
    """Yield the network between this test's processes and the registry."""
    with Proxy(free_port(), registry.port) as proxy:
        yield proxy


@pytest.fixture
def bare(settings: Settings, network: Proxy) -> Settings:
    """Return settings of a deployment that has nothing yet."""
    return settings.model_copy(
        update={
            "schema_registry_url": url_at(network.port),
            "metrics_port": free_port(),
            "flush_seconds": 0.2,
        }
    )


@pytest.fixture
def ours(bare: Settings) -> Settings:
    """Return settings of a deployment whose topics and schemas are there."""
    apply(bare)
    register_schemas(bare)
    return bare


@pytest.fixture
def workers(bare: Settings, tmp_path: Path) -> Iterator[Workers]:
    with Workers(bare, tmp_path) as workers:
        yield workers


@pytest.fixture
def client(registry: SchemaRegistry) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield client


def refused(settings: Settings, *words: str) -> str:
    """Run a command that fails; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *words],
        env=settings_environment(settings),
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1, done
    return done.stderr


def test_apply_registers_every_schema_once_and_check_names_what_is_missing(bare: Settings) -> None:
    apply(bare)
    missing = refused(bare, "topics", "check").splitlines()
    assert len(missing) == 7 + 1
    assert f"schema TrailRecord is not registered as {bare.topic_prefix}records-value" in missing
    assert "topics apply" in missing[-1]
    first, again = (
        {row["subject"]: row["done"] for row in run(bare, "topics", "apply") if "subject" in row}
        for _ in range(2)
    )
    assert sorted(first) == sorted(
        f"{bare.topic_prefix}{subject}"
        for subject in (
            "records-key",
            "records-value",
            "activity-counts-key",
            "activity-counts-value",
            "anomalies-value",
            "dead-letters-value",
            "source-positions-value",
        )
    )
    assert all(done.startswith("registered as ") for done in first.values())
    assert set(again.values()) == {"unchanged"}
    assert len(run(bare, "topics", "check")) == 6


def test_a_subject_that_holds_something_incompatible_refuses_ours(
    bare: Settings, client: SchemaRegistryClient
) -> None:
    apply(bare)
    subject = TopicNames.of(bare).counts + "-value"
    other = {"type": "record", "name": "Other", "fields": [{"name": "a", "type": "long"}]}
    client.register_schema(subject, Schema(json.dumps(other), "AVRO"))
    client.set_compatibility(subject, "FULL")
    said = refused(bare, "topics", "apply")
    assert f"does not register ActivityCount as {subject}" in said
    assert "409" in said


def test_confluents_reader_reads_all_that_a_source_and_a_worker_write(
    ours: Settings, workers: Workers, client: SchemaRegistryClient, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"Records": [1]}')
    workers.start("a")
    (published,) = run(ours, "source", "files", FIXTURES, bad, "--complete")
    wait_for_end(ours)
    assert workers.stop("a") == 0
    decode, seen, counted = AvroDeserializer(client), Counter(), {}
    for topic in catalogue(ours):
        for message in read_all(ours, topic.name) if topic.value_schema else ():
            value = decode(message.value(), SerializationContext(topic.name, MessageField.VALUE))
            seen[topic.name] += 1
            if topic.key_schema:
                key = decode(message.key(), SerializationContext(topic.name, MessageField.KEY))
            if topic.key_schema == "ActivityWindow":
                start = f"{key['window_start']:%Y-%m-%dT%H:%M:%SZ}"
                counted[_words(key | {"window_start": start})] = value["count"]
    names = TopicNames.of(ours)
    assert seen[names.records] >= published["published"] > 20
    assert seen[names.dead_letters] == published["rejected"] == 1
    assert seen[names.source_positions] > 0
    # The command decodes with codecs of ours that know the registry's ids.
    rows = run(ours, "tail", "counts", "--from-beginning", "--until-idle", "3")
    assert {_words(row): row["count"] for row in rows} == counted
    assert sum(counted.values()) > 10


def _words(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("window_start", *ACTIVITY._fields))


def test_both_framings_of_an_activity_are_one_count(ours: Settings, workers: Workers) -> None:
    """Its key's body is its identity, whatever header is in front."""
    plain = Traffic(ours.model_copy(update={"schema_registry_url": ""}))
    framed = Traffic(ours, seed=2)
    for traffic in (plain, framed):
        traffic.events(activities(ours, 5), 500)
    framed.progress(NOON_MS + HOUR_MS)
    workers.start("a")
    wait_for_end(ours)
    assert difference(final_counts(ours), plain.truth + framed.truth) == {}


def test_a_partition_waits_while_the_registry_cannot_tell_who_wrote_a_record(
    ours: Settings, workers: Workers, network: Proxy, client: SchemaRegistryClient
) -> None:
    everywhere = activities(ours, 5)
    here = partition_of(ACTIVITY, ours.kafka_partitions)
    traffic = Traffic(ours)
    newer = Traffic(ours, seed=2, value=_newer_value(ours, client))
    workers.start("a")
    traffic.events(everywhere, 1_000)
    wait_for_end(ours)
    before = stored_positions(ours)[here]

    network.be(CUT)
    newer.events([ACTIVITY], 500)
    traffic.events(everywhere, 1_000)
    wait_until(lambda: "waits at" in workers.log("a"), 60, "the log line")
    lag = "trailstreams_consumer_lag_records"
    wait_until(
        lambda: [p for p, n in samples(ours.metrics_port, lag).items() if n] == [(str(here),)],
        30,
        "all other partitions at their ends",
    )
    assert stored_positions(ours)[here] == before
    assert samples(ours.metrics_port, lag)[(str(here),)] >= 500
    assert not is_ready(ours.metrics_port)
    assert get(ours.metrics_port, "/healthz")[0] == 200

    network.be(FAIR)
    traffic.progress(NOON_MS + HOUR_MS)
    wait_for_end(ours)
    wait_ready(ours.metrics_port)
    assert workers.stop("a") == 0
    assert difference(final_counts(ours), traffic.truth + newer.truth) == {}
    assert not list(read_all(ours, TopicNames.of(ours).dead_letters))


def test_whoever_owns_a_waiting_partition_next_waits_as_well(
    ours: Settings, workers: Workers, network: Proxy, client: SchemaRegistryClient
) -> None:
    newer = Traffic(ours, value=_newer_value(ours, client))
    workers.start("a")
    workers.start("b", TRAILSTREAMS_METRICS_PORT="0")
    for name in ("a", "b"):
        wait_until(lambda name=name: "open at" in workers.log(name), 60, f"worker {name}")
    network.be(CUT)
    newer.events([ACTIVITY], 500)
    waiting = {"a", "b"}

    def is_waiting() -> bool:
        return any("waits at" in workers.log(name) for name in waiting)

    wait_until(is_waiting, 60, "the owner's line")
    owner = next(name for name in ("a", "b") if "waits at" in workers.log(name))
    assert workers.stop(owner) == 0
    waiting.remove(owner)
    wait_until(is_waiting, 60, "the next owner's line")
    network.be(FAIR)
    newer.progress(NOON_MS + HOUR_MS)
    wait_for_end(ours)
    assert difference(final_counts(ours), newer.truth) == {}


def _newer_value(settings: Settings, client: SchemaRegistryClient) -> bytes:
    """Register a TrailRecord with a member more; return a value of it."""
    definition = copy.deepcopy(dict(load_schemas()["TrailRecord"].definition))
    definition["fields"].append({"name": "added_later", "type": "string", "default": ""})
    subject = TopicNames.of(settings).records + "-value"
    number = client.register_schema(subject, Schema(json.dumps(definition), "AVRO"))
    value = writing_codecs(settings).trail_record(template())
    return b"\x00" + number.to_bytes(4, "big") + value[header_length(value) :] + b"\x00"


def test_an_id_nobody_registered_is_a_dead_letter(ours: Settings, workers: Workers) -> None:
    key = writing_codecs(ours).activity_key(ACTIVITY)
    partition = partition_of(ACTIVITY, ours.kafka_partitions)
    names = TopicNames.of(ours)
    client = producer(ours)
    traffic = Traffic(ours)
    traffic.events([ACTIVITY], 10)
    client.produce(names.records, b"\x00\x7f\xff\xff\xff" + b"x" * 60, key, partition)
    client.flush()
    traffic.events([ACTIVITY], 10)
    traffic.progress(NOON_MS + HOUR_MS)
    workers.start("a")
    wait_for_end(ours)
    assert workers.stop("a") == 0
    (letter,) = run(ours, "tail", "dead-letters", "--from-beginning", "--until-idle", "3")
    assert (letter["reason"], letter["origin_index"]) == ("unreadable", 10)
    assert difference(final_counts(ours), traffic.truth) == {}


def test_without_the_registry_workers_go_on_and_none_starts(
    ours: Settings, workers: Workers, network: Proxy
) -> None:
    traffic = Traffic(ours)
    workers.start("a")
    wait_ready(ours.metrics_port)
    network.be(CUT)
    traffic.events(activities(ours, 5), 500)
    traffic.progress(NOON_MS + HOUR_MS)
    wait_for_end(ours)
    for words in (["worker"], ["source", "files", str(FIXTURES)], ["topics", "apply"]):
        last = refused(ours, *words).splitlines()[-1]
        assert last.startswith(f"error: the Schema Registry at {ours.schema_registry_url} does not")
    network.be(FAIR)
    assert difference(final_counts(ours), traffic.truth) == {}
