"""What the log of records means, worked out offline: by the product's own fold, and without it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from helpers.kafka import read_all

from faults.timing import quick_deaths
from faults.traffic import AMENDMENT_MS, WINDOW_MS
from streams.agents.fold import partition_config
from streams.cloudtrail.record import Activity
from streams.codecs import Codecs, decode_activity, header_length
from streams.codecs.varint import decode_long
from streams.counting.watermark import PROGRESS_EVENT_SOURCE, Watermark
from streams.detection.anomaly import Anomaly, State
from streams.settings import Settings
from streams.state.partition import Partition
from streams.topics import TopicNames

CHUNK_RECORDS = 5_000
CountKey = tuple[Activity, int]
"""Activity and window start in milliseconds."""


class Entry(NamedTuple):
    """One record of the log."""

    offset: int
    append_ms: int
    key: bytes
    value: bytes


Log = Mapping[int, Sequence[Entry]]
"""By partition, in log order."""


class Counted(NamedTuple):
    """What is true of one row."""

    at_close: int | None
    """Calls when its window closed, the value of revision 0; None where it came later."""
    calls: int
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class Counts:
    """All there is to count, by a set of ids and a Counter."""

    closed: dict[CountKey, Counted] = field(default_factory=dict)
    """Rows of closed windows: those that were emitted."""
    seen: set[bytes] = field(default_factory=set)
    """Dedup ids of all events in the log."""
    unreadable: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset of what becomes a dead letter."""


@dataclass(slots=True)
class Folded:
    """What the product's fold makes of the log, without Kafka, restarts and rebalances."""

    anomalies: dict[str, Anomaly] = field(default_factory=dict)
    """Last record of each definitive anomaly."""
    changelog: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    """By partition, as compaction would keep it; without the engine's own row."""


def read_log(settings: Settings) -> Log:
    """Read the records topic from its start to its end."""
    log: defaultdict[int, list[Entry]] = defaultdict(list)
    for message in read_all(settings, TopicNames.of(settings).records):
        entry = Entry(message.offset(), message.timestamp()[1], message.key(), message.value())
        log[message.partition()].append(entry)
    return log


def count(log: Log) -> Counts:
    """Count the log with nothing but sets and Counters."""
    counts = Counts()
    with quick_deaths():
        for partition, entries in log.items():
            _Counting(counts, partition).run(entries)
    return counts


class _Counting:
    """Counts one partition, event by event."""

    def __init__(self, counts: Counts, partition: int) -> None:
        self._counts = counts
        self._partition = partition
        codecs = Codecs()
        self._header = _header(codecs)
        self._activity = cache(codecs.decode_activity_key)
        self._watermark = Watermark()
        self._ids: set[tuple[int, bytes]] = set()
        self._calls: Counter[CountKey] = Counter()
        self._times: defaultdict[CountKey, list[int]] = defaultdict(list)
        self._open: set[CountKey] = set()
        self._at_close: dict[CountKey, int] = {}

    def run(self, entries: Sequence[Entry]) -> None:
        """Count all entries and keep the rows that are closed at the end."""
        for entry in entries:
            if not entry.value.startswith(self._header):
                self._counts.unreadable.add((self._partition, entry.offset))
                continue
            activity, dedup_id, time_ms = self._read(entry)
            if activity.event_source == PROGRESS_EVENT_SOURCE:
                self._watermark.observe(activity.principal, time_ms, entry.append_ms)
                self._close()
            else:
                self._counts.seen.add(dedup_id)
                self._count(activity, time_ms, dedup_id)
        for key in self._calls.keys() - self._open:
            times = self._times[key]
            self._counts.closed[key] = Counted(
                self._at_close.get(key), self._calls[key], min(times), max(times)
            )

    def _read(self, entry: Entry) -> tuple[Activity, bytes, int]:
        """Return the key, and the two fields that every record begins with."""
        begin = len(self._header)
        time_ms, _ = decode_long(entry.value, begin + 16)
        return self._activity(entry.key), entry.value[begin : begin + 16], time_ms

    def _is_past(self, start_ms: int, horizon_ms: int) -> bool:
        watermark_ms = self._watermark.value_ms
        return watermark_ms is not None and start_ms + WINDOW_MS + horizon_ms <= watermark_ms

    def _count(self, activity: Activity, time_ms: int, dedup_id: bytes) -> None:
        start_ms = time_ms - time_ms % WINDOW_MS
        if self._is_past(start_ms, AMENDMENT_MS) or (start_ms, dedup_id) in self._ids:
            return
        key = (activity, start_ms)
        self._ids.add((start_ms, dedup_id))
        self._calls[key] += 1
        self._times[key].append(time_ms)
        if not self._is_past(start_ms, 0):
            self._open.add(key)

    def _close(self) -> None:
        for key in [key for key in self._open if self._is_past(key[1], 0)]:
            self._open.remove(key)
            self._at_close[key] = self._calls[key]


def _header(codecs: Codecs) -> bytes:
    """Return what every readable record begins with."""
    _, value = codecs.progress("any", 0)
    return value[: header_length(value)]


def fold(settings: Settings, log: Log) -> Folded:
    """Fold the log as one worker would that nothing ever happens to."""
    folded = Folded()
    with quick_deaths():
        for partition, entries in log.items():
            folded.changelog[partition] = dict(_fold(settings, entries, folded.anomalies))
    return folded


def _fold(
    settings: Settings, entries: Sequence[Entry], anomalies: dict[str, Anomaly]
) -> Iterator[tuple[bytes, bytes]]:
    codecs, rows = Codecs(), {}
    partition = Partition(partition_config(settings), _split_key, decode_body=decode_activity)
    for first in range(0, len(entries), CHUNK_RECORDS):
        chunk = entries[first : first + CHUNK_RECORDS]
        leading = codecs.columns([entry.value for entry in chunk])
        good = sorted(set(range(len(chunk))) - set(leading.bad))
        keys = [chunk[at].key for at in good]
        appended_ms = [chunk[at].append_ms for at in good]
        for _ in partition.fold(keys, leading.ids[good], leading.times_ms[good], appended_ms):
            pass
        snapshot = partition.snapshot()
        rows.update(snapshot.rows)
        anomalies.update(_definitive(snapshot.anomalies))
    return ((key, value) for key, value in rows.items() if value is not None)


def _definitive(records: Sequence[Anomaly]) -> dict[str, Anomaly]:
    return {
        record.anomaly_id: record
        for record in records
        if not record.provisional and record.state is not State.RETRACTED
    }


def _split_key(raw: bytes) -> tuple[bytes, Activity]:
    body = raw[header_length(raw) :]
    return body, decode_activity(body)
