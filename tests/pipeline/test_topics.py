"""The catalogue on a real broker: made, corrected, checked."""

import asyncio
import gc
import logging
import socket
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from streams.broker import Broker
from streams.engine.aside import aside
from streams.errors import KafkaUnavailableError
from streams.settings import Settings, load_settings
from streams.topics import (
    RECORDS,
    TopicNames,
    TopicState,
    apply,
    catalogue,
    check,
    describe,
    kafka_client_config,
    topic_id,
    topic_ids,
    topic_name,
)


def until(settled: Callable[[], bool]) -> None:
    """Ask again until a broker shows what its controller has decided."""
    end = time.monotonic() + 30
    while not settled():
        assert time.monotonic() < end


def alter(settings: Settings, topic: str, **config: str) -> None:
    """Change a topic behind the catalogue's back; `_` stands for `.`."""
    client = AdminClient(kafka_client_config(settings))
    wanted = {name.replace("_", "."): value for name, value in config.items()}
    entries = [
        ConfigEntry(
            name,
            value,
            source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
            incremental_operation=AlterConfigOpType.SET,
        )
        for name, value in wanted.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in client.incremental_alter_configs([resource]).values():
        future.result()
    until(lambda: wanted.items() <= of(settings, topic).config.items())


def of(settings: Settings, topic: str) -> TopicState:
    (state,) = (state for state in describe(settings) if state.topic.name == topic)
    return state


def create(settings: Settings, topic: str, partitions: int) -> None:
    client = AdminClient(kafka_client_config(settings))
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1)
    for future in client.create_topics([new]).values():
        future.result()
    until(lambda: of(settings, topic).partitions == partitions)


def delete(settings: Settings, topic: str) -> None:
    client = AdminClient(kafka_client_config(settings))
    for future in client.delete_topics([topic], operation_timeout=10).values():
        future.result()
    until(lambda: not of(settings, topic).partitions)


def test_apply_creates_every_topic_as_the_catalogue_says(settings: Settings) -> None:
    done = apply(settings)
    assert done == {topic.name: "created with 4 partitions" for topic in catalogue(settings)}
    for state in describe(settings):
        assert (state.partitions, state.wrong_config, state.problems) == (4, {}, ())
    check(settings)


def test_apply_twice_changes_nothing(settings: Settings) -> None:
    apply(settings)
    assert set(apply(settings).values()) == {"unchanged"}


def test_check_names_each_missing_topic_in_a_line(settings: Settings) -> None:
    with pytest.raises(KafkaUnavailableError) as raised:
        check(settings)
    *lines, advice = str(raised.value).splitlines()
    assert lines == [f"topic {topic.name} is missing" for topic in catalogue(settings)]
    assert "trailstreams topics apply" in advice


def test_a_wrong_configuration_is_reported_and_corrected(settings: Settings) -> None:
    apply(settings)
    names = TopicNames.of(settings)
    alter(settings, names.counts, cleanup_policy="delete", message_timestamp_type="CreateTime")
    alter(settings, names.dead_letters, retention_ms="1000")
    with pytest.raises(KafkaUnavailableError) as raised:
        check(settings)
    assert set(str(raised.value).splitlines()[:-1]) == {
        f"topic {names.counts} has cleanup.policy delete, not compact,delete",
        f"topic {names.counts} has message.timestamp.type CreateTime, not LogAppendTime",
    }
    done = apply(settings)
    assert done[names.dead_letters] == "corrected retention.ms 1000 -> 2592000000"
    assert done[names.counts].startswith("corrected ")
    assert done[names.records] == "unchanged"
    check(settings)


def test_another_retention_is_the_owner_s_business(settings: Settings) -> None:
    apply(settings)
    alter(settings, topic_name(settings, RECORDS), retention_ms="86400000")
    check(settings)


def test_another_number_of_partitions_is_refused_and_the_rest_still_made(
    settings: Settings,
) -> None:
    records = topic_name(settings, RECORDS)
    create(settings, records, 3)
    with pytest.raises(KafkaUnavailableError, match="has 3 partitions, not 4") as raised:
        apply(settings)
    assert str(raised.value).count("\n") == 0
    with pytest.raises(KafkaUnavailableError) as raised:
        check(settings)
    assert len(str(raised.value).splitlines()) == 2
    assert f"topic {records} has 3 partitions, not 4" in str(raised.value)


def test_too_few_brokers_for_the_replicas_names_the_setting(settings: Settings) -> None:
    three = settings.model_copy(update={"kafka_replication_factor": 3})
    with pytest.raises(KafkaUnavailableError, match="KAFKA_REPLICATION_FACTOR"):
        apply(three)


def test_a_topic_made_again_has_another_id(settings: Settings) -> None:
    apply(settings)
    names = TopicNames.of(settings)
    ids = topic_ids(settings, [names.records, names.changelog])
    assert len({*ids.values()}) == 2
    assert topic_id(settings, names.records) == ids[names.records]
    delete(settings, names.records)
    apply(settings)
    assert topic_id(settings, names.records) not in ids.values()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_client_is_freed_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Each takes 350 kB: those of a worker's looks at its topics waited for the garbage collector.

    One for all looks is no way out: after a silent broker it was seen to fail for two minutes.
    """
    if is_there:
        apply(settings)
    else:
        settings = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
        monkeypatch.setattr("streams.topics.admin._ATTEMPTS", 1)
        monkeypatch.setattr("streams.topics.admin._ATTEMPT_SECONDS", 0.2)
    made: list[weakref.ref[AdminClient]] = []

    class Seen(AdminClient):
        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__(config)
            made.append(weakref.ref(self))

    monkeypatch.setattr("streams.topics.admin.AdminClient", Seen)

    async def look() -> None:
        with nullcontext() if is_there else suppress(KafkaUnavailableError):
            await aside(lambda: topic_id(settings, TopicNames.of(settings).records))

    gc.disable()
    try:
        asyncio.run(look())
        assert [reference() for reference in made] == [None]
    finally:
        gc.enable()


def test_the_id_of_a_missing_topic_is_one_line(settings: Settings) -> None:
    with pytest.raises(KafkaUnavailableError, match=r"describing topics at .*: ") as raised:
        topic_id(settings, "no-such-topic")
    assert "\n" not in str(raised.value)


def test_kafka_s_time_is_the_time_of_publication(settings: Settings, kafka: Broker) -> None:
    """A producer's own time, years old or hours ahead, neither counts nor refuses a record."""
    assert kafka.bootstrap_servers == settings.kafka_bootstrap_servers
    apply(settings)
    stamps: list[int] = []
    producer = Producer(kafka_client_config(settings))
    for time_ms in (1_500_000_000_000, 4_000_000_000_000):
        producer.produce(
            topic_name(settings, RECORDS),
            b"value",
            timestamp=time_ms,
            on_delivery=lambda _error, message: stamps.append(message.timestamp()[1]),
        )
    before = time.time() * 1000
    assert producer.flush(30) == 0
    assert len(stamps) == 2
    assert all(abs(stamp - before) < 60_000 for stamp in stamps)


def _closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_broker_that_is_down_is_one_line_within_ten_seconds(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{_closed_port()}"
    settings = load_settings({}, kafka_bootstrap_servers=address)
    began = time.monotonic()
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(KafkaUnavailableError, match="Connection refused") as raised,
    ):
        check(settings)
    assert time.monotonic() - began < 12
    assert address in str(raised.value)
    assert "\n" not in str(raised.value)
    captured = capfd.readouterr()
    assert (captured.out, captured.err, caplog.records) == ("", "", [])


def test_client_configuration_carries_the_security_settings() -> None:
    settings = load_settings(
        {},
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="example",
        kafka_sasl_password="not-a-secret",  # noqa: S106 - an example
        kafka_ssl_ca_location="/example/ca.pem",
    )
    config = kafka_client_config(settings, linger_ms=5)
    del config["logger"]
    assert config == {
        "bootstrap.servers": "localhost:9092",
        "client.id": "trailstreams",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "example",
        "sasl.password": "not-a-secret",
        "ssl.ca.location": "/example/ca.pem",
        "reconnect.backoff.max.ms": 2_000,
        "log.connection.close": False,
        "linger.ms": 5,
    }


def test_a_ca_file_that_is_missing_is_one_line() -> None:
    settings = load_settings(
        {}, kafka_security_protocol="SSL", kafka_ssl_ca_location="/no/such/ca.pem"
    )
    with pytest.raises(KafkaUnavailableError, match="Kafka client settings: ") as raised:
        describe(settings)
    assert isinstance(raised.value.__cause__, KafkaException)
    assert "\n" not in str(raised.value)


def test_a_topic_that_only_some_brokers_know_is_not_there_yet(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment after a topic is made, a broker lists it that another does not know."""
    topics = catalogue(settings)
    listed = {topic.name: topic.partitions for topic in topics}
    monkeypatch.setattr("streams.topics.admin._Admin._partitions", lambda _: listed)
    assert all(state.problems and not state.partitions for state in describe(settings))
    with pytest.raises(KafkaUnavailableError, match="is missing"):
        check(settings)
