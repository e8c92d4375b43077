"""From the end of a partition's owner to the first count of the next one, in seconds."""

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
from confluent_kafka import Producer

from benchmarks.results import Result
from benchmarks.state.play import Play
from benchmarks.state.process import result, say
from benchmarks.state.recovery import write
from benchmarks.state.traffic import LIVE, START_MS, WINDOW_MS, open_partition
from benchmarks.workers import events_counted, when, worker
from streams import topics
from streams.agents.job import built_with
from streams.broker import Broker
from streams.broker.probe import free_port
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Origin, TrailRecord
from streams.codecs import Codecs
from streams.engine.meta import FORMAT, META_KEY, Meta, encode_meta
from streams.settings import Settings, load_settings

_ACCOUNT = "444455556666"
_PERIOD_SECONDS = 0.05


def main() -> None:
    """Measure with a million rows, and with none: what is left is the group and the start."""
    play = Play(open_partition())
    play.run(LIVE, keep=True)
    with Broker() as broker:
        say([takeover(broker, {}), takeover(broker, play.changelog)])


def takeover(broker: Broker, rows: Mapping[bytes, bytes]) -> Result:
    """Return how long a partition with these rows counts nothing when its owner is told to end."""
    settings = load_settings(
        {},
        app_id=f"takeover-{len(rows)}",
        topic_prefix=f"takeover-{len(rows)}.",
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_partitions=1,
        kafka_replication_factor=1,
        metrics_port=free_port(),
    )
    topics.apply(settings)
    asyncio.run(write(settings, {**rows, META_KEY: _position(settings)}))
    next_one = settings.model_copy(update={"metrics_port": free_port()})
    with _events(settings), worker(settings, "takeover-owner") as owner:
        when(lambda: events_counted(settings, _ACCOUNT) > 0, "the owner to count")
        with worker(next_one, "takeover-next"):
            began = time.monotonic()
            owner.terminate()
            counted = when(lambda: events_counted(next_one, _ACCOUNT) > 0, "the next one to count")
    return result("takeover", f"SIGTERM to first count, {len(rows):,} rows", counted - began, "s")


def _position(settings: Settings) -> bytes:
    topic_id = topics.topic_id(settings, topics.TopicNames.of(settings).records)
    return encode_meta(Meta(FORMAT, 0, topic_id, built_with(settings)))


@contextmanager
def _events(settings: Settings) -> Iterator[None]:
    """Publish an event now and then, all of one key, in the last window of the rows."""
    stop = threading.Event()
    codecs, producer = Codecs(), Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    topic = topics.TopicNames.of(settings).records
    time_ms = START_MS + LIVE.windows * WINDOW_MS

    def run() -> None:
        while not stop.wait(_PERIOD_SECONDS):
            record = _event(time_ms)
            producer.produce(
                topic, codecs.trail_record(record), codecs.activity_key(record.activity)
            )
            producer.flush()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _event(time_ms: int) -> TrailRecord:
    event = {
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000)),
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "awsRegion": "us-east-1",
        "eventID": str(uuid.uuid4()),
        "recipientAccountId": _ACCOUNT,
    }
    parsed = parse(msgspec.json.encode(event), Origin("made-up", 0), published_ms=time_ms)
    if not isinstance(parsed, TrailRecord):
        raise TypeError(parsed.error)
    return parsed


if __name__ == "__main__":
    main()
