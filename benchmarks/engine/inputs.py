"""The two inputs: made from a seed, published once, and the counts that every engine must find.

Records are TrailRecords as the sources write them: real keys in the partition of their API, values
of about 1.4 kB, Progress that closes the windows. They arrive a little out of order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import Producer

from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Origin, TrailRecord
from streams.codecs import Codecs, header_length, partition_of

WINDOW_MS = 300_000
EVENTS_A_WINDOW = 250_000
"""3 million in an hour."""
START_MS = 1_767_614_400_000
"""2026-01-05T12:00:00Z"""
JITTER_MS = 120_000
"""An event arrives at most so long after one that is as old."""
LATENESS_MS = 600_000
"""How far Progress stays behind, as the setting ALLOWED_LATENESS_SECONDS has it."""
PARTITIONS = 4
SEED = 20_260_105
INSTANCE = "benchmark"

_ACCOUNT, _REGION, _SOURCE = "111122223333", "us-east-1", "monitoring.amazonaws.com"
_OBJECT = (
    "example-logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/05/"
    "111122223333_CloudTrail_us-east-1_20260105T1205Z_Abcdefghijklmnop.json.gz"
)
_EVENT_ID = "00000000-0000-4000-8000-000000000000"
_HEAD = 26
"""Header and dedup id of a value; the time follows."""
_TIME = 6
_PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    # As our sources publish (streams/connectors/publisher.py).
    "compression.type": "lz4",
    "linger.ms": 25,
    "batch.size": 512 * 1024,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 512 * 1024,
}

Counts = npt.NDArray[np.int64]
"""Events by number of the key (first axis) and of the window (second)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One key, and what the values of all its records share."""

    key: bytes
    partition: int
    before_time: bytes
    """The value's header."""
    around_ids: tuple[bytes, ...]
    """What follows the time, cut at the event ids in it: a field of its own, and in the record."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input: its keys, its events in order of arrival, and the truth."""

    name: str
    principals: int
    event_names: int
    records: int

    @property
    def windows(self) -> int:
        """How many windows the events fall in."""
        return -(-self.records // EVENTS_A_WINDOW)

    @property
    def keys(self) -> int:
        """How many different keys there are."""
        return self.principals * self.event_names

    @property
    def topic_prefix(self) -> str:
        """Prefix of the topics; `records` follows."""
        return f"{self.name}-{self.records}."

    @property
    def topic(self) -> str:
        """The records topic."""
        return f"{self.topic_prefix}records"

    @cached_property
    def events(self) -> tuple[Counts, Counts]:
        """Key number and event time (ms) of each event, in order of arrival."""
        rng = np.random.default_rng(SEED)
        span_ms = self.records * WINDOW_MS // EVENTS_A_WINDOW
        times = START_MS + np.sort(rng.integers(0, span_ms, self.records))
        keys = rng.integers(0, self.keys, self.records)
        order = np.argsort(times + rng.integers(0, JITTER_MS, self.records), kind="stable")
        return keys[order], times[order]

    @cached_property
    def truth(self) -> Counts:
        """What every engine must find."""
        keys, times = self.events
        cells = keys * self.windows + (times - START_MS) // WINDOW_MS
        counts = np.bincount(cells, minlength=self.keys * self.windows)
        return counts.reshape(self.keys, self.windows).astype(np.int64)

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The records' constant parts, by number of the key."""
        codecs = Codecs()
        return tuple(
            _template(codecs, principal, name)
            for principal in range(self.principals)
            for name in range(self.event_names)
        )

    @cached_property
    def key_numbers(self) -> dict[bytes, int]:
        """The number of each raw record key."""
        return {template.key: number for number, template in enumerate(self.templates)}


def publish(given: Input, bootstrap_servers: str) -> int:
    """Write the input to its topic; return the number of records, Progress included."""
    producer = Producer({"bootstrap.servers": bootstrap_servers} | _PRODUCER)
    written = 0
    for key, value, partition in _messages(given):
        while True:
            try:
                producer.produce(given.topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        written += 1
    if producer.flush(120):
        raise SystemExit(f"error: not all of {given.topic} was delivered")
    return written


def _messages(given: Input) -> Iterator[tuple[bytes, bytes, int]]:
    codecs, templates = Codecs(), given.templates
    keys, times = given.events
    ids = np.random.default_rng(SEED + 1).bytes(16 * given.records)
    varints = _varints(times)
    progress = _progress(times, given.windows)
    for at, number in enumerate(keys.tolist()):
        while progress and progress[0][0] == at:
            _, up_to_ms = progress.pop(0)
            yield from _progress_messages(codecs, up_to_ms)
        template = templates[number]
        dedup_id = ids[16 * at : 16 * at + 16]
        hexadecimal = dedup_id.hex()
        event_id = (
            f"{hexadecimal[:8]}-{hexadecimal[8:12]}-{hexadecimal[12:16]}-"
            f"{hexadecimal[16:20]}-{hexadecimal[20:]}"
        )
        time = varints[_TIME * at : _TIME * at + _TIME]
        rest = event_id.encode().join(template.around_ids)
        yield template.key, template.before_time + dedup_id + time + rest, template.partition
    yield from _progress_messages(codecs, START_MS + given.windows * WINDOW_MS)


def _progress(times: Counts, windows: int) -> list[tuple[int, int]]:
    """Return before which event which window's end is passed by Progress, the last one not."""
    newest = np.maximum.accumulate(times) - LATENESS_MS
    ends = START_MS + WINDOW_MS * np.arange(1, windows)
    places = np.searchsorted(newest, ends)
    return [(at, end) for at, end in zip(places.tolist(), ends.tolist(), strict=True)]


def _progress_messages(codecs: Codecs, up_to_ms: int) -> Iterator[tuple[bytes, bytes, int]]:
    key, value = codecs.progress(INSTANCE, up_to_ms)
    for partition in range(PARTITIONS):
        yield key, value, partition


def _varints(times: Counts) -> bytes:
    """Return the times as Avro longs: six bytes each between 1971 and 2038."""
    zigzag = (times * 2).astype(np.uint64)
    shifts = np.arange(0, 7 * _TIME, 7, dtype=np.uint64)
    digits = (zigzag[:, None] >> shifts) & np.uint64(0x7F)
    digits[:, :-1] |= np.uint64(0x80)
    return digits.astype(np.uint8).tobytes()


def _template(codecs: Codecs, principal: int, name: int) -> Template:
    parsed = parse(
        msgspec.json.encode(_record(principal, name)),
        Origin(_OBJECT, 7),
        published_ms=START_MS + 86_400_000,
    )
    if not isinstance(parsed, TrailRecord):
        raise TypeError(parsed.error)
    value = codecs.trail_record(parsed)
    return Template(
        key=codecs.activity_key(parsed.activity),
        partition=partition_of(parsed.activity, PARTITIONS),
        before_time=value[: header_length(value)],
        around_ids=tuple(value[_HEAD + _TIME :].split(_EVENT_ID.encode())),
    )


def _record(principal: int, name: int) -> dict[str, object]:
    role = f"example-application-{principal}"
    issuer = f"arn:aws:iam::{_ACCOUNT}:role/{role}"
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLEEXAMPLEEXA:i-0123456789abcdef0",
            "arn": f"arn:aws:sts::{_ACCOUNT}:assumed-role/{role}/i-0123456789abcdef0",
            "accountId": _ACCOUNT,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLEEXAMPLEEXA",
                    "arn": issuer,
                    "accountId": _ACCOUNT,
                    "userName": role,
                },
                "attributes": {
                    "creationDate": "2026-01-05T11:52:04Z",
                    "mfaAuthenticated": "false",
                },
            },
        },
        "eventTime": "2026-01-05T12:00:00Z",
        "eventSource": _SOURCE,
        "eventName": f"ExampleCall{name}",
        "awsRegion": _REGION,
        "sourceIPAddress": "192.0.2.17",
        "userAgent": "aws-sdk-java/2.25.31",
        "requestParameters": None,
        "responseElements": None,
        "requestID": "7a1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
        "eventID": _EVENT_ID,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": _ACCOUNT,
        "eventCategory": "Management",
    }
