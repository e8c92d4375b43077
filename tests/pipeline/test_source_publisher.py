"""The publisher and the reader against a real Kafka."""

import json
from contextlib import closing
from threading import Event, Thread
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sources import NOON_MS, event, events, messages, progress

from streams import topics
from streams.broker import Broker
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Filtered, Origin, Reason, Rejected, Skipped, TrailRecord
from streams.codecs import Codecs, SourcePosition
from streams.connectors import publisher as module
from streams.connectors.publisher import Publisher
from streams.connectors.reader import latest, read
from streams.errors import KafkaUnavailableError
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, RECORDS, SOURCE_POSITIONS, topic_name

ORIGIN = Origin("example.json", 0)


@pytest.fixture
def there(settings: Settings) -> Settings:
    """Return settings whose topics exist."""
    topics.apply(settings)
    return settings


def record(name: str = "DescribeAlarms", **members: object) -> TrailRecord:
    made = parse(json.dumps(event(NOON_MS, name, **members)).encode(), ORIGIN, published_ms=NOON_MS)
    assert isinstance(made, TrailRecord)
    return made


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def publisher(
    settings: Settings, registry: CollectorRegistry | None = None, **more: Any
) -> Publisher:
    return Publisher(
        settings,
        Codecs(),
        Metrics(registry or CollectorRegistry(), max_series=100),
        source_id="example",
        instance_id="example-1",
        **more,
    )


def test_what_was_seen_adds_up_in_the_tally_and_the_metrics(there: Settings) -> None:
    registry = CollectorRegistry()
    with publisher(there, registry) as outlet:
        for _ in range(5):
            outlet.publish(record())
        outlet.publish(Rejected(reason=Reason.NOT_JSON, error="no", origin=ORIGIN, raw=b"\xff"))
        outlet.publish(Skipped(reason=Filtered.DIGEST, origin=ORIGIN))
        outlet.flush()
        tally = outlet.tally
        assert (tally.seen, tally.published, tally.filtered, tally.rejected) == (7, 5, 1, 1)
    for kind, expected in (("seen", 7), ("published", 5), ("filtered", 1), ("rejected", 1)):
        name = f"trailstreams_source_records_{kind}_total"
        assert registry.get_sample_value(name) == expected


def test_nothing_counts_before_kafka_confirmed_it(there: Settings, kafka: Broker) -> None:
    with publisher(there) as outlet:
        outlet.publish(record())
        outlet.flush()
        kafka.pause()
        try:
            outlet.publish(record())
            assert (outlet.tally.seen, outlet.tally.published) == (2, 1)
        finally:
            kafka.resume()
        outlet.flush()
        assert outlet.tally.published == 2


def test_a_broker_that_stays_away_fails_the_source_in_bounded_time(
    there: Settings, kafka: Broker
) -> None:
    outlet = publisher(there, delivery_seconds=2.0)
    outlet.publish(record())
    outlet.flush()
    kafka.pause()
    try:
        outlet.publish(record())
        with pytest.raises(KafkaUnavailableError, match="not everything") as caught:
            outlet.flush()
        outlet.close()
    finally:
        kafka.resume()
    assert "\n" not in str(caught.value)
    assert outlet.tally.published == 1


def test_a_full_queue_waits_instead_of_losing(
    there: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.PRODUCER, "queue.buffering.max.messages", 10)
    with publisher(there) as outlet:
        for _ in range(500):
            outlet.publish(record())
    assert len(events(there)) == outlet.tally.published == 500


def test_a_record_of_a_megabyte_arrives(there: Settings) -> None:
    with publisher(there) as outlet:
        outlet.publish(record(requestParameters={"text": "x" * 1_040_000}))
    assert len(events(there)) == 1


def test_a_record_no_topic_takes_is_a_dead_letter(there: Settings) -> None:
    with publisher(there) as outlet:
        outlet.publish(record()._replace(session_name="x" * 3_000_000))
    (message,) = messages(there, DEAD_LETTERS)
    letter = Codecs().decode_dead_letter(message.value or b"")
    assert letter.reason is Reason.TOO_LARGE
    assert len(letter.raw) == 65_536 < letter.raw_length
    assert outlet.tally.seen == outlet.tally.rejected == 1


def test_a_heartbeat_repeats_the_last_word_after_thirty_seconds(there: Settings) -> None:
    clock = Clock()
    with publisher(there, clock=clock) as outlet:
        clock.seconds = 100.0
        outlet.heartbeat()  # nothing was said yet
        outlet.progress(NOON_MS)
        clock.seconds = 129.9
        outlet.heartbeat()
        clock.seconds = 130.0
        outlet.heartbeat()
        outlet.heartbeat()
    for partition in range(4):
        assert progress(there, partition) == [NOON_MS, NOON_MS]


def test_reading_from_now_on_shows_only_what_comes(there: Settings) -> None:
    seen = Event()
    with publisher(there) as outlet:
        outlet.publish(record("Before"))
        outlet.flush()

        def publish_until_seen() -> None:
            while not seen.is_set():
                outlet.publish(record("After"))
                outlet.flush()

        thread = Thread(target=publish_until_seen)
        thread.start()
        try:
            topic = topic_name(there, RECORDS)
            with closing(read(there, topic, from_beginning=False, until_idle_seconds=30)) as found:
                message = next(found)
        finally:
            seen.set()
            thread.join()
    assert Codecs().decode_activity_key(message.key or b"").event_name == "After"


def test_reading_stops_when_nothing_comes(there: Settings) -> None:
    with publisher(there) as outlet:
        outlet.publish(record())
    topic = topic_name(there, RECORDS)
    assert len(list(read(there, topic, until_idle_seconds=1.0))) == 1


def test_reading_to_the_end_of_an_empty_topic_yields_nothing(there: Settings) -> None:
    assert messages(there, RECORDS) == []


def test_reading_a_missing_topic_names_it_and_the_remedy(settings: Settings) -> None:
    with pytest.raises(KafkaUnavailableError, match=r"absent.*topics apply"):
        next(read(settings, f"{settings.topic_prefix}absent"))


def test_of_a_compacted_topic_the_last_value_of_each_key_counts(there: Settings) -> None:
    topic = topic_name(there, SOURCE_POSITIONS)
    with publisher(there) as outlet:
        for name, seen in (("a", 1), ("b", 2), ("a", 3)):
            outlet.remember(position(name, seen))
    values = {
        key: Codecs().decode_source_position(raw) for key, raw in latest(there, topic).items()
    }
    assert {key: value.seen for key, value in values.items()} == {
        b"example\ta": 3,
        b"example\tb": 2,
    }


def position(name: str, seen: int) -> SourcePosition:
    return SourcePosition(
        source_id="example",
        object=name,
        size_bytes=1,
        modified_ms=1,
        seen=seen,
        published=seen,
        filtered=0,
        rejected=0,
        up_to_ms=NOON_MS,
        finished=True,
    )
