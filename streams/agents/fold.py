"""One partition of CloudTrail counting on the engine: bytes in, rows, records and metrics out."""

import time
from collections.abc import Callable, Iterator, Mapping

from streams.cloudtrail.record import Activity, Origin, Reason, Rejected
from streams.codecs import (
    CodecError,
    Codecs,
    DeadLetter,
    columns,
    decode_activity,
    header_length,
    partition_of,
)
from streams.engine.job import Chunk, Output
from streams.errors import StateError
from streams.metrics import Metrics, PartitionStatus
from streams.state.partition import Partition, PartitionConfig, Snapshot
from streams.topics import TopicNames

UNREADABLE = Activity("", "", "trailstreams.unreadable", "", "", "none", "", "", "")
"""Stands for a key that cannot be read; `none` is never counted."""
PROGRESS_SOURCE = "trailstreams.internal"
SOURCE_ID = "worker"
"""What dead letters of a worker name as their source."""


class CountingFold:
    """Counts and watches one partition; implements `engine.job.Fold`."""

    def __init__(
        self,
        *,
        partition: int,
        partitions: int,
        config: PartitionConfig,
        rows: Mapping[bytes, bytes],
        codecs: Codecs,
        topics: TopicNames,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._number = partition
        self._partitions = partitions
        self._codecs = codecs
        self._topics = topics
        self._metrics = metrics
        self._clock = clock
        self._unreadable_keys: set[bytes] = set()
        self._dead_letters: list[tuple[bytes, bytes]] = []
        self._oldest: list[tuple[int, int]] = []
        self._records = 0
        self._lag_records = 0
        self._state = Partition(config, self._decode_key, rows)

    @property
    def dirty_rows(self) -> int:
        """Rows the next snapshot will hold, roughly."""
        return self._state.dirty_rows

    def fold(self, chunk: Chunk) -> Iterator[None]:
        """Count a chunk; records that cannot be read become dead letters, never a stop."""
        if not chunk.records:
            return
        offsets, stamps, keys, values = zip(*chunk.records, strict=True)
        leading = columns(values, strict=False)
        bad = set(leading.bad)
        if bad:
            good = [at for at in range(len(keys)) if at not in bad]
            keys = tuple(keys[at] for at in good)
            stamps_ms = [stamps[at] for at in good]
            leading = leading._replace(ids=leading.ids[good], times_ms=leading.times_ms[good])
        else:
            good, stamps_ms = [], stamps
        yield from self._state.fold(keys, leading.ids, leading.times_ms, stamps_ms)
        self._sample(chunk, good)
        if self._unreadable_keys:
            bad |= {at for at, record in enumerate(chunk.records) if self._is_unreadable(record[2])}
        for at in sorted(bad):
            self._reject(offsets[at], values[at])
        self._records += len(offsets)
        if len(leading.times_ms):
            self._oldest.append((int(leading.times_ms.min()), min(stamps)))

    def snapshot(self) -> Output:
        """Return all that changed, with derived records encoded for their topics."""
        snapshot = self._state.snapshot()
        letters, self._dead_letters = self._dead_letters, []
        oldest, self._oldest = self._oldest, []
        codecs = self._codecs
        return Output(
            rows=snapshot.rows,
            messages={
                self._topics.counts: [
                    (codecs.activity_window(body, start), codecs.activity_count(count))
                    for body, start, count in snapshot.counts
                ],
                self._topics.anomalies: [
                    (anomaly.anomaly_id.encode(), codecs.anomaly(anomaly))
                    for anomaly in snapshot.anomalies
                ],
                self._topics.dead_letters: letters,
            },
            on_committed=lambda: self._committed(snapshot, oldest),
        )

    def own(self) -> None:
        """Show this partition's gauges."""
        self._metrics.own(self._number)
        self._show()

    def disown(self) -> None:
        """Take this partition's gauges away."""
        self._metrics.disown(self._number)

    def lag(self, records: int) -> None:
        """Show how far behind the log the committed position is."""
        self._lag_records = records
        self._show()

    def _committed(self, snapshot: Snapshot, oldest: list[tuple[int, int]]) -> None:
        metrics, counted = self._metrics, snapshot.increments
        metrics.events(counted.events)
        metrics.duplicates(counted.duplicates)
        metrics.late(counted.late)
        metrics.too_late(counted.too_late)
        for anomaly in snapshot.anomalies:
            metrics.anomaly_started(anomaly)
        now = self._clock()
        for event_ms, append_ms in oldest:
            metrics.counted(
                event_seconds=now - event_ms / 1000, publish_seconds=now - append_ms / 1000
            )
        self._show()

    def _show(self) -> None:
        watch = self._state.watch
        status = PartitionStatus(
            open_anomalies=tuple(watch.open),
            learning=watch.learning,
            watching=watch.watching,
            watermark_ms=self._state.watermark_ms or 0,
            lag_records=self._lag_records,
            records=self._records,
        )
        self._metrics.partition(self._number, status)

    def _decode_key(self, raw: bytes) -> tuple[bytes, Activity]:
        try:
            body = raw[header_length(raw) :]
            activity = decode_activity(body)
        except (CodecError, TypeError):
            self._unreadable_keys.add(raw)
            return b"", UNREADABLE
        if activity.event_source != PROGRESS_SOURCE:
            self._check_partition(activity)
        return body, activity

    def _check_partition(self, activity: Activity) -> None:
        expected = partition_of(activity, self._partitions)
        if expected != self._number:
            raise StateError(
                f"{activity.event_name} of {activity.event_source} came in partition "
                f"{self._number}, but belongs to {expected} of {self._partitions}: a producer "
                "with another partitioner or partition count writes to the records topic"
            )

    def _is_unreadable(self, key: bytes | None) -> bool:
        return key is None or key in self._unreadable_keys

    def _reject(self, offset: int, value: bytes | None) -> None:
        origin = Origin(f"{self._topics.records}/{self._number}", offset)
        rejected = Rejected(
            reason=Reason.UNREADABLE,
            error="the record's key or value is no Avro of a known schema",
            origin=origin,
            raw=value or b"",
        )
        letter = DeadLetter.of(
            rejected, source_id=SOURCE_ID, rejected_at_ms=int(self._clock() * 1000)
        )
        self._dead_letters.append((letter.key, self._codecs.dead_letter(letter)))
