"""One partition of CloudTrail counting on the engine: bytes in, rows, records and metrics out."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

import msgspec
import numpy as np

from streams.cloudtrail.record import Activity, Origin, Reason, Rejected, TrailRecord
from streams.codecs import (
    CodecError,
    Codecs,
    DeadLetter,
    decode_activity,
    header_length,
    partition_of,
)
from streams.counting.watermark import PROGRESS_EVENT_SOURCE
from streams.detection.anomaly import Anomaly, Evidence, State
from streams.detection.watch import WatchConfig
from streams.engine.job import Chunk, NotYetError, Output, Record
from streams.errors import StateError
from streams.metrics import Metrics, PartitionStatus
from streams.settings import Settings
from streams.state.keys import UNREADABLE
from streams.state.partition import Partition, PartitionConfig
from streams.state.snapshot import CountRow, Snapshot
from streams.topics import TopicNames

SOURCE_ID = "worker"
"""What dead letters of a worker name as their source."""


def partition_config(settings: Settings, *, partitions: int = 1) -> PartitionConfig:
    """Return what counts and detection depend on, of one state that stands for `partitions`."""
    window_ms = settings.window_seconds * 1000
    return PartitionConfig(
        app=settings.app_id,
        window_ms=window_ms,
        amendment_ms=settings.amendment_seconds * 1000,
        watch=WatchConfig(
            app=settings.app_id,
            window_ms=window_ms,
            threshold=settings.anomaly_threshold,
            max_series=settings.max_series * partitions,
        ),
    )


class CountingFold:
    """Counts and watches one partition; implements `engine.job.Fold`."""

    def __init__(
        self,
        partition: int,
        rows: Mapping[bytes, bytes],
        *,
        settings: Settings,
        codecs: Codecs,
        metrics: Metrics,
    ) -> None:
        self._number = partition
        self._partitions = settings.kafka_partitions
        self._codecs = codecs
        self._topics = TopicNames.of(settings)
        self._metrics = metrics
        self._dead_letters: list[tuple[bytes, bytes]] = []
        self._oldest: list[tuple[int, int]] = []
        self._records = 0
        self._lag_records = 0
        self._state = Partition(
            partition_config(settings), self._decode_key, rows, decode_body=decode_activity
        )
        self._started = {a.anomaly_id for a in self._state.watch.open if _is_started(a)}

    @property
    def dirty_rows(self) -> int:
        """Rows the next snapshot will hold, roughly."""
        return self._state.dirty_rows

    def fold(self, chunk: Chunk) -> Iterator[None]:
        """Count a chunk; records that cannot be read become dead letters, never a stop.

        Raise NotYetError while the Schema Registry is to be asked who wrote one of them.
        """
        records = chunk.records
        if not len(records):
            return
        leading = self._codecs.columns(records.values)
        rejected = [records.at(at) for at in leading.bad]
        if rejected:
            if unknown := self._codecs.unknown(record.value for record in rejected):
                raise NotYetError(partial(self._codecs.ask, unknown))
            good = np.delete(np.arange(len(records)), leading.bad)
            records = records.take(good)
            leading = leading._replace(ids=leading.ids[good], times_ms=leading.times_ms[good])
        appended_ms = records.timestamps_ms
        yield from self._state.fold(records.keys, leading.ids, leading.times_ms, appended_ms)
        for at, series in self._state.evidence_wanted:
            self._sample(records.at(at), series)
        rejected += [records.at(at) for at in self._state.unreadable]
        for record in sorted(rejected):
            self._reject(record)
        self._records += len(chunk.records)
        if len(records):
            self._oldest.append((int(leading.times_ms.min()), int(appended_ms.min())))

    def snapshot(self) -> Output:
        """Return all that changed; rows and counts are encoded while the engine reads them."""
        snapshot = self._state.snapshot()
        letters, self._dead_letters = self._dead_letters, []
        oldest, self._oldest = self._oldest, []
        codecs = self._codecs
        return Output(
            rows=snapshot.rows,
            messages={
                self._topics.counts: snapshot.counts.map(self._count_record),
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
            self._count_start(anomaly)
        now = time.time()
        for event_ms, append_ms in oldest:
            metrics.counted(
                event_seconds=now - event_ms / 1000, publish_seconds=now - append_ms / 1000
            )
        self._show()

    def _count_record(self, row: CountRow) -> tuple[bytes, bytes]:
        body, start_ms, count = row
        codecs = self._codecs
        return codecs.activity_window(body, start_ms), codecs.activity_count(count)

    def _count_start(self, anomaly: Anomaly) -> None:
        """Count an anomaly's first definitive Start; an adopted one starts again, with a parent."""
        if anomaly.state is not State.START:
            self._started.discard(anomaly.anomaly_id)
        elif _is_started(anomaly) and anomaly.anomaly_id not in self._started:
            self._started.add(anomaly.anomaly_id)
            self._metrics.anomaly_started(anomaly)

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
            return b"", UNREADABLE
        if activity.event_source != PROGRESS_EVENT_SOURCE:
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

    def _sample(self, record: Record, series: int) -> None:
        """Decode one record of an open anomaly: the only values a worker ever decodes."""
        try:
            decoded = self._codecs.decode_trail_record(record[3] or b"")
        except CodecError:
            # Its leading fields counted; what cannot be read is no evidence.
            return
        evidence = Evidence(
            event_id=_text(decoded, "eventID"),
            topic=self._topics.records,
            partition=self._number,
            offset=record[0],
            origin=f"{decoded.origin.object}#{decoded.origin.index}",
        )
        self._state.watch.add_sample(
            series, evidence, _text(decoded, "userAgent"), _text(decoded, "sourceIPAddress")
        )

    def _reject(self, record: Record) -> None:
        origin = Origin(f"{self._topics.records}/{self._number}", record[0])
        rejected = Rejected(
            reason=Reason.UNREADABLE,
            error="the record's key or value is no Avro of a known schema",
            origin=origin,
            raw=record[3] or b"",
        )
        letter = DeadLetter.of(
            rejected, source_id=SOURCE_ID, rejected_at_ms=int(time.time() * 1000)
        )
        self._dead_letters.append((letter.key, self._codecs.dead_letter(letter)))


def _is_started(anomaly: Anomaly) -> bool:
    return not (anomaly.provisional or anomaly.suppressed)


def _text(record: TrailRecord, member: str) -> str:
    raw = record.fields.get(member)
    value = msgspec.json.decode(raw) if raw is not None else ""
    return value if isinstance(value, str) else str(value)
