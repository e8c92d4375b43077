"""The worker as whoever runs it sees it: probes, metrics, clear refusals, clean ends."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.kafka import Group, producer, read_all, wait_until
from helpers.probes import get, samples, wait_ready
from helpers.traffic import ACTIVITY
from helpers.workers import Workers, settings_environment

from streams.broker import Broker
from streams.broker.probe import free_port
from streams.codecs import Codecs, encode_activity, partition_of
from streams.settings import Settings
from streams.topics import TopicNames, apply

FIXTURES = Path(__file__).parents[1] / "fixtures/cloudtrail"


@pytest.fixture
def served(settings: Settings) -> Settings:
    apply(settings)
    return settings.model_copy(
        update={
            "metrics_port": free_port(),
            "flush_seconds": 0.2,
            "kafka_session_timeout_seconds": 6,
        }
    )


@pytest.fixture
def workers(served: Settings, tmp_path: Path) -> Iterator[Workers]:
    # model_copy keeps what was set before as set; these came later.
    changed = {
        "TRAILSTREAMS_METRICS_PORT": str(served.metrics_port),
        "TRAILSTREAMS_FLUSH_SECONDS": "0.2",
        "TRAILSTREAMS_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
    }
    with Workers(served, tmp_path, environment=changed) as workers:
        yield workers


def run_source(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams", "source", "files", str(FIXTURES), *options]
    return subprocess.run(
        [*command, "--json"],
        env=settings_environment(settings),
        check=False,
        capture_output=True,
        text=True,
    )


def publish_fixtures(settings: Settings, *options: str) -> int:
    done = run_source(settings, *options)
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["published"])


def test_probes_and_metrics_tell_the_truth(served: Settings, workers: Workers) -> None:
    workers.start("a")
    wait_ready(served.metrics_port)
    assert get(served.metrics_port, "/healthz") == (200, "ok\n")
    assert get(served.metrics_port, "/table/state/x")[0] == 404
    published = publish_fixtures(served, "--complete")
    topic = TopicNames.of(served)
    Group(served, topic.records).wait_for_end()
    events = samples(served.metrics_port, "trailstreams_events_total")
    late = samples(served.metrics_port, "trailstreams_too_late_events_total")[()]
    duplicates = samples(served.metrics_port, "trailstreams_duplicate_events_total")[()]
    codecs = Codecs()
    keys = [codecs.decode_activity_key(m.key()) for m in read_all(served, topic.records)]
    counted = [key for key in keys if key.initiator not in ("none", "correction")]
    assert published > 20
    assert sum(events.values()) + late + duplicates == len(counted)
    assert samples(served.metrics_port, "trailstreams_ready") == {(): 1}
    wait_until(
        lambda: (
            set(samples(served.metrics_port, "trailstreams_consumer_lag_records").values()) == {0}
        ),
        10,
        "lag",
    )
    assert workers.stop("a", seconds=10) == 0


def test_a_record_nobody_can_read_becomes_a_dead_letter_and_nothing_stops(
    served: Settings, workers: Workers
) -> None:
    topic = TopicNames.of(served)
    codecs = Codecs()
    partition = partition_of(ACTIVITY, served.kafka_partitions)
    client = producer(served)
    good_key = codecs.activity_key(ACTIVITY)
    for key, value in [
        (b"no Avro", b"no Avro"),
        (good_key, b"\xc3\x01short"),
        (good_key, None),
        (None, b"x" * 40),
        (b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00" + encode_activity(ACTIVITY), b""),
    ]:
        client.produce(topic.records, value, key, partition)
    client.flush()
    workers.start("a")
    Group(served, topic.records).wait_for_end()
    letters = [codecs.decode_dead_letter(m.value()) for m in read_all(served, topic.dead_letters)]
    assert sorted(letter.origin.index for letter in letters) == [0, 1, 2, 3, 4]
    assert {letter.reason.value for letter in letters} == {"unreadable"}
    assert workers.stop("a") == 0


def test_a_key_in_the_wrong_partition_stops_the_worker_with_one_line(
    served: Settings, workers: Workers
) -> None:
    wrong = (partition_of(ACTIVITY, served.kafka_partitions) + 1) % served.kafka_partitions
    codecs = Codecs()
    _, value = codecs.progress("x", 1_700_000_000_000)
    client = producer(served)
    client.produce(TopicNames.of(served).records, value, codecs.activity_key(ACTIVITY), wrong)
    client.flush()
    worker = workers.start("a")
    assert worker.wait(60) == 1
    last = workers.log("a").splitlines()[-1]
    assert last.startswith("error: ")
    assert "another partitioner" in last
    assert "Traceback" not in workers.log("a")


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        ({"TRAILSTREAMS_WINDOW_SECONDS": "600"}, 1, "window_seconds=300, not 600"),
        ({"TRAILSTREAMS_KAFKA_PARTITIONS": "5"}, 1, "has 4 partitions, not 5"),
        ({"TRAILSTREAMS_TOPIC_PREFIX": "nowhere."}, 1, "is missing"),
        ({"TRAILSTREAMS_TYPO": "1"}, 2, "no such setting"),
        ({"TRAILSTREAMS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 1, "no Kafka broker answers"),
    ],
)
def test_what_cannot_work_is_refused_clearly(
    served: Settings, workers: Workers, change: dict[str, str], code: int, expected: str
) -> None:
    if "WINDOW" in next(iter(change)):
        workers.start("before")
        wait_ready(served.metrics_port)
        assert workers.stop("before") == 0
    worker = workers.start("a", **change)
    assert worker.wait(60) == code
    assert expected in workers.log("a")
    assert "Traceback" not in workers.log("a")


def test_service_links_of_kubernetes_do_no_harm(served: Settings, workers: Workers) -> None:
    workers.start(
        "a", TRAILSTREAMS_METRICS_SERVICE_HOST="10.0.0.7", TRAILSTREAMS_PORT="tcp://10.0.0.7:1"
    )
    wait_ready(served.metrics_port)
    assert workers.stop("a") == 0


def test_a_partition_is_shown_by_its_owner_only(served: Settings, workers: Workers) -> None:
    other = served.model_copy(update={"metrics_port": free_port()})
    workers.start("a")
    wait_ready(served.metrics_port)
    publish_fixtures(served)
    workers.start("b", TRAILSTREAMS_METRICS_PORT=str(other.metrics_port))
    wait_ready(other.metrics_port)
    name = "trailstreams_watermark_lag_seconds"

    def owned() -> list[tuple[str, ...]]:
        return sorted([*samples(served.metrics_port, name), *samples(other.metrics_port, name)])

    wait_until(
        lambda: samples(other.metrics_port, name) != {}, 60, "the second worker's partitions"
    )
    wait_until(lambda: owned() == [("0",), ("1",), ("2",), ("3",)], 60, "each partition once")
    assert samples(served.metrics_port, name)


def test_a_paused_broker_only_delays(served: Settings, workers: Workers, kafka: Broker) -> None:
    workers.start("a")
    wait_ready(served.metrics_port)
    kafka.pause()
    time.sleep(4)
    kafka.resume()
    # Kafka's controller shuts a broker out that was silent too long, and takes it back after a
    # moment; a source that starts in it ends with one line, and is started again.
    wait_until(
        lambda: run_source(served, "--complete").returncode == 0, 60, "the broker to be back"
    )
    topic = TopicNames.of(served)
    Group(served, topic.records).wait_for_end()
    wait_ready(served.metrics_port)
    assert sum(samples(served.metrics_port, "trailstreams_events_total").values()) > 20
    assert workers.stop("a") == 0
