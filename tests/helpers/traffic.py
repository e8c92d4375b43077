"""A source without files: activities published as the product publishes them, and their truth."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from sources import MINUTE_MS, NOON_MS, event

from helpers.kafka import producer, read_all
from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.codecs import header_length, partition_of
from streams.codecs.varint import encode_long
from streams.settings import Settings
from streams.topics import TopicNames, reading_codecs, writing_codecs

WINDOW_MS = 5 * MINUTE_MS
ACTIVITY = Activity(
    account_id="111122223333",
    region="us-east-1",
    event_source="s3.amazonaws.com",
    event_name="GetObject",
    event_category="Data",
    initiator="direct",
    caller_account_id="111122223333",
    principal="arn:aws:iam::111122223333:user/example",
    error_code="",
)
Counts = Counter[tuple[Activity, int]]
"""Events by activity and start of the window, milliseconds."""


def activities(settings: Settings, per_partition: int) -> list[Activity]:
    """Return activities of different APIs, so many in each partition."""
    left = Counter(dict.fromkeys(range(settings.kafka_partitions), per_partition))
    chosen = []
    for number in range(10_000):
        activity = ACTIVITY._replace(event_name=f"GetObject{number}")
        partition = partition_of(activity, settings.kafka_partitions)
        if left[partition]:
            left[partition] -= 1
            chosen.append(activity)
        if len(chosen) == per_partition * settings.kafka_partitions:
            break
    return chosen


class Traffic:
    """Publishes events one by one and keeps what must be counted.

    Each value is a whole record under its own schema: one that the parser made, or the given one,
    with the id and the time of the event at their place. The same seed makes the same ids.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int = 1,
        keep_truth: bool = True,
        value: bytes = b"",
        **config: object,
    ) -> None:
        self._settings = settings
        self._keep_truth = keep_truth
        self._topic = TopicNames.of(settings).records
        self._codecs = writing_codecs(settings)
        self._random = random.Random(seed)  # noqa: S311 - to be repeated
        self._route = lru_cache(10_000)(self._route_of)
        value = value or self._codecs.trail_record(template())
        at = header_length(value)
        self._head = value[:at]
        self._tail = value[at + 16 + len(encode_long(NOON_MS)) :]
        self.client = producer(settings, **config)
        self.truth: Counts = Counter()
        self.published = 0
        """Records, with what was published twice, without Progress."""

    def event(self, activity: Activity, time_ms: int, *, copies: int = 1) -> None:
        """Publish one event, so many times; it counts once."""
        key, partition = self._route(activity)
        value = self._head + self._random.randbytes(16) + encode_long(time_ms) + self._tail
        for _ in range(copies):
            self._produce(value, key, partition)
        if self._keep_truth:
            self.truth[activity, time_ms // WINDOW_MS * WINDOW_MS] += 1
        self.published += copies

    def events(self, chosen: Iterable[Activity], count: int, start_ms: int = NOON_MS) -> Counts:
        """Publish so many events of the activities in turn, spread over half an hour.

        Return what these alone count as, when they are delivered.
        """
        before = self.truth.copy()
        turn = list(chosen)
        for number in range(count):
            time_ms = start_ms + number * 30 * MINUTE_MS // count
            self.event(turn[number % len(turn)], time_ms)
        self.client.flush()
        return self.truth - before

    def progress(self, up_to_ms: int) -> None:
        """Say on every partition that nothing older will come."""
        key, value = self._codecs.progress("traffic", up_to_ms)
        self.client.flush()
        for partition in range(self._settings.kafka_partitions):
            self._produce(value, key, partition)
        self.client.flush()

    def _route_of(self, activity: Activity) -> tuple[bytes, int]:
        partition = partition_of(activity, self._settings.kafka_partitions)
        return self._codecs.activity_key(activity), partition

    def _produce(self, value: bytes, key: bytes, partition: int) -> None:
        while True:
            try:
                self.client.produce(self._topic, value, key, partition)
            except BufferError:
                self.client.poll(0.1)
            else:
                self.client.poll(0)
                return


def final_counts(settings: Settings, *, anew: bool = False) -> Counts:
    """Read the last count of every closed window.

    No revision may come twice, unless the state was reset and counted `anew`.
    """
    codecs, revisions, final = reading_codecs(settings), {}, Counter()
    for message in read_all(settings, TopicNames.of(settings).counts):
        key = codecs.decode_activity_window(message.key())
        count = codecs.decode_activity_count(message.value())
        assert anew or count.revision > revisions.get(key, -1), "a count was emitted twice"
        revisions[key] = count.revision
        final[key] = count.count
    return final


def difference(counted: Mapping[object, int], truth: Mapping[object, int]) -> dict[object, str]:
    """Return where counts are wrong, in words; empty when they are exact."""
    return {
        key: f"{counted.get(key, 0)} instead of {truth.get(key, 0)}"
        for key in counted.keys() | truth.keys()
        if counted.get(key, 0) != truth.get(key, 0)
    }


def template() -> TrailRecord:
    """Return the record whose id and time are replaced."""
    data = json.dumps(event(NOON_MS)).encode()
    record = parse(data, Origin("traffic", 0), published_ms=NOON_MS)
    assert isinstance(record, TrailRecord)
    return record
